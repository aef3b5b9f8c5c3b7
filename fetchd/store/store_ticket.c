/*
 * store_ticket.c - what callers and the clock do with tickets: claim, resume, ack, nack, status, bounce,
 * expire; and what the lifecycle decides: a warning, the letter by plain SMTP, the archive's copy. Looking at
 * them is store_look.c, taking them back store_recall.c.
 */
#include <stdlib.h>
#include <string.h>

#include "base/kill.h"
#include "base/secret.h"
#include "mail/dsn.h"
#include "store/store_handover.h"
#include "store/store_word.h"
#include "store/ticket_state.h"

#define HOLD_LOOK_S 86400 /* its release sets the timer anew */

enum err word_get(struct change *c, struct word *w, int64_t live_until_s)
{
    enum err err;

    memset(w->r, 0, sizeof *w->r);
    w->answer = ERR_OK;
    err = change_ticket_get(c, w->key, w->r);
    return err == ERR_OK ? change_ticket_settle(c, w->r, w->now_s, live_until_s) : err;
}

enum err word_run_by(struct store *s, word_change change, change_body body, struct word *w,
                     struct ticket *out)
{
    enum err err, opened;

    if ((w->r = calloc(1, sizeof *w->r)) == NULL)
        return ERR_NOMEM;
    err = change(s, body, w);
    if (err == ERR_OK)
        err = w->answer;
    if (out != NULL && w->r->t.version != 0) {
        opened = ticket_record_open(s->keys, w->r);
        w->r->t.look_s = w->r->stub_due_s;
        if (opened == ERR_OK)
            *out = w->r->t;
        else if (err == ERR_OK)
            err = opened;
    }
    free(w->r);
    w->r = NULL;
    return err;
}

enum err word_run(struct store *s, change_body body, struct word *w, struct ticket *out)
{
    return word_run_by(s, store_change, body, w, out);
}

/* ---- claim --------------------------------------------------------------------------------------------- */

