#include "workload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void path_in(char *path, size_t size, const char *home, const char *name) {
    int length = *name == '/' ? snprintf(path, size, "%s", name) : snprintf(path, size, "%s/%s", home, name);
    if (length < 0 || (size_t)length >= size) fail("path too long: %s/%s", home, name);
}

static void make_directory(const char *path) {
    if (mkdir(path, 0755) != 0 && errno != EEXIST)
        fail("cannot create directory %s: %s", path, strerror(errno));
}

static void prepare_home(const struct options *options) {
    char path[4096], below[4096];
    make_directory(options->home);
    const char *data = options->data_dir != NULL ? options->data_dir : ".";
    path_in(path, sizeof path, options->home, data);
    make_directory(path);
    if (options->subdir) {
        path_in(below, sizeof below, path, "sub");
        make_directory(below);
    }
    if (options->log_dir != NULL) {
        path_in(path, sizeof path, options->home, options->log_dir);
        make_directory(path);
    }
    bool directories = !options->dirs_in_code && (options->data_dir != NULL || options->log_dir != NULL);
    if (!directories && !options->auto_remove_config) return;
    path_in(path, sizeof path, options->home, "DB_CONFIG");
    FILE *config = fopen(path, "w");
    if (config == NULL) fail("cannot write %s: %s", path, strerror(errno));
    if (directories && options->data_dir != NULL)
        fprintf(config, "set_data_dir %s\nset_create_dir %s\n", options->data_dir, options->data_dir);
    if (directories && options->log_dir != NULL) fprintf(config, "set_lg_dir %s\n", options->log_dir);
    if (options->auto_remove_config) fprintf(config, "log_set_config DB_LOG_AUTO_REMOVE on\n");
    if (fclose(config) != 0) fail("cannot write %s: %s", path, strerror(errno));
}

static void must(int code, const char *what) {
    if (code != 0) fail("%s: %s", what, db_strerror(code));
}

bool environment_is_transactional(const struct options *options) { return !options->no_txn && !options->cdb; }

static void configure(DB_ENV *env, const struct options *options, enum access_mode mode) {
    env->set_errfile(env, stderr);
    env->set_errpfx(env, "bdb-workload");
    if (options->password[0] != 0)
        must(env->set_encrypt(env, options->password, DB_ENCRYPT_AES), "set_encrypt");
    if (options->dirs_in_code && options->data_dir != NULL) {
        must(env->add_data_dir(env, options->data_dir), "add_data_dir");
        must(env->set_create_dir(env, options->data_dir), "set_create_dir");
    }
    if (options->dirs_in_code && options->log_dir != NULL)
        must(env->set_lg_dir(env, options->log_dir), "set_lg_dir");
    if (mode == ACCESS_JOIN) return;
    uint64_t cache = options->cache != 0 ? options->cache : 8u << 20;
    must(env->set_cachesize(env, (u_int32_t)(cache >> 30), (u_int32_t)(cache & ((1u << 30) - 1)), 1),
        "set_cachesize");
    // libdb sizes its mutexes for 4 KiB pages: with small ones a cache full of pages would run out of them.
    must(env->set_mp_pagesize(env, (u_int32_t)options->page_size), "set_mp_pagesize");
    must(env->mutex_set_increment(env, (u_int32_t)(cache / options->page_size) + 20000),
        "mutex_set_increment");
    if (mode == ACCESS_READ) return;
    if (!options->no_txn && !options->no_locking) {
        must(env->set_lk_max_locks(env, 100000), "set_lk_max_locks");
        must(env->set_lk_max_objects(env, 100000), "set_lk_max_objects");
    }
    if (!environment_is_transactional(options)) return;
    if (!options->no_locking) must(env->set_lk_detect(env, DB_LOCK_DEFAULT), "set_lk_detect");
    if (options->in_memory_logs) {
        must(env->log_set_config(env, DB_LOG_IN_MEMORY, 1), "DB_LOG_IN_MEMORY");
        must(env->set_lg_bsize(env, 64u << 20), "set_lg_bsize");
    } else {
        uint64_t log_size = options->log_size != 0 ? options->log_size : 10u << 20;
        must(env->set_lg_bsize(env, (u_int32_t)(log_size / 4 < 262144 ? log_size / 4 : 262144)),
            "set_lg_bsize");
        must(env->set_lg_max(env, (u_int32_t)log_size), "set_lg_max");
        if (!options->sync) must(env->set_flags(env, DB_TXN_WRITE_NOSYNC, 1), "DB_TXN_WRITE_NOSYNC");
    }
    if (options->system_memory != 0) must(env->set_shm_key(env, (long)options->system_memory), "set_shm_key");
    if (options->auto_remove) must(env->log_set_config(env, DB_LOG_AUTO_REMOVE, 1), "DB_LOG_AUTO_REMOVE");
}

static u_int32_t application_flags(const struct options *options) {
    u_int32_t flags = DB_CREATE | DB_THREAD | DB_INIT_MPOOL;
    if (options->private_regions) flags |= DB_PRIVATE;
    if (options->cdb) return flags | DB_INIT_CDB;
    if (options->no_txn) return flags;
    flags |= DB_INIT_TXN | DB_INIT_LOG | (options->no_locking ? 0 : DB_INIT_LOCK);
    if (options->system_memory != 0) flags |= DB_SYSTEM_MEM;
    // DB_REGISTER decides whether recovery is needed (it is, in a new home) and fails if it may not run it.
    if (options->registered) flags |= DB_REGISTER | DB_RECOVER;
    if (options->recover) flags |= DB_RECOVER;
    return flags;
}

static u_int32_t join_flags(const struct options *options) {
    char path[4096];
    path_in(path, sizeof path, options->home, "__db.register");
    bool registered = access(path, F_OK) == 0;
    return DB_THREAD
           | (registered ? DB_REGISTER | DB_INIT_TXN | DB_INIT_LOG | DB_INIT_LOCK | DB_INIT_MPOOL : 0);
}

DB_ENV *environment_open(const struct options *options, enum access_mode mode) {
    if (mode == ACCESS_APPLICATION) prepare_home(options);
    DB_ENV *env = NULL;
    must(db_env_create(&env, 0), "db_env_create");
    configure(env, options, mode);
    u_int32_t flags = 0;
    switch (mode) {
    case ACCESS_APPLICATION: flags = application_flags(options); break;
    case ACCESS_JOIN:
        flags = join_flags(options);
        // A panicked environment can be looked at, not worked in.
        if (strcmp(options->command, "flags") == 0) must(env->set_flags(env, DB_NOPANIC, 1), "DB_NOPANIC");
        break;
    case ACCESS_READ: flags = DB_CREATE | DB_PRIVATE | DB_INIT_MPOOL; break;
    }
    int code = env->open(env, options->home, flags, 0644);
    if (code != 0) fail("cannot open the environment %s: %s", options->home, db_strerror(code));
    return env;
}

void environment_close(DB_ENV *env) {
    int code = env->close(env, 0);
    if (code != 0) fail("closing the environment: %s", db_strerror(code));
}

void environment_remove_regions(const struct options *options) {
    DB_ENV *env = NULL;
    must(db_env_create(&env, 0), "db_env_create");
    configure(env, options, ACCESS_JOIN);
    must(env->remove(env, options->home, 0), "removing the regions");
}
