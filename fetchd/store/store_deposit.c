/*
 * store_deposit.c - the sender's letter comes in: payload, tickets, wraps and outbox entries in one commit.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/kill.h"
#include "base/log.h"
#include "base/secret.h"
#include "store/store_handover.h"
#include "store/store_letter.h"
#include "store/store_payload.h"
#include "store/store_quota.h"
#include "store/ticket_state.h"

/* One recipient, prepared before the transaction so that a collision costs no second sealing. */
struct deposit_item {
    struct store_deposit_ticket *of;
    struct ticket_record *r; /* what will be stored */
    uint8_t wrap[SEAL_WRAP_BYTES];
    struct dedupe_record before; /* the same letter in a store of before */
    bool existing;
    struct ticket_record *old; /* then: the ticket of the same letter */
};

struct deposit {
    struct store_deposit *d;
    struct payload_record payload;
    struct deposit_item *item; /* in the order of their dedupe keys: concurrent deposits lock in one order */
    size_t fresh;              /* how many are new */
    bool dedupe;
};

/* ---- before the transaction ---------------------------------------------------------------------------- */

static enum err dedupe_key(const struct ticket *t, const uint8_t *body_digest, uint8_t out[32])
{
    /* Each with its terminating NUL: the parts cannot run into each other. */
    const struct span part[] = {
        span_bytes(t->owner, strlen(t->owner) + 1), span_bytes(t->sender, strlen(t->sender) + 1),
        span_bytes(t->recipient, strlen(t->recipient) + 1),
        span_bytes(t->message_id, strlen(t->message_id) + 1), span_bytes(body_digest, CRYPT_SHA256_BYTES)};

    return crypt_sha256v(part, sizeof part / sizeof *part, out);
}

/* Nothing has become of it yet. */
static void begin_life(struct ticket *t)
{
    t->state = TICKET_WAITING;
    t->changed_s = t->created_s;
    memset(t->lease_token, 0, sizeof t->lease_token);
    t->challenge_url[0] = '\0';
    t->lease_holder[0] = t->stub_queue_id[0] = t->remote_reason[0] = t->remote_text[0] = '\0';
    t->lease_started_s = t->lease_until_s = t->handed_over_s = t->stub_sent_s = 0;
    t->lapses = t->bodies = t->stub_tries = t->renotified = t->event_count = 0;
    t->hold = t->several = t->archived = false;
    t->hold_note[0] = '\0';
    t->status_s = t->delay_told_s = 0;
    t->events.len = 0;
    ticket_event_add(t, TICKET_WAITING, t->created_s);
}

static enum err prepare_item(struct store *s, const struct store_deposit *d, uint64_t sealed_bytes,
                             const uint8_t *payload_id, const uint8_t *sealed_digest, struct deposit_item *it)
{
    const struct ticket_keys *k = it->of->keys;
    struct ticket_record *r;
    struct ticket *t;
    enum err err;

    it->r = r = calloc(1, sizeof *r);
    it->old = calloc(1, sizeof *it->old);
    if (r == NULL || it->old == NULL)
        return ERR_NOMEM;
    r->t = it->of->ticket;
    t = &r->t;
    memcpy(t->a, k->a, sizeof t->a);
    t->version = d->version;
    memcpy(t->payload_id, payload_id, sizeof t->payload_id);
    t->letter_bytes = d->letter_bytes;
    t->sealed_bytes = sealed_bytes;
    memcpy(t->sealed_digest, sealed_digest, sizeof t->sealed_digest);
    t->perhaps = false;
    begin_life(t);
    if ((err = ticket_store_key(k->a, k->b, t->key)) != ERR_OK ||
        (err = ticket_ka_hash(k->ka, t->ka_hash)) != ERR_OK ||
        (err = crypt_sha256v(
             (const struct span[]){span_bytes(t->a, sizeof t->a), span_bytes(d->digest, CRYPT_SHA256_BYTES)},
             2, t->digest_hash)) != ERR_OK ||
        (err = dedupe_key(t, d->body_digest, r->dedupe)) != ERR_OK ||
        (err = wrap_seal(k->kd, k->a, payload_id, d->version, d->dek, it->wrap)) != ERR_OK)
        return err;
    r->timer_s = t->expires_s;
    if ((err = store_letter_before(s, r, &it->before)) != ERR_OK)
        return err;
    return ticket_record_seal(s->keys, r);
}

