// What Linux offers and Swift's Glibc module does not import because it hides behind _GNU_SOURCE.
#pragma once
#include <stdint.h>
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
    VARVE_O_PATH = 010000000,             // asm/fcntl.h
    VARVE_AT_EMPTY_PATH = 0x1000,         // linux/fcntl.h
    VARVE_SEEK_DATA = 3,                  // linux/fs.h
    VARVE_SEEK_HOLE = 4,
    VARVE_RESOLVE_NO_MAGICLINKS = 0x02,   // linux/openat2.h, from here on
    VARVE_RESOLVE_NO_SYMLINKS = 0x04,
    VARVE_RESOLVE_BENEATH = 0x08,
};

// Opens beneath a directory and nowhere else (Linux 5.6); the number is the same on every architecture.
static inline int varve_openat2(int directory, const char *name, int flags, unsigned mode, unsigned resolve) {
    struct { unsigned long long flags, mode, resolve; } how = {
        (unsigned)flags, mode, resolve
    };
    return (int)syscall(437, directory, name, &how, sizeof how);
}

// Whose rights the calling thread has at files (setfsuid(2)): the raw calls are of one thread, as glibc's setgroups is
// not. The first two return what was there before, and tell of no failure.
static inline int varve_setfsuid(unsigned user) { return (int)syscall(SYS_setfsuid, user); }
static inline int varve_setfsgid(unsigned group) { return (int)syscall(SYS_setfsgid, group); }
static inline int varve_thread_setgroups(unsigned long count, const unsigned *groups) {
#ifdef SYS_setgroups32
    return (int)syscall(SYS_setgroups32, count, groups);
#else
    return (int)syscall(SYS_setgroups, count, groups);
#endif
}

// PR_SET_NO_NEW_PRIVS: nothing that is executed from here on gives rights.
static inline int varve_no_new_privileges(void) { return (int)syscall(SYS_prctl, 38, 1, 0, 0, 0); }

// Closes descriptors (Linux 5.9); the number is the same on every architecture.
static inline int varve_close_range(unsigned first, unsigned last) { return (int)syscall(436, first, last, 0); }

// Limits: Glibc's module has another type for their names in C and in C++.
#include <sys/resource.h>
enum {
    VARVE_LIMIT_FSIZE = 1, VARVE_LIMIT_DATA = 2, VARVE_LIMIT_CORE = 4,   // asm-generic/resource.h
    VARVE_LIMIT_NOFILE = 7, VARVE_LIMIT_AS = 9,
};
static inline int varve_get_limit(int which, struct rlimit *value) { return getrlimit(which, value); }
static inline int varve_set_limit(int which, const struct rlimit *value) { return setrlimit(which, value); }

// The process's arguments as the kernel left them on the stack: the pointers lie before those of the environment, their
// count before them. Swift reads them from /proc, which need not be there. To be called before anybody sets a variable
// of the environment, which may move `environ`.
static inline char **varve_arguments(long *count) {
    extern char **environ;
    char **first = environ - 1;           // the null pointer behind the last argument
    long found = 0;
    while ((long)first[-1] != found) { first--; found++; }
    *count = found;
    return first;
}

// The path that this program was started by; 31 is AT_EXECFN.
static inline const char *varve_executable(void) {
    extern unsigned long getauxval(unsigned long type);
    return (const char *)getauxval(31);
}

// glibc has it under _GNU_SOURCE only.
static inline int varve_pipe2(int *ends, int flags) { return (int)syscall(SYS_pipe2, ends, flags); }

