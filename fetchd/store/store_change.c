/*
 * store_change.c - the steps that words are made of, each inside a change: tickets entering states, the
 * outbox, references to payloads, purging.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "store/store_handover.h"
#include "store/store_letter.h"
#include "store/store_payload.h"
#include "store/store_quota.h"
#include "store/ticket_state.h"

static const struct engine_ops *ops(const struct change *c)
{
    return c->s->engine->ops;
}

/* An index entry that should be there and is not: not worth failing for, the record itself decides. */
enum err change_ticket_get(struct change *c, const uint8_t key[TICKET_STORE_KEY_BYTES],
                           struct ticket_record *r)
{
    enum err err =
        ops(c)->get(c->txn, TABLE_TICKET, span_bytes(key, TICKET_STORE_KEY_BYTES), true, &c->value);

    return err == ERR_OK ? ticket_record_decode(buf_span(&c->value), key, r) : err;
}

enum err change_ticket_put(struct change *c, const struct ticket_record *r)
{
    enum err err;

    buf_clear(&c->value);
    err = ticket_record_encode(r, &c->value);
    if (err == ERR_OK)
        err = ops(c)->put(c->txn, TABLE_TICKET, span_bytes(r->t.key, sizeof r->t.key), buf_span(&c->value));
    return err;
}

enum err change_work_set(struct change *c, struct ticket_record *r, enum work_kind kind, int64_t due_s)
{
    int64_t *at = ticket_record_due(r, kind);
    struct record_key key;
    enum err err = ERR_OK;

    if (*at != 0) {
        key = record_key_work(*at, r->t.key, kind);
        err = absent_is_fine(ops(c)->del(c->txn, TABLE_WORK_DUE, record_key_span(&key)));
        c->counts.work--;
    }
    if (err == ERR_OK && due_s != 0) {
        key = record_key_work(due_s, r->t.key, kind);
        err = ops(c)->put(c->txn, TABLE_WORK_DUE, record_key_span(&key), span_bytes(NULL, 0));
        c->counts.work++;
    }
    *at = due_s;
    return err;
}

enum err change_payload_put(struct change *c, const struct store_payload *p, const struct payload_record *r)
{
    struct span id = span_bytes(p->id, sizeof p->id);
    enum err err;

    buf_clear(&c->value);
    err = payload_record_encode(r, &c->value);
    if (err == ERR_OK)
        err = ops(c)->put(c->txn, TABLE_PAYLOAD, id, buf_span(&c->value));
    if (err == ERR_OK && !r->in_blob)
        err = ops(c)->put(c->txn, TABLE_SEALED, id, buf_span(&p->bytes));
    c->counts.payloads++;
    c->counts.payload_bytes += r->size;
    return err == ERR_OK ? change_quota_add(c, r, 1) : err;
}

enum err change_payload_get(struct change *c, const uint8_t id[SEAL_PAYLOAD_ID_BYTES],
                            struct payload_record *out)
{
    enum err err = ops(c)->get(c->txn, TABLE_PAYLOAD, span_bytes(id, SEAL_PAYLOAD_ID_BYTES), true, &c->value);

    memset(out, 0, sizeof *out);
    return err == ERR_OK ? payload_record_decode(buf_span(&c->value), out) : err;
}

static enum err release(struct change *c, const uint8_t id[SEAL_PAYLOAD_ID_BYTES], struct payload_record *p)
{
    struct span key = span_bytes(id, SEAL_PAYLOAD_ID_BYTES);
    enum err err;

    if (p->references > 1) {
        p->references--;
        buf_clear(&c->value);
        err = payload_record_encode(p, &c->value);
        return err == ERR_OK ? ops(c)->put(c->txn, TABLE_PAYLOAD, key, buf_span(&c->value)) : err;
    }
    /* The sealed DEK goes with the record; its bytes are overwritten first. */
    err = ops(c)->del(c->txn, TABLE_PAYLOAD, key);
    if (err == ERR_OK && !p->in_blob)
        err = absent_is_fine(ops(c)->del(c->txn, TABLE_SEALED, key));
    if (err == ERR_OK && p->in_blob) {
        err = buf_append(&c->blobs, id, ENGINE_BLOB_ID_BYTES);
    }
    c->counts.payloads--;
    c->counts.payload_bytes -= p->size;
    return err == ERR_OK ? change_quota_add(c, p, -1) : err;
}

