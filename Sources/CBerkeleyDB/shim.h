// libdb's handles are structures of function pointers; as plain functions they read well in Swift.
#pragma once
#include <db.h>
#include <stdint.h>
#include <stdlib.h>

static inline int varve_env_set_encrypt(DB_ENV *env, const char *password) {
    return env->set_encrypt(env, password, DB_ENCRYPT_AES);
}
static inline int varve_env_add_data_dir(DB_ENV *env, const char *directory) {
    return env->add_data_dir(env, directory);
}
static inline int varve_env_set_lg_dir(DB_ENV *env, const char *directory) {
    return env->set_lg_dir(env, directory);
}
static inline int varve_env_set_tmp_dir(DB_ENV *env, const char *directory) {
    return env->set_tmp_dir(env, directory);
}
static inline int varve_env_open(DB_ENV *env, const char *home, u_int32_t flags) {
    return env->open(env, home, flags, 0);
}
static inline int varve_env_close(DB_ENV *env) { return env->close(env, 0); }
static inline int varve_env_get_open_flags(DB_ENV *env, u_int32_t *flags) {
    return env->get_open_flags(env, flags);
}
static inline int varve_env_get_flags(DB_ENV *env, u_int32_t *flags) { return env->get_flags(env, flags); }
static inline int varve_env_set_flags(DB_ENV *env, u_int32_t flags, int on) {
    return env->set_flags(env, flags, on);
}
static inline int varve_env_get_encrypt_flags(DB_ENV *env, u_int32_t *flags) {
    return env->get_encrypt_flags(env, flags);
}
static inline int varve_env_get_data_dirs(DB_ENV *env, const char ***directories) {
    return env->get_data_dirs(env, directories);
}
static inline int varve_env_log_get_config(DB_ENV *env, u_int32_t which, int *on) {
    return env->log_get_config(env, which, on);
}
static inline int varve_env_log_set_config(DB_ENV *env, u_int32_t which, int on) {
    return env->log_set_config(env, which, on);
}
static inline int varve_env_log_file(DB_ENV *env, const DB_LSN *lsn, char *name, size_t size) {
    return env->log_file(env, lsn, name, size);
}

// DB_ENV->memp_stat counts the files in the cache and the bytes of their names, allocates just that, and goes over the files
// again: names of files that came meanwhile may be longer, as those of a queue's extents are, and are written behind the end
// (seen with valgrind; libdb 5.3.28 bounds the number of files, not their names). So what libdb allocates for us has room:
// eight times what it asked for and a mebibyte, of which the kernel gives what is touched.
static inline void *varve_roomy_malloc(size_t size) {
    return size > (SIZE_MAX >> 4) ? NULL : malloc(8 * size + (1 << 20));
}
static inline void *varve_roomy_realloc(void *memory, size_t size) {
    return size > (SIZE_MAX >> 4) ? NULL : realloc(memory, 8 * size + (1 << 20));
}
static inline int varve_env_set_room(DB_ENV *env) {
    return env->set_alloc(env, varve_roomy_malloc, varve_roomy_realloc, free);
}

// The names of the files in the cache; the caller frees the list. Nil where there are none.
static inline int varve_env_cached_files(DB_ENV *env, DB_MPOOL_FSTAT ***files) {
    *files = NULL;
    return env->memp_stat(env, NULL, files, 0);
}
static inline int varve_env_sync_cache(DB_ENV *env) { return env->memp_sync(env, NULL); }
// Every locker and its locks, in lines for the message callback.
static inline int varve_env_print_lockers(DB_ENV *env) {
    return env->lock_stat_print(env, DB_STAT_LOCK_LOCKERS);
}
// Gives up the locks of a locker, whosever it is: those for reading, or `all`.
static inline int varve_env_put_locks(DB_ENV *env, u_int32_t locker, int all) {
    DB_LOCKREQ request = {0};
    request.op = all ? DB_LOCK_PUT_ALL : DB_LOCK_PUT_READ;
    return env->lock_vec(env, locker, 0, &request, 1, NULL);
}
static inline int varve_env_free_locker(DB_ENV *env, u_int32_t locker) { return env->lock_id_free(env, locker); }

