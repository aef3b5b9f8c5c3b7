/*
 * store_bdb.c - the engine on Berkeley DB 5.3; db.h is included by it and by store_bdb_*.c alone. In the
 * directory:
 *   lock      held by flock as long as the store is open: one process owns the environment, because Berkeley
 * DB does not survive the death of one of two db/       the environment: log files and one file a table
 *   payload/  large payloads (blob_dir.h)
 *
 * The environment is private to the process (DB_PRIVATE): its shared regions lie in ordinary memory, so there
 * are no region files to be written back, and nothing of them can be left over. Every opening runs normal
 * recovery.
 *
 * commit is Berkeley DB's commit without a sync, which gives the locks back as soon as the commit record is
 * in the log's buffer; flush writes and syncs the log up to its end, once for all who wait. Thereby the hot
 * pages (the ends of the tables ordered by time) are not locked during disk writes. What is behind another's
 * commit in the log cannot become durable before it.
 *
 * DB_RUNRECOVERY: nothing can be done in this process any more; failed() is called, once, and the daemon
 * stops, is restarted and recovers.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/secret.h"
#include "store/blob_dir.h"
#include "store/store_bdb.h"

#define LOG_BUFFER_BYTES (4U * 1024 * 1024)
#define CACHE_MIN_BYTES (4 * 1024 * 1024)
/* A deposit to a thousand recipients touches some pages for each. */
#define LOCKS_MAX 200000
#define LOCK_TABLE 4099 /* hash buckets; made for LOCKS_MAX they would take 40 MB */
#define TXNS_MAX 1000
#define CHECKPOINT_KB (32 * 1024)
#define CHECKPOINT_S 30
#define VALUE_GUESS_BYTES 4096
#define COMPACT_ROWS 8192 /* at a time */
#define COMPACT_WAIT_US 2000
#define MESSAGES_A_MINUTE 10
#define DIRECTORY_MODE 0700

struct engine_txn {
    struct bdb *b;
    DB_TXN *txn;
};

/* ---- errors -------------------------------------------------------------------------------------------- */

static void panic(struct bdb *b)
{
    if (!atomic_exchange(&b->panicked, true)) {
        log_error("store: the database must be recovered; it is closed until the program starts again");
        /* While it is being opened, the opener hears of it by the result. */
        if (b->failed != NULL)
            b->failed(b->failed_arg);
    }
}

enum err bdb_err(struct bdb *b, const char *what, int rc)
{
    switch (rc) {
    case 0:
        return ERR_OK;
    case DB_NOTFOUND:
    case DB_KEYEMPTY:
        return ERR_NOT_FOUND;
    case DB_LOCK_DEADLOCK:
    case DB_LOCK_NOTGRANTED:
        return ERR_BUSY;
    case DB_RUNRECOVERY:
        panic(b);
        return ERR_STORE;
    case ENOMEM:
        return ERR_NOMEM;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return ERR_DISK_FULL;
    default:
        log_error("store: %s: %s", what, db_strerror(rc));
        return ERR_STORE;
    }
}

/* With a full disk there is one for each page, again and again: the first few a minute say it all. */
static void on_message(const DB_ENV *env, const char *prefix, const char *message)
{
    struct bdb *b = env->app_private;
    int_fast64_t minute = clock_mono_ms() / 60000;

    (void)prefix;
    if (atomic_exchange(&b->message_minute, minute) != minute)
        atomic_store(&b->messages, 0);
    if (atomic_fetch_add(&b->messages, 1) < MESSAGES_A_MINUTE)
        log_warning("store: Berkeley DB: %s", message);
}

static void on_event(DB_ENV *env, u_int32_t event, void *info)
{
    (void)info;
    if (event == DB_EVENT_PANIC)
        panic(env->app_private);
}

/* ---- transactions -------------------------------------------------------------------------------------- */

static DBT dbt_of(struct span s)
{
    DBT d;

    memset(&d, 0, sizeof d);
    d.data = (void *)(uintptr_t)s.ptr; /* Berkeley DB only reads it */
    d.size = (u_int32_t)s.len;
    return d;
}

static enum err begin(struct engine *e, u_int32_t flags, struct engine_txn **out)
{
    struct bdb *b = (struct bdb *)e;
    struct engine_txn *t = calloc(1, sizeof *t);
    enum err err;

