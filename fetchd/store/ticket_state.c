/*
 * ticket_state.c - the rules of a ticket's life in tables; the words of store_ticket.c and its neighbours
 * ask here.
 */
#include "store/ticket_state.h"

#include <string.h>

#include "base/secret.h"
#include "mail/dsn.h"
#include "store/codec.h"
#include "store/recall.h"
#include "ticket/fields.h"

#define RETRY_AFTER_MIN_S 60
#define RETRY_AFTER_DOUBLINGS_MAX 6 /* about an hour, as long as a lease may be in all */

static const struct {
    const char *name;
    const char *gone; /* the reason of a 410; NULL: alive */
    unsigned told;    /* the sender is told of it when he asked for any of these (RFC 3461 4.1) */
} state_row[TICKET_STATE_COUNT] = {
    [TICKET_WAITING] = {"waiting", NULL, 0},
    [TICKET_HELD] = {"held", NULL, 0},
    [TICKET_CHALLENGED] = {"challenged", NULL, 0},
    [TICKET_LEASED] = {"leased", NULL, 0},
    [TICKET_LAPSED] = {"lapsed", NULL, 0},
    [TICKET_DELIVERED] = {"delivered", GONE_ACKED, DSN_SUCCESS},
    [TICKET_REFUSED] = {"refused", GONE_REFUSED, DSN_FAILURE},
    [TICKET_RETRACTED] = {"retracted", GONE_RETRACTED, 0}, /* he did it himself, and has his answer */
    [TICKET_EXPIRED] = {"expired", GONE_EXPIRED, DSN_FAILURE},
    /* Whoever waits for a word on success or on failure would else wait for ever. */
    [TICKET_UNCONFIRMED] = {"unconfirmed", GONE_UNCONFIRMED, DSN_SUCCESS | DSN_FAILURE},
    [TICKET_BOUNCED] = {"bounced", GONE_BOUNCED, DSN_FAILURE},
    [TICKET_PLAIN] = {"plain", GONE_PLAIN,
                      0}, /* the MTA that has it tells, or refuses it: then DSN_FAILURE */
};

#define TO(state) (1U << TICKET_##state)
/* What nobody has called for yet may still end in every way that the sender's side decides. */
#define BEFORE_HAND_OVER (TO(LEASED) | TO(REFUSED) | TO(RETRACTED) | TO(EXPIRED) | TO(BOUNCED) | TO(PLAIN))
/* What was perhaps handed over, in a life that a restored store has forgotten, may be confirmed by who has it
 * then; nothing may end it that says that nobody has it. */
#define PERHAPS_HANDED_OVER (TO(LEASED) | TO(REFUSED) | TO(DELIVERED) | TO(UNCONFIRMED))
/* After hand-over only the other side's word, or time, ends it. */
#define UNDER_LEASE (TO(LAPSED) | TO(DELIVERED) | TO(REFUSED))
#define AFTER_LEASE (TO(LEASED) | TO(DELIVERED) | TO(REFUSED) | TO(UNCONFIRMED))
static const struct {
    unsigned usual, perhaps;
} may_follow[TICKET_STATE_COUNT] = {
    [TICKET_WAITING] = {BEFORE_HAND_OVER | TO(HELD) | TO(CHALLENGED),
                        PERHAPS_HANDED_OVER | TO(HELD) | TO(CHALLENGED)},
    [TICKET_HELD] = {BEFORE_HAND_OVER | TO(CHALLENGED), PERHAPS_HANDED_OVER | TO(CHALLENGED)},
    [TICKET_CHALLENGED] = {BEFORE_HAND_OVER | TO(HELD), PERHAPS_HANDED_OVER | TO(HELD)},
    [TICKET_LEASED] = {UNDER_LEASE, UNDER_LEASE},
    [TICKET_LAPSED] = {AFTER_LEASE, AFTER_LEASE},
};

const char *ticket_state_name(enum ticket_state s)
{
    return (unsigned)s < TICKET_STATE_COUNT ? state_row[s].name : "unknown";
}

const char *ticket_state_gone(enum ticket_state s)
{
    return (unsigned)s < TICKET_STATE_COUNT ? state_row[s].gone : NULL;
}

bool ticket_state_ended(enum ticket_state s)
{
    return ticket_state_gone(s) != NULL;
}

bool ticket_state_may(enum ticket_state from, bool perhaps, enum ticket_state to)
{
    return (unsigned)from < TICKET_STATE_COUNT && (unsigned)to < TICKET_STATE_COUNT &&
           ((perhaps ? may_follow[from].perhaps : may_follow[from].usual) & 1U << to) != 0;
}

