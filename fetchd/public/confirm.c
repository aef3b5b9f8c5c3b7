/*
 * confirm.c - ack, nack and status: what the recipient's site says of a ticket. Durable before the answer.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/kill.h"
#include "base/secret.h"
#include "dns/designation.h"
#include "lifecycle/lifecycle.h"
#include "public/challenge_link.h"
#include "public/public.h"
#include "public/visit.h"
#include "settings/settings.h"
#include "store/ticket_state.h"
#include "ticket/fields.h"

#define DESIGNATION_MS 5000

/* The store's word is said: log the change and let the lifecycle look at what became due. An end of which
 * nobody is told, as most are, leaves it nothing to do. */
static void changed(struct visit *v, const struct ticket *t, const char *status, const char *detail)
{
    /* A repeated word finds the ticket where the first one left it. */
    if (v->ticket.state != t->state)
        visit_log(v, t, status, detail);
    if (!ticket_state_ended(t->state) || ticket_wants_notice(t, t->state))
        lifecycle_wake(v->env->lifecycle);
}

static void refuse(struct visit *v, enum err e, const struct ticket *t)
{
    if (e == ERR_GONE)
        visit_gone(v, t);
    else
        visit_refuse(v, e, 0);
}

bool confirm_ack(struct visit *v)
{
    uint8_t digest[SEAL_DIGEST_BYTES];
    if (visit_bytes_field(v, FIELD_DIGEST, digest, sizeof digest) != ERR_OK) {
        visit_refuse(v, ERR_SYNTAX, 0);
        return false;
    }
    v->claimed.ticket = v->ticket;
    v->said = store_ack_begin(v->env->store, v->key, digest, v->now_s, &v->claimed.ticket);
    return true;
}

void confirm_acked(struct visit *v)
{
    const struct ticket *t = &v->claimed.ticket;
    KILL_POINT("ack-commit-after");
    if (v->said != ERR_OK) {
        refuse(v, v->said, t);
        return;
    }
    changed(v, t, "delivered", "acknowledged");
    KILL_POINT("ack-answer-before");
    http_answer(v->x, 204);
    KILL_POINT("ack-answer-after");
}

/* Reason codes are words of a protocol: letters, digits and '-'. */
static bool reason_valid(struct span s)
{
    if (s.len == 0 || s.len > NACK_REASON_MAX)
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (!(s.ptr[i] == '-' || (s.ptr[i] >= '0' && s.ptr[i] <= '9') ||
              (s.ptr[i] >= 'a' && s.ptr[i] <= 'z')))
            return false;
    return true;
}

void confirm_nack(struct visit *v)
{
    uint8_t token[16] = {0};
    struct buf reason, text;
    struct ticket t = v->ticket;
    buf_init(&reason, NACK_REASON_MAX);
    buf_init(&text, NACK_TEXT_MAX);
    enum err e = ERR_OK;
    if (http_has_field(v->x, FIELD_LEASE))
        e = visit_bytes_field(v, FIELD_LEASE, token, sizeof token);
    if (e == ERR_OK)
        e = visit_text_field(v, FIELD_REASON, &reason);
    if (e == ERR_OK && !reason_valid(buf_span(&reason)))
        e = ERR_SYNTAX;
    if (e == ERR_OK && http_has_field(v->x, FIELD_TEXT))
        e = visit_text_field(v, FIELD_TEXT, &text);
    if (e != ERR_OK) {
        visit_refuse(v, ERR_SYNTAX, 0);
        goto out;
    }
    e = store_nack(v->env->store, v->key, token, buf_cstr(&reason), buf_cstr(&text), v->now_s, &t);
    if (e == ERR_LEASED) {
        /* Another holds the lease: 409, not 423, since waiting does not make it ours. */
        http_answer(v->x, 409);
        goto out;
    }
    if (e != ERR_OK) {
        refuse(v, e, &t);
        goto out;
    }
    changed(v, &t, "refused", t.remote_text);
    KILL_POINT("nack-answer-before");
    http_answer(v->x, 204);
out:
    buf_free(&reason);
    buf_free(&text);
}

/* The URL is on a link host of the recipient's domain, so that nobody can have our user sent anywhere else.
 * ERR_FORBIDDEN: it is not; ERR_DNS_TEMPORARY and the like while it cannot be told. */
static enum err link_is_theirs(const struct visit *v, const struct challenge_link *link)
{
    const struct config_list *proxies = &v->env->settings->trusted_proxies;
    struct address recipient;
    struct designation d;
    if (address_parse(span_of(v->ticket.recipient), &recipient) != ERR_OK)
        return ERR_FORBIDDEN;
    enum err e = designation_lookup(v->env->resolver, recipient.domain, clock_mono_ms() + DESIGNATION_MS, &d);
    if (e != ERR_OK)
        return e;
    return d.present && designation_has_host(&d, link->host, link->port, (const char *const *)proxies->item,
                                             proxies->count)
               ? ERR_OK
               : ERR_FORBIDDEN;
}

/* What the fields say. *state: held also where a challenge's URL may not be shown: then *detail says so. */
static enum err read_status(const struct visit *v, enum ticket_state *state, struct challenge_link *link,
                            const char **detail)
{
    struct span word = http_field(v->x, FIELD_STATUS);
    bool has_url = http_has_field(v->x, FIELD_CHALLENGE);
    *state = TICKET_HELD;
    *detail = "waits at the recipient's site";
    if (span_is(word, FIELD_STATUS_HELD))
        return has_url ? ERR_SYNTAX : ERR_OK;
    if (!span_is(word, FIELD_STATUS_CHALLENGE) || !has_url)
        return ERR_SYNTAX;
    enum err e = challenge_link_parse(http_field(v->x, FIELD_CHALLENGE), link);
    if (e == ERR_OK && !ticket_state_ended(v->ticket.state))
        e = link_is_theirs(v, link);
    if (e == ERR_FORBIDDEN) {
        *detail = "a challenge that is not on a link host of the recipient's domain is not shown";
        link->url[0] = '\0';
        return ERR_OK;
    }
    if (e == ERR_OK) {
        *state = TICKET_CHALLENGED;
        *detail = "the recipient's site asks the sender to prove himself";
    }
    return e;
}

void confirm_status(struct visit *v)
{
    struct ticket t = v->ticket;
    struct challenge_link link = {.url = ""};
    enum ticket_state state;
    const char *detail;
    enum err e = read_status(v, &state, &link, &detail);
    if (e != ERR_OK) {
        visit_refuse(v, e, 0);
        return;
    }
    e = store_status(v->env->store, v->key, state, link.url, v->now_s, &t);
    if (e == ERR_LEASED) {
        http_answer(v->x, 409);
        return;
    }
    if (e != ERR_OK) {
        refuse(v, e, &t);
        return;
    }
    changed(v, &t, ticket_state_name(t.state), detail);
    payload_facts(v->x, &t);
    KILL_POINT("status-answer-before");
    http_answer(v->x, 204);
}
