#include "unit.h"

#include <string.h>

#include "lifecycle/renotify.h"

#define T0 1800000000LL
#define H 3600LL
#define D 86400LL

static const int64_t schedule[] = {1 * H, 4 * H, 1 * D, 3 * D, 7 * D};
static const struct renotify_rules rules = {.schedule_s = schedule,
                                            .count = COUNT(schedule),
                                            .held_fresh_s = 7 * D,
                                            .delay_warning_s = 4 * H,
                                            .lease_total_s = H};

static struct ticket a_ticket(enum ticket_state state, int64_t stub_sent_s)
{
    return (struct ticket){.state = state,
                           .a = {1, 2, 3},
                           .created_s = T0,
                           .expires_s = T0 + 30 * D,
                           .stub_sent_s = stub_sent_s};
}

static void event(struct ticket *t, unsigned what, int64_t at_s)
{
    /* As records.c keeps them: one byte, then eight of the time. */
    uint8_t *to = t->events.data + t->events.len;
    to[0] = (uint8_t)what;
    for (int i = 0; i < 8; i++)
        to[1 + i] = (uint8_t)((uint64_t)at_s >> (56 - 8 * i));
    t->events.len = (uint16_t)(t->events.len + TICKET_EVENT_BYTES);
    t->event_count++;
}

