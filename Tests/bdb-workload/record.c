#include "workload.h"

#include <stdio.h>
#include <string.h>

union key_bytes {
    char text[32];
    db_recno_t number;
    DB_HEAP_RID rid;
};

size_t record_text_key(const struct database *database, struct record_id id, char key[32]) {
    unsigned long long index = id.index;
    switch (id.kind) {
    case KIND_ACCOUNT: return (size_t)snprintf(key, 32, "a%08llu", index);
    case KIND_EXTRA: return (size_t)snprintf(key, 32, "x%08llu", index);
    default: break;
    }
    if (index == 0) return (size_t)snprintf(key, 32, "seq");
    // Among the accounts and apart from each other, so that writers of different slots rarely share a page.
    return (size_t)snprintf(key, 32, "a%08llu.seq", (unsigned long long)(database->accounts * index / SLOTS));
}

static db_recno_t record_number(const struct database *database, struct record_id id) {
    uint64_t first[KIND_COUNT] = {1, 1 + SLOTS, 1 + SLOTS + database->accounts, 0};
    return (db_recno_t)(first[id.kind] + id.index);
}

// Page 0 is the heap's own, so a zero page means: no such record.
static bool heap_rid(const struct database *database, struct record_id id, DB_HEAP_RID *rid) {
    if (id.index >= database->heap.count[id.kind])
        fail("%s: no place for record %d/%llu", database->file, id.kind, (unsigned long long)id.index);
    *rid = database->heap.rid[id.kind][id.index];
    return rid->pgno != 0;
}

// False: a heap has no such record.
static bool make_key(const struct database *database, struct record_id id, union key_bytes *bytes, DBT *key) {
    *key = (DBT){.data = bytes, .ulen = sizeof *bytes, .flags = DB_DBT_USERMEM};
    switch (database->type) {
    case DB_RECNO:
    case DB_QUEUE:
        bytes->number = record_number(database, id);
        key->size = sizeof bytes->number;
        return true;
    case DB_HEAP: key->size = DB_HEAP_RID_SZ; return heap_rid(database, id, &bytes->rid);
    default: key->size = (u_int32_t)record_text_key(database, id, bytes->text); return true;
    }
}

bool key_matches(const struct database *database, struct record_id id, const DBT *key) {
    if (database->type == DB_HEAP || id.kind == KIND_ITEM) return true;
    union key_bytes bytes;
    DBT expected;
    make_key(database, id, &bytes, &expected);
    return expected.size == key->size && memcmp(expected.data, key->data, key->size) == 0;
}

int record_get(
    struct database *database, DB_TXN *txn, struct record_id id, struct value *value, uint32_t flags) {
    union key_bytes bytes;
    DBT key, data = {.data = value, .ulen = sizeof *value, .flags = DB_DBT_USERMEM};
    if (!make_key(database, id, &bytes, &key)) return DB_NOTFOUND;
    int code = database->db->get(database->db, txn, &key, &data, flags);
    if (code == DB_KEYEMPTY) return DB_NOTFOUND;
    if (code != 0) return code;
    const char *error = value_error(value, data.size);
    if (error != NULL)
        fail("%s: record %d/%llu: %s", database->file, id.kind, (unsigned long long)id.index, error);
    if (value->header.kind != id.kind || value->header.index != id.index)
        fail("%s: record %d/%llu carries another's value", database->file, id.kind,
            (unsigned long long)id.index);
    return 0;
}

int record_put(
    struct database *database, DB_TXN *txn, struct record_id id, struct value *value, DB_HEAP_RID *placed) {
    union key_bytes bytes;
    DBT key, data = {.data = value, .size = value->header.length};
    bool present = make_key(database, id, &bytes, &key);
    int code = database->db->put(database->db, txn, &key, &data, present ? 0 : DB_APPEND);
    if (placed != NULL) *placed = code == 0 && database->type == DB_HEAP ? bytes.rid : (DB_HEAP_RID){0};
    return code;
}

int record_delete(struct database *database, DB_TXN *txn, struct record_id id) {
    union key_bytes bytes;
    DBT key;
    if (!make_key(database, id, &bytes, &key)) return DB_NOTFOUND;
    int code = database->db->del(database->db, txn, &key, 0);
    return code == DB_KEYEMPTY ? DB_NOTFOUND : code;
}

void record_placed(struct database *database, struct record_id id, const DB_HEAP_RID *rid) {
    if (database->type == DB_HEAP) database->heap.rid[id.kind][id.index] = *rid;
}

int queue_append(struct database *database, DB_TXN *txn, struct value *value) {
    db_recno_t number = 0;
    DBT key = {.data = &number, .ulen = sizeof number, .flags = DB_DBT_USERMEM};
    DBT data = {.data = value, .size = value->header.length};
    return database->db->put(database->db, txn, &key, &data, DB_APPEND);
}

int queue_consume(struct database *database, DB_TXN *txn, struct value *value) {
    db_recno_t number = 0;
    DBT key = {.data = &number, .ulen = sizeof number, .flags = DB_DBT_USERMEM};
    DBT data = {.data = value, .ulen = sizeof *value, .flags = DB_DBT_USERMEM};
    int code = database->db->get(database->db, txn, &key, &data, DB_CONSUME);
    if (code != 0) return code;
    const char *error = value_error(value, data.size);
    if (error != NULL) fail("%s: item %u: %s", database->file, number, error);
    return 0;
}

int records_scan(
    struct database *database, bool (*visit)(void *context, const DBT *key, const DBT *data), void *context) {
    DBC *cursor = NULL;
    int code = database->db->cursor(database->db, NULL, &cursor, 0);
    if (code != 0) return code;
    static _Thread_local struct value value;
    union key_bytes bytes;
    DBT key = {.data = &bytes, .ulen = sizeof bytes, .flags = DB_DBT_USERMEM};
    DBT data = {.data = &value, .ulen = sizeof value, .flags = DB_DBT_USERMEM};
    while ((code = cursor->get(cursor, &key, &data, DB_NEXT)) == 0)
        if (!visit(context, &key, &data)) break;
    int closed = cursor->close(cursor);
    if (code == DB_NOTFOUND) code = 0;
    return code != 0 ? code : closed;
}
