#include "workload.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

// Everything that may happen to the files of an environment, in an order that the seed chooses: for backups of what
// is left when it is closed.
enum {
    PLACES = 6,     // files that may be there, each under one of two names
    KEYS = 3000,    // of a btree or hash, and records of a recno
    FIXED = 120,    // bytes of the records of a queue or heap
    LONGEST = 500,  // of the others
    SMALL = 40,     // records that a step changes
    LARGE = 1500,   // and one that makes a file grow or shrink
};

struct history {
    const struct options *options;
    DB_ENV *env;
    struct random random;
    char file[16]; // of this step
    bool renamed, exists;
    uint64_t committed, aborted, compacted, truncated, created, removed, renames;
};

static void must(const struct history *history, int code, const char *what) {
    if (code != 0) fail("%s: %s: %s", history->file, what, db_strerror(code));
}

static bool chance(struct history *history, uint64_t one_in) {
    return random_below(&history->random, one_in) == 0;
}

static const char *place_name(unsigned place, bool renamed, char name[16]) {
    snprintf(name, 16, "%c%u.db", renamed ? 'r' : 'h', place);
    return name;
}

static bool is_there(struct history *history, const char *name) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", history->options->home, name);
    FILE *file = fopen(path, "r");
    if (file != NULL) fclose(file);
    return file != NULL;
}

static void choose_place(struct history *history) {
    unsigned place = (unsigned)random_below(&history->random, PLACES);
    for (int renamed = 0; renamed < 2; renamed++) {
        history->renamed = renamed;
        history->exists = is_there(history, place_name(place, renamed, history->file));
        if (history->exists) return;
    }
    history->renamed = false;
    place_name(place, false, history->file);
}

static DB_TXN *begin(struct history *history) {
    DB_TXN *txn = NULL;
    must(history, history->env->txn_begin(history->env, NULL, &txn, 0), "txn_begin");
    return txn;
}

static void end(struct history *history, DB_TXN *txn, bool commit) {
    must(history, commit ? txn->commit(txn, 0) : txn->abort(txn), commit ? "commit" : "abort");
    if (commit) history->committed++;
    else history->aborted++;
}

static DB *make_handle(struct history *history) {
    DB *db = NULL;
    must(history, db_create(&db, history->env, 0), "db_create");
    if (history->options->password[0] != 0) must(history, db->set_flags(db, DB_ENCRYPT), "DB_ENCRYPT");
    return db;
}

static DB *open_file(struct history *history, DBTYPE *type) {
    DB *db = make_handle(history);
    must(history, db->open(db, NULL, history->file, NULL, DB_UNKNOWN, DB_AUTO_COMMIT, 0644), "open");
    must(history, db->get_type(db, type), "get_type");
    return db;
}

static void close_file(struct history *history, DB *db) { must(history, db->close(db, 0), "close"); }

// Text with a changing middle: compressible, and never the same twice.
static DBT make_data(struct history *history, DBTYPE type, char bytes[LONGEST]) {
    bool fixed = type == DB_QUEUE || type == DB_HEAP;
    size_t length = fixed ? FIXED : 40 + random_below(&history->random, LONGEST - 40);
    for (size_t i = 0; i < length; i++) bytes[i] = (char)('a' + i / 5 % 26);
    uint64_t noise = random_next(&history->random);
    memcpy(bytes + random_below(&history->random, length - sizeof noise), &noise, sizeof noise);
    return (DBT){.data = bytes, .size = (u_int32_t)length};
}

// A heap chooses its keys itself; its records are found by walking.
static void change_heap(struct history *history, DB *db, DB_TXN *txn, unsigned count, bool deletes) {
    char bytes[LONGEST];
    DBC *cursor = NULL;
    must(history, db->cursor(db, txn, &cursor, 0), "cursor");
    DBT key = {0}, data = {0};
    int code = 0;
    for (unsigned i = 0; i < count && (code = cursor->get(cursor, &key, &data, DB_NEXT | DB_RMW)) == 0; i++) {
        if (!chance(history, 3)) continue;
        DBT changed = make_data(history, DB_HEAP, bytes);
        if (deletes) must(history, cursor->del(cursor, 0), "del");
        else must(history, cursor->put(cursor, &key, &changed, DB_CURRENT), "put");
    }
    if (code != 0 && code != DB_NOTFOUND) must(history, code, "get");
    must(history, cursor->close(cursor), "cursor close");
}

static DBT make_key(struct history *history, DBTYPE type, char text[16], db_recno_t *number) {
    *number = (db_recno_t)(1 + random_below(&history->random, KEYS));
    if (type == DB_RECNO || type == DB_QUEUE) return (DBT){.data = number, .size = sizeof *number};
    return (DBT){.data = text, .size = (u_int32_t)snprintf(text, 16, "k%06u", *number)};
}

static void put_records(struct history *history, DB *db, DBTYPE type, DB_TXN *txn, unsigned count) {
    char text[16], bytes[LONGEST];
    for (unsigned i = 0; i < count; i++) {
        db_recno_t number;
        DBT key = make_key(history, type, text, &number), data = make_data(history, type, bytes);
        DB_HEAP_RID rid;
        if (type == DB_HEAP) key = (DBT){.data = &rid, .ulen = sizeof rid, .flags = DB_DBT_USERMEM};
        must(history, db->put(db, txn, &key, &data, type == DB_HEAP ? DB_APPEND : 0), "put");
    }
}

