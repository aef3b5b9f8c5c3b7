/*
 * store_bdb_tables.c - the files of the tables: opened, and whether they are all there and whole.
 *
 * A table whose file is gone would be made anew, empty, and its letters would be taken for such as never
 * were. So their names stand in the table meta once they are made, and one that is named is never made again;
 * only check --repair takes out names, of tables that it can fill from the others.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/kill.h"
#include "base/log.h"
#include "store/store_bdb.h"

#define NAMES_KEY "tables"
#define NAMES_MAX 1024

/* What can be made anew from the records of other tables. */
static bool is_derived(enum engine_table t)
{
    switch (t) {
    case TABLE_CREATED:
    case TABLE_TIMER:
    case TABLE_WRAP:
    case TABLE_DEDUPE:
    case TABLE_LETTER:
    case TABLE_WORK_DUE:
    case TABLE_JOB_DUE:
    case TABLE_QUOTA:
    case TABLE_TALLY:
        return true;
    default:
        return false;
    }
}

static void file_name(enum engine_table t, char out[64])
{
    snprintf(out, 64, "%s.db", engine_table_name(t));
}

static void file_path(const struct bdb *b, enum engine_table t, char out[PATH_MAX + 80])
{
    snprintf(out, PATH_MAX + 80, "%s/db/%s.db", b->keep.directory, engine_table_name(t));
}

static bool is_there(const struct bdb *b, enum engine_table t)
{
    char path[PATH_MAX + 80];

    file_path(b, t, path);
    return access(path, F_OK) == 0 || errno != ENOENT;
}

/* ---- names --------------------------------------------------------------------------------------------- */

static DBT dbt(const void *data, size_t len)
{
    DBT d;

    memset(&d, 0, sizeof d);
    d.data = (void *)(uintptr_t)data; /* Berkeley DB only reads it */
    d.size = (u_int32_t)len;
    return d;
}

/* " meta ticket ... "; "" of a store that has none yet. */
static enum err read_names(struct bdb *b, char out[NAMES_MAX])
{
    DBT key = dbt(NAMES_KEY, sizeof NAMES_KEY - 1), value = dbt(out, 0);
    int rc;

    value.ulen = NAMES_MAX - 1;
    value.flags = DB_DBT_USERMEM;
    rc = b->table[TABLE_META]->get(b->table[TABLE_META], NULL, &key, &value, 0);
    out[rc == 0 ? value.size : 0] = '\0';
    return rc == DB_NOTFOUND ? ERR_OK : bdb_err(b, "names of tables", rc);
}

static bool has_name(const char *names, enum engine_table t)
{
    char word[64];

    snprintf(word, sizeof word, " %s ", engine_table_name(t));
    return strstr(names, word) != NULL;
}

/* Those of all tables, without some. */
static enum err write_names(struct bdb *b, const char *before, const bool *without)
{
    DBT key = dbt(NAMES_KEY, sizeof NAMES_KEY - 1), value;
    char names[NAMES_MAX] = " ";
    size_t len = 1;

    for (int i = 0; i < TABLE_COUNT; i++)
        if (without == NULL || !without[i])
            len += (size_t)snprintf(names + len, sizeof names - len, "%s ",
                                    engine_table_name((enum engine_table)i));
    if (strcmp(names, before) == 0)
        return ERR_OK;
    value = dbt(names, len);
    return bdb_err(b, "names of tables",
                   b->table[TABLE_META]->put(b->table[TABLE_META], NULL, &key, &value, 0));
}

/* The store opens for nobody but a repair until what was put aside is made anew. */
static enum err write_mark(struct bdb *b)
{
    DBT key = dbt(ENGINE_REPAIRING_KEY, sizeof ENGINE_REPAIRING_KEY - 1), value = dbt("yes", 3);

    return bdb_err(b, "mark of a repair",
                   b->table[TABLE_META]->put(b->table[TABLE_META], NULL, &key, &value, 0));
}

/* ---- opening ------------------------------------------------------------------------------------------- */

static enum err open_table(struct bdb *b, enum engine_table t, struct buf *why)
{
    char name[64];
    int rc;

    file_name(t, name);
    if ((rc = db_create(&b->table[t], b->env, 0)) == 0 &&
        (rc = b->table[t]->set_pagesize(b->table[t], BDB_PAGE_BYTES)) == 0)
        rc = b->table[t]->open(b->table[t], NULL, name, NULL, DB_BTREE,
                               DB_CREATE | DB_AUTO_COMMIT | DB_THREAD, BDB_FILE_MODE);
    if (rc != 0)
        buf_printf(why, "%s: %s", name, db_strerror(rc));
    return bdb_err(b, name, rc);
}

static enum err missing(const struct bdb *b, enum engine_table t, struct buf *why)
{
    char path[PATH_MAX + 80];

    file_path(b, t, path);
    buf_printf(why, "%s is missing: %s", path,
               is_derived(t) ? "restantectl check --repair makes it anew, while restante-fetchd does not run"
                             : "put it back, or go back to a backup (restantectl restore)");
    return ERR_STORE;
}

enum err bdb_open_tables(struct bdb *b, struct buf *why)
{
    char names[NAMES_MAX];
    enum err err;

