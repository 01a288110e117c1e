#include "workload.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static uint64_t clock_ns(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t monotonic_ns(void) { return clock_ns(CLOCK_MONOTONIC); }

uint64_t wall_ns(void) { return clock_ns(CLOCK_REALTIME); }

void fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("bdb-workload: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    // Not exit(): threads of a panicked environment wait for locks that nobody will give back.
    fflush(stdout);
    _exit(EXIT_FAILED);
}

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        int (*run)(const struct options *);
    } commands[] = {
        {"run", command_run},
        {"check", command_check},
        {"generate", command_generate},
        {"day", command_day},
        {"reload", command_reload},
        {"checkpoint", command_checkpoint},
        {"flags", command_flags},
        {"history", command_history},
        {"hold", command_hold},
        {"rest", command_rest},
        {"names", command_names},
        {"write", command_write},
        {"names-check", command_names_check},
    };
    struct options options;
    options_parse(&options, argc, argv);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(commands[i].name, options.command) == 0) return commands[i].run(&options);
    fprintf(stderr,
            "bdb-workload: no command \"%s\"; one of run, check, generate, day, reload, checkpoint, flags, history, "
            "hold, names, names-check, rest, write\n",
            options.command);
    return EXIT_USAGE;
}
