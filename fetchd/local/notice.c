/*
 * notice.c - see notice.h.
 *
 * Admission beyond designation (rate, SPF, age, the recipient's rule) will be asked in judge(), between
 * designation and job.
 */
#include "local/notice.h"

#include <string.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/kill.h"
#include "base/log.h"
#include "base/secret.h"
#include "dns/resolver.h"
#include "env/env.h"
#include "env/text.h"
#include "local/answer.h"
#include "local/gate.h"
#include "mail/header.h"
#include "pull/pull.h"
#include "store/store.h"

#define WHY_MAX 200               /* bytes of a reason: it stands in an SMTP reply */
#define LIFE_MAX_S (60 * 86400LL) /* no stub is followed for longer, whatever it says */

void notice_wipe(struct notice *n)
{
    stub_wipe(&n->stub);
    secret_wipe(n, sizeof *n);
}

static enum err read_envelope(const struct api_envelope *envelope, struct notice *n, struct buf *why)
{
    if (envelope->recipient_count != 1 ||
        address_parse(span_of(envelope->recipient[0].address), &n->recipient) || n->recipient.null ||
        address_parse(span_of(envelope->sender), &n->sender) || n->sender.null) {
        buf_append_str(why, "a stub has a reverse-path and exactly one recipient");
        return ERR_STUB_MISMATCH;
    }
    return ERR_OK;
}

static enum err agree(const struct notice *n, int64_t letter_max_bytes, int64_t now_s, struct buf *why)
{
    if (strcmp(n->stub.from.domain, n->sender.domain) != 0) {
        buf_append_str(why, "stub and reverse-path name different domains");
        return ERR_STUB_MISMATCH;
    }
    if (!address_equal_nocase(&n->stub.to, &n->recipient)) {
        buf_append_str(why, "the stub is for another recipient");
        return ERR_STUB_MISMATCH;
    }
    if (n->stub.expires_s <= now_s) {
        buf_append_str(why, err_text(ERR_STUB_EXPIRED));
        return ERR_STUB_EXPIRED;
    }
    if (n->stub.size_bytes > (uint64_t)letter_max_bytes) {
        buf_printf(why, "the letter has more than %lld bytes", (long long)letter_max_bytes);
        return ERR_TOO_LARGE;
    }
    return ERR_OK;
}

enum err notice_read(const struct api_notice *request, int64_t letter_max_bytes, int64_t now_s,
                     struct notice *out, struct buf *why)
{
    enum err e;
    struct notice n = {.stub.size_bytes = 0};

    if ((e = stub_parse(span_of(request->stub), &n.stub, why)))
        return e;
    if (ticket_url_parse(span_of(n.stub.url), &n.url)) {
        buf_append_str(why, "the stub's URL is no ticket's");
        e = ERR_STUB_SYNTAX;
    } else if (!(e = read_envelope(&request->envelope, &n, why)) &&
               !(e = agree(&n, letter_max_bytes, now_s, why))) {
        *out = n;
    }
    notice_wipe(&n);
    return e;
}

enum notice_verdict notice_judge(const struct notice *n, enum err lookup, const struct designation *d,
                                 const struct config_list *trusted_proxies, enum err *err, struct buf *why)
{
    if (lookup) {
        buf_printf(why, "%.150s: %s", n->sender.domain, err_text(lookup));
        *err = lookup;
        return NOTICE_REFUSE;
    }
    if (designation_has_host(d, n->url.host, n->url.port, (const char *const *)trusted_proxies->item,
                             trusted_proxies->count))
        return NOTICE_PULL;
    if (d->present)
        buf_printf(why, "%.80s does not designate %.80s:%u", n->sender.domain, n->url.host, n->url.port);
    else
        buf_printf(why, "%.150s designates no link host", n->sender.domain);
    *err = ERR_NOT_DESIGNATED;
    return d->present && d->testing ? NOTICE_PASS : NOTICE_REFUSE;
}

/* ---- asking */

static bool designation_is_cached(const struct env *env, const char *domain)
{
    char name[ADDRESS_DOMAIN_MAX + 16];

    snprintf(name, sizeof name, "_restante.%s", domain);
    return resolver_cached(env->resolver, name, DNS_TXT);
}

