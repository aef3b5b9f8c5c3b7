/*
 * test_outbox.c - what store.h promises of the outbox: stubs, and what a sender is told, case by case, on
 * every engine.
 */
#include "rig.h"

#include <stdio.h>

#define DAY_S 86400

/* ---- notifications ------------------------------------------------------------------------------------- */

static void notifications_follow_notify(struct rig *r)
{
    static const struct {
        const char *notify, *sender;
        bool delivered;
        size_t want;
    } rows[] = {
        {"", "alice@a.test", false, 1},
        {"FAILURE", "alice@a.test", false, 1},
        {"failure,delay", "alice@a.test", false, 1},
        {"SUCCESS", "alice@a.test", false, 0},
        {"DELAY", "alice@a.test", false, 0},
        {"NEVER", "alice@a.test", false, 0},
        {"", "", false, 0},
        {"FAILURE", "", false, 0},
        {"", "alice@a.test", true, 0},
        {"FAILURE", "alice@a.test", true, 0},
        {"SUCCESS", "alice@a.test", true, 1},
        {"Success,FAILURE", "alice@a.test", true, 1},
        {"SUCCESS", "", true, 0},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char id[20];
        const struct letter *l =
            LETTER(.notify = rows[i].notify, .sender = rows[i].sender, .message_id = id, .size = 70000);
        int64_t now_s = RIG_NOW_S + (int64_t)i;
        struct store_claimed c;
        struct store_body body;
        struct posted p;
        struct work w[9];

        snprintf(id, sizeof id, "<%zu>", i);
        p = rig_post(r, l);
        rig_send_stubs(r, now_s);
        if (rows[i].delivered) {
            assert_err(ERR_OK, rig_call(r, &p, 1, now_s, &c));
            assert_err(ERR_OK, rig_ack(r, &p, l, now_s));
        } else {
            assert_err(ERR_OK, rig_nack(r, &p, 1, now_s));
        }
        assert_int_equal(rig_work_due(r, now_s, w, 9), rows[i].want);
        assert_int_equal(rig_counts(r).payloads, rows[i].want);
        if (rows[i].want == 0)
            continue;
        /* The header of the letter is returned with it. */
        assert_int_equal(w[0].kind, WORK_NOTIFY);
        assert_err(ERR_OK, store_body_open(r->s, &p.ticket, &body));
        store_body_close(&body);
        assert_err(ERR_OK, store_work_later(r->s, &w[0], now_s + 10, "451 later"));
        assert_int_equal(rig_work_due(r, now_s, w, 9), 0);
        assert_int_equal(rig_work_due(r, now_s + 10, w, 9), 1);
        assert_int_equal(w[0].tries, 1);
        assert_err(ERR_OK, store_work_done(r->s, &w[0], "4bDsn", now_s + 10));
        assert_err(ERR_OK, store_work_done(r->s, &w[0], "4bDsn", now_s + 10)); /* a second time is nothing */
        assert_int_equal(rig_work_due(r, now_s + 1000, w, 9), 0);
        assert_int_equal(rig_counts(r).payloads, 0);
        assert_int_equal(rig_counts(r).work, 0);
    }
}

/* ---- outbox -------------------------------------------------------------------------------------------- */

