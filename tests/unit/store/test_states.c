/*
 * test_states.c - every state of a ticket against everything that can be said to it, on every engine: one
 * table says what comes of it. And the table of transitions against that: what it allows is what happens.
 */
#include "rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/recall.h"
#include "store/store_internal.h"
#include "store/ticket_state.h"

#define DAY_S 86400
#define END_S (RIG_NOW_S + 7 * DAY_S)   /* its time is up */
#define LATE_S (END_S + 2 * 3600)       /* and no lease runs any more */
#define LEASED_AT_S (RIG_NOW_S + 100)   /* a lease from then ... */
#define WORD_S (LEASED_AT_S + 10)       /* ... runs when the word is said */
#define LAPSED_WORD_S (RIG_NOW_S + 999) /* ... or is over */
#define URL "https://b.test/c"
#define MINE 1 /* tokens */
#define OTHERS 2

/* One ticket, as a word meets it. */
struct scene {
    struct rig *r;
    struct posted p;
    int64_t now_s;
};

static struct store_claim token(const struct scene *x, uint8_t token, int64_t now_s)
{
    return rig_claim(&x->p, token, now_s);
}

static enum err do_claim(struct scene *x, uint8_t whose, int64_t now_s)
{
    struct store_claim q = token(x, whose, now_s);
    struct store_claimed c;

    return store_claim(x->r->s, &q, &c);
}

static enum err do_ack(struct scene *x, const struct letter *l)
{
    uint8_t digest[32];
    struct ticket t;

    letter_digest(l, digest);
    return store_ack(x->r->s, x->p.ticket.key, digest, x->now_s, &t);
}

static enum err do_nack(struct scene *x, uint8_t whose)
{
    uint8_t bytes[16];
    struct ticket t;

    memset(bytes, whose, sizeof bytes);
    return store_nack(x->r->s, x->p.ticket.key, bytes, "denied", "", x->now_s, &t);
}

static enum err do_status(struct scene *x, enum ticket_state state)
{
    struct ticket t;

    return store_status(x->r->s, x->p.ticket.key, state, state == TICKET_CHALLENGED ? URL : "", x->now_s, &t);
}

static enum err do_expire(struct scene *x, int64_t now_s)
{
    size_t n;

    return store_expire(x->r->s, now_s, 9, &n);
}

static enum err do_retract(struct scene *x)
{
    struct ticket t;

    return store_retract(x->r->s, x->p.ticket.key, false, x->now_s, &t);
}

static enum err do_replace(struct scene *x, const struct letter *l)
{
    struct posted p = x->p;
    enum err outcome;

    return rig_replace(x->r, &p, 1, l, 2, false, x->now_s, &outcome);
}

static enum err do_hold(struct scene *x, bool hold)
{
    struct ticket t;

    return store_hold(x->r->s, x->p.ticket.key, hold, "why", x->now_s, &t);
}

static enum err do_plain(struct scene *x)
{
    struct ticket t;

    return store_plain(x->r->s, x->p.ticket.key, "why", x->now_s, &t);
}

static enum err do_bounce(struct scene *x)
{
    struct ticket t;

    return store_bounced(x->r->s, x->p.keys.a, "5.1.1", "no such user", x->now_s, &t);
}

static struct work stub(const struct scene *x)
{
    struct work w = {.kind = WORK_STUB};

    memcpy(w.key, x->p.ticket.key, sizeof w.key);
    return w;
}

/* ---- the words ----------------------------------------------------------------------------------------- */

static enum err claim(struct scene *x)
{
    return do_claim(x, OTHERS, x->now_s);
}
static enum err claim_again(struct scene *x)
{
    return do_claim(x, MINE, x->now_s);
}
static enum err claim_late(struct scene *x)
{
    x->now_s = LATE_S;
    return do_claim(x, OTHERS, LATE_S);
}
static enum err resume(struct scene *x)
{
    struct store_claim q = token(x, MINE, x->now_s);
    struct store_claimed c;

