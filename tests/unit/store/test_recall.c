/*
 * test_recall.c - what recall.h promises: letters taken back, replaced, and on hold, and who wins against a
 * claim. On every engine.
 */
#include "rig.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/quota.h"
#include "store/recall.h"

#define DAY_S 86400
#define URL "https://b.test/c"

static enum err retract(struct rig *r, const struct posted *p, struct ticket *out)
{
    memset(out, 0, sizeof *out);
    return store_retract(r->s, p->ticket.key, false, RIG_NOW_S + 9, out);
}

static enum err replace(struct rig *r, struct posted *p, const struct letter *l, uint32_t version)
{
    enum err outcome = ERR_INTERNAL, err = rig_replace(r, p, 1, l, version, false, RIG_NOW_S + 9, &outcome);

    assert_err(err, outcome);
    return err;
}

static void status(struct rig *r, const struct posted *p, enum ticket_state state)
{
    struct ticket t;

    assert_err(ERR_OK, store_status(r->s, p->ticket.key, state, state == TICKET_CHALLENGED ? URL : "",
                                    RIG_NOW_S + 5, &t));
}

/* The stub goes; nothing is due afterwards. */
static void send_stubs(struct rig *r, int64_t now_s)
{
    struct work w[20];
    size_t n;

    assert_err(ERR_OK, store_work_due(r->s, now_s, 0, w, 20, &n));
    for (size_t i = 0; i < n; i++)
        assert_err(ERR_OK, w[i].kind == WORK_STUB ? store_stub_sent(r->s, &w[i], "4b", 0, now_s)
                                                  : store_work_done(r->s, &w[i], "4b", now_s));
}

static size_t stubs_due(struct rig *r, int64_t now_s)
{
    struct work w[20];
    size_t n, stubs = 0;

    assert_err(ERR_OK, store_work_due(r->s, now_s, 0, w, 20, &n));
    for (size_t i = 0; i < n; i++)
        stubs += w[i].kind == WORK_STUB;
    return stubs;
}

static void reopen(struct rig *r)
{
    if (r->options.engine != STORE_BDB)
        return;
    rig_close(r);
    rig_open(r);
}

/* ---- retract ------------------------------------------------------------------------------------------- */

static void a_letter_is_taken_back(struct rig *r)
{
    struct posted p = rig_post(r, LETTER(.size = 99999));
    struct store_claimed c;
    struct ticket t;
    uint8_t dek[SEAL_DEK_BYTES];

    assert_err(ERR_OK, retract(r, &p, &t));
    assert_int_equal(t.state, TICKET_RETRACTED);
    assert_string_equal(ticket_state_gone(t.state), "retracted");
    assert_int_equal(rig_counts(r).payloads, 0);
    assert_int_equal(rig_counts(r).work, 0); /* nobody there has seen a stub */
    reopen(r);
    assert_err(ERR_GONE, rig_call(r, &p, 1, RIG_NOW_S + 10, &c));
    assert_int_equal(c.ticket.state, TICKET_RETRACTED);
    assert_err(ERR_NOT_FOUND, store_payload_dek(r->s, &p.ticket, dek));
    assert_err(ERR_OK, retract(r, &p, &t)); /* said again */
    assert_int_equal(t.state, TICKET_RETRACTED);
    assert_int_equal(t.event_count, 2);
    assert_err(ERR_GONE, replace(r, &p, LETTER(), 2));
    assert_err(ERR_GONE, store_bounced(r->s, p.keys.a, "5.1.1", "", RIG_NOW_S + 10, &t));
    assert_false(rig_post(r, LETTER(.size = 99999)).existing);
}

