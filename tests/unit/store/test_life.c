/*
 * test_life.c - what store.h promises of a ticket's whole life on the sending side: what happened and when,
 * stubs again and again, warnings, the letter by plain SMTP, copies for an archive. On every engine.
 */
#include "rig.h"

#include <string.h>

#include "store/ticket_state.h"

#define DAY_S 86400

static enum err claim(struct rig *r, const struct posted *p, uint8_t token, int64_t now_s)
{
    struct store_claimed c;

    return rig_call(r, p, token, now_s, &c);
}

/* The one entry that is due now. */
static struct work due(struct rig *r, int64_t now_s, enum work_kind kind)
{
    struct work w[9];
    size_t n = 0;

    assert_err(ERR_OK, store_work_due(r->s, now_s, 0, w, 9, &n));
    assert_int_equal(n, 1);
    assert_int_equal(w[0].kind, kind);
    return w[0];
}

static int64_t next(struct rig *r)
{
    int64_t due_s;

    assert_err(ERR_OK, store_work_next(r->s, &due_s));
    return due_s;
}

static void reopen(struct rig *r)
{
    if (r->options.engine != STORE_BDB)
        return;
    rig_close(r);
    rig_open(r);
}

/* ---- events -------------------------------------------------------------------------------------------- */

static void check_events(const struct ticket *t, const struct ticket_event *want, size_t count)
{
    struct ticket_event e;

    assert_int_equal(t->event_count, count);
    for (size_t i = 0; i < count; i++) {
        assert_true(ticket_event_get(t, i, &e));
        assert_string_equal(ticket_event_name(e.what), ticket_event_name(want[i].what));
        assert_int_equal(e.at_s, want[i].at_s);
    }
    assert_false(ticket_event_get(t, count, &e));
}
#define CHECK_EVENTS(t, ...)                                                                                 \
    check_events(t, (const struct ticket_event[]){__VA_ARGS__},                                              \
                 sizeof((const struct ticket_event[]){__VA_ARGS__}) / sizeof(struct ticket_event))

static void all_that_happened_is_told_with_its_time(struct rig *r)
{
    const struct letter *l = LETTER(.notify = "SUCCESS,DELAY");
    int64_t at_s = RIG_NOW_S;
    struct posted p = rig_post(r, l);
    struct ticket t = rig_look(r, &p);
    struct work w = due(r, at_s, WORK_STUB);

    CHECK_EVENTS(&t, {TICKET_WAITING, at_s});
    assert_err(ERR_OK, store_stub_sent(r->s, &w, "4bStub", at_s + 3600, at_s + 1));
    assert_err(ERR_OK, store_status(r->s, p.ticket.key, TICKET_CHALLENGED, "https://b.test/c", at_s + 2, &t));
    w = due(r, at_s + 2, WORK_CHALLENGE);
    assert_err(ERR_OK, store_work_done(r->s, &w, "", at_s + 3)); /* the MTA named no queue id */
    assert_err(ERR_OK, store_status(r->s, p.ticket.key, TICKET_HELD, "", at_s + 4, &t));
    assert_int_equal(t.status_s, at_s + 4);
    assert_err(ERR_OK, store_status(r->s, p.ticket.key, TICKET_HELD, "", at_s + 5, &t));
    assert_int_equal(t.status_s, at_s + 5); /* known to be fresh, though nothing else has changed */
    assert_err(ERR_OK, store_delay_due(r->s, p.ticket.key, at_s + 6));
    w = due(r, at_s + 6, WORK_DELAY);
    assert_err(ERR_OK, store_work_done(r->s, &w, "4bDelay", at_s + 7));
    assert_err(ERR_OK, store_archived(r->s, p.ticket.key, rig_look(r, &p).payload_id, at_s + 8));
    assert_err(ERR_OK, claim(r, &p, 1, at_s + 10));
    assert_err(ERR_OK, claim(r, &p, 2, at_s + 1000)); /* the first lease was over at 310 */
    reopen(r);
    assert_err(ERR_OK, rig_ack(r, &p, l, at_s + 1001));
    w = due(r, at_s + 1001, WORK_NOTIFY);
    assert_err(ERR_OK, store_work_done(r->s, &w, "4bDsn", at_s + 1002));
    t = rig_look(r, &p);
    CHECK_EVENTS(&t, {TICKET_WAITING, at_s}, {TICKET_EVENT_STUB_SENT, at_s + 1},
                 {TICKET_CHALLENGED, at_s + 2}, {TICKET_EVENT_CHALLENGE_TOLD, at_s + 3},
                 {TICKET_HELD, at_s + 4}, {TICKET_EVENT_DELAY_TOLD, at_s + 7},
                 {TICKET_EVENT_ARCHIVED, at_s + 8}, {TICKET_LEASED, at_s + 10}, {TICKET_LAPSED, at_s + 310},
                 {TICKET_LEASED, at_s + 1000}, {TICKET_DELIVERED, at_s + 1001},
                 {TICKET_EVENT_NOTICE_SENT, at_s + 1002});
}

