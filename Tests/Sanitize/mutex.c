// What the thread sanitizer can't see of Swift's Mutex, for LD_PRELOAD.
//
// Nobody waiting, a Mutex is locked and unlocked by atomics that are compiled into the caller, and instrumented there.
// Where one has to wait, that happens in libswiftSynchronization and in the kernel, which the sanitizer does not see:
// what the Mutex protects would look like a race. Here these two edges are drawn; nothing else changes.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>

#define HANDLE __attribute__((swift_context)) void *handle
#define SWIFT __attribute__((swiftcall))
#define LOCK_SLOW "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"    // _MutexHandle._lockSlow(UInt32)
#define UNLOCK_SLOW "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"        // _MutexHandle._unlockSlow()

SWIFT void varve_lock_slow(uint32_t thread, HANDLE) __asm__(LOCK_SLOW);
SWIFT void varve_unlock_slow(HANDLE) __asm__(UNLOCK_SLOW);

// In programs that were built with the sanitizer; null in others.
void __tsan_acquire(void *) __attribute__((weak));
void __tsan_release(void *) __attribute__((weak));

static void *original(const char *name) {
    void *function = dlsym(RTLD_NEXT, name);
    if (function == NULL) abort();
    return function;
}

SWIFT void varve_lock_slow(uint32_t thread, HANDLE) {
    ((SWIFT void (*)(uint32_t, HANDLE))original(LOCK_SLOW))(thread, handle);
    if (__tsan_acquire != NULL) __tsan_acquire(handle);
}

SWIFT void varve_unlock_slow(HANDLE) {
    if (__tsan_release != NULL) __tsan_release(handle);
    ((SWIFT void (*)(HANDLE))original(UNLOCK_SLOW))(handle);
}