    if (t == NULL)
        return ERR_NOMEM;
    t->b = b;
    err = bdb_err(b, "begin", b->env->txn_begin(b->env, NULL, &t->txn, DB_TXN_NOSYNC | flags));
    if (err == ERR_OK)
        *out = t;
    else
        free(t);
    return err;
}

static enum err bdb_begin(struct engine *e, struct engine_txn **out)
{
    return begin(e, 0, out);
}

static enum err bdb_begin_yielding(struct engine *e, struct engine_txn **out)
{
    return begin(e, DB_TXN_NOWAIT, out);
}

static enum err get(struct bdb *b, DB_TXN *txn, enum engine_table table, struct span key, u_int32_t flags,
                    struct buf *out)
{
    DBT k = dbt_of(key), v;
    size_t want = VALUE_GUESS_BYTES;
    int rc;

    buf_clear(out);
    memset(&v, 0, sizeof v);
    v.flags = DB_DBT_USERMEM;
    for (;;) {
        if ((v.data = buf_reserve(out, want)) == NULL)
            return ERR_NOMEM;
        v.ulen = (u_int32_t)want;
        rc = b->table[table]->get(b->table[table], txn, &k, &v, flags);
        if (rc != DB_BUFFER_SMALL || v.size <= want)
            break;
        want = v.size;
    }
    if (rc == 0)
        buf_added(out, v.size);
    return bdb_err(b, "get", rc);
}

static enum err bdb_get(struct engine_txn *t, enum engine_table table, struct span key, bool update,
                        struct buf *out)
{
    return get(t->b, t->txn, table, key, update ? DB_RMW : 0, out);
}

static enum err bdb_put(struct engine_txn *t, enum engine_table table, struct span key, struct span value)
{
    DBT k = dbt_of(key), v = dbt_of(value);

    return bdb_err(t->b, "put", t->b->table[table]->put(t->b->table[table], t->txn, &k, &v, 0));
}

/* Deleting leaves the bytes in the page until others come: a secret is written over with zeros of the same
 * length first, which happens in its place. */
static enum err overwrite(struct engine_txn *t, enum engine_table table, struct span key)
{
    struct buf value;
    enum err err;

    buf_init_secret(&value, ENGINE_KEY_MAX + BDB_PAGE_BYTES);
    err = get(t->b, t->txn, table, key, DB_RMW, &value);
    if (err == ERR_OK && value.len > 0) {
        memset(value.data, 0, value.len);
        err = bdb_put(t, table, key, buf_span(&value));
    }
    buf_free(&value);
    return err;
}

static enum err bdb_del(struct engine_txn *t, enum engine_table table, struct span key)
{
    DBT k = dbt_of(key);
    enum err err;

    if (engine_table_secret(table) && (err = overwrite(t, table, key)) != ERR_OK)
        return err;
    return bdb_err(t->b, "delete", t->b->table[table]->del(t->b->table[table], t->txn, &k, 0));
}

static enum err bdb_commit(struct engine_txn *t)
{
    struct bdb *b = t->b;
    int rc = t->txn->commit(t->txn, DB_TXN_NOSYNC); /* ends the handle whatever it says */

    free(t);
    return bdb_err(b, "commit", rc);
}

static void bdb_abort(struct engine_txn *t)
{
    bdb_err(t->b, "abort", t->txn->abort(t->txn));
    free(t);
}

static enum err flush_log(void *arg)
{
    struct bdb *b = arg;

    return bdb_err(b, "flush of the log", b->env->log_flush(b->env, NULL));
}

/* Group commit. (Berkeley DB's own groups only those who arrive during the disk's sync: half as many.) */
static enum err bdb_flush(struct engine *e)
{
    struct bdb *b = (struct bdb *)e;

    return group_sync_run(&b->flush, flush_log, b);
}

/* ---- scans --------------------------------------------------------------------------------------------- */

static bool in_range(const DBT *key, struct span from, struct span until, bool descending)
{
    struct span bound = descending ? from : until;
    size_t len = key->size < bound.len ? key->size : bound.len;
    int c = len == 0 ? 0 : memcmp(key->data, bound.ptr, len);

    if (c == 0)
        c = key->size < bound.len ? -1 : key->size > bound.len;
    return descending ? c >= 0 : bound.len == 0 || c < 0;
}