/* Cached answers never wait, and so need no place at the gate. */
static enum err ask_designation(const struct env *env, const struct api_envelope *envelope,
                                const char *domain, struct designation *out)
{
    struct gate_pass pass;
    struct netaddr client = {.family = 0};
    int64_t timeout_ms = env->settings->notice_dns_timeout_s * 1000;

    if (designation_is_cached(env, domain))
        return designation_lookup(env->resolver, domain, clock_mono_ms() + timeout_ms, out);
    if (envelope->client_address && netaddr_parse(span_of(envelope->client_address), &client))
        client.family = 0;
    enum err e = gate_enter(env->gate, &client, domain, timeout_ms, &pass);
    if (e)
        return e;
    e = designation_lookup(env->resolver, domain, pass.deadline_mono_ms, out);
    gate_leave(env->gate, &pass);
    return pass.gave_way && e ? ERR_BUSY : e;
}

/* ---- the job */

static enum err fill_addresses(const struct api_notice *request, const struct notice *n, struct job *j)
{
    struct address author;
    char text[ADDRESS_TEXT_MAX];

    address_text(&n->stub.from, text);
    enum err e = TEXT_SET(j->stub_from, text);
    address_text(&n->stub.to, text);
    if (!e)
        e = TEXT_SET(j->stub_to, text);
    address_text(&n->sender, text);
    if (!e)
        e = TEXT_SET(j->envelope_from, text);
    address_text(&n->recipient, text);
    if (!e)
        e = TEXT_SET(j->recipient, text);
    if (e)
        return e;
    /* The claim must name the author: without one the link host would not hand the letter over, and the
     * sender would hear of it when its time is over. */
    if (!request->from || header_from_address(span_of(request->from), &author) != ERR_OK || author.null)
        return ERR_STUB_SYNTAX;
    address_text(&author, text);
    return TEXT_SET(j->author, text);
}

static enum err fill_job(const struct api_notice *request, const struct notice *n, struct job *j)
{
    enum err e;
    struct span id;
    const struct api_envelope *envelope = &request->envelope;
    const struct api_recipient *recipient = &envelope->recipient[0];
    struct span message_id = span_of(request->message_id);

    j->state = JOB_WAITING;
    memcpy(j->ka, n->stub.ka, sizeof j->ka);
    memcpy(j->kd, n->stub.kd, sizeof j->kd);
    j->smtputf8 = envelope->smtputf8;
    j->size_bytes = n->stub.size_bytes;
    j->created_s = j->changed_s = j->due_s = clock_now_s();
    j->expires_s =
        n->stub.expires_s < j->created_s + LIFE_MAX_S ? n->stub.expires_s : j->created_s + LIFE_MAX_S;
    TEXT_CUT(j->client_address, envelope->client_address);
    TEXT_CUT(j->client_name, envelope->client_name);
    TEXT_CUT(j->client_helo, envelope->helo);
    TEXT_CUT(j->queue_id, envelope->queue_id);
    if (header_message_id(message_id, &id) == ERR_OK)
        snprintf(j->message_id, sizeof j->message_id, "%.*s", (int)id.len, id.ptr);
    if ((e = TEXT_SET(j->url, n->stub.url)) || (e = fill_addresses(request, n, j)) ||
        (e = TEXT_SET(j->notify, recipient->notify)) || (e = TEXT_SET(j->orcpt, recipient->orcpt)) ||
        (e = TEXT_SET(j->ret, envelope->ret)) || (e = TEXT_SET(j->envid, envelope->envid)))
        return e;
    return secret_random(j->lease_token, sizeof j->lease_token);
}

static enum err keep_job(const struct env *env, const struct api_notice *request, const struct notice *n,
                         struct job *j, enum job_added *added, struct buf *why)
{
    enum err e = fill_job(request, n, j);

    if (e == ERR_STUB_SYNTAX)
        buf_append_str(why, "a stub's From names one mailbox");
    if (!e)
        e = store_job_add(env->store, j, added);
    if (!e)
        puller_wake(env->puller);
    return e;
}

/* ---- the story */

