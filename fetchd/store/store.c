/*
 * store.c - opening and closing, the run of a change, and the words that belong to both sides. The words of
 * tickets stand in store_deposit.c, store_ticket.c, store_recall.c, store_work.c and store_look.c, those of
 * jobs in store_job.c, of admission in store_policy.c.
 *
 * Durability in one place: a word's body changes records in a transaction; run_change commits it, which makes
 * it visible and keeps no lock, then flushes the engine's log, which makes it safe from a crash and is shared
 * by everybody who waits at that time; only then the word returns. Between commit and flush others may see
 * the change: their own flush comes later in the same log, so no answer ever rests on what a crash takes
 * back. A word in two halves (store_claim_begin, store_ack_begin) returns after the commit; its caller
 * answers from store_when_durable.
 */
#include "store/store.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/kill.h"
#include "base/log.h"
#include "store/backup.h"
#include "store/later.h"
#include "store/store_count.h"
#include "store/store_handover.h"
#include "store/store_internal.h"
#include "store/store_quota.h"

#define CHANGE_TRIES_MAX 200
#define YIELDING_TRIES_MAX 3
#define CHANGE_PAUSE_MAX_US 4000
#define WALK_PAGE 256
#define BLOBS_MAX 1000               /* that one change gives up */
#define STATES_MAX 65536             /* that tickets enter in one change */
#define NOTES_MAX ((size_t)32 << 20) /* bytes, of one change: each recipient of a deposit is one */

/* ---- opening ------------------------------------------------------------------------------------------- */

enum err store_open_on(const struct store_options *o, struct site_keys *keys, struct engine *engine,
                       struct store **out, struct buf *why)
{
    struct store *s = calloc(1, sizeof *s);
    enum err err = ERR_NOMEM;

    if (s == NULL) {
        engine->ops->close(engine);
        return ERR_NOMEM;
    }
    s->engine = engine;
    s->keys = keys;
    s->record_max_bytes = o->record_max_bytes < STORE_VALUE_MAX ? o->record_max_bytes : STORE_VALUE_MAX;
    s->dedupe_s = o->dedupe_s;
    s->tombstone_s = o->tombstone_s;
    s->disk_floor_percent = o->disk_floor_percent;
    s->repair = o->repair;
    pthread_mutex_init(&s->count_mutex, NULL);
    pthread_mutex_init(&s->epochs_mutex, NULL);
    group_sync_init(&s->flush);
    if ((err = grace_create(&s->work_grace)) != ERR_OK || (err = grace_create(&s->job_grace)) != ERR_OK ||
        (err = grace_create(&s->keeping)) != ERR_OK || (err = later_create(s, &s->later)) != ERR_OK)
        goto out;
    err = store_check(s, why);
    if (err == ERR_OK)
        err = store_handover_open(s, o, why);
out:
    if (err == ERR_OK)
        *out = s;
    else
        store_close(s);
    return err;
}

enum err store_open(const struct store_options *o, struct site_keys *keys, struct store **out,
                    struct buf *why)
{
    struct engine *engine = NULL;
    enum err err = o->engine == STORE_BDB ? store_restore_unfinished(o->directory, why) : ERR_OK;

    if (err != ERR_OK)
        return err;
    if (o->engine == STORE_BDB)
        err = engine_bdb_open(o->directory, o->cache_bytes, o->failed, o->failed_arg, &engine, why);
    else
        err = engine_mem_open(&engine);
    return err == ERR_OK ? store_open_on(o, keys, engine, out, why) : err;
}

void store_close(struct store *s)
{
    if (s == NULL)
        return;
    later_free(s->later);
    handover_free(s->handover);
    s->engine->ops->close(s->engine);
    grace_free(s->work_grace);
    grace_free(s->job_grace);
    grace_free(s->keeping);
    pthread_mutex_destroy(&s->count_mutex);
    pthread_mutex_destroy(&s->epochs_mutex);
    group_sync_free(&s->flush);
    free(s);
}

/* ---- changes ------------------------------------------------------------------------------------------- */

/* Whoever collided waits a little, differently long each time, so that the same two do not collide for ever.
 */
static void pause_after_collision(unsigned tries)
{
    unsigned limit = tries < 12 ? 1U << tries : CHANGE_PAUSE_MAX_US;
    struct timespec pause = {.tv_nsec = 0};

    if (limit > CHANGE_PAUSE_MAX_US)
        limit = CHANGE_PAUSE_MAX_US;
    clock_gettime(CLOCK_MONOTONIC, &pause);
    pause.tv_nsec = (long)(((unsigned long)pause.tv_nsec / 64 % limit + 1) * 1000);
    pause.tv_sec = 0;
    nanosleep(&pause, NULL);
}

