/*
 * test_conformance.c - what store.h promises, case by case, on every engine.
 */
#include "rig.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/encode.h"

#define DAY_S 86400

static enum err claim(struct rig *r, const struct posted *p, uint8_t token, int64_t now_s,
                      struct store_claimed *out)
{
    struct store_claim c = rig_claim(p, token, now_s);

    memset(out, 0, sizeof *out);
    return store_claim(r->s, &c, out);
}

static enum err ack(struct rig *r, const struct posted *p, const struct letter *l, int64_t now_s)
{
    uint8_t digest[32];
    struct ticket t;

    letter_digest(l, digest);
    return store_ack(r->s, p->ticket.key, digest, now_s, &t);
}

static enum err nack(struct rig *r, const struct posted *p, uint8_t token, int64_t now_s)
{
    uint8_t bytes[16];
    struct ticket t;

    memset(bytes, token, sizeof bytes);
    return store_nack(r->s, p->ticket.key, bytes, "mta-refused", "550 5.1.1 no such user", now_s, &t);
}

/* Takes the due entries; how many there were. */
static size_t work_due(struct rig *r, int64_t now_s, struct work *out, size_t max)
{
    size_t n = 99;

    assert_err(ERR_OK, store_work_due(r->s, now_s, 60, out, max, &n));
    return n;
}

static void send_stubs(struct rig *r, int64_t now_s)
{
    struct work w[100];
    size_t n = work_due(r, now_s, w, 100);

    for (size_t i = 0; i < n; i++)
        if (w[i].kind == WORK_STUB)
            assert_err(ERR_OK, store_work_done(r->s, &w[i], "4bStub", now_s));
}

/* ---- deposits ------------------------------------------------------------------------------------------ */

static void a_deposited_letter_is_all_there(struct rig *r)
{
    const struct letter *l = LETTER(.subject = "Gr\xc3\xbc\xc3\x9f"
                                               "e",
                                    .notify = "SUCCESS,FAILURE");
    struct posted p = rig_post(r, l);
    struct store_counts c = rig_counts(r);
    struct ticket t;

    assert_false(p.existing);
    assert_err(ERR_OK, store_ticket_get(r->s, p.ticket.key, &t));
    assert_int_equal(t.state, TICKET_WAITING);
    assert_string_equal(t.sender, "alice@a.test");
    assert_string_equal(t.recipient, "bob@b.test");
    assert_string_equal(t.subject, l->subject);
    assert_string_equal(t.from_field, "Alice <alice@a.test>");
    assert_string_equal(t.notify, "SUCCESS,FAILURE");
    assert_int_equal(t.letter_bytes, l->size);
    assert_int_equal(t.sealed_bytes, seal_sealed_size(l->size));
    assert_int_equal(t.version, 1);
    assert_memory_equal(t.a, p.keys.a, sizeof t.a);
    assert_int_equal(c.tickets[TICKET_WAITING], 1);
    assert_int_equal(c.payloads, 1);
    assert_int_equal(c.payload_bytes, t.sealed_bytes);
    assert_int_equal(c.work, 1);
    assert_err(ERR_OK, store_ticket_by_a(r->s, p.keys.a, &t));
    assert_memory_equal(t.key, p.ticket.key, sizeof t.key);
}

static void payloads_of_all_sizes_come_back(struct rig *r)
{
    static const size_t sizes[] = {0, 1, 3000, 16000, 65320, 65321, 65536, 65537, 200000, 3000000};

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char id[32];
        const struct letter *l = LETTER(.size = sizes[i], .message_id = id);
        struct store_claimed c;
        struct posted p;

        snprintf(id, sizeof id, "<size-%zu@a.test>", sizes[i]);
        p = rig_post(r, l);
        assert_err(ERR_OK, claim(r, &p, 1, RIG_NOW_S, &c));
        rig_check_body(r, &c, &p, l);
        assert_err(ERR_OK, ack(r, &p, l, RIG_NOW_S));
    }
    assert_int_equal(rig_counts(r).payloads, 0);
    assert_int_equal(rig_counts(r).payload_bytes, 0);
}

static void the_record_boundary_is_exact(struct rig *r)
{
    size_t overhead = (size_t)seal_sealed_size(0);
    const struct letter *small = LETTER(.size = 60000, .message_id = "<s@a.test>"),
                        *large = LETTER(.size = 60001, .message_id = "<l@a.test>");
    struct store_body body;
    struct posted p;

    if (r->options.engine == STORE_BDB)
        rig_close(r);
    else
        return;
    r->options.record_max_bytes = (int64_t)(60000 + overhead);
    rig_open(r);
    p = rig_post(r, small);
    assert_err(ERR_OK, store_body_open(r->s, &p.ticket, &body));
    assert_int_equal(body.fd, -1);
    store_body_close(&body);
    p = rig_post(r, large);
    assert_err(ERR_OK, store_body_open(r->s, &p.ticket, &body));
    assert_true(body.fd >= 0);
    store_body_close(&body);
    assert_int_equal(rig_file_count(r->directory, "payload"), 1);
}

static void many_recipients_share_one_payload(struct rig *r)
{
    enum { COUNT = 1000 };
    const struct letter *l = LETTER(.size = 100000);
    struct posted *p = calloc(COUNT, sizeof *p);
    struct store_claimed c;

    assert_non_null(p);
    assert_err(ERR_OK, rig_deposit(r, l, COUNT, p));
    assert_int_equal(rig_counts(r).payloads, 1);
    assert_int_equal(rig_counts(r).tickets[TICKET_WAITING], COUNT);
    assert_int_equal(rig_counts(r).work, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        assert_err(ERR_OK, claim(r, &p[i], 1, RIG_NOW_S, &c));
        if (i % 100 == 0)
            rig_check_body(r, &c, &p[i], l);
        assert_int_equal(rig_counts(r).payloads, 1);
        assert_err(ERR_OK, ack(r, &p[i], l, RIG_NOW_S));
    }
    assert_int_equal(rig_counts(r).payloads, 0);
    assert_int_equal(rig_counts(r).work, 0);
    assert_int_equal(rig_counts(r).tickets[TICKET_DELIVERED], COUNT);
    if (r->options.engine == STORE_BDB)
        assert_int_equal(rig_file_count(r->directory, "payload"), 0);
    free(p);
}

