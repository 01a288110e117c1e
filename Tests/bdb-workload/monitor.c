#include "workload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void sleep_ms(const atomic_bool *stop, uint64_t milliseconds) {
    while (milliseconds > 0 && !atomic_load(stop)) {
        uint64_t step = milliseconds < 20 ? milliseconds : 20;
        struct timespec time = {0, (long)step * 1000000};
        nanosleep(&time, NULL);
        milliseconds -= step;
    }
}

static FILE *open_append(const char *path) {
    if (path == NULL) return NULL;
    FILE *file = fopen(path, "a");
    if (file == NULL) fail("cannot append to %s: %s", path, strerror(errno));
    return file;
}

static void remember(struct workload *workload, double milliseconds) {
    unsigned count = workload->checkpoints;
    if ((count & (count - 1)) == 0) {
        size_t size = (count == 0 ? 1 : 2 * (size_t)count) * sizeof(double);
        workload->checkpoint_ms = realloc(workload->checkpoint_ms, size);
        if (workload->checkpoint_ms == NULL) fail("out of memory");
    }
    workload->checkpoint_ms[workload->checkpoints++] = milliseconds;
}

void *checkpoint_main(void *argument) {
    struct workload *workload = argument;
    FILE *log = open_append(workload->options->checkpoint_log);
    while (!atomic_load(&workload->stop)) {
        sleep_ms(&workload->stop, workload->options->checkpoint_ms);
        if (atomic_load(&workload->stop)) break;
        uint64_t start = monotonic_ns();
        // A line before it starts, so that one that never ends can be seen.
        if (log != NULL) fprintf(log, "start %llu\n", (unsigned long long)start), fflush(log);
        int code = workload->env->txn_checkpoint(workload->env, 0, 0, DB_FORCE);
        uint64_t end = monotonic_ns();
        if (code != 0) fail("checkpoint: %s", db_strerror(code));
        double milliseconds = (double)(end - start) / 1e6;
        remember(workload, milliseconds);
        if (log != NULL) fprintf(log, "%llu %.3f\n", (unsigned long long)end, milliseconds), fflush(log);
    }
    if (log != NULL) fclose(log);
    return NULL;
}

void *progress_main(void *argument) {
    struct workload *workload = argument;
    FILE *file = open_append(workload->options->progress);
    uint64_t last = UINT64_MAX;
    for (bool more = true; more;) {
        more = !atomic_load(&workload->stop);
        // The number first, the time after: what a line names was committed at its time.
        uint64_t seq = workload_seq(workload);
        if (seq != last)
            fprintf(file, "%llu %llu\n", (unsigned long long)monotonic_ns(), (unsigned long long)seq);
        fflush(file);
        last = seq;
        if (more) nanosleep(&(struct timespec){0, 5000000}, NULL);
    }
    fclose(file);
    return NULL;
}