static void a_lapse_that_nobody_noted_is_told_too(struct rig *r)
{
    struct posted p = rig_post(r, LETTER());
    struct ticket t;

    assert_err(ERR_OK, claim(r, &p, 1, RIG_NOW_S));
    t = rig_look(r, &p); /* by the real clock it is long over */
    CHECK_EVENTS(&t, {TICKET_WAITING, RIG_NOW_S}, {TICKET_LEASED, RIG_NOW_S},
                 {TICKET_LAPSED, RIG_NOW_S + 300});
}

static void the_first_and_the_newest_events_are_kept(struct rig *r)
{
    struct posted p = rig_post(r, LETTER());
    struct ticket_event e;
    struct ticket t;

    for (int i = 1; i <= 100; i++) {
        struct work w = due(r, RIG_NOW_S + i, WORK_STUB);

        assert_err(ERR_OK, store_stub_sent(r->s, &w, "4bStub", RIG_NOW_S + i + 1, RIG_NOW_S + i));
    }
    t = rig_look(r, &p);
    assert_int_equal(t.event_count, 101);
    assert_int_equal(t.renotified, 99);
    assert_true(ticket_event_get(&t, 0, &e));
    assert_int_equal(e.what, TICKET_WAITING);
    for (int i = 1; i < TICKET_EVENTS_MAX; i++) {
        assert_true(ticket_event_get(&t, (size_t)i, &e));
        assert_int_equal(e.at_s, RIG_NOW_S + 100 - TICKET_EVENTS_MAX + 1 + i);
    }
    assert_false(ticket_event_get(&t, TICKET_EVENTS_MAX, &e));
}

static void every_event_has_a_name(struct rig *r)
{
    (void)r;
    for (unsigned what = 0; what < TICKET_STATE_COUNT; what++)
        assert_string_not_equal(ticket_event_name(what), "unknown");
    for (unsigned what = TICKET_EVENT_STUB_SENT; what < TICKET_EVENT_END; what++)
        assert_string_not_equal(ticket_event_name(what), "unknown");
    assert_string_equal(ticket_event_name(TICKET_STATE_COUNT), "unknown");
    assert_string_equal(ticket_event_name(TICKET_EVENT_END), "unknown");
    assert_string_equal(ticket_event_name(255), "unknown");
}

/* ---- stubs --------------------------------------------------------------------------------------------- */

static void a_stub_is_sent_again_and_again(struct rig *r)
{
    struct posted p = rig_post(r, LETTER());
    struct work w = due(r, RIG_NOW_S, WORK_STUB);
    struct ticket t;

    assert_err(ERR_OK, store_work_later(r->s, &w, RIG_NOW_S + 10, "451 later"));
    w = due(r, RIG_NOW_S + 10, WORK_STUB);
    assert_int_equal(w.tries, 1);
    assert_err(ERR_OK, store_stub_sent(r->s, &w, "4bOne", RIG_NOW_S + 3600, RIG_NOW_S + 11));
    t = rig_look(r, &p);
    assert_int_equal(t.stub_tries, 0);
    assert_int_equal(t.stub_sent_s, RIG_NOW_S + 11);
    assert_int_equal(t.renotified, 0);
    assert_string_equal(t.remote_text, "");
    assert_string_equal(t.stub_queue_id, "4bOne");
    assert_int_equal(next(r), RIG_NOW_S + 3600);
    /* It was not its time yet. */
    w = due(r, RIG_NOW_S + 3600, WORK_STUB);
    assert_err(ERR_OK, store_stub_wait(r->s, &w, RIG_NOW_S + 4000));
    reopen(r);
    assert_int_equal(rig_counts(r).work, 1);
    w = due(r, RIG_NOW_S + 4000, WORK_STUB);
    assert_int_equal(w.tries, 0);
    assert_err(ERR_OK, store_stub_sent(r->s, &w, "4bTwo", 0, RIG_NOW_S + 4001));
    t = rig_look(r, &p);
    assert_int_equal(t.renotified, 1);
    assert_int_equal(t.stub_sent_s, RIG_NOW_S + 4001);
    assert_string_equal(t.stub_queue_id, "4bTwo");
    assert_true(next(r) == INT64_MAX);
    assert_err(ERR_OK, store_stub_sent(r->s, &w, "4bLate", 9, RIG_NOW_S)); /* nobody minds */
    assert_err(ERR_OK, store_stub_wait(r->s, &w, 9));
    assert_int_equal(rig_counts(r).work, 0);
}