enum ticket_state ticket_overdue_end(const struct ticket *t)
{
    return t->handed_over_s != 0 || t->perhaps ? TICKET_UNCONFIRMED : TICKET_EXPIRED;
}

enum ticket_state ticket_refused_end(const struct ticket *t)
{
    return t->several ? TICKET_UNCONFIRMED : TICKET_REFUSED;
}

int64_t ticket_lease_end_s(const struct ticket *t, int64_t live_until_s, int64_t hard_s)
{
    int64_t until_s = t->lease_until_s > live_until_s ? t->lease_until_s : live_until_s;

    return until_s < hard_s ? until_s : hard_s;
}

enum ticket_state ticket_state_at(const struct ticket *t, int64_t now_s, int64_t live_until_s, int64_t hard_s)
{
    if (t->state != TICKET_LEASED)
        return t->state;
    return ticket_lease_end_s(t, live_until_s, hard_s) < now_s ? TICKET_LAPSED : TICKET_LEASED;
}

static bool same_token(const struct ticket *t, const uint8_t token[16])
{
    return secret_equal(t->lease_token, token, sizeof t->lease_token);
}

bool ticket_address_equal(const char *a, const char *b)
{
    const char *at_a, *at_b;

    if (a == NULL || b == NULL)
        return false;
    at_a = strrchr(a, '@');
    at_b = strrchr(b, '@');
    if (at_a == NULL || at_b == NULL)
        return strcmp(a, b) == 0;
    return span_equal(span_bytes(a, (size_t)(at_a - a)), span_bytes(b, (size_t)(at_b - b))) &&
           span_equal_nocase(span_of(at_a), span_of(at_b));
}

enum err ticket_may_claim(const struct ticket *t, const struct store_claim *c)
{
    if (ticket_state_ended(t->state))
        return ERR_GONE;
    if (!ticket_address_equal(t->sender, c->sender) || !ticket_address_equal(t->recipient, c->recipient) ||
        !ticket_address_equal(t->from, c->from))
        return ERR_CLAIM_MISMATCH;
    if (t->state == TICKET_LEASED && !same_token(t, c->lease_token))
        return ERR_LEASED;
    return t->bodies < c->bodies_max ? ERR_OK : ERR_TOO_MANY_BODIES;
}

enum err ticket_may_resume(const struct ticket *t, const struct store_claim *c)
{
    if (ticket_state_ended(t->state))
        return ERR_GONE;
    if (t->state != TICKET_LEASED || !same_token(t, c->lease_token))
        return ERR_LEASE_ENDED;
    return t->bodies < c->bodies_max ? ERR_OK : ERR_TOO_MANY_BODIES;
}

enum err ticket_may_ack(const struct ticket *t, bool digest_right)
{
    if (ticket_state_ended(t->state) && t->state != TICKET_DELIVERED)
        return ERR_GONE;
    /* A right digest proves that who sends it has read the letter: of what was perhaps handed over that says
     * that it was. */
    if (t->handed_over_s == 0 && !t->perhaps)
        return ERR_NEVER_CLAIMED;
    return digest_right ? ERR_OK : ERR_WRONG_DIGEST;
}

enum err ticket_may_nack(const struct ticket *t, const uint8_t token[16])
{
    if (t->state == TICKET_REFUSED)
        return ERR_OK;
    if (ticket_state_ended(t->state))
        return ERR_GONE;
    if (t->handed_over_s == 0 || same_token(t, token))
        return ERR_OK;
    return t->state == TICKET_LEASED ? ERR_LEASED : ERR_LEASE_ENDED;
}

enum err ticket_may_status(const struct ticket *t, enum ticket_state state)
{
    if (ticket_state_ended(t->state))
        return ERR_GONE;
    if (t->handed_over_s != 0)
        return ERR_LEASED;
    return t->state == state || ticket_state_may(t->state, t->perhaps, state) ? ERR_OK : ERR_INTERNAL;
}

enum err ticket_may_bounce(const struct ticket *t)
{
    if (ticket_state_ended(t->state))
        return ERR_GONE;
    if (t->handed_over_s != 0)
        return ERR_LEASED;
    return t->perhaps ? ERR_RESTORED : ERR_OK;
}

enum err ticket_may_recall(const struct ticket *t, bool archive_first)
{
    if (t->handed_over_s != 0)
        return ERR_HANDED_OVER;
    if (ticket_state_ended(t->state))
        return ERR_GONE;
    if (t->hold)
        return ERR_ON_HOLD;
    if (t->perhaps)
        return ERR_RESTORED;
    return archive_first && !t->archived ? ERR_UNARCHIVED : ERR_OK;
}

enum err ticket_may_plain(const struct ticket *t)
{
    if (t->handed_over_s != 0)
        return ERR_HANDED_OVER;
    if (ticket_state_ended(t->state))
        return ERR_GONE;
    return t->perhaps ? ERR_RESTORED : ERR_OK;
}

