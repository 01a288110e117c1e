#include "workload.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The benchmark's database: `main.db`, records under scattered keys, and one record "meta" that counts them.
enum {
    LOAD_BATCH = 1000,
    DAY_BATCH = 100,
    INDEX_BITS = 28, // of a packed (key, index)
    KEY_BITS = 36,
    PASSES = 3,
    FIRST_DAY = 1767225600, // 2026-01-01T00:00:00Z
};

struct main_database {
    const struct options *options;
    struct database database;
    DB_ENV *env;
    DB_TXN *txn;
    unsigned in_batch, batch;
    uint64_t scattered, appended, day; // as the meta record has them: balance, stamp, seq
    struct random random;
    struct value value;
};

static void must(int code, const char *what) {
    if (code != 0) fail("main.db: %s: %s", what, db_strerror(code));
}

// A bijection of 36-bit numbers: neighbours in index are strangers in key, and no two share one.
static uint64_t scatter(uint64_t index) {
    const uint64_t mask = ((uint64_t)1 << KEY_BITS) - 1;
    uint64_t key = index & mask;
    for (int round = 0; round < 2; round++) {
        key = key * 0x9e3779b97f4a7c15u & mask;
        key ^= key >> 17;
    }
    return key;
}

// Scattered records are of kind account, appended ones (after all others, in order) of kind extra.
static DBT make_key(struct record_id id, char text[32]) {
    int length = id.kind == KIND_SEQUENCE  ? snprintf(text, 32, "meta")
                 : id.kind == KIND_ACCOUNT ? snprintf(text, 32, "k%011" PRIu64, scatter(id.index))
                                           : snprintf(text, 32, "z%011" PRIu64, id.index);
    return (DBT){.data = text, .size = (u_int32_t)length};
}

static void end_transaction(struct main_database *store) {
    if (store->txn != NULL) must(store->txn->commit(store->txn, 0), "commit");
    store->txn = NULL;
    store->in_batch = 0;
}

static DB_TXN *transaction(struct main_database *store) {
    if (store->in_batch++ == store->batch) end_transaction(store);
    if (store->txn == NULL) must(store->env->txn_begin(store->env, NULL, &store->txn, 0), "txn_begin");
    return store->txn;
}

static int get(struct main_database *store, struct record_id id) {
    char text[32];
    DBT key = make_key(id, text),
        data = {.data = &store->value, .ulen = sizeof store->value, .flags = DB_DBT_USERMEM};
    DB *db = store->database.db;
    int code = db->get(db, transaction(store), &key, &data, DB_RMW);
    if (code == 0 && value_error(&store->value, data.size) != NULL)
        fail("main.db: %s: %s", text, value_error(&store->value, data.size));
    return code;
}

static void put(struct main_database *store, struct record_id id, size_t length) {
    char text[32];
    store->value.header.kind = (uint16_t)id.kind;
    store->value.header.index = id.index;
    value_seal(&store->value, length);
    DBT key = make_key(id, text), data = {.data = &store->value, .size = store->value.header.length};
    DB *db = store->database.db;
    must(db->put(db, transaction(store), &key, &data, 0), "put");
}

static void insert(struct main_database *store, struct record_id id) {
    // A normal row varies by a tenth around the size asked for.
    uint64_t size = store->options->value_size, spread = size / 5;
    store->value.header = (struct value_header){.seq = 1,
        .stamp = (FIRST_DAY + store->day * 86400 + random_below(&store->random, 86400)) * 1000000000u};
    put(store, id, size - spread / 2 + random_below(&store->random, spread + 1));
}

static void put_meta(struct main_database *store) {
    store->value.header = (struct value_header){
        .balance = (int64_t)store->scattered, .stamp = store->appended, .seq = store->day};
    put(store, (struct record_id){KIND_SEQUENCE, 0}, VALUE_MIN);
}

