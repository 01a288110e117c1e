// What leads to a mutex of libdb 5.3, as it lies in an environment's region files: db.h does not declare it.
// References are to the sources of 5.3.28. Of Debian's build: pthread mutexes, shared latches that are
// pthread_rwlock_t (neither hybrid nor test-and-set), statistics.
#pragma once
#include <db.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>

// `REGENV`, the head of __db.001 (region.h:159), up to what is needed.
struct varve_regenv {
    u_int32_t magic, panic, major, minor, patch, envid, signature;
    time_t created;
    u_int32_t init_flags;
    db_mutex_t mtx_regenv;
    u_int32_t refcnt, region_cnt;
    roff_t region_off, lt_primary, lg_primary, tx_primary;
};

// `REGION`, one of `region_cnt` at `region_off` (region.h:238).
struct varve_region {
    roff_t size, max;
    long segid;
    u_int32_t id;
    int type;
    roff_t primary, alloc;
};

// `DB_MUTEXREGION`, at the mutex region's `primary` (mutex_int.h:909), up to the statistics. Where libdb has
// no atomic operations, another `db_mutex_t` comes between (:921).
struct varve_mutex_region {
    roff_t mutex_off_alloc, mutex_off;
    db_size_t mutex_size;
    roff_t thread_off;
    db_mutex_t mtx_region, mutex_next;
};

// The head of `DB_MUTEX_STAT` (db.h).
struct varve_mutex_counts {
    u_int32_t align, tas_spins, init, cnt;
};

// `DB_MUTEX` (mutex_int.h:59, :930).
struct varve_mutex {
    union {
        struct {
            pthread_mutex_t mutex;
            pthread_cond_t cond;
        } m;
        pthread_rwlock_t rwlock;
    } u;
    pid_t pid;
    db_threadid_t tid;
    db_mutex_t mutex_next_link;
    int alloc_id;
    u_int32_t set_wait, set_nowait, set_rd_wait, set_rd_nowait;
    volatile u_int32_t flags;
};

enum {
    VARVE_REGION_MAGIC = 0x120897,      // DB_REGION_MAGIC
    VARVE_REGION_TYPE_MUTEX = 5,        // region.h:136
    VARVE_MTX_LOGICAL_LOCK = 9,         // mutex.h:50
    VARVE_MTX_MPOOLFILE_HANDLE = 14,    // mutex.h:55
};

#if defined(__LP64__)
_Static_assert(offsetof(struct varve_regenv, created) == 32, "REGENV.timestamp");
_Static_assert(offsetof(struct varve_regenv, tx_primary) == 88, "REGENV.tx_primary");
_Static_assert(sizeof(struct varve_region) == 48, "REGION");
_Static_assert(sizeof(struct varve_mutex_region) == 48, "DB_MUTEXREGION");
#endif
#if defined(__LP64__) && defined(__x86_64__)
_Static_assert(offsetof(struct varve_mutex, pid) == 88 && sizeof(struct varve_mutex) == 136, "DB_MUTEX");
_Static_assert(offsetof(struct varve_mutex, alloc_id) == 112, "DB_MUTEX.alloc_id");
_Static_assert(offsetof(struct varve_mutex, flags) == 132, "DB_MUTEX.flags");
#elif defined(__LP64__) && defined(__aarch64__)
_Static_assert(offsetof(struct varve_mutex, pid) == 96 && sizeof(struct varve_mutex) == 144, "DB_MUTEX");
_Static_assert(offsetof(struct varve_mutex, alloc_id) == 120, "DB_MUTEX.alloc_id");
_Static_assert(offsetof(struct varve_mutex, flags) == 140, "DB_MUTEX.flags");
#endif

enum { VARVE_SYS_FUTEX = SYS_futex };

// unistd.h declares it under _DEFAULT_SOURCE only.
extern long syscall(long number, ...);