    return store_resume(x->r->s, &q, &c);
}
static enum err ack(struct scene *x)
{
    return do_ack(x, LETTER());
}
static enum err ack_wrong(struct scene *x)
{
    return do_ack(x, LETTER(.fill = 'w'));
}
static enum err nack(struct scene *x)
{
    return do_nack(x, MINE);
}
static enum err nack_other(struct scene *x)
{
    return do_nack(x, OTHERS);
}
static enum err held(struct scene *x)
{
    return do_status(x, TICKET_HELD);
}
static enum err challenged(struct scene *x)
{
    return do_status(x, TICKET_CHALLENGED);
}
static enum err bounce(struct scene *x)
{
    return do_bounce(x);
}
static enum err expire(struct scene *x)
{
    x->now_s = LATE_S;
    return do_expire(x, LATE_S);
}
static enum err expire_early(struct scene *x)
{
    return do_expire(x, x->now_s);
}
static enum err retract(struct scene *x)
{
    return do_retract(x);
}
static enum err retract_late(struct scene *x)
{
    x->now_s = LATE_S;
    return do_retract(x);
}
static enum err replace(struct scene *x)
{
    return do_replace(x, LETTER(.fill = 'n'));
}
static enum err replace_late(struct scene *x)
{
    x->now_s = LATE_S;
    return do_replace(x, LETTER(.fill = 'n'));
}
static enum err replace_from(struct scene *x)
{
    return do_replace(x, LETTER(.from = "eve@a.test"));
}
static enum err hold(struct scene *x)
{
    return do_hold(x, true);
}
static enum err release(struct scene *x)
{
    return do_hold(x, false);
}
static enum err plain(struct scene *x)
{
    return do_plain(x);
}
static enum err delay(struct scene *x)
{
    return store_delay_due(x->r->s, x->p.ticket.key, x->now_s);
}
static enum err archived(struct scene *x)
{
    struct ticket t;
    enum err err = store_ticket_get(x->r->s, x->p.ticket.key, &t);

    return err ? err : store_archived(x->r->s, x->p.ticket.key, t.payload_id, x->now_s);
}
static enum err stub_sent(struct scene *x)
{
    struct work w = stub(x);

    return store_stub_sent(x->r->s, &w, "4b", x->now_s + 60, x->now_s);
}
static enum err stub_wait(struct scene *x)
{
    struct work w = stub(x);

    return store_stub_wait(x->r->s, &w, x->now_s + 60);
}
static enum err stub_later(struct scene *x)
{
    struct work w = stub(x);

    return store_work_later(x->r->s, &w, x->now_s + 60, "451");
}
static enum err stub_refused(struct scene *x)
{
    struct work w = stub(x);

    return store_work_refused(x->r->s, &w, "5.1.1", "550", x->now_s);
}

/* ---- the table ----------------------------------------------------------------------------------------- */

#define LIVING (TICKET_LAPSED + 1)

/* What comes of a word: "=": ERR_OK, and the state is as before; "leased": ERR_OK, and that is the state;
 * "GONE": that error, and nothing at all has changed; "GONE expired": that error, and that is the state. */
