#include "workload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum option_type { FLAG, NUMBER, SHARE, TEXT };
struct option {
    const char *name;
    enum option_type type;
    size_t offset;
};
#define OPTION(name, type, field) {name, type, offsetof(struct options, field)}
static const struct option known[] = {
    OPTION("home", TEXT, home),
    OPTION("methods", TEXT, methods),
    OPTION("method", TEXT, methods),
    OPTION("page-size", NUMBER, page_size),
    OPTION("checksum", FLAG, checksum),
    OPTION("encrypt", TEXT, encrypt),
    OPTION("byte-order", TEXT, byte_order),
    OPTION("data-dir", TEXT, data_dir),
    OPTION("log-dir", TEXT, log_dir),
    OPTION("dirs-in-code", FLAG, dirs_in_code),
    OPTION("absolute", TEXT, absolute),
    OPTION("register", FLAG, registered),
    OPTION("auto-remove", FLAG, auto_remove),
    OPTION("auto-remove-config", FLAG, auto_remove_config),
    OPTION("log-size", NUMBER, log_size),
    OPTION("cache", NUMBER, cache),
    OPTION("records", NUMBER, records),
    OPTION("value-size", NUMBER, value_size),
    OPTION("threads", NUMBER, threads),
    OPTION("subdir", FLAG, subdir),
    OPTION("multi", FLAG, multi),
    OPTION("partition", FLAG, partition),
    OPTION("queue-extent", NUMBER, queue_extent),
    OPTION("checkpoint-ms", NUMBER, checkpoint_ms),
    OPTION("checkpoint-log", TEXT, checkpoint_log),
    OPTION("in-memory-logs", FLAG, in_memory_logs),
    OPTION("private", FLAG, private_regions),
    OPTION("no-txn", FLAG, no_txn),
    OPTION("no-locking", FLAG, no_locking),
    OPTION("system-memory", NUMBER, system_memory),
    OPTION("exclusive", FLAG, exclusive),
    OPTION("idle", FLAG, idle),
    OPTION("cdb", FLAG, cdb),
    OPTION("progress", TEXT, progress),
    OPTION("ready", TEXT, ready),
    OPTION("seed", NUMBER, seed),
    OPTION("rate", NUMBER, rate),
    OPTION("steps", NUMBER, steps),
    OPTION("aborts", NUMBER, aborts),
    OPTION("sync", FLAG, sync),
    OPTION("nosync", FLAG, nosync),
    OPTION("seconds", SHARE, seconds),
    OPTION("recover", FLAG, recover),
    OPTION("remove-regions", FLAG, remove_regions),
    OPTION("keep-regions", FLAG, keep_regions),
    OPTION("remove-logs", FLAG, remove_logs),
    OPTION("generated", FLAG, generated),
    OPTION("update", SHARE, update),
    OPTION("insert", SHARE, insert),
    OPTION("delete", SHARE, delete_share),
    OPTION("zipf", FLAG, zipf),
    OPTION("append", FLAG, append),
    OPTION("compact", FLAG, compact),
    OPTION("count", FLAG, count),
    OPTION("database", TEXT, database),
};

static void usage(const char *what, const char *detail) {
    fprintf(stderr,
        "bdb-workload: %s%s\nusage: bdb-workload COMMAND --home DIR [--option [VALUE]]…; options: "
        "README.md\n",
        what, detail);
    exit(EXIT_USAGE);
}

static const struct option *find(const char *name) {
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].name, name) == 0) return &known[i];
    return NULL;
}

static void store(struct options *options, const struct option *option, const char *text) {
    void *field = (char *)options + option->offset;
    char *end = NULL;
    errno = 0;
    switch (option->type) {
    case FLAG: *(bool *)field = true; return;
    case TEXT: *(const char **)field = text; return;
    case NUMBER: *(uint64_t *)field = strtoull(text, &end, 10); break;
    case SHARE: *(double *)field = strtod(text, &end); break;
    }
    if (errno != 0 || end == text || *end != 0 || *text == '-') usage("not a number: ", text);
}

static void read_password(struct options *options) {
    FILE *file = fopen(options->encrypt, "r");
    if (file == NULL) fail("password file %s: %s", options->encrypt, strerror(errno));
    if (fgets(options->password, sizeof options->password, file) == NULL) options->password[0] = 0;
    fclose(file);
    options->password[strcspn(options->password, "\r\n")] = 0;
    if (options->password[0] == 0) fail("password file %s is empty", options->encrypt);
}

static void validate(const struct options *options) {
    if (options->home == NULL) usage("--home is missing", "");
    uint64_t page = options->page_size;
    if (page < 512 || page > 65536 || (page & (page - 1)) != 0)
        usage("--page-size: a power of two, 512 to 65536", "");
    if (options->threads < 1 || options->threads > SLOTS) usage("--threads: 1 to 16", "");
    if (options->value_size < VALUE_MIN || options->value_size > VALUE_MAX / 4)
        usage("--value-size: 64 to 16384", "");
    if (options->aborts > 99) usage("--aborts: at most 99 percent", "");
    if (options->records < 16) usage("--records: at least 16", "");
    if (options->partition && options->multi) usage("--partition and --multi exclude each other", "");
    if (options->byte_order != NULL && strcmp(options->byte_order, "1234") != 0
        && strcmp(options->byte_order, "4321") != 0)
        usage("--byte-order: 1234 or 4321", "");
    if ((options->no_txn || options->cdb || options->no_locking) && options->threads > 1)
        usage("without transactions or locking: one thread", "");
    if (options->sync && options->nosync) usage("--sync and --nosync exclude each other", "");
}

void options_parse(struct options *options, int argc, char **argv) {
    *options = (struct options){
        .page_size = 4096,
        .records = 10000,
        .value_size = 200,
        .threads = 1,
        .checkpoint_ms = 500,
        .seed = 1,
        .steps = 3,
        .log_size = 0,
        .cache = 0,
    };
    if (argc < 2) usage("a command is missing", "");
    options->command = argv[1];
    for (int i = 2; i < argc; i++) {
        if (strncmp(argv[i], "--", 2) != 0) usage("not an option: ", argv[i]);
        const struct option *option = find(argv[i] + 2);
        if (option == NULL) usage("no such option: ", argv[i]);
        if (option->type == FLAG) {
            store(options, option, NULL);
            continue;
        }
        if (i + 1 == argc) usage("a value is missing after ", argv[i]);
        store(options, option, argv[++i]);
    }
    validate(options);
    if (options->encrypt != NULL) read_password(options);
}