static void a_lease_keeps_the_stubs_entry(struct rig *r)
{
    struct posted p = rig_post(r, LETTER());
    struct work w;

    assert_err(ERR_OK, claim(r, &p, 1, RIG_NOW_S));
    w = due(r, RIG_NOW_S, WORK_STUB);
    assert_err(ERR_OK, store_stub_wait(r->s, &w, RIG_NOW_S + 301));
    assert_int_equal(next(r), RIG_NOW_S + 301);
    /* Sent again, and refused: the other side has it all the same. */
    w = due(r, RIG_NOW_S + 301, WORK_STUB);
    assert_err(ERR_OK, store_work_refused(r->s, &w, "5.1.1", "no such user", RIG_NOW_S + 301));
    assert_int_equal(rig_state(r, &p), TICKET_LAPSED);
    assert_int_equal(rig_counts(r).work, 0);
}

static void only_a_stub_is_a_stub(struct rig *r)
{
    struct posted p = rig_post(r, LETTER());
    struct work w = {.kind = WORK_DELAY};

    memcpy(w.key, p.ticket.key, sizeof w.key);
    assert_err(ERR_OK, store_delay_due(r->s, p.ticket.key, RIG_NOW_S));
    assert_err(ERR_INTERNAL, store_stub_sent(r->s, &w, "4b", 9, RIG_NOW_S));
    assert_err(ERR_INTERNAL, store_stub_wait(r->s, &w, 9));
    assert_err(ERR_INTERNAL, store_work_refused(r->s, &w, "5.1.1", "", RIG_NOW_S));
    assert_int_equal(rig_counts(r).work, 2);
}

/* ---- warnings ------------------------------------------------------------------------------------------ */

static void a_delay_is_told_once(struct rig *r)
{
    struct posted p = rig_post(r, LETTER());
    struct work w = due(r, RIG_NOW_S, WORK_STUB);

    assert_err(ERR_OK, store_stub_sent(r->s, &w, "4b", 0, RIG_NOW_S));
    assert_err(ERR_OK, store_delay_due(r->s, p.ticket.key, RIG_NOW_S + 5));
    assert_int_equal(rig_look(r, &p).delay_told_s, RIG_NOW_S + 5);
    assert_err(ERR_OK, store_delay_due(r->s, p.ticket.key, RIG_NOW_S + 6));
    w = due(r, RIG_NOW_S + 5, WORK_DELAY);
    assert_err(ERR_OK, store_work_later(r->s, &w, RIG_NOW_S + 7, "451"));
    reopen(r);
    w = due(r, RIG_NOW_S + 7, WORK_DELAY);
    assert_int_equal(w.tries, 1);
    assert_err(ERR_OK, store_work_done(r->s, &w, "4bDelay", RIG_NOW_S + 7));
    assert_err(ERR_OK, store_delay_due(r->s, p.ticket.key, RIG_NOW_S + 8));
    assert_int_equal(rig_counts(r).work, 0);
    assert_int_equal(rig_counts(r).payloads, 1);
}