#define NONE "=", "=", "=", "=", "=", "=", "="
#define GONE "GONE", "GONE", "GONE", "GONE", "GONE", "GONE", "GONE"
#define SAME "=", "=", "=", "=", "="
#define LIVE(before, leased, lapsed) before, before, before, leased, lapsed
static const struct row {
    const char *name;
    enum err (*say)(struct scene *x);
    /* Of usual tickets: waiting, held, challenged, leased, lapsed; delivered, refused, retracted, expired,
     * unconfirmed, bounced, plain. The living ones also when they were perhaps handed over before a restore,
     * and on hold. */
    const char *usual[TICKET_STATE_COUNT], *perhaps[LIVING], *on_hold[LIVING];
} rows[] = {
    {"claim",
     claim,
     {LIVE("leased", "LEASED", "leased"), GONE},
     {LIVE("leased", "LEASED", "leased")},
     {LIVE("leased", "LEASED", "leased")}},
    {"claim with the token of the lease",
     claim_again,
     {LIVE("leased", "=", "leased"), GONE},
     {LIVE("leased", "=", "leased")},
     {LIVE("leased", "=", "leased")}},
    {"claim past its time",
     claim_late,
     {LIVE("GONE expired", "GONE unconfirmed", "GONE unconfirmed"), GONE},
     {LIVE("GONE unconfirmed", "GONE unconfirmed", "GONE unconfirmed")},
     {LIVE("leased", "leased", "leased")}},
    {"resume",
     resume,
     {LIVE("LEASE_ENDED", "=", "LEASE_ENDED"), GONE},
     {LIVE("LEASE_ENDED", "=", "LEASE_ENDED")},
     {LIVE("LEASE_ENDED", "=", "LEASE_ENDED")}},
    {"ack",
     ack,
     {LIVE("NEVER_CLAIMED", "delivered", "delivered"), "=", "GONE", "GONE", "GONE", "GONE", "GONE", "GONE"},
     {LIVE("delivered", "delivered", "delivered")},
     {LIVE("NEVER_CLAIMED", "delivered", "delivered")}},
    {"ack of another letter",
     ack_wrong,
     {LIVE("NEVER_CLAIMED", "WRONG_DIGEST", "WRONG_DIGEST"), "WRONG_DIGEST", "GONE", "GONE", "GONE", "GONE",
      "GONE", "GONE"},
     {LIVE("WRONG_DIGEST", "WRONG_DIGEST", "WRONG_DIGEST")},
     {LIVE("NEVER_CLAIMED", "WRONG_DIGEST", "WRONG_DIGEST")}},
    {"nack",
     nack,
     {LIVE("refused", "refused", "refused"), "GONE", "=", "GONE", "GONE", "GONE", "GONE", "GONE"},
     {LIVE("refused", "refused", "refused")},
     {LIVE("refused", "refused", "refused")}},
    {"nack with another token",
     nack_other,
     {LIVE("refused", "LEASED", "LEASE_ENDED"), "GONE", "=", "GONE", "GONE", "GONE", "GONE", "GONE"},
     {LIVE("refused", "LEASED", "LEASE_ENDED")},
     {LIVE("refused", "LEASED", "LEASE_ENDED")}},
    {"status held",
     held,
     {"held", "=", "held", "LEASED", "LEASED", GONE},
     {"held", "=", "held", "LEASED", "LEASED"},
     {"held", "=", "held", "LEASED", "LEASED"}},
    {"status challenge",
     challenged,
     {"challenged", "challenged", "=", "LEASED", "LEASED", GONE},
     {"challenged", "challenged", "=", "LEASED", "LEASED"},
     {"challenged", "challenged", "=", "LEASED", "LEASED"}},
    {"bounce",
     bounce,
     {LIVE("bounced", "LEASED", "LEASED"), GONE},
     {LIVE("RESTORED", "LEASED", "LEASED")},
     {LIVE("bounced", "LEASED", "LEASED")}},
    {"expire",
     expire,
     {LIVE("expired", "unconfirmed", "unconfirmed"), NONE},
     {LIVE("unconfirmed", "unconfirmed", "unconfirmed")},
     {LIVE("=", "lapsed", "=")}},
    {"expire before its time", expire_early, {SAME, NONE}, {SAME}, {SAME}},
    {"retract",
     retract,
     {LIVE("retracted", "HANDED_OVER", "HANDED_OVER"), "HANDED_OVER", "GONE", "=", "GONE", "HANDED_OVER",
      "GONE", "GONE"},
     {LIVE("RESTORED", "HANDED_OVER", "HANDED_OVER")},
     {LIVE("ON_HOLD", "HANDED_OVER", "HANDED_OVER")}},
    {"retract past its time",
     retract_late,
     {LIVE("GONE expired", "GONE unconfirmed", "GONE unconfirmed"), "HANDED_OVER", "GONE", "=", "GONE",
      "HANDED_OVER", "GONE", "GONE"},
     {LIVE("GONE unconfirmed", "GONE unconfirmed", "GONE unconfirmed")},
     {LIVE("ON_HOLD", "HANDED_OVER", "HANDED_OVER")}},
    {"replace",
     replace,
     {LIVE("=", "HANDED_OVER", "HANDED_OVER lapsed"), "HANDED_OVER", "GONE", "GONE", "GONE", "HANDED_OVER", "GONE",
      "GONE"},
     {LIVE("RESTORED", "HANDED_OVER", "HANDED_OVER lapsed")},
     {LIVE("ON_HOLD", "HANDED_OVER", "HANDED_OVER lapsed")}},
    {"replace past its time",
     replace_late,
     {LIVE("GONE expired", "GONE unconfirmed", "GONE unconfirmed"), "HANDED_OVER", "GONE", "GONE", "GONE",
      "HANDED_OVER", "GONE", "GONE"},
     {LIVE("GONE unconfirmed", "GONE unconfirmed", "GONE unconfirmed")},
     {LIVE("ON_HOLD", "HANDED_OVER lapsed", "HANDED_OVER lapsed")}},
    {"replace by somebody else's",
     replace_from,
     {LIVE("FROM_CHANGED", "HANDED_OVER", "HANDED_OVER lapsed"), "HANDED_OVER", "GONE", "GONE", "GONE",
      "HANDED_OVER", "GONE", "GONE"},
     {LIVE("RESTORED", "HANDED_OVER", "HANDED_OVER lapsed")},
     {LIVE("ON_HOLD", "HANDED_OVER", "HANDED_OVER lapsed")}},
    {"hold", hold, {SAME, GONE}, {SAME}, {SAME}},
    {"release", release, {SAME, GONE}, {SAME}, {SAME}},
    {"plain",
     plain,
     {LIVE("plain", "HANDED_OVER", "HANDED_OVER"), "HANDED_OVER", "GONE", "GONE", "GONE", "HANDED_OVER",
      "GONE", "GONE"},
     {LIVE("RESTORED", "HANDED_OVER", "HANDED_OVER")},
     {LIVE("plain", "HANDED_OVER", "HANDED_OVER")}},
    {"delay", delay, {SAME, NONE}, {SAME}, {SAME}},
    {"archived", archived, {SAME, GONE}, {SAME}, {SAME}},
    {"stub sent", stub_sent, {SAME, NONE}, {SAME}, {SAME}},
    {"stub not sent yet", stub_wait, {SAME, NONE}, {SAME}, {SAME}},
    {"stub put off", stub_later, {SAME, NONE}, {SAME}, {SAME}},
    {"stub refused", stub_refused, {LIVE("bounced", "=", "="), NONE}, {SAME}, {LIVE("bounced", "=", "=")}},
};

