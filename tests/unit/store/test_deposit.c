/*
 * test_deposit.c - what store.h promises of deposits, case by case, on every engine.
 */
#include "rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/ticket_state.h"

#define DAY_S 86400

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
        assert_err(ERR_OK, rig_call(r, &p, 1, RIG_NOW_S, &c));
        rig_check_body(r, &c, &p, l);
        assert_err(ERR_OK, rig_ack(r, &p, l, RIG_NOW_S));
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
        assert_err(ERR_OK, rig_call(r, &p[i], 1, RIG_NOW_S, &c));
        if (i % 100 == 0)
            rig_check_body(r, &c, &p[i], l);
        assert_int_equal(rig_counts(r).payloads, 1);
        assert_err(ERR_OK, rig_ack(r, &p[i], l, RIG_NOW_S));
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
    assert_err(ERR_OK, rig_call(r, &first, 1, RIG_NOW_S, &c));
    assert_err(ERR_OK, rig_ack(r, &first, l, RIG_NOW_S));
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
    assert_true(rig_post(r, LETTER(.created_s = RIG_NOW_S + 20000)).existing); /* it is on its way still */
    memcpy(w.key, sent.ticket.key, sizeof w.key);
    assert_err(ERR_OK, store_work_done(r->s, &w, "4bPlain", RIG_NOW_S + 20001));
    again = rig_post(r, LETTER(.created_s = RIG_NOW_S + 20001 + TICKET_PLAIN_STANDS_S));
    assert_true(again.existing);
    assert_int_equal(again.ticket.state, TICKET_PLAIN);
    /* What the other MTA did with it nobody tells us: whoever sends it later means that it goes. */
    again = rig_post(r, LETTER(.created_s = RIG_NOW_S + 20002 + TICKET_PLAIN_STANDS_S));
    assert_false(again.existing);
    assert_true(rig_post(r, LETTER(.created_s = RIG_NOW_S + 30000)).existing);
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

    assert_err(ERR_OK, rig_nack(r, &p, 1, RIG_NOW_S));
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

int main(void)
{
    static const struct rig_case cases[] = {
        RIG_CASE(a_deposited_letter_is_all_there),
        RIG_CASE(payloads_of_all_sizes_come_back),
        RIG_CASE(the_record_boundary_is_exact),
        RIG_CASE(many_recipients_share_one_payload),
        RIG_CASE(the_largest_envelope_fits_one_commit),
        RIG_CASE(an_aborted_payload_leaves_nothing),
        RIG_CASE(the_same_letter_again_gets_its_ticket),
        RIG_CASE(the_same_letter_again_is_not_sent_plain_twice),
        RIG_CASE(what_differs_is_another_letter),
        RIG_CASE(without_message_id_nothing_is_the_same),
        RIG_CASE(an_ended_ticket_does_not_stand_in_the_way),
        RIG_CASE(new_and_known_recipients_mix),
    };

    return rig_run("store deposits", cases, sizeof cases / sizeof *cases, true, true);
}
