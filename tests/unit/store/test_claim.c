/*
 * test_claim.c - what store.h promises of claims, and of the words by which a ticket ends: ack, nack, bounce,
 * case by case, on every engine.
 */
#include "rig.h"

#include <string.h>

#define DAY_S 86400

/* ---- claims -------------------------------------------------------------------------------------------- */

static void a_claim_leases(struct rig *r)
{
    struct posted p = rig_post(r, LETTER());
    struct store_claimed c;

    assert_err(ERR_OK, rig_call(r, &p, 1, RIG_NOW_S + 5, &c));
    assert_int_equal(c.ticket.state, TICKET_LEASED);
    assert_int_equal(c.ticket.handed_over_s, RIG_NOW_S + 5);
    assert_int_equal(c.ticket.lease_until_s, RIG_NOW_S + 305);
    assert_string_equal(c.ticket.lease_holder, "192.0.2.7");
    assert_int_equal(c.ticket.bodies, 1);
    assert_false(c.renewed);
    assert_int_equal(rig_counts(r).tickets[TICKET_LEASED], 1);
    assert_int_equal(rig_counts(r).tickets[TICKET_WAITING], 0);
}

static void the_same_token_renews_and_gets_the_same(struct rig *r)
{
    struct posted p = rig_post(r, LETTER());
    struct store_claimed first, again;

    assert_err(ERR_OK, rig_call(r, &p, 1, RIG_NOW_S, &first));
    assert_err(ERR_OK, rig_call(r, &p, 1, RIG_NOW_S + 100, &again));
    assert_true(again.renewed);
    assert_memory_equal(first.wrap, again.wrap, sizeof first.wrap);
    assert_int_equal(again.ticket.lease_until_s, RIG_NOW_S + 400);
    assert_int_equal(again.ticket.lease_started_s, RIG_NOW_S);
    assert_int_equal(again.ticket.handed_over_s, RIG_NOW_S);
    assert_int_equal(again.ticket.bodies, 2);
}

static void another_token_waits_and_ever_longer(struct rig *r)
{
    struct posted p = rig_post(r, LETTER());
    struct store_claimed c;
    int64_t now_s = RIG_NOW_S, before_s = 0;

    for (uint8_t lapse = 0; lapse < 5; lapse++, now_s += 301) {
        assert_err(ERR_OK, rig_call(r, &p, (uint8_t)(lapse + 1), now_s, &c));
        assert_int_equal(c.ticket.lapses, lapse);
        assert_err(ERR_LEASED, rig_call(r, &p, 99, now_s + 300, &c));
        assert_int_equal(c.ticket.lapses, lapse);
        assert_true(c.retry_after_s > 0);
        if (before_s > 0)
            assert_int_equal(c.retry_after_s, 2 * before_s);
        before_s = c.retry_after_s;
    }
}

static void a_lease_never_outlives_its_total(struct rig *r)
{
    struct posted p = rig_post(r, LETTER());
    struct store_claimed c;
    int64_t now_s = RIG_NOW_S;

    assert_err(ERR_OK, rig_call(r, &p, 1, now_s, &c));
    for (; now_s < RIG_NOW_S + 3500; now_s += 250) {
        assert_err(ERR_OK, rig_call(r, &p, 1, now_s, &c));
        assert_int_equal(c.ticket.lease_started_s, RIG_NOW_S);
        assert_true(c.ticket.lease_until_s <= RIG_NOW_S + 3600);
    }
    /* Not even with a body under way. */
    struct store_claim q = rig_claim(&p, 2, RIG_NOW_S + 3601);
    q.live_until_s = RIG_NOW_S + 4000;
    assert_err(ERR_OK, store_claim(r->s, &q, &c));
    assert_int_equal(c.ticket.lapses, 1);
}

static void a_body_under_way_keeps_the_lease(struct rig *r)
{
    struct posted p = rig_post(r, LETTER());
    struct store_claimed c;
    struct store_claim q;

    assert_err(ERR_OK, rig_call(r, &p, 1, RIG_NOW_S, &c));
    q = rig_claim(&p, 2, RIG_NOW_S + 400);
    q.live_until_s = RIG_NOW_S + 500;
    assert_err(ERR_LEASED, store_claim(r->s, &q, &c));
    q.now_s = RIG_NOW_S + 501;
    assert_err(ERR_OK, store_claim(r->s, &q, &c));
    assert_int_equal(c.ticket.lapses, 1);
}

