#include "main-database.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

// Making the benchmark's database, and proving that it came back whole.
enum {
    LOAD_BATCH = 1000,
    INDEX_BITS = 28, // of a packed (key, index)
    PASSES = 3,
};

static int compare_words(const void *left, const void *right) {
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

// In several passes over the key space, each in key order: pages end as full as after inserts in random order
// (some 70 %), while each pass sweeps the file once, so that a cache much smaller than the file does.
static void load_by_key(struct main_database *store, uint64_t records) {
    uint64_t *order = malloc((records / PASSES + 1) * sizeof *order);
    if (order == NULL) fail("out of memory");
    for (uint64_t pass = 0; pass < PASSES; pass++) {
        uint64_t count = 0;
        for (uint64_t index = pass; index < records; index += PASSES)
            order[count++] = main_scatter(index) << INDEX_BITS | index;
        qsort(order, count, sizeof *order, compare_words);
        for (uint64_t i = 0; i < count; i++)
            main_insert(
                store, (struct record_id){KIND_ACCOUNT, order[i] & (((uint64_t)1 << INDEX_BITS) - 1)});
    }
    free(order);
}

static void load_in_order(struct main_database *store, uint64_t records) {
    store->database.accounts = records;
    if (store->database.type == DB_HEAP) heap_reserve(&store->database, records, 0);
    for (uint64_t index = 0; index < records; index++)
        main_insert(store, (struct record_id){KIND_ACCOUNT, index});
}

int command_generate(const struct options *options) {
    static struct main_database store;
    struct options adjusted = main_options(options);
    adjusted.remove_logs = true;
    if (options->records >> INDEX_BITS != 0) fail("--records: at most 268435455");
    uint64_t start = monotonic_ns();
    store.batch = LOAD_BATCH;
    main_open(&store, &adjusted, ACCESS_APPLICATION);
    if (main_read_meta(&store) != DB_NOTFOUND) fail("%s holds a main.db already", options->home);
    (main_is_positional(&store) ? load_in_order : load_by_key)(&store, options->records);
    store.scattered = options->records;
    main_put_meta(&store);
    main_close(&store);
    main_leave(&store);
    printf("{\"records\":%" PRIu64 ",\"seconds\":%.3f}\n", options->records,
        (double)(monotonic_ns() - start) / 1e9);
    return EXIT_OK;
}

struct check {
    struct main_database *store;
    uint64_t records;
};

static bool check_row(void *context, const DBT *key, const DBT *data) {
    struct check *check = context;
    const struct value *value = data->data;
    const char *error = value_error(value, data->size);
    if (error != NULL) fail("main.db: record %" PRIu64 " of the scan: %s", check->records, error);
    struct record_id id = {(enum record_kind)value->header.kind, value->header.index};
    if (!main_key_matches(check->store, id, key))
        fail("main.db: record %" PRIu64 " of the scan: the value is under another key", check->records);
    check->records += 1;
    return true;
}

int check_generated(const struct options *options) {
    static struct main_database store;
    main_open(&store, options, ACCESS_READ);
    struct check check = {.store = &store};
    main_must(main_read_meta(&store), "meta record");
    main_must(records_scan(&store.database, check_row, &check), "reading");
    printf("{\"ok\":true,\"day\":%" PRIu64 ",\"records\":%" PRIu64 "}\n", store.day, check.records);
    main_close(&store);
    environment_close(store.env);
    return EXIT_OK;
}
