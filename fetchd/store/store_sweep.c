/*
 * store_sweep.c - the steps of sweep.h, and the words store_expire and store_purge, which are made of the
 * same ones.
 *
 * A step reads some rows in their order, then treats them in one transaction: a commit for each would cost
 * more than all that is done in it. When one of them cannot be done, or others are at the same records, each
 * is done by itself, so that one damaged record keeps nobody else from his end.
 */
#include "store/sweep.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/kill.h"
#include "base/log.h"
#include "store/store_handover.h"
#include "store/store_job.h"
#include "store/store_policy.h"

#define BATCH 32         /* rows in a transaction: others may wait for all of them */
#define ORPHANS_BATCH 64 /* files looked at in a step */
#define DAY_S 86400
#define OVER_KEPT_S (30 * DAY_S)   /* an entry or token whose time is over is still listed so long */
#define DOMAIN_KEPT_S (90 * DAY_S) /* an answer that nobody asked for again */
#define SEEN_KEPT_S (400 * DAY_S)  /* a domain that nothing came from */
/* Records; and a quarter of what is left: the more is free, the longer does a call of the engine take. */
#define COMPACT_REMOVED_MIN 5000
#define COMPACT_AGAIN_PAGES 1000 /* a pass that gave back so much is worth another */
#define COMPACT_PASSES_MAX 4
#define COMPACT_QUIET_MS 10000

/* ---- batches ------------------------------------------------------------------------------------------- */

struct batch;
/* One row of a batch, in a change. ERR_NOT_FOUND: nothing is to be done with it (any more), and nothing was.
 */
typedef enum err (*batch_one)(struct change *c, struct batch *b, struct span key);

struct batch {
    struct store *s;
    batch_one one;
    enum engine_table table;
    int64_t now_s;
    size_t id_len; /* of a timer's key */
    struct engine_rows rows;
    struct span alone; /* the key of the row that is done by itself */
    size_t count;      /* done by the last change */
    bool put_off;      /* the last row was only put off: it does not count */
    size_t done, damaged;
    struct ticket_record *r; /* scratch */
};

static enum err run_all(struct change *c, void *arg)
{
    struct batch *b = arg;
    struct span key, value;
    enum err err = ERR_OK;

    b->count = 0;
    b->rows.at = 0;
    while (err == ERR_OK && engine_rows_next(&b->rows, &key, &value)) {
        b->put_off = false;
        err = b->one(c, b, key);
        if (err == ERR_OK)
            b->count += !b->put_off;
        else if (err == ERR_NOT_FOUND)
            err = ERR_OK;
    }
    if (err == ERR_OK)
        KILL_POINT("sweep-commit-before");
    return err;
}

static enum err run_alone(struct change *c, void *arg)
{
    struct batch *b = arg;

    b->put_off = false;
    return b->one(c, b, b->alone);
}

static bool may_pass_over(enum err err)
{
    return err == ERR_NOT_FOUND || err == ERR_STORE || err == ERR_STORE_FORMAT || err == ERR_INTERNAL;
}

static enum err run_one_by_one(struct batch *b)
{
    size_t next = 0;
    struct span key, value;
    enum err err = ERR_OK;

    b->rows.at = 0;
    while (err == ERR_OK && engine_rows_next(&b->rows, &key, &value)) {
        next = b->rows.at;
        b->alone = key;
        err = store_change_lazy(b->s, run_alone, b);
        b->rows.at = next;
        if (err == ERR_OK)
            b->done += !b->put_off;
        else if (may_pass_over(err)) {
            b->damaged += err != ERR_NOT_FOUND;
            err = ERR_OK;
        }
    }
    return err;
}

static enum err batch_run(struct batch *b)
{
    enum err err = store_change_yielding(b->s, run_all, b);

    if (err == ERR_OK)
        b->done += b->count;
    else if (err == ERR_BUSY || may_pass_over(err))
        err = run_one_by_one(b);
    return err;
}

static enum err batch_init(struct batch *b, struct store *s)
{
    memset(b, 0, sizeof *b);
    b->s = s;
    engine_rows_init(&b->rows);
    b->r = malloc(sizeof *b->r);
    return b->r == NULL ? ERR_NOMEM : ERR_OK;
}

static void batch_free(struct batch *b)
{
    engine_rows_free(&b->rows);
    free(b->r);
}

/* Where the rows behind those of the last scan begin. */
static enum err go_on_behind(struct engine_rows *rows, struct buf *at)
{
    struct span key, value, last = {NULL, 0};
    enum err err;