static void counts_add(struct store *s, const struct store_counts *d)
{
    pthread_mutex_lock(&s->count_mutex);
    for (int i = 0; i < TICKET_STATE_COUNT; i++)
        s->counts.tickets[i] += d->tickets[i];
    for (int i = 0; i < JOB_STATE_COUNT; i++)
        s->counts.jobs[i] += d->jobs[i];
    s->counts.payloads += d->payloads;
    s->counts.payload_bytes += d->payload_bytes;
    s->counts.work += d->work;
    s->counts.attempts += d->attempts;
    s->counts.removed += d->removed;
    pthread_mutex_unlock(&s->count_mutex);
}

static void log_states(const struct change *c)
{
    for (size_t at = 0; at < c->states.len; at += sizeof(struct state_change)) {
        char id[ENCODE_HEX_LEN(TICKET_A_BYTES) + 1];
        struct state_change state;

        memcpy(&state, c->states.data + at, sizeof state);
        encode_hex(state.a, sizeof state.a, id);
        log_debug("ticket %s: %s -> %s", id, ticket_state_name(state.from), ticket_state_name(state.to));
    }
}

/* From before the commit on, until the files are gone, for whoever looks for files that no record names. */
static void hold_blobs(struct change *c, struct buf *held)
{
    for (size_t at = 0; at < c->blobs.len; at += ENGINE_BLOB_ID_BYTES) {
        struct span id = span_bytes(c->blobs.data + at, ENGINE_BLOB_ID_BYTES);

        if (grace_take(c->s->keeping, id, GRACE_FOR_EVER) && buf_append_span(held, id) != ERR_OK)
            grace_give_back(c->s->keeping, id);
    }
}

static void let_blobs_go(struct store *s, struct buf *held)
{
    for (size_t at = 0; at < held->len; at += ENGINE_BLOB_ID_BYTES)
        grace_give_back(s->keeping, span_bytes(held->data + at, ENGINE_BLOB_ID_BYTES));
    buf_clear(held);
}

enum manner {
    FLUSHED,  /* and what it rests on is durable when it ends */
    LAZY,     /* may be lost in a crash */
    YIELDING, /* the same, and whoever else is there goes first: ERR_BUSY after a few tries */
};

static enum err run_change(struct store *s, change_body body, void *arg, enum manner manner)
{
    unsigned tries_max = manner == YIELDING ? YIELDING_TRIES_MAX : CHANGE_TRIES_MAX;
    bool flush = manner == FLUSHED;
    const struct engine_ops *ops = s->engine->ops;
    struct change c;
    struct buf held;
    enum err err = ERR_BUSY, flushed;
    bool committed = false;

    buf_init(&held, BLOBS_MAX * ENGINE_BLOB_ID_BYTES);
    buf_init(&c.value, STORE_VALUE_MAX);
    buf_init(&c.blobs, BLOBS_MAX * ENGINE_BLOB_ID_BYTES);
    change_quota_init(&c);
    buf_init(&c.notes, NOTES_MAX);
    buf_init(&c.states, STATES_MAX * sizeof(struct state_change));
    for (unsigned tries = 0; tries < tries_max && err == ERR_BUSY; tries++) {
        if (tries > 0)
            pause_after_collision(tries);
        c.s = s;
        let_blobs_go(s, &held);
        buf_clear(&c.blobs);
        buf_clear(&c.quota);
        buf_clear(&c.notes);
        buf_clear(&c.states);
        memset(&c.counts, 0, sizeof c.counts);
        err = (manner == YIELDING ? ops->begin_yielding : ops->begin)(s->engine, &c.txn);
        if (err != ERR_OK)
            continue;
        err = body(&c, arg);
        if (err == ERR_OK)
            err = change_quota_settle(&c, NULL);
        if (err == ERR_OK)
            err = change_counts_write(&c);
        if (err == ERR_OK) {
            hold_blobs(&c, &held);
            err = ops->commit(c.txn);
            committed = err == ERR_OK;
        } else {
            ops->abort(c.txn);
        }
    }
    buf_free(&c.value);
    buf_free(&c.quota);
    if (err == ERR_BUSY && manner != YIELDING) {
        log_warning("store: a change collided %u times and was given up", CHANGE_TRIES_MAX);
        err = ERR_STORE;
        goto out;
    }
    if (committed) {
        counts_add(s, &c.counts);
        log_states(&c);
        if (c.notes.len > 0)
            handover_add(s->handover, buf_span(&c.notes));
    }
    /* A crash here loses the change, and nobody was told of it yet. */
    KILL_POINT("store-flush-before");
    flush = flush || (committed && c.blobs.len > 0);
    if (flush && (flushed = store_flush(s)) != ERR_OK) {
        err = flushed;
        goto out;
    }
    /* Only now is it sure that nothing refers to the blobs. A crash before leaves them to the sweep at the
     * start. */
    for (size_t at = 0; committed && at < c.blobs.len; at += ENGINE_BLOB_ID_BYTES) {
        KILL_POINT("payload-unlink-before");
        ops->blob_remove(s->engine, (const uint8_t *)c.blobs.data + at);
    }
out:
    let_blobs_go(s, &held);
    buf_free(&held);
    buf_free(&c.states);
    buf_free(&c.notes);
    buf_free(&c.blobs);
    return err;
}

