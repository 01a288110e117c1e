#include "main-database.h"

#include <inttypes.h>
#include <stdio.h>

// What a day does to the benchmark's database; and what administrators do to one now and then.
enum { DAY_BATCH = 100, RELOAD_BATCH = 1000, MAX_RECORDS_BITS = 28 };

struct day_counts {
    uint64_t updated, inserted, deleted;
};

static void change_record(
    struct main_database *store, uint64_t number, bool delete, struct day_counts *counts) {
    bool scattered = number < store->scattered;
    struct record_id id = scattered ? (struct record_id){KIND_ACCOUNT, number}
                                    : (struct record_id){KIND_EXTRA, number - store->scattered};
    int code = main_get(store, id);
    if (code == DB_NOTFOUND) return; // deleted on an earlier day
    main_must(code, "get");
    if (delete) {
        main_delete(store, id);
        counts->deleted++;
        return;
    }
    main_update(store, id);
    counts->updated++;
}

// Zipf's law with exponent 1: every doubling of the rank gets the same share of the draws. The rank is the
// record's index, so what is hot is scattered over the keys.
static uint64_t zipf_below(struct random *random, uint64_t total) {
    unsigned octaves = 64 - (unsigned)__builtin_clzll(total);
    for (;;) {
        uint64_t first = (uint64_t)1 << random_below(random, octaves);
        uint64_t rank = first - 1 + random_below(random, first);
        if (rank < total) return rank;
    }
}

// `share` of all records: each subset of that size equally likely (Knuth's algorithm S), or so many draws by
// Zipf's law.
static void change_share(struct main_database *store, double share, bool delete, struct day_counts *counts) {
    uint64_t total = store->scattered + store->appended, wanted = (uint64_t)((double)total * share + 0.5);
    if (wanted > total) wanted = total;
    if (store->options->zipf && !delete) {
        for (uint64_t i = 0; i < wanted; i++)
            change_record(store, zipf_below(&store->random, total), false, counts);
        return;
    }
    for (uint64_t number = 0; number < total && wanted > 0; number++) {
        if (random_below(&store->random, total - number) >= wanted) continue;
        change_record(store, number, delete, counts);
        wanted--;
    }
}

// A queue loses its oldest records, and with them its first extents.
static void consume_share(struct main_database *store, double share, struct day_counts *counts) {
    uint64_t wanted = (uint64_t)((double)(store->scattered + store->appended) * share + 0.5);
    for (; counts->deleted < wanted; counts->deleted++) {
        int code = queue_consume(&store->database, main_transaction(store), &store->value);
        if (code == DB_NOTFOUND) return;
        main_must(code, "consume");
    }
}

static void insert_records(struct main_database *store, uint64_t inserts, struct day_counts *counts) {
    bool append = store->options->append || main_is_positional(store);
    for (; counts->inserted < inserts; counts->inserted++)
        main_insert(store, append ? (struct record_id){KIND_EXTRA, store->appended++}
                                  : (struct record_id){KIND_ACCOUNT, store->scattered++});
}

// Every page as full as it can be, and the free ones at the end given back: records and pages move.
static void compact(struct main_database *store) {
    DB *db = store->database.db;
    DB_COMPACT statistics = {0};
    main_end_transaction(store);
    main_must(db->compact(db, NULL, NULL, NULL, &statistics, DB_FREE_SPACE, NULL), "compact");
}

int command_day(const struct options *options) {
    static struct main_database store;
    struct options adjusted = main_options(options);
    adjusted.recover = true; // as an application that starts: cheap after a clean close
    uint64_t start = monotonic_ns();
    store.batch = DAY_BATCH;
    main_open(&store, &adjusted, ACCESS_APPLICATION);
    main_must(main_read_meta(&store), "no database of \"generate\": meta record");
    store.day++;
    store.random.state = random_mix(options->seed ^ store.day << 32);
    struct day_counts counts = {0};
    uint64_t inserts = (uint64_t)((double)(store.scattered + store.appended) * options->insert + 0.5);
    if ((store.scattered + inserts) >> MAX_RECORDS_BITS != 0) fail("main.db: too many records");
    if (store.database.type == DB_HEAP)
        heap_find_records(&store.database, store.scattered, store.appended + inserts);
    change_share(&store, options->update, false, &counts);
    if (store.database.type == DB_QUEUE)
        consume_share(&store, options->delete_share, &counts);
    else
        change_share(&store, options->delete_share, true, &counts);
    insert_records(&store, inserts, &counts);
    main_put_meta(&store);
    if (options->compact) compact(&store);
    main_close(&store);
    main_leave(&store);
    printf("{\"day\":%" PRIu64 ",\"updated\":%" PRIu64 ",\"inserted\":%" PRIu64 ",\"deleted\":%" PRIu64
           ",\"seconds\":%.3f}\n",
        store.day, counts.updated, counts.inserted, counts.deleted, (double)(monotonic_ns() - start) / 1e9);
    return EXIT_OK;
}

struct reload {
    struct main_database *store;
    struct database *target;
    uint64_t records;
};

static bool copy_row(void *context, const DBT *key, const DBT *data) {
    struct reload *reload = context;
    DB *db = reload->target->db;
    DBT new_key = {.data = key->data, .size = key->size}, new_data = {.data = data->data, .size = data->size};
    main_must(db->put(db, main_transaction(reload->store), &new_key, &new_data, 0), "put");
    reload->records++;
    return true;
}

// What db_dump and db_load do, within the environment: every record in key order into a new file, which takes
// the old one's name.
int command_reload(const struct options *options) {
    static struct main_database store;
    struct options adjusted = main_options(options);
    adjusted.recover = true;
    uint64_t start = monotonic_ns();
    store.batch = RELOAD_BATCH;
    main_open(&store, &adjusted, ACCESS_APPLICATION);
    if (main_is_positional(&store)) fail("reload: btree or hash");
    struct database target = {.file = "main.new", .name = "main"};
    database_describe(&target, &adjusted, store.database.type);
    database_open(&target, store.env, &adjusted, false);
    struct reload reload = {.store = &store, .target = &target};
    main_must(records_scan(&store.database, copy_row, &reload), "reading");
    main_close(&store);
    databases_close(&target, 1);
    DB_ENV *env = store.env;
    main_must(env->dbremove(env, NULL, "main.db", NULL, DB_AUTO_COMMIT), "remove");
    main_must(env->dbrename(env, NULL, "main.new", NULL, "main.db", DB_AUTO_COMMIT), "rename");
    main_leave(&store);
    printf("{\"records\":%" PRIu64 ",\"seconds\":%.3f}\n", reload.records,
        (double)(monotonic_ns() - start) / 1e9);
    return EXIT_OK;
}