/* When the MTA took it; a restore may know no more than when it was closed to claims. */
static int64_t plain_sent_s(const struct ticket *t)
{
    struct ticket_event e;
    int64_t sent_s = t->changed_s;

    for (size_t i = 0; ticket_event_get(t, i, &e); i++)
        if (e.what == TICKET_EVENT_PLAIN_SENT)
            sent_s = e.at_s;
    return sent_s;
}

bool ticket_stands(const struct ticket *t, bool plain_due, int64_t now_s)
{
    if (t->state != TICKET_PLAIN)
        return !ticket_state_ended(t->state) || t->state == TICKET_DELIVERED;
    /* Only our own MTA's refusal gives a letter that was sent plain a reason. */
    return plain_due || (t->remote_reason[0] == '\0' && now_s - plain_sent_s(t) <= TICKET_PLAIN_STANDS_S);
}

int64_t ticket_retry_after_s(const struct ticket *t)
{
    uint32_t doublings = t->lapses < RETRY_AFTER_DOUBLINGS_MAX ? t->lapses : RETRY_AFTER_DOUBLINGS_MAX;

    return (int64_t)RETRY_AFTER_MIN_S << doublings;
}

bool ticket_asks(const struct ticket *t, unsigned what)
{
    unsigned notify = 0;

    if (t->sender[0] == '\0')
        return false;
    if (t->notify[0] == '\0' || dsn_notify_parse(span_of(t->notify), &notify) != ERR_OK)
        notify = DSN_FAILURE | DSN_DELAY;
    return (notify & what) != 0;
}

bool ticket_wants_notice(const struct ticket *t, enum ticket_state end)
{
    return (unsigned)end < TICKET_STATE_COUNT && ticket_asks(t, state_row[end].told);
}

/* ---- what happened ------------------------------------------------------------------------------------- */

static const char *const event_name[TICKET_EVENT_END - TICKET_EVENT_STUB_SENT] = {
    [TICKET_EVENT_STUB_SENT - TICKET_EVENT_STUB_SENT] = "stub-sent",
    [TICKET_EVENT_DELAY_TOLD - TICKET_EVENT_STUB_SENT] = "delay-told",
    [TICKET_EVENT_NOTICE_SENT - TICKET_EVENT_STUB_SENT] = "notice-sent",
    [TICKET_EVENT_REPLACED - TICKET_EVENT_STUB_SENT] = "replaced",
    [TICKET_EVENT_HOLD - TICKET_EVENT_STUB_SENT] = "hold",
    [TICKET_EVENT_RESTORED - TICKET_EVENT_STUB_SENT] = "restored",
    [TICKET_EVENT_ARCHIVED - TICKET_EVENT_STUB_SENT] = "archived",
    [TICKET_EVENT_RELEASED - TICKET_EVENT_STUB_SENT] = "released",
    [TICKET_EVENT_CHALLENGE_TOLD - TICKET_EVENT_STUB_SENT] = "challenge-told",
    [TICKET_EVENT_PLAIN_SENT - TICKET_EVENT_STUB_SENT] = "plain-sent",
};

const char *ticket_event_name(unsigned what)
{
    if (what >= TICKET_EVENT_STUB_SENT && what < TICKET_EVENT_END)
        return event_name[what - TICKET_EVENT_STUB_SENT];
    return ticket_state_name((enum ticket_state)what);
}

bool ticket_event_get(const struct ticket *t, size_t i, struct ticket_event *out)
{
    const uint8_t *at = t->events.data + i * TICKET_EVENT_BYTES;

    if (i >= t->events.len / TICKET_EVENT_BYTES)
        return false;
    *out = (struct ticket_event){.what = at[0], .at_s = (int64_t)codec_get_be64(at + 1)};
    return true;
}

void ticket_event_add(struct ticket *t, unsigned what, int64_t at_s)
{
    uint8_t *second = t->events.data + TICKET_EVENT_BYTES, *at;

    if (t->events.len == sizeof t->events.data) {
        memmove(second, second + TICKET_EVENT_BYTES, sizeof t->events.data - 2 * TICKET_EVENT_BYTES);
        t->events.len -= TICKET_EVENT_BYTES;
    }
    at = t->events.data + t->events.len;
    at[0] = (uint8_t)what;
    codec_put_be64(at + 1, (uint64_t)at_s);
    t->events.len += TICKET_EVENT_BYTES;
    t->event_count++;
}

bool ticket_letter_lost(const struct ticket *t)
{
    static const uint8_t none[sizeof t->payload_id];

    return memcmp(t->payload_id, none, sizeof none) == 0;
}