/* Where a scan begins: at the first row not before from, or at the last one before until. */
static int scan_start(DBC *cursor, DBT *key, DBT *value, struct span from, struct span until, bool descending)
{
    struct span start = descending ? until : from;
    int rc;

    if (start.len == 0)
        return cursor->get(cursor, key, value, descending ? DB_LAST : DB_FIRST);
    *key = dbt_of(start);
    rc = cursor->get(cursor, key, value, DB_SET_RANGE);
    if (!descending)
        return rc;
    return rc == DB_NOTFOUND ? cursor->get(cursor, key, value, DB_LAST)
           : rc == 0         ? cursor->get(cursor, key, value, DB_PREV)
                             : rc;
}

static enum err bdb_scan(struct engine *e, enum engine_table table, struct span from, struct span until,
                         bool descending, size_t max, struct engine_rows *rows)
{
    struct bdb *b = (struct bdb *)e;
    DBC *cursor = NULL;
    DBT key, value;
    enum err err = ERR_OK;
    int rc, closed;

    engine_rows_clear(rows);
    rc = b->table[table]->cursor(b->table[table], NULL, &cursor, 0);
    if (rc != 0)
        return bdb_err(b, "cursor", rc);
    /* Key and value lie in the cursor's own memory until its next get; one lock at a time is held. */
    memset(&key, 0, sizeof key);
    memset(&value, 0, sizeof value);
    rc = scan_start(cursor, &key, &value, from, until, descending);
    while (rc == 0 && rows->count < max && in_range(&key, from, until, descending)) {
        err = engine_rows_add(rows, span_bytes(key.data, key.size), span_bytes(value.data, value.size));
        if (err != ERR_OK || rows->count == max)
            break;
        rc = cursor->get(cursor, &key, &value, descending ? DB_PREV : DB_NEXT);
    }
    closed = cursor->close(cursor);
    if (rc == DB_NOTFOUND)
        rc = 0;
    if (rc == 0)
        rc = closed;
    if (err == ERR_OK)
        err = bdb_err(b, "scan", rc);
    return err;
}

/* A cursor holds one lock, but moving it may collide all the same. */
static enum err bdb_scan_again(struct engine *e, enum engine_table table, struct span from, struct span until,
                               bool descending, size_t max, struct engine_rows *rows)
{
    enum err err = ERR_BUSY;

    for (int tries = 0; tries < 100 && err == ERR_BUSY; tries++)
        err = bdb_scan(e, table, from, until, descending, max, rows);
    return err == ERR_BUSY ? ERR_STORE : err;
}

/* ---- blobs --------------------------------------------------------------------------------------------- */

static enum err bdb_blob_create(struct engine *e, struct engine_blob **out)
{
    return blob_dir_create(((struct bdb *)e)->blobs, out);
}

static enum err bdb_blob_open(struct engine *e, const uint8_t id[ENGINE_BLOB_ID_BYTES], int *fd,
                              uint64_t *size)
{
    struct bdb *b = (struct bdb *)e;

    return bdb_keeps_blob(b, id) ? ERR_NOT_FOUND : blob_dir_open_blob(b->blobs, id, fd, size);
}

static enum err bdb_blob_remove(struct engine *e, const uint8_t id[ENGINE_BLOB_ID_BYTES])
{
    struct bdb *b = (struct bdb *)e;

    return bdb_keep_blob(b, id) ? ERR_OK : blob_dir_remove(b->blobs, id);
}

static enum err bdb_blob_walk_begin(struct engine *e, struct engine_blob_walk **out)
{
    return blob_dir_walk_begin(((struct bdb *)e)->blobs, out);
}

static enum err bdb_space(struct engine *e, uint64_t *free_bytes, uint64_t *total_bytes)
{
    return blob_dir_space(((struct bdb *)e)->blobs, free_bytes, total_bytes);
}

/* ---- compaction ---------------------------------------------------------------------------------------- */

/* The key of the row some thousands behind `at`; empty when there is none. */
static enum err find_stop(struct bdb *b, DB *db, struct span at, struct buf *stop)
{
    DBT key = dbt_of(at), nothing;
    DBC *cursor;
    int rc = db->cursor(db, NULL, &cursor, 0), closed;
    enum err err = ERR_OK;