/* ---- running it ---------------------------------------------------------------------------------------- */

static bool seen[2][TICKET_STATE_COUNT][TICKET_STATE_COUNT]; /* usual, perhaps */

struct raw {
    const uint8_t *key;
    struct ticket_record *r; /* as it is stored */
    bool wrap, payload;
};

static enum err read_raw(struct change *c, void *arg)
{
    struct raw *x = arg;
    struct payload_record p;
    struct span key = span_bytes(x->key, TICKET_STORE_KEY_BYTES);
    enum err err;

    memset(x->r, 0, sizeof *x->r);
    if ((err = change_ticket_get(c, x->key, x->r)) != ERR_OK)
        return err;
    x->wrap = c->s->engine->ops->get(c->txn, TABLE_WRAP, key, false, &c->value) == ERR_OK;
    x->payload = change_payload_get(c, x->r->t.payload_id, &p) == ERR_OK;
    return ERR_OK;
}

static struct raw look(const struct scene *x)
{
    struct raw raw = {.key = x->p.ticket.key, .r = calloc(1, sizeof *raw.r)};

    assert_non_null(raw.r);
    assert_err(ERR_OK, store_change_lazy(x->r->s, read_raw, &raw));
    return raw;
}

static enum ticket_state state_at(const struct raw *raw, int64_t now_s)
{
    return ticket_state_at(&raw->r->t, now_s, 0, raw->r->lease_hard_s);
}