static void who_is_not_warned(struct rig *r)
{
    static const struct {
        const char *notify, *sender;
        bool warned;
    } rows[] = {{"", "alice@a.test", true},
                {"DELAY", "alice@a.test", true},
                {"failure,delay", "a@a.test", true},
                {"FAILURE", "alice@a.test", false},
                {"SUCCESS", "alice@a.test", false},
                {"NEVER", "alice@a.test", false},
                {"", "", false},
                {"DELAY", "", false}};
    static const char *const id[] = {"<0>", "<1>", "<2>", "<3>", "<4>", "<5>", "<6>", "<7>"};
    struct posted gone = rig_post(r, LETTER(.notify = "NEVER"));
    struct ticket t;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct posted p =
            rig_post(r, LETTER(.message_id = id[i], .notify = rows[i].notify, .sender = rows[i].sender));
        uint64_t before = rig_counts(r).work;

        assert_err(ERR_OK, store_delay_due(r->s, p.ticket.key, RIG_NOW_S));
        assert_int_equal(rig_counts(r).work, before + rows[i].warned);
        assert_int_equal(rig_look(r, &p).delay_told_s, RIG_NOW_S);
    }
    assert_err(ERR_OK, store_nack(r->s, gone.ticket.key, NULL, "denied", "", RIG_NOW_S, &t));
    assert_err(ERR_OK, store_delay_due(r->s, gone.ticket.key, RIG_NOW_S));
    assert_int_equal(rig_look(r, &gone).delay_told_s, 0);
    memset(gone.ticket.key, 9, sizeof gone.ticket.key);
    assert_err(ERR_NOT_FOUND, store_delay_due(r->s, gone.ticket.key, RIG_NOW_S));
}

static void a_claim_takes_the_warning_back(struct rig *r)
{
    struct posted p = rig_post(r, LETTER());
    struct work w = due(r, RIG_NOW_S, WORK_STUB);

    assert_err(ERR_OK, store_stub_sent(r->s, &w, "4b", 0, RIG_NOW_S));
    assert_err(ERR_OK, store_delay_due(r->s, p.ticket.key, RIG_NOW_S));
    assert_err(ERR_OK, claim(r, &p, 1, RIG_NOW_S));
    assert_int_equal(rig_counts(r).work, 0);
    assert_err(ERR_OK, store_delay_due(r->s, p.ticket.key, RIG_NOW_S + 300)); /* leased */
    assert_int_equal(rig_counts(r).work, 0);
    assert_err(ERR_OK, store_delay_due(r->s, p.ticket.key, RIG_NOW_S + 301));
    due(r, RIG_NOW_S + 301, WORK_DELAY);
}

/* ---- the letter by plain SMTP ----------------------------------------------------------------------------
 */

static void a_letter_goes_plain(struct rig *r)
{
    const struct letter *l = LETTER(.size = 80000);
    struct posted p = rig_post(r, l);
    struct store_body body;
    struct ticket t;
    struct work w;
    uint8_t dek[SEAL_DEK_BYTES];

    assert_err(ERR_OK, store_delay_due(r->s, p.ticket.key, RIG_NOW_S));
    assert_err(ERR_OK, store_plain(r->s, p.ticket.key, "b.test takes no stubs any more", RIG_NOW_S + 9, &t));
    assert_int_equal(t.state, TICKET_PLAIN);
    assert_string_equal(t.remote_text, "b.test takes no stubs any more");
    assert_err(ERR_GONE, claim(r, &p, 1, RIG_NOW_S + 9));
    assert_err(ERR_GONE, store_plain(r->s, p.ticket.key, "", RIG_NOW_S + 9, &t));
    reopen(r);
    w = due(r, RIG_NOW_S + 9, WORK_PLAIN);
    assert_int_equal(rig_counts(r).work, 1);
    assert_err(ERR_OK, store_work_later(r->s, &w, RIG_NOW_S + 20, "451"));
    w = due(r, RIG_NOW_S + 20, WORK_PLAIN);
    assert_int_equal(w.tries, 1);
    assert_err(ERR_OK, store_body_open(r->s, &p.ticket, &body));
    store_body_close(&body);
    assert_err(ERR_OK, store_payload_dek(r->s, &p.ticket, dek));
    assert_err(ERR_OK, store_work_done(r->s, &w, "4bPlain", RIG_NOW_S + 21));
    assert_err(ERR_OK, store_work_done(r->s, &w, "4bPlain", RIG_NOW_S + 21));
    assert_int_equal(rig_counts(r).payloads, 0);
    assert_int_equal(rig_counts(r).work, 0);
    t = rig_look(r, &p);
    CHECK_EVENTS(&t, {TICKET_WAITING, RIG_NOW_S}, {TICKET_PLAIN, RIG_NOW_S + 9},
                 {TICKET_EVENT_PLAIN_SENT, RIG_NOW_S + 21});
}