static int by_dedupe_key(const void *a, const void *b)
{
    const struct deposit_item *x = a, *y = b;

    return memcmp(x->r->dedupe, y->r->dedupe, sizeof x->r->dedupe);
}

/* ---- in the transaction -------------------------------------------------------------------------------- */

/* Before the crash that kept the answer from whoever brings the letter again, the handover journal may have
 * lost the note that it is here: now somebody is told that it is. As it came; what became of it since has its
 * own notes. */
static enum err note_again(struct change *c, const struct ticket_record *old, int64_t now_s)
{
    struct ticket_record *r;
    enum err err;

    if (c->s->handover == NULL)
        return ERR_OK;
    if ((r = malloc(sizeof *r)) == NULL)
        return ERR_NOMEM;
    *r = *old;
    begin_life(&r->t);
    r->timer_s = r->t.expires_s;
    buf_clear(&c->value);
    err = ticket_record_encode(r, &c->value);
    if (err == ERR_OK)
        err = change_note_ticket(c, HANDOVER_DEPOSITED, 0, &r->t, now_s, buf_span(&c->value));
    free(r);
    return err;
}

/* What stands where nobody else is: the records' keys are hashes. */
static enum err put_records(struct change *c, struct deposit_item *it)
{
    const struct engine_ops *ops = c->s->engine->ops;
    struct ticket_record *r = it->r;
    const struct ticket *t = &r->t;
    enum err err;

    r->stub_due_s = t->created_s; /* its entry is put soon */
    r->quota_due_s = 0;
    err = change_ticket_put(c, r);
    if (err == ERR_OK)
        err = change_note_ticket(c, HANDOVER_DEPOSITED, 0, t, t->created_s, buf_span(&c->value));
    if (err == ERR_OK)
        err = ops->put(c->txn, TABLE_WRAP, span_bytes(t->key, sizeof t->key),
                       span_bytes(it->wrap, sizeof it->wrap));
    c->counts.tickets[TICKET_WAITING]++;
    return err;
}

/* What is ordered by time: every deposit writes to the same pages, and waits for whoever has them. In the
 * order in which the ends of tickets take them, so that nobody waits in a circle. */
static enum err put_entries(struct change *c, struct deposit_item *it)
{
    const struct engine_ops *ops = c->s->engine->ops;
    struct ticket_record *r = it->r;
    const struct ticket *t = &r->t;
    struct record_key k = record_key_timer(TIMER_EXPIRE, r->timer_s, t->key, sizeof t->key);
    enum err err = ops->put(c->txn, TABLE_TIMER, record_key_span(&k), span_bytes(NULL, 0));

    r->stub_due_s = 0;
    if (err == ERR_OK)
        err = change_work_set(c, r, WORK_STUB, t->created_s);
    k = record_key_time(t->created_s, t->key, sizeof t->key);
    if (err == ERR_OK)
        err = ops->put(c->txn, TABLE_CREATED, record_key_span(&k), span_bytes(t->a, sizeof t->a));
    return err;
}

/* The owner hears once that he has used most of it, by the first of the new tickets. */
static enum err warn_of_quota(struct change *c, struct deposit *x)
{
    struct deposit_item *it = x->item;
    enum err err;

    while (it->existing)
        it++;
    err = change_work_set(c, it->r, WORK_QUOTA, it->r->t.created_s);
    return err == ERR_OK ? change_ticket_put(c, it->r) : err;
}

static enum err deposit(struct change *c, void *arg)
{
    struct deposit *x = arg;
    struct quota_ask ask = {.limits = x->d->limits,
                            .system_mail = x->d->system_mail,
                            .why = x->d->why,
                            .tells = !x->d->system_mail,
                            .now_s = x->d->item[0].ticket.created_s};
    enum err err = ERR_OK;

