#include "workload.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

uint64_t workload_seq(struct workload *workload) {
    uint64_t sum = 0;
    for (int slot = 0; slot < SLOTS; slot++) sum += atomic_load(&workload->committed_seq[slot]);
    return sum;
}

static void keep_rate(const struct workload *workload, uint64_t start, uint64_t done) {
    if (workload->options->rate == 0) return;
    double share = (double)workload->options->rate / (double)workload->options->threads;
    uint64_t due = start + (uint64_t)((double)done * 1e9 / share), now = monotonic_ns();
    if (now < due) sleep_ms(&workload->stop, (due - now) / 1000000);
}

void *writer_main(void *argument) {
    struct writer *writer = argument;
    struct workload *workload = writer->workload;
    uint64_t start = monotonic_ns(), done = 0;
    while (!atomic_load_explicit(&workload->stop, memory_order_relaxed)) {
        bool abort =
            workload->transactional && random_below(&writer->random, 100) < workload->options->aborts;
        int code = transaction_run(writer, abort);
        if (code == DB_LOCK_DEADLOCK || code == DB_LOCK_NOTGRANTED) {
            atomic_fetch_add(&workload->deadlocks, 1);
            continue;
        }
        if (code != 0) fail("transaction: %s", db_strerror(code));
        atomic_fetch_add(abort ? &workload->aborts : &workload->transactions, 1);
        keep_rate(workload, start, ++done);
    }
    return NULL;
}

static void read_sequences(struct workload *workload) {
    static struct value value;
    for (unsigned slot = 0; slot < SLOTS; slot++) {
        int code =
            record_get(&workload->databases[0], NULL, (struct record_id){KIND_SEQUENCE, slot}, &value, 0);
        if (code != 0) fail("sequence record %u: %s", slot, db_strerror(code));
        atomic_store(&workload->committed_seq[slot], value.header.seq);
    }
}

static void start_thread(pthread_t *thread, void *(*body)(void *), void *argument) {
    int code = pthread_create(thread, NULL, body, argument);
    if (code != 0) fail("cannot start a thread: %s", strerror(code));
}

static void announce(const struct options *options) {
    if (options->ready == NULL) return;
    FILE *file = fopen(options->ready, "w");
    if (file == NULL || fprintf(file, "%llu\n", (unsigned long long)monotonic_ns()) < 0 || fclose(file) != 0)
        fail("cannot write %s: %s", options->ready, strerror(errno));
}

// Until a signal or the time asked for.
static void wait_for_end(struct workload *workload, const sigset_t *signals) {
    const struct options *options = workload->options;
    uint64_t start = monotonic_ns();
    bool ready = false;
    while (!atomic_load(&workload->stop)) {
        if (!ready && atomic_load(&workload->transactions) > 0) {
            announce(options);
            ready = true;
        }
        int signal = sigtimedwait(signals, NULL, &(struct timespec){0, 5000000});
        if (signal > 0) break;
        if (options->seconds > 0 && (double)(monotonic_ns() - start) / 1e9 >= options->seconds) break;
    }
    atomic_store(&workload->stop, true);
}

static int compare_doubles(const void *left, const void *right) {
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static void report(struct workload *workload, double seconds) {
    unsigned count = workload->checkpoints;
    double *times = workload->checkpoint_ms, median = 0, longest = 0;
    if (count > 0) {
        qsort(times, count, sizeof *times, compare_doubles);
        median = times[count / 2];
        longest = times[count - 1];
    }
    uint64_t transactions = atomic_load(&workload->transactions);
    printf("{\"transactions\":%llu,\"seconds\":%.3f,\"rate\":%.0f,\"deadlocks\":%llu,\"aborts\":%llu,"
           "\"checkpoints\":%u,\"checkpoint_max_ms\":%.3f,\"checkpoint_p50_ms\":%.3f,\"seq\":%llu}\n",
        (unsigned long long)transactions, seconds, (double)transactions / seconds,
        (unsigned long long)atomic_load(&workload->deadlocks),
        (unsigned long long)atomic_load(&workload->aborts), count, longest, median,
        (unsigned long long)workload_seq(workload));
}

static void work(struct workload *workload, const sigset_t *signals) {
    const struct options *options = workload->options;
    struct writer writers[SLOTS];
    pthread_t checkpointer, progress;
    bool checkpoints = workload->transactional && options->checkpoint_ms != 0;
    uint64_t start = monotonic_ns();
    for (unsigned i = 0; i < options->threads; i++) {
        writers[i] = (struct writer){.workload = workload,
            .slot = i,
            .random = {random_mix(options->seed * SLOTS + i)},
            .seq = atomic_load(&workload->committed_seq[i])};
        start_thread(&writers[i].thread, writer_main, &writers[i]);
    }
    if (checkpoints) start_thread(&checkpointer, checkpoint_main, workload);
    if (options->progress != NULL) start_thread(&progress, progress_main, workload);
    wait_for_end(workload, signals);
    for (unsigned i = 0; i < options->threads; i++) pthread_join(writers[i].thread, NULL);
    double seconds = (double)(monotonic_ns() - start) / 1e9;
    if (options->progress != NULL) pthread_join(progress, NULL);
    if (checkpoints) pthread_join(checkpointer, NULL);
    report(workload, seconds);
    fflush(stdout);
}

int command_run(const struct options *options) {
    // Blocked in every thread: a signal is taken between transactions, by the main thread alone.
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);

    static struct workload workload;
    workload.options = options;
    workload.transactional = environment_is_transactional(options);
    workload.env = environment_open(options, ACCESS_APPLICATION);
    workload.database_count = databases_plan(options, workload.databases);
    for (unsigned i = 0; i < workload.database_count; i++)
        database_open(&workload.databases[i], workload.env, options, false);
    workload.accounts = load_initial(workload.databases, workload.database_count, workload.env, options);
    workload.extras = workload.accounts;
    read_sequences(&workload);
    work(&workload, &signals);

    databases_close(workload.databases, workload.database_count);
    if (workload.transactional) {
        int code = workload.env->txn_checkpoint(workload.env, 0, 0, DB_FORCE);
        if (code != 0) fail("last checkpoint: %s", db_strerror(code));
    }
    environment_close(workload.env);
    if (options->remove_regions) environment_remove_regions(options);
    free(workload.checkpoint_ms);
    return EXIT_OK;
}