enum err change_payload_release(struct change *c, const uint8_t id[SEAL_PAYLOAD_ID_BYTES])
{
    struct payload_record p;
    enum err err = change_payload_get(c, id, &p);

    return err == ERR_OK ? release(c, id, &p) : absent_is_fine(err);
}

enum err change_ticket_release(struct change *c, struct ticket_record *r)
{
    struct payload_record p;
    enum err err = change_payload_get(c, r->t.payload_id, &p);

    if (err != ERR_OK)
        return absent_is_fine(err);
    r->t.archived = r->t.archived || p.archived;
    return release(c, r->t.payload_id, &p);
}

enum err change_ticket_archived(struct change *c, struct ticket_record *r)
{
    struct payload_record p;
    enum err err;

    if (r->t.archived)
        return ERR_OK;
    err = change_payload_get(c, r->t.payload_id, &p);
    if (err == ERR_OK)
        r->t.archived = p.archived;
    return absent_is_fine(err);
}

enum err change_archive_due(struct change *c, struct ticket_record *r, int64_t now_s)
{
    enum err err = change_work_set(c, r, WORK_STUB, now_s);

    return err == ERR_OK ? change_ticket_put(c, r) : err;
}

static enum err move_timer(struct change *c, struct ticket_record *r, enum timer_kind kind, int64_t time_s)
{
    bool ended = ticket_state_ended(r->t.state);
    struct record_key key =
        record_key_timer(ended ? TIMER_PURGE_TICKET : TIMER_EXPIRE, r->timer_s, r->t.key, sizeof r->t.key);
    enum err err = absent_is_fine(ops(c)->del(c->txn, TABLE_TIMER, record_key_span(&key)));

    key = record_key_timer(kind, time_s, r->t.key, sizeof r->t.key);
    if (err == ERR_OK)
        err = ops(c)->put(c->txn, TABLE_TIMER, record_key_span(&key), span_bytes(NULL, 0));
    r->timer_s = time_s;
    return err;
}

enum err change_ticket_timer(struct change *c, struct ticket_record *r, int64_t time_s)
{
    return move_timer(c, r, TIMER_EXPIRE, time_s);
}

/* The notification returns the letter's header, and a plain letter is all of it: the payload stays until they
 * were sent. */
static enum err end_payload(struct change *c, struct ticket_record *r, enum ticket_state end, int64_t now_s)
{
    if (end == TICKET_PLAIN)
        return change_work_set(c, r, WORK_PLAIN, now_s);
    if (ticket_wants_notice(&r->t, end))
        return change_work_set(c, r, WORK_NOTIFY, now_s);
    return change_ticket_release(c, r);
}

/* What would not be true any more must not be said. */
static enum err take_back_work(struct change *c, struct ticket_record *r, enum ticket_state to)
{
    enum err err = ERR_OK;

    if (ticket_state_ended(to))
        err = change_work_set(c, r, WORK_STUB, 0);
    /* Claimed or held: there is no challenge in its way any more. */
    if (err == ERR_OK && to != TICKET_CHALLENGED)
        err = change_work_set(c, r, WORK_CHALLENGE, 0);
    /* Claimed: it waits no more. Should the lease lapse, it may still be warned of. */
    if (err == ERR_OK && r->delay_due_s != 0 && (to == TICKET_LEASED || ticket_state_ended(to))) {
        r->t.delay_told_s = 0;
        err = change_work_set(c, r, WORK_DELAY, 0);
    }
    return err;
}

/* From where it was before this change to where it is after it. */
static enum err note_state(struct change *c, const struct ticket *t, enum ticket_state to)
{
    struct state_change state = {.from = t->state, .to = to};
    char *last;

