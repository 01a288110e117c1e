#include "workload.h"

#include <string.h>

// What a transaction changed in memory, applied once its commit has returned.
struct pending {
    struct database *database;
    struct record_id id;
    DB_HEAP_RID rid;
};
struct transaction {
    struct writer *writer;
    DB_TXN *txn;
    uint64_t seq, stamp;
    struct value value;
    struct pending pending[MAX_DATABASES];
    unsigned pending_count;
    int64_t queued;
};

static size_t new_length(
    struct transaction *transaction, const struct database *database, struct record_id id) {
    const struct options *options = transaction->writer->workload->options;
    struct random *random = &transaction->writer->random;
    size_t length = options->value_size / 2 + random_below(random, options->value_size);
    // Now and then one that needs overflow pages.
    bool large = id.kind == KIND_EXTRA && id.index % 64 == 0 && database->type != DB_HEAP;
    if (large) length = 3 * (size_t)database->page_size;
    if (length > VALUE_MAX / 2) length = VALUE_MAX / 2;
    return length < database->value_limit ? length : database->value_limit;
}

static int put(struct transaction *transaction, struct database *database, struct record_id id, bool resize) {
    struct value *value = &transaction->value;
    value->header.seq = transaction->seq;
    value->header.stamp = transaction->stamp;
    // A heap's records keep their length and fit on a page: the heap of libdb 5.3.28 panics or loses records
    // otherwise.
    if (database->type == DB_HEAP && value->header.length != 0) resize = false;
    value_seal(value, resize ? new_length(transaction, database, id) : value->header.length);
    struct pending pending = {.database = database, .id = id};
    int code = record_put(database, transaction->txn, id, value, &pending.rid);
    bool moved = database->type == DB_HEAP && pending.rid.pgno != database->heap.rid[id.kind][id.index].pgno;
    if (code == 0 && moved) transaction->pending[transaction->pending_count++] = pending;
    return code;
}

// For records that are about to be written: without locking libdb refuses the flag.
static uint32_t reading_to_write(const struct workload *workload) {
    return workload->transactional && !workload->options->no_locking ? DB_RMW : 0;
}

// The next number of this writer's slot, in both databases: equal before, equal after.
static int step_sequence(struct transaction *transaction, struct database *database) {
    struct writer *writer = transaction->writer;
    struct record_id id = {KIND_SEQUENCE, writer->slot};
    uint32_t lock = reading_to_write(writer->workload);
    int code = record_get(database, transaction->txn, id, &transaction->value, lock);
    if (code == DB_NOTFOUND) fail("%s: sequence record %u is gone", database->file, writer->slot);
    if (code != 0) return code;
    if (transaction->value.header.seq != writer->seq)
        fail("%s: sequence %llu, this writer committed %llu", database->file,
            (unsigned long long)transaction->value.header.seq, (unsigned long long)writer->seq);
    return put(transaction, database, id, false);
}

static int add_to_account(struct transaction *transaction, struct database *database, int64_t amount) {
    struct writer *writer = transaction->writer;
    struct record_id id = {KIND_ACCOUNT, random_below(&writer->random, writer->workload->accounts)};
    uint32_t lock = reading_to_write(writer->workload);
    int code = record_get(database, transaction->txn, id, &transaction->value, lock);
    if (code == DB_NOTFOUND) fail("%s: account %llu is gone", database->file, (unsigned long long)id.index);
    if (code != 0) return code;
    transaction->value.header.balance += amount;
    return put(transaction, database, id, random_below(&writer->random, 4) == 0);
}

// Inserts an absent record; updates or deletes a present one. A writer touches only its own slot's share of
// the extras, so what is in memory about them (heap addresses) has one owner.
static int toggle_extra(struct transaction *transaction, struct database *database) {
    struct writer *writer = transaction->writer;
    uint64_t share = writer->workload->extras / SLOTS;
    struct record_id id = {KIND_EXTRA, random_below(&writer->random, share) * SLOTS + writer->slot};
    uint32_t lock = reading_to_write(writer->workload);
    int code = record_get(database, transaction->txn, id, &transaction->value, lock);
    if (code == DB_NOTFOUND) {
        transaction->value.header = (struct value_header){.kind = KIND_EXTRA, .index = id.index};
        return put(transaction, database, id, true);
    }
    if (code != 0) return code;
    if (random_below(&writer->random, 2) == 0) return put(transaction, database, id, true);
    code = record_delete(database, transaction->txn, id);
    if (code == 0 && database->type == DB_HEAP)
        transaction->pending[transaction->pending_count++] = (struct pending){.database = database, .id = id};
    return code;
}

static int use_queue(struct transaction *transaction, struct database *database) {
    struct writer *writer = transaction->writer;
    bool full = writer->queued > writer->workload->extras / SLOTS;
    if (random_below(&writer->random, 4) < (full ? 3 : 1)) {
        int code = queue_consume(database, transaction->txn, &transaction->value);
        if (code == 0) transaction->queued--;
        return code == DB_NOTFOUND ? 0 : code;
    }
    struct record_id id = {KIND_ITEM, transaction->seq};
    transaction->value.header = (struct value_header){.kind = KIND_ITEM, .index = id.index};
    int code;
    transaction->value.header.seq = transaction->seq;
    transaction->value.header.stamp = transaction->stamp;
    value_seal(&transaction->value, new_length(transaction, database, id));
    code = queue_append(database, transaction->txn, &transaction->value);
    if (code == 0) transaction->queued++;
    return code;
}

static int change(struct transaction *transaction) {
    struct workload *workload = transaction->writer->workload;
    struct database *databases = workload->databases;
    int64_t amount = (int64_t)random_below(&transaction->writer->random, 201) - 100;
    int code = add_to_account(transaction, &databases[0], -amount);
    if (code == 0) code = add_to_account(transaction, &databases[1], amount);
    for (unsigned i = 0; i < workload->database_count && code == 0; i++)
        code = databases[i].consumes ? use_queue(transaction, &databases[i])
                                     : toggle_extra(transaction, &databases[i]);
    for (int i = 0; i < 2 && code == 0; i++) code = step_sequence(transaction, &databases[i]);
    return code;
}

static void apply(const struct transaction *transaction) {
    struct writer *writer = transaction->writer;
    for (unsigned i = 0; i < transaction->pending_count; i++) {
        const struct pending *pending = &transaction->pending[i];
        record_placed(pending->database, pending->id, &pending->rid);
    }
    int64_t queued = (int64_t)writer->queued + transaction->queued;
    writer->queued = queued > 0 ? (uint64_t)queued : 0;
    writer->seq = transaction->seq;
    atomic_store(&writer->workload->committed_seq[writer->slot], writer->seq);
}

int transaction_run(struct writer *writer, bool abort) {
    // Large, and one per thread.
    static _Thread_local struct transaction transaction;
    transaction.writer = writer;
    transaction.txn = NULL;
    transaction.seq = writer->seq + 1;
    transaction.stamp = wall_ns();
    transaction.pending_count = 0;
    transaction.queued = 0;
    struct workload *workload = writer->workload;
    if (workload->transactional) {
        int code = workload->env->txn_begin(workload->env, NULL, &transaction.txn, 0);
        if (code != 0) return code;
    }
    int code = change(&transaction);
    DB_TXN *txn = transaction.txn;
    if (txn != NULL && (code != 0 || abort)) {
        int aborted = txn->abort(txn);
        return aborted != 0 ? aborted : code;
    }
    if (txn != NULL) code = txn->commit(txn, 0);
    if (code == 0) apply(&transaction);
    return code;
}