enum err store_change(struct store *s, change_body body, void *arg)
{
    return run_change(s, body, arg, FLUSHED);
}

enum err store_change_lazy(struct store *s, change_body body, void *arg)
{
    return run_change(s, body, arg, LAZY);
}

enum err store_change_yielding(struct store *s, change_body body, void *arg)
{
    return run_change(s, body, arg, YIELDING);
}

void store_when_durable(struct store *s, struct store_later *l)
{
    later_add(s->later, l, true);
}

void store_when_durable_soon(struct store *s, struct store_later *l)
{
    later_add(s->later, l, false);
}

void store_sync_waiting(struct store *s)
{
    later_sync(s->later);
}

void store_text(char *out, size_t size, const char *text)
{
    size_t len = text == NULL ? 0 : strnlen(text, size - 1);

    if (len > 0)
        memcpy(out, text, len);
    out[len] = '\0';
}

/* ---- reading ------------------------------------------------------------------------------------------- */

enum err store_read(struct store *s, enum engine_table table, struct span key, struct buf *out)
{
    const struct engine_ops *ops = s->engine->ops;
    enum err err = ERR_BUSY;

    for (unsigned tries = 0; tries < CHANGE_TRIES_MAX && err == ERR_BUSY; tries++) {
        struct engine_txn *txn;

        if (tries > 0)
            pause_after_collision(tries);
        if ((err = ops->begin(s->engine, &txn)) != ERR_OK)
            continue;
        err = ops->get(txn, table, key, false, out);
        ops->abort(txn);
    }
    return err == ERR_BUSY ? ERR_STORE : err;
}

void walk_init(struct walk *w, struct store *s, enum engine_table table, struct record_key from,
               struct record_key until, bool descending)
{
    w->s = s;
    w->table = table;
    engine_rows_init(&w->rows);
    w->from = from;
    w->until = until;
    w->descending = descending;
    w->done = false;
    w->page = WALK_PAGE;
}

enum err walk_next(struct walk *w, struct span *key, struct span *value)
{
    enum err err;

    if (!engine_rows_next(&w->rows, key, value)) {
        if (w->done)
            return ERR_NOT_FOUND;
        err = w->s->engine->ops->scan(w->s->engine, w->table, record_key_span(&w->from),
                                      record_key_span(&w->until), w->descending, w->page, &w->rows);
        if (err != ERR_OK)
            return err;
        w->done = w->rows.count < w->page;
        if (!engine_rows_next(&w->rows, key, value))
            return ERR_NOT_FOUND;
    }
    if (key->len >= sizeof w->from.data)
        return ERR_STORE; /* no table that is walked has such keys */
    if (w->descending) {
        /* until is exclusive: the next page ends before this row. */
        memcpy(w->until.data, key->ptr, key->len);
        w->until.len = key->len;
    } else {
        /* The next page begins at the smallest key behind this one. */
        memcpy(w->from.data, key->ptr, key->len);
        w->from.data[key->len] = 0;
        w->from.len = key->len + 1;
    }
    return ERR_OK;
}

void walk_free(struct walk *w)
{
    engine_rows_free(&w->rows);
}

/* ---- both sides ---------------------------------------------------------------------------------------- */

enum err store_domain_get(struct store *s, const char *domain, struct store_domain *out)
{
    struct store_domain d = {.takes_stubs = false};
    struct buf value;
    enum err err;

    buf_init(&value, STORE_VALUE_MAX);
    if (strlen(domain) > ENGINE_KEY_MAX)
        err = ERR_NOT_FOUND;
    else
        err = store_read(s, TABLE_DOMAIN, span_of(domain), &value);
    if (err == ERR_OK)
        err = domain_record_decode(buf_span(&value), &d);
    if (err == ERR_OK)
        *out = d;
    buf_free(&value);
    return err;
}

struct domain_put {
    const char *domain;
    const struct store_domain *d;
};

static enum err domain_put(struct change *c, void *arg)
{
    const struct domain_put *p = arg;
    enum err err;

    buf_clear(&c->value);
    err = domain_record_encode(p->d, &c->value);
    if (err == ERR_OK)
        err = c->s->engine->ops->put(c->txn, TABLE_DOMAIN, span_of(p->domain), buf_span(&c->value));
    return err;
}

enum err store_domain_put(struct store *s, const char *domain, const struct store_domain *d)
{
    if (domain[0] == '\0' || strlen(domain) > ENGINE_KEY_MAX)
        return ERR_SYNTAX;
    return store_change_lazy(s, domain_put, &(struct domain_put){domain, d});
}

enum err store_count(struct store *s, struct store_counts *out)
{
    struct store_counts counts;
    enum err err;

    pthread_mutex_lock(&s->count_mutex);
    counts = s->counts;
    pthread_mutex_unlock(&s->count_mutex);
    err = s->engine->ops->space(s->engine, &counts.disk_free_bytes, &counts.disk_total_bytes);
    if (err == ERR_OK)
        *out = counts;
    return err;
}