static void who_keeps_it_is_to_look_again(struct rig *r)
{
    static const enum ticket_state kept[] = {TICKET_HELD, TICKET_CHALLENGED};

    for (size_t i = 0; i < 2; i++) {
        struct posted p = rig_post(r, LETTER(.message_id = i == 0 ? "<1>" : "<2>"));
        struct ticket t;

        send_stubs(r, RIG_NOW_S);
        status(r, &p, kept[i]);
        send_stubs(r, RIG_NOW_S + 5); /* the challenge is told */
        assert_err(ERR_OK, retract(r, &p, &t));
        assert_int_equal(t.state, TICKET_RETRACTED);
        assert_int_equal(t.status_s, 0);
        assert_int_equal(t.look_s, RIG_NOW_S + 9);
        reopen(r);
        assert_int_equal(rig_counts(r).work, 1);
        assert_int_equal(stubs_due(r, RIG_NOW_S + 9), 1);
        send_stubs(r, RIG_NOW_S + 10);
        assert_int_equal(rig_counts(r).work, 0);
        assert_int_equal(rig_look(r, &p).state, TICKET_RETRACTED);
    }
}

static void a_refused_stub_of_a_retracted_letter_is_nothing(struct rig *r)
{
    struct posted p = rig_post(r, LETTER());
    struct work w = {.kind = WORK_STUB};
    struct ticket t;

    status(r, &p, TICKET_HELD);
    assert_err(ERR_OK, retract(r, &p, &t));
    memcpy(w.key, p.ticket.key, sizeof w.key);
    assert_err(ERR_OK, store_work_refused(r->s, &w, "5.1.1", "no", RIG_NOW_S + 9));
    assert_int_equal(rig_look(r, &p).state, TICKET_RETRACTED);
    assert_int_equal(rig_counts(r).work, 0);
}

static void what_was_collected_is_not_taken_back(struct rig *r)
{
    struct posted leased = rig_post(r, LETTER(.message_id = "<1>")),
                  acked = rig_post(r, LETTER(.message_id = "<2>")),
                  refused = rig_post(r, LETTER(.message_id = "<3>"));
    struct store_claimed c;
    struct ticket t;

    assert_err(ERR_OK, rig_call(r, &leased, 1, RIG_NOW_S, &c));
    assert_err(ERR_HANDED_OVER, retract(r, &leased, &t));
    assert_int_equal(t.handed_over_s, RIG_NOW_S);
    assert_int_equal(t.state, TICKET_LEASED);
    assert_err(ERR_HANDED_OVER, replace(r, &leased, LETTER(.message_id = "<1>"), 2));
    assert_err(ERR_OK, rig_call(r, &acked, 1, RIG_NOW_S, &c));
    assert_err(ERR_OK, rig_ack(r, &acked, LETTER(), RIG_NOW_S));
    assert_err(ERR_HANDED_OVER, retract(r, &acked, &t));
    assert_int_equal(t.state, TICKET_DELIVERED); /* confirmed */
    assert_err(ERR_OK, store_nack(r->s, refused.ticket.key, NULL, "denied", "", RIG_NOW_S, &t));
    assert_err(ERR_GONE, retract(r, &refused, &t));
    assert_int_equal(t.state, TICKET_REFUSED);
    memset(refused.ticket.key, 9, sizeof refused.ticket.key);
    assert_err(ERR_NOT_FOUND, retract(r, &refused, &t));
    assert_int_equal(t.version, 0);
}

/* A body that is on its way keeps its lease, of which these words know nothing: they must not end it, for
 * then another host could claim the letter as well. */
