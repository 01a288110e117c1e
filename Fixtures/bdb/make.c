/*
 * Makes one small Berkeley DB environment, closes it, and prints what libdb says of it: the facts that the
 * parsers' tests compare with. Usage: make HOME PAGESIZE checksum|plain ORDER [encrypt] [absolute=PATH]
 * METHODS...
 */
#include <db.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check(int ret, const char *what)
{
    if (ret != 0) {
        fprintf(stderr, "%s: %s\n", what, db_strerror(ret));
        exit(1);
    }
}

struct options {
    const char *home, *absolute;
    unsigned page_size;
    int checksum, order, encrypt;
};

static DB_ENV *open_environment(const struct options *o)
{
    DB_ENV *env;
    check(db_env_create(&env, 0), "env_create");
    env->set_errfile(env, stderr);
    if (o->encrypt) check(env->set_encrypt(env, "varve fixture", DB_ENCRYPT_AES), "set_encrypt");
    check(env->set_lg_bsize(env, 8192), "set_lg_bsize");
    check(env->set_lg_max(env, o->page_size > 8192 ? 3 * o->page_size : 40960), "set_lg_max");
    check(env->open(env, o->home, DB_CREATE | DB_INIT_MPOOL | DB_INIT_TXN | DB_INIT_LOCK | DB_INIT_LOG, 0644),
        "env open");
    return env;
}

struct subject {
    const char *method, *file, *name;
    DBTYPE type;
    unsigned extent, partitions;
};

static const struct subject subjects[] = {
    { "btree", "btree.db", NULL, DB_BTREE, 0, 0 },
    { "hash", "hash.db", NULL, DB_HASH, 0, 0 },
    { "recno", "recno.db", NULL, DB_RECNO, 0, 0 },
    { "queue", "queue.db", NULL, DB_QUEUE, 0, 0 },
    { "extents", "extents.db", NULL, DB_QUEUE, 2, 0 },
    { "heap", "heap.db", NULL, DB_HEAP, 0, 0 },
    { "several", "several.db", "first", DB_BTREE, 0, 0 },
    { "several", "several.db", "second", DB_HASH, 0, 0 },
    { "partition", "partition.db", NULL, DB_BTREE, 0, 3 },
};

static u_int32_t choose(DB *db, DBT *key)
{
    (void)db;
    return key->size ? ((unsigned char *)key->data)[key->size - 1] : 0;
}

static void fill(DB_ENV *env, DB *db, DBTYPE type, int from, int to)
{
    for (int i = from; i < to; i++) {
        DB_TXN *txn;
        DBT key = { 0 }, data = { 0 };
        DB_HEAP_RID rid;
        db_recno_t number;
        char name[16], value[120];
        memset(value, 'a' + i % 26, sizeof value);
        snprintf(value, sizeof value, "value %d of a fixture", i);
        data.data = value;
        data.size = sizeof value;
        snprintf(name, sizeof name, "key %05d", i * 7919 % 10007);
        key.data = name;
        key.size = (u_int32_t)strlen(name);
        check(env->txn_begin(env, NULL, &txn, 0), "begin");
        if (type == DB_HEAP || type == DB_RECNO || type == DB_QUEUE) {
            key.data = type == DB_HEAP ? (void *)&rid : (void *)&number;
            key.ulen = type == DB_HEAP ? sizeof rid : sizeof number;
            key.size = 0;
            key.flags = DB_DBT_USERMEM;
            check(db->put(db, txn, &key, &data, DB_APPEND), "append");
        } else {
            check(db->put(db, txn, &key, &data, 0), "put");
        }
        check(i % 10 == 9 ? txn->abort(txn) : txn->commit(txn, DB_TXN_WRITE_NOSYNC), "end");
    }
}