static void a_refused_plain_letter_is_told(struct rig *r)
{
    struct posted told = rig_post(r, LETTER(.message_id = "<1>")),
                  never = rig_post(r, LETTER(.message_id = "<2>", .notify = "NEVER"));
    struct ticket t;
    struct work w;

    assert_err(ERR_OK, store_plain(r->s, told.ticket.key, "", RIG_NOW_S, &t));
    assert_err(ERR_OK, store_plain(r->s, never.ticket.key, "", RIG_NOW_S + 5, &t));
    w = due(r, RIG_NOW_S, WORK_PLAIN);
    assert_err(ERR_OK, store_work_refused(r->s, &w, "5.7.1", "no", RIG_NOW_S + 1));
    w = due(r, RIG_NOW_S + 1, WORK_NOTIFY);
    t = rig_look(r, &told);
    assert_int_equal(t.state, TICKET_PLAIN);
    assert_string_equal(t.remote_reason, "5.7.1");
    assert_string_equal(t.remote_text, "no");
    assert_err(ERR_OK, store_work_done(r->s, &w, "4bDsn", RIG_NOW_S + 2));
    assert_int_equal(rig_counts(r).payloads, 1);
    w = due(r, RIG_NOW_S + 5, WORK_PLAIN);
    assert_err(ERR_OK, store_work_refused(r->s, &w, "5.7.1", "no", RIG_NOW_S + 5));
    assert_int_equal(rig_counts(r).payloads, 0);
    assert_int_equal(rig_counts(r).work, 0);
}

static void after_hand_over_nothing_goes_plain(struct rig *r)
{
    struct posted leased = rig_post(r, LETTER(.message_id = "<1>")),
                  done = rig_post(r, LETTER(.message_id = "<2>")),
                  refused = rig_post(r, LETTER(.message_id = "<3>"));
    struct ticket t;

    assert_err(ERR_OK, claim(r, &leased, 1, RIG_NOW_S));
    assert_err(ERR_HANDED_OVER, store_plain(r->s, leased.ticket.key, "", RIG_NOW_S, &t));
    assert_int_equal(t.handed_over_s, RIG_NOW_S);
    assert_err(ERR_HANDED_OVER, store_plain(r->s, leased.ticket.key, "", RIG_NOW_S + 999, &t));
    assert_err(ERR_OK, claim(r, &done, 1, RIG_NOW_S));
    assert_err(ERR_OK, rig_ack(r, &done, LETTER(), RIG_NOW_S));
    assert_err(ERR_HANDED_OVER, store_plain(r->s, done.ticket.key, "", RIG_NOW_S, &t));
    assert_err(ERR_OK, store_nack(r->s, refused.ticket.key, NULL, "denied", "", RIG_NOW_S, &t));
    assert_err(ERR_GONE, store_plain(r->s, refused.ticket.key, "", RIG_NOW_S, &t));
    assert_int_equal(t.state, TICKET_REFUSED);
    memset(refused.ticket.key, 9, sizeof refused.ticket.key);
    assert_err(ERR_NOT_FOUND, store_plain(r->s, refused.ticket.key, "", RIG_NOW_S, &t));
}

/* Nobody was told of a letter that the MTA has not taken yet. */
static void a_letter_that_is_still_to_go_outlives_its_tombstone(struct rig *r)
{
    struct posted p = rig_post(r, LETTER(.size = 99999));
    struct ticket t;
    struct work w;
    size_t n;

    assert_err(ERR_OK, store_plain(r->s, p.ticket.key, "", RIG_NOW_S, &t));
    assert_err(ERR_OK, store_purge(r->s, RIG_NOW_S + 30 * DAY_S, 10, &n));
    assert_int_equal(n, 0);
    assert_int_equal(rig_counts(r).payloads, 1);
    w = due(r, RIG_NOW_S, WORK_PLAIN);
    assert_err(ERR_OK, store_work_done(r->s, &w, "4b", RIG_NOW_S + 30 * DAY_S));
    assert_err(ERR_OK, store_purge(r->s, RIG_NOW_S + 30 * DAY_S, 10, &n));
    assert_int_equal(n, 1);
    assert_int_equal(rig_counts(r).payloads, 0);
}

