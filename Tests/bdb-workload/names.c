// An application that creates, renames, removes and rebuilds its databases all the time. What it does is a function
// of the seed and a number that counts the transactions, so a restored environment tells by one record which
// state it has to be in, and `names-check` computes that state and compares it.
#include "workload.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SLOT_COUNT = 5, KINDS = 3, NAMES = SLOT_COUNT * KINDS, KEYS = 48, ROUND = 12, PAD = 300 };

struct table {
    bool exists;
    uint32_t tag[KEYS]; // 0: no such record
};
struct model {
    struct table tables[NAMES];
};

enum action { PUT, CREATE, REMOVE, RENAME, SWAP, BACK_UP, TRUNCATE, RELOAD };
// One transaction: what it does, to which names, and whether it is aborted in the end.
struct step {
    enum action action;
    int a, b, c;
    bool aborts;
    uint32_t keys[ROUND];
};

static const char *name_of(int table) {
    static const char *const names[NAMES] = {
        "a.db", "a.new", "a.bak", "b.db", "b.new", "b.bak", "sub/c.db", "sub/c.new", "sub/c.bak",
        "d.db", "d.new", "d.bak", "e.db", "e.new", "e.bak",
    };
    return names[table];
}

static int pick(struct random *random, const struct model *model, bool exists) {
    int found[NAMES], count = 0;
    for (int i = 0; i < NAMES; i++)
        if (model->tables[i].exists == exists) found[count++] = i;
    return count == 0 ? -1 : found[random_below(random, (uint64_t)count)];
}

static struct step plan(const struct model *model, uint64_t seed, uint64_t number) {
    struct random random = {random_mix(seed * 1000003u + number)};
    struct step step = {.action = PUT, .a = -1, .b = -1, .c = -1};
    for (int i = 0; i < ROUND; i++) step.keys[i] = (uint32_t)random_below(&random, KEYS);
    step.aborts = random_below(&random, 12) == 0;
    int existing = pick(&random, model, true), absent = pick(&random, model, false);
    int slot = (int)random_below(&random, SLOT_COUNT) * KINDS;
    bool main = model->tables[slot].exists, new = model->tables[slot + 1].exists;
    uint64_t choice = random_below(&random, 100);
    step.a = existing;
    if (existing < 0 || (choice < 10 && absent >= 0)) {
        step.action = CREATE;
        step.a = absent;
    } else if (choice < 22 && main && !new) {
        step.action = RELOAD;
        step.a = slot;
        step.b = slot + 1;
    } else if (choice < 36 && main && new) {
        step.action = choice & 1 ? SWAP : BACK_UP;
        step.a = slot;
        step.b = slot + 1;
        step.c = slot + 2;
    } else if (choice < 46 && absent >= 0) {
        step.action = RENAME;
        step.b = absent;
    } else if (choice < 51) {
        step.action = REMOVE;
    } else if (choice < 54) {
        step.action = TRUNCATE;
    }
    return step;
}

static void move(struct model *model, int from, int to) {
    model->tables[to] = model->tables[from];
    memset(&model->tables[from], 0, sizeof model->tables[from]);
}

static void apply(struct model *model, const struct step *step, uint64_t number) {
    if (step->aborts) return;
    struct table *a = &model->tables[step->a];
    switch (step->action) {
    case CREATE: a->exists = true; // fall through
    case PUT:
        for (int i = 0; i < ROUND; i++) a->tag[step->keys[i]] = (uint32_t)number;
        break;
    case REMOVE: memset(a, 0, sizeof *a); break;
    case RENAME: move(model, step->a, step->b); break;
    case SWAP: move(model, step->b, step->a); break;
    case BACK_UP:
        move(model, step->a, step->c);
        move(model, step->b, step->a);
        break;
    case TRUNCATE: memset(a->tag, 0, sizeof a->tag); break;
    case RELOAD: model->tables[step->b] = *a; break;
    }
}

struct application {
    DB_ENV *env;
    DB *numbers;
    DB *open[NAMES];
    struct model model;
};

static void must(int code, const char *what, const char *name) {
    if (code != 0) fail("%s %s: %s", what, name, db_strerror(code));
}

static DB *table_open(DB_ENV *env, DB_TXN *txn, const char *name, uint32_t flags) {
    DB *db = NULL;
    must(db_create(&db, env, 0), "db_create", name);
    must(db->set_pagesize(db, 1024), "set_pagesize", name);
    must(db->open(db, txn, name, NULL, DB_BTREE, flags, 0644), "open", name);
    return db;
}

