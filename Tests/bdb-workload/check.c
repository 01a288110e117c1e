#include "workload.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct check {
    struct database *database;
    uint64_t records, accounts_seen;
    int64_t sum;
    uint64_t seq[SLOTS];
    bool slot_seen[SLOTS];
    unsigned char *account_seen; // one byte an account
};

static void check_account(struct check *check, const struct value_header *header) {
    const char *file = check->database->file;
    if (header->index >= check->database->accounts)
        fail("%s: account %" PRIu64 " never existed", file, header->index);
    if (check->account_seen[header->index]++ != 0)
        fail("%s: account %" PRIu64 " is there twice", file, header->index);
    check->accounts_seen++;
    check->sum += header->balance;
}

static void check_sequence(struct check *check, const struct value_header *header) {
    const char *file = check->database->file;
    if (header->index >= SLOTS) fail("%s: sequence slot %" PRIu64 " never existed", file, header->index);
    if (check->slot_seen[header->index])
        fail("%s: sequence slot %" PRIu64 " is there twice", file, header->index);
    if ((uint64_t)header->balance != check->database->accounts)
        fail("%s: sequence slot %" PRIu64 " names %" PRId64 " accounts, not %" PRIu64, file, header->index,
            header->balance, check->database->accounts);
    check->slot_seen[header->index] = true;
    check->seq[header->index] = header->seq;
}

static bool check_record(void *context, const DBT *key, const DBT *data) {
    struct check *check = context;
    const struct value *value = data->data;
    const char *error = value_error(value, data->size);
    if (error != NULL)
        fail("%s: record %" PRIu64 " of the scan: %s", check->database->file, check->records, error);
    const struct value_header *header = &value->header;
    struct record_id id = {(enum record_kind)header->kind, header->index};
    if (!key_matches(check->database, id, key))
        fail("%s: the value of record %d/%" PRIu64 " is under another's key", check->database->file, id.kind,
            id.index);
    bool belongs = check->database->consumes
                       ? id.kind == KIND_ITEM
                       : id.kind == KIND_EXTRA || (check->database->invariant && id.kind != KIND_ITEM);
    if (!belongs)
        fail("%s: record %d/%" PRIu64 " does not belong here", check->database->file, id.kind, id.index);
    if (id.kind == KIND_ACCOUNT) check_account(check, header);
    if (id.kind == KIND_SEQUENCE) check_sequence(check, header);
    check->records++;
    return true;
}

static void check_database(struct check *check) {
    struct database *database = check->database;
    check->account_seen = calloc(database->accounts + 1, 1);
    if (check->account_seen == NULL) fail("out of memory");
    int code = records_scan(database, check_record, check);
    if (code != 0) fail("%s: reading: %s", database->file, db_strerror(code));
    free(check->account_seen);
    if (!database->invariant) return;
    if (check->accounts_seen != database->accounts)
        fail("%s: %" PRIu64 " of %" PRIu64 " accounts are there", database->file, check->accounts_seen,
            database->accounts);
    for (int slot = 0; slot < SLOTS; slot++)
        if (!check->slot_seen[slot]) fail("%s: sequence slot %d is missing", database->file, slot);
}

// What spans both databases: the sum, and each slot's number. Returns the sum of the numbers.
static uint64_t check_invariant(const struct check *checks) {
    uint64_t accounts = checks[0].database->accounts, seq = 0;
    int64_t sum = checks[0].sum + checks[1].sum, expected = (int64_t)(2 * accounts * START_BALANCE);
    for (int slot = 0; slot < SLOTS; slot++) {
        if (checks[0].seq[slot] != checks[1].seq[slot])
            fail("slot %d: sequence %" PRIu64 " in %s, %" PRIu64 " in %s", slot, checks[0].seq[slot],
                checks[0].database->file, checks[1].seq[slot], checks[1].database->file);
        seq += checks[0].seq[slot];
    }
    if (sum != expected) fail("the sum over both databases is %" PRId64 ", not %" PRId64, sum, expected);
    return seq;
}

int command_check(const struct options *options) {
    if (options->generated) return check_generated(options);
    DB_ENV *env = environment_open(options, ACCESS_READ);
    static struct database databases[MAX_DATABASES];
    static struct check checks[MAX_DATABASES];
    unsigned count = databases_plan(options, databases);
    uint64_t records = 0;
    for (unsigned i = 0; i < count; i++) {
        database_open(&databases[i], env, options, true);
        databases[i].accounts = i < 2 ? stored_accounts(&databases[i]) : databases[0].accounts;
        if (databases[i].accounts == 0)
            fail("%s: no accounts: the initial load is not here", databases[i].file);
        checks[i].database = &databases[i];
        check_database(&checks[i]);
        records += checks[i].records;
    }
    uint64_t seq = check_invariant(checks);
    printf("{\"ok\":true,\"seq\":%" PRIu64 ",\"records\":%" PRIu64 ",\"databases\":{", seq, records);
    for (unsigned i = 0; i < count; i++)
        printf("%s\"%s\":%" PRIu64, i == 0 ? "" : ",", databases[i].name, checks[i].records);
    printf("}}\n");
    databases_close(databases, count);
    environment_close(env);
    return EXIT_OK;
}