static void what_is_still_to_be_told_outlives_its_tombstone(struct rig *r)
{
    struct posted p = rig_post(r, LETTER());
    struct ticket t;
    struct work w;
    size_t n;

    assert_err(ERR_OK, store_plain(r->s, p.ticket.key, "", RIG_NOW_S, &t));
    w = due(r, RIG_NOW_S, WORK_PLAIN);
    assert_err(ERR_OK, store_work_refused(r->s, &w, "5.4.7", "", RIG_NOW_S));
    assert_int_equal(rig_counts(r).work, 1);
    assert_err(ERR_OK, store_purge(r->s, RIG_NOW_S + 90 * DAY_S, 10, &n));
    assert_int_equal(n, 0);
    w = due(r, RIG_NOW_S + 90 * DAY_S, WORK_NOTIFY);
    assert_err(ERR_OK, store_work_later(r->s, &w, RIG_NOW_S + 91 * DAY_S, "connection refused"));
    assert_err(ERR_OK, store_purge(r->s, RIG_NOW_S + 91 * DAY_S, 10, &n));
    assert_int_equal(n, 0);
    assert_int_equal(rig_counts(r).payloads, 1); /* what the notice returns */
    w = due(r, RIG_NOW_S + 91 * DAY_S, WORK_NOTIFY);
    assert_err(ERR_OK, store_work_done(r->s, &w, "4b", RIG_NOW_S + 91 * DAY_S));
    assert_err(ERR_OK, store_purge(r->s, RIG_NOW_S + 91 * DAY_S, 10, &n));
    assert_int_equal(n, 1);
    assert_int_equal(rig_counts(r).payloads, 0);
    assert_int_equal(rig_counts(r).work, 0);
}

static void a_lapse_that_a_word_finds_is_counted_once(struct rig *r)
{
    struct posted warned = rig_post(r, LETTER(.message_id = "<1>")),
                  copied = rig_post(r, LETTER(.message_id = "<2>"));
    struct ticket t = rig_look(r, &copied);

    assert_err(ERR_OK, store_delay_due(r->s, warned.ticket.key, RIG_NOW_S));
    assert_err(ERR_OK, store_archived(r->s, copied.ticket.key, t.payload_id, RIG_NOW_S));
    assert_err(ERR_OK, claim(r, &warned, 1, RIG_NOW_S));
    assert_err(ERR_OK, claim(r, &copied, 1, RIG_NOW_S));
    for (int i = 0; i < 3; i++) {
        assert_err(ERR_OK, store_archived(r->s, copied.ticket.key, t.payload_id, RIG_NOW_S + 5000 + i));
        assert_err(ERR_OK, store_delay_due(r->s, warned.ticket.key, RIG_NOW_S + 5000 + i));
    }
    reopen(r);
    assert_int_equal(rig_counts(r).tickets[TICKET_LAPSED], 2);
    assert_int_equal(rig_counts(r).tickets[TICKET_LEASED], 0);
}

/* ---- the archive -----------------------------------------------------------------------------------------
 */

static void the_archive_has_one_copy_of_a_letter(struct rig *r)
{
    struct posted p[3], other = rig_post(r, LETTER(.message_id = "<other>"));
    struct ticket t;

    assert_err(ERR_OK, rig_deposit(r, LETTER(), 3, p));
    t = rig_look(r, &other);
    assert_err(ERR_GONE, store_archived(r->s, p[1].ticket.key, t.payload_id, RIG_NOW_S)); /* another's */
    assert_false(rig_look(r, &p[1]).archived);
    t = rig_look(r, &p[1]);
    assert_err(ERR_OK, store_archived(r->s, p[1].ticket.key, t.payload_id, RIG_NOW_S + 1));
    assert_err(ERR_OK, store_archived(r->s, p[2].ticket.key, t.payload_id, RIG_NOW_S + 2));
    reopen(r);
    for (int i = 0; i < 3; i++)
        assert_true(rig_look(r, &p[i]).archived);
    assert_false(rig_look(r, &other).archived);
    t = rig_look(r, &p[1]);
    CHECK_EVENTS(&t, {TICKET_WAITING, RIG_NOW_S}, {TICKET_EVENT_ARCHIVED, RIG_NOW_S + 1});
    /* Its end does not make it forget. */
    assert_err(ERR_OK, store_nack(r->s, p[0].ticket.key, NULL, "denied", "", RIG_NOW_S, &t));
    assert_true(rig_look(r, &p[0]).archived);
    assert_err(ERR_OK, claim(r, &p[2], 1, RIG_NOW_S));
    assert_err(ERR_OK, rig_ack(r, &p[2], LETTER(), RIG_NOW_S));
    assert_true(rig_look(r, &p[2]).archived);
    assert_err(ERR_OK, store_archived(r->s, p[2].ticket.key, t.payload_id, RIG_NOW_S));
}