static void a_lapsed_lease_is_open_again(struct rig *r)
{
    struct posted p = rig_post(r, LETTER());
    struct store_claimed c;

    assert_err(ERR_OK, rig_call(r, &p, 1, RIG_NOW_S, &c));
    assert_err(ERR_OK, rig_call(r, &p, 2, RIG_NOW_S + 301, &c));
    assert_false(c.renewed);
    assert_int_equal(c.ticket.lapses, 1);
    assert_int_equal(c.ticket.lease_started_s, RIG_NOW_S + 301);
    assert_int_equal(c.ticket.handed_over_s, RIG_NOW_S); /* the first hand-over counts */
    assert_err(ERR_OK, rig_call(r, &p, 2, RIG_NOW_S + 700, &c));
    assert_int_equal(c.ticket.lapses, 2);
}

static void a_mismatch_changes_nothing(struct rig *r)
{
    struct posted p = rig_post(r, LETTER());
    struct store_claim q = rig_claim(&p, 1, RIG_NOW_S);
    struct store_claimed c;

    q.sender = "mallory@a.test";
    assert_err(ERR_CLAIM_MISMATCH, store_claim(r->s, &q, &c));
    q = rig_claim(&p, 1, RIG_NOW_S);
    q.recipient = "bob@c.test";
    assert_err(ERR_CLAIM_MISMATCH, store_claim(r->s, &q, &c));
    q = rig_claim(&p, 1, RIG_NOW_S);
    q.from = "";
    assert_err(ERR_CLAIM_MISMATCH, store_claim(r->s, &q, &c));
    q = rig_claim(&p, 1, RIG_NOW_S);
    q.recipient = "BOB@b.test"; /* local parts have case */
    assert_err(ERR_CLAIM_MISMATCH, store_claim(r->s, &q, &c));
    assert_int_equal(rig_state(r, &p), TICKET_WAITING);
    q = rig_claim(&p, 1, RIG_NOW_S);
    q.recipient = "bob@B.Test"; /* domains have none */
    assert_err(ERR_OK, store_claim(r->s, &q, &c));
}

static void bodies_are_bounded(struct rig *r)
{
    struct posted p = rig_post(r, LETTER());
    struct store_claimed c;
    struct store_claim q = rig_claim(&p, 1, RIG_NOW_S);

    q.bodies_max = 3;
    assert_err(ERR_OK, store_claim(r->s, &q, &c));
    assert_err(ERR_OK, store_claim(r->s, &q, &c));
    assert_err(ERR_OK, store_resume(r->s, &q, &c));
    assert_err(ERR_TOO_MANY_BODIES, store_claim(r->s, &q, &c));
    assert_err(ERR_TOO_MANY_BODIES, store_resume(r->s, &q, &c));
    assert_int_equal(c.ticket.bodies, 3);
}

static void only_the_running_lease_resumes(struct rig *r)
{
    struct posted p = rig_post(r, LETTER());
    struct store_claimed first, c;
    struct store_claim mine = rig_claim(&p, 1, RIG_NOW_S), other = rig_claim(&p, 2, RIG_NOW_S);

    assert_err(ERR_LEASE_ENDED, store_resume(r->s, &mine, &c));
    assert_err(ERR_OK, store_claim(r->s, &mine, &first));
    assert_err(ERR_LEASE_ENDED, store_resume(r->s, &other, &c));
    mine.now_s += 200;
    assert_err(ERR_OK, store_resume(r->s, &mine, &c));
    assert_memory_equal(c.wrap, first.wrap, sizeof c.wrap);
    assert_int_equal(c.ticket.lease_until_s, RIG_NOW_S + 500);
    mine.now_s = RIG_NOW_S + 501;
    assert_err(ERR_LEASE_ENDED, store_resume(r->s, &mine, &c));
    mine.now_s = RIG_NOW_S + 100;
    assert_err(ERR_OK, rig_ack(r, &p, LETTER(), RIG_NOW_S + 501));
    assert_err(ERR_GONE, store_resume(r->s, &mine, &c));
}

static void an_unknown_ticket_is_not_found(struct rig *r)
{
    struct posted p = rig_post(r, LETTER()), none = p;
    struct store_claimed c;
    struct ticket t;

    memset(none.ticket.key, 0xee, sizeof none.ticket.key);
    assert_err(ERR_NOT_FOUND, rig_call(r, &none, 1, RIG_NOW_S, &c));
    assert_err(ERR_NOT_FOUND, rig_ack(r, &none, LETTER(), RIG_NOW_S));
    assert_err(ERR_NOT_FOUND, rig_nack(r, &none, 1, RIG_NOW_S));
    assert_err(ERR_NOT_FOUND, store_ticket_get(r->s, none.ticket.key, &t));
    assert_err(ERR_NOT_FOUND, store_status(r->s, none.ticket.key, TICKET_HELD, "", RIG_NOW_S, &t));
    memset(none.keys.a + 2, 0xee, 14);
    assert_err(ERR_NOT_FOUND, store_ticket_by_a(r->s, none.keys.a, &t));
    memset(none.keys.a, 0xee, 16);
    assert_err(ERR_NOT_FOUND, store_ticket_by_a(r->s, none.keys.a, &t));
}