static void the_largest_envelope_fits_one_commit(struct rig *r)
{
    enum { COUNT = 5000 };
    struct posted *p = calloc(COUNT, sizeof *p);
    size_t n;

    assert_non_null(p);
    assert_err(ERR_OK, rig_deposit(r, LETTER(), COUNT, p));
    assert_int_equal(rig_counts(r).tickets[TICKET_WAITING], COUNT);
    assert_err(ERR_OK, store_expire(r->s, RIG_NOW_S + 8 * DAY_S, 50, &n));
    assert_int_equal(n, 50);
    free(p);
}

static void an_aborted_payload_leaves_nothing(struct rig *r)
{
    uint8_t id[SEAL_PAYLOAD_ID_BYTES] = {1};
    struct store_payload *p;
    char piece[50000];

    memset(piece, 'x', sizeof piece);
    for (int pieces = 0; pieces < 3; pieces++) {
        assert_err(ERR_OK, store_payload_begin(r->s, id, &p));
        for (int i = 0; i < pieces; i++)
            assert_err(ERR_OK, store_payload_write(p, piece, sizeof piece));
        store_payload_abort(p);
    }
    store_payload_abort(NULL);
    assert_int_equal(rig_counts(r).payloads, 0);
    if (r->options.engine == STORE_BDB)
        assert_int_equal(rig_file_count(r->directory, "payload"), 0);
}

static void the_same_letter_again_gets_its_ticket(struct rig *r)
{
    const struct letter *l = LETTER(.size = 100000, .subject = "once");
    struct posted first = rig_post(r, l), again = rig_post(r, l);
    struct store_claimed c;

    assert_true(again.existing);
    assert_memory_equal(again.ticket.key, first.ticket.key, sizeof first.ticket.key);
    assert_string_equal(again.ticket.subject, "once");
    assert_int_equal(rig_counts(r).tickets[TICKET_WAITING], 1);
    assert_int_equal(rig_counts(r).payloads, 1);
    if (r->options.engine == STORE_BDB)
        assert_int_equal(rig_file_count(r->directory, "payload"), 1);
    /* Also when it was delivered. */
    assert_err(ERR_OK, claim(r, &first, 1, RIG_NOW_S, &c));
    assert_err(ERR_OK, ack(r, &first, l, RIG_NOW_S));
    again = rig_post(r, l);
    assert_true(again.existing);
    assert_int_equal(again.ticket.state, TICKET_DELIVERED);
    assert_int_equal(rig_counts(r).payloads, 0);
}

static void the_same_letter_again_is_not_sent_plain_twice(struct rig *r)
{
    struct posted sent = rig_post(r, LETTER()), refused = rig_post(r, LETTER(.message_id = "<2>")), again;
    struct work w = {.kind = WORK_PLAIN};

    assert_err(ERR_OK, store_plain(r->s, sent.ticket.key, "takes no stubs", RIG_NOW_S + 3600, NULL));
    assert_true(rig_post(r, LETTER()).existing); /* it is on its way */
    memcpy(w.key, sent.ticket.key, sizeof w.key);
    assert_err(ERR_OK, store_work_done(r->s, &w, "4bPlain", RIG_NOW_S + 3601));
    again = rig_post(r, LETTER(.created_s = RIG_NOW_S + 7200));
    assert_true(again.existing);
    assert_int_equal(again.ticket.state, TICKET_PLAIN);
    /* Of one that did not go he was told, and tries it once more. */
    assert_err(ERR_OK, store_plain(r->s, refused.ticket.key, "takes no stubs", RIG_NOW_S + 3600, NULL));
    memcpy(w.key, refused.ticket.key, sizeof w.key);
    assert_err(ERR_OK, store_work_refused(r->s, &w, "5.7.1", "not this one", RIG_NOW_S + 3601));
    assert_false(rig_post(r, LETTER(.message_id = "<2>", .created_s = RIG_NOW_S + 7200)).existing);
}

static void what_differs_is_another_letter(struct rig *r)
{
    struct posted first = rig_post(r, LETTER());
    const struct letter *other[] = {
        LETTER(.recipient = "carol@b.test"),        LETTER(.sender = "dave@a.test"),
        LETTER(.message_id = "<2@a.test>"),         LETTER(.fill = 'y'),
        LETTER(.created_s = RIG_NOW_S + DAY_S + 1),
    };

    for (size_t i = 0; i < sizeof other / sizeof *other; i++) {
        struct posted p = rig_post(r, other[i]);

        assert_false(p.existing);
        assert_memory_not_equal(p.ticket.key, first.ticket.key, sizeof first.ticket.key);
    }
}

static void without_message_id_nothing_is_the_same(struct rig *r)
{
    assert_false(rig_post(r, LETTER(.message_id = "")).existing);
    assert_false(rig_post(r, LETTER(.message_id = "")).existing);
}

static void an_ended_ticket_does_not_stand_in_the_way(struct rig *r)
{
    struct posted p = rig_post(r, LETTER());

    assert_err(ERR_OK, nack(r, &p, 1, RIG_NOW_S));
    p = rig_post(r, LETTER());
    assert_false(p.existing);
    assert_true(rig_post(r, LETTER()).existing);
}

static void new_and_known_recipients_mix(struct rig *r)
{
    struct posted one = rig_post(r, LETTER()), p[3];

    assert_err(ERR_OK, rig_deposit(r, LETTER(), 3, p));
    assert_true(p[0].existing);
    assert_memory_equal(p[0].ticket.key, one.ticket.key, sizeof one.ticket.key);
    assert_false(p[1].existing);
    assert_false(p[2].existing);
    assert_int_equal(rig_counts(r).tickets[TICKET_WAITING], 3);
    assert_int_equal(rig_counts(r).payloads, 2);
}

/* ---- claims -------------------------------------------------------------------------------------------- */

