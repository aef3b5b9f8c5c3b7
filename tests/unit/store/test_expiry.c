/*
 * test_expiry.c - what store.h promises of times that are over, case by case, on every engine.
 */
#include "rig.h"

#define DAY_S 86400

static size_t expire(struct rig *r, int64_t now_s)
{
    size_t n = 99;

    assert_err(ERR_OK, store_expire(r->s, now_s, 100, &n));
    return n;
}

static void what_nobody_called_for_expires(struct rig *r)
{
    int64_t end_s = RIG_NOW_S + 7 * DAY_S;
    struct posted p = rig_post(r, LETTER());
    struct store_claimed c;

    assert_int_equal(expire(r, end_s), 0);
    assert_int_equal(rig_state(r, &p), TICKET_WAITING);
    assert_int_equal(expire(r, end_s + 1), 1);
    assert_int_equal(rig_state(r, &p), TICKET_EXPIRED);
    assert_int_equal(expire(r, end_s + 2), 0);
    assert_err(ERR_GONE, rig_call(r, &p, 1, end_s, &c));
}

static void an_overdue_ticket_ends_at_the_claim(struct rig *r)
{
    struct posted p = rig_post(r, LETTER());
    struct store_claimed c;

    assert_err(ERR_GONE, rig_call(r, &p, 1, RIG_NOW_S + 7 * DAY_S + 1, &c));
    assert_int_equal(c.ticket.state, TICKET_EXPIRED);
    assert_int_equal(rig_state(r, &p), TICKET_EXPIRED);
    assert_int_equal(expire(r, RIG_NOW_S + 8 * DAY_S), 0);
}

static void handed_over_but_never_acked_is_unconfirmed(struct rig *r)
{
    int64_t end_s = RIG_NOW_S + 7 * DAY_S;
    struct posted p = rig_post(r, LETTER(.notify = "FAILURE"));
    struct store_claimed c;

    assert_err(ERR_OK, rig_call(r, &p, 1, end_s - 10, &c));
    /* Not under a lease: a body may be under way until its hard end. */
    assert_int_equal(expire(r, end_s + 1), 0);
    assert_int_equal(expire(r, end_s + 3000), 0);
    assert_int_equal(rig_counts(r).tickets[TICKET_LEASED], 1);
    assert_int_equal(expire(r, end_s + 3700), 1);
    assert_int_equal(rig_state(r, &p), TICKET_UNCONFIRMED);
    assert_err(ERR_GONE, rig_ack(r, &p, LETTER(), end_s + 3700));
    assert_int_equal(rig_counts(r).work, 1);
}

static void an_ack_after_a_put_off_expiry_ends_well(struct rig *r)
{
    int64_t end_s = RIG_NOW_S + 7 * DAY_S;
    struct posted p = rig_post(r, LETTER());
    struct store_claimed c;
    size_t n;

    assert_err(ERR_OK, rig_call(r, &p, 1, end_s - 10, &c));
    assert_int_equal(expire(r, end_s + 1), 0);
    assert_err(ERR_OK, rig_ack(r, &p, LETTER(), end_s + 5));
    assert_int_equal(expire(r, end_s + 90 * DAY_S), 0);
    assert_err(ERR_OK, store_purge(r->s, end_s + 90 * DAY_S, 100, &n));
    assert_int_equal(n, 1);
}

static void expiry_is_done_in_portions(struct rig *r)
{
    struct posted p[25];
    size_t n;

    assert_err(ERR_OK, rig_deposit(r, LETTER(), 25, p));
    assert_err(ERR_OK, store_expire(r->s, RIG_NOW_S + 8 * DAY_S, 10, &n));
    assert_int_equal(n, 10);
    assert_err(ERR_OK, store_expire(r->s, RIG_NOW_S + 8 * DAY_S, 100, &n));
    assert_int_equal(n, 15);
    assert_int_equal(rig_counts(r).tickets[TICKET_EXPIRED], 25);
    assert_int_equal(rig_counts(r).work, 25);    /* notices */
    assert_int_equal(rig_counts(r).payloads, 1); /* until they are sent */
}

static void tombstones_are_purged(struct rig *r)
{
    struct posted p = rig_post(r, LETTER(.notify = "NEVER")),
                  living = rig_post(r, LETTER(.message_id = "<2>"));
    struct ticket t;
    size_t n;

    assert_err(ERR_OK, rig_nack(r, &p, 1, RIG_NOW_S));
    assert_err(ERR_OK, store_purge(r->s, RIG_NOW_S + 30 * DAY_S - 1, 100, &n));
    assert_int_equal(n, 0);
    assert_err(ERR_OK, store_purge(r->s, RIG_NOW_S + 30 * DAY_S, 100, &n));
    assert_int_equal(n, 1);
    assert_err(ERR_NOT_FOUND, store_ticket_get(r->s, p.ticket.key, &t));
    assert_err(ERR_OK, store_ticket_get(r->s, living.ticket.key, &t));
    assert_int_equal(rig_counts(r).tickets[TICKET_REFUSED], 0);
    assert_int_equal(rig_counts(r).work, 1); /* the living one's stub */
    assert_int_equal(rig_counts(r).payloads, 1);
    assert_false(rig_post(r, LETTER()).existing);
}

int main(void)
{
    static const struct rig_case cases[] = {
        RIG_CASE(what_nobody_called_for_expires),
        RIG_CASE(an_overdue_ticket_ends_at_the_claim),
        RIG_CASE(handed_over_but_never_acked_is_unconfirmed),
        RIG_CASE(an_ack_after_a_put_off_expiry_ends_well),
        RIG_CASE(expiry_is_done_in_portions),
        RIG_CASE(tombstones_are_purged),
    };

    return rig_run("store expiry", cases, sizeof cases / sizeof *cases, true, true);
}
