/*
 * visit.c - everything that comes before a request's verb. The order is the defence: what costs least is
 * asked first, and nobody without the ticket's keys learns whether it exists.
 */
#include "public/visit.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/log.h"
#include "base/secret.h"
#include "claim/trust.h"
#include "dns/designation.h"
#include "dns/resolver.h"
#include "lifecycle/story.h"
#include "mail/address.h"
#include "public/public.h"
#include "settings/settings.h"
#include "ticket/fields.h"
#include "ticket/fieldtext.h"

#define PULLER_LOOKUP_MS 5000 /* for the recipient's domain's MX and link hosts */
#define TEXT_FIELD_MAX 1024   /* bytes, decoded */

static void retry_after(struct http_exchange *x, int64_t seconds)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)(seconds < 1 ? 1 : seconds));
    http_set_field(x, FIELD_RETRY_AFTER, text);
}

void visit_refuse(struct visit *v, enum err e, int64_t retry_after_s)
{
    const struct err_info *info = err_info(e);
    if (info->http == 423 || info->http == 429 || info->http == 503)
        retry_after(v->x, retry_after_s > 0 ? retry_after_s : 60);
    http_set_field(v->x, FIELD_ERROR, info->name);
    http_answer(v->x, info->http);
}

void visit_gone(struct visit *v, const struct ticket *t)
{
    const char *reason = ticket_state_gone(t->state);
    http_set_field(v->x, FIELD_REASON, reason ? reason : "ended");
    http_answer(v->x, 410);
}

enum err visit_text_field(const struct visit *v, const char *name, struct buf *out)
{
    if (!http_has_field(v->x, name))
        return ERR_SYNTAX;
    return fieldtext_decode(http_field(v->x, name), out);
}

enum err visit_bytes_field(const struct visit *v, const char *name, uint8_t *out, size_t len)
{
    return decode_b64url(http_field(v->x, name), out, len);
}

void visit_log(const struct visit *v, const struct ticket *t, const char *status, const char *detail)
{
    struct log_line line;
    char client[NETADDR_TEXT_MAX + 2];
    snprintf(client, sizeof client, "[%s]", v->client);
    story_begin(&line, NULL, t);
    log_line_num(&line, LOG_KEY_SIZE, (int64_t)t->letter_bytes);
    log_line_str(&line, LOG_KEY_CLIENT, client);
    log_line_delay(&line, (v->now_s - t->created_s) * 1000);
    log_line_status(&line, status, detail);
    log_line_end(&line, LOG_LEVEL_INFO);
}

/* "Restante <base64url of Ka>"; ERR_SYNTAX for any other form. */
static enum err authorisation(struct http_exchange *x, uint8_t ka[TICKET_KEY_BYTES])
{
    struct span scheme, rest;
    if (!span_cut(http_field(x, FIELD_AUTHORIZATION), ' ', &scheme, &rest) ||
        !span_is_nocase(scheme, FIELD_AUTHORIZATION_SCHEME))
        return ERR_SYNTAX;
    return decode_b64url(rest, ka, TICKET_KEY_BYTES);
}

/* B and Ka are those of A under the site key. No store access. */
static enum err keys_match(struct visit *v)
{
    uint8_t a[TICKET_A_BYTES], b[TICKET_B_BYTES], ka[TICKET_KEY_BYTES] = {0};
    enum err e = ticket_path_parse(http_path(v->x), a, b, &v->verb);
    /* A key of another form is a wrong key: the same answer, and it counts. */
    if (e == ERR_OK && authorisation(v->x, ka) != ERR_OK)
        e = ERR_NOT_FOUND;
    if (e == ERR_OK)
        e = ticket_derive(v->env->keys, a, &v->keys);
    if (e == ERR_OK) {
        bool same_b = secret_equal(b, v->keys.b, sizeof b);
        bool same_ka = secret_equal(ka, v->keys.ka, sizeof ka);
        if (!same_b || !same_ka)
            e = ERR_NOT_FOUND;
    }
    if (e == ERR_OK)
        e = ticket_store_key(a, b, v->key);
    secret_wipe(ka, sizeof ka);
    return e;
}