static int64_t min_s(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

#define COPY_SOON_S 5 /* the archive's copy is made at once */

/* Nothing is handed over for the first time that the archive has no copy of; then the copy is made now. True
 * when that is the answer. */
static bool waits_for_archive(struct change *c, struct word *w, enum err *err)
{
    struct ticket *t = &w->r->t;

    if (!w->claim->archive_first || t->handed_over_s != 0)
        return false;
    if ((*err = change_ticket_archived(c, w->r)) != ERR_OK)
        return true;
    if (t->archived)
        return false;
    w->answer = ERR_UNARCHIVED;
    *err = change_archive_due(c, w->r, w->now_s);
    return true;
}

static enum err claim(struct change *c, void *arg)
{
    struct word *w = arg;
    const struct store_claim *q = w->claim;
    struct ticket *t = &w->r->t;
    bool overdue = false;
    enum err err;

    err = word_get(c, w, q->live_until_s);
    if (err == ERR_OK)
        err = change_ticket_end_overdue(c, w->r, w->now_s, &overdue);
    if (err != ERR_OK)
        return err;
    if (overdue) {
        w->answer = ERR_GONE;
        return change_ticket_put(c, w->r);
    }
    if ((err = ticket_may_claim(t, q)) != ERR_OK || waits_for_archive(c, w, &err))
        return err;
    err = c->s->engine->ops->get(c->txn, TABLE_WRAP, span_bytes(t->key, sizeof t->key), false, &c->value);
    if (err != ERR_OK || c->value.len != SEAL_WRAP_BYTES)
        return err == ERR_OK || err == ERR_NOT_FOUND ? ERR_STORE : err;
    memcpy(w->wrap, c->value.data, SEAL_WRAP_BYTES);

    w->renewed = t->state == TICKET_LEASED;
    if (!w->renewed) {
        if ((err = change_ticket_enter(c, w->r, TICKET_LEASED, w->now_s)) != ERR_OK)
            return err;
        if (t->handed_over_s != 0 && !secret_equal(t->lease_token, q->lease_token, sizeof t->lease_token))
            t->several = true;
        memcpy(t->lease_token, q->lease_token, sizeof t->lease_token);
        t->lease_started_s = w->now_s;
        w->r->lease_hard_s = w->now_s + q->lease_total_s;
        if (t->handed_over_s == 0)
            t->handed_over_s = w->now_s; /* from here on the letter cannot be taken back */
    }
    store_text(t->lease_holder, sizeof t->lease_holder, q->holder);
    t->lease_until_s = min_s(w->now_s + q->lease_s, w->r->lease_hard_s);
    t->bodies++;
    err = change_ticket_put(c, w->r);
    if (err == ERR_OK)
        err = change_note_claim(c, t,
                                w->now_s); /* a renewed one too: nobody knows whether the first is noted */
    if (err == ERR_OK)
        KILL_POINT("claim-commit-before");
    return err;
}

static enum err claim_by(struct store *s, word_change change, const struct store_claim *q,
                         struct store_claimed *out)
{
    struct word w = {.key = q->key, .now_s = q->now_s, .claim = q, .wrap = out->wrap};
    enum err err = word_run_by(s, change, claim, &w, &out->ticket);

    if (err == ERR_OK)
        out->renewed = w.renewed;
    if (err == ERR_LEASED)
        out->retry_after_s = ticket_retry_after_s(&out->ticket);
    if (err == ERR_UNARCHIVED)
        out->retry_after_s = COPY_SOON_S;
    return err;
}

enum err store_claim(struct store *s, const struct store_claim *q, struct store_claimed *out)
{
    enum err err = claim_by(s, store_change, q, out);

    KILL_POINT("claim-commit-after");
    return err;
}

enum err store_claim_begin(struct store *s, const struct store_claim *q, struct store_claimed *out)
{
    return claim_by(s, store_change_lazy, q, out);
}

static enum err resume(struct change *c, void *arg)
{
    struct word *w = arg;
    const struct store_claim *q = w->claim;
    struct ticket *t = &w->r->t;
    enum err err;

    err = word_get(c, w, q->live_until_s);
    if (err == ERR_OK)
        err = ticket_may_resume(t, q);
    if (err == ERR_OK)
        err = c->s->engine->ops->get(c->txn, TABLE_WRAP, span_bytes(t->key, sizeof t->key), false, &c->value);
    if (err == ERR_OK && c->value.len != SEAL_WRAP_BYTES)
        err = ERR_STORE;
    if (err != ERR_OK)
        return err;
    memcpy(w->wrap, c->value.data, SEAL_WRAP_BYTES);
    w->renewed = true;
    t->lease_until_s = min_s(w->now_s + q->lease_s, w->r->lease_hard_s);
    t->bodies++;
    err = change_ticket_put(c, w->r);
    if (err == ERR_OK)
        err = change_note_claim(c, t, w->now_s);
    if (err == ERR_OK)
        KILL_POINT("resume-commit-before");
    return err;
}

enum err store_resume(struct store *s, const struct store_claim *q, struct store_claimed *out)
{
    struct word w = {.key = q->key, .now_s = q->now_s, .claim = q, .wrap = out->wrap};
    enum err err = word_run(s, resume, &w, &out->ticket);

    KILL_POINT("resume-commit-after");
    if (err == ERR_OK)
        out->renewed = w.renewed;
    return err;
}

/* ---- ack, nack, status, bounce ------------------------------------------------------------------------- */

static enum err ack(struct change *c, void *arg)
{
    struct word *w = arg;
    uint8_t hash[CRYPT_SHA256_BYTES];
    struct ticket *t = &w->r->t;
    enum err err;

    /* Needs no live lease: whether it has lapsed makes no difference. */
    if ((err = word_get(c, w, 0)) != ERR_OK)
        return err;
    err = crypt_sha256v(
        (const struct span[]){span_bytes(t->a, sizeof t->a), span_bytes(w->digest, CRYPT_SHA256_BYTES)}, 2,
        hash);
    if (err == ERR_OK)
        err = ticket_may_ack(t, memcmp(hash, t->digest_hash, sizeof hash) == 0);
    if (err == ERR_OK && t->state == TICKET_DELIVERED)
        return change_note_end(c, t, t->changed_s);
    if (err != ERR_OK)
        return err;
    err = change_ticket_enter(c, w->r, TICKET_DELIVERED, w->now_s);
    if (err == ERR_OK)
        err = change_ticket_put(c, w->r);
    if (err == ERR_OK)
        KILL_POINT("ack-commit-before");
    return err;
}

enum err store_ack(struct store *s, const uint8_t key[TICKET_STORE_KEY_BYTES], const uint8_t digest[32],
                   int64_t now_s, struct ticket *out)
{
    struct word w = {.key = key, .now_s = now_s, .digest = digest};
    enum err err = word_run(s, ack, &w, out);

    KILL_POINT("ack-commit-after");
    return err;
}

enum err store_ack_begin(struct store *s, const uint8_t key[TICKET_STORE_KEY_BYTES], const uint8_t digest[32],
                         int64_t now_s, struct ticket *out)
{
    struct word w = {.key = key, .now_s = now_s, .digest = digest};

    return word_run_by(s, store_change_lazy, ack, &w, out);
}

static enum err nack(struct change *c, void *arg)
{
    static const uint8_t no_token[16];
    struct word *w = arg;
    struct ticket *t = &w->r->t;
    enum ticket_state end;
    enum err err;

    if ((err = word_get(c, w, 0)) != ERR_OK)
        return err;
    err = ticket_may_nack(t, w->token == NULL ? no_token : w->token);
    if (err == ERR_OK && t->state == TICKET_REFUSED)
        return change_note_end(c, t, t->changed_s);
    if (err != ERR_OK)
        return err;
    store_text(t->remote_reason, sizeof t->remote_reason, w->reason);
    store_text(t->remote_text, sizeof t->remote_text, w->text);
    end = ticket_refused_end(t);
    if (t->state == TICKET_LEASED && end == TICKET_UNCONFIRMED) /* its holder gives the lease up */
        err = change_ticket_enter(c, w->r, TICKET_LAPSED, w->now_s);
    if (err == ERR_OK)
        err = change_ticket_enter(c, w->r, end, w->now_s);
    if (err == ERR_OK)
        err = change_ticket_put(c, w->r);
    if (err == ERR_OK)
        KILL_POINT("nack-commit-before");
    return err;
}

enum err store_nack(struct store *s, const uint8_t key[TICKET_STORE_KEY_BYTES], const uint8_t lease_token[16],
                    const char *reason, const char *text, int64_t now_s, struct ticket *out)
{
    struct word w = {.key = key, .now_s = now_s, .token = lease_token, .reason = reason, .text = text};
    enum err err = word_run(s, nack, &w, out);

    KILL_POINT("nack-commit-after");
    return err;
}

/* A challenge that the sender does not know of yet: to be told, if there is anybody to tell. The same one
 * again (its stub was repeated) is not. */
static enum err set_challenge(struct change *c, struct word *w)
{
    const char *url = w->state == TICKET_CHALLENGED && w->text != NULL ? w->text : "";
    struct ticket *t = &w->r->t;
    enum err err = ticket_record_open(c->s->keys, w->r);
    bool same = strncmp(t->challenge_url, url, sizeof t->challenge_url - 1) == 0;

    store_text(t->challenge_url, sizeof t->challenge_url, url);
    if (err == ERR_OK && !same)
        err = ticket_record_seal(c->s->keys, w->r);
    if (err != ERR_OK || same || url[0] == '\0' || t->bulk || t->sender[0] == '\0')
        return err;
    w->r->challenge_tries = 0;
    return change_work_set(c, w->r, WORK_CHALLENGE, w->now_s);
}

static enum err status(struct change *c, void *arg)
{
    struct word *w = arg;
    struct ticket *t = &w->r->t;
    enum err err;

    if (w->state != TICKET_HELD && w->state != TICKET_CHALLENGED)
        return ERR_INTERNAL;
    if ((err = word_get(c, w, 0)) != ERR_OK || (err = ticket_may_status(t, w->state)) != ERR_OK)
        return err;
    t->remote_text[0] = '\0';
    t->status_s = w->now_s;
    if (t->state != w->state)
        err = change_ticket_enter(c, w->r, w->state, w->now_s);
    if (err == ERR_OK)
        err = set_challenge(c, w);
    if (err == ERR_OK)
        err = change_ticket_put(c, w->r);
    if (err == ERR_OK)
        KILL_POINT("status-commit-before");
    return err;
}

enum err store_status(struct store *s, const uint8_t key[TICKET_STORE_KEY_BYTES], enum ticket_state state,
                      const char *url, int64_t now_s, struct ticket *out)
{
    struct word w = {.key = key, .now_s = now_s, .state = state, .text = url};
    enum err err = word_run(s, status, &w, out);

    KILL_POINT("status-commit-after");
    return err;
}

static enum err bounced(struct change *c, void *arg)
{
    struct word *w = arg;
    struct ticket *t = &w->r->t;
    enum err err;

    if ((err = word_get(c, w, 0)) != ERR_OK || (err = ticket_may_bounce(t)) != ERR_OK)
        return err;
    store_text(t->remote_reason, sizeof t->remote_reason, w->reason);
    store_text(t->remote_text, sizeof t->remote_text, w->text);
    err = change_ticket_enter(c, w->r, TICKET_BOUNCED, w->now_s);
    if (err == ERR_OK)
        err = change_ticket_put(c, w->r);
    if (err == ERR_OK)
        KILL_POINT("bounced-commit-before");
    return err;
}

enum err store_bounced(struct store *s, const uint8_t a[TICKET_A_BYTES], const char *code, const char *text,
                       int64_t now_s, struct ticket *out)
{
    uint8_t key[TICKET_STORE_KEY_BYTES];
    struct word w = {.key = key, .now_s = now_s, .reason = code, .text = text};
    enum err err = store_key_of_a(s, a, key);

    if (err == ERR_OK)
        err = word_run(s, bounced, &w, out);
    KILL_POINT("bounced-commit-after");
    return err;
}

/* ---- expiry -------------------------------------------------------------------------------------------- */

/* When a ticket whose time is up is looked at again, though it may not end yet. */
static int64_t look_again_s(const struct ticket_record *r, int64_t now_s)
{
    if (r->t.state == TICKET_LEASED)
        return r->lease_hard_s + 1;
    return r->t.hold ? now_s + HOLD_LOOK_S : r->t.expires_s;
}

enum err change_ticket_expire(struct change *c, const uint8_t key[TICKET_STORE_KEY_BYTES], int64_t now_s,
                              struct ticket_record *r)
{
    bool ended = false;
    enum err err;

    /* A body may be on its way until the lease's hard end, whatever lease_until_s says: the pull is let
     * finish, or the sender would hear "not confirmed" of a letter that is being delivered. */
    memset(r, 0, sizeof *r);
    if ((err = change_ticket_get(c, key, r)) != ERR_OK)
        return err;
    /* Somebody was faster, or it lives for longer by now: nothing is changed. */
    if (ticket_state_ended(r->t.state) || r->timer_s > now_s)
        return ERR_NOT_FOUND;
    if ((err = change_ticket_settle(c, r, now_s, r->lease_hard_s)) != ERR_OK)
        return err;
    err = change_ticket_end_overdue(c, r, now_s, &ended);
    if (err == ERR_OK && !ended)
        err = change_ticket_timer(c, r, look_again_s(r, now_s));
    if (err == ERR_OK)
        err = change_ticket_put(c, r);
    if (err == ERR_OK)
        KILL_POINT("expire-commit-before");
    return err;
}

/* ---- the lifecycle's words ----------------------------------------------------------------------------- */

static enum err delay_due(struct change *c, void *arg)
{
    struct word *w = arg;
    struct ticket *t = &w->r->t;
    enum err err;

    if ((err = word_get(c, w, 0)) != ERR_OK || ticket_state_ended(t->state) || t->state == TICKET_LEASED)
        return err;
    if (t->delay_told_s != 0)
        return change_ticket_put(c, w->r); /* its lease may have lapsed by now */
    t->delay_told_s = w->now_s;
    if (ticket_asks(t, DSN_DELAY))
        err = change_work_set(c, w->r, WORK_DELAY, w->now_s);
    if (err == ERR_OK)
        err = change_ticket_put(c, w->r);
    if (err == ERR_OK)
        KILL_POINT("delay-commit-before");
    return err;
}

enum err store_delay_due(struct store *s, const uint8_t key[TICKET_STORE_KEY_BYTES], int64_t now_s)
{
    struct word w = {.key = key, .now_s = now_s};
    enum err err = word_run(s, delay_due, &w, NULL);

    KILL_POINT("delay-commit-after");
    return err;
}

static enum err plain(struct change *c, void *arg)
{
    struct word *w = arg;
    struct ticket *t = &w->r->t;
    enum err err;

    if ((err = word_get(c, w, 0)) != ERR_OK || (err = ticket_may_plain(t)) != ERR_OK)
        return err;
    store_text(t->remote_text, sizeof t->remote_text, w->text);
    err = change_ticket_enter(c, w->r, TICKET_PLAIN, w->now_s);
    if (err == ERR_OK)
        err = change_ticket_put(c, w->r);
    if (err == ERR_OK)
        KILL_POINT("plain-commit-before");
    return err;
}

enum err store_plain(struct store *s, const uint8_t key[TICKET_STORE_KEY_BYTES], const char *why,
                     int64_t now_s, struct ticket *out)
{
    struct word w = {.key = key, .now_s = now_s, .text = why};
    enum err err = word_run(s, plain, &w, out);

    KILL_POINT("plain-commit-after");
    return err;
}

/* The payload says it for all its tickets; this one also says when. */
static enum err archived(struct change *c, void *arg)
{
    struct word *w = arg;
    struct ticket *t = &w->r->t;
    struct payload_record p;
    enum err err;

    if ((err = word_get(c, w, 0)) != ERR_OK)
        return err;
    if (memcmp(t->payload_id, w->payload_id, sizeof t->payload_id) != 0)
        return ERR_GONE;
    if ((err = change_ticket_archived(c, w->r)) != ERR_OK)
        return err;
    if (t->archived)
        return change_ticket_put(c, w->r); /* its lease may have lapsed by now */
    /* One that ended may leave the letter to others, and one that was closed as plain goes on with it. */
    if ((err = change_payload_get(c, t->payload_id, &p)) != ERR_OK)
        return err != ERR_NOT_FOUND ? err : ticket_state_ended(t->state) ? ERR_GONE : ERR_STORE;
    p.archived = t->archived = true;
    ticket_event_add(t, TICKET_EVENT_ARCHIVED, w->now_s);
    buf_clear(&c->value);
    err = payload_record_encode(&p, &c->value);
    if (err == ERR_OK)
        err = c->s->engine->ops->put(c->txn, TABLE_PAYLOAD, span_bytes(t->payload_id, sizeof t->payload_id),
                                     buf_span(&c->value));
    if (err == ERR_OK)
        err = change_ticket_put(c, w->r);
    if (err == ERR_OK)
        KILL_POINT("archived-commit-before");
    return err;
}

enum err store_archived(struct store *s, const uint8_t key[TICKET_STORE_KEY_BYTES],
                        const uint8_t payload_id[SEAL_PAYLOAD_ID_BYTES], int64_t now_s)
{
    struct word w = {.key = key, .now_s = now_s, .payload_id = payload_id};
    enum err err = word_run(s, archived, &w, NULL);

    KILL_POINT("archived-commit-after");
    return err;
}
