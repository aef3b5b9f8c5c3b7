/*
 * states.c - see states.h.
 */
#include "states.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/recall.h"

#define DAY_S 86400
#define END_S (RIG_NOW_S + 7 * DAY_S)   /* its time is up */
#define LATE_S (END_S + 2 * 3600)       /* and no lease runs any more */
#define LEASED_AT_S (RIG_NOW_S + 100)   /* a lease from then ... */
#define WORD_S (LEASED_AT_S + 10)       /* ... runs when the word is said */
#define LAPSED_WORD_S (RIG_NOW_S + 999) /* ... or is over */
#define URL "https://b.test/c"
#define MINE 1 /* tokens */
#define OTHERS 2

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

#define NONE "=", "=", "=", "=", "=", "=", "="
#define GONE "GONE", "GONE", "GONE", "GONE", "GONE", "GONE", "GONE"
#define SAME "=", "=", "=", "=", "="
#define LIVE(before, leased, lapsed) before, before, before, leased, lapsed
const struct row rows[] = {
    {"claim",
     claim,
     "claim",
     {LIVE("leased", "LEASED", "leased"), GONE},
     {LIVE("leased", "LEASED", "leased")},
     {LIVE("leased", "LEASED", "leased")}},
    {"claim with the token of the lease",
     claim_again,
     NULL,
     {LIVE("leased", "=", "leased"), GONE},
     {LIVE("leased", "=", "leased")},
     {LIVE("leased", "=", "leased")}},
    {"claim past its time",
     claim_late,
     NULL,
     {LIVE("GONE expired", "GONE unconfirmed", "GONE unconfirmed"), GONE},
     {LIVE("GONE unconfirmed", "GONE unconfirmed", "GONE unconfirmed")},
     {LIVE("leased", "leased", "leased")}},
    {"resume",
     resume,
     NULL,
     {LIVE("LEASE_ENDED", "=", "LEASE_ENDED"), GONE},
     {LIVE("LEASE_ENDED", "=", "LEASE_ENDED")},
     {LIVE("LEASE_ENDED", "=", "LEASE_ENDED")}},
    {"ack",
     ack,
     "ack",
     {LIVE("NEVER_CLAIMED", "delivered", "delivered"), "=", "GONE", "GONE", "GONE", "GONE", "GONE", "GONE"},
     {LIVE("delivered", "delivered", "delivered")},
     {LIVE("NEVER_CLAIMED", "delivered", "delivered")}},
    {"ack of another letter",
     ack_wrong,
     NULL,
     {LIVE("NEVER_CLAIMED", "WRONG_DIGEST", "WRONG_DIGEST"), "WRONG_DIGEST", "GONE", "GONE", "GONE", "GONE",
      "GONE", "GONE"},
     {LIVE("WRONG_DIGEST", "WRONG_DIGEST", "WRONG_DIGEST")},
     {LIVE("NEVER_CLAIMED", "WRONG_DIGEST", "WRONG_DIGEST")}},
    {"nack",
     nack,
     "nack",
     {LIVE("refused", "refused", "refused"), "GONE", "=", "GONE", "GONE", "GONE", "GONE", "GONE"},
     {LIVE("refused", "refused", "refused")},
     {LIVE("refused", "refused", "refused")}},
    {"nack with another token",
     nack_other,
     NULL,
     {LIVE("refused", "LEASED", "LEASE_ENDED"), "GONE", "=", "GONE", "GONE", "GONE", "GONE", "GONE"},
     {LIVE("refused", "LEASED", "LEASE_ENDED")},
     {LIVE("refused", "LEASED", "LEASE_ENDED")}},
    {"status held",
     held,
     "status",
     {"held", "=", "held", "LEASED", "LEASED", GONE},
     {"held", "=", "held", "LEASED", "LEASED"},
     {"held", "=", "held", "LEASED", "LEASED"}},
    {"status challenge",
     challenged,
     "status",
     {"challenged", "challenged", "=", "LEASED", "LEASED", GONE},
     {"challenged", "challenged", "=", "LEASED", "LEASED"},
     {"challenged", "challenged", "=", "LEASED", "LEASED"}},
    {"bounce",
     bounce,
     "bounced",
     {LIVE("bounced", "LEASED", "LEASED"), GONE},
     {LIVE("RESTORED", "LEASED", "LEASED")},
     {LIVE("bounced", "LEASED", "LEASED")}},
    {"expire",
     expire,
     "expire",
     {LIVE("expired", "unconfirmed", "unconfirmed"), NONE},
     {LIVE("unconfirmed", "unconfirmed", "unconfirmed")},
     {LIVE("=", "lapsed", "=")}},
    {"expire before its time", expire_early, NULL, {SAME, NONE}, {SAME}, {SAME}},
    {"retract",
     retract,
     "retract",
     {LIVE("retracted", "HANDED_OVER", "HANDED_OVER"), "HANDED_OVER", "GONE", "=", "GONE", "HANDED_OVER",
      "GONE", "GONE"},
     {LIVE("RESTORED", "HANDED_OVER", "HANDED_OVER")},
     {LIVE("ON_HOLD", "HANDED_OVER", "HANDED_OVER")}},
    {"retract past its time",
     retract_late,
     NULL,
     {LIVE("GONE expired", "GONE unconfirmed", "GONE unconfirmed"), "HANDED_OVER", "GONE", "=", "GONE",
      "HANDED_OVER", "GONE", "GONE"},
     {LIVE("GONE unconfirmed", "GONE unconfirmed", "GONE unconfirmed")},
     {LIVE("ON_HOLD", "HANDED_OVER", "HANDED_OVER")}},
    {"replace",
     replace,
     NULL,
     {LIVE("=", "HANDED_OVER", "HANDED_OVER"), "HANDED_OVER", "GONE", "GONE", "GONE", "HANDED_OVER", "GONE",
      "GONE"},
     {LIVE("RESTORED", "HANDED_OVER", "HANDED_OVER")},
     {LIVE("ON_HOLD", "HANDED_OVER", "HANDED_OVER")}},
    {"replace past its time",
     replace_late,
     NULL,
     {LIVE("GONE expired", "GONE unconfirmed", "GONE unconfirmed"), "HANDED_OVER", "GONE", "GONE", "GONE",
      "HANDED_OVER", "GONE", "GONE"},
     {LIVE("GONE unconfirmed", "GONE unconfirmed", "GONE unconfirmed")},
     {LIVE("ON_HOLD", "HANDED_OVER lapsed", "HANDED_OVER lapsed")}},
    {"replace by somebody else's",
     replace_from,
     NULL,
     {LIVE("FROM_CHANGED", "HANDED_OVER", "HANDED_OVER"), "HANDED_OVER", "GONE", "GONE", "GONE",
      "HANDED_OVER", "GONE", "GONE"},
     {LIVE("RESTORED", "HANDED_OVER", "HANDED_OVER")},
     {LIVE("ON_HOLD", "HANDED_OVER", "HANDED_OVER")}},
    {"hold", hold, NULL, {SAME, GONE}, {SAME}, {SAME}},
    {"release", release, NULL, {SAME, GONE}, {SAME}, {SAME}},
    {"plain",
     plain,
     "plain",
     {LIVE("plain", "HANDED_OVER", "HANDED_OVER"), "HANDED_OVER", "GONE", "GONE", "GONE", "HANDED_OVER",
      "GONE", "GONE"},
     {LIVE("RESTORED", "HANDED_OVER", "HANDED_OVER")},
     {LIVE("plain", "HANDED_OVER", "HANDED_OVER")}},
    {"delay", delay, NULL, {SAME, NONE}, {SAME}, {SAME}},
    /* What is still to be told or sent of an ended one keeps the letter. */
    {"archived", archived, NULL, {SAME, "GONE", "=", "GONE", "=", "=", "=", "="}, {SAME}, {SAME}},
    {"stub sent", stub_sent, NULL, {SAME, NONE}, {SAME}, {SAME}},
    {"stub not sent yet", stub_wait, NULL, {SAME, NONE}, {SAME}, {SAME}},
    {"stub put off", stub_later, NULL, {SAME, NONE}, {SAME}, {SAME}},
    {"stub refused",
     stub_refused,
     "work-refused",
     {LIVE("bounced", "=", "="), NONE},
     {SAME},
     {LIVE("bounced", "=", "=")}},
};