    if (c->states.len > 0) {
        last = c->states.data + c->states.len - sizeof state;
        memcpy(&state, last, sizeof state);
        if (memcmp(state.a, t->a, sizeof state.a) == 0) {
            state.to = to;
            memcpy(last, &state, sizeof state);
            return ERR_OK;
        }
        state = (struct state_change){.from = t->state, .to = to};
    }
    memcpy(state.a, t->a, sizeof state.a);
    return buf_append(&c->states, &state, sizeof state);
}

enum err change_ticket_enter(struct change *c, struct ticket_record *r, enum ticket_state to, int64_t now_s)
{
    enum err err = ERR_OK;

    if (!ticket_state_may(r->t.state, r->t.perhaps, to)) {
        log_error("store: a ticket may not go from %s to %s", ticket_state_name(r->t.state),
                  ticket_state_name(to));
        return ERR_INTERNAL;
    }
    if (ticket_state_ended(to)) {
        err = absent_is_fine(ops(c)->del(c->txn, TABLE_WRAP, span_bytes(r->t.key, sizeof r->t.key)));
        if (err == ERR_OK)
            err = move_timer(c, r, TIMER_PURGE_TICKET, now_s + c->s->tombstone_s);
        if (err == ERR_OK)
            err = end_payload(c, r, to, now_s);
    }
    if (err == ERR_OK)
        err = take_back_work(c, r, to);
    if (err != ERR_OK)
        return err;
    c->counts.tickets[r->t.state]--;
    c->counts.tickets[to]++;
    if ((err = note_state(c, &r->t, to)) != ERR_OK)
        return err;
    r->t.state = to;
    r->t.changed_s = now_s;
    ticket_event_add(&r->t, to, now_s);
    return change_note_end(c, &r->t, now_s);
}

enum err change_ticket_settle(struct change *c, struct ticket_record *r, int64_t now_s, int64_t live_until_s)
{
    enum err err;

    if (r->t.state != TICKET_LEASED ||
        ticket_state_at(&r->t, now_s, live_until_s, r->lease_hard_s) == TICKET_LEASED)
        return ERR_OK;
    /* It lapsed by itself, not now. */
    err = change_ticket_enter(c, r, TICKET_LAPSED, ticket_lease_end_s(&r->t, live_until_s, r->lease_hard_s));
    if (err == ERR_OK)
        r->t.lapses++;
    return err;
}

enum err change_ticket_end_overdue(struct change *c, struct ticket_record *r, int64_t now_s, bool *ended)
{
    *ended = !ticket_state_ended(r->t.state) && r->t.state != TICKET_LEASED && !r->t.hold &&
             r->t.expires_s < now_s;
    return *ended ? change_ticket_enter(c, r, ticket_overdue_end(&r->t), now_s) : ERR_OK;
}

enum err change_ticket_purge(struct change *c, struct ticket_record *r)
{
    struct span key = span_bytes(r->t.key, sizeof r->t.key);
    struct record_key k;
    enum err err;

    if (!ticket_state_ended(r->t.state))
        return ERR_NOT_FOUND;
    /* What is still to be sent or told outlives its time, however long our MTA was away: who sends it gives
     * up some day (plain.c, notify.c). */
    for (int kind = 0; kind < WORK_KIND_COUNT; kind++)
        if (*ticket_record_due(r, (enum work_kind)kind) != 0)
            return ERR_NOT_FOUND;
    if ((err = change_letter_del(c, r)) != ERR_OK)
        return err;
    k = record_key_timer(TIMER_PURGE_TICKET, r->timer_s, r->t.key, sizeof r->t.key);
    if ((err = absent_is_fine(ops(c)->del(c->txn, TABLE_TIMER, record_key_span(&k)))) != ERR_OK)
        return err;
    k = record_key_time(r->t.created_s, r->t.key, sizeof r->t.key);
    if ((err = absent_is_fine(ops(c)->del(c->txn, TABLE_CREATED, record_key_span(&k)))) != ERR_OK)
        return err;
    c->counts.tickets[r->t.state]--;
    c->counts.removed++;
    return ops(c)->del(c->txn, TABLE_TICKET, key);
}
