// The benchmark's database, `main.db`, and the record "meta" that counts what is in it. See README.md.
#pragma once

#include "workload.h"

struct main_database {
    const struct options *options;
    struct database database;
    // Where "meta" is: a btree or hash keeps it among its records, the others beside them in `meta.db`,
    // because it must not be consumed, and must be found without knowing its place.
    struct database meta;
    DB_ENV *env;
    DB_TXN *txn;
    unsigned in_batch, batch;
    bool read_only;
    uint64_t scattered, appended, day; // as the meta record has them: balance, stamp, seq
    struct random random;
    struct value value;
};

// Ends the process, with what could not be done and why, unless `code` is 0.
void main_must(int code, const char *what);
void main_open(struct main_database *store, const struct options *options, enum access_mode mode);
// Closes the databases; what follows may remove or rename them.
void main_close(struct main_database *store);
// Checkpoints and leaves the environment as an application does that has ended well.
void main_leave(struct main_database *store);
// Defaults of a benchmark: a cache that does not dominate the time, logs large enough not to be counted in
// files.
struct options main_options(const struct options *options);

// A bijection of 36-bit numbers: neighbours in index are strangers in key, and no two share one.
uint64_t main_scatter(uint64_t index);
// Records whose place follows from their number or from where they were put, not from a key.
bool main_is_positional(const struct main_database *store);
bool main_key_matches(const struct main_database *store, struct record_id id, const DBT *key);

// The running transaction; a new one after each `batch` calls, none in an environment that is only read.
DB_TXN *main_transaction(struct main_database *store);
void main_end_transaction(struct main_database *store);
// Into `store->value`; DB_NOTFOUND or 0.
int main_get(struct main_database *store, struct record_id id);
// Writes `store->value`, whose text and checksum it makes.
void main_put(struct main_database *store, struct record_id id, size_t length);
void main_insert(struct main_database *store, struct record_id id);
// Writes `store->value`, which `main_get` read, with some 30 bytes changed.
void main_update(struct main_database *store, struct record_id id);
// The record must be there.
void main_delete(struct main_database *store, struct record_id id);
// Takes over what the meta record says; DB_NOTFOUND or 0.
int main_read_meta(struct main_database *store);
void main_put_meta(struct main_database *store);
