/*
 * store_recall.c - the sender takes a letter back or puts another in its place, and the administrator's hold.
 * A claim and such a word read the same ticket for update, so one of them comes first and the other sees what
 * it left.
 */
#include "store/recall.h"

#include <stdlib.h>
#include <string.h>

#include "base/kill.h"
#include "base/secret.h"
#include "store/store_handover.h"
#include "store/store_payload.h"
#include "store/store_quota.h"
#include "store/store_word.h"
#include "store/ticket_state.h"

/* A body may be on its way until the lease's hard end: a word that does not change the ticket must not end
 * the lease under it, for another host could claim the letter then as well. */
#define LEASE_IN_FULL INT64_MAX

/* What the other side keeps as a contact attempt is not what it was any more: the stub goes once more, so
 * that it looks. */
static enum err have_it_looked_at(struct change *c, struct ticket_record *r, enum ticket_state was,
                                  int64_t now_s)
{
    if (was != TICKET_HELD && was != TICKET_CHALLENGED)
        return ERR_OK;
    r->t.status_s = 0;
    return change_work_set(c, r, WORK_STUB, now_s);
}

/* Ends what is overdue (*overdue), and knows whether there is a copy in the archive. */
static enum err prepare(struct change *c, struct ticket_record *r, int64_t now_s, bool *overdue)
{
    enum err err = change_ticket_end_overdue(c, r, now_s, overdue);

    return err == ERR_OK ? change_ticket_archived(c, r) : err;
}

/* ---- retract ------------------------------------------------------------------------------------------- */

static enum err retract(struct change *c, void *arg)
{
    struct word *w = arg;
    struct ticket *t = &w->r->t;
    enum ticket_state was;
    bool overdue = false;
    enum err err;

    if ((err = word_get(c, w, LEASE_IN_FULL)) != ERR_OK)
        return err;
    if (t->state == TICKET_RETRACTED)
        return change_note_end(c, t, t->changed_s);
    if ((err = prepare(c, w->r, w->now_s, &overdue)) != ERR_OK)
        return err;
    if (overdue) {
        w->answer = ERR_GONE;
        return change_ticket_put(c, w->r);
    }
    if ((err = ticket_may_recall(t, w->archive_first)) == ERR_UNARCHIVED) {
        w->answer = err;
        return change_archive_due(c, w->r, w->now_s);
    }
    if (err != ERR_OK)
        return err;
    was = t->state;
    err = change_ticket_enter(c, w->r, TICKET_RETRACTED, w->now_s);
    if (err == ERR_OK)
        err = have_it_looked_at(c, w->r, was, w->now_s);
    if (err == ERR_OK)
        err = change_ticket_put(c, w->r);
    if (err == ERR_OK)
        KILL_POINT("retract-commit-before");
    return err;
}

enum err store_retract(struct store *s, const uint8_t key[TICKET_STORE_KEY_BYTES], bool archive_first,
                       int64_t now_s, struct ticket *out)
{
    struct word w = {.key = key, .now_s = now_s, .archive_first = archive_first};
    enum err err = word_run(s, retract, &w, out);

    KILL_POINT("retract-commit-after");
    return err;
}

/* ---- replace ------------------------------------------------------------------------------------------- */

struct replace_item {
    struct store_replacement_item *of;
    uint8_t key[TICKET_STORE_KEY_BYTES];
    struct ticket_record *r; /* zeroed by each run */
};

struct replace {
    struct store_replacement *r;
    int64_t now_s;
    uint8_t payload_id[SEAL_PAYLOAD_ID_BYTES];
    uint64_t sealed_bytes;
    uint8_t sealed_digest[CRYPT_SHA256_BYTES];
    struct payload_record payload;
    struct replace_item *item; /* in the order of their keys: two replacements lock in one order */
    size_t replaced;
    const struct ticket *one; /* of those that were replaced */
};

/* As ticket_may_recall, for this letter. */
static enum err may_replace(const struct ticket *t, const struct store_replacement *r)
{
    enum err err = ticket_may_recall(t, r->archive_first);

    if (err == ERR_OK && !ticket_address_equal(t->from, r->from))
        err = ERR_FROM_CHANGED;
    return err == ERR_OK && r->version <= t->version ? ERR_BUSY : err;
}

static enum err set_letter(struct change *c, const struct replace *x, struct replace_item *it)
{
    const struct store_replacement *r = x->r;
    struct ticket *t = &it->r->t;
    enum err err = ticket_record_open(c->s->keys, it->r); /* what else is sealed stays */