// Whether this is an `MPOOLFILE.mtx_write` (mp_fopen.c:859) that the process holds exclusively: both libdb and
// glibc say so. The process must have one thread, so that glibc's owner, a thread, has its number.
static inline int varve_mutex_is_held(struct varve_mutex *mutex, pid_t process) {
    return mutex->alloc_id == VARVE_MTX_MPOOLFILE_HANDLE
        && mutex->flags == (DB_MUTEX_ALLOCATED | DB_MUTEX_LOCKED | DB_MUTEX_SHARED)
        && mutex->pid == process && mutex->u.rwlock.__data.__shared != 0
        && __atomic_load_n(&mutex->u.rwlock.__data.__cur_writer, __ATOMIC_RELAXED) == process;
}

// Whether this is an `MPOOLFILE.mtx_write` that glibc has given to somebody who never said so to either: locked for
// writing, in a writer's phase, its readers gone, without an owner. Of a living thread that is so for the instructions
// between its wait for readers, or the beginning of its unlock, and the next line.
static inline int varve_mutex_is_granted(struct varve_mutex *mutex) {
    enum { PHASE = 1, LOCKED = 2 };  // PTHREAD_RWLOCK_WRPHASE, PTHREAD_RWLOCK_WRLOCKED
    unsigned readers = __atomic_load_n(&mutex->u.rwlock.__data.__readers, __ATOMIC_RELAXED);
    return mutex->alloc_id == VARVE_MTX_MPOOLFILE_HANDLE
        && mutex->flags == (DB_MUTEX_ALLOCATED | DB_MUTEX_SHARED) && mutex->u.rwlock.__data.__shared != 0
        && (readers & (PHASE | LOCKED)) == (PHASE | LOCKED)
        && __atomic_load_n(&mutex->u.rwlock.__data.__cur_writer, __ATOMIC_RELAXED) == 0;
}

// Frees it for its dead owner, as __db_pthread_mutex_unlock does (mut_pthread.c:623): the flag, then the lock.
// glibc's pthread_rwlock_unlock takes who is not `__cur_writer` for a reader, so the caller becomes the owner
// first. Nobody else writes these fields while the lock is held for writing; those that wait are woken.
// Returns pthread's code.
static inline int varve_mutex_free(struct varve_mutex *mutex) {
    __atomic_store_n(&mutex->u.rwlock.__data.__cur_writer, (int)syscall(SYS_gettid), __ATOMIC_RELAXED);
    mutex->flags &= ~(u_int32_t)DB_MUTEX_LOCKED;
    return pthread_rwlock_unlock(&mutex->u.rwlock);
}

// Whether this is the mutex of a locker (lock_id.c:310) that the thread made: it locks it at once, and whenever it
// comes out of a wait.
static inline int varve_mutex_is_of_locker(struct varve_mutex *mutex, pid_t process, uint64_t thread) {
    return mutex->alloc_id == VARVE_MTX_LOGICAL_LOCK
        && (mutex->flags & ~(u_int32_t)DB_MUTEX_LOCKED)
               == (DB_MUTEX_ALLOCATED | DB_MUTEX_LOGICAL_LOCK | DB_MUTEX_SELF_BLOCK)
        && mutex->pid == process && (uint64_t)mutex->tid == thread;
}

// Forgets the locker's dead owner where it waited (mut_pthread.c:321): glibc counts it in the condition and in the
// mutex, for which pthread_cond_destroy waits for ever and pthread_mutex_destroy returns EBUSY. Under the mutex,
// which libdb has when it signals (:667); nobody but the owner waits for this condition.
// Returns pthread's code; EBUSY if the mutex can't be had.
static inline int varve_mutex_forget_waiter(struct varve_mutex *mutex) {
    pthread_condattr_t attributes;
    int result = pthread_mutex_trylock(&mutex->u.m.mutex);
    if (result != 0) return result;
    // Only ourselves.
    mutex->u.m.mutex.__data.__nusers = 1;
    result = pthread_condattr_init(&attributes);
    if (result == 0) result = pthread_condattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    if (result == 0) result = pthread_cond_init(&mutex->u.m.cond, &attributes);
    int unlocked = pthread_mutex_unlock(&mutex->u.m.mutex);
    return result != 0 ? result : unlocked;
}
