// A program that forgets to make things durable, for LD_PRELOAD: what the tests of power cuts must notice.
//
// VARVE_TEST_NO_FSYNC=directories: fsync of a directory does nothing. =all: no fsync, fdatasync or
// syncfs does anything, also where it comes by way of syscall(). Otherwise nothing changes.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static int is_left_out(int descriptor) {
    const char *what = getenv("VARVE_TEST_NO_FSYNC");
    struct stat status;
    if (what == NULL) return 0;
    if (strcmp(what, "all") == 0) return 1;
    if (strcmp(what, "directories") != 0) abort();
    return fstat(descriptor, &status) == 0 && S_ISDIR(status.st_mode);
}

static void *original(const char *name) {
    void *function = dlsym(RTLD_NEXT, name);
    if (function == NULL) abort();
    return function;
}

int fsync(int descriptor) {
    return is_left_out(descriptor) ? 0 : ((int (*)(int))original("fsync"))(descriptor);
}

int fdatasync(int descriptor) {
    return is_left_out(descriptor) ? 0 : ((int (*)(int))original("fdatasync"))(descriptor);
}

int syncfs(int descriptor) {
    return is_left_out(descriptor) ? 0 : ((int (*)(int))original("syncfs"))(descriptor);
}

long syscall(long number, ...) {
    va_list list;
    long given[6];
    va_start(list, number);
    for (int argument = 0; argument < 6; argument++) given[argument] = va_arg(list, long);
    va_end(list);
    if ((number == SYS_fsync || number == SYS_fdatasync || number == SYS_syncfs) && is_left_out((int)given[0]))
        return 0;
    return ((long (*)(long, ...))original("syscall"))(
        number, given[0], given[1], given[2], given[3], given[4], given[5]);
}