static inline int varve_renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags) {
    return (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
}

// sync_file_range(SYNC_FILE_RANGE_WRITE), where there is such a thing: a hint, so nothing is returned.
static inline void varve_start_writing(int descriptor, unsigned long long offset, unsigned long long count) {
#if defined(SYS_sync_file_range) && defined(__LP64__)
    syscall(SYS_sync_file_range, descriptor, offset, count, 2);
#endif
}

// Returns the number of bytes of the mask that the kernel wrote.
static inline long varve_sched_getaffinity(int pid, unsigned long size, void *mask) {
    return syscall(SYS_sched_getaffinity, pid, size, mask);
}

// glibc has it under _GNU_SOURCE only.
static inline int varve_memfd_create(const char *name, unsigned flags) {
    return (int)syscall(SYS_memfd_create, name, flags);
}

// unistd.h has chroot under _DEFAULT_SOURCE, sched.h unshare under _GNU_SOURCE.
enum { VARVE_CLONE_NEWUSER = 0x10000000 };   // linux/sched.h

static inline int varve_chroot(const char *path) { return (int)syscall(SYS_chroot, path); }
static inline int varve_unshare(int flags) { return (int)syscall(SYS_unshare, flags); }

// Gives the calling thread, and no other, the rights that a user has to files. Root keeps all its other rights meanwhile.
static inline int varve_thread_becomes(unsigned user, unsigned group) {
    if (syscall(SYS_setgroups, 1, &group) != 0) return -1;
    syscall(SYS_setfsgid, group);
    syscall(SYS_setfsuid, user);
    // They tell no failure: what is in force is asked for with what can't be.
    if ((unsigned)syscall(SYS_setfsgid, -1) != group || (unsigned)syscall(SYS_setfsuid, -1) != user) return -1;
    return 0;
}

// The kind of file system that a path lies on (`f_type` of statfs); -1 and errno on failure.
#include <sys/vfs.h>
static inline long varve_file_system_type(const char *path) {
    struct statfs facts;
    return statfs(path, &facts) == 0 ? (long)facts.f_type : -1;
}

// Everything written to a file system, to its medium; glibc has it under _GNU_SOURCE only.
static inline int varve_syncfs(int descriptor) { return (int)syscall(SYS_syncfs, descriptor); }

// Bytes that a user who is not root may still write there; 0 if that can't be told.
static inline unsigned long long varve_available_bytes(const char *path) {
    struct statfs facts;
    if (statfs(path, &facts) != 0) return 0;
    return (unsigned long long)facts.f_bavail * (unsigned long long)facts.f_bsize;
}
// The same of an open file or directory. 0, or -1 where it can't be told: a file system that says it has no blocks at all.
static inline int varve_available_bytes_of(int descriptor, uint64_t *bytes) {
    struct statfs facts;
    if (fstatfs(descriptor, &facts) != 0 || facts.f_blocks == 0) return -1;
    *bytes = (uint64_t)facts.f_bavail * (unsigned long long)facts.f_bsize;
    return 0;
}
// Of the whole file system.
static inline unsigned long long varve_capacity_bytes(const char *path) {
    struct statfs facts;
    if (statfs(path, &facts) != 0) return 0;
    return (unsigned long long)facts.f_blocks * (unsigned long long)facts.f_bsize;
}

// Whether a name in a directory, "" for the directory itself, is the root of a mount, which a bind mount of the same file
// system is too (Linux 5.8): 1 or 0; -1 where the kernel does not say.
static inline int varve_is_mount_root(int directory, const char *name) {
    // struct statx of linux/stat.h, as far as it is needed; the kernel writes 256 bytes.
    union {
        struct { uint32_t mask, block_size; uint64_t attributes; uint32_t links, user, group; uint16_t mode, spare;
                 uint64_t inode, size, blocks, attributes_mask; } facts;
        unsigned char room[256];
    } value;
    const int no_follow_empty_path = 0x100 | 0x1000;
    const uint64_t mount_root = 0x2000;
    if (syscall(SYS_statx, directory, name, no_follow_empty_path, 0, &value) != 0) return -1;
    if (!(value.facts.attributes_mask & mount_root)) return -1;
    return (value.facts.attributes & mount_root) != 0;
}
