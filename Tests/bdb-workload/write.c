// One database under a name of its own, written to until SIGTERM: with transactions, without log records
// (--method unlogged, DB_TXN_NOT_DURABLE) or outside of transactions (--method untransacted).
#include "workload.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEYS = 20000, ROUND = 50, LENGTH = 300 };

static void must(int code, const char *what) {
    if (code != 0) fail("%s: %s", what, db_strerror(code));
}

static atomic_bool stop;
static void on_signal(int signal) {
    (void)signal;
    atomic_store(&stop, true);
}

int command_write(const struct options *options) {
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGTERM, &action, NULL);
    if (options->database == NULL) fail("--database is missing");
    bool unlogged = options->methods != NULL && strcmp(options->methods, "unlogged") == 0;
    bool untransacted = options->methods != NULL && strcmp(options->methods, "untransacted") == 0;
    DB_ENV *env = environment_open(options, ACCESS_APPLICATION);
    DB *db = NULL;
    must(db_create(&db, env, 0), "db_create");
    if (unlogged) must(db->set_flags(db, DB_TXN_NOT_DURABLE), "DB_TXN_NOT_DURABLE");
    uint32_t flags = DB_CREATE | (untransacted ? 0 : DB_AUTO_COMMIT);
    must(db->open(db, NULL, options->database, NULL, DB_BTREE, flags, 0644), "open");
    struct random random = {options->seed};
    char value[LENGTH];
    memset(value, 'v', sizeof value);
    uint64_t start = monotonic_ns(), checkpointed = start, rounds = 0;
    while (!atomic_load(&stop)) {
        uint64_t now = monotonic_ns();
        if (options->seconds > 0 && (double)(now - start) > options->seconds * 1e9) break;
        DB_TXN *txn = NULL;
        if (!untransacted) must(env->txn_begin(env, NULL, &txn, 0), "txn_begin");
        for (int i = 0; i < ROUND; i++) {
            uint32_t key = (uint32_t)random_below(&random, KEYS);
            DBT k = {.data = &key, .size = sizeof key}, v = {.data = value, .size = sizeof value};
            int code = random_below(&random, 4) == 0 ? db->del(db, txn, &k, 0) : db->put(db, txn, &k, &v, 0);
            if (code != DB_NOTFOUND) must(code, "put");
        }
        if (txn != NULL) must(txn->commit(txn, 0), "commit");
        if (now - checkpointed > options->checkpoint_ms * 1000000u) {
            must(env->txn_checkpoint(env, 0, 0, DB_FORCE), "checkpoint");
            checkpointed = now;
        }
        if (++rounds == 20 && options->ready != NULL) fclose(fopen(options->ready, "w"));
        if (options->rate > 0) sleep_ms(&stop, 1000 / options->rate);
    }
    must(db->close(db, 0), "close");
    environment_close(env);
    return EXIT_OK;
}