static void the_outbox_gives_each_entry_once(struct rig *r)
{
    struct posted p = rig_post(r, LETTER());
    struct work w[9];
    struct ticket t;
    int64_t due_s;
    size_t n;

    assert_err(ERR_OK, store_work_next(r->s, &due_s));
    assert_int_equal(due_s, RIG_NOW_S);
    assert_int_equal(rig_work_due(r, RIG_NOW_S - 1, w, 9), 0);
    assert_int_equal(rig_work_due(r, RIG_NOW_S, w, 9), 1);
    assert_int_equal(w[0].kind, WORK_STUB);
    assert_memory_equal(w[0].key, p.ticket.key, sizeof w[0].key);
    assert_int_equal(rig_work_due(r, RIG_NOW_S + 60, w, 9), 0);        /* in somebody's hands */
    assert_int_equal(rig_work_due(r, RIG_NOW_S + 3 * DAY_S, w, 9), 0); /* and still, when the clock jumps */
    store_work_give_back(r->s, &w[0]);
    assert_err(ERR_OK, store_work_due(r->s, RIG_NOW_S, 0, w, 9, &n)); /* who did nothing with it */
    assert_int_equal(n, 1);
    assert_err(ERR_OK, store_work_next(r->s, &due_s));
    assert_int_equal(due_s, RIG_NOW_S);
    assert_int_equal(rig_work_due(r, RIG_NOW_S, w, 9), 1); /* whose time was over at once */
    assert_err(ERR_OK, store_work_later(r->s, &w[0], RIG_NOW_S + 1000, "connection refused"));
    assert_err(ERR_OK, store_work_next(r->s, &due_s));
    assert_int_equal(due_s, RIG_NOW_S + 1000);
    assert_err(ERR_OK, store_ticket_get(r->s, p.ticket.key, &t));
    assert_string_equal(t.remote_text, "connection refused");
    assert_int_equal(t.stub_tries, 1);
    assert_int_equal(rig_work_due(r, RIG_NOW_S + 999, w, 9), 0);
    assert_int_equal(rig_work_due(r, RIG_NOW_S + 1000, w, 9), 1);
    assert_int_equal(w[0].tries, 1);
    assert_err(ERR_OK, store_work_done(r->s, &w[0], "4bStub", RIG_NOW_S + 1001));
    assert_err(ERR_OK, store_work_next(r->s, &due_s));
    assert_true(due_s == INT64_MAX);
    assert_err(ERR_OK, store_ticket_get(r->s, p.ticket.key, &t));
    assert_string_equal(t.stub_queue_id, "4bStub");
    assert_string_equal(t.remote_text, "");
    assert_int_equal(t.stub_sent_s, RIG_NOW_S + 1001);
    assert_int_equal(rig_counts(r).work, 0);
}

static void the_outbox_is_in_order(struct rig *r)
{
    struct work w[9];

    for (int i = 0; i < 5; i++) {
        char id[20];

        snprintf(id, sizeof id, "<%d>", i);
        rig_post(r, LETTER(.message_id = id, .created_s = RIG_NOW_S + (i * 7) % 5));
    }
    assert_int_equal(rig_work_due(r, RIG_NOW_S + 10, w, 3), 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(w[i].due_s, RIG_NOW_S + i);
    assert_int_equal(rig_work_due(r, RIG_NOW_S + 10, w, 9), 2);
    assert_int_equal(w[0].due_s, RIG_NOW_S + 3);
}

static void a_refused_stub_bounces_the_ticket(struct rig *r)
{
    struct posted p = rig_post(r, LETTER());
    struct work w[9];
    struct ticket t;

    assert_int_equal(rig_work_due(r, RIG_NOW_S, w, 9), 1);
    assert_err(ERR_OK, store_work_refused(r->s, &w[0], "5.1.2", "bad domain", RIG_NOW_S));
    assert_err(ERR_OK, store_ticket_get(r->s, p.ticket.key, &t));
    assert_int_equal(t.state, TICKET_BOUNCED);
    assert_string_equal(t.remote_reason, "5.1.2");
    assert_err(ERR_OK, store_work_refused(r->s, &w[0], "5.1.2", "bad domain", RIG_NOW_S));
    assert_int_equal(rig_work_due(r, RIG_NOW_S, w, 9), 1);
    assert_int_equal(w[0].kind, WORK_NOTIFY);
}

static void the_end_of_a_ticket_takes_its_stub_from_the_outbox(struct rig *r)
{
    struct posted p = rig_post(r, LETTER(.notify = "NEVER"));
    struct work w[9], late;

    assert_int_equal(rig_work_due(r, RIG_NOW_S, &late, 1), 1);
    assert_err(ERR_OK, rig_nack(r, &p, 1, RIG_NOW_S));
    assert_int_equal(rig_counts(r).work, 0);
    assert_int_equal(rig_work_due(r, RIG_NOW_S + 1000, w, 9), 0);
    assert_err(ERR_OK, store_work_done(r->s, &late, "4b", RIG_NOW_S)); /* nobody minds */
    assert_err(ERR_OK, store_work_later(r->s, &late, RIG_NOW_S, "x"));
    assert_int_equal(rig_counts(r).work, 0);
    assert_int_equal(rig_state(r, &p), TICKET_REFUSED);
}

int main(void)
{
    static const struct rig_case cases[] = {
        RIG_CASE(notifications_follow_notify),
        RIG_CASE(the_outbox_gives_each_entry_once),
        RIG_CASE(the_outbox_is_in_order),
        RIG_CASE(a_refused_stub_bounces_the_ticket),
        RIG_CASE(the_end_of_a_ticket_takes_its_stub_from_the_outbox),
    };

    return rig_run("store outbox", cases, sizeof cases / sizeof *cases, true, true);
}