static void a_claim_leases(struct rig *r)
{
    struct posted p = rig_post(r, LETTER());
    struct store_claimed c;

    assert_err(ERR_OK, claim(r, &p, 1, RIG_NOW_S + 5, &c));
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

    assert_err(ERR_OK, claim(r, &p, 1, RIG_NOW_S, &first));
    assert_err(ERR_OK, claim(r, &p, 1, RIG_NOW_S + 100, &again));
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
        assert_err(ERR_OK, claim(r, &p, (uint8_t)(lapse + 1), now_s, &c));
        assert_int_equal(c.ticket.lapses, lapse);
        assert_err(ERR_LEASED, claim(r, &p, 99, now_s + 300, &c));
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

    assert_err(ERR_OK, claim(r, &p, 1, now_s, &c));
    for (; now_s < RIG_NOW_S + 3500; now_s += 250) {
        assert_err(ERR_OK, claim(r, &p, 1, now_s, &c));
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

    assert_err(ERR_OK, claim(r, &p, 1, RIG_NOW_S, &c));
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

    assert_err(ERR_OK, claim(r, &p, 1, RIG_NOW_S, &c));
    assert_err(ERR_OK, claim(r, &p, 2, RIG_NOW_S + 301, &c));
    assert_false(c.renewed);
    assert_int_equal(c.ticket.lapses, 1);
    assert_int_equal(c.ticket.lease_started_s, RIG_NOW_S + 301);
    assert_int_equal(c.ticket.handed_over_s, RIG_NOW_S); /* the first hand-over counts */
    assert_err(ERR_OK, claim(r, &p, 2, RIG_NOW_S + 700, &c));
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
    assert_err(ERR_OK, ack(r, &p, LETTER(), RIG_NOW_S + 501));
    assert_err(ERR_GONE, store_resume(r->s, &mine, &c));
}

static void an_unknown_ticket_is_not_found(struct rig *r)
{
    struct posted p = rig_post(r, LETTER()), none = p;
    struct store_claimed c;
    struct ticket t;

    memset(none.ticket.key, 0xee, sizeof none.ticket.key);
    assert_err(ERR_NOT_FOUND, claim(r, &none, 1, RIG_NOW_S, &c));
    assert_err(ERR_NOT_FOUND, ack(r, &none, LETTER(), RIG_NOW_S));
    assert_err(ERR_NOT_FOUND, nack(r, &none, 1, RIG_NOW_S));
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

    send_stubs(r, RIG_NOW_S);
    assert_err(ERR_NEVER_CLAIMED, ack(r, &p, LETTER(.size = 100000), RIG_NOW_S));
    assert_err(ERR_OK, claim(r, &p, 1, RIG_NOW_S, &c));
    assert_err(ERR_WRONG_DIGEST, ack(r, &p, LETTER(.size = 99999), RIG_NOW_S));
    assert_int_equal(rig_counts(r).tickets[TICKET_LEASED], 1);
    assert_err(ERR_OK, ack(r, &p, LETTER(.size = 100000), RIG_NOW_S));
    assert_err(ERR_OK, ack(r, &p, LETTER(.size = 100000), RIG_NOW_S)); /* repeated */
    assert_err(ERR_WRONG_DIGEST, ack(r, &p, LETTER(.size = 99999), RIG_NOW_S));
    assert_err(ERR_GONE, claim(r, &p, 1, RIG_NOW_S, &c));
    assert_int_equal(c.ticket.state, TICKET_DELIVERED);
    assert_string_equal(ticket_state_gone(c.ticket.state), "acked");
    assert_err(ERR_GONE, nack(r, &p, 1, RIG_NOW_S));
    assert_err(ERR_NOT_FOUND, store_body_open(r->s, &p.ticket, &body));
    assert_err(ERR_NOT_FOUND, store_payload_dek(r->s, &p.ticket, dek));
    assert_int_equal(rig_counts(r).payloads, 0);
    assert_int_equal(rig_counts(r).work, 0);
}

static void an_ack_needs_no_live_lease(struct rig *r)
{
    struct posted p = rig_post(r, LETTER());
    struct store_claimed c;

    assert_err(ERR_OK, claim(r, &p, 1, RIG_NOW_S, &c));
    assert_err(ERR_OK, ack(r, &p, LETTER(), RIG_NOW_S + 3 * DAY_S));
    assert_int_equal(rig_state(r, &p), TICKET_DELIVERED);
}

static void an_ack_counts_under_anothers_lease(struct rig *r)
{
    struct posted p = rig_post(r, LETTER());
    struct store_claimed c;

    assert_err(ERR_OK, claim(r, &p, 1, RIG_NOW_S, &c));
    assert_err(ERR_OK, claim(r, &p, 2, RIG_NOW_S + 400, &c));
    assert_err(ERR_OK, ack(r, &p, LETTER(), RIG_NOW_S + 401)); /* the first's */
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
    assert_err(ERR_OK, nack(r, &waiting, 9, RIG_NOW_S)); /* repeated, nothing new */
    assert_err(ERR_OK, store_ticket_get(r->s, waiting.ticket.key, &t));
    assert_string_equal(t.remote_reason, "denied");

    assert_err(ERR_OK, store_status(r->s, held.ticket.key, TICKET_HELD, "", RIG_NOW_S, &t));
    assert_err(ERR_OK, nack(r, &held, 9, RIG_NOW_S));

    assert_err(ERR_OK, claim(r, &own, 1, RIG_NOW_S, &c));
    assert_err(ERR_OK, nack(r, &own, 1, RIG_NOW_S));
    assert_err(ERR_GONE, ack(r, &own, LETTER(), RIG_NOW_S));

    assert_err(ERR_OK, claim(r, &others, 1, RIG_NOW_S, &c));
    assert_err(ERR_LEASED, nack(r, &others, 2, RIG_NOW_S));
    assert_err(ERR_LEASED, store_nack(r->s, others.ticket.key, NULL, "", "", RIG_NOW_S, &t));

    assert_err(ERR_OK, claim(r, &lapsed, 1, RIG_NOW_S, &c));
    assert_err(ERR_LEASE_ENDED, nack(r, &lapsed, 2, RIG_NOW_S + 400));
    assert_err(ERR_OK, nack(r, &lapsed, 1, RIG_NOW_S + 400));
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
    assert_err(ERR_OK, claim(r, &p, 1, RIG_NOW_S, &c));
    assert_err(ERR_LEASED, store_status(r->s, p.ticket.key, TICKET_HELD, "", RIG_NOW_S, &t));
    assert_err(ERR_OK, ack(r, &p, LETTER(), RIG_NOW_S));
    assert_err(ERR_GONE, store_status(r->s, p.ticket.key, TICKET_HELD, "", RIG_NOW_S, &t));
}

static void a_bounce_ends_what_nobody_called_for(struct rig *r)
{
    struct posted p = rig_post(r, LETTER(.message_id = "<1>")), q = rig_post(r, LETTER(.message_id = "<2>"));
    struct store_claimed c;
    struct ticket t;
    struct work w[9];

    send_stubs(r, RIG_NOW_S);
    assert_err(ERR_OK, store_bounced(r->s, p.keys.a, "5.1.1", "no such user", RIG_NOW_S, &t));
    assert_int_equal(t.state, TICKET_BOUNCED);
    assert_err(ERR_GONE, store_bounced(r->s, p.keys.a, "5.1.1", "again", RIG_NOW_S, &t));
    assert_string_equal(t.remote_text, "no such user");
    assert_int_equal(work_due(r, RIG_NOW_S, w, 9), 1); /* exactly one notice */
    assert_int_equal(w[0].kind, WORK_NOTIFY);
    assert_err(ERR_OK, claim(r, &q, 1, RIG_NOW_S, &c));
    assert_err(ERR_LEASED, store_bounced(r->s, q.keys.a, "5.1.1", "late", RIG_NOW_S, &t));
    assert_err(ERR_OK, ack(r, &q, LETTER(), RIG_NOW_S));
    assert_err(ERR_GONE, store_bounced(r->s, q.keys.a, "5.1.1", "later", RIG_NOW_S, &t));
}

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
        send_stubs(r, now_s);
        if (rows[i].delivered) {
            assert_err(ERR_OK, claim(r, &p, 1, now_s, &c));
            assert_err(ERR_OK, ack(r, &p, l, now_s));
        } else {
            assert_err(ERR_OK, nack(r, &p, 1, now_s));
        }
        assert_int_equal(work_due(r, now_s, w, 9), rows[i].want);
        assert_int_equal(rig_counts(r).payloads, rows[i].want);
        if (rows[i].want == 0)
            continue;
        /* The header of the letter is returned with it. */
        assert_int_equal(w[0].kind, WORK_NOTIFY);
        assert_err(ERR_OK, store_body_open(r->s, &p.ticket, &body));
        store_body_close(&body);
        assert_err(ERR_OK, store_work_later(r->s, &w[0], now_s + 10, "451 later"));
        assert_int_equal(work_due(r, now_s, w, 9), 0);
        assert_int_equal(work_due(r, now_s + 10, w, 9), 1);
        assert_int_equal(w[0].tries, 1);
        assert_err(ERR_OK, store_work_done(r->s, &w[0], "4bDsn", now_s + 10));
        assert_err(ERR_OK, store_work_done(r->s, &w[0], "4bDsn", now_s + 10)); /* a second time is nothing */
        assert_int_equal(work_due(r, now_s + 1000, w, 9), 0);
        assert_int_equal(rig_counts(r).payloads, 0);
        assert_int_equal(rig_counts(r).work, 0);
    }
}

