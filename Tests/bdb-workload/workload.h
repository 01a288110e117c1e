// bdb-workload: a transactional application on a real Berkeley DB environment. See README.md.
#pragma once

#ifndef _GNU_SOURCE
#define _GNU_SOURCE // db.h wants BSD types even where the compiler is told -std=c11
#endif

#include <db.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    MAX_DATABASES = 8,
    SLOTS = 16, // sequence slots, one per writer thread; fixed, so that a home reopens with any thread count
    START_BALANCE = 1000, // of every account in either invariant database
    VALUE_MIN = 64,
    VALUE_MAX = 64 * 1024,
    PARTITIONS = 4,
};

// Exit codes, as those of the command under test.
enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 64 };

struct options {
    const char *command, *home, *methods, *encrypt, *byte_order, *data_dir, *log_dir, *progress, *ready,
        *checkpoint_log, *database, *absolute;
    uint64_t page_size, log_size, cache, records, value_size, threads, queue_extent, checkpoint_ms, rate,
        aborts, seed, steps, system_memory;
    double seconds, update, insert, delete_share;
    bool checksum, dirs_in_code, registered, auto_remove, auto_remove_config, subdir, multi, partition;
    bool in_memory_logs, private_regions, no_txn, cdb, sync, nosync, recover, remove_regions, keep_regions,
        remove_logs, compact;
    bool generated, zipf, append, count, no_locking, exclusive, idle;
    char password[256];
};

// options.c: terminates with EXIT_USAGE, and the reason on stderr, on anything it does not know.
void options_parse(struct options *options, int argc, char **argv);

// main.c
// Ends the process at once, whatever its other threads wait for.
void fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
uint64_t monotonic_ns(void);
uint64_t wall_ns(void);

// random.c: seeded, one state per thread.
struct random {
    uint64_t state;
};
uint64_t random_mix(uint64_t value);
uint64_t random_next(struct random *random);
uint64_t random_below(struct random *random, uint64_t bound);
double random_unit(struct random *random);

// environment.c
enum access_mode {
    ACCESS_APPLICATION, // creates or joins with everything the options ask for; writes DB_CONFIG
    ACCESS_JOIN,        // joins what is there, creates nothing
    ACCESS_READ,        // private regions and no logs: reads a closed, recovered environment
};
DB_ENV *environment_open(const struct options *options, enum access_mode mode);
bool environment_is_transactional(const struct options *options);
void environment_close(DB_ENV *env);
// Removes the region files of an environment that nobody has open.
void environment_remove_regions(const struct options *options);

// value.c: a self-checking value: header, then text like that of an application's rows.
enum record_kind { KIND_SEQUENCE, KIND_ACCOUNT, KIND_EXTRA, KIND_ITEM, KIND_COUNT };
struct value_header {
    uint16_t magic;
    uint16_t kind;
    uint32_t length;   // of the whole value; a queue pads it
    uint64_t checksum; // of the value with this field zero
    uint64_t index;    // with `kind`: the record's key
    int64_t balance;   // account: money; sequence: number of accounts in a database
    uint64_t seq;      // sequence: the slot's number; else: the transaction that wrote it
    uint64_t stamp;    // wall clock at the write, ns
};
struct value {
    struct value_header header;
    char text[VALUE_MAX - sizeof(struct value_header)];
};
// Fills in the text and the checksum; `length` is the whole value's. The text's body depends on kind and
// index alone, its first fields on seq, so that an update changes some 30 bytes of a value whose length
// stays.
void value_seal(struct value *value, size_t length);
// NULL when right, else what is wrong. `size` is what the database returned.
const char *value_error(const struct value *value, size_t size);

