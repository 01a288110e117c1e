#include "workload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    DBTYPE type;
} methods[] = {
    {"btree", DB_BTREE}, {"hash", DB_HASH}, {"recno", DB_RECNO}, {"queue", DB_QUEUE}, {"heap", DB_HEAP}};

const char *method_name(DBTYPE type) {
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (methods[i].type == type) return methods[i].name;
    return "unknown";
}

DBTYPE method_type(const char *name, size_t length) {
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (strlen(methods[i].name) == length && strncmp(methods[i].name, name, length) == 0)
            return methods[i].type;
    fprintf(stderr, "bdb-workload: --methods: \"%.*s\" is none of btree, hash, recno, queue, heap\n",
        (int)length, name);
    exit(EXIT_USAGE);
}

void database_describe(struct database *database, const struct options *options, DBTYPE type) {
    database->type = type;
    database->page_size = (uint32_t)options->page_size;
    database->value_limit = VALUE_MAX;
    if (type != DB_QUEUE && type != DB_HEAP) return;
    // A queue's records have one length; a heap's are not split (see transaction.c). Both must fit on a page
    // beside its header (64 bytes with encryption) and index.
    size_t most = database->page_size - 100, wanted = options->value_size + options->value_size / 2;
    database->value_limit = wanted < most ? wanted : most;
}

static void plan_one(const struct options *options, struct database *database, unsigned number, DBTYPE type) {
    *database = (struct database){.invariant = number <= 2};
    database_describe(database, options, type);
    snprintf(database->name, sizeof database->name, "%s%u", method_name(type), number);
    char folder[2048];
    snprintf(folder, sizeof folder, "%s%s%s", options->absolute != NULL ? options->absolute : "",
             options->absolute != NULL ? "/" : "", options->subdir ? "sub/" : "");
    // Queues and heaps cannot live in a file with others.
    bool shares = options->multi && type != DB_QUEUE && type != DB_HEAP;
    snprintf(database->file, sizeof database->file, "%s%s.db", folder, shares ? "multi" : database->name);
    database->inner = shares ? database->name : NULL;
    database->consumes = type == DB_QUEUE && !database->invariant;
}

unsigned databases_plan(const struct options *options, struct database *databases) {
    const char *list = options->methods != NULL ? options->methods : "btree,hash";
    unsigned count = 0;
    for (const char *name = list; *name != 0 && count < MAX_DATABASES;) {
        size_t length = strcspn(name, ",");
        DBTYPE type = method_type(name, length);
        count++;
        plan_one(options, &databases[count - 1], count, type);
        name += length + (name[length] == ',');
    }
    if (count == 0) fail("--methods names nothing");
    if (count == 1) plan_one(options, &databases[count++], 2, databases[0].type);
    return count;
}

static void must(int code, const struct database *database, const char *what) {
    if (code != 0) fail("%s: %s: %s", database->file, what, db_strerror(code));
}

// Partitions by key range, not by callback: the keys are stored in the database, so that db_verify and a
// recovery, which have no callback, can open it. (A hash takes a callback only, so it stays whole.) libdb
// keeps the pointer.
static void set_partition(struct database *database, uint64_t accounts) {
    static char text[PARTITIONS - 1][32];
    static DBT keys[PARTITIONS - 1];
    for (unsigned i = 0; i < PARTITIONS - 1; i++) {
        struct record_id first = {KIND_ACCOUNT, accounts * (i + 1) / PARTITIONS};
        keys[i] = (DBT){.data = text[i], .size = (u_int32_t)record_text_key(database, first, text[i])};
    }
    must(database->db->set_partition(database->db, PARTITIONS, keys, NULL), database, "set_partition");
}

static void set_layout(struct database *database, const struct options *options) {
    DB *db = database->db;
    must(db->set_pagesize(db, database->page_size), database, "set_pagesize");
    if (options->byte_order != NULL)
        must(db->set_lorder(db, atoi(options->byte_order)), database, "set_lorder");
    if (options->checksum) must(db->set_flags(db, DB_CHKSUM), database, "DB_CHKSUM");
    if (database->type == DB_QUEUE) {
        must(db->set_re_len(db, (u_int32_t)database->value_limit), database, "set_re_len");
        must(db->set_re_pad(db, 0), database, "set_re_pad");
        if (options->queue_extent != 0)
            must(db->set_q_extentsize(db, (u_int32_t)options->queue_extent), database, "set_q_extentsize");
    }
    if (options->partition && database->type == DB_BTREE) set_partition(database, options->records);
}

void database_open(struct database *database, DB_ENV *env, const struct options *options, bool read_only) {
    must(db_create(&database->db, env, 0), database, "db_create");
    DB *db = database->db;
    if (options->password[0] != 0) must(db->set_flags(db, DB_ENCRYPT), database, "DB_ENCRYPT");
    u_int32_t flags = read_only ? DB_RDONLY : DB_CREATE | DB_THREAD;
    if (!read_only) {
        set_layout(database, options);
        if (environment_is_transactional(options)) flags |= DB_AUTO_COMMIT;
    }
    must(db->open(db, NULL, database->file, database->inner, database->type, flags, 0644), database, "open");
}

void databases_close(struct database *databases, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        struct database *database = &databases[i];
        must(database->db->close(database->db, 0), database, "close");
        for (int kind = 0; kind < KIND_COUNT; kind++) free(database->heap.rid[kind]);
    }
}

void heap_reserve(struct database *database, uint64_t accounts, uint64_t extras) {
    const uint64_t counts[KIND_COUNT] = {SLOTS, accounts, extras, 0};
    for (int kind = 0; kind < KIND_COUNT; kind++) {
        database->heap.count[kind] = counts[kind];
        database->heap.rid[kind] = calloc(counts[kind] + 1, sizeof(DB_HEAP_RID));
        if (database->heap.rid[kind] == NULL) fail("out of memory");
    }
}