static void open_main(struct main_database *store, const struct options *options, enum access_mode mode) {
    store->options = options;
    store->random.state = random_mix(options->seed);
    struct database *database = &store->database;
    *database =
        (struct database){.page_size = (uint32_t)options->page_size, .file = "main.db", .name = "main"};
    const char *method = options->methods != NULL ? options->methods : "btree";
    if (strcmp(method, "btree") != 0 && strcmp(method, "hash") != 0) fail("--method: btree or hash");
    database->type = *method == 'b' ? DB_BTREE : DB_HASH;
    store->env = environment_open(options, mode);
    database_open(database, store->env, options, mode == ACCESS_READ);
}

static void close_main(struct main_database *store, bool remove_logs) {
    end_transaction(store);
    must(store->database.db->close(store->database.db, 0), "close");
    must(store->env->txn_checkpoint(store->env, 0, 0, DB_FORCE), "checkpoint");
    char **removed = NULL;
    if (remove_logs) must(store->env->log_archive(store->env, &removed, DB_ARCH_REMOVE), "log_archive");
    environment_close(store->env);
    if (!store->options->keep_regions) environment_remove_regions(store->options);
}

static int compare_words(const void *left, const void *right) {
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

// In several passes over the key space, each in key order: pages end as full as after inserts in random order
// (some 70 %), while each pass sweeps the file once, so that a cache much smaller than the file does.
static void load_all(struct main_database *store, uint64_t records) {
    uint64_t *order = malloc((records / PASSES + 1) * sizeof *order);
    if (order == NULL) fail("out of memory");
    for (uint64_t pass = 0; pass < PASSES; pass++) {
        uint64_t count = 0;
        for (uint64_t index = pass; index < records; index += PASSES)
            order[count++] = scatter(index) << INDEX_BITS | index;
        qsort(order, count, sizeof *order, compare_words);
        for (uint64_t i = 0; i < count; i++)
            insert(store, (struct record_id){KIND_ACCOUNT, order[i] & (((uint64_t)1 << INDEX_BITS) - 1)});
    }
    free(order);
}

// Defaults of a benchmark: a cache that does not dominate the time, logs large enough not to be counted in
// files.
static struct options benchmark_options(const struct options *options) {
    struct options adjusted = *options;
    if (adjusted.cache == 0) adjusted.cache = (uint64_t)256 << 20;
    if (adjusted.log_size == 0) adjusted.log_size = 32u << 20;
    if (adjusted.no_txn || adjusted.cdb || adjusted.in_memory_logs || adjusted.private_regions)
        fail("%s works on a transactional environment with logs on disk", options->command);
    return adjusted;
}

int command_generate(const struct options *options) {
    static struct main_database store;
    const struct options adjusted = benchmark_options(options);
    if (options->records >> INDEX_BITS != 0) fail("--records: at most 268435455");
    uint64_t start = monotonic_ns();
    store.batch = LOAD_BATCH;
    open_main(&store, &adjusted, ACCESS_APPLICATION);
    if (get(&store, (struct record_id){KIND_SEQUENCE, 0}) != DB_NOTFOUND)
        fail("%s holds a main.db already", options->home);
    load_all(&store, options->records);
    store.scattered = options->records;
    put_meta(&store);
    close_main(&store, true);
    printf("{\"records\":%" PRIu64 ",\"seconds\":%.3f}\n", options->records,
        (double)(monotonic_ns() - start) / 1e9);
    return EXIT_OK;
}

struct day_counts {
    uint64_t updated, inserted, deleted;
};

static void change_record(
    struct main_database *store, uint64_t number, bool delete, struct day_counts *counts) {
    bool scattered = number < store->scattered;
    struct record_id id = scattered ? (struct record_id){KIND_ACCOUNT, number}
                                    : (struct record_id){KIND_EXTRA, number - store->scattered};
    int code = get(store, id);
    if (code == DB_NOTFOUND) return; // deleted on an earlier day
    must(code, "get");
    if (delete) {
        char text[32];
        DBT key = make_key(id, text);
        must(store->database.db->del(store->database.db, transaction(store), &key, 0), "del");
        counts->deleted++;
        return;
    }
    store->value.header.seq++;
    store->value.header.stamp =
        (FIRST_DAY + store->day * 86400 + random_below(&store->random, 86400)) * 1000000000u;
    put(store, id, store->value.header.length);
    counts->updated++;
}

// `share` of all records: each subset of that size equally likely (Knuth's algorithm S), or a skewed choice
// in which the first tenth of the indices gets half of the draws (density ~ x^(-2/3)).
static void change_share(struct main_database *store, double share, bool delete, struct day_counts *counts) {
    uint64_t total = store->scattered + store->appended, wanted = (uint64_t)((double)total * share + 0.5);
    if (wanted > total) wanted = total;
    if (store->options->zipf && !delete) {
        for (uint64_t i = 0; i < wanted; i++) {
            double unit = random_unit(&store->random);
            change_record(store, (uint64_t)(unit * unit * unit * (double)total), false, counts);
        }
        return;
    }
    for (uint64_t number = 0; number < total && wanted > 0; number++) {
        if (random_below(&store->random, total - number) >= wanted) continue;
        change_record(store, number, delete, counts);
        wanted--;
    }
}

int command_day(const struct options *options) {
    static struct main_database store;
    struct options adjusted = benchmark_options(options);
    adjusted.recover = true; // as an application that starts: cheap after a clean close
    uint64_t start = monotonic_ns();
    store.batch = DAY_BATCH;
    open_main(&store, &adjusted, ACCESS_APPLICATION);
    must(get(&store, (struct record_id){KIND_SEQUENCE, 0}), "no database of \"generate\": meta record");
    store.scattered = (uint64_t)store.value.header.balance;
    store.appended = store.value.header.stamp;
    store.day = store.value.header.seq + 1;
    store.random.state = random_mix(options->seed ^ store.day << 32);
    struct day_counts counts = {0};
    change_share(&store, options->update, false, &counts);
    change_share(&store, options->delete_share, true, &counts);
    uint64_t inserts = (uint64_t)((double)(store.scattered + store.appended) * options->insert + 0.5);
    if ((store.scattered + inserts) >> INDEX_BITS != 0) fail("main.db: too many records");
    for (; counts.inserted < inserts; counts.inserted++)
        insert(&store, options->append ? (struct record_id){KIND_EXTRA, store.appended++}
                                       : (struct record_id){KIND_ACCOUNT, store.scattered++});
    put_meta(&store);
    uint64_t day = store.day;
    close_main(&store, options->remove_logs);
    printf("{\"day\":%" PRIu64 ",\"updated\":%" PRIu64 ",\"inserted\":%" PRIu64 ",\"deleted\":%" PRIu64
           ",\"seconds\":%.3f}\n",
        day, counts.updated, counts.inserted, counts.deleted, (double)(monotonic_ns() - start) / 1e9);
    return EXIT_OK;
}

static bool check_row(void *context, const DBT *key, const DBT *data) {
    uint64_t *records = context;
    const struct value *value = data->data;
    const char *error = value_error(value, data->size);
    if (error != NULL) fail("main.db: record %" PRIu64 " of the scan: %s", *records, error);
    char text[32];
    DBT expected =
        make_key((struct record_id){(enum record_kind)value->header.kind, value->header.index}, text);
    if (expected.size != key->size || memcmp(text, key->data, key->size) != 0)
        fail("main.db: the value of %s is under another key", text);
    *records += 1;
    return true;
}

int check_generated(const struct options *options) {
    static struct main_database store;
    open_main(&store, options, ACCESS_READ);
    char text[32];
    DBT key = make_key((struct record_id){KIND_SEQUENCE, 0}, text);
    DBT data = {.data = &store.value, .ulen = sizeof store.value, .flags = DB_DBT_USERMEM};
    must(store.database.db->get(store.database.db, NULL, &key, &data, 0), "meta record");
    uint64_t records = 0, day = store.value.header.seq;
    must(records_scan(&store.database, check_row, &records), "reading");
    printf("{\"ok\":true,\"day\":%" PRIu64 ",\"records\":%" PRIu64 "}\n", day, records);
    must(store.database.db->close(store.database.db, 0), "close");
    environment_close(store.env);
    return EXIT_OK;
}