    rows->at = 0;
    while (engine_rows_next(rows, &key, &value))
        last = key;
    buf_clear(at);
    err = buf_append_span(at, last);
    return err == ERR_OK ? buf_append_char(at, '\0') : err;
}

/* ---- timers -------------------------------------------------------------------------------------------- */

static enum err one_expiry(struct change *c, struct batch *b, struct span key)
{
    uint8_t id[TICKET_STORE_KEY_BYTES];
    int64_t timer_s;
    enum err err = record_key_timer_parse(key, sizeof id, &timer_s, id)
                       ? change_ticket_expire(c, id, b->now_s, b->r)
                       : ERR_STORE;

    b->put_off = err == ERR_OK && !ticket_state_ended(b->r->t.state);
    return err;
}

static enum err one_ticket(struct change *c, struct batch *b, struct span key)
{
    uint8_t id[TICKET_STORE_KEY_BYTES];
    int64_t timer_s;
    enum err err;

    if (!record_key_timer_parse(key, sizeof id, &timer_s, id))
        return ERR_STORE;
    memset(b->r, 0, sizeof *b->r);
    err = change_ticket_get(c, id, b->r);
    if (err == ERR_OK && b->r->timer_s != timer_s)
        err = ERR_NOT_FOUND; /* somebody was faster */
    if (err == ERR_OK)
        err = change_ticket_purge(c, b->r);
    if (err == ERR_OK)
        KILL_POINT("purge-commit-before");
    return err;
}

static enum err one_job(struct change *c, struct batch *b, struct span key)
{
    uint8_t id[JOB_ID_BYTES];
    int64_t timer_s;
    enum err err;

    (void)b;
    if (!record_key_timer_parse(key, sizeof id, &timer_s, id))
        return ERR_STORE;
    err = change_job_purge(c, id, timer_s);
    if (err == ERR_OK)
        KILL_POINT("purge-commit-before");
    return err;
}

static enum err one_spent(struct change *c, struct batch *b, struct span key)
{
    uint8_t id[SPENT_KEY_BYTES];
    int64_t timer_s;

    (void)b;
    return record_key_timer_parse(key, sizeof id, &timer_s, id) ? change_spent_purge(c, id, timer_s)
                                                                : ERR_STORE;
}

static enum err one_correspondent(struct change *c, struct batch *b, struct span key)
{
    uint8_t id[SPENT_KEY_BYTES];
    int64_t timer_s;

    (void)b;
    return record_key_timer_parse(key, sizeof id, &timer_s, id) ? change_correspondent_purge(c, id, timer_s)
                                                                : ERR_STORE;
}

static const struct timer_row {
    enum timer_kind kind;
    batch_one one;
    int64_t early_s; /* "past expires_s": at that very second a ticket still lives */
} timer_rows[] = {
    {TIMER_EXPIRE, one_expiry, 1},
    {TIMER_PURGE_TICKET, one_ticket, 0},
    {TIMER_PURGE_JOB, one_job, 0},
    {TIMER_PURGE_SPENT, one_spent, 0},
    {TIMER_PURGE_CORRESPONDENT, one_correspondent, 0},
};
enum { EXPIRY, PURGES, TIMERS_END = sizeof timer_rows / sizeof *timer_rows };

/* The timers of one kind that stand behind *at (empty: the first), at most max. *more: there may be more. */
static enum err timer_step(struct batch *b, const struct timer_row *row, struct buf *at, int64_t now_s,
                           size_t max, bool *more)
{
    struct record_key from = record_key_timer(row->kind, 0, NULL, 0),
                      until = record_key_timer(row->kind, now_s + 1 - row->early_s, NULL, 0);
    enum err err = at->len > 0 ? ERR_OK : buf_append_span(at, record_key_span(&from));

    b->one = row->one;
    b->now_s = now_s;
    if (err == ERR_OK)
        err = b->s->engine->ops->scan(b->s->engine, TABLE_TIMER, buf_span(at), record_key_span(&until), false,
                                      max, &b->rows);
    *more = err == ERR_OK && b->rows.count == max;
    if (err == ERR_OK && b->rows.count > 0)
        err = batch_run(b);
    if (err == ERR_OK && *more)
        err = go_on_behind(&b->rows, at);
    else
        buf_clear(at);
    return err;
}

/* ---- the words ----------------------------------------------------------------------------------------- */

static enum err all_timers(struct store *s, int first, int end, int64_t now_s, size_t max, size_t *count)
{
    struct batch b;
    struct buf at;
    enum err err = batch_init(&b, s);

