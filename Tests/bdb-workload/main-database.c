#include "main-database.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    KEY_BITS = 36,
    FIRST_DAY = 1767225600, // 2026-01-01T00:00:00Z
};

void main_must(int code, const char *what) {
    if (code != 0) fail("main.db: %s: %s", what, db_strerror(code));
}

uint64_t main_scatter(uint64_t index) {
    const uint64_t mask = ((uint64_t)1 << KEY_BITS) - 1;
    uint64_t key = index & mask;
    for (int round = 0; round < 2; round++) {
        key = key * 0x9e3779b97f4a7c15u & mask;
        key ^= key >> 17;
    }
    return key;
}

bool main_is_positional(const struct main_database *store) {
    return store->database.type != DB_BTREE && store->database.type != DB_HASH;
}

// Scattered records are of kind account, appended ones (after all others, in order) of kind extra.
static DBT make_key(struct record_id id, char text[32]) {
    int length = id.kind == KIND_SEQUENCE  ? snprintf(text, 32, "meta")
                 : id.kind == KIND_ACCOUNT ? snprintf(text, 32, "k%011" PRIu64, main_scatter(id.index))
                                           : snprintf(text, 32, "z%011" PRIu64, id.index);
    return (DBT){.data = text, .size = (u_int32_t)length};
}

bool main_key_matches(const struct main_database *store, struct record_id id, const DBT *key) {
    if (main_is_positional(store)) return key_matches(&store->database, id, key);
    char text[32];
    DBT expected = make_key(id, text);
    return expected.size == key->size && memcmp(text, key->data, key->size) == 0;
}

void main_end_transaction(struct main_database *store) {
    if (store->txn != NULL) main_must(store->txn->commit(store->txn, 0), "commit");
    store->txn = NULL;
    store->in_batch = 0;
}

DB_TXN *main_transaction(struct main_database *store) {
    if (store->read_only) return NULL;
    if (store->in_batch++ == store->batch) main_end_transaction(store);
    if (store->txn == NULL) main_must(store->env->txn_begin(store->env, NULL, &store->txn, 0), "txn_begin");
    return store->txn;
}

static int get_by_key(struct main_database *store, DB *db, struct record_id id) {
    char text[32];
    DBT key = make_key(id, text),
        data = {.data = &store->value, .ulen = sizeof store->value, .flags = DB_DBT_USERMEM};
    int code = db->get(db, main_transaction(store), &key, &data, store->read_only ? 0 : DB_RMW);
    if (code == 0 && value_error(&store->value, data.size) != NULL)
        fail("main.db: %s: %s", text, value_error(&store->value, data.size));
    return code;
}

static void seal(struct main_database *store, struct record_id id, size_t length) {
    store->value.header.kind = (uint16_t)id.kind;
    store->value.header.index = id.index;
    value_seal(&store->value, length);
}

static void put_by_key(struct main_database *store, DB *db, struct record_id id) {
    char text[32];
    DBT key = make_key(id, text), data = {.data = &store->value, .size = store->value.header.length};
    main_must(db->put(db, main_transaction(store), &key, &data, 0), "put");
}

int main_get(struct main_database *store, struct record_id id) {
    if (!main_is_positional(store)) return get_by_key(store, store->database.db, id);
    return record_get(&store->database, main_transaction(store), id, &store->value, DB_RMW);
}

void main_put(struct main_database *store, struct record_id id, size_t length) {
    size_t limit = store->database.value_limit;
    seal(store, id, length < limit ? length : limit);
    if (!main_is_positional(store)) {
        put_by_key(store, store->database.db, id);
        return;
    }
    DB_HEAP_RID rid;
    main_must(record_put(&store->database, main_transaction(store), id, &store->value, &rid), "put");
    record_placed(&store->database, id, &rid);
}

// A time of the day that is being written.
static uint64_t stamp(struct main_database *store) {
    return (FIRST_DAY + store->day * 86400 + random_below(&store->random, 86400)) * 1000000000u;
}

void main_insert(struct main_database *store, struct record_id id) {
    // A normal row varies by a tenth around the size asked for.
    uint64_t size = store->options->value_size, spread = size / 5;
    store->value.header = (struct value_header){.seq = 1, .stamp = stamp(store)};
    main_put(store, id, size - spread / 2 + random_below(&store->random, spread + 1));
}

void main_update(struct main_database *store, struct record_id id) {
    store->value.header.seq++;
    store->value.header.stamp = stamp(store);
    main_put(store, id, store->value.header.length);
}

void main_delete(struct main_database *store, struct record_id id) {
    if (main_is_positional(store)) {
        main_must(record_delete(&store->database, main_transaction(store), id), "delete");
        return;
    }
    char text[32];
    DBT key = make_key(id, text);
    DB *db = store->database.db;
    main_must(db->del(db, main_transaction(store), &key, 0), "delete");
}

static DB *meta_database(struct main_database *store) {
    return main_is_positional(store) ? store->meta.db : store->database.db;
}

int main_read_meta(struct main_database *store) {
    int code = get_by_key(store, meta_database(store), (struct record_id){KIND_SEQUENCE, 0});
    if (code != 0) return code;
    store->scattered = (uint64_t)store->value.header.balance;
    store->appended = store->value.header.stamp;
    store->day = store->value.header.seq;
    // The first record number of what was appended.
    store->database.accounts = store->scattered;
    return 0;
}

void main_put_meta(struct main_database *store) {
    store->value.header = (struct value_header){
        .balance = (int64_t)store->scattered, .stamp = store->appended, .seq = store->day};
    struct record_id id = {KIND_SEQUENCE, 0};
    seal(store, id, VALUE_MIN);
    put_by_key(store, meta_database(store), id);
}

void main_open(struct main_database *store, const struct options *options, enum access_mode mode) {
    store->options = options;
    store->read_only = mode == ACCESS_READ;
    store->random.state = random_mix(options->seed);
    const char *method = options->methods != NULL ? options->methods : "btree";
    store->database = (struct database){.file = "main.db", .name = "main"};
    database_describe(&store->database, options, method_type(method, strlen(method)));
    store->env = environment_open(options, mode);
    database_open(&store->database, store->env, options, mode == ACCESS_READ);
    if (!main_is_positional(store)) return;
    store->meta = (struct database){.file = "meta.db", .name = "meta"};
    database_describe(&store->meta, options, DB_BTREE);
    database_open(&store->meta, store->env, options, mode == ACCESS_READ);
}

void main_close(struct main_database *store) {
    main_end_transaction(store);
    databases_close(&store->database, 1);
    if (main_is_positional(store)) databases_close(&store->meta, 1);
}

void main_leave(struct main_database *store) {
    main_must(store->env->txn_checkpoint(store->env, 0, 0, DB_FORCE), "checkpoint");
    char **removed = NULL;
    if (store->options->remove_logs)
        main_must(store->env->log_archive(store->env, &removed, DB_ARCH_REMOVE), "log_archive");
    environment_close(store->env);
    if (!store->options->keep_regions) environment_remove_regions(store->options);
}

struct options main_options(const struct options *options) {
    struct options adjusted = *options;
    if (adjusted.cache == 0) adjusted.cache = (uint64_t)256 << 20;
    if (adjusted.log_size == 0) adjusted.log_size = 32u << 20;
    if (adjusted.no_txn || adjusted.cdb || adjusted.in_memory_logs || adjusted.private_regions)
        fail("%s works on a transactional environment with logs on disk", options->command);
    return adjusted;
}