    if (!is_there(b, TABLE_META) && is_there(b, TABLE_TICKET))
        return missing(b, TABLE_META, why);
    if ((err = open_table(b, TABLE_META, why)) != ERR_OK)
        return err;
    if ((err = read_names(b, names)) != ERR_OK) {
        buf_append_str(why, "the table meta is damaged");
        return err;
    }
    for (int i = TABLE_META + 1; i < TABLE_COUNT && err == ERR_OK; i++)
        if (has_name(names, (enum engine_table)i) && !is_there(b, (enum engine_table)i))
            err = missing(b, (enum engine_table)i, why);
    for (int i = TABLE_META + 1; i < TABLE_COUNT && err == ERR_OK; i++)
        err = open_table(b, (enum engine_table)i, why);
    return err == ERR_OK ? write_names(b, names, NULL) : err;
}

/* ---- looking ------------------------------------------------------------------------------------------- */

/* *damaged: its pages do not fit together. An error says nothing about that: of descriptors that are used up,
 * or a disk that does not answer, no table is to go. */
static enum err verify_table_file(struct bdb *b, enum engine_table t, bool *damaged, struct buf *why)
{
    char name[64];
    DB *db = NULL;
    int rc = db_create(&db, b->env, 0);
    enum err err;

    file_name(t, name);
    if (rc == 0)
        rc = db->verify(db, name, NULL, NULL, 0); /* which ends the handle */
    *damaged = rc == DB_VERIFY_BAD || rc == DB_PAGE_NOTFOUND;
    if (*damaged || rc == 0)
        return ERR_OK;
    buf_printf(why, "%s/db/%s cannot be looked at: %s", b->keep.directory, name, db_strerror(rc));
    err = bdb_err(b, name, rc);
    return err == ERR_STORE && rc > 0 ? ERR_IO : err;
}

static enum err put_aside(const struct bdb *b, enum engine_table t, const char *quarantine)
{
    char from[PATH_MAX + 80], to[PATH_MAX + 80];

    file_path(b, t, from);
    snprintf(to, sizeof to, "%s/%s.db.%lld", quarantine, engine_table_name(t), (long long)clock_now_s());
    if ((mkdir(quarantine, 0700) != 0 && errno != EEXIST) || rename(from, to) != 0) {
        log_error("store: %s: %s", from, strerror(errno));
        return err_from_errno(errno);
    }
    return ERR_OK;
}

static enum err look_at_table(struct bdb *b, const struct engine_look *l, enum engine_table t, bool named,
                              bool *anew, struct buf *why)
{
    bool there = is_there(b, t), mend = l->mend && is_derived(t) && b->table[TABLE_META] != NULL;
    bool damaged = false;
    enum err err = there ? verify_table_file(b, t, &damaged, why) : ERR_OK;

    if (err != ERR_OK || (there && !damaged) || (!there && !named))
        return err;
    if (mend) {
        bdb_keep_forget(b); /* its logs know nothing of that */
        err = write_mark(b);
    }
    if (err == ERR_OK && mend && there)
        err = put_aside(b, t, l->quarantine);
    *anew = mend && err == ERR_OK;
    l->each(l->arg, t, !there, is_derived(t), *anew);
    return err;
}

/* META says which tables there have to be, and that some are to be made anew: it is opened when it is whole.
 */
static enum err look_at_meta(struct bdb *b, const struct engine_look *l, char names[NAMES_MAX],
                             struct buf *why)
{
    bool there = is_there(b, TABLE_META), damaged = false;
    enum err err = there ? verify_table_file(b, TABLE_META, &damaged, why) : ERR_OK;

    if (err == ERR_OK && (damaged || (!there && is_there(b, TABLE_TICKET))))
        l->each(l->arg, TABLE_META, !there, false, false);
    if (err == ERR_OK && there && !damaged && (err = open_table(b, TABLE_META, why)) == ERR_OK)
        err = read_names(b, names);
    return err;
}

enum err engine_bdb_look(const char *directory, int64_t cache_bytes, const struct engine_look *l,
                         struct buf *why)
{
    char names[NAMES_MAX] = "", path[PATH_MAX + 80];
    bool unnamed[TABLE_COUNT] = {false}, any = false;
    struct bdb *b = NULL;
    enum err err;

    snprintf(path, sizeof path, "%s/db", directory);
    if (access(path, F_OK) != 0)
        return ERR_OK; /* there is no store yet */
    if ((err = bdb_open_files(directory, cache_bytes, BDB_NO_TABLES, &b, why)) != ERR_OK)
        return err;
    /* What recovery brought back has to be in the files, and no log that is needed may speak of one that
     * goes. */
    err = bdb_err(b, "checkpoint", b->env->txn_checkpoint(b->env, 0, 0, DB_FORCE));
    if (err == ERR_OK)
        err = look_at_meta(b, l, names, why);
    for (int i = TABLE_META + 1; i < TABLE_COUNT && err == ERR_OK; i++) {
        bool named = has_name(names, (enum engine_table)i), anew = false;

        err = look_at_table(b, l, (enum engine_table)i, named, &anew, why);
        any = any || anew;
        /* Nor one that this version is the first to have: it is named once it is made. */
        unnamed[i] = anew || (!named && !is_there(b, (enum engine_table)i));
    }
    if (any && names[0] != '\0' && err == ERR_OK)
        err = write_names(b, names, unnamed);
    if (any)
        KILL_POINT("check-tables-after");
    if (err != ERR_OK && why->len == 0)
        buf_append_str(why, err_text(err));
    b->engine.ops->close(&b->engine);
    return err;
}