static void table_close(struct application *application, int table) {
    DB *db = application->open[table];
    if (db == NULL) return;
    application->open[table] = NULL;
    must(db->close(db, 0), "close", name_of(table));
}

static void put(DB *db, DB_TXN *txn, uint32_t key, uint32_t tag, const char *name) {
    char value[PAD];
    memset(value, 'a' + (int)(tag % 26), sizeof value);
    memcpy(value, &tag, sizeof tag);
    DBT k = {.data = &key, .size = sizeof key}, v = {.data = value, .size = sizeof value};
    must(db->put(db, txn, &k, &v, 0), "put", name);
}

static void rename_table(struct application *application, DB_TXN *txn, int from, int to) {
    table_close(application, from);
    must(application->env->dbrename(application->env, txn, name_of(from), NULL, name_of(to), 0), "rename",
        name_of(from));
}

static void remove_table(struct application *application, DB_TXN *txn, int table) {
    table_close(application, table);
    must(application->env->dbremove(application->env, txn, name_of(table), NULL, 0), "remove", name_of(table));
}

static void fill(struct application *application, DB_TXN *txn, const struct step *step, uint64_t number) {
    int table = step->action == RELOAD ? step->b : step->a;
    const char *name = name_of(table);
    bool creates = step->action != PUT;
    DB *db = creates ? table_open(application->env, txn, name, DB_CREATE | DB_EXCL) : application->open[table];
    if (db == NULL) application->open[table] = db = table_open(application->env, NULL, name, DB_AUTO_COMMIT);
    if (step->action == RELOAD) {
        for (uint32_t key = 0; key < KEYS; key++) {
            uint32_t tag = application->model.tables[step->a].tag[key];
            if (tag != 0) put(db, txn, key, tag, name);
        }
    } else {
        for (int i = 0; i < ROUND; i++) put(db, txn, step->keys[i], (uint32_t)number, name);
    }
    // Opened in the transaction: closed before it ends.
    if (creates) must(db->close(db, 0), "close", name);
}

static void run_step(struct application *application, const struct step *step, uint64_t number) {
    DB_ENV *env = application->env;
    DB_TXN *txn = NULL;
    if (step->action == TRUNCATE && application->open[step->a] == NULL)
        application->open[step->a] = table_open(env, NULL, name_of(step->a), DB_AUTO_COMMIT);
    must(env->txn_begin(env, NULL, &txn, 0), "txn_begin", "");
    uint32_t count;
    switch (step->action) {
    case PUT:
    case CREATE:
    case RELOAD: fill(application, txn, step, number); break;
    case REMOVE: remove_table(application, txn, step->a); break;
    case RENAME: rename_table(application, txn, step->a, step->b); break;
    case BACK_UP:
        table_close(application, step->b);
        if (application->model.tables[step->c].exists) remove_table(application, txn, step->c);
        rename_table(application, txn, step->a, step->c);
        rename_table(application, txn, step->b, step->a);
        break;
    case SWAP:
        remove_table(application, txn, step->a);
        rename_table(application, txn, step->b, step->a);
        break;
    case TRUNCATE: {
        DB *db = application->open[step->a];
        must(db->truncate(db, txn, &count, 0), "truncate", name_of(step->a));
        break;
    }
    }
    uint32_t key = 0;
    uint64_t next = number;
    DBT k = {.data = &key, .size = sizeof key}, v = {.data = &next, .size = sizeof next};
    if (step->aborts) {
        must(txn->abort(txn), "abort", "");
        txn = NULL;
        must(env->txn_begin(env, NULL, &txn, 0), "txn_begin", "");
    }
    must(application->numbers->put(application->numbers, txn, &k, &v, 0), "put", "numbers");
    must(txn->commit(txn, 0), "commit", "");
}

static atomic_bool stop;
static void on_signal(int signal) {
    (void)signal;
    atomic_store(&stop, true);
}