/* ---- running it ---------------------------------------------------------------------------------------- */

const size_t row_count = sizeof rows / sizeof *rows;
bool seen[2][TICKET_STATE_COUNT][TICKET_STATE_COUNT];

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

struct raw scene_look(const struct scene *x)
{
    struct raw raw = {.key = x->p.ticket.key, .r = calloc(1, sizeof *raw.r)};

    assert_non_null(raw.r);
    assert_err(ERR_OK, store_change_lazy(x->r->s, read_raw, &raw));
    return raw;
}

enum ticket_state scene_state_at(const struct raw *raw, int64_t now_s)
{
    return ticket_state_at(&raw->r->t, now_s, 0, raw->r->lease_hard_s);
}

void scene_check_whole(const struct scene *x, const struct raw *raw)
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

void scene_bring_to(struct scene *x, enum ticket_state state)
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

void scene_dispose(struct scene *x)
{
    struct store_counts c;
    struct ticket t;
    size_t n;

    struct work w;

    store_hold(x->r->s, x->p.ticket.key, false, "", LATE_S, &t);
    assert_err(ERR_OK, store_expire(x->r->s, LATE_S + DAY_S, 9, &n));
    memcpy(w.key, x->p.ticket.key, sizeof w.key);
    for (w.kind = 0; w.kind < WORK_KIND_COUNT; w.kind++) /* else it stays */
        assert_err(ERR_OK, store_work_done(x->r->s, &w, NULL, LATE_S));
    assert_err(ERR_OK, store_purge(x->r->s, LATE_S + 99 * DAY_S, 9, &n));
    assert_int_equal(n, 1);
    assert_err(ERR_OK, store_count(x->r->s, &c));
    assert_int_equal(c.payloads, 0);
    assert_int_equal(c.payload_bytes, 0);
    assert_int_equal(c.work, 0);
    for (int s = 0; s < TICKET_STATE_COUNT; s++)
        assert_int_equal(c.tickets[s], 0);
}

enum ticket_state state_named(const char *name)
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

void scene_say(struct scene *x, const struct row *row, const char *want, bool perhaps)
{
    bool fails = want[0] >= 'A' && want[0] <= 'Z';
    const char *to = fails ? strchr(want, ' ') : want;
    char error[30];
    struct raw before = scene_look(x), after;
    enum ticket_state from, is;
    enum err err = row->say(x);

    assert_string_equal(err_name(err), fails ? error_named(want, error) : err_name(ERR_OK));
    after = scene_look(x);
    from = scene_state_at(&before, x->now_s);
    is = scene_state_at(&after, x->now_s);
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
    scene_check_whole(x, &after);
    free(before.r);
    free(after.r);
}

void scene_hold(struct scene *x)
{
    assert_err(ERR_OK, do_hold(x, true));
}