    if (rc != 0)
        return bdb_err(b, "cursor", rc);
    memset(&nothing, 0, sizeof nothing);
    nothing.flags = DB_DBT_PARTIAL;
    rc = cursor->get(cursor, &key, &nothing, at.len > 0 ? DB_SET_RANGE : DB_FIRST);
    for (int i = 0; rc == 0 && i < COMPACT_ROWS; i++)
        rc = cursor->get(cursor, &key, &nothing, DB_NEXT);
    if (rc == 0)
        err = buf_append(stop, key.data, key.size);
    closed = cursor->close(cursor);
    if (err == ERR_OK && rc != DB_NOTFOUND)
        err = bdb_err(b, "compact", rc);
    return err == ERR_OK ? bdb_err(b, "compact", closed) : err;
}

/* Rows move to fewer and lower pages, and the free ones at the file's end are cut off. Berkeley DB does it in
 * transactions of its own, of a few pages each. At the beginning of each call it sorts the list of free
 * pages, which takes it 10 us a page, and who needs another page of this table waits as long: so a call is
 * not to be too small. */
static enum err bdb_compact(struct engine *e, enum engine_table table, struct buf *at, uint64_t *pages)
{
    struct bdb *b = (struct bdb *)e;
    DB *db = b->table[table];
    DB_COMPACT c = {.compact_timeout = COMPACT_WAIT_US};
    struct buf stop;
    DBT from, until;
    enum err err = ERR_OK;

    /* A table that is copied is not to become shorter meanwhile. */
    if (pthread_mutex_trylock(&b->keep.tables) != 0)
        return ERR_OK;
    buf_init(&stop, ENGINE_KEY_MAX);
    if (!engine_table_secret(table))
        err = find_stop(b, db, buf_span(at), &stop);
    if (err == ERR_OK && !engine_table_secret(table)) {
        from = dbt_of(buf_span(at));
        until = dbt_of(buf_span(&stop));
        err = bdb_err(b, "compact",
                      db->compact(db, NULL, at->len > 0 ? &from : NULL, stop.len > 0 ? &until : NULL, &c,
                                  DB_FREE_SPACE, NULL));
        /* It is what the file lost since before, and wraps when the file grew meanwhile. */
        if (c.compact_pages_truncated <= INT32_MAX)
            *pages += c.compact_pages_truncated;
    }
    buf_clear(at);
    if (err == ERR_OK)
        err = buf_append_span(at, buf_span(&stop));
    buf_free(&stop);
    pthread_mutex_unlock(&b->keep.tables);
    return err;
}

/* ---- checkpoints --------------------------------------------------------------------------------------- */

/* Keeps recovery short and the log small: what was destroyed is gone for good once its log files are. */
static void checkpoint(struct bdb *b, u_int32_t kbytes, u_int32_t flags)
{
    if (bdb_err(b, "checkpoint", b->env->txn_checkpoint(b->env, kbytes, 0, flags)) == ERR_OK)
        bdb_remove_logs(b);
}

static void *checkpoint_loop(void *arg)
{
    struct bdb *b = arg;
    struct timespec until;
    unsigned seconds = 0;

    pthread_mutex_lock(&b->mutex);
    while (!b->stop) {
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec++;
        if (pthread_cond_timedwait(&b->wake, &b->mutex, &until) != ETIMEDOUT)
            continue;
        pthread_mutex_unlock(&b->mutex);
        seconds = (seconds + 1) % CHECKPOINT_S;
        if (!atomic_load(&b->panicked))
            checkpoint(b, seconds == 0 ? 1 : CHECKPOINT_KB, 0);
        pthread_mutex_lock(&b->mutex);
    }
    pthread_mutex_unlock(&b->mutex);
    return NULL;
}

static enum err start_checkpoints(struct bdb *b)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&b->wake, &attr);
    pthread_condattr_destroy(&attr);
    b->thread_runs = pthread_create(&b->thread, NULL, checkpoint_loop, b) == 0;
    return b->thread_runs ? ERR_OK : ERR_NOMEM;
}

