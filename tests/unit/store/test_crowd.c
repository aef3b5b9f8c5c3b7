/*
 * test_crowd.c - what store.h promises holds when many say words at once, case by case, on every engine.
 */
#include "rig.h"

#include <pthread.h>
#include <stdio.h>

enum { THREADS = 16 };

struct worker {
    struct rig *r;
    const struct posted *p;
    uint8_t number;
    pthread_barrier_t *start;
    enum err result;
    size_t ok;
};

static void run_threads(struct rig *r, const struct posted *p, void *(*run)(void *), struct worker *w)
{
    pthread_t thread[THREADS];
    pthread_barrier_t start;

    pthread_barrier_init(&start, NULL, THREADS);
    for (uint8_t i = 0; i < THREADS; i++) {
        w[i] = (struct worker){.r = r, .p = p, .number = i, .start = &start};
        assert_int_equal(pthread_create(&thread[i], NULL, run, &w[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    pthread_barrier_destroy(&start);
}

/* cmocka's assertions are for the main thread: workers only report. */
static void *claim_worker(void *arg)
{
    struct worker *w = arg;
    struct store_claim c = rig_claim(w->p, (uint8_t)(w->number + 1), RIG_NOW_S);
    struct store_claimed out;

    pthread_barrier_wait(w->start);
    w->result = store_claim(w->r->s, &c, &out);
    return NULL;
}

static void what_two_halves_say_is_there_before_it_is_durable(struct rig *r)
{
    const struct letter *l = LETTER(.size = 70000);
    struct posted p = rig_post(r, l);
    struct store_claim q = rig_claim(&p, 1, RIG_NOW_S), other = rig_claim(&p, 2, RIG_NOW_S);
    struct store_claimed c;
    uint8_t digest[32];
    struct ticket t;

    letter_digest(l, digest);
    assert_err(ERR_OK, store_claim_begin(r->s, &q, &c));
    assert_err(ERR_LEASED, store_claim(r->s, &other, &c));
    assert_err(ERR_OK, rig_durable(r));
    assert_err(ERR_WRONG_DIGEST, store_ack_begin(r->s, p.ticket.key, (const uint8_t[32]){0}, RIG_NOW_S, &t));
    assert_err(ERR_OK, rig_durable(r));
    assert_err(ERR_OK, store_ack_begin(r->s, p.ticket.key, digest, RIG_NOW_S, &t));
    assert_int_equal(t.state, TICKET_DELIVERED);
    assert_int_equal(rig_counts(r).payloads, 0);
    assert_err(ERR_GONE, store_claim_begin(r->s, &q, &c));
    assert_err(ERR_OK, rig_durable(r));
}

static void of_sixteen_claims_one_gets_the_lease(struct rig *r)
{
    struct worker w[THREADS];

    for (int round = 0; round < 20; round++) {
        char id[20];
        struct posted p;
        int got = 0, leased = 0;

        snprintf(id, sizeof id, "<%d>", round);
        p = rig_post(r, LETTER(.message_id = id));
        run_threads(r, &p, claim_worker, w);
        for (int i = 0; i < THREADS; i++) {
            got += w[i].result == ERR_OK;
            leased += w[i].result == ERR_LEASED;
        }
        assert_int_equal(got, 1);
        assert_int_equal(leased, THREADS - 1);
    }
    assert_int_equal(rig_counts(r).tickets[TICKET_LEASED], 20);
}

#define PER_WORKER 12

static void *letter_worker(void *arg)
{
    struct worker *w = arg;
    struct posted p[3];

    pthread_barrier_wait(w->start);
    for (int i = 0; i < PER_WORKER; i++) {
        char id[40];
        const struct letter *l = LETTER(.message_id = id, .size = i % 4 == 0 ? 70000 : 5000);
        struct store_claimed c;
        uint8_t digest[32];
        struct ticket t;

        snprintf(id, sizeof id, "<%d.%d>", w->number, i);
        if (rig_deposit(w->r, l, 3, p) != ERR_OK)
            continue;
        letter_digest(l, digest);
        for (int k = 0; k < 3; k++) {
            struct store_claim q = rig_claim(&p[k], 1, RIG_NOW_S);
            bool halves = w->number % 2 == 1;

            if ((halves ? store_claim_begin : store_claim)(w->r->s, &q, &c) == ERR_OK &&
                (k == 2 || (halves ? store_ack_begin : store_ack)(w->r->s, p[k].ticket.key, digest, RIG_NOW_S,
                                                                  &t) == ERR_OK) &&
                (!halves || rig_durable(w->r) == ERR_OK))
                w->ok++;
        }
    }
    return NULL;
}

static void sixteen_at_once_lose_nothing(struct rig *r)
{
    struct worker w[THREADS];
    struct store_counts c;
    size_t ok = 0, listed = 0;

    run_threads(r, NULL, letter_worker, w);
    for (int i = 0; i < THREADS; i++)
        ok += w[i].ok;
    c = rig_counts(r);
    assert_int_equal(ok, THREADS * PER_WORKER * 3);
    assert_int_equal(c.tickets[TICKET_DELIVERED], THREADS * PER_WORKER * 2);
    assert_int_equal(c.tickets[TICKET_LEASED], THREADS * PER_WORKER);
    assert_int_equal(c.payloads, THREADS * PER_WORKER);
    assert_int_equal(c.work, THREADS * PER_WORKER);
    assert_err(ERR_OK, store_tickets(r->s, NULL, 10000, rig_count_ticket, &listed));
    assert_int_equal(listed, THREADS * PER_WORKER * 3);
    if (r->options.engine != STORE_BDB)
        return;
    /* Counted anew at opening, it is the same. */
    rig_close(r);
    rig_open(r);
    struct store_counts again = rig_counts(r);
    assert_memory_equal(again.tickets, c.tickets, sizeof c.tickets);
    assert_int_equal(again.payloads, c.payloads);
    assert_int_equal(again.payload_bytes, c.payload_bytes);
    assert_int_equal(again.work, c.work);
}

static void *same_letter_worker(void *arg)
{
    struct worker *w = arg;
    struct posted p;

    pthread_barrier_wait(w->start);
    w->result = rig_deposit(w->r, LETTER(), 1, &p);
    w->ok = p.existing;
    return NULL;
}

static void the_same_letter_sixteen_times_at_once_is_one(struct rig *r)
{
    struct worker w[THREADS];
    size_t existing = 0;

    run_threads(r, NULL, same_letter_worker, w);
    for (int i = 0; i < THREADS; i++) {
        assert_err(ERR_OK, w[i].result);
        existing += w[i].ok;
    }
    assert_int_equal(existing, THREADS - 1);
    assert_int_equal(rig_counts(r).tickets[TICKET_WAITING], 1);
    assert_int_equal(rig_counts(r).payloads, 1);
}

static void *outbox_worker(void *arg)
{
    struct worker *w = arg;
    struct work work[7];
    size_t n;

    pthread_barrier_wait(w->start);
    do {
        if (store_work_due(w->r->s, RIG_NOW_S, 60, work, 7, &n) != ERR_OK)
            return NULL;
        for (size_t i = 0; i < n; i++)
            w->ok += store_work_done(w->r->s, &work[i], "4b", RIG_NOW_S) == ERR_OK;
    } while (n > 0);
    return NULL;
}

static void sixteen_outbox_workers_send_each_stub_once(struct rig *r)
{
    struct posted p[300];
    struct worker w[THREADS];
    size_t ok = 0;

    assert_err(ERR_OK, rig_deposit(r, LETTER(), 300, p));
    run_threads(r, NULL, outbox_worker, w);
    for (int i = 0; i < THREADS; i++)
        ok += w[i].ok;
    assert_int_equal(ok, 300);
    assert_int_equal(rig_counts(r).work, 0);
    for (int i = 0; i < 300; i++) {
        struct ticket t;

        assert_err(ERR_OK, store_ticket_get(r->s, p[i].ticket.key, &t));
        assert_int_equal(t.stub_sent_s, RIG_NOW_S);
        assert_int_equal(t.event_count, 2); /* waiting, and once sent */
    }
}

int main(void)
{
    static const struct rig_case cases[] = {
        RIG_CASE(what_two_halves_say_is_there_before_it_is_durable),
        RIG_CASE(of_sixteen_claims_one_gets_the_lease),
        RIG_CASE(sixteen_at_once_lose_nothing),
        RIG_CASE(the_same_letter_sixteen_times_at_once_is_one),
        RIG_CASE(sixteen_outbox_workers_send_each_stub_once),
    };

    return rig_run("store crowd", cases, sizeof cases / sizeof *cases, true, true);
}