static bool certificate_names(void *arg, const char *name)
{
    const struct visit *v = arg;
    return http_peer_has_name(v->x, name);
}

static bool is_pickup(const struct settings *s, const char *domain)
{
    for (size_t i = 0; i < s->pickup_domains.count; i++)
        if (span_is_nocase(span_of(domain), s->pickup_domains.item[i]))
            return true;
    return false;
}

/* The certificate that makes him a puller: as with link hosts that we call. May fetch lists. */
static enum err not_revoked(const struct visit *v)
{
    struct revocation_verdict verdict;
    enum err e = trust_judge_waiting(v->env->trust, http_peer_chain(v->x), clock_mono_ms() + PULLER_LOOKUP_MS,
                                     &verdict);
    if (e != ERR_OK)
        visit_log(v, &v->ticket, e == ERR_CERT_REVOKED ? "rejected" : "deferred", verdict.detail);
    return e == ERR_CERT_REVOKED ? ERR_FORBIDDEN : e;
}

/* ERR_OK, ERR_FORBIDDEN, or ERR_DNS_TEMPORARY or ERR_REVOCATION_UNKNOWN while it cannot be told;
 * ERR_WOULD_WAIT unless may_wait. */
static enum err designated(struct visit *v, bool may_wait)
{
    struct address recipient;
    bool yes = false;
    int64_t deadline = may_wait ? clock_mono_ms() + PULLER_LOOKUP_MS : DNS_CACHED_ONLY;
    if (address_parse(span_of(v->ticket.recipient), &recipient) != ERR_OK)
        return ERR_FORBIDDEN;
    if (is_pickup(v->env->settings, recipient.domain))
        return ERR_OK;
    enum err by_address =
        designation_is_puller(v->env->resolver, recipient.domain, &http_peer(v->x)->addr, deadline, &yes);
    if (by_address == ERR_OK && yes)
        return ERR_OK;
    if (!may_wait)
        return ERR_WOULD_WAIT;
    enum err by_name =
        designation_puller_names(v->env->resolver, recipient.domain, deadline, certificate_names, v, &yes);
    if (by_name == ERR_OK && yes)
        return not_revoked(v);
    if (by_address != ERR_OK || by_name != ERR_OK)
        return ERR_DNS_TEMPORARY;
    return ERR_FORBIDDEN;
}

enum err visit_begin(struct visit *v, const struct env *env, struct http_exchange *x, bool may_wait)
{
    int64_t wait_s = 0;
    memset(v, 0, sizeof *v);
    v->body.fd = -1;
    v->env = env;
    v->x = x;
    v->now_s = clock_now_s();
    const struct netaddr *from = &http_peer(x)->addr;
    netaddr_text(from, v->client);

    if (throttle_closed(env->public->throttle, from, v->now_s, &wait_s)) {
        visit_refuse(v, ERR_RATE, wait_s);
        return ERR_RATE;
    }
    enum err e = keys_match(v);
    /* Who has the right keys of a ticket that is purged, or that a lost store had, guesses nothing. */
    if (e == ERR_NOT_FOUND)
        throttle_count(env->public->throttle, from, v->now_s);
    if (e == ERR_OK)
        e = store_ticket_get(env->store, v->key, &v->ticket);
    if (e == ERR_OK)
        e = designated(v, may_wait);
    if (e == ERR_WOULD_WAIT)
        return e;
    if (e == ERR_FORBIDDEN)
        visit_log(v, &v->ticket, "rejected", "not a designated puller of the recipient's domain");
    if (e != ERR_OK)
        visit_refuse(v, e, 0);
    return e;
}

void visit_end(struct visit *v)
{
    ticket_wipe(&v->keys);
    secret_wipe(v->claimed.wrap, sizeof v->claimed.wrap);
    store_body_close(&v->body);
}
