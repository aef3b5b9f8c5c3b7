/*
 * test_challenge.c - what store.h promises of a challenge that stands in a letter's way, on every engine.
 */
#include "rig.h"

#include <stdio.h>
#include <string.h>

#define URL "https://b.test/restante/challenge/1"

static struct ticket challenged(struct rig *r, const struct posted *p, const char *url, int64_t now_s)
{
    struct ticket t;

    memset(&t, 0, sizeof t);
    assert_err(ERR_OK, store_status(r->s, p->ticket.key, TICKET_CHALLENGED, url, now_s, &t));
    assert_int_equal(t.state, TICKET_CHALLENGED);
    assert_string_equal(t.challenge_url, url);
    return t;
}

/* The challenge that is due; how many there are. Stubs are done with by the way. */
static size_t due(struct rig *r, int64_t now_s, struct work *out)
{
    struct work w[20];
    size_t n = 0, found = 0;

    assert_err(ERR_OK, store_work_due(r->s, now_s, 60, w, 20, &n));
    for (size_t i = 0; i < n; i++) {
        if (w[i].kind == WORK_STUB)
            assert_err(ERR_OK, store_work_done(r->s, &w[i], "4bStub", now_s));
        if (w[i].kind == WORK_CHALLENGE) {
            *out = w[i];
            found++;
        }
    }
    return found;
}

static uint64_t work(struct rig *r)
{
    struct store_counts c;

    assert_err(ERR_OK, store_count(r->s, &c));
    return c.work;
}

static void its_sender_is_told_of_it_once(struct rig *r)
{
    struct posted p = rig_post(r, LETTER());
    struct work w, none;
    struct ticket t;

    assert_int_equal(due(r, RIG_NOW_S, &w), 0);
    challenged(r, &p, URL, RIG_NOW_S + 1);
    assert_int_equal(work(r), 1);
    assert_int_equal(due(r, RIG_NOW_S + 1, &w), 1);
    assert_int_equal(w.tries, 0);
    assert_memory_equal(w.key, p.ticket.key, sizeof w.key);
    assert_err(ERR_OK, store_work_later(r->s, &w, RIG_NOW_S + 50, "MTA away"));
    challenged(r, &p, URL, RIG_NOW_S + 2); /* the stub again, the same challenge: when it is due stays */
    assert_int_equal(due(r, RIG_NOW_S + 49, &none), 0);
    if (r->options.engine == STORE_BDB) {
        rig_close(r);
        rig_open(r);
        assert_int_equal(work(r), 1);
    }
    assert_int_equal(due(r, RIG_NOW_S + 50, &w), 1);
    assert_int_equal(w.tries, 1);
    assert_err(ERR_OK, store_work_done(r->s, &w, "4bChallenge", RIG_NOW_S + 51));
    assert_int_equal(work(r), 0);
    challenged(r, &p, URL, RIG_NOW_S + 60);
    assert_int_equal(work(r), 0);
    assert_err(ERR_OK, store_ticket_get(r->s, p.ticket.key, &t));
    assert_string_equal(t.challenge_url, URL);
    assert_string_equal(t.stub_queue_id, "4bStub");
    /* Another challenge, since the first is over. */
    challenged(r, &p, URL "2", RIG_NOW_S + 99);
    assert_int_equal(due(r, RIG_NOW_S + 99, &w), 1);
    assert_int_equal(w.tries, 0);
}

static void who_is_not_told(struct rig *r)
{
    struct posted p = rig_post(r, LETTER(.message_id = "<1>")),
                  q = rig_post(r, LETTER(.message_id = "<2>", .sender = "")),
                  bulk = rig_post(r, LETTER(.message_id = "<3>", .list_id = "dev.lists.test"));
    struct work w;
    struct ticket t;

    assert_int_equal(due(r, RIG_NOW_S, &w), 0);
    challenged(r, &p, "", RIG_NOW_S);
    challenged(r, &q, URL, RIG_NOW_S);
    t = challenged(r, &bulk, URL, RIG_NOW_S);
    assert_true(t.bulk);
    assert_string_equal(t.list_id, "dev.lists.test");
    assert_int_equal(work(r), 0);
    /* The URL comes later. */
    challenged(r, &p, URL, RIG_NOW_S);
    assert_int_equal(due(r, RIG_NOW_S, &w), 1);
}

static void what_is_over_is_not_told(struct rig *r)
{
    static const char *const id[] = {"<held>", "<claimed>", "<refused>", "<expired>", "<bounced>"};
    struct posted p[5];
    struct store_claimed c;
    struct store_claim q;
    struct work w;
    struct ticket t;
    size_t n;

    for (int i = 0; i < 5; i++)
        p[i] = rig_post(
            r, LETTER(.message_id = id[i], .notify = "NEVER", .expires_s = RIG_NOW_S + (i == 3 ? 10 : 1000)));
    assert_int_equal(due(r, RIG_NOW_S, &w), 0);
    for (int i = 0; i < 5; i++)
        challenged(r, &p[i], URL, RIG_NOW_S);
    assert_int_equal(work(r), 5);
    assert_err(ERR_OK, store_status(r->s, p[0].ticket.key, TICKET_HELD, "", RIG_NOW_S, &t));
    assert_string_equal(t.challenge_url, "");
    assert_int_equal(work(r), 4);
    q = rig_claim(&p[1], 1, RIG_NOW_S);
    assert_err(ERR_OK, store_claim(r->s, &q, &c));
    assert_int_equal(work(r), 3);
    assert_err(ERR_OK, store_nack(r->s, p[2].ticket.key, NULL, "denied", "", RIG_NOW_S, &t));
    assert_int_equal(work(r), 2);
    assert_err(ERR_OK, store_expire(r->s, RIG_NOW_S + 11, 100, &n));
    assert_int_equal(work(r), 1);
    assert_err(ERR_OK, store_bounced(r->s, p[4].keys.a, "5.1.1", "", RIG_NOW_S, &t));
    assert_int_equal(work(r), 0);
    assert_int_equal(due(r, RIG_NOW_S + 999, &w), 0);
    /* Held, then challenged again: it is told again. */
    challenged(r, &p[0], URL, RIG_NOW_S + 5);
    assert_int_equal(work(r), 1);
}

static void a_challenge_is_no_stub(struct rig *r)
{
    struct posted p = rig_post(r, LETTER());
    struct work w;

    due(r, RIG_NOW_S, &w);
    challenged(r, &p, URL, RIG_NOW_S);
    assert_int_equal(due(r, RIG_NOW_S, &w), 1);
    assert_err(ERR_INTERNAL, store_work_refused(r->s, &w, "5.1.1", "no such user", RIG_NOW_S));
    assert_int_equal(rig_state(r, &p), TICKET_CHALLENGED);
}

int main(void)
{
    static const struct rig_case cases[] = {
        RIG_CASE(its_sender_is_told_of_it_once),
        RIG_CASE(who_is_not_told),
        RIG_CASE(what_is_over_is_not_told),
        RIG_CASE(a_challenge_is_no_stub),
    };

    return rig_run("store challenges", cases, sizeof cases / sizeof *cases, true, true);
}