static void what_a_look_means(void **state)
{
    enum { NEXT_ANY = -1 };
    static const struct {
        const char *name;
        enum ticket_state state;
        int64_t now_s, sent_s, told_s, status_s, lease_s; /* after T0; -1: never */
        enum renotify_act act;
        bool warn;
        int64_t next_min_s, next_max_s; /* after T0; -1: none */
    } cases[] = {
        {"just deposited", TICKET_WAITING, 0, -1, -1, -1, -1, RENOTIFY_FIRST, false, 1 * H, 1 * H + H / 10},
        {"the first stub is deferred for hours", TICKET_WAITING, 5 * H, -1, -1, -1, -1, RENOTIFY_FIRST, true,
         1 * D, 1 * D + 2 * H},
        {"a look too early", TICKET_WAITING, H / 2, 0, -1, -1, -1, RENOTIFY_WAIT, false, 1 * H,
         1 * H + H / 10},
        {"the first time", TICKET_WAITING, 1 * H + H / 10, 0, -1, -1, -1, RENOTIFY_AGAIN, false, 4 * H,
         4 * H},
        {"the warning is due, the stub perhaps a little later", TICKET_WAITING, 4 * H, 1 * H + 100, -1, -1,
         -1, RENOTIFY_WAIT, true, 4 * H, 4 * H + H},
        {"both", TICKET_WAITING, 4 * H + H / 2, 1 * H + 100, -1, -1, -1, RENOTIFY_AGAIN, true, 1 * D,
         1 * D + 2 * H},
        {"warned already", TICKET_WAITING, 4 * H + H / 2, 1 * H + 100, 4 * H, -1, -1, RENOTIFY_AGAIN, false,
         1 * D, 1 * D + 2 * H},
        {"three days away: one stub", TICKET_WAITING, 3 * D + 8 * H, 0, -1, -1, -1, RENOTIFY_AGAIN, true,
         7 * D, 8 * D},
        {"after the last: again and again", TICKET_WAITING, 15 * D, 7 * D, 1, -1, -1, RENOTIFY_AGAIN, false,
         21 * D, 22 * D},
        {"sent a moment before its time", TICKET_WAITING, 4 * H + H / 2, 4 * H - 60, 1, -1, -1, RENOTIFY_WAIT,
         false, 1 * D, 1 * D + 2 * H},
        {"held lately", TICKET_HELD, 4 * H + H / 2, 0, 1, 10, -1, RENOTIFY_WAIT, false, 7 * D + 10,
         7 * D + 10},
        {"held lately, and not warned", TICKET_HELD, 2 * H, 0, -1, 10, -1, RENOTIFY_WAIT, false, 4 * H,
         4 * H},
        {"held lately, the warning is due", TICKET_HELD, 4 * H, 0, -1, 10, -1, RENOTIFY_WAIT, true,
         7 * D + 10, 7 * D + 10},
        {"held long ago", TICKET_HELD, 7 * D + 10 * H, 0, 1, 10, -1, RENOTIFY_AGAIN, false, 14 * D, 15 * D},
        {"challenged lately", TICKET_CHALLENGED, 2 * D, 0, 1, 1 * D, -1, RENOTIFY_WAIT, false, 8 * D, 8 * D},
        {"the first stub's mark was lost, but it is held", TICKET_HELD, 60, -1, -1, 30, -1, RENOTIFY_WAIT,
         false, 4 * H, 4 * H},
        {"leased", TICKET_LEASED, 1 * H + H / 2, 0, -1, -1, 1 * H, RENOTIFY_WAIT, false, 2 * H, 2 * H},
        {"leased when the warning is due", TICKET_LEASED, 4 * H + 60, 3 * H, -1, -1, 4 * H, RENOTIFY_WAIT,
         false, 5 * H, 5 * H},
        {"lapsed, but a body may still be under way", TICKET_LAPSED, 4 * H + H / 2, 0, 1, -1, 4 * H,
         RENOTIFY_WAIT, false, 5 * H, 5 * H},
        {"lapsed", TICKET_LAPSED, 5 * H, 0, -1, -1, 4 * H, RENOTIFY_AGAIN, true, 1 * D, 1 * D + 2 * H},
        {"lapsed, not yet time", TICKET_LAPSED, 6 * H, 5 * H, 1, -1, 2 * H, RENOTIFY_WAIT, false, 1 * D,
         1 * D + 2 * H},
        {"handed over although the first stub's mark was lost", TICKET_LEASED, 30, -1, -1, -1, 10,
         RENOTIFY_WAIT, false, 1 * H + 10, 4 * H},
        {"delivered", TICKET_DELIVERED, 2 * H, 0, -1, -1, -1, RENOTIFY_STOP, false, -1, -1},
        {"refused", TICKET_REFUSED, 2 * H, 0, -1, -1, -1, RENOTIFY_STOP, false, -1, -1},
        {"expired", TICKET_EXPIRED, 40 * D, 0, -1, -1, -1, RENOTIFY_STOP, false, -1, -1},
        {"unconfirmed", TICKET_UNCONFIRMED, 40 * D, 0, -1, -1, -1, RENOTIFY_STOP, false, -1, -1},
        {"bounced", TICKET_BOUNCED, 2 * H, 0, -1, -1, -1, RENOTIFY_STOP, false, -1, -1},
        {"plain", TICKET_PLAIN, 2 * H, 0, -1, -1, -1, RENOTIFY_STOP, false, -1, -1},
        {"retracted in sight of the other side", TICKET_RETRACTED, 2 * H, 0, -1, 10, -1, RENOTIFY_RECALL,
         false, -1, -1},
        {"retracted, and its stub would be expired", TICKET_RETRACTED, 30 * D, 0, -1, 10, -1, RENOTIFY_STOP,
         false, -1, -1},
        {"past its time, on hold", TICKET_WAITING, 31 * D, 29 * D, 1, -1, -1, RENOTIFY_WAIT, false, 32 * D,
         32 * D},
        {"the clock went back a day", TICKET_WAITING, 1 * H, 1 * D, 1, -1, -1, RENOTIFY_WAIT, false, 4 * H,
         5 * H},
        {"the clock went back a day before it was deposited", TICKET_WAITING, -1 * D, -1 * D, -1, -1, -1,
         RENOTIFY_WAIT, false, 1 * H, 1 * H + H / 10},
        {"the same, and its first stub is due", TICKET_WAITING, -1 * D, -1, -1, -1, -1, RENOTIFY_FIRST, false,
         1 * H, 1 * H + H / 10},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct ticket t = a_ticket(cases[i].state, 0);
        struct renotify got;
        if (cases[i].sent_s != -1)
            t.stub_sent_s = T0 + cases[i].sent_s;
        if (cases[i].told_s != -1)
            t.delay_told_s = T0 + cases[i].told_s;
        if (cases[i].status_s != -1)
            t.status_s = T0 + cases[i].status_s;
        if (cases[i].lease_s != -1) {
            t.lease_started_s = t.handed_over_s = T0 + cases[i].lease_s;
            t.lease_until_s = t.lease_started_s + 300;
        }
        int64_t now_s = T0 + cases[i].now_s;
        renotify_look(&t, &rules, now_s, &got);
        if (got.act != cases[i].act || got.warn != cases[i].warn)
            fail_msg("%s: act %d, warn %d", cases[i].name, got.act, got.warn);
        if (cases[i].next_min_s == -1
                ? got.next_s != 0
                : got.next_s < T0 + cases[i].next_min_s || got.next_s > T0 + cases[i].next_max_s)
            fail_msg("%s: next after %lld s", cases[i].name, (long long)(got.next_s - T0));
    }
}