static void what_is_being_collected_stays_so(struct rig *r)
{
    struct posted p = rig_post(r, LETTER(.expires_s = RIG_NOW_S + 5));
    struct store_claim other;
    struct store_claimed c;
    struct ticket t;

    assert_err(ERR_OK, rig_call(r, &p, 1, RIG_NOW_S, &c));
    for (int64_t at_s = RIG_NOW_S + 1000; at_s < RIG_NOW_S + 3600; at_s += 1000) {
        enum err outcome;

        assert_err(ERR_HANDED_OVER, rig_replace(r, &p, 1, LETTER(), 2, false, at_s, &outcome));
        assert_err(ERR_HANDED_OVER, store_retract(r->s, p.ticket.key, false, at_s, &t));
        assert_err(ERR_OK, store_hold(r->s, p.ticket.key, true, "", at_s, &t));
        assert_err(ERR_OK, store_hold(r->s, p.ticket.key, false, "", at_s, &t));
        other = rig_claim(&p, 2, at_s);
        other.live_until_s = at_s + 300;
        assert_err(ERR_LEASED, store_claim(r->s, &other, &c));
    }
    assert_err(ERR_OK, rig_ack(r, &p, LETTER(), RIG_NOW_S + 3500));
}

static void what_is_overdue_has_expired(struct rig *r)
{
    struct posted p = rig_post(r, LETTER(.expires_s = RIG_NOW_S + 5)),
                  q = rig_post(r, LETTER(.message_id = "<2>", .expires_s = RIG_NOW_S + 5));
    struct ticket t;

    assert_err(ERR_GONE, retract(r, &p, &t));
    assert_int_equal(t.state, TICKET_EXPIRED);
    assert_int_equal(rig_look(r, &p).state, TICKET_EXPIRED);
    assert_err(ERR_GONE, replace(r, &q, LETTER(), 2));
    assert_int_equal(rig_look(r, &q).state, TICKET_EXPIRED);
}

static void the_archive_comes_first(struct rig *r)
{
    struct posted p[2];
    enum err outcome;
    struct ticket t;

    assert_err(ERR_OK, rig_deposit(r, LETTER(), 2, p));
    assert_err(ERR_UNARCHIVED, store_retract(r->s, p[0].ticket.key, true, RIG_NOW_S, &t));
    assert_false(t.archived);
    assert_err(ERR_UNARCHIVED, rig_replace(r, p, 1, LETTER(), 2, true, RIG_NOW_S, &outcome));
    assert_err(ERR_UNARCHIVED, outcome);
    assert_err(ERR_OK, store_archived(r->s, p[1].ticket.key, t.payload_id, RIG_NOW_S));
    assert_err(ERR_OK, rig_replace(r, p, 1, LETTER(.fill = 'r'), 2, true, RIG_NOW_S, &outcome));
    assert_false(p[0].ticket.archived); /* of the new letter it has none yet */
    assert_false(rig_look(r, &p[0]).archived);
    assert_true(rig_look(r, &p[1]).archived);
    assert_int_equal(rig_look(r, &p[0]).look_s, RIG_NOW_S); /* so that it gets one */
    assert_err(ERR_GONE, store_archived(r->s, p[0].ticket.key, t.payload_id, RIG_NOW_S)); /* of the old one */
    assert_err(ERR_UNARCHIVED, store_retract(r->s, p[0].ticket.key, true, RIG_NOW_S, &t));
    assert_err(ERR_OK, store_archived(r->s, p[0].ticket.key, t.payload_id, RIG_NOW_S));
    assert_err(ERR_OK, store_retract(r->s, p[0].ticket.key, true, RIG_NOW_S, &t));
    assert_err(ERR_OK, store_retract(r->s, p[1].ticket.key, true, RIG_NOW_S, &t));
    assert_true(t.archived);
}

/* ---- replace ------------------------------------------------------------------------------------------- */