    if (err != ERR_OK)
        return err;
    memcpy(t->payload_id, x->payload_id, sizeof t->payload_id);
    memcpy(t->sealed_digest, x->sealed_digest, sizeof t->sealed_digest);
    t->version = r->version;
    t->letter_bytes = r->letter_bytes;
    t->sealed_bytes = x->sealed_bytes;
    t->archived = false;
    t->body_8bit = r->body_8bit;
    t->smtputf8 = t->smtputf8 || r->smtputf8; /* its addresses are still the same */
    store_text(t->from_field, sizeof t->from_field, r->from_field);
    store_text(t->subject, sizeof t->subject, r->subject);
    t->changed_s = x->now_s;
    ticket_event_add(t, TICKET_EVENT_REPLACED, x->now_s);
    return ticket_record_seal(c->s->keys, it->r);
}

/* A key that no earlier letter had: whoever has read an earlier wrap learns nothing of this letter. */
static enum err put_wrap(struct change *c, const struct replace *x, const struct replace_item *it)
{
    const struct ticket_keys *k = it->of->keys;
    uint8_t wrap[SEAL_WRAP_BYTES];
    struct span key = span_bytes(it->key, sizeof it->key);
    enum err err = crypt_sha256v(
        (const struct span[]){span_bytes(k->a, TICKET_A_BYTES), span_bytes(x->r->digest, CRYPT_SHA256_BYTES)},
        2, it->r->t.digest_hash);

    if (err == ERR_OK)
        err = wrap_seal(k->kd, k->a, x->payload_id, x->r->version, x->r->dek, wrap);
    if (err == ERR_OK)
        err = c->s->engine->ops->put(c->txn, TABLE_WRAP, key, span_bytes(wrap, sizeof wrap));
    secret_wipe(wrap, sizeof wrap);
    return err;
}

static enum err replace_letter(struct change *c, struct replace *x, struct replace_item *it)
{
    enum err err = change_ticket_release(c, it->r);

    if (err == ERR_OK)
        err = set_letter(c, x, it);
    if (err == ERR_OK)
        err = put_wrap(c, x, it);
    if (err == ERR_OK && x->r->archive_first)
        err = change_work_set(c, it->r, WORK_STUB, x->now_s); /* the archive wants this letter too */
    if (err == ERR_OK)
        err = have_it_looked_at(c, it->r, it->r->t.state, x->now_s);
    if (err == ERR_OK)
        err = change_ticket_put(c, it->r);
    return err == ERR_OK ? change_note_ticket(c, HANDOVER_REPLACED, x->r->version, &it->r->t, x->now_s,
                                              span_bytes(NULL, 0))
                         : err;
}

static enum err replace_item(struct change *c, struct replace *x, struct replace_item *it)
{
    bool overdue = false;
    enum ticket_state was;
    enum err err;

    memset(it->r, 0, sizeof *it->r);
    err = change_ticket_get(c, it->key, it->r);
    it->of->outcome = ERR_NOT_FOUND;
    if (err == ERR_NOT_FOUND)
        return ERR_OK;
    was = it->r->t.state;
    if (err == ERR_OK)
        err = change_ticket_settle(c, it->r, x->now_s, LEASE_IN_FULL);
    if (err == ERR_OK)
        err = prepare(c, it->r, x->now_s, &overdue);
    if (err != ERR_OK)
        return err;
    it->of->outcome = overdue ? ERR_GONE : may_replace(&it->r->t, x->r);
    if (it->of->outcome == ERR_OK) {
        x->replaced++;
        x->one = &it->r->t;
        return replace_letter(c, x, it);
    }
    if (it->of->outcome == ERR_UNARCHIVED)
        return change_archive_due(c, it->r, x->now_s);
    return it->r->t.state == was ? ERR_OK : change_ticket_put(c, it->r);
}

static enum err replace(struct change *c, void *arg)
{
    struct replace *x = arg;
    struct quota_ask ask = {.limits = x->r->limits, .why = x->r->why, .now_s = x->now_s};
    enum err err = ERR_OK;

    x->replaced = 0;
    for (size_t i = 0; i < x->r->count && err == ERR_OK; i++)
        err = replace_item(c, x, &x->item[i]);
    if (err != ERR_OK || x->replaced == 0)
        return err;
    x->payload.references = (uint32_t)x->replaced;
    payload_record_belongs(&x->payload, x->one->owner, x->one->sender, x->r->letter_bytes);
    err = change_payload_put(c, x->r->payload, &x->payload);
    if (err == ERR_OK)
        err = change_quota_settle(c, &ask);
    if (err == ERR_OK)
        KILL_POINT("replace-commit-before");
    return err;
}

