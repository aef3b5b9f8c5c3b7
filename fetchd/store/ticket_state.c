/*
 * ticket_state.c - the rules of a ticket's life. DESIGN's words in tables; the words of store_ticket.c ask
 * here.
 */
#include "store/ticket_state.h"

#include <string.h>

#include "base/secret.h"
#include "mail/dsn.h"
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
/* After hand-over only the other side's word, or time, ends it. */
static const unsigned may_follow[TICKET_STATE_COUNT] = {
    [TICKET_WAITING] = BEFORE_HAND_OVER | TO(HELD) | TO(CHALLENGED),
    [TICKET_HELD] = BEFORE_HAND_OVER | TO(CHALLENGED),
    [TICKET_CHALLENGED] = BEFORE_HAND_OVER | TO(HELD),
    [TICKET_LEASED] = TO(LAPSED) | TO(DELIVERED) | TO(REFUSED),
    [TICKET_LAPSED] = TO(LEASED) | TO(DELIVERED) | TO(REFUSED) | TO(UNCONFIRMED),
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

bool ticket_state_may(enum ticket_state from, enum ticket_state to)
{
    return (unsigned)from < TICKET_STATE_COUNT && (unsigned)to < TICKET_STATE_COUNT &&
           (may_follow[from] & 1U << to) != 0;
}

enum ticket_state ticket_state_at(const struct ticket *t, int64_t now_s, int64_t live_until_s, int64_t hard_s)
{
    int64_t until = t->lease_until_s;

    if (t->state != TICKET_LEASED)
        return t->state;
    if (live_until_s > until)
        until = live_until_s;
    if (until > hard_s)
        until = hard_s;
    return until < now_s ? TICKET_LAPSED : TICKET_LEASED;
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
    if (t->handed_over_s == 0)
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
    return t->state == state || ticket_state_may(t->state, state) ? ERR_OK : ERR_INTERNAL;
}

enum err ticket_may_bounce(const struct ticket *t)
{
    if (ticket_state_ended(t->state))
        return ERR_GONE;
    return t->handed_over_s == 0 ? ERR_OK : ERR_LEASED;
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