static void stop_checkpoints(struct bdb *b)
{
    if (!b->thread_runs)
        return;
    pthread_mutex_lock(&b->mutex);
    b->stop = true;
    pthread_cond_signal(&b->wake);
    pthread_mutex_unlock(&b->mutex);
    pthread_join(b->thread, NULL);
    pthread_cond_destroy(&b->wake);
}

/* ---- opening ------------------------------------------------------------------------------------------- */

static enum err why_errno(struct buf *why, const char *path)
{
    buf_printf(why, "%s: %s", path, strerror(errno));
    return err_from_errno(errno);
}

static enum err make_directory(const char *path, struct buf *why)
{
    return mkdir(path, DIRECTORY_MODE) == 0 || errno == EEXIST ? ERR_OK : why_errno(why, path);
}

static enum err take_lock(struct bdb *b, const char *path, struct buf *why)
{
    b->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, BDB_FILE_MODE);
    if (b->lock_fd < 0)
        return why_errno(why, path);
    if (flock(b->lock_fd, LOCK_EX | LOCK_NB) == 0)
        return ERR_OK;
    if (errno != EWOULDBLOCK)
        return why_errno(why, path);
    buf_printf(why, "%s: another process has the store open", path);
    return ERR_EXISTS;
}

/* Its lines would override what is set here, silently. */
static enum err refuse_foreign_config(const char *home, struct buf *why)
{
    char path[PATH_MAX];
    struct stat st;

    snprintf(path, sizeof path, "%s/DB_CONFIG", home);
    if (lstat(path, &st) != 0)
        return errno == ENOENT ? ERR_OK : why_errno(why, path);
    buf_printf(why, "%s: settings of the database belong into restante.conf; remove this file", path);
    return ERR_CONFIG;
}

/* Pages of the cache come from here, and are written with whatever lies in their free part: letters and keys
 * that were in that memory before must not. */
static void *zeroed(size_t size)
{
    return calloc(1, size);
}

static enum err open_env(struct bdb *b, const char *home, int64_t cache_bytes, bool backup, struct buf *why)
{
    u_int32_t flags = DB_CREATE | DB_INIT_MPOOL | DB_INIT_LOCK | DB_INIT_LOG | DB_INIT_TXN |
                      (backup ? DB_RECOVER_FATAL : DB_RECOVER) | DB_PRIVATE | DB_THREAD;
    DB_ENV *env;
    int rc;

    if ((rc = db_env_set_func_malloc(zeroed)) != 0 || (rc = db_env_create(&b->env, 0)) != 0) {
        buf_printf(why, "Berkeley DB: %s", db_strerror(rc));
        return bdb_err(b, "create", rc);
    }
    env = b->env;
    env->app_private = b;
    env->set_errcall(env, on_message);
    if (cache_bytes < CACHE_MIN_BYTES)
        cache_bytes = CACHE_MIN_BYTES;
    if ((rc = env->set_event_notify(env, on_event)) != 0 ||
        (rc = env->set_cachesize(env, (u_int32_t)(cache_bytes >> 30), (u_int32_t)(cache_bytes & 0x3fffffff),
                                 1)) != 0 ||
        (rc = env->set_lg_max(env, BDB_LOG_FILE_BYTES)) != 0 ||
        (rc = env->set_lg_bsize(env, LOG_BUFFER_BYTES)) != 0 ||
        (rc = env->set_lg_filemode(env, BDB_FILE_MODE)) != 0 ||
        (rc = env->set_lk_detect(env, DB_LOCK_MINWRITE)) != 0 ||
        (rc = env->set_lk_max_locks(env, LOCKS_MAX)) != 0 ||
        (rc = env->set_lk_max_objects(env, LOCKS_MAX)) != 0 ||
        (rc = env->set_lk_tablesize(env, LOCK_TABLE)) != 0 || (rc = env->set_tx_max(env, TXNS_MAX)) != 0 ||
        (rc = env->open(env, home, flags, BDB_FILE_MODE)) != 0) {
        buf_printf(why, "%s: %s", home, db_strerror(rc));
        return bdb_err(b, "open", rc);
    }
    return ERR_OK;
}