static enum err collect(void *arg, const char *recipient)
{
    return buf_printf(arg, " %s", recipient);
}

static void a_letters_recipients_are_known(struct rig *r)
{
    struct posted p[4], other = rig_post(r, LETTER(.message_id = "<other>", .recipient = "eve@b.test"));
    struct ticket t;
    struct buf text;
    enum err outcome[2];

    buf_init(&text, 1000);
    assert_err(ERR_OK, rig_deposit(r, LETTER(.notify = "NEVER"), 4, p));
    assert_err(ERR_OK, store_nack(r->s, p[1].ticket.key, NULL, "denied", "", RIG_NOW_S, &t));
    assert_err(ERR_OK, store_letter_recipients(r->s, &p[0].ticket, collect, &text));
    assert_int_equal(text.len, strlen(" bob@b.test r1@b.test r2@b.test r3@b.test"));
    for (int i = 0; i < 4; i++)
        assert_non_null(strstr(buf_cstr(&text), p[i].ticket.recipient)); /* those that ended too */
    buf_clear(&text);
    assert_err(ERR_OK, rig_replace(r, &p[2], 2, LETTER(.fill = 'y'), 2, false, RIG_NOW_S + 9, outcome));
    assert_err(ERR_OK, store_letter_recipients(r->s, &p[2].ticket, collect, &text));
    assert_int_equal(text.len, strlen(" r2@b.test r3@b.test"));
    buf_clear(&text);
    assert_err(ERR_OK, store_letter_recipients(r->s, &other.ticket, collect, &text));
    assert_string_equal(buf_cstr(&text), " eve@b.test");
    buf_free(&text);
}

/* The copy was under way when the ticket was closed, or ended. */
static void the_archive_has_one_copy_of_what_goes_plain(struct rig *r)
{
    struct posted p[3];
    struct ticket t;

    assert_err(ERR_OK, rig_deposit(r, LETTER(), 3, p));
    assert_err(ERR_OK, store_plain(r->s, p[0].ticket.key, "", RIG_NOW_S, &t));
    assert_err(ERR_OK, store_archived(r->s, p[0].ticket.key, t.payload_id, RIG_NOW_S + 1));
    for (int i = 0; i < 3; i++)
        assert_true(rig_look(r, &p[i]).archived);

    assert_err(ERR_OK, rig_deposit(r, LETTER(.message_id = "<2>", .notify = "NEVER"), 3, p));
    assert_err(ERR_OK, store_nack(r->s, p[0].ticket.key, NULL, "denied", "", RIG_NOW_S, &t));
    assert_err(ERR_OK, store_archived(r->s, p[0].ticket.key, t.payload_id, RIG_NOW_S + 1));
    assert_true(rig_look(r, &p[1]).archived);

    assert_err(ERR_OK, rig_deposit(r, LETTER(.message_id = "<3>", .notify = "NEVER"), 1, p));
    assert_err(ERR_OK, store_nack(r->s, p[0].ticket.key, NULL, "denied", "", RIG_NOW_S, &t));
    assert_err(ERR_GONE, store_archived(r->s, p[0].ticket.key, t.payload_id, RIG_NOW_S + 1));
}

/* Whatever has made the URL known: what the archive has no copy of is not handed over, and is copied at once.
 */
static void nothing_leaves_without_its_copy(struct rig *r)
{
    struct posted p = rig_post(r, LETTER());
    struct store_claim q = rig_claim(&p, 1, RIG_NOW_S + 5);
    struct store_claimed out;
    struct ticket t = rig_look(r, &p);
    struct work w = due(r, RIG_NOW_S, WORK_STUB);

    assert_err(ERR_OK, store_stub_sent(r->s, &w, "4bStub", RIG_NOW_S + 3600, RIG_NOW_S + 1));
    q.archive_first = true;
    assert_err(ERR_UNARCHIVED, store_claim(r->s, &q, &out));
    reopen(r);
    assert_int_equal(rig_look(r, &p).state, TICKET_WAITING);
    assert_int_equal(rig_look(r, &p).handed_over_s, 0);
    w = due(r, RIG_NOW_S + 5, WORK_STUB);
    assert_err(ERR_OK, store_stub_wait(r->s, &w, RIG_NOW_S + 3600));
    assert_err(ERR_OK, store_archived(r->s, p.ticket.key, t.payload_id, RIG_NOW_S + 6));
    assert_err(ERR_OK, store_claim(r->s, &q, &out));
    /* What was handed over before there was an archive is given again. */
    p = rig_post(r, LETTER(.message_id = "<before>"));
    assert_err(ERR_OK, claim(r, &p, 1, RIG_NOW_S));
    q = rig_claim(&p, 1, RIG_NOW_S + 1);
    q.archive_first = true;
    assert_err(ERR_OK, store_claim(r->s, &q, &out));
}