static int by_key(const void *a, const void *b)
{
    const struct replace_item *x = a, *y = b;

    return memcmp(x->key, y->key, sizeof x->key);
}

static enum err prepare_replace(struct store *s, struct replace *x)
{
    struct store_replacement *r = x->r;
    struct store_payload *p = r->payload;
    enum err err;

    if (r->count == 0)
        return ERR_INTERNAL;
    if ((x->item = calloc(r->count, sizeof *x->item)) == NULL)
        return ERR_NOMEM;
    if ((err = store_disk_floor(s)) != ERR_OK)
        return err;
    memcpy(x->payload_id, p->id, sizeof x->payload_id);
    x->sealed_bytes = p->size;
    err = store_payload_record(p, r->dek, x->now_s, &x->payload);
    if (err == ERR_OK)
        err = store_payload_digest(p, x->sealed_digest);
    for (size_t i = 0; i < r->count && err == ERR_OK; i++) {
        struct replace_item *it = &x->item[i];

        it->of = &r->item[i];
        if ((it->r = calloc(1, sizeof *it->r)) == NULL)
            err = ERR_NOMEM;
        else
            err = ticket_store_key(it->of->keys->a, it->of->keys->b, it->key);
    }
    if (err == ERR_OK)
        qsort(x->item, r->count, sizeof *x->item, by_key);
    return err;
}

/* Gives the caller his tickets as they are now. */
static enum err give(struct store *s, struct replace *x)
{
    for (size_t i = 0; i < x->r->count; i++) {
        struct replace_item *it = &x->item[i];
        enum err err;

        if (it->of->outcome == ERR_NOT_FOUND)
            continue;
        if ((err = ticket_record_open(s->keys, it->r)) != ERR_OK)
            return err;
        it->of->ticket = it->r->t;
        it->of->ticket.look_s = it->r->stub_due_s;
    }
    return x->replaced > 0 ? ERR_OK : x->r->item[0].outcome;
}

enum err store_replace(struct store *s, struct store_replacement *r, int64_t now_s)
{
    struct store_payload *p = r->payload;
    struct replace x = {.r = r, .now_s = now_s};
    bool kept = false;
    enum err err = prepare_replace(s, &x);

    if (err == ERR_OK) {
        err = store_payload_keep(p);
        kept = err == ERR_OK && x.payload.in_blob;
    }
    if (err == ERR_OK)
        err = store_change(s, replace, &x);
    KILL_POINT("replace-commit-after");
    if (kept && (err != ERR_OK || x.replaced == 0))
        store_payload_unneeded(s, p->id);
    if (err == ERR_OK)
        err = give(s, &x);
    else
        for (size_t i = 0; i < r->count; i++)
            r->item[i].outcome = err; /* nothing was changed */
    for (size_t i = 0; x.item != NULL && i < r->count; i++)
        free(x.item[i].r);
    free(x.item);
    secret_wipe(&x.payload, sizeof x.payload);
    store_payload_abort(p);
    r->payload = NULL;
    return err;
}

/* ---- hold ---------------------------------------------------------------------------------------------- */

static enum err hold(struct change *c, void *arg)
{
    struct word *w = arg;
    struct ticket *t = &w->r->t;
    enum err err;

    if ((err = word_get(c, w, LEASE_IN_FULL)) != ERR_OK)
        return err;
    if (ticket_state_ended(t->state))
        return ERR_GONE;
    if (t->hold != w->hold) {
        ticket_event_add(t, w->hold ? TICKET_EVENT_HOLD : TICKET_EVENT_RELEASED, w->now_s);
        /* Whatever store_expire made of it meanwhile. */
        err = change_ticket_timer(c, w->r, t->expires_s);
    }
    t->hold = w->hold;
    store_text(t->hold_note, sizeof t->hold_note, w->hold ? w->text : "");
    if (err == ERR_OK)
        err = change_ticket_put(c, w->r);
    if (err == ERR_OK)
        err = change_note_ticket(c, HANDOVER_HOLD, w->hold, t, w->now_s,
                                 span_bytes(t->hold_note, strlen(t->hold_note) + 1));
    if (err == ERR_OK)
        KILL_POINT("hold-commit-before");
    return err;
}

enum err store_hold(struct store *s, const uint8_t key[TICKET_STORE_KEY_BYTES], bool on, const char *note,
                    int64_t now_s, struct ticket *out)
{
    struct word w = {.key = key, .now_s = now_s, .hold = on, .text = note};
    enum err err = word_run(s, hold, &w, out);

    KILL_POINT("hold-commit-after");
    return err;
}
