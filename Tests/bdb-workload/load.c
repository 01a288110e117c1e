#include "workload.h"

#include <string.h>

enum { BATCH = 200 };

struct loader {
    struct database *database;
    DB_ENV *env;
    const struct options *options;
    struct random random;
    DB_TXN *txn;
    unsigned in_batch;
};

static void must(int code, const char *what) {
    if (code != 0) fail("initial load: %s: %s", what, db_strerror(code));
}

static void load_record(struct loader *loader, struct record_id id, int64_t balance) {
    static struct value value;
    size_t limit = loader->database->value_limit, size = loader->options->value_size;
    size_t length = size / 2 + random_below(&loader->random, size);
    value.header = (struct value_header){
        .kind = (uint16_t)id.kind, .index = id.index, .balance = balance, .stamp = wall_ns()};
    value_seal(&value, length < limit ? length : limit);
    if (loader->txn == NULL && environment_is_transactional(loader->options))
        must(loader->env->txn_begin(loader->env, NULL, &loader->txn, DB_TXN_WRITE_NOSYNC), "txn_begin");
    DB_HEAP_RID rid;
    must(record_put(loader->database, loader->txn, id, &value, &rid), loader->database->name);
    record_placed(loader->database, id, &rid);
    if (++loader->in_batch < BATCH || loader->txn == NULL) return;
    must(loader->txn->commit(loader->txn, 0), "commit");
    loader->txn = NULL;
    loader->in_batch = 0;
}

static void load_database(struct loader *loader, uint64_t accounts) {
    for (uint64_t slot = 0; slot < SLOTS; slot++)
        load_record(loader, (struct record_id){KIND_SEQUENCE, slot}, (int64_t)accounts);
    for (uint64_t index = 0; index < accounts; index++)
        load_record(loader, (struct record_id){KIND_ACCOUNT, index}, START_BALANCE);
    if (loader->txn != NULL) must(loader->txn->commit(loader->txn, 0), "commit");
    loader->txn = NULL;
}

struct heap_scan {
    struct database *database;
    uint64_t accounts;
};

static bool count_accounts(void *context, const DBT *key, const DBT *data) {
    (void)key;
    const struct value *value = data->data;
    if (value_error(value, data->size) == NULL && value->header.kind == KIND_SEQUENCE)
        ((struct heap_scan *)context)->accounts = (uint64_t)value->header.balance;
    return true;
}

static bool remember_rid(void *context, const DBT *key, const DBT *data) {
    const struct heap_scan *scan = context;
    const struct value *value = data->data;
    const char *error = value_error(value, data->size);
    if (error != NULL) fail("%s: %s", scan->database->file, error);
    struct record_id id = {(enum record_kind)value->header.kind, value->header.index};
    DB_HEAP_RID rid = {0};
    memcpy(&rid, key->data, DB_HEAP_RID_SZ);
    if (id.index >= scan->database->heap.count[id.kind])
        fail("%s: more records than --records allows: reopen with the number it was made with",
            scan->database->file);
    record_placed(scan->database, id, &rid);
    return true;
}

void heap_find_records(struct database *database, uint64_t accounts, uint64_t extras) {
    heap_reserve(database, accounts, extras);
    struct heap_scan scan = {database, 0};
    must(records_scan(database, remember_rid, &scan), database->name);
}

uint64_t stored_accounts(struct database *database) {
    if (database->type == DB_HEAP) {
        struct heap_scan scan = {database, 0};
        must(records_scan(database, count_accounts, &scan), database->name);
        return scan.accounts;
    }
    static struct value value;
    int code = record_get(database, NULL, (struct record_id){KIND_SEQUENCE, 0}, &value, 0);
    if (code == DB_NOTFOUND) return 0;
    must(code, database->name);
    return (uint64_t)value.header.balance;
}

uint64_t load_initial(
    struct database *databases, unsigned count, DB_ENV *env, const struct options *options) {
    uint64_t accounts = options->records;
    uint64_t loaded[2];
    for (int i = 0; i < 2; i++) loaded[i] = stored_accounts(&databases[i]);
    // The load is several transactions, the second database last: half a load shows as its absence.
    bool fresh = loaded[0] == 0 && loaded[1] == 0;
    if (!fresh) {
        if (loaded[0] != loaded[1])
            fail("the initial load of an earlier run was interrupted: start from an empty home");
        accounts = loaded[0];
    }
    for (unsigned i = 0; i < count; i++) {
        databases[i].accounts = accounts;
        if (databases[i].type != DB_HEAP) continue;
        if (fresh)
            heap_reserve(&databases[i], accounts, accounts);
        else
            heap_find_records(&databases[i], accounts, accounts);
    }
    if (!fresh) return accounts;
    for (unsigned i = 0; i < 2; i++) {
        struct loader loader = {
            .database = &databases[i], .env = env, .options = options, .random = {options->seed + i}};
        load_database(&loader, accounts);
    }
    return accounts;
}