static inline int varve_env_lock_id(DB_ENV *env, u_int32_t *locker) { return env->lock_id(env, locker); }
// Takes a database's lock of this type (its handle's, or its first page's) for reading and gives it back: 0 if it was to
// be had at once.
static inline int varve_env_try_read_lock(DB_ENV *env, u_int32_t locker, const u_int8_t *fileid, u_int32_t type) {
    DB_LOCK_ILOCK name = {0};
    DBT object = {0};
    DB_LOCK lock;
    __builtin_memcpy(name.fileid, fileid, DB_FILE_ID_LEN);
    name.type = type;
    object.data = &name;
    object.size = sizeof name;
    int result = env->lock_get(env, locker, DB_LOCK_NOWAIT, &object, DB_LOCK_READ, &lock);
    return result != 0 ? result : env->lock_put(env, &lock);
}

// The statistics that a capture needs, without the allocation.
struct varve_log_status {
    u_int32_t file_size, current_file, current_offset, disk_file, disk_offset;
};
static inline int varve_env_log_status(DB_ENV *env, struct varve_log_status *status) {
    DB_LOG_STAT *all = NULL;
    int result = env->log_stat(env, &all, 0);
    if (result != 0) return result;
    status->file_size = all->st_lg_size;
    status->current_file = all->st_cur_file;
    status->current_offset = all->st_cur_offset;
    status->disk_file = all->st_disk_file;
    status->disk_offset = all->st_disk_offset;
    free(all);
    return 0;
}
static inline int varve_env_last_checkpoint(DB_ENV *env, DB_LSN *lsn) {
    DB_TXN_STAT *all = NULL;
    int result = env->txn_stat(env, &all, 0);
    if (result != 0) return result;
    *lsn = all->st_last_ckp;
    free(all);
    return 0;
}

// Copies the body of the record at `lsn` (decrypted, in the host's byte order): at most `size` bytes.
static inline int varve_env_log_record(DB_ENV *env, DB_LSN *lsn, void *body, size_t size, size_t *length) {
    DB_LOGC *cursor = NULL;
    DBT data = {0};
    int result = env->log_cursor(env, &cursor, 0);
    if (result != 0) return result;
    result = cursor->get(cursor, lsn, &data, DB_SET);
    if (result == 0) {
        *length = data.size;
        __builtin_memcpy(body, data.data, data.size < size ? data.size : size);
    }
    int closed = cursor->close(cursor, 0);
    return result != 0 ? result : closed;
}

static inline int varve_env_set_backup_callbacks(
    DB_ENV *env, int (*open)(DB_ENV *, const char *, const char *, void **),
    int (*write)(DB_ENV *, u_int32_t, u_int32_t, u_int32_t, u_int8_t *, void *),
    int (*close)(DB_ENV *, const char *, void *)) {
    return env->set_backup_callbacks(env, open, write, close);
}
static inline int varve_env_dbbackup(DB_ENV *env, const char *file) {
    return env->dbbackup(env, file, NULL, 0);
}
static inline void varve_env_set_messages(
    DB_ENV *env, void (*error)(const DB_ENV *, const char *, const char *),
    void (*message)(const DB_ENV *, const char *)) {
    env->set_errcall(env, error);
    env->set_msgcall(env, message);
}
static inline int varve_env_set_feedback(DB_ENV *env, void (*feedback)(DB_ENV *, int, int)) {
    return env->set_feedback(env, feedback);
}
static inline int varve_env_set_cache(DB_ENV *env, u_int32_t bytes) {
    return env->set_cachesize(env, 0, bytes, 1);
}

// DB->verify consumes the handle, whatever it returns.
static inline int varve_db_verify(DB_ENV *env, const char *file, u_int32_t flags) {
    DB *db = NULL;
    // As db_verify does (util/db_verify.c:205), which this has to agree with: after an open the cache knows the file's
    // last page from its first one. Recovery may leave pages behind that one, and without an open they are an error.
    if (db_create(&db, env, 0) == 0) {
        (void)db->open(db, NULL, file, NULL, DB_UNKNOWN, DB_RDONLY, 0);
        (void)db->close(db, 0);
    }
    int result = db_create(&db, env, 0);
    if (result != 0) return result;
    return db->verify(db, file, NULL, NULL, flags);
}