static void nack_by(struct rig *r, const struct posted *p, uint8_t token, int64_t now_s,
                    enum ticket_state want)
{
    uint8_t bytes[16];
    struct ticket t;

    memset(bytes, token, sizeof bytes);
    assert_err(ERR_OK, store_nack(r->s, p->ticket.key, bytes, "mta-refused", "550 5.1.1 no", now_s, &t));
    assert_int_equal(t.state, want);
    assert_string_equal(t.remote_text, "550 5.1.1 no");
}

/* What the first has may have arrived. */
static void one_of_several_refuses(struct rig *r)
{
    struct posted leased = rig_post(r, LETTER(.message_id = "<leased>")),
                  lapsed = rig_post(r, LETTER(.message_id = "<lapsed>")),
                  alone = rig_post(r, LETTER(.message_id = "<alone>"));
    struct ticket t;

    for (int64_t at_s = RIG_NOW_S; at_s <= RIG_NOW_S + 400; at_s += 400) {
        bool again = at_s > RIG_NOW_S;

        assert_err(ERR_OK, claim(r, &leased, again ? 2 : 1, at_s));
        assert_err(ERR_OK, claim(r, &lapsed, again ? 2 : 1, at_s));
        assert_err(ERR_OK, claim(r, &alone, 1, at_s));
        assert_int_equal(rig_look(r, &leased).several, again);
    }
    assert_false(rig_look(r, &alone).several);
    nack_by(r, &leased, 2, RIG_NOW_S + 410, TICKET_UNCONFIRMED);
    nack_by(r, &lapsed, 2, RIG_NOW_S + 900, TICKET_UNCONFIRMED);
    nack_by(r, &alone, 1, RIG_NOW_S + 410, TICKET_REFUSED);
    nack_by(r, &alone, 1, RIG_NOW_S + 420, TICKET_REFUSED);
    assert_err(ERR_GONE, store_nack(r->s, leased.ticket.key, NULL, "denied", "", RIG_NOW_S + 420, &t));
    assert_err(ERR_GONE, rig_ack(r, &leased, LETTER(), RIG_NOW_S + 420));
    assert_int_equal(rig_counts(r).tickets[TICKET_UNCONFIRMED], 2);
    assert_int_equal(rig_counts(r).tickets[TICKET_LEASED], 0);
}

int main(void)
{
    static const struct rig_case cases[] = {
        RIG_CASE(all_that_happened_is_told_with_its_time),
        RIG_CASE(a_lapse_that_nobody_noted_is_told_too),
        RIG_CASE(the_first_and_the_newest_events_are_kept),
        RIG_CASE(every_event_has_a_name),
        RIG_CASE(a_stub_is_sent_again_and_again),
        RIG_CASE(a_lease_keeps_the_stubs_entry),
        RIG_CASE(only_a_stub_is_a_stub),
        RIG_CASE(a_delay_is_told_once),
        RIG_CASE(who_is_not_warned),
        RIG_CASE(a_claim_takes_the_warning_back),
        RIG_CASE(a_letter_goes_plain),
        RIG_CASE(a_refused_plain_letter_is_told),
        RIG_CASE(after_hand_over_nothing_goes_plain),
        RIG_CASE(a_letter_that_is_still_to_go_outlives_its_tombstone),
        RIG_CASE(what_is_still_to_be_told_outlives_its_tombstone),
        RIG_CASE(a_lapse_that_a_word_finds_is_counted_once),
        RIG_CASE(the_archive_has_one_copy_of_a_letter),
        RIG_CASE(a_letters_recipients_are_known),
        RIG_CASE(the_archive_has_one_copy_of_what_goes_plain),
        RIG_CASE(nothing_leaves_without_its_copy),
        RIG_CASE(one_of_several_refuses),
    };

    return rig_run("a ticket's life", cases, sizeof cases / sizeof *cases, true, true);
}