/* ---- ack and nack -------------------------------------------------------------------------------------- */

static void an_ack_ends_and_destroys(struct rig *r)
{
    struct posted p = rig_post(r, LETTER(.size = 100000));
    struct store_claimed c;
    struct store_body body;
    uint8_t dek[32];

    rig_send_stubs(r, RIG_NOW_S);
    assert_err(ERR_NEVER_CLAIMED, rig_ack(r, &p, LETTER(.size = 100000), RIG_NOW_S));
    assert_err(ERR_OK, rig_call(r, &p, 1, RIG_NOW_S, &c));
    assert_err(ERR_WRONG_DIGEST, rig_ack(r, &p, LETTER(.size = 99999), RIG_NOW_S));
    assert_int_equal(rig_counts(r).tickets[TICKET_LEASED], 1);
    assert_err(ERR_OK, rig_ack(r, &p, LETTER(.size = 100000), RIG_NOW_S));
    assert_err(ERR_OK, rig_ack(r, &p, LETTER(.size = 100000), RIG_NOW_S)); /* repeated */
    assert_err(ERR_WRONG_DIGEST, rig_ack(r, &p, LETTER(.size = 99999), RIG_NOW_S));
    assert_err(ERR_GONE, rig_call(r, &p, 1, RIG_NOW_S, &c));
    assert_int_equal(c.ticket.state, TICKET_DELIVERED);
    assert_string_equal(ticket_state_gone(c.ticket.state), "acked");
    assert_err(ERR_GONE, rig_nack(r, &p, 1, RIG_NOW_S));
    assert_err(ERR_NOT_FOUND, store_body_open(r->s, &p.ticket, &body));
    assert_err(ERR_NOT_FOUND, store_payload_dek(r->s, &p.ticket, dek));
    assert_int_equal(rig_counts(r).payloads, 0);
    assert_int_equal(rig_counts(r).work, 0);
}

static void an_ack_needs_no_live_lease(struct rig *r)
{
    struct posted p = rig_post(r, LETTER());
    struct store_claimed c;

    assert_err(ERR_OK, rig_call(r, &p, 1, RIG_NOW_S, &c));
    assert_err(ERR_OK, rig_ack(r, &p, LETTER(), RIG_NOW_S + 3 * DAY_S));
    assert_int_equal(rig_state(r, &p), TICKET_DELIVERED);
}

static void an_ack_counts_under_anothers_lease(struct rig *r)
{
    struct posted p = rig_post(r, LETTER());
    struct store_claimed c;

    assert_err(ERR_OK, rig_call(r, &p, 1, RIG_NOW_S, &c));
    assert_err(ERR_OK, rig_call(r, &p, 2, RIG_NOW_S + 400, &c));
    assert_err(ERR_OK, rig_ack(r, &p, LETTER(), RIG_NOW_S + 401)); /* the first's */
}

static void who_may_nack(struct rig *r)
{
    struct posted waiting = rig_post(r, LETTER(.message_id = "<w>")),
                  held = rig_post(r, LETTER(.message_id = "<h>")),
                  own = rig_post(r, LETTER(.message_id = "<o>")),
                  others = rig_post(r, LETTER(.message_id = "<t>")),
                  lapsed = rig_post(r, LETTER(.message_id = "<l>"));
    struct store_claimed c;
    struct ticket t;

    assert_err(ERR_OK, store_nack(r->s, waiting.ticket.key, NULL, "denied", "no", RIG_NOW_S, &t));
    assert_int_equal(t.state, TICKET_REFUSED);
    assert_string_equal(t.remote_reason, "denied");
    assert_string_equal(t.remote_text, "no");
    assert_err(ERR_OK, rig_nack(r, &waiting, 9, RIG_NOW_S)); /* repeated, nothing new */
    assert_err(ERR_OK, store_ticket_get(r->s, waiting.ticket.key, &t));
    assert_string_equal(t.remote_reason, "denied");

    assert_err(ERR_OK, store_status(r->s, held.ticket.key, TICKET_HELD, "", RIG_NOW_S, &t));
    assert_err(ERR_OK, rig_nack(r, &held, 9, RIG_NOW_S));

    assert_err(ERR_OK, rig_call(r, &own, 1, RIG_NOW_S, &c));
    assert_err(ERR_OK, rig_nack(r, &own, 1, RIG_NOW_S));
    assert_err(ERR_GONE, rig_ack(r, &own, LETTER(), RIG_NOW_S));

    assert_err(ERR_OK, rig_call(r, &others, 1, RIG_NOW_S, &c));
    assert_err(ERR_LEASED, rig_nack(r, &others, 2, RIG_NOW_S));
    assert_err(ERR_LEASED, store_nack(r->s, others.ticket.key, NULL, "", "", RIG_NOW_S, &t));

    assert_err(ERR_OK, rig_call(r, &lapsed, 1, RIG_NOW_S, &c));
    assert_err(ERR_LEASE_ENDED, rig_nack(r, &lapsed, 2, RIG_NOW_S + 400));
    assert_err(ERR_OK, rig_nack(r, &lapsed, 1, RIG_NOW_S + 400));
    assert_int_equal(rig_counts(r).tickets[TICKET_REFUSED], 4);
}