static void another_letter_takes_its_place(struct rig *r)
{
    const struct letter *old = LETTER(.size = 99999, .subject = "Old"),
                        *new = LETTER(.size = 120000, .subject = "New", .fill = 'n');
    struct posted p = rig_post(r, old), before = p;
    struct store_claimed c;
    struct store_body body;
    struct ticket t;

    send_stubs(r, RIG_NOW_S);
    assert_err(ERR_OK, replace(r, &p, new, 2));
    assert_int_equal(p.ticket.state, TICKET_WAITING);
    assert_int_equal(p.ticket.version, 2);
    assert_int_equal(p.ticket.letter_bytes, 120000);
    assert_string_equal(p.ticket.subject, "New");
    assert_string_equal(p.ticket.from_field, "Alice (again) <alice@a.test>");
    assert_string_equal(p.ticket.message_id, "<1@a.test>");
    assert_memory_equal(p.ticket.ka_hash, before.ticket.ka_hash, 32); /* the stub is still the same one's */
    assert_memory_not_equal(p.ticket.payload_id, before.ticket.payload_id, SEAL_PAYLOAD_ID_BYTES);
    assert_int_equal(rig_counts(r).payloads, 1);
    assert_int_equal(rig_counts(r).payload_bytes, p.ticket.sealed_bytes);
    assert_int_equal(rig_counts(r).work, 0); /* nobody keeps it: the stub that was sent will do */
    reopen(r);
    t = rig_look(r, &p);
    assert_string_equal(t.subject, "New");
    assert_err(ERR_NOT_FOUND, store_body_open(r->s, &before.ticket, &body));
    if (r->options.engine == STORE_BDB)
        assert_int_equal(rig_file_count(r->directory, "payload"), 1);
    assert_err(ERR_OK, rig_call(r, &p, 1, RIG_NOW_S + 10, &c));
    assert_int_equal(c.ticket.version, 2);
    rig_check_body(r, &c, &p, new);
    assert_err(ERR_WRONG_DIGEST, rig_ack(r, &p, old, RIG_NOW_S + 11));
    assert_err(ERR_OK, rig_ack(r, &p, new, RIG_NOW_S + 11));
    assert_int_equal(rig_counts(r).payloads, 0);
}

static void who_keeps_it_is_told_of_the_new_one(struct rig *r)
{
    struct posted p = rig_post(r, LETTER());

    send_stubs(r, RIG_NOW_S);
    status(r, &p, TICKET_HELD);
    assert_err(ERR_OK, replace(r, &p, LETTER(.fill = 'n'), 2));
    assert_int_equal(p.ticket.state, TICKET_HELD);
    assert_int_equal(p.ticket.status_s, 0);
    assert_int_equal(p.ticket.look_s, RIG_NOW_S + 9);
    assert_int_equal(stubs_due(r, RIG_NOW_S + 9), 1);
    status(r, &p, TICKET_HELD); /* it has looked */
    assert_int_equal(rig_look(r, &p).status_s, RIG_NOW_S + 5);
}

static void one_payload_replaces_that_of_all(struct rig *r)
{
    enum { COUNT = 5 };
    const struct letter *old = LETTER(.size = 70000), *new = LETTER(.size = 3000, .fill = 'n');
    struct posted p[COUNT];
    enum err outcome[COUNT];
    struct store_claimed c;

    assert_err(ERR_OK, rig_deposit(r, old, COUNT, p));
    assert_err(ERR_OK, rig_call(r, &p[2], 1, RIG_NOW_S, &c));
    assert_err(ERR_OK, rig_replace(r, p, COUNT, new, 2, false, RIG_NOW_S + 1, outcome));
    for (int i = 0; i < COUNT; i++) {
        assert_err(i == 2 ? ERR_HANDED_OVER : ERR_OK, outcome[i]);
        assert_int_equal(p[i].ticket.version, i == 2 ? 1 : 2);
        assert_int_equal(p[i].ticket.handed_over_s, i == 2 ? RIG_NOW_S : 0);
    }
    assert_int_equal(rig_counts(r).payloads, 2);
    /* Each gets the new one; who had called already, the old one. */
    for (int i = 0; i < COUNT; i++) {
        assert_err(ERR_OK, rig_call(r, &p[i], 1, RIG_NOW_S + 2, &c));
        rig_check_body(r, &c, &p[i], i == 2 ? old : new);
        assert_err(ERR_OK, rig_ack(r, &p[i], i == 2 ? old : new, RIG_NOW_S + 2));
    }
    assert_int_equal(rig_counts(r).payloads, 0);
    assert_int_equal(rig_counts(r).payload_bytes, 0);
}

