#include "workload.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

// An application that has written and does nothing: what libdb has on disk is what it had to write so far.

static void must(int code, const char *what) {
    if (code != 0) fail("%s: %s", what, db_strerror(code));
}

static atomic_bool stop;
static void on_signal(int number) {
    (void)number;
    stop = true;
}

static void put(DB *db, DB_TXN *txn, uint64_t index) {
    char key[16], value[300];
    snprintf(key, sizeof key, "%010llu", (unsigned long long)index);
    memset(value, 'a' + (int)(index % 26), sizeof value);
    DBT k = {.data = key, .size = 10}, v = {.data = value, .size = sizeof value};
    must(db->put(db, txn, &k, &v, 0), "put");
}

int command_rest(const struct options *options) {
    signal(SIGTERM, on_signal);
    DB_ENV *env = environment_open(options, ACCESS_APPLICATION);
    must(env->set_flags(env, DB_TXN_WRITE_NOSYNC, 0), "DB_TXN_WRITE_NOSYNC");
    must(env->set_flags(env, DB_TXN_NOSYNC, 1), "DB_TXN_NOSYNC");
    DB *db = NULL;
    must(db_create(&db, env, 0), "db_create");
    if (options->exclusive) must(db->set_lk_exclusive(db, 0), "set_lk_exclusive");
    int code = db->open(db, NULL, "a.db", NULL, DB_BTREE, DB_CREATE | DB_AUTO_COMMIT, 0644);
    if (code != 0) fail("cannot open a.db: %s", db_strerror(code));
    must(env->txn_checkpoint(env, 0, 0, DB_FORCE), "txn_checkpoint");
    DB_TXN *txn = NULL;
    for (uint64_t i = 0; i < options->records; i++) {
        must(env->txn_begin(env, NULL, &txn, 0), "txn_begin");
        put(db, txn, i);
        must(txn->commit(txn, 0), "commit");
    }
    txn = NULL;
    if (options->idle) {
        must(env->txn_begin(env, NULL, &txn, 0), "txn_begin");
        // Of records that are there: for new ones it would allocate pages, and keep the first page locked.
        for (uint64_t i = 0; i < 100; i++) put(db, txn, i);
    }
    if (options->ready != NULL) {
        FILE *file = fopen(options->ready, "w");
        if (file == NULL || fclose(file) != 0) fail("cannot write %s", options->ready);
    }
    sleep_ms(&stop, (uint64_t)(options->seconds * 1000));
    if (txn != NULL) must(txn->abort(txn), "abort");
    must(db->close(db, 0), "closing a.db");
    environment_close(env);
    if (options->remove_regions) environment_remove_regions(options);
    return EXIT_OK;
}
