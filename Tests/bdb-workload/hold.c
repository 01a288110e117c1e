#include "workload.h"

#include <stdio.h>
#include <string.h>

// A transaction that writes what every opening of a database reads, and takes its time.

static void must(int code, const char *what) {
    if (code != 0) fail("%s: %s", what, db_strerror(code));
}

// The lock of a database's first page, as a transaction takes it that allocates or frees pages.
static DB_LOCK_ILOCK first_page(DB_ENV *env, const char *file) {
    DB *db = NULL;
    must(db_create(&db, env, 0), "db_create");
    int code = db->open(db, NULL, file, NULL, DB_UNKNOWN, DB_RDONLY, 0);
    if (code != 0) fail("cannot open %s: %s", file, db_strerror(code));
    DB_LOCK_ILOCK lock = {.pgno = 0, .type = DB_PAGE_LOCK};
    memcpy(lock.fileid, db->fileid, DB_FILE_ID_LEN);
    must(db->close(db, 0), "closing");
    return lock;
}

int command_hold(const struct options *options) {
    DB_ENV *env = environment_open(options, ACCESS_JOIN);
    // Without a database: the environment's lock, as whoever opens or makes a database takes it.
    u_int32_t environment = 1;
    DBT object = {.data = &environment, .size = sizeof environment};
    DB_LOCK_ILOCK page;
    if (options->database != NULL) {
        page = first_page(env, options->database);
        object = (DBT){.data = &page, .size = sizeof page};
    }
    DB_LOCK lock;
    for (;;) {
        DB_TXN *txn = NULL;
        must(env->txn_begin(env, NULL, &txn, 0), "txn_begin");
        int code = env->lock_get(env, txn->id(txn), 0, &object, DB_LOCK_WRITE, &lock);
        if (code == 0) {
            if (options->ready != NULL) {
                FILE *file = fopen(options->ready, "w");
                if (file == NULL || fclose(file) != 0) fail("cannot write %s", options->ready);
            }
            atomic_bool stop = false;
            sleep_ms(&stop, (uint64_t)(options->seconds * 1000));
            must(txn->commit(txn, 0), "commit");
            break;
        }
        must(txn->abort(txn), "abort");
        if (code != DB_LOCK_DEADLOCK) fail("lock_get: %s", db_strerror(code));
    }
    environment_close(env);
    return EXIT_OK;
}