static void a_replacement_is_told_once_where_the_other_side_keeps_it_in_sight(void **state)
{
    struct ticket t = a_ticket(TICKET_HELD, T0);
    struct renotify got;

    (void)state;
    t.status_s = T0;
    event(&t, TICKET_EVENT_STUB_SENT, T0);
    event(&t, TICKET_HELD, T0);
    renotify_look(&t, &rules, T0, &got);
    assert_int_equal(got.act, RENOTIFY_WAIT);
    event(&t, TICKET_EVENT_REPLACED, T0);
    renotify_look(&t, &rules, T0, &got);
    assert_int_equal(got.act, RENOTIFY_RECALL);
    assert_true(got.next_s > T0);
    event(&t, TICKET_EVENT_STUB_SENT, T0);
    renotify_look(&t, &rules, T0, &got);
    assert_int_equal(got.act, RENOTIFY_WAIT);
    t.state = TICKET_WAITING; /* nobody has looked at it: nobody need look again */
    event(&t, TICKET_EVENT_REPLACED, T0);
    renotify_look(&t, &rules, T0, &got);
    assert_int_equal(got.act, RENOTIFY_WAIT);
}

static void without_schedule_or_warning_nothing_more_is_looked_at(void **state)
{
    struct renotify_rules none = rules;
    struct ticket t = a_ticket(TICKET_WAITING, 0);
    struct renotify got;

    (void)state;
    none.count = 0;
    renotify_look(&t, &none, T0, &got);
    assert_int_equal(got.act, RENOTIFY_FIRST);
    assert_int_equal(got.next_s, T0 + 4 * H); /* the warning */
    t.stub_sent_s = T0;
    renotify_look(&t, &none, T0 + 4 * H, &got);
    assert_int_equal(got.act, RENOTIFY_STOP);
    assert_true(got.warn);
    assert_int_equal(got.next_s, 0);
    none.delay_warning_s = 0;
    t.stub_sent_s = 0;
    renotify_look(&t, &none, T0, &got);
    assert_int_equal(got.act, RENOTIFY_FIRST);
    assert_int_equal(got.next_s, 0);
}

/* ---- lives, look by look, as the outbox goes through them */

struct life {
    struct ticket t;
    unsigned stubs, warnings, looks;
    int64_t due_s; /* of the entry */
};

static void live_until(struct life *l, int64_t from_s, int64_t end_s)
{
    int64_t now_s = from_s;

    while (l->due_s && (l->due_s > now_s ? l->due_s : now_s) < end_s) {
        struct renotify got;
        if (l->due_s > now_s)
            now_s = l->due_s;
        renotify_look(&l->t, &rules, now_s, &got);
        l->looks++;
        if (got.warn) {
            l->warnings++;
            l->t.delay_told_s = now_s;
        }
        if (got.act == RENOTIFY_FIRST || got.act == RENOTIFY_AGAIN) {
            l->stubs++;
            l->t.stub_sent_s = now_s;
        }
        assert_true(got.next_s == 0 || got.next_s > now_s); /* else it would look at once again */
        l->due_s = got.next_s;
    }
}

static struct life new_life(uint8_t a)
{
    struct life l = {.t = a_ticket(TICKET_WAITING, 0), .due_s = T0};

    l.t.a[5] = a;
    return l;
}

static void a_life_of_waiting(void **state)
{
    (void)state;
    for (unsigned a = 0; a < 256; a++) {
        struct life l = new_life((uint8_t)a);
        live_until(&l, T0, T0 + 30 * D);
        assert_int_equal(l.stubs, 1 + 5 + 3); /* 1h 4h 1d 3d 7d, 14d 21d 28d */
        assert_int_equal(l.warnings, 1);
        assert_true(l.looks <= l.stubs + 1);
    }
}

static void a_clock_that_jumps_a_day_and_back_neither_floods_nor_stops(void **state)
{
    (void)state;
    for (int64_t at_s = 0; at_s < 10 * D; at_s += 1777) {
        struct life forth = new_life(7), back = new_life(7);
        live_until(&forth, T0, T0 + at_s);
        live_until(&forth, T0 + at_s + D, T0 + at_s + D + 600); /* wrong for ten minutes */
        unsigned stubs = forth.stubs;
        live_until(&forth, T0 + at_s, T0 + 30 * D);
        assert_in_range(forth.stubs, 6, 10);
        assert_true(forth.stubs > stubs);
        assert_int_equal(forth.warnings, 1);

        live_until(&back, T0, T0 + at_s);
        stubs = back.stubs;
        live_until(&back, T0 + at_s - D, T0 + at_s);
        assert_true(back.stubs <= stubs + 1);
        live_until(&back, T0 + at_s, T0 + 30 * D);
        assert_in_range(back.stubs, 8, 10);
        assert_int_equal(back.warnings, 1);
    }
}