static DB *make(DB_ENV *env, const struct options *o, const struct subject *s)
{
    DB *db;
    check(db_create(&db, env, 0), "db_create");
    check(db->set_pagesize(db, o->page_size), "set_pagesize");
    check(db->set_lorder(db, o->order), "set_lorder");
    if (o->encrypt) check(db->set_flags(db, DB_ENCRYPT), "set_flags");
    else if (o->checksum) check(db->set_flags(db, DB_CHKSUM), "set_flags");
    if (s->type == DB_QUEUE) check(db->set_re_len(db, 120), "set_re_len");
    if (s->extent) check(db->set_q_extentsize(db, s->extent), "set_q_extentsize");
    if (s->partitions) check(db->set_partition(db, s->partitions, NULL, choose), "set_partition");
    check(db->open(db, NULL, s->file, s->name, s->type, DB_CREATE | DB_AUTO_COMMIT, 0644), s->file);
    return db;
}

static void report(const struct options *o)
{
    DB_ENV *env = open_environment(o);
    DB_LOGC *cursor;
    DB_LSN lsn, first = { 0, 0 }, last = { 0, 0 };
    DB_TXN_STAT *stat;
    DBT record = { 0 };
    unsigned long count = 0, commits = 0;
    int ret;
    /* Closing the environment left the last records in the log's buffer, in the region files. */
    check(env->log_flush(env, NULL), "log_flush");
    check(env->log_cursor(env, &cursor, 0), "log_cursor");
    for (ret = cursor->get(cursor, &lsn, &record, DB_FIRST); ret == 0;
         ret = cursor->get(cursor, &lsn, &record, DB_NEXT)) {
        u_int32_t word[5];
        if (lsn.file != last.file) {
            if (count) printf("log %u %lu %u %u %lu\n", last.file, count, first.offset, last.offset, commits);
            first = lsn;
            count = commits = 0;
        }
        memcpy(word, record.data, record.size < sizeof word ? record.size : sizeof word);
        if (word[0] == 10 && word[4] == 1) commits++;
        last = lsn;
        count++;
    }
    printf("log %u %lu %u %u %lu\n", last.file, count, first.offset, last.offset, commits);
    check(cursor->close(cursor, 0), "cursor close");
    check(env->txn_stat(env, &stat, 0), "txn_stat");
    printf("checkpoint %u %u\n", stat->st_last_ckp.file, stat->st_last_ckp.offset);
    free(stat);
    check(env->close(env, 0), "close");
}

int main(int argc, char **argv)
{
    struct options o = { 0 };
    DB *open[sizeof subjects / sizeof *subjects] = { 0 };
    const size_t all = sizeof subjects / sizeof *subjects;
    DB_ENV *env;
    if (argc < 6) return 64;
    o.home = argv[1];
    o.page_size = (unsigned)atoi(argv[2]);
    o.checksum = !strcmp(argv[3], "checksum");
    o.order = atoi(argv[4]);
    for (int i = 5; i < argc; i++) {
        if (!strcmp(argv[i], "encrypt")) o.encrypt = 1;
        if (!strncmp(argv[i], "absolute=", 9)) o.absolute = argv[i] + 9;
    }
    env = open_environment(&o);
    for (size_t s = 0; s < all; s++)
        for (int i = 5; i < argc; i++)
            if (!strcmp(argv[i], subjects[s].method)) open[s] = make(env, &o, &subjects[s]);
    if (o.absolute) {
        struct subject elsewhere = { "btree", o.absolute, NULL, DB_BTREE, 0, 0 };
        DB *db = make(env, &o, &elsewhere);
        fill(env, db, DB_BTREE, 0, 3);
        check(db->close(db, 0), "close");
    }
    for (int round = 0; round < 3; round++) {
        for (size_t s = 0; s < all; s++)
            if (open[s]) fill(env, open[s], subjects[s].type, round * 20, round * 20 + 20);
        check(env->txn_checkpoint(env, 0, 0, DB_FORCE), "checkpoint");
    }
    for (size_t s = 0; s < all; s++) {
        if (!open[s]) continue;
        printf("database %s %s %u %d\n", subjects[s].file, subjects[s].method, o.page_size, o.order);
        check(open[s]->close(open[s], 0), "close");
    }
    check(env->close(env, 0), "close");
    report(&o);
    return 0;
}