static void nothing_is_left_of_a_replacement_that_failed(struct rig *r)
{
    struct posted p = rig_post(r, LETTER(.message_id = "<1>", .size = 70000)), none = p,
                  other = rig_post(r, LETTER(.message_id = "<2>", .from = ""));
    struct store_claimed c;
    struct ticket t;

    assert_err(ERR_FROM_CHANGED, replace(r, &p, LETTER(.from = "bob@a.test", .size = 99999), 2));
    assert_err(ERR_FROM_CHANGED, replace(r, &p, LETTER(.from = "", .size = 99999), 2));
    assert_err(ERR_FROM_CHANGED, replace(r, &other, LETTER(.size = 99999), 2));
    assert_err(ERR_BUSY, replace(r, &p, LETTER(.size = 99999), 1));
    assert_err(ERR_OK, ticket_create(r->keys, &none.keys));
    assert_err(ERR_NOT_FOUND, replace(r, &none, LETTER(.size = 99999), 2));
    assert_int_equal(rig_counts(r).payloads, 2);
    if (r->options.engine == STORE_BDB)
        assert_int_equal(rig_file_count(r->directory, "payload"), 1);
    t = rig_look(r, &p);
    assert_int_equal(t.event_count, 1);
    assert_err(ERR_OK, rig_call(r, &p, 1, RIG_NOW_S, &c));
    rig_check_body(r, &c, &p, LETTER(.size = 70000));
}

static void again_and_again_it_is_replaced(struct rig *r)
{
    struct posted p = rig_post(r, LETTER());
    struct store_claimed c;

    for (uint32_t version = 2; version < 7; version++)
        assert_err(ERR_OK, replace(r, &p, LETTER(.fill = (uint8_t)('a' + version)), version));
    assert_int_equal(rig_counts(r).payloads, 1);
    assert_int_equal(rig_look(r, &p).event_count, 6);
    assert_err(ERR_OK, rig_call(r, &p, 1, RIG_NOW_S, &c));
    rig_check_body(r, &c, &p, LETTER(.fill = 'a' + 6));
}

static void a_replacement_counts_against_the_quota(struct rig *r)
{
    struct posted p = rig_post(r, LETTER(.size = 9000));
    static struct quota_limits limits;
    static struct buf why;
    struct quota_use use;

    limits = (struct quota_limits){.owner_bytes = 20000};
    buf_init(&why, 1000);
    r->limits = &limits;
    r->why = &why;
    assert_err(ERR_QUOTA, replace(r, &p, LETTER(.size = 30000), 2));
    assert_true(why.len > 0);
    assert_int_equal(rig_look(r, &p).version, 1);
    assert_err(ERR_OK, replace(r, &p, LETTER(.size = 19000), 2)); /* the old one goes at the same time */
    assert_err(ERR_OK, store_quota(r->s, "alice@a.test", &use));
    assert_int_equal(use.bytes, 19000);
    assert_int_equal(use.letters, 1);
    limits.owner_bytes = 10;
    assert_err(ERR_OK, replace(r, &p, LETTER(.size = 18000), 3)); /* less is never too much */
    buf_free(&why);
}

/* ---- hold ---------------------------------------------------------------------------------------------- */