/* What must be so of every ticket at any time. */
static void check_whole(const struct scene *x, const struct raw *raw)
{
    struct ticket_record *r = raw->r;
    enum ticket_state state = r->t.state;
    bool ended = ticket_state_ended(state);
    struct store_counts c;
    uint64_t work = 0;

    for (int kind = 0; kind < WORK_KIND_COUNT; kind++)
        work += *ticket_record_due(r, (enum work_kind)kind) != 0;
    assert_err(ERR_OK, store_count(x->r->s, &c));
    assert_int_equal(c.work, work);
    for (int s = 0; s < TICKET_STATE_COUNT; s++)
        assert_int_equal(c.tickets[s], s == (int)state);
    assert_int_equal(c.payloads, raw->payload);
    assert_int_equal(raw->wrap, !ended);
    assert_int_equal(raw->payload, !ended || r->notify_due_s != 0 || r->plain_due_s != 0);
    assert_true(!ended || r->stub_due_s == 0 || state == TICKET_RETRACTED);
    assert_true(r->challenge_due_s == 0 || state == TICKET_CHALLENGED);
    assert_true(r->delay_due_s == 0 || (!ended && state != TICKET_LEASED));
    assert_true(r->plain_due_s == 0 || state == TICKET_PLAIN);
    assert_true(r->notify_due_s == 0 || ended);
    assert_true(r->timer_s != 0);
}

static void bring_to(struct scene *x, enum ticket_state state)
{
    x->p = rig_post(x->r, LETTER());
    x->now_s = LEASED_AT_S;
    if (state == TICKET_LEASED || state == TICKET_LAPSED || state == TICKET_DELIVERED ||
        state == TICKET_UNCONFIRMED)
        assert_err(ERR_OK, do_claim(x, MINE, LEASED_AT_S));
    switch (state) {
    case TICKET_HELD:
    case TICKET_CHALLENGED:
        assert_err(ERR_OK, do_status(x, state));
        break;
    case TICKET_DELIVERED:
        assert_err(ERR_OK, ack(x));
        break;
    case TICKET_REFUSED:
        assert_err(ERR_OK, nack(x));
        break;
    case TICKET_RETRACTED:
        assert_err(ERR_OK, do_retract(x));
        break;
    case TICKET_EXPIRED:
    case TICKET_UNCONFIRMED:
        assert_err(ERR_OK, do_expire(x, LATE_S));
        break;
    case TICKET_BOUNCED:
        assert_err(ERR_OK, do_bounce(x));
        break;
    case TICKET_PLAIN:
        assert_err(ERR_OK, do_plain(x));
        break;
    default:
        break;
    }
    x->now_s = state == TICKET_LAPSED ? LAPSED_WORD_S : WORD_S;
}

/* Whatever the word left, it comes to an end, and then nothing is left of it. */
static void dispose(struct scene *x)
{
    struct store_counts c;
    struct ticket t;
    size_t n;

    store_hold(x->r->s, x->p.ticket.key, false, "", LATE_S, &t);
    assert_err(ERR_OK, store_expire(x->r->s, LATE_S + DAY_S, 9, &n));
    assert_err(ERR_OK, store_purge(x->r->s, LATE_S + 99 * DAY_S, 9, &n));
    assert_int_equal(n, 1);
    assert_err(ERR_OK, store_count(x->r->s, &c));
    assert_int_equal(c.payloads, 0);
    assert_int_equal(c.payload_bytes, 0);
    assert_int_equal(c.work, 0);
    for (int s = 0; s < TICKET_STATE_COUNT; s++)
        assert_int_equal(c.tickets[s], 0);
}

static enum ticket_state state_named(const char *name)
{
    for (int s = 0; s < TICKET_STATE_COUNT; s++)
        if (strcmp(name, ticket_state_name((enum ticket_state)s)) == 0)
            return (enum ticket_state)s;
    fail_msg("no state %s", name);
    return TICKET_STATE_COUNT;
}

