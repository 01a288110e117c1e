// What Linux offers and Swift's Glibc module does not import because it hides behind _GNU_SOURCE.
#pragma once
#include <sys/syscall.h>

// unistd.h declares it under _DEFAULT_SOURCE only.
extern long syscall(long number, ...);

enum {
#if defined(__aarch64__) || defined(__arm__)
    VARVE_O_DIRECT = 0200000,             // asm/fcntl.h; <fcntl.h> itself is Glibc's module's
#else
    VARVE_O_DIRECT = 040000,
#endif
    VARVE_RENAME_NOREPLACE = 1,           // linux/fs.h
    VARVE_MFD_CLOEXEC = 1,                // linux/memfd.h
    VARVE_UTIME_OMIT = (1 << 30) - 2,     // bits/stat.h
};

static inline int varve_renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags) {
    return (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
}

// Returns the number of bytes of the mask that the kernel wrote.
static inline long varve_sched_getaffinity(int pid, unsigned long size, void *mask) {
    return syscall(SYS_sched_getaffinity, pid, size, mask);
}

// glibc has it under _GNU_SOURCE only.
static inline int varve_memfd_create(const char *name, unsigned flags) {
    return (int)syscall(SYS_memfd_create, name, flags);
}

// The kind of file system that a path lies on (`f_type` of statfs); -1 and errno on failure.
#include <sys/vfs.h>
static inline long varve_file_system_type(const char *path) {
    struct statfs facts;
    return statfs(path, &facts) == 0 ? (long)facts.f_type : -1;
}

// Everything written to a file system, to its medium; glibc has it under _GNU_SOURCE only.
static inline int varve_syncfs(int descriptor) { return (int)syscall(SYS_syncfs, descriptor); }
