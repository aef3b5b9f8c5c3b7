/*
 * epochs.c - see epochs.h.
 *
 * META has a row for each epoch: fingerprint (8) | since (8) | retired (8), numbers big-endian; stores of
 * earlier versions have the fingerprint alone. One mutex keeps reloading and retiring apart; that nothing new
 * appears under an epoch which is being retired follows from its not being the current one since long.
 */
#include "store/epochs.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "store/store_internal.h"

#define EPOCH_COUNT 65536
#define EPOCH_PREFIX "site key "
#define ROW_BYTES (SITEKEY_FINGERPRINT_BYTES + 16)

/* ---- rows ---------------------------------------------------------------------------------------------- */

static struct record_key row_key(unsigned epoch)
{
    struct record_key k = {.len = sizeof EPOCH_PREFIX - 1};

    memcpy(k.data, EPOCH_PREFIX, k.len);
    k.data[k.len++] = (uint8_t)(epoch >> 8);
    k.data[k.len++] = (uint8_t)epoch;
    return k;
}

static enum err row_decode(uint16_t epoch, struct span value, struct store_epoch *out)
{
    const uint8_t *at = (const uint8_t *)value.ptr;

    if (value.len != ROW_BYTES && value.len != SITEKEY_FINGERPRINT_BYTES)
        return ERR_STORE;
    *out = (struct store_epoch){.epoch = epoch};
    memcpy(out->fingerprint, at, SITEKEY_FINGERPRINT_BYTES);
    if (value.len == ROW_BYTES) {
        out->since_s = (int64_t)codec_get_be64(at + SITEKEY_FINGERPRINT_BYTES);
        out->retired_s = (int64_t)codec_get_be64(at + SITEKEY_FINGERPRINT_BYTES + 8);
    }
    return ERR_OK;
}

static enum err row_get(struct store *s, uint16_t epoch, struct store_epoch *out)
{
    struct record_key key = row_key(epoch);
    struct buf value;
    enum err err;

    buf_init(&value, STORE_VALUE_MAX);
    err = store_read(s, TABLE_META, record_key_span(&key), &value);
    if (err == ERR_OK)
        err = row_decode(epoch, buf_span(&value), out);
    buf_free(&value);
    return err;
}