/* ---- expiry and purge ---------------------------------------------------------------------------------- */

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
    assert_err(ERR_GONE, claim(r, &p, 1, end_s, &c));
}

static void an_overdue_ticket_ends_at_the_claim(struct rig *r)
{
    struct posted p = rig_post(r, LETTER());
    struct store_claimed c;

    assert_err(ERR_GONE, claim(r, &p, 1, RIG_NOW_S + 7 * DAY_S + 1, &c));
    assert_int_equal(c.ticket.state, TICKET_EXPIRED);
    assert_int_equal(rig_state(r, &p), TICKET_EXPIRED);
    assert_int_equal(expire(r, RIG_NOW_S + 8 * DAY_S), 0);
}

static void handed_over_but_never_acked_is_unconfirmed(struct rig *r)
{
    int64_t end_s = RIG_NOW_S + 7 * DAY_S;
    struct posted p = rig_post(r, LETTER(.notify = "FAILURE"));
    struct store_claimed c;

    assert_err(ERR_OK, claim(r, &p, 1, end_s - 10, &c));
    /* Not under a lease: a body may be under way until its hard end. */
    assert_int_equal(expire(r, end_s + 1), 0);
    assert_int_equal(expire(r, end_s + 3000), 0);
    assert_int_equal(rig_counts(r).tickets[TICKET_LEASED], 1);
    assert_int_equal(expire(r, end_s + 3700), 1);
    assert_int_equal(rig_state(r, &p), TICKET_UNCONFIRMED);
    assert_err(ERR_GONE, ack(r, &p, LETTER(), end_s + 3700));
    assert_int_equal(rig_counts(r).work, 1);
}