    x->fresh = 0;
    for (size_t i = 0; i < x->d->count && err == ERR_OK; i++) {
        struct deposit_item *it = &x->item[i];

        err = change_letter_new(c, it->r, &it->before, it->old);
        if ((it->existing = err == ERR_EXISTS)) {
            err = note_again(c, it->old, it->r->t.created_s);
        } else if (err == ERR_OK) {
            err = put_records(c, it);
            x->fresh++;
        }
    }
    for (size_t i = 0; i < x->d->count && err == ERR_OK; i++)
        if (!x->item[i].existing)
            err = put_entries(c, &x->item[i]);
    x->payload.references = (uint32_t)x->fresh;
    if (err == ERR_OK && x->fresh > 0)
        err = change_payload_put(c, x->d->payload, &x->payload);
    if (err == ERR_OK)
        err = change_quota_settle(c, &ask);
    if (err == ERR_OK && ask.warn)
        err = warn_of_quota(c, x);
    /* A crash here leaves nothing but, perhaps, a blob for the sweep: the sender was told nothing yet. */
    if (err == ERR_OK)
        KILL_POINT("deposit-commit-before");
    return err;
}

/* ---- the word ------------------------------------------------------------------------------------------ */

static enum err prepare(struct store *s, struct deposit *x)
{
    struct store_deposit *d = x->d;
    struct store_payload *p = d->payload;
    uint8_t sealed_digest[CRYPT_SHA256_BYTES];
    enum err err = ERR_OK;

    if (d->count == 0)
        return ERR_INTERNAL;
    if ((x->item = calloc(d->count, sizeof *x->item)) == NULL)
        return ERR_NOMEM;
    err = store_payload_record(p, d->dek, d->item[0].ticket.created_s, &x->payload);
    payload_record_belongs(&x->payload, d->item[0].ticket.owner, d->item[0].ticket.sender, d->letter_bytes);
    if (err == ERR_OK)
        err = store_payload_digest(p, sealed_digest);
    for (size_t i = 0; i < d->count && err == ERR_OK; i++) {
        x->item[i].of = &d->item[i];
        err = prepare_item(s, d, p->size, p->id, sealed_digest, &x->item[i]);
    }
    if (err == ERR_OK)
        qsort(x->item, d->count, sizeof *x->item, by_dedupe_key);
    return err;
}

static void free_items(struct deposit *x)
{
    for (size_t i = 0; x->item != NULL && i < x->d->count; i++) {
        free(x->item[i].r);
        free(x->item[i].old);
    }
    free(x->item);
}

/* Gives the caller his tickets: new ones as stored, existing ones opened. */
static enum err give(struct store *s, struct deposit *x)
{
    for (size_t i = 0; i < x->d->count; i++) {
        struct deposit_item *it = &x->item[i];
        enum err err;

        if (it->existing && (err = ticket_record_open(s->keys, it->old)) != ERR_OK)
            return err;
        it->of->existing = it->existing;
        it->of->ticket = it->existing ? it->old->t : it->r->t;
    }
    return ERR_OK;
}

enum err store_deposit(struct store *s, struct store_deposit *d)
{
    struct store_payload *p = d->payload;
    struct deposit x = {.d = d};
    bool kept = false;
    enum err err = store_disk_floor(s);

    atomic_store(&s->deposited_mono_ms, clock_mono_ms());
    if (err == ERR_OK)
        err = prepare(s, &x);
    if (err == ERR_OK) {
        err = store_payload_keep(p);
        kept = err == ERR_OK && x.payload.in_blob;
    }
    if (err == ERR_OK)
        err = store_change(s, deposit, &x);
    KILL_POINT("deposit-commit-after");
    if (kept && (err != ERR_OK || x.fresh == 0))
        store_payload_unneeded(s, p->id);
    if (err == ERR_OK)
        err = give(s, &x);
    free_items(&x);
    secret_wipe(&x.payload, sizeof x.payload);
    store_payload_abort(p);
    d->payload = NULL;
    return err;
}