enum err store_epoch_met(struct store *s, uint16_t epoch,
                         const uint8_t fingerprint[SITEKEY_FINGERPRINT_BYTES], bool *met)
{
    struct store_epoch e;
    enum err err = row_get(s, epoch, &e);

    *met = err == ERR_OK && memcmp(e.fingerprint, fingerprint, sizeof e.fingerprint) == 0;
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

static enum err row_put(struct change *c, void *arg)
{
    const struct store_epoch *e = arg;
    struct record_key key = row_key(e->epoch);
    uint8_t value[ROW_BYTES];

    memcpy(value, e->fingerprint, SITEKEY_FINGERPRINT_BYTES);
    codec_put_be64(value + SITEKEY_FINGERPRINT_BYTES, (uint64_t)e->since_s);
    codec_put_be64(value + SITEKEY_FINGERPRINT_BYTES + 8, (uint64_t)e->retired_s);
    return c->s->engine->ops->put(c->txn, TABLE_META, record_key_span(&key), span_bytes(value, sizeof value));
}

/* All rows, ascending. The caller frees *out. */
static enum err rows_read(struct store *s, struct store_epoch **out, size_t *count)
{
    struct record_key from = row_key(0), until = {.len = sizeof EPOCH_PREFIX - 1};
    struct store_epoch *list = NULL;
    struct span key, value;
    struct walk w;
    size_t n = 0, room = 0;
    enum err err;

    memcpy(until.data, EPOCH_PREFIX, until.len);
    until.data[until.len - 1]++; /* behind all that begin so */
    walk_init(&w, s, TABLE_META, from, until, false);
    while ((err = walk_next(&w, &key, &value)) == ERR_OK) {
        if (n == room) {
            struct store_epoch *more = realloc(list, (room = room * 2 + 16) * sizeof *list);
            if (more == NULL) {
                err = ERR_NOMEM;
                break;
            }
            list = more;
        }
        if (key.len != from.len) {
            err = ERR_STORE;
            break;
        }
        err = row_decode(sealed_epoch((const uint8_t *)key.ptr + from.len - 2), value, &list[n]);
        if (err != ERR_OK)
            break;
        n++;
    }
    walk_free(&w);
    if (err != ERR_NOT_FOUND) {
        free(list);
        return err;
    }
    *out = list;
    *count = n;
    return ERR_OK;
}

/* ---- what is used -------------------------------------------------------------------------------------- */

struct use {
    uint8_t used[EPOCH_COUNT / 8], wanted[EPOCH_COUNT / 8];
    size_t left; /* of the wanted ones, not seen yet: the search ends with the last */
    union {
        struct ticket_record ticket;
        struct payload_record payload;
        struct job_record job;
        struct attempt_record attempt;
    } r;
};

static bool bit(const uint8_t *bits, unsigned epoch)
{
    return (bits[epoch / 8] & 1U << epoch % 8) != 0;
}

static void bit_set(uint8_t *bits, unsigned epoch)
{
    bits[epoch / 8] |= (uint8_t)(1U << epoch % 8);
}

static void want(struct use *u, uint16_t epoch)
{
    if (!bit(u->wanted, epoch)) {
        bit_set(u->wanted, epoch);
        u->left++;
    }
}

static void see(struct use *u, const uint8_t *bytes, size_t len)
{
    uint16_t epoch;

    if (len < 2)
        return;
    epoch = sealed_epoch(bytes);
    if (bit(u->wanted, epoch) && !bit(u->used, epoch)) {
        bit_set(u->used, epoch);
        u->left--;
    }
}

static enum err see_ticket(struct use *u, struct span key, struct span value)
{
    enum err err;

    memset(&u->r.ticket, 0, sizeof u->r.ticket);
    err = key.len == TICKET_STORE_KEY_BYTES
              ? ticket_record_decode(value, (const uint8_t *)key.ptr, &u->r.ticket)
              : ERR_STORE;

    if (err == ERR_OK) {
        see(u, u->r.ticket.t.a, TICKET_A_BYTES);
        see(u, u->r.ticket.sealed.data, u->r.ticket.sealed.len);
    }
    return err;
}

static enum err see_payload(struct use *u, struct span key, struct span value)
{
    enum err err;

    (void)key;
    memset(&u->r.payload, 0, sizeof u->r.payload);
    err = payload_record_decode(value, &u->r.payload);
    if (err == ERR_OK)
        see(u, u->r.payload.dek.data, u->r.payload.dek.len);
    return err;
}

static enum err see_job(struct use *u, struct span key, struct span value)
{
    enum err err;

    (void)key;
    memset(&u->r.job, 0, sizeof u->r.job);
    err = job_record_peek(value, &u->r.job);
    if (err == ERR_OK)
        see(u, u->r.job.sealed.data, u->r.job.sealed.len);
    return err;
}

static enum err see_attempt(struct use *u, struct span key, struct span value)
{
    enum err err;

    (void)key;
    memset(&u->r.attempt, 0, sizeof u->r.attempt);
    err = attempt_record_decode(value, &u->r.attempt);
    if (err == ERR_OK)
        see(u, u->r.attempt.sealed.data, u->r.attempt.sealed.len);
    return err;
}

static const struct {
    enum engine_table table;
    enum err (*see)(struct use *u, struct span key, struct span value);
} seen_row[] = {
    {TABLE_TICKET, see_ticket},
    {TABLE_PAYLOAD, see_payload},
    {TABLE_JOB, see_job},
    {TABLE_ATTEMPT, see_attempt},
};

/* Every record that a site key made, until all the wanted epochs were seen. A damaged one is of no epoch: no
 * key opens it. */
static enum err look(struct store *s, struct use *u)
{
    enum err err = ERR_OK;

    for (size_t i = 0; i < sizeof seen_row / sizeof *seen_row && err == ERR_OK && u->left > 0; i++) {
        struct record_key all = {.len = 0};
        struct span key, value;
        struct walk w;

        walk_init(&w, s, seen_row[i].table, all, all, false);
        while (u->left > 0 && (err = walk_next(&w, &key, &value)) == ERR_OK) {
            if (seen_row[i].see(u, key, value) == ERR_STORE_FORMAT) {
                err = ERR_STORE_FORMAT;
                break;
            }
        }
        walk_free(&w);
        if (err == ERR_NOT_FOUND)
            err = ERR_OK;
    }
    return err;
}

/* When the next key came; 0: none has. The list is ascending. */
static int64_t superseded_s(const struct store *s, const struct store_epoch *list, size_t count,
                            uint16_t epoch)
{
    for (size_t i = 0; i < count; i++)
        if (list[i].epoch > epoch && site_keys_has(s->keys, list[i].epoch))
            return list[i].since_s;
    return 0;
}

enum err store_epochs(struct store *s, struct store_epoch **out, size_t *count)
{
    struct use *u = calloc(1, sizeof *u);
    struct store_epoch *list = NULL;
    uint16_t current;
    size_t n = 0;
    enum err err = ERR_NOMEM;

    if (u == NULL)
        return err;
    pthread_mutex_lock(&s->epochs_mutex);
    current = site_keys_current(s->keys);
    err = rows_read(s, &list, &n);
    pthread_mutex_unlock(&s->epochs_mutex);
    for (size_t i = 0; i < n; i++) {
        if (list[i].retired_s != 0 || list[i].epoch == current)
            continue;
        want(u, list[i].epoch);
        list[i].superseded_s = superseded_s(s, list, n, list[i].epoch);
    }
    if (err == ERR_OK)
        err = look(s, u);
    for (size_t i = 0; i < n; i++) {
        list[i].current = list[i].epoch == current;
        list[i].used = list[i].current || bit(u->used, list[i].epoch);
    }
    free(u);
    if (err != ERR_OK) {
        free(list);
        return err;
    }
    *out = list;
    *count = n;
    return ERR_OK;
}

/* ---- keys that come ------------------------------------------------------------------------------------ */

/* A key against what the store knows of its epoch. *gone: it is retired, and to be left out. */
static enum err compare(struct store *s, const struct site_keys *keys, const struct site_key_info *k,
                        struct store_epoch *row, bool *gone, struct buf *why)
{
    enum err err = row_get(s, k->epoch, row);

    *gone = false;
    if (err == ERR_NOT_FOUND) {
        *row = (struct store_epoch){.epoch = k->epoch};
        memcpy(row->fingerprint, k->fingerprint, sizeof row->fingerprint);
        return ERR_OK;
    }
    if (err != ERR_OK)
        return err;
    if (memcmp(row->fingerprint, k->fingerprint, sizeof row->fingerprint) != 0) {
        site_keys_place(keys, k->epoch, why);
        buf_printf(why, "the site key of epoch %u is not the one that the store was made with", k->epoch);
        return ERR_CONFIG;
    }
    if (row->retired_s == 0)
        return ERR_OK;
    if (k->epoch == site_keys_current(keys)) {
        site_keys_place(keys, k->epoch, why);
        buf_printf(why, "the site key of epoch %u is retired: a new key needs a new epoch", k->epoch);
        return ERR_CONFIG;
    }
    *gone = true;
    return ERR_OK;
}

/* All keys are what the store knows of them; retired ones go. Nothing is written. */
static enum err compare_all(struct store *s, struct site_keys *keys, struct buf *why)
{
    struct site_key_info k;
    enum err err = ERR_OK;

    for (size_t i = 0; err == ERR_OK && site_keys_info(keys, i, &k);) {
        struct store_epoch row;
        bool gone;

        err = compare(s, keys, &k, &row, &gone, why);
        if (err == ERR_OK && gone) {
            /* Its file was not rewritten after it was retired. */
            log_warning("the site key of epoch %u (line %u of its file) is retired and not used", k.epoch,
                        k.line);
            err = site_keys_forget(keys, k.epoch);
        } else {
            i++;
        }
    }
    return err;
}

/* Epochs that the store does not know yet, or of which it does not know since when. */
static enum err note_new(struct store *s, const struct site_keys *keys, int64_t now_s, struct buf *why)
{
    struct site_key_info k;
    enum err err = ERR_OK;

    for (size_t i = 0; err == ERR_OK && site_keys_info(keys, i, &k); i++) {
        struct store_epoch row;
        bool gone;

        err = compare(s, keys, &k, &row, &gone, why);
        if (err == ERR_OK && row.since_s == 0) {
            row.since_s = now_s;
            err = store_change(s, row_put, &row);
        }
    }
    return err;
}

/* The key file lacks a key: nothing that it made may be there, for it could never be opened again. Then the
 * epoch is over. */
static enum err retire_missing(struct store *s, const struct site_keys *keys, struct store_epoch *missing,
                               size_t count, int64_t now_s, struct buf *why)
{
    struct use *u = calloc(1, sizeof *u);
    enum err err = ERR_NOMEM;

    if (u == NULL)
        return err;
    for (size_t i = 0; i < count; i++)
        want(u, missing[i].epoch);
    err = look(s, u);
    for (size_t i = 0; i < count && err == ERR_OK; i++) {
        if (bit(u->used, missing[i].epoch)) {
            site_keys_place(keys, 0, why);
            buf_printf(why, "the store holds records under the site key of epoch %u, which is missing",
                       missing[i].epoch);
            err = ERR_CONFIG;
            break;
        }
        log_warning("the site key of epoch %u is missing; nothing was left of it, and it is retired",
                    missing[i].epoch);
        missing[i].retired_s = now_s;
        err = store_change(s, row_put, &missing[i]);
    }
    free(u);
    return err;
}

/* Those that the store knows, that are not retired, and that the keys lack; to the front of the list. */
static size_t pick_missing(const struct site_keys *keys, struct store_epoch *list, size_t count)
{
    size_t n = 0;

    for (size_t i = 0; i < count; i++)
        if (list[i].retired_s == 0 && !site_keys_has(keys, list[i].epoch))
            list[n++] = list[i];
    return n;
}

enum err epochs_check(struct store *s, struct buf *why)
{
    struct store_epoch *list = NULL;
    size_t count = 0, missing;
    int64_t now_s = clock_now_s();
    enum err err = compare_all(s, s->keys, why);

    if (err == ERR_OK)
        err = rows_read(s, &list, &count);
    if (err == ERR_OK && (missing = pick_missing(s->keys, list, count)) > 0)
        err = retire_missing(s, s->keys, list, missing, now_s, why);
    if (err == ERR_OK)
        err = note_new(s, s->keys, now_s, why);
    free(list);
    return err;
}

enum err store_keys_reload(struct store *s, struct site_keys *fresh, int64_t now_s, struct buf *why)
{
    struct store_epoch *list = NULL;
    size_t count = 0;
    enum err err;

    pthread_mutex_lock(&s->epochs_mutex);
    err = compare_all(s, fresh, why);
    if (err == ERR_OK)
        err = rows_read(s, &list, &count);
    /* Unlike at the start, a record may be on its way under a key that seems unused. */
    if (err == ERR_OK && pick_missing(fresh, list, count) > 0) {
        site_keys_place(fresh, 0, why);
        buf_printf(why, "the site key of epoch %u is missing, and not retired", list[0].epoch);
        err = ERR_CONFIG;
    }
    /* Durable first: no record may ever lie under an epoch that the store has not met. */
    if (err == ERR_OK)
        err = note_new(s, fresh, now_s, why);
    if (err == ERR_OK)
        site_keys_replace(s->keys, fresh);
    else
        site_keys_free(fresh);
    pthread_mutex_unlock(&s->epochs_mutex);
    free(list);
    return err;
}

/* ---- keys that go -------------------------------------------------------------------------------------- */

struct reseal {
    struct record_key key;
    struct attempt_record row;
    bool changed;
};

static enum err reseal_attempt(struct change *c, void *arg)
{
    struct reseal *r = arg;
    struct span key = record_key_span(&r->key);
    enum err err = c->s->engine->ops->get(c->txn, TABLE_ATTEMPT, key, true, &c->value);

    r->changed = false;
    memset(&r->row, 0, sizeof r->row);
    if (err == ERR_OK)
        err = attempt_record_decode(buf_span(&c->value), &r->row);
    if (err != ERR_OK || r->row.sealed.len < 2 ||
        sealed_epoch(r->row.sealed.data) == site_keys_current(c->s->keys))
        return err;
    if ((err = attempt_record_open(c->s->keys, key, &r->row)) != ERR_OK ||
        (err = attempt_record_seal(c->s->keys, key, &r->row)) != ERR_OK)
        return err;
    buf_clear(&c->value);
    err = attempt_record_encode(&r->row, &c->value);
    if (err == ERR_OK)
        err = c->s->engine->ops->put(c->txn, TABLE_ATTEMPT, key, buf_span(&c->value));
    r->changed = err == ERR_OK;
    return err;
}

enum err store_reseal(struct store *s, size_t *count)
{
    struct reseal *r = malloc(sizeof *r);
    struct record_key all = {.len = 0};
    struct span key, value;
    struct walk w;
    size_t n = 0;
    enum err err;

    if (r == NULL)
        return ERR_NOMEM;
    walk_init(&w, s, TABLE_ATTEMPT, all, all, false);
    while ((err = walk_next(&w, &key, &value)) == ERR_OK) {
        memcpy(r->key.data, key.ptr, key.len);
        r->key.len = key.len;
        enum err sealed = store_change_lazy(s, reseal_attempt, r);
        /* Gone meanwhile, or damaged: not ours to judge. */
        if (sealed != ERR_OK && sealed != ERR_NOT_FOUND && sealed != ERR_STORE) {
            err = sealed;
            break;
        }
        n += sealed == ERR_OK && r->changed;
    }
    walk_free(&w);
    free(r);
    if (err == ERR_NOT_FOUND)
        err = n > 0 ? s->engine->ops->flush(s->engine) : ERR_OK;
    if (err == ERR_OK)
        *count = n;
    return err;
}

/* Whether a key may go; with the mutex. */
static enum err check_retire(struct store *s, struct store_epoch *row, int64_t quiet_s, int64_t now_s,
                             struct buf *why)
{
    struct store_epoch *list = NULL;
    size_t count = 0;
    struct use *u = NULL;
    enum err err = rows_read(s, &list, &count);

    if (err != ERR_OK)
        return err;
    int64_t since_s = superseded_s(s, list, count, row->epoch);
    free(list);
    if (since_s == 0) {
        buf_printf(why, "epoch %u is the current one", row->epoch);
        return ERR_FORBIDDEN;
    }
    if (now_s - quiet_s < since_s) {
        char until[CLOCK_ISO_MAX];

        clock_iso(since_s + quiet_s, until);
        buf_printf(why, "epoch %u is not retired before %s", row->epoch, until);
        return ERR_BUSY;
    }
    if ((u = calloc(1, sizeof *u)) == NULL)
        return ERR_NOMEM;
    want(u, row->epoch);
    err = look(s, u);
    if (err == ERR_OK && u->left == 0) {
        buf_printf(why, "epoch %u is in use", row->epoch);
        err = ERR_BUSY;
    }
    free(u);
    return err;
}

enum err store_epoch_retire(struct store *s, uint16_t epoch, int64_t quiet_s, int64_t now_s, struct buf *why)
{
    struct store_epoch row;
    enum err err;

    pthread_mutex_lock(&s->epochs_mutex);
    err = row_get(s, epoch, &row);
    if (err == ERR_NOT_FOUND)
        buf_printf(why, "epoch %u is not known", epoch);
    if (err == ERR_OK && row.retired_s == 0) {
        err = check_retire(s, &row, quiet_s, now_s, why);
        row.retired_s = now_s;
        /* Durable before the key goes: a crash in between leaves a key that nothing uses. */
        if (err == ERR_OK)
            err = store_change(s, row_put, &row);
        if (err == ERR_OK)
            log_info("the site key of epoch %u is retired", epoch);
    }
    if (err == ERR_OK && (err = site_keys_forget(s->keys, epoch)) == ERR_NOT_FOUND)
        err = ERR_OK;
    pthread_mutex_unlock(&s->epochs_mutex);
    return err;
}