static void an_ack_after_a_put_off_expiry_ends_well(struct rig *r)
{
    int64_t end_s = RIG_NOW_S + 7 * DAY_S;
    struct posted p = rig_post(r, LETTER());
    struct store_claimed c;
    size_t n;

    assert_err(ERR_OK, claim(r, &p, 1, end_s - 10, &c));
    assert_int_equal(expire(r, end_s + 1), 0);
    assert_err(ERR_OK, ack(r, &p, LETTER(), end_s + 5));
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

    assert_err(ERR_OK, nack(r, &p, 1, RIG_NOW_S));
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
    assert_int_equal(work_due(r, RIG_NOW_S - 1, w, 9), 0);
    assert_int_equal(work_due(r, RIG_NOW_S, w, 9), 1);
    assert_int_equal(w[0].kind, WORK_STUB);
    assert_memory_equal(w[0].key, p.ticket.key, sizeof w[0].key);
    assert_int_equal(work_due(r, RIG_NOW_S + 60, w, 9), 0);        /* in somebody's hands */
    assert_int_equal(work_due(r, RIG_NOW_S + 3 * DAY_S, w, 9), 0); /* and still, when the clock jumps */
    store_work_give_back(r->s, &w[0]);
    assert_err(ERR_OK, store_work_due(r->s, RIG_NOW_S, 0, w, 9, &n)); /* who did nothing with it */
    assert_int_equal(n, 1);
    assert_err(ERR_OK, store_work_next(r->s, &due_s));
    assert_int_equal(due_s, RIG_NOW_S);
    assert_int_equal(work_due(r, RIG_NOW_S, w, 9), 1); /* whose time was over at once */
    assert_err(ERR_OK, store_work_later(r->s, &w[0], RIG_NOW_S + 1000, "connection refused"));
    assert_err(ERR_OK, store_work_next(r->s, &due_s));
    assert_int_equal(due_s, RIG_NOW_S + 1000);
    assert_err(ERR_OK, store_ticket_get(r->s, p.ticket.key, &t));
    assert_string_equal(t.remote_text, "connection refused");
    assert_int_equal(t.stub_tries, 1);
    assert_int_equal(work_due(r, RIG_NOW_S + 999, w, 9), 0);
    assert_int_equal(work_due(r, RIG_NOW_S + 1000, w, 9), 1);
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
    assert_int_equal(work_due(r, RIG_NOW_S + 10, w, 3), 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(w[i].due_s, RIG_NOW_S + i);
    assert_int_equal(work_due(r, RIG_NOW_S + 10, w, 9), 2);
    assert_int_equal(w[0].due_s, RIG_NOW_S + 3);
}

static void a_refused_stub_bounces_the_ticket(struct rig *r)
{
    struct posted p = rig_post(r, LETTER());
    struct work w[9];
    struct ticket t;

    assert_int_equal(work_due(r, RIG_NOW_S, w, 9), 1);
    assert_err(ERR_OK, store_work_refused(r->s, &w[0], "5.1.2", "bad domain", RIG_NOW_S));
    assert_err(ERR_OK, store_ticket_get(r->s, p.ticket.key, &t));
    assert_int_equal(t.state, TICKET_BOUNCED);
    assert_string_equal(t.remote_reason, "5.1.2");
    assert_err(ERR_OK, store_work_refused(r->s, &w[0], "5.1.2", "bad domain", RIG_NOW_S));
    assert_int_equal(work_due(r, RIG_NOW_S, w, 9), 1);
    assert_int_equal(w[0].kind, WORK_NOTIFY);
}

static void the_end_of_a_ticket_takes_its_stub_from_the_outbox(struct rig *r)
{
    struct posted p = rig_post(r, LETTER(.notify = "NEVER"));
    struct work w[9], late;

    assert_int_equal(work_due(r, RIG_NOW_S, &late, 1), 1);
    assert_err(ERR_OK, nack(r, &p, 1, RIG_NOW_S));
    assert_int_equal(rig_counts(r).work, 0);
    assert_int_equal(work_due(r, RIG_NOW_S + 1000, w, 9), 0);
    assert_err(ERR_OK, store_work_done(r->s, &late, "4b", RIG_NOW_S)); /* nobody minds */
    assert_err(ERR_OK, store_work_later(r->s, &late, RIG_NOW_S, "x"));
    assert_int_equal(rig_counts(r).work, 0);
    assert_int_equal(rig_state(r, &p), TICKET_REFUSED);
}

/* ---- looking ------------------------------------------------------------------------------------------- */

struct seen {
    size_t count, stop_at;
    int64_t last_s;
};

static bool see(void *arg, const struct ticket *t)
{
    struct seen *seen = arg;

    assert_true(seen->count == 0 || t->created_s <= seen->last_s);
    seen->last_s = t->created_s;
    seen->count++;
    return seen->count != seen->stop_at;
}

static size_t list(struct rig *r, const struct store_filter *f, size_t limit)
{
    struct seen seen = {.count = 0};

    assert_err(ERR_OK, store_tickets(r->s, f, limit, see, &seen));
    return seen.count;
}

static void tickets_are_listed_and_filtered(struct rig *r)
{
    struct posted p[700];
    struct store_filter f = {.state = -1};
    char hex[33];

    for (int i = 0; i < 700; i++) {
        char id[20], to[32];

        snprintf(id, sizeof id, "<%d>", i);
        snprintf(to, sizeof to, "r%d@b.test", i % 7);
        p[i] = rig_post(r, LETTER(.message_id = id, .recipient = to, .size = 10,
                                  .created_s = RIG_NOW_S + (i * 37) % 1000));
    }
    assert_err(ERR_OK, nack(r, &p[5], 1, RIG_NOW_S));
    assert_int_equal(list(r, NULL, 1000), 700);
    assert_int_equal(list(r, &f, 1000), 700);
    assert_int_equal(list(r, &f, 300), 300);
    assert_int_equal(list(r, &f, 0), 0);
    f.recipient = "r3@b.test";
    assert_int_equal(list(r, &f, 1000), 100);
    f.sender = "nobody@a.test";
    assert_int_equal(list(r, &f, 1000), 0);
    f = (struct store_filter){.message_id = "<77>", .state = -1};
    assert_int_equal(list(r, &f, 1000), 1);
    f = (struct store_filter){.queue_id = "4bXyz", .state = TICKET_REFUSED};
    assert_int_equal(list(r, &f, 1000), 1);
    encode_hex(p[7].keys.a, 16, hex);
    f = (struct store_filter){.id_prefix = hex, .state = -1};
    assert_int_equal(list(r, &f, 1000), 1);
    hex[16] = '\0';
    f.id_prefix = hex + 4;
    assert_int_equal(list(r, &f, 1000), 1);
    struct seen seen = {.stop_at = 4};
    assert_err(ERR_OK, store_tickets(r->s, NULL, 1000, see, &seen));
    assert_int_equal(seen.count, 4);
}

static void a_lease_that_is_over_reads_as_lapsed(struct rig *r)
{
    int64_t now_s = clock_now_s();
    struct posted p = rig_post(r, LETTER(.created_s = now_s, .expires_s = now_s + DAY_S));
    struct store_claimed c;
    struct ticket t;

    assert_err(ERR_OK, claim(r, &p, 1, now_s, &c));
    assert_int_equal(rig_state(r, &p), TICKET_LEASED);
    assert_err(ERR_OK, claim(r, &p, 1, now_s - 1000, &c)); /* renewed long ago, as it were */
    assert_err(ERR_OK, store_ticket_get(r->s, p.ticket.key, &t));
    assert_int_equal(t.state, TICKET_LAPSED);
    assert_int_equal(t.lapses, 1);
    assert_err(ERR_OK, claim(r, &p, 2, now_s, &c));
    assert_int_equal(c.ticket.lapses, 1); /* counted once */
}

static void domains_are_remembered(struct rig *r)
{
    struct store_domain d;
    char longest[600];

    assert_err(ERR_NOT_FOUND, store_domain_get(r->s, "b.test", &d));
    assert_err(ERR_OK, store_domain_put(r->s, "b.test", &(struct store_domain){true, 5}));
    assert_err(ERR_OK, store_domain_get(r->s, "b.test", &d));
    assert_true(d.takes_stubs);
    assert_int_equal(d.asked_s, 5);
    assert_err(ERR_OK, store_domain_put(r->s, "b.test", &(struct store_domain){false, 6}));
    assert_err(ERR_OK, store_domain_get(r->s, "b.test", &d));
    assert_false(d.takes_stubs);
    memset(longest, 'a', sizeof longest);
    longest[599] = '\0';
    assert_err(ERR_SYNTAX, store_domain_put(r->s, longest, &d));
    assert_err(ERR_NOT_FOUND, store_domain_get(r->s, longest, &d));
}

/* ---- jobs ---------------------------------------------------------------------------------------------- */

static struct job job(const char *url, int64_t now_s)
{
    struct job j;

    memset(&j, 0, sizeof j);
    strcpy(j.url, url);
    memset(j.ka, 'a', sizeof j.ka);
    memset(j.kd, 'd', sizeof j.kd);
    memset(j.lease_token, 't', sizeof j.lease_token);
    strcpy(j.stub_from, "alice@a.test");
    strcpy(j.stub_to, "bob@b.test");
    strcpy(j.recipient, "bob@b.test");
    strcpy(j.notify, "FAILURE");
    j.size_bytes = 81234;
    j.created_s = j.due_s = now_s;
    j.expires_s = now_s + 7 * DAY_S;
    return j;
}

static struct job job_get(struct rig *r, const struct job *j)
{
    struct job out;

    assert_err(ERR_OK, store_job_get(r->s, j->id, &out));
    return out;
}

static size_t jobs_due(struct rig *r, int64_t now_s)
{
    uint8_t ids[9][16];
    size_t n = 99;

    assert_err(ERR_OK, store_jobs_due(r->s, now_s, 60, ids, 9, &n));
    return n;
}

static const uint8_t zero[32], digest7[32] = {7};

static void a_job_may_start_as_refused(struct rig *r)
{
    struct job j = job("https://a.test/restante/1/x/y", RIG_NOW_S), got;
    enum job_added added;

    j.state = JOB_REFUSED;
    strcpy(j.reason, "denied");
    assert_err(ERR_OK, store_job_add(r->s, &j, &added));
    assert_int_equal(added, JOB_NEW);
    assert_int_equal(rig_counts(r).jobs[JOB_REFUSED], 1);
    assert_int_equal(jobs_due(r, RIG_NOW_S), 1); /* the nack */
    got = job_get(r, &j);
    assert_int_equal(got.state, JOB_REFUSED);
    assert_string_equal(got.reason, "denied");
    assert_memory_equal(got.kd, zero, 32);
    assert_err(ERR_OK, store_job_add(r->s, &j, &added));
    assert_int_equal(added, JOB_KNOWN);
    assert_err(ERR_OK, store_job_end(r->s, j.id, JOB_NACKED, "", RIG_NOW_S + 1));
}

static void a_job_goes_its_way(struct rig *r)
{
    struct job j = job("https://a.test/restante/1/x/y", RIG_NOW_S), got;
    enum job_added added;
    int64_t due_s;

    assert_err(ERR_OK, store_jobs_next(r->s, &due_s));
    assert_true(due_s == INT64_MAX);
    assert_err(ERR_OK, store_job_add(r->s, &j, &added));
    assert_int_equal(added, JOB_NEW);
    assert_int_equal(rig_counts(r).jobs[JOB_WAITING], 1);
    assert_int_equal(jobs_due(r, RIG_NOW_S - 1), 0);
    assert_int_equal(jobs_due(r, RIG_NOW_S), 1);
    assert_int_equal(jobs_due(r, RIG_NOW_S + 60), 0);        /* in somebody's hands */
    assert_int_equal(jobs_due(r, RIG_NOW_S + 3 * DAY_S), 0); /* and still, when the clock jumps */
    assert_err(ERR_OK, store_jobs_next(r->s, &due_s));
    assert_int_equal(due_s, RIG_NOW_S);
    assert_err(ERR_OK, store_job_later(r->s, j.id, RIG_NOW_S + 100, true, "no route"));
    assert_err(ERR_OK, store_job_later(r->s, j.id, RIG_NOW_S + 100, false, "no route"));
    got = job_get(r, &j);
    assert_int_equal(got.tries, 2);
    assert_int_equal(got.corrupt, 1);
    assert_string_equal(got.text, "no route");
    assert_err(ERR_OK, store_job_put_off(r->s, j.id, RIG_NOW_S + 90, "not tried"));
    assert_int_equal(jobs_due(r, RIG_NOW_S + 89), 0);
    assert_int_equal(jobs_due(r, RIG_NOW_S + 90), 1);
    assert_err(ERR_OK, store_job_put_off(r->s, j.id, RIG_NOW_S + 100, "no way"));
    got = job_get(r, &j);
    assert_int_equal(got.tries, 2);
    assert_int_equal(got.corrupt, 1);
    assert_string_equal(got.text, "no way");
    assert_memory_equal(got.kd, j.kd, 32);
    assert_string_equal(got.url, j.url);
    assert_int_equal(got.size_bytes, 81234);
    assert_int_equal(jobs_due(r, RIG_NOW_S + 99), 0);
    assert_int_equal(jobs_due(r, RIG_NOW_S + 100), 1);
    assert_err(ERR_OK, store_job_delivered(r->s, j.id, digest7, 5000, "4bMta", "250 ok", RIG_NOW_S + 101));
    assert_err(ERR_OK, store_job_delivered(r->s, j.id, digest7, 5000, "4bMta", "250 ok", RIG_NOW_S + 101));
    got = job_get(r, &j);
    assert_int_equal(got.state, JOB_DELIVERED);
    assert_memory_equal(got.ka, j.ka, 32);
    assert_memory_equal(got.kd, zero, 32); /* nothing to open any more */
    assert_memory_equal(got.digest, digest7, 32);
    assert_string_equal(got.mta_queue_id, "4bMta");
    assert_int_equal(got.tries, 0);
    assert_err(ERR_INTERNAL, store_job_refused(r->s, j.id, "x", "x", RIG_NOW_S));
    assert_int_equal(jobs_due(r, RIG_NOW_S + 101), 1); /* the ack */
    assert_err(ERR_OK, store_job_end(r->s, j.id, JOB_ACKED, "", RIG_NOW_S + 102));
    assert_err(ERR_OK, store_job_end(r->s, j.id, JOB_ACKED, "", RIG_NOW_S + 102));
    assert_err(ERR_GONE, store_job_end(r->s, j.id, JOB_FAILED, "", RIG_NOW_S + 102));
    assert_err(ERR_GONE, store_job_later(r->s, j.id, RIG_NOW_S + 200, false, ""));
    assert_err(ERR_GONE, store_job_put_off(r->s, j.id, RIG_NOW_S + 200, ""));
    got = job_get(r, &j);
    assert_memory_equal(got.ka, zero, 32);
    assert_int_equal(jobs_due(r, RIG_NOW_S + DAY_S), 0);
    assert_err(ERR_OK, store_jobs_next(r->s, &due_s));
    assert_true(due_s == INT64_MAX);
    assert_int_equal(rig_counts(r).jobs[JOB_ACKED], 1);
    job_wipe(&j);
    assert_memory_equal(j.ka, zero, 32);
}

static void a_repeated_stub_is_known(struct rig *r)
{
    struct job j = job("https://a.test/1", RIG_NOW_S), again = j, got;
    enum job_added added;

    assert_err(ERR_OK, store_job_add(r->s, &j, &added));
    again.lease_token[0] = 'x';
    again.created_s++;
    assert_err(ERR_OK, store_job_add(r->s, &again, &added));
    assert_int_equal(added, JOB_KNOWN);
    assert_int_equal(again.state, JOB_WAITING);
    assert_memory_equal(again.id, j.id, 16);
    got = job_get(r, &j);
    assert_int_equal(got.lease_token[0], 't'); /* as first stored */
    assert_int_equal(rig_counts(r).jobs[JOB_WAITING], 1);

    assert_err(ERR_OK, store_job_delivered(r->s, j.id, digest7, 1, "", "", RIG_NOW_S));
    assert_err(ERR_OK, store_job_end(r->s, j.id, JOB_ACKED, "", RIG_NOW_S));
    again = job("https://a.test/1", RIG_NOW_S + 1000);
    assert_err(ERR_OK, store_job_add(r->s, &again, &added));
    assert_int_equal(added, JOB_KNOWN_ENDED);
    assert_int_equal(again.state, JOB_ACKED);
    got = job_get(r, &j);
    assert_int_equal(got.state, JOB_DELIVERED); /* its ack is due again, with the keys of the stub */
    assert_memory_equal(got.ka, again.ka, 32);
    assert_memory_equal(got.kd, zero, 32);
    assert_memory_equal(got.digest, digest7, 32);
    assert_int_equal(jobs_due(r, RIG_NOW_S + 1000), 1);
    assert_err(ERR_OK, store_job_end(r->s, j.id, JOB_ACKED, "", RIG_NOW_S + 1000));
    assert_int_equal(rig_counts(r).jobs[JOB_ACKED], 1);
    assert_int_equal(rig_counts(r).jobs[JOB_DELIVERED], 0);
}

static void a_repeated_stub_of_a_refused_letter(struct rig *r)
{
    struct job j = job("https://a.test/1", RIG_NOW_S), got;
    enum job_added added;

    assert_err(ERR_OK, store_job_add(r->s, &j, &added));
    assert_err(ERR_OK, store_job_refused(r->s, j.id, "mta-refused", "550 no", RIG_NOW_S));
    assert_err(ERR_OK, store_job_refused(r->s, j.id, "mta-refused", "550 no", RIG_NOW_S));
    assert_int_equal(jobs_due(r, RIG_NOW_S), 1);
    assert_err(ERR_OK, store_job_end(r->s, j.id, JOB_NACKED, "", RIG_NOW_S));
    assert_err(ERR_OK, store_job_add(r->s, &j, &added));
    assert_int_equal(added, JOB_KNOWN_ENDED);
    got = job_get(r, &j);
    assert_int_equal(got.state, JOB_REFUSED);
    assert_string_equal(got.reason, "mta-refused");
    assert_string_equal(got.text, "550 no");
    assert_memory_equal(got.lease_token, j.lease_token, 16); /* a nack wants the lease's token */
}

static void a_failed_job_stays_known_and_silent(struct rig *r)
{
    struct job j = job("https://a.test/1", RIG_NOW_S);
    enum job_added added;

    assert_err(ERR_OK, store_job_add(r->s, &j, &added));
    assert_err(ERR_OK, store_job_end(r->s, j.id, JOB_FAILED, "gone there", RIG_NOW_S));
    assert_err(ERR_OK, store_job_add(r->s, &j, &added));
    assert_int_equal(added, JOB_KNOWN_ENDED);
    assert_int_equal(j.state, JOB_FAILED);
    assert_int_equal(jobs_due(r, RIG_NOW_S + DAY_S), 0);
    assert_string_equal(job_get(r, &j).text, "gone there");
}

static void an_altered_stub_stands_in_nobodys_way(struct rig *r)
{
    struct job j = job("https://a.test/1", RIG_NOW_S), other;
    enum job_added added;

    for (int part = 0; part < 4; part++) {
        other = job("https://a.test/1", RIG_NOW_S);
        if (part == 0)
            other.ka[0] = 'x';
        else if (part == 1)
            other.kd[31] = 'x';
        else
            strcpy(part == 2 ? other.recipient : other.author, "carol@b.test");
        assert_err(ERR_OK, store_job_add(r->s, &other, &added));
        assert_int_equal(added, JOB_NEW);
        assert_err(ERR_OK, store_job_end(r->s, other.id, JOB_FAILED, "mismatch", RIG_NOW_S));
    }
    assert_err(ERR_OK, store_job_add(r->s, &j, &added));
    assert_int_equal(added, JOB_NEW);
    assert_err(ERR_OK, store_job_add(r->s, &j, &added));
    assert_int_equal(added, JOB_KNOWN);
    assert_int_equal(rig_counts(r).jobs[JOB_WAITING], 1);
}

static void ended_jobs_are_known_until_purged(struct rig *r)
{
    struct job j = job("https://a.test/1", RIG_NOW_S), living = job("https://a.test/2", RIG_NOW_S);
    enum job_added added;
    size_t n;

    assert_err(ERR_OK, store_job_add(r->s, &j, &added));
    assert_err(ERR_OK, store_job_add(r->s, &living, &added));
    assert_err(ERR_OK, store_job_end(r->s, j.id, JOB_FAILED, "", RIG_NOW_S));
    assert_err(ERR_OK, store_purge(r->s, RIG_NOW_S + 37 * DAY_S - 1, 10, &n));
    assert_int_equal(n, 0);
    assert_err(ERR_OK, store_purge(r->s, RIG_NOW_S + 37 * DAY_S, 10, &n));
    assert_int_equal(n, 1);
    assert_err(ERR_NOT_FOUND, store_job_get(r->s, j.id, &j));
    assert_int_equal(rig_counts(r).jobs[JOB_FAILED], 0);
    assert_int_equal(rig_counts(r).jobs[JOB_WAITING], 1);
    assert_err(ERR_OK, store_job_add(r->s, &j, &added));
    assert_int_equal(added, JOB_NEW);
}

static bool count_jobs(void *arg, const struct job *j)
{
    assert_string_equal(j->stub_from, "alice@a.test");
    ++*(size_t *)arg;
    return true;
}

static void jobs_are_listed(struct rig *r)
{
    enum job_added added;
    struct job j;
    size_t n = 0;

    for (int i = 0; i < 300; i++) {
        char url[40];

        snprintf(url, sizeof url, "https://a.test/%d", i);
        j = job(url, RIG_NOW_S);
        assert_err(ERR_OK, store_job_add(r->s, &j, &added));
    }
    assert_err(ERR_OK, store_job_end(r->s, j.id, JOB_FAILED, "", RIG_NOW_S));
    assert_err(ERR_OK, store_jobs(r->s, -1, 1000, count_jobs, &n));
    assert_int_equal(n, 300);
    n = 0;
    assert_err(ERR_OK, store_jobs(r->s, JOB_WAITING, 1000, count_jobs, &n));
    assert_int_equal(n, 299);
    n = 0;
    assert_err(ERR_OK, store_jobs(r->s, JOB_FAILED, 1000, count_jobs, &n));
    assert_int_equal(n, 1);
    n = 0;
    assert_err(ERR_OK, store_jobs(r->s, -1, 7, count_jobs, &n));
    assert_int_equal(n, 7);
}

static void longest_strings_fit(struct rig *r)
{
    struct job j = job("", RIG_NOW_S), got;
    char id[STORE_MESSAGE_ID_MAX + 1], subject[STORE_MESSAGE_ID_MAX + 1], notify[64];
    enum job_added added;
    struct posted p;
    struct ticket t;

#define FILL(field) memset(field, 'l', sizeof(field) - 1)
    memset(id, 0, sizeof id);
    memset(subject, 0, sizeof subject);
    memset(notify, 0, sizeof notify);
    FILL(id);
    FILL(subject);
    FILL(notify);
    p = rig_post(r, LETTER(.message_id = id, .subject = subject, .notify = notify));
    assert_err(ERR_OK, store_ticket_get(r->s, p.ticket.key, &t));
    assert_string_equal(t.message_id, id);
    assert_string_equal(t.subject, subject);
    FILL(j.url);
    FILL(j.stub_from);
    FILL(j.stub_to);
    FILL(j.envelope_from);
    FILL(j.recipient);
    FILL(j.author);
    FILL(j.notify);
    FILL(j.orcpt);
    FILL(j.ret);
    FILL(j.envid);
    FILL(j.client_address);
    FILL(j.client_name);
    FILL(j.client_helo);
    FILL(j.queue_id);
    FILL(j.message_id);
    FILL(j.mta_queue_id);
    FILL(j.reason);
    FILL(j.text);
#undef FILL
    assert_err(ERR_OK, store_job_add(r->s, &j, &added));
    got = job_get(r, &j);
    assert_memory_equal(got.url, j.url, sizeof j.url);
    assert_memory_equal(got.text, j.text, sizeof j.text);
    assert_err(ERR_OK, store_job_later(r->s, j.id, RIG_NOW_S, false, id)); /* cut to what fits */
    assert_int_equal(strlen(job_get(r, &j).text), STORE_TEXT_MAX - 1);
}

/* ---- all at once --------------------------------------------------------------------------------------- */

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
    size_t ok = 0;

    run_threads(r, NULL, letter_worker, w);
    for (int i = 0; i < THREADS; i++)
        ok += w[i].ok;
    c = rig_counts(r);
    assert_int_equal(ok, THREADS * PER_WORKER * 3);
    assert_int_equal(c.tickets[TICKET_DELIVERED], THREADS * PER_WORKER * 2);
    assert_int_equal(c.tickets[TICKET_LEASED], THREADS * PER_WORKER);
    assert_int_equal(c.payloads, THREADS * PER_WORKER);
    assert_int_equal(c.work, THREADS * PER_WORKER);
    assert_int_equal(list(r, NULL, 10000), THREADS * PER_WORKER * 3);
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
#define CASE(name)                                                                                           \
    {                                                                                                        \
#name, name                                                                                          \
    }
    static const struct rig_case cases[] = {
        CASE(a_deposited_letter_is_all_there),
        CASE(payloads_of_all_sizes_come_back),
        CASE(the_record_boundary_is_exact),
        CASE(many_recipients_share_one_payload),
        CASE(the_largest_envelope_fits_one_commit),
        CASE(an_aborted_payload_leaves_nothing),
        CASE(the_same_letter_again_gets_its_ticket),
        CASE(the_same_letter_again_is_not_sent_plain_twice),
        CASE(what_differs_is_another_letter),
        CASE(without_message_id_nothing_is_the_same),
        CASE(an_ended_ticket_does_not_stand_in_the_way),
        CASE(new_and_known_recipients_mix),
        CASE(a_claim_leases),
        CASE(the_same_token_renews_and_gets_the_same),
        CASE(another_token_waits_and_ever_longer),
        CASE(a_lease_never_outlives_its_total),
        CASE(a_body_under_way_keeps_the_lease),
        CASE(a_lapsed_lease_is_open_again),
        CASE(a_mismatch_changes_nothing),
        CASE(bodies_are_bounded),
        CASE(only_the_running_lease_resumes),
        CASE(an_unknown_ticket_is_not_found),
        CASE(an_ack_ends_and_destroys),
        CASE(an_ack_needs_no_live_lease),
        CASE(an_ack_counts_under_anothers_lease),
        CASE(who_may_nack),
        CASE(held_and_challenged_go_back_and_forth),
        CASE(a_bounce_ends_what_nobody_called_for),
        CASE(notifications_follow_notify),
        CASE(what_nobody_called_for_expires),
        CASE(an_overdue_ticket_ends_at_the_claim),
        CASE(handed_over_but_never_acked_is_unconfirmed),
        CASE(an_ack_after_a_put_off_expiry_ends_well),
        CASE(expiry_is_done_in_portions),
        CASE(tombstones_are_purged),
        CASE(the_outbox_gives_each_entry_once),
        CASE(the_outbox_is_in_order),
        CASE(a_refused_stub_bounces_the_ticket),
        CASE(the_end_of_a_ticket_takes_its_stub_from_the_outbox),
        CASE(tickets_are_listed_and_filtered),
        CASE(a_lease_that_is_over_reads_as_lapsed),
        CASE(domains_are_remembered),
        CASE(a_job_may_start_as_refused),
        CASE(a_job_goes_its_way),
        CASE(a_repeated_stub_is_known),
        CASE(a_repeated_stub_of_a_refused_letter),
        CASE(a_failed_job_stays_known_and_silent),
        CASE(an_altered_stub_stands_in_nobodys_way),
        CASE(ended_jobs_are_known_until_purged),
        CASE(jobs_are_listed),
        CASE(longest_strings_fit),
        CASE(what_two_halves_say_is_there_before_it_is_durable),
        CASE(of_sixteen_claims_one_gets_the_lease),
        CASE(sixteen_at_once_lose_nothing),
        CASE(the_same_letter_sixteen_times_at_once_is_one),
        CASE(sixteen_outbox_workers_send_each_stub_once),
    };

    return rig_run("store conformance", cases, sizeof cases / sizeof *cases, true, true);
}