static void letters_of_one_moment_are_not_told_of_at_one_moment(void **state)
{
    bool seen[3600] = {false};
    unsigned different = 0;

    (void)state;
    for (unsigned a = 0; a < 256; a++) {
        struct life l = new_life((uint8_t)a);
        struct renotify got;
        renotify_look(&l.t, &rules, T0, &got);
        assert_in_range(got.next_s, T0 + H, T0 + H + H / 10);
        different += !seen[got.next_s - T0 - H];
        seen[got.next_s - T0 - H] = true;
    }
    assert_true(different > 150);
}

static void close_times_stay_in_their_order(void **state)
{
    static const int64_t odd[] = {100 * D, 100 * D + 1, 100 * D + 2, 101 * D};
    const struct renotify_rules close = {.schedule_s = odd, .count = COUNT(odd), .lease_total_s = H};
    struct ticket t = a_ticket(TICKET_WAITING, T0);
    struct renotify got;

    (void)state;
    t.expires_s = T0 + 400 * D;
    for (int64_t now_s = T0; now_s < T0 + 399 * D; now_s = got.next_s) {
        renotify_look(&t, &close, now_s, &got);
        assert_true(got.next_s > now_s);
        if (got.act == RENOTIFY_AGAIN)
            t.stub_sent_s = now_s;
    }
}

/* ---- what DNS and the table say */

static void which_way_it_goes(void **state)
{
    enum { WAITING, HANDED_OVER, PERHAPS };
    static const struct {
        int ticket;
        enum route route;
        enum discovery_word word;
        bool remembered;
        enum renotify_way want;
    } cases[] = {
        {WAITING, ROUTE_AUTO, DISCOVERY_YES, false, RENOTIFY_STUB},
        {WAITING, ROUTE_AUTO, DISCOVERY_NO, false, RENOTIFY_PLAIN},
        {WAITING, ROUTE_AUTO, DISCOVERY_TESTING, false, RENOTIFY_PLAIN},
        {WAITING, ROUTE_AUTO, DISCOVERY_UNKNOWN, false, RENOTIFY_LATER},
        {WAITING, ROUTE_AUTO, DISCOVERY_NO, true, RENOTIFY_LATER},
        {WAITING, ROUTE_AUTO, DISCOVERY_YES, true, RENOTIFY_LATER},
        {WAITING, ROUTE_PULL, DISCOVERY_YES, false, RENOTIFY_STUB},
        {WAITING, ROUTE_PULL, DISCOVERY_TESTING, false, RENOTIFY_STUB},
        {WAITING, ROUTE_PULL, DISCOVERY_NO, false, RENOTIFY_LATER},
        {WAITING, ROUTE_PULL, DISCOVERY_UNKNOWN, false, RENOTIFY_LATER},
        {WAITING, ROUTE_PLAIN, DISCOVERY_YES, false, RENOTIFY_PLAIN},
        {WAITING, ROUTE_PLAIN, DISCOVERY_UNKNOWN, false, RENOTIFY_PLAIN},
        {HANDED_OVER, ROUTE_AUTO, DISCOVERY_YES, false, RENOTIFY_STUB},
        {HANDED_OVER, ROUTE_AUTO, DISCOVERY_NO, false, RENOTIFY_LATER},
        {HANDED_OVER, ROUTE_PLAIN, DISCOVERY_YES, false, RENOTIFY_STUB},
        {HANDED_OVER, ROUTE_PLAIN, DISCOVERY_NO, false, RENOTIFY_LATER},
        {PERHAPS, ROUTE_AUTO, DISCOVERY_YES, false, RENOTIFY_STUB},
        {PERHAPS, ROUTE_AUTO, DISCOVERY_NO, false, RENOTIFY_LATER},
        {PERHAPS, ROUTE_PLAIN, DISCOVERY_NO, false, RENOTIFY_LATER},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct ticket t = a_ticket(TICKET_WAITING, T0);
        const struct discovery_answer answer = {cases[i].word, cases[i].remembered};
        if (cases[i].ticket == HANDED_OVER) {
            t.state = TICKET_LAPSED;
            t.handed_over_s = T0 + 1;
        }
        t.perhaps = cases[i].ticket == PERHAPS;
        if (renotify_way(&t, cases[i].route, &answer) != cases[i].want)
            fail_msg("case %zu", i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_look_means),
        cmocka_unit_test(a_replacement_is_told_once_where_the_other_side_keeps_it_in_sight),
        cmocka_unit_test(without_schedule_or_warning_nothing_more_is_looked_at),
        cmocka_unit_test(a_life_of_waiting),
        cmocka_unit_test(a_clock_that_jumps_a_day_and_back_neither_floods_nor_stops),
        cmocka_unit_test(letters_of_one_moment_are_not_told_of_at_one_moment),
        cmocka_unit_test(close_times_stay_in_their_order),
        cmocka_unit_test(which_way_it_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