static void held_and_challenged_go_back_and_forth(struct rig *r)
{
    struct posted p = rig_post(r, LETTER());
    struct store_claimed c;
    struct ticket t;

    assert_err(ERR_OK, store_status(r->s, p.ticket.key, TICKET_HELD, "", RIG_NOW_S, &t));
    assert_err(ERR_OK, store_status(r->s, p.ticket.key, TICKET_HELD, "", RIG_NOW_S, &t));
    assert_err(ERR_OK,
               store_status(r->s, p.ticket.key, TICKET_CHALLENGED, "https://b.test/c/1", RIG_NOW_S, &t));
    assert_string_equal(t.challenge_url, "https://b.test/c/1");
    assert_err(ERR_OK, store_status(r->s, p.ticket.key, TICKET_HELD, "", RIG_NOW_S, &t));
    assert_err(ERR_INTERNAL, store_status(r->s, p.ticket.key, TICKET_DELIVERED, "", RIG_NOW_S, &t));
    assert_err(ERR_OK, rig_call(r, &p, 1, RIG_NOW_S, &c));
    assert_err(ERR_LEASED, store_status(r->s, p.ticket.key, TICKET_HELD, "", RIG_NOW_S, &t));
    assert_err(ERR_OK, rig_ack(r, &p, LETTER(), RIG_NOW_S));
    assert_err(ERR_GONE, store_status(r->s, p.ticket.key, TICKET_HELD, "", RIG_NOW_S, &t));
}

static void a_bounce_ends_what_nobody_called_for(struct rig *r)
{
    struct posted p = rig_post(r, LETTER(.message_id = "<1>")), q = rig_post(r, LETTER(.message_id = "<2>"));
    struct store_claimed c;
    struct ticket t;
    struct work w[9];

    rig_send_stubs(r, RIG_NOW_S);
    assert_err(ERR_OK, store_bounced(r->s, p.keys.a, "5.1.1", "no such user", RIG_NOW_S, &t));
    assert_int_equal(t.state, TICKET_BOUNCED);
    assert_err(ERR_GONE, store_bounced(r->s, p.keys.a, "5.1.1", "again", RIG_NOW_S, &t));
    assert_string_equal(t.remote_text, "no such user");
    assert_int_equal(rig_work_due(r, RIG_NOW_S, w, 9), 1); /* exactly one notice */
    assert_int_equal(w[0].kind, WORK_NOTIFY);
    assert_err(ERR_OK, rig_call(r, &q, 1, RIG_NOW_S, &c));
    assert_err(ERR_LEASED, store_bounced(r->s, q.keys.a, "5.1.1", "late", RIG_NOW_S, &t));
    assert_err(ERR_OK, rig_ack(r, &q, LETTER(), RIG_NOW_S));
    assert_err(ERR_GONE, store_bounced(r->s, q.keys.a, "5.1.1", "later", RIG_NOW_S, &t));
}

int main(void)
{
    static const struct rig_case cases[] = {
        RIG_CASE(a_claim_leases),
        RIG_CASE(the_same_token_renews_and_gets_the_same),
        RIG_CASE(another_token_waits_and_ever_longer),
        RIG_CASE(a_lease_never_outlives_its_total),
        RIG_CASE(a_body_under_way_keeps_the_lease),
        RIG_CASE(a_lapsed_lease_is_open_again),
        RIG_CASE(a_mismatch_changes_nothing),
        RIG_CASE(bodies_are_bounded),
        RIG_CASE(only_the_running_lease_resumes),
        RIG_CASE(an_unknown_ticket_is_not_found),
        RIG_CASE(an_ack_ends_and_destroys),
        RIG_CASE(an_ack_needs_no_live_lease),
        RIG_CASE(an_ack_counts_under_anothers_lease),
        RIG_CASE(who_may_nack),
        RIG_CASE(held_and_challenged_go_back_and_forth),
        RIG_CASE(a_bounce_ends_what_nobody_called_for),
    };

    return rig_run("store claims", cases, sizeof cases / sizeof *cases, true, true);
}