static void delete_records(struct history *history, DB *db, DBTYPE type, DB_TXN *txn, unsigned count) {
    char text[16];
    if (type == DB_HEAP) return change_heap(history, db, txn, count, true);
    for (unsigned i = 0; i < count; i++) {
        db_recno_t number;
        DBT key = make_key(history, type, text, &number);
        int code = db->del(db, txn, &key, 0);
        if (code != DB_NOTFOUND && code != DB_KEYEMPTY) must(history, code, "del");
    }
}

static void change_records(struct history *history, unsigned count, bool commit) {
    DBTYPE type;
    DB *db = open_file(history, &type);
    DB_TXN *txn = begin(history);
    switch (random_below(&history->random, 3)) {
    case 0: delete_records(history, db, type, txn, count); break;
    case 1:
        if (type == DB_HEAP) {
            change_heap(history, db, txn, count, false);
            break;
        }
        // fall through
    default: put_records(history, db, type, txn, count);
    }
    end(history, txn, commit);
    close_file(history, db);
}

static void create_file(struct history *history, DB_TXN *txn) {
    static const DBTYPE types[] = {DB_BTREE, DB_BTREE, DB_HASH, DB_RECNO, DB_QUEUE, DB_HEAP};
    DBTYPE type = types[random_below(&history->random, sizeof types / sizeof *types)];
    DB *db = make_handle(history);
    must(history, db->set_pagesize(db, 512u << random_below(&history->random, 6)), "set_pagesize");
    if (chance(history, 2)) must(history, db->set_flags(db, DB_CHKSUM), "DB_CHKSUM");
    if (type == DB_QUEUE) {
        must(history, db->set_re_len(db, FIXED), "set_re_len");
        if (chance(history, 2)) must(history, db->set_q_extentsize(db, 4), "set_q_extentsize");
    }
    must(history, db->open(db, txn, history->file, NULL, type, DB_CREATE | DB_EXCL, 0644), "create");
    put_records(history, db, type, txn, LARGE / 3);
    // A handle that was opened in a transaction is closed after its end.
    end(history, txn, true);
    close_file(history, db);
    history->created++;
}

static void compact_file(struct history *history) {
    DBTYPE type;
    DB *db = open_file(history, &type);
    if (type == DB_BTREE || type == DB_HASH || type == DB_RECNO) {
        must(history, db->compact(db, NULL, NULL, NULL, NULL, DB_FREE_SPACE, NULL), "compact");
        history->compacted++;
    }
    close_file(history, db);
}

static void truncate_file(struct history *history) {
    DBTYPE type;
    u_int32_t count;
    DB *db = open_file(history, &type);
    DB_TXN *txn = begin(history);
    must(history, db->truncate(db, txn, &count, 0), "truncate");
    end(history, txn, !chance(history, 3));
    close_file(history, db);
    history->truncated++;
}

static void remove_file(struct history *history, bool again) {
    DB_TXN *txn = begin(history);
    must(history, history->env->dbremove(history->env, txn, history->file, NULL, 0), "dbremove");
    bool commit = again || !chance(history, 3);
    end(history, txn, commit);
    history->removed += commit;
    if (again) create_file(history, begin(history));
}

static void rename_file(struct history *history) {
    char name[16];
    place_name((unsigned)(history->file[1] - '0'), !history->renamed, name);
    DB_TXN *txn = begin(history);
    must(history, history->env->dbrename(history->env, txn, history->file, NULL, name, 0), "dbrename");
    bool commit = !chance(history, 4);
    end(history, txn, commit);
    history->renames += commit;
}

static void remove_logs(struct history *history) {
    char **removed = NULL;
    must(history, history->env->txn_checkpoint(history->env, 0, 0, DB_FORCE), "checkpoint");
    must(history, history->env->log_archive(history->env, &removed, DB_ARCH_REMOVE), "log_archive");
}

static void step(struct history *history) {
    choose_place(history);
    if (!history->exists) return create_file(history, begin(history));
    switch (random_below(&history->random, 16)) {
    case 0: return remove_file(history, false);
    case 1: return remove_file(history, true);
    case 2: return rename_file(history);
    case 3: return truncate_file(history);
    case 4:
    case 5: return compact_file(history);
    case 6: return remove_logs(history);
    case 7:
    case 8: return change_records(history, LARGE, true);
    case 9: return change_records(history, LARGE, false);
    case 10: return change_records(history, SMALL, false);
    default: return change_records(history, SMALL, true);
    }
}

int command_history(const struct options *options) {
    struct history history = {.options = options, .random = {random_mix(options->seed)}};
    struct options adjusted = *options;
    adjusted.recover = true;
    history.env = environment_open(&adjusted, ACCESS_APPLICATION);
    for (uint64_t i = 0; i < options->steps; i++) step(&history);
    // An application that does not take a checkpoint at its end leaves recovery more to do.
    if (!chance(&history, 4)) remove_logs(&history);
    environment_close(history.env);
    environment_remove_regions(options);
    printf("{\"committed\":%" PRIu64 ",\"aborted\":%" PRIu64 ",\"created\":%" PRIu64 ",\"removed\":%" PRIu64
           ",\"renamed\":%" PRIu64 ",\"compacted\":%" PRIu64 ",\"truncated\":%" PRIu64 "}\n",
        history.committed, history.aborted, history.created, history.removed, history.renames,
        history.compacted, history.truncated);
    return EXIT_OK;
}