/* The table's errors are in capitals. */
static const char *error_named(const char *want, char out[30])
{
    size_t len = strcspn(want, " ");

    for (size_t i = 0; i < len; i++)
        out[i] = want[i] == '_' ? '-' : (char)(want[i] - 'A' + 'a');
    out[len] = '\0';
    return out;
}

static void check_one(struct scene *x, const struct row *row, const char *want, bool perhaps)
{
    bool fails = want[0] >= 'A' && want[0] <= 'Z';
    const char *to = fails ? strchr(want, ' ') : want;
    char error[30];
    struct raw before = look(x), after;
    enum ticket_state from, is;
    enum err err = row->say(x);

    assert_string_equal(err_name(err), fails ? error_named(want, error) : err_name(ERR_OK));
    after = look(x);
    from = state_at(&before, x->now_s);
    is = state_at(&after, x->now_s);
    if (to == NULL)
        assert_memory_equal(before.r, after.r, sizeof *before.r);
    else if (strcmp(to, "=") == 0)
        assert_int_equal(is, from);
    else
        assert_int_equal(is, state_named(fails ? to + 1 : to));
    if (is != from) {
        struct ticket_event e;
        size_t last = after.r->t.events.len / TICKET_EVENT_BYTES - 1;

        assert_true(ticket_state_may(from, perhaps, is));
        seen[perhaps][from][is] = true;
        assert_true(ticket_event_get(&after.r->t, last, &e));
        assert_int_equal(e.what, is);
        assert_int_equal(e.at_s, x->now_s);
        assert_int_equal(after.r->t.changed_s, x->now_s);
    }
    check_whole(x, &after);
    free(before.r);
    free(after.r);
}

static void run_scene(struct rig *r, const struct row *row, enum ticket_state state, bool perhaps,
                      bool on_hold)
{
    const char *want = perhaps ? row->perhaps[state] : on_hold ? row->on_hold[state] : row->usual[state];
    struct scene x = {.r = r};

    bring_to(&x, state);
    if (perhaps)
        rig_set_perhaps(r, &x.p);
    if (on_hold)
        assert_err(ERR_OK, do_hold(&x, true));
    if (getenv("TEST_STATES_SHOW") != NULL)
        print_message("%s: %s%s%s -> %s\n", row->name, ticket_state_name(state), perhaps ? " perhaps" : "",
                      on_hold ? " on hold" : "", want);
    check_one(&x, row, want, perhaps);
    dispose(&x);
}

static void every_state_meets_every_word(struct rig *r)
{
    memset(seen, 0, sizeof seen);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (int state = 0; state < TICKET_STATE_COUNT; state++)
            run_scene(r, &rows[i], (enum ticket_state)state, false, false);
        for (int state = 0; state < LIVING; state++) {
            run_scene(r, &rows[i], (enum ticket_state)state, true, false);
            run_scene(r, &rows[i], (enum ticket_state)state, false, true);
        }
    }
    /* By time alone, whatever was said. */
    seen[0][TICKET_LEASED][TICKET_LAPSED] = seen[1][TICKET_LEASED][TICKET_LAPSED] = true;
    for (int perhaps = 0; perhaps < 2; perhaps++)
        for (int from = 0; from < TICKET_STATE_COUNT; from++)
            for (int to = 0; to < TICKET_STATE_COUNT; to++)
                if (seen[perhaps][from][to] !=
                    ticket_state_may((enum ticket_state)from, perhaps, (enum ticket_state)to))
                    fail_msg("%s -> %s%s: the table says otherwise than what happens",
                             ticket_state_name((enum ticket_state)from),
                             ticket_state_name((enum ticket_state)to), perhaps ? " (perhaps)" : "");
}

int main(void)
{
    static const struct rig_case cases[] = {
        {"every_state_meets_every_word", every_state_meets_every_word},
    };

    return rig_run("ticket states", cases, sizeof cases / sizeof *cases, true, true);
}
