#include "workload.h"

#include <stdio.h>
#include <stdlib.h>

// What a second process of the application would do: join, look or checkpoint, leave.

static void must(int code, const char *what) {
    if (code != 0) fail("%s: %s", what, db_strerror(code));
}

int command_checkpoint(const struct options *options) {
    DB_ENV *env = environment_open(options, ACCESS_JOIN);
    uint64_t start = monotonic_ns();
    must(env->txn_checkpoint(env, 0, 0, DB_FORCE), "txn_checkpoint");
    printf("{\"checkpoint_ms\":%.3f}\n", (double)(monotonic_ns() - start) / 1e6);
    environment_close(env);
    return EXIT_OK;
}

static void silent(const DB_ENV *env, const char *prefix, const char *message) {
    (void)env, (void)prefix, (void)message;
}

// The counter's value, which the API tells only as zero or not: taken down to the error and put up again. It
// is zero for that moment, so this is for environments that nobody backs up right now.
static unsigned hot_backup_count(DB_ENV *env) {
    env->set_errfile(env, NULL);
    env->set_errcall(env, silent);
    unsigned count = 0;
    while (env->set_flags(env, DB_HOTBACKUP_IN_PROGRESS, 0) == 0) count++;
    for (unsigned i = 0; i < count; i++)
        must(env->set_flags(env, DB_HOTBACKUP_IN_PROGRESS, 1), "hot-backup counter");
    return count;
}

int command_flags(const struct options *options) {
    DB_ENV *env = environment_open(options, ACCESS_JOIN);
    u_int32_t flags = 0;
    int auto_remove = 0;
    DB_TXN_STAT *stat = NULL;
    must(env->get_flags(env, &flags), "get_flags");
    must(env->log_get_config(env, DB_LOG_AUTO_REMOVE, &auto_remove), "log_get_config");
    must(env->txn_stat(env, &stat, 0), "txn_stat");
    bool panic = (flags & DB_PANIC_ENVIRONMENT) != 0, hot_backup = (flags & DB_HOTBACKUP_IN_PROGRESS) != 0;
    printf("{\"hot_backup\":%s", hot_backup ? "true" : "false");
    if (options->count) printf(",\"hot_backup_count\":%u", hot_backup_count(env));
    printf(",\"auto_remove\":%s,\"last_checkpoint\":[%u,%u],\"active_transactions\":%u,\"panic\":%s}\n",
        auto_remove != 0 ? "true" : "false", stat->st_last_ckp.file, stat->st_last_ckp.offset,
        stat->st_nactive, panic ? "true" : "false");
    free(stat);
    // A panicked environment cannot be left in good order either.
    if (panic) return EXIT_OK;
    environment_close(env);
    return EXIT_OK;
}