int command_names(const struct options *options) {
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    struct application *application = calloc(1, sizeof *application);
    if (application == NULL) fail("out of memory");
    application->env = environment_open(options, ACCESS_APPLICATION);
    char path[4096];
    snprintf(path, sizeof path, "%s/sub", options->home);
    mkdir(path, 0755);
    application->numbers = table_open(application->env, NULL, "numbers", DB_CREATE | DB_AUTO_COMMIT);
    FILE *progress = options->progress != NULL ? fopen(options->progress, "a") : NULL;
    uint64_t start = monotonic_ns(), checkpointed = start, number = 0;
    uint64_t steps = options->steps > 3 ? options->steps : UINT64_MAX;
    while (!atomic_load(&stop) && number < steps) {
        uint64_t now = monotonic_ns();
        if (options->seconds > 0 && (double)(now - start) > options->seconds * 1e9) break;
        if (now - checkpointed > options->checkpoint_ms * 1000000u) {
            must(application->env->txn_checkpoint(application->env, 0, 0, DB_FORCE), "checkpoint", "");
            checkpointed = monotonic_ns();
        }
        number++;
        struct step step = plan(&application->model, options->seed, number);
        run_step(application, &step, number);
        apply(&application->model, &step, number);
        if (progress != NULL) {
            fprintf(progress, "%llu %llu\n", (unsigned long long)monotonic_ns(), (unsigned long long)number);
            fflush(progress);
        }
        if (number == 40 && options->ready != NULL) fclose(fopen(options->ready, "w"));
        if (options->rate > 0) sleep_ms(&stop, 1000 / options->rate);
    }
    for (int i = 0; i < NAMES; i++) table_close(application, i);
    must(application->numbers->close(application->numbers, 0), "close", "numbers");
    environment_close(application->env);
    printf("{\"ok\": true, \"seq\": %llu}\n", (unsigned long long)number);
    return EXIT_OK;
}

static uint64_t stored_number(DB_ENV *env) {
    DB *db = table_open(env, NULL, "numbers", DB_RDONLY);
    uint32_t key = 0;
    uint64_t number = 0;
    DBT k = {.data = &key, .size = sizeof key};
    DBT v = {.data = &number, .ulen = sizeof number, .flags = DB_DBT_USERMEM};
    int code = db->get(db, NULL, &k, &v, 0);
    if (code != 0 && code != DB_NOTFOUND) must(code, "get", "numbers");
    must(db->close(db, 0), "close", "numbers");
    return number;
}

static unsigned compare_table(DB_ENV *env, const struct table *table, const char *name) {
    DB *db = NULL;
    must(db_create(&db, env, 0), "db_create", name);
    int code = db->open(db, NULL, name, NULL, DB_BTREE, DB_RDONLY, 0);
    if (code != 0) {
        printf("%s: %s\n", name, db_strerror(code));
        return 1;
    }
    unsigned wrong = 0;
    for (uint32_t key = 0; key < KEYS; key++) {
        char value[PAD] = {0};
        DBT k = {.data = &key, .size = sizeof key};
        DBT v = {.data = value, .ulen = sizeof value, .flags = DB_DBT_USERMEM};
        code = db->get(db, NULL, &k, &v, 0);
        uint32_t tag = 0;
        if (code == 0) memcpy(&tag, value, sizeof tag);
        if (tag != table->tag[key]) {
            if (wrong++ == 0) printf("%s: record %u is of %u, not of %u\n", name, key, tag, table->tag[key]);
        }
    }
    must(db->close(db, 0), "close", name);
    return wrong;
}

// Prints what differs from the state that `numbers` calls for; exit code 1 if anything does.
int command_names_check(const struct options *options) {
    DB_ENV *env = environment_open(options, ACCESS_READ);
    uint64_t number = stored_number(env);
    struct model *model = calloc(1, sizeof *model);
    if (model == NULL) fail("out of memory");
    for (uint64_t i = 1; i <= number; i++) {
        struct step step = plan(model, options->seed, i);
        apply(model, &step, i);
    }
    unsigned wrong = 0;
    for (int i = 0; i < NAMES; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", options->home, name_of(i));
        bool is_there = access(path, F_OK) == 0;
        if (is_there != model->tables[i].exists) {
            printf("%s: %s\n", name_of(i), is_there ? "is there, but was removed" : "is missing");
            wrong++;
        } else if (is_there) {
            wrong += compare_table(env, &model->tables[i], name_of(i));
        }
    }
    environment_close(env);
    printf("{\"ok\": %s, \"seq\": %llu}\n", wrong == 0 ? "true" : "false", (unsigned long long)number);
    return wrong == 0 ? EXIT_OK : EXIT_FAILED;
}