static void what_is_on_hold_stays(struct rig *r)
{
    int64_t end_s = RIG_NOW_S + 7 * DAY_S;
    struct posted p = rig_post(r, LETTER());
    struct store_claimed c;
    struct ticket t;
    size_t n;

    assert_err(ERR_OK, store_hold(r->s, p.ticket.key, true, "case 17", RIG_NOW_S + 1, &t));
    assert_true(t.hold);
    assert_string_equal(t.hold_note, "case 17");
    assert_err(ERR_ON_HOLD, retract(r, &p, &t));
    assert_err(ERR_ON_HOLD, replace(r, &p, LETTER(), 2));
    for (int day = 1; day < 5; day++) {
        assert_err(ERR_OK, store_expire(r->s, end_s + day * DAY_S, 9, &n));
        assert_int_equal(n, 0);
        reopen(r);
    }
    assert_int_equal(rig_look(r, &p).state, TICKET_WAITING);
    assert_err(ERR_OK, rig_call(r, &p, 1, end_s + 5 * DAY_S, &c));
    assert_err(ERR_OK, store_expire(r->s, end_s + 9 * DAY_S, 9, &n));
    assert_int_equal(n, 0);
    assert_int_equal(rig_look(r, &p).state, TICKET_LAPSED);
    assert_err(ERR_OK, rig_ack(r, &p, LETTER(), end_s + 10 * DAY_S));
    assert_err(ERR_GONE, store_hold(r->s, p.ticket.key, false, "", end_s + 10 * DAY_S, &t));
}

static void what_is_released_goes_on(struct rig *r)
{
    int64_t end_s = RIG_NOW_S + 7 * DAY_S;
    struct posted p = rig_post(r, LETTER()), q = rig_post(r, LETTER(.message_id = "<2>"));
    struct ticket_event e;
    struct ticket t;
    size_t n;

    assert_err(ERR_OK, store_hold(r->s, p.ticket.key, true, "case 17", RIG_NOW_S + 1, &t));
    assert_err(ERR_OK, store_hold(r->s, p.ticket.key, true, "case 18", RIG_NOW_S + 2, &t));
    assert_string_equal(t.hold_note, "case 18");
    assert_int_equal(t.event_count, 2); /* it was on hold already */
    assert_err(ERR_OK, store_hold(r->s, q.ticket.key, true, "", RIG_NOW_S + 2, &t));
    assert_err(ERR_OK, store_hold(r->s, q.ticket.key, false, "", RIG_NOW_S + 3, &t));
    assert_err(ERR_OK, store_expire(r->s, end_s + 10, 9, &n));
    assert_int_equal(n, 1); /* q */
    assert_err(ERR_OK, store_expire(r->s, end_s + 20, 9, &n));
    assert_int_equal(n, 0); /* p's timer has moved on by a day */
    assert_err(ERR_OK, store_hold(r->s, p.ticket.key, false, "never mind", end_s + 30, &t));
    assert_false(t.hold);
    assert_string_equal(t.hold_note, "");
    assert_true(ticket_event_get(&t, 1, &e));
    assert_int_equal(e.what, TICKET_EVENT_HOLD);
    assert_true(ticket_event_get(&t, 2, &e));
    assert_int_equal(e.what, TICKET_EVENT_RELEASED);
    assert_int_equal(e.at_s, end_s + 30);
    assert_err(ERR_OK, store_expire(r->s, end_s + 31, 9, &n));
    assert_int_equal(n, 1);
    assert_int_equal(rig_look(r, &p).state, TICKET_EXPIRED);
}

/* ---- perhaps ------------------------------------------------------------------------------------------- */