    buf_init(&at, ENGINE_KEY_MAX + 1);
    for (int i = first; i < end && err == ERR_OK; i++)
        for (bool more = true; more && b.done < max && err == ERR_OK;)
            err = timer_step(&b, &timer_rows[i], &at, now_s, max - b.done < BATCH ? max - b.done : BATCH,
                             &more);
    *count = b.done;
    buf_free(&at);
    batch_free(&b);
    return err;
}

enum err store_expire(struct store *s, int64_t now_s, size_t max, size_t *count)
{
    size_t n = 0;
    enum err err = all_timers(s, EXPIRY, EXPIRY + 1, now_s, max, &n), flushed = ERR_OK;

    /* Who is told of an end hears nothing that a crash could take back. */
    if (n > 0)
        flushed = store_flush(s);
    KILL_POINT("expire-commit-after");
    *count = n;
    return err == ERR_OK ? flushed : err;
}

enum err store_purge(struct store *s, int64_t now_s, size_t max, size_t *count)
{
    size_t n = 0;
    enum err err = all_timers(s, PURGES, TIMERS_END, now_s, max, &n);

    if (err == ERR_OK)
        err = store_attempts_purge(s, now_s, max, &n);
    *count = n;
    return err;
}

/* ---- a sweeper ----------------------------------------------------------------------------------------- */

enum { TASKS_MAX = 16 };

struct store_sweeper {
    struct store *s;
    struct batch b;
    struct buf at[TASKS_MAX]; /* where each task goes on */
    int64_t due_s[TASKS_MAX];
    int turn;
    int timer; /* of the purges, under way */
    struct engine_blob_walk *walk;
    int table, passes; /* compaction */
    uint64_t pages, removed;
    int64_t wanted_s; /* since when there is much to gain; 0: there is not */
};

static enum err expire_step(struct store_sweeper *w, struct buf *at, int64_t now_s, struct store_swept *done,
                            bool *more)
{
    enum err err = timer_step(&w->b, &timer_rows[EXPIRY], at, now_s, BATCH, more), flushed = ERR_OK;

    done->expired += w->b.done;
    if (w->b.done > 0) {
        flushed = store_flush(w->s);
        KILL_POINT("expire-commit-after");
    }
    return err == ERR_OK ? flushed : err;
}

static enum err purge_step(struct store_sweeper *w, struct buf *at, int64_t now_s, struct store_swept *done,
                           bool *more)
{
    enum err err;

    if (w->timer < PURGES)
        w->timer = PURGES;
    err = timer_step(&w->b, &timer_rows[w->timer], at, now_s, BATCH, more);
    if (!*more && ++w->timer < TIMERS_END)
        *more = true;
    else if (!*more)
        w->timer = PURGES;
    done->purged += w->b.done;
    return err;
}

static enum err attempts_step(struct store_sweeper *w, struct buf *at, int64_t now_s,
                              struct store_swept *done, bool *more)
{
    size_t n = 0;
    enum err err = store_attempts_purge(w->s, now_s, BATCH, &n);

    (void)at;
    done->purged += n;
    *more = n == BATCH;
    return err;
}

/* ---- rows whose time is over --------------------------------------------------------------------------- */

static enum err one_row(struct change *c, struct batch *b, struct span key)
{
    const struct engine_ops *ops = b->s->engine->ops;
    enum err err = ops->get(c->txn, b->table, key, true, &c->value);

    if (err == ERR_OK && !policy_row_over(b->table, buf_span(&c->value), b->now_s))
        err = ERR_NOT_FOUND; /* it is there for longer now */
    return err == ERR_OK ? ops->del(c->txn, b->table, key) : err;
}

/* Only what is over stays among the rows: the others need no lock. */
static enum err keep_over(struct batch *b, int64_t now_s, struct buf *last)
{
    struct engine_rows over;
    struct span key, value;
    enum err err = ERR_OK;

    engine_rows_init(&over);
    b->rows.at = 0;
    buf_clear(last);
    while (err == ERR_OK && engine_rows_next(&b->rows, &key, &value)) {
        if (policy_row_over(b->table, value, now_s))
            err = engine_rows_add(&over, key, span_bytes(NULL, 0));
        buf_clear(last);
        if (err == ERR_OK)
            err = buf_append_span(last, key);
    }
    engine_rows_free(&b->rows);
    b->rows = over;
    return err == ERR_OK ? buf_append_char(last, '\0') : err;
}

static enum err rows_step(struct store_sweeper *w, enum engine_table table, struct buf *at, int64_t over_s,
                          struct store_swept *done, bool *more)
{
    struct batch *b = &w->b;
    enum err err;