// database.c: one interface over the access methods. Records are named by (kind, index).
struct heap_rids {
    DB_HEAP_RID *rid[KIND_COUNT];
    size_t count[KIND_COUNT];
};
struct database {
    DB *db;
    DBTYPE type;
    char name[32];     // "btree1"
    char file[4096];     // as libdb is told
    const char *inner; // name inside a file of several databases, or NULL
    bool invariant;    // one of the two that carry sum and sequence
    bool consumes;     // a queue that is used as one: appended and consumed
    uint64_t accounts; // as loaded; index of the first extra of a recno is SLOTS + accounts
    uint32_t page_size;
    size_t value_limit;
    struct heap_rids heap;
};
// Returns the number of databases that the options describe.
unsigned databases_plan(const struct options *options, struct database *databases);
void database_open(struct database *database, DB_ENV *env, const struct options *options, bool read_only);
void databases_close(struct database *databases, unsigned count);
const char *method_name(DBTYPE type);
// Ends the process with EXIT_USAGE when there is no such access method.
DBTYPE method_type(const char *name, size_t length);
// Sets type, page size, and the largest value that a record of this type may have.
void database_describe(struct database *database, const struct options *options, DBTYPE type);

// record.c: return a libdb code; absent records are DB_NOTFOUND for every access method.
struct record_id {
    enum record_kind kind;
    uint64_t index;
};
int record_get(
    struct database *database, DB_TXN *txn, struct record_id id, struct value *value, uint32_t flags);
// `placed`: where the access method put a new record (heap only). Pass it to `record_placed` once committed.
int record_put(
    struct database *database, DB_TXN *txn, struct record_id id, struct value *value, DB_HEAP_RID *placed);
int record_delete(struct database *database, DB_TXN *txn, struct record_id id);
void record_placed(struct database *database, struct record_id id, const DB_HEAP_RID *rid);
int queue_append(struct database *database, DB_TXN *txn, struct value *value);
int queue_consume(struct database *database, DB_TXN *txn, struct value *value);
// Calls `visit` for every record; it returns false to stop. `key` is as libdb returned it.
int records_scan(
    struct database *database, bool (*visit)(void *context, const DBT *key, const DBT *data), void *context);
bool key_matches(const struct database *database, struct record_id id, const DBT *key);
void heap_reserve(struct database *database, uint64_t accounts, uint64_t extras);
// Key of a record of a btree or hash; returns its length.
size_t record_text_key(const struct database *database, struct record_id id, char key[32]);

// load.c
// Makes room for so many records of a heap, and scans it for where those are that it has.
void heap_find_records(struct database *database, uint64_t accounts, uint64_t extras);
// The number of accounts that an earlier run loaded into this database; 0: it is new.
uint64_t stored_accounts(struct database *database);
// Creates the initial records unless they are there; returns the number of accounts per database.
uint64_t load_initial(struct database *databases, unsigned count, DB_ENV *env, const struct options *options);

// writer.c
struct workload {
    const struct options *options;
    DB_ENV *env;
    struct database databases[MAX_DATABASES];
    unsigned database_count;
    uint64_t accounts, extras;
    bool transactional;
    atomic_bool stop;
    atomic_ullong committed_seq[SLOTS]; // highest number whose commit has returned
    atomic_ullong transactions, deadlocks, aborts;
    unsigned checkpoints;
    double *checkpoint_ms;
};
struct writer {
    struct workload *workload;
    unsigned slot;
    struct random random;
    uint64_t seq;
    uint64_t queued; // items this writer added to queues and did not consume
    pthread_t thread;
};
void *writer_main(void *argument);
uint64_t workload_seq(struct workload *workload);

// transaction.c: one transaction. 0: committed or deliberately aborted; a libdb code otherwise, nothing done.
int transaction_run(struct writer *writer, bool abort);

// monitor.c: the application's other threads.
void *checkpoint_main(void *argument);
void *progress_main(void *argument);
void sleep_ms(const atomic_bool *stop, uint64_t milliseconds);

// The subcommands; each returns the exit code.
int command_run(const struct options *options);
int command_check(const struct options *options);
int command_generate(const struct options *options);
int command_day(const struct options *options);
int command_reload(const struct options *options);
int command_checkpoint(const struct options *options);
int command_flags(const struct options *options);
int command_history(const struct options *options);
int command_hold(const struct options *options);
int command_rest(const struct options *options);
int command_names(const struct options *options);
int command_write(const struct options *options);
int command_names_check(const struct options *options);
// `check` for the database of `generate`.
int check_generated(const struct options *options);