static void what_was_perhaps_handed_over_never_ends_as_never(struct rig *r)
{
    int64_t end_s = RIG_NOW_S + 7 * DAY_S;
    struct posted p = rig_post(r, LETTER(.message_id = "<1>")),
                  acked = rig_post(r, LETTER(.message_id = "<2>")),
                  claimed = rig_post(r, LETTER(.message_id = "<3>")),
                  overdue = rig_post(r, LETTER(.message_id = "<4>"));
    struct store_claimed c;
    struct work w[9];
    struct ticket t;
    size_t n;

    rig_set_perhaps(r, &p);
    rig_set_perhaps(r, &acked);
    rig_set_perhaps(r, &claimed);
    rig_set_perhaps(r, &overdue);
    reopen(r);
    assert_err(ERR_RESTORED, retract(r, &p, &t));
    assert_err(ERR_RESTORED, replace(r, &p, LETTER(), 2));
    assert_err(ERR_RESTORED, store_plain(r->s, p.ticket.key, "", RIG_NOW_S, &t));
    assert_err(ERR_RESTORED, store_bounced(r->s, p.keys.a, "5.1.1", "", RIG_NOW_S, &t));
    assert_err(ERR_OK, store_work_due(r->s, RIG_NOW_S, 0, w, 9, &n));
    assert_int_equal(n, 4);
    for (size_t i = 0; i < n; i++)
        assert_err(ERR_OK, store_work_refused(r->s, &w[i], "5.1.1", "", RIG_NOW_S));
    assert_int_equal(rig_counts(r).tickets[TICKET_WAITING], 4);
    assert_int_equal(rig_counts(r).work, 0);
    /* Who has it may say so, though nothing is known here of a claim. */
    assert_err(ERR_WRONG_DIGEST, rig_ack(r, &acked, LETTER(.fill = 'z'), RIG_NOW_S));
    assert_err(ERR_OK, rig_ack(r, &acked, LETTER(), RIG_NOW_S));
    assert_int_equal(rig_look(r, &acked).state, TICKET_DELIVERED);
    assert_err(ERR_OK, rig_call(r, &claimed, 1, RIG_NOW_S, &c));
    assert_err(ERR_GONE, rig_call(r, &overdue, 1, end_s + 1, &c));
    assert_int_equal(rig_look(r, &overdue).state, TICKET_UNCONFIRMED);
    assert_err(ERR_OK, store_expire(r->s, end_s + 1, 9, &n));
    assert_int_equal(n, 2);
    assert_int_equal(rig_look(r, &p).state, TICKET_UNCONFIRMED);
    assert_int_equal(rig_look(r, &claimed).state, TICKET_UNCONFIRMED);
}

/* ---- races --------------------------------------------------------------------------------------------- */

struct runner {
    struct rig *r;
    struct posted *p;
    pthread_barrier_t *start;
    enum err err;
    enum { CLAIMS, RETRACTS, REPLACES, GOES_PLAIN } what;
    struct store_claimed claimed;
    struct ticket ticket;
};

static void *run(void *arg)
{
    struct runner *x = arg;
    struct posted p = *x->p;
    struct store_claim q = rig_claim(&p, 1, RIG_NOW_S);

    pthread_barrier_wait(x->start);
    switch (x->what) {
    case CLAIMS:
        x->err = store_claim(x->r->s, &q, &x->claimed);
        break;
    case RETRACTS:
        x->err = store_retract(x->r->s, p.ticket.key, false, RIG_NOW_S, &x->ticket);
        break;
    case GOES_PLAIN:
        x->err = store_plain(x->r->s, p.ticket.key, "", RIG_NOW_S, &x->ticket);
        break;
    case REPLACES:
        rig_replace(x->r, &p, 1, LETTER(.fill = 'n'), 2, false, RIG_NOW_S, &x->err);
        x->ticket = p.ticket;
        break;
    }
    return NULL;
}

/* A claim, a word that recalls the letter, and another: who comes first wins, and the others say so. */
static void race(struct rig *r, struct posted *p, struct runner x[3])
{
    pthread_barrier_t start;
    pthread_t thread[3];

    pthread_barrier_init(&start, NULL, 3);
    for (int i = 0; i < 3; i++) {
        x[i].r = r;
        x[i].p = p;
        x[i].start = &start;
        assert_int_equal(pthread_create(&thread[i], NULL, run, &x[i]), 0);
    }
    for (int i = 0; i < 3; i++)
        pthread_join(thread[i], NULL);
    pthread_barrier_destroy(&start);
}