    b->one = one_row;
    b->table = table;
    b->now_s = over_s;
    err = w->s->engine->ops->scan(w->s->engine, table, buf_span(at), span_bytes(NULL, 0), false, 4 * BATCH,
                                  &b->rows);
    *more = err == ERR_OK && b->rows.count == 4 * BATCH;
    if (err == ERR_OK && b->rows.count > 0)
        err = keep_over(b, b->now_s, at);
    if (err == ERR_OK && b->rows.count > 0)
        err = batch_run(b);
    done->purged += b->done;
    if (err != ERR_OK || !*more)
        buf_clear(at);
    return err;
}

static enum err entries_step(struct store_sweeper *w, struct buf *at, int64_t now_s, struct store_swept *done,
                             bool *more)
{
    return rows_step(w, TABLE_ENTRY, at, now_s - OVER_KEPT_S, done, more);
}

static enum err tokens_step(struct store_sweeper *w, struct buf *at, int64_t now_s, struct store_swept *done,
                            bool *more)
{
    return rows_step(w, TABLE_TOKEN, at, now_s - OVER_KEPT_S, done, more);
}

static enum err domains_step(struct store_sweeper *w, struct buf *at, int64_t now_s, struct store_swept *done,
                             bool *more)
{
    return rows_step(w, TABLE_DOMAIN, at, now_s - DOMAIN_KEPT_S, done, more);
}

static enum err seen_step(struct store_sweeper *w, struct buf *at, int64_t now_s, struct store_swept *done,
                          bool *more)
{
    return rows_step(w, TABLE_SEEN, at, now_s - SEEN_KEPT_S, done, more);
}

/* ---- orphans ------------------------------------------------------------------------------------------- */

/* A file that no record names, and that nobody is about to name: first asked whether it is under way, for who
 * ceases to be has committed or removed it. */
static enum err sweep_file(struct store_sweeper *w, const uint8_t id[ENGINE_BLOB_ID_BYTES],
                           struct store_swept *done)
{
    char hex[ENCODE_HEX_LEN(ENGINE_BLOB_ID_BYTES) + 1];
    struct buf value;
    enum err err;

    if (grace_held(w->s->keeping, span_bytes(id, ENGINE_BLOB_ID_BYTES)))
        return ERR_OK;
    buf_init(&value, STORE_VALUE_MAX);
    err = store_read(w->s, TABLE_PAYLOAD, span_bytes(id, ENGINE_BLOB_ID_BYTES), &value);
    buf_free(&value);
    if (err != ERR_NOT_FOUND)
        return err;
    err = w->s->engine->ops->blob_remove(w->s->engine, id);
    if (err == ERR_NOT_FOUND)
        return ERR_OK; /* its payload was released just now */
    if (err == ERR_OK) {
        encode_hex(id, ENGINE_BLOB_ID_BYTES, hex);
        log_info("store: payload file %s belonged to no payload and was removed", hex);
        done->orphans++;
    }
    return err;
}