static void log_notice(const struct api_notice *request, const struct notice *n, const struct job *j,
                       int64_t began_mono_ms, const char *status, const char *detail)
{
    struct log_line line;
    char id[9];
    const struct api_envelope *envelope = &request->envelope;

    log_line_begin(&line, envelope->queue_id);
    if (j) {
        encode_hex(j->id, 4, id);
        log_line_str(&line, LOG_KEY_JOB, id);
    }
    log_line_addr(&line, LOG_KEY_FROM, envelope->sender);
    if (envelope->recipient_count)
        log_line_addr(&line, LOG_KEY_TO, envelope->recipient[0].address);
    if (n) {
        log_line_num(&line, LOG_KEY_SIZE, (int64_t)n->stub.size_bytes);
        log_line_str(&line, LOG_KEY_HOST, n->url.host);
    }
    if (envelope->client_address)
        log_line_str(&line, LOG_KEY_CLIENT, envelope->client_address);
    log_line_delay(&line, clock_mono_ms() - began_mono_ms);
    log_line_status(&line, status, detail);
    log_line_end(&line, LOG_LEVEL_INFO);
}

static const char *added_text(enum job_added added)
{
    return added == JOB_NEW     ? "a stub"
           : added == JOB_KNOWN ? "a stub seen before"
                                : "a stub whose letter was dealt with";
}

/* The whole judgement; the reply tells the milter what to say. */
static struct api_reply judge(const struct env *env, const struct api_notice *request)
{
    int64_t began = clock_mono_ms();
    enum err e = ERR_OK;
    enum job_added added = JOB_NEW;
    struct notice n;
    struct designation d;
    struct job j = {.state = JOB_WAITING};
    struct buf why;
    struct api_reply reply;

    buf_init(&why, WHY_MAX);
    if ((e = notice_read(request, env->settings->letter_max_bytes, clock_now_s(), &n, &why))) {
        reply = answer_reply_of(e, why.len ? buf_cstr(&why) : NULL);
        log_notice(request, NULL, NULL, began, "refused", reply.text);
        buf_free(&why);
        return reply;
    }
    enum err lookup = ask_designation(env, &request->envelope, n.sender.domain, &d);
    switch (notice_judge(&n, lookup, &d, &env->settings->trusted_proxies, &e, &why)) {
    case NOTICE_PULL:
        e = keep_job(env, request, &n, &j, &added, &why);
        break;
    case NOTICE_PASS:
        reply = (struct api_reply){.smtp = 0};
        log_notice(request, &n, NULL, began, "passed", buf_cstr(&why));
        goto out;
    case NOTICE_REFUSE:
        break;
    }
    if (e) {
        reply = answer_reply_of(e, why.len ? buf_cstr(&why) : NULL);
        log_notice(request, &n, NULL, began, err_temporary(e) ? "deferred" : "refused", reply.text);
    } else {
        reply = answer_reply_of(ERR_OK, added_text(added));
        log_notice(request, &n, &j, began, "accepted", reply.text);
    }
out:
    job_wipe(&j);
    notice_wipe(&n);
    buf_free(&why);
    return reply;
}

static void answer_notice(const struct env *env, struct http_exchange *x, const struct api_notice *request)
{
    struct api_reply reply = judge(env, request);

    KILL_POINT("notice-answer-before");
    answer_reply(x, &reply);
}

/* On env->notices. */
static void notice_handle_waiting(void *env, struct http_exchange *x)
{
    struct api_notice request;
    enum err e = api_notice_parse(http_body(x), &request);

    if (e) {
        answer_error(x, e, NULL);
        return;
    }
    answer_notice(env, x, &request);
    api_notice_free(&request);
}

void notice_handle(void *env_, struct http_exchange *x)
{
    const struct env *env = env_;
    struct api_notice request;
    struct address sender;
    enum err e = api_notice_parse(http_body(x), &request);

    if (e) {
        answer_error(x, e, NULL);
        return;
    }
    if (address_parse(span_of(request.envelope.sender), &sender) == ERR_OK && !sender.null &&
        !designation_is_cached(env, sender.domain))
        http_move(x, env->notices, notice_handle_waiting);
    else
        answer_notice(env, x, &request);
    api_notice_free(&request);
}