static void bdb_close(struct engine *e)
{
    struct bdb *b = (struct bdb *)e;

    stop_checkpoints(b);
    if (b->thread_runs && !atomic_load(&b->panicked))
        checkpoint(b, 0, DB_FORCE);
    for (int i = 0; i < TABLE_COUNT; i++)
        if (b->table[i] != NULL)
            b->table[i]->close(b->table[i], 0);
    if (b->env != NULL)
        b->env->close(b->env, 0);
    blob_dir_close(b->blobs);
    if (b->lock_fd >= 0)
        close(b->lock_fd);
    pthread_mutex_destroy(&b->mutex);
    group_sync_free(&b->flush);
    bdb_keep_free(b);
    free(b);
}

static const struct engine_ops bdb_ops = {
    .close = bdb_close,
    .begin = bdb_begin,
    .begin_yielding = bdb_begin_yielding,
    .get = bdb_get,
    .put = bdb_put,
    .del = bdb_del,
    .commit = bdb_commit,
    .abort = bdb_abort,
    .flush = bdb_flush,
    .scan = bdb_scan_again,
    .blob_create = bdb_blob_create,
    .blob_write = blob_dir_write,
    .blob_patch = blob_dir_patch,
    .blob_read = blob_dir_read,
    .blob_keep = blob_dir_keep,
    .blob_abort = blob_dir_abort,
    .blob_open = bdb_blob_open,
    .blob_remove = bdb_blob_remove,
    .blob_walk_begin = bdb_blob_walk_begin,
    .blob_walk_next = blob_dir_walk_next,
    .blob_walk_end = blob_dir_walk_end,
    .compact = bdb_compact,
    .space = bdb_space,
    .backup = bdb_backup,
};

enum err bdb_open_files(const char *directory, int64_t cache_bytes, enum bdb_opening how, struct bdb **out,
                        struct buf *why)
{
    char lock[PATH_MAX], home[PATH_MAX - 16], payload[PATH_MAX];
    struct bdb *b = calloc(1, sizeof *b);
    enum err err;

    if (b == NULL)
        return ERR_NOMEM;
    b->engine.ops = &bdb_ops;
    b->lock_fd = -1;
    pthread_mutex_init(&b->mutex, NULL);
    group_sync_init(&b->flush);
    bdb_keep_init(b, directory);
    if (snprintf(home, sizeof home, "%s/db", directory) >= (int)sizeof home) {
        bdb_close(&b->engine);
        return ERR_TOO_LARGE;
    }
    snprintf(lock, sizeof lock, "%s/lock", directory);
    snprintf(payload, sizeof payload, "%s/payload", directory);
    if ((err = make_directory(directory, why)) != ERR_OK || (err = take_lock(b, lock, why)) != ERR_OK ||
        (err = make_directory(home, why)) != ERR_OK || (err = refuse_foreign_config(home, why)) != ERR_OK ||
        (err = blob_dir_open(payload, &b->blobs)) != ERR_OK ||
        (err = open_env(b, home, cache_bytes, how == BDB_BACKUP, why)) != ERR_OK ||
        (how != BDB_NO_TABLES && (err = bdb_open_tables(b, why)) != ERR_OK)) {
        bdb_close(&b->engine);
        return err;
    }
    *out = b;
    return ERR_OK;
}

enum err engine_bdb_recover(const char *directory, int64_t cache_bytes, struct buf *why)
{
    struct bdb *b = NULL;
    enum err err = bdb_open_files(directory, cache_bytes, BDB_BACKUP, &b, why);

    if (err != ERR_OK)
        return err;
    err = bdb_err(b, "checkpoint", b->env->txn_checkpoint(b->env, 0, 0, DB_FORCE));
    bdb_close(&b->engine);
    return err;
}

enum err engine_bdb_open(const char *directory, int64_t cache_bytes, void (*failed)(void *arg),
                         void *failed_arg, struct engine **out, struct buf *why)
{
    struct bdb *b = NULL;
    enum err err = bdb_open_files(directory, cache_bytes, BDB_USUAL, &b, why);

    if (err != ERR_OK)
        return err;
    b->failed_arg = failed_arg;
    b->failed = failed; /* before the checkpoint thread reads it */
    if ((err = start_checkpoints(b)) != ERR_OK) {
        bdb_close(&b->engine);
        return err;
    }
    *out = &b->engine;
    return ERR_OK;
}