static enum err orphans_step(struct store_sweeper *w, struct buf *at, int64_t now_s, struct store_swept *done,
                             bool *more)
{
    const struct engine_ops *ops = w->s->engine->ops;
    uint8_t id[ENGINE_BLOB_ID_BYTES];
    enum err err = w->walk != NULL ? ERR_OK : ops->blob_walk_begin(w->s->engine, &w->walk);

    (void)at;
    (void)now_s;
    for (int i = 0; i < ORPHANS_BATCH && err == ERR_OK; i++) {
        err = ops->blob_walk_next(w->walk, id);
        if (err == ERR_OK)
            err = sweep_file(w, id, done);
    }
    *more = err == ERR_OK;
    if (!*more) {
        ops->blob_walk_end(w->walk);
        w->walk = NULL;
    }
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

/* ---- space --------------------------------------------------------------------------------------------- */

static enum err note_compacted(struct change *c, void *arg)
{
    const uint64_t *removed = arg;

    c->counts.removed -= *removed;
    return ERR_OK;
}

/* Worth it when much was removed since the last time. */
static bool compaction_due(struct store_sweeper *w)
{
    struct store_counts n;
    uint64_t left = 0;

    if (store_count(w->s, &n) != ERR_OK)
        return false;
    for (int i = 0; i < TICKET_STATE_COUNT; i++)
        left += n.tickets[i];
    for (int i = 0; i < JOB_STATE_COUNT; i++)
        left += n.jobs[i];
    w->removed = n.removed;
    return n.removed >= COMPACT_REMOVED_MIN && n.removed >= left / 4;
}

/* Whoever needs a new page of the table waits for the beginning of each part: not while letters come, unless
 * that goes on for a day. */
static bool may_compact(struct store_sweeper *w, int64_t now_s)
{
    if (w->removed == 0 && !compaction_due(w)) {
        w->removed = 0;
        w->wanted_s = 0;
        return false;
    }
    if (w->wanted_s == 0 || w->wanted_s > now_s)
        w->wanted_s = now_s;
    return now_s - w->wanted_s >= DAY_S ||
           clock_mono_ms() - atomic_load(&w->s->deposited_mono_ms) >= COMPACT_QUIET_MS;
}

/* A part of a table; then the next table. A table that gave back much is gone through again: what lay behind
 * has moved to where there was room before. */
static enum err compact_step(struct store_sweeper *w, struct buf *at, int64_t now_s, struct store_swept *done,
                             bool *more)
{
    uint64_t pages = 0;
    enum err err;

    *more = false;
    if (!may_compact(w, now_s))
        return ERR_OK;
    err = w->s->engine->ops->compact(w->s->engine, (enum engine_table)w->table, at, &pages);
    done->pages += pages;
    w->pages += pages;
    if (err == ERR_OK && at->len == 0) {
        if (w->pages < COMPACT_AGAIN_PAGES || ++w->passes == COMPACT_PASSES_MAX) {
            w->table++;
            w->passes = 0;
        }
        w->pages = 0;
    }
    *more = err == ERR_OK && w->table < TABLE_COUNT;
    if (*more)
        return ERR_OK;
    if (err == ERR_OK)
        err = store_change_lazy(w->s, note_compacted, &w->removed);
    w->removed = 0;
    w->wanted_s = 0;
    w->table = 0;
    buf_clear(at);
    return err;
}

/* ---- tasks --------------------------------------------------------------------------------------------- */

static const struct task {
    int64_t every_s;
    /* at: where it goes on, empty at first; *more: there is more to do now. */
    enum err (*step)(struct store_sweeper *w, struct buf *at, int64_t now_s, struct store_swept *done,
                     bool *more);
} tasks[] = {
    {10, expire_step},     {600, purge_step},     {600, attempts_step},
    {DAY_S, entries_step}, {DAY_S, tokens_step},  {DAY_S, domains_step},
    {DAY_S, seen_step},    {DAY_S, orphans_step}, {60, compact_step},
};
#define TASKS (int)(sizeof tasks / sizeof *tasks)
_Static_assert(sizeof tasks / sizeof *tasks <= TASKS_MAX, "no place for a task");

enum err store_sweeper_create(struct store *s, struct store_sweeper **out)
{
    struct store_sweeper *w = calloc(1, sizeof *w);
    enum err err;

    if (w == NULL)
        return ERR_NOMEM;
    w->s = s;
    for (int i = 0; i < TASKS; i++)
        buf_init(&w->at[i], ENGINE_KEY_MAX + 1);
    err = batch_init(&w->b, s);
    if (err == ERR_OK)
        *out = w;
    else
        store_sweeper_free(w);
    return err;
}

void store_sweeper_free(struct store_sweeper *w)
{
    if (w == NULL)
        return;
    w->s->engine->ops->blob_walk_end(w->walk);
    for (int i = 0; i < TASKS; i++)
        buf_free(&w->at[i]);
    batch_free(&w->b);
    free(w);
}

enum err store_sweep(struct store_sweeper *w, int64_t now_s, struct store_swept *done, int64_t *next_s)
{
    enum err err = ERR_OK;
    bool more = false;
    int task = -1;

    for (int i = 0; i < TASKS; i++)
        if (w->due_s[i] > now_s + tasks[i].every_s)
            w->due_s[i] = now_s; /* the clock went back */
    /* Whose time has come, in turn: no task has to wait for another's end. */
    for (int i = 0; i < TASKS && task < 0; i++)
        if (w->due_s[(w->turn + i) % TASKS] <= now_s)
            task = (w->turn + i) % TASKS;
    if (task >= 0) {
        w->turn = task + 1;
        w->b.done = w->b.damaged = 0;
        err = tasks[task].step(w, &w->at[task], now_s, done, &more);
        done->damaged += w->b.damaged;
        if (err != ERR_OK || !more)
            w->due_s[task] = now_s + tasks[task].every_s;
    }
    *next_s = INT64_MAX;
    for (int i = 0; i < TASKS; i++)
        if (w->due_s[i] < *next_s)
            *next_s = w->due_s[i];
    return err;
}