static void one_of_a_claim_and_a_retract_wins(struct rig *r)
{
    static struct runner x[3];
    int claims = 0, rounds = 60;

    for (int i = 0; i < rounds; i++) {
        char id[20];
        struct posted p;

        snprintf(id, sizeof id, "<%d>", i);
        p = rig_post(r, LETTER(.message_id = id));
        memset(x, 0, sizeof x);
        x[0].what = CLAIMS;
        x[1].what = i % 2 == 0 ? RETRACTS : GOES_PLAIN;
        x[2].what = RETRACTS;
        race(r, &p, x);
        if (x[0].err == ERR_OK) {
            claims++;
            for (int k = 1; k < 3; k++) {
                assert_err(ERR_HANDED_OVER, x[k].err);
                assert_int_equal(x[k].ticket.handed_over_s, RIG_NOW_S);
            }
            rig_check_body(r, &x[0].claimed, &p, LETTER());
        } else {
            enum ticket_state end = rig_look(r, &p).state;

            assert_err(ERR_GONE, x[0].err);
            for (int k = 1; k < 3; k++)
                assert_err((x[k].what == RETRACTS) == (end == TICKET_RETRACTED) ? ERR_OK : ERR_GONE,
                           x[k].err);
        }
    }
    print_message("%d of %d claims came first\n", claims, rounds);
}

static void one_of_a_claim_and_a_replacement_comes_first(struct rig *r)
{
    static struct runner x[3];
    int claims = 0, rounds = 60;

    for (int i = 0; i < rounds; i++) {
        char id[20];
        struct posted p;
        int replaced;

        snprintf(id, sizeof id, "<%d>", i);
        p = rig_post(r, LETTER(.message_id = id));
        memset(x, 0, sizeof x);
        x[0].what = CLAIMS;
        x[1].what = x[2].what = REPLACES;
        race(r, &p, x);
        assert_err(ERR_OK, x[0].err);
        replaced = (x[1].err == ERR_OK) + (x[2].err == ERR_OK);
        assert_int_equal(replaced, x[0].claimed.ticket.version == 2);
        claims += replaced == 0;
        for (int k = 1; k < 3; k++)
            if (x[k].err != ERR_OK) /* the claim came first, or the other replacement */
                assert_true(x[k].err == ERR_HANDED_OVER || (replaced == 1 && x[k].err == ERR_BUSY));
        rig_check_body(r, &x[0].claimed, &p, replaced == 0 ? LETTER() : LETTER(.fill = 'n'));
    }
    assert_int_equal(rig_counts(r).payloads, rounds);
    print_message("%d of %d claims came first\n", claims, rounds);
}

int main(void)
{
    static const struct rig_case cases[] = {
        RIG_CASE(a_letter_is_taken_back),
        RIG_CASE(who_keeps_it_is_to_look_again),
        RIG_CASE(a_refused_stub_of_a_retracted_letter_is_nothing),
        RIG_CASE(what_was_collected_is_not_taken_back),
        RIG_CASE(what_is_being_collected_stays_so),
        RIG_CASE(what_is_overdue_has_expired),
        RIG_CASE(the_archive_comes_first),
        RIG_CASE(another_letter_takes_its_place),
        RIG_CASE(who_keeps_it_is_told_of_the_new_one),
        RIG_CASE(one_payload_replaces_that_of_all),
        RIG_CASE(nothing_is_left_of_a_replacement_that_failed),
        RIG_CASE(again_and_again_it_is_replaced),
        RIG_CASE(a_replacement_counts_against_the_quota),
        RIG_CASE(what_is_on_hold_stays),
        RIG_CASE(what_is_released_goes_on),
        RIG_CASE(what_was_perhaps_handed_over_never_ends_as_never),
        RIG_CASE(one_of_a_claim_and_a_retract_wins),
        RIG_CASE(one_of_a_claim_and_a_replacement_comes_first),
    };

    return rig_run("recalling letters", cases, sizeof cases / sizeof *cases, true, true);
}
