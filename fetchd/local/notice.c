/*
 * notice.c - see notice.h: read, facts, verdict, store word, answer.
 *
 * Asked first with cached answers alone, on the pool that all handlers share; only what must wait for DNS
 * moves, and needs a place at the gate.
 */
#include "local/notice.h"

#include <stdlib.h>
#include <string.h>

#include "admission/challenge.h"
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
#include "local/inbound.h"
#include "mail/header.h"
#include "pull/pull.h"
#include "store/attempt.h"
#include "ticket/fields.h"

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

enum reason notice_reason(enum err e)
{
    return e == ERR_STUB_MISMATCH  ? REASON_MISMATCH
           : e == ERR_STUB_EXPIRED ? REASON_EXPIRED
           : e == ERR_TOO_LARGE    ? REASON_TOO_LARGE
                                   : REASON_FORM;
}

void notice_facts(const struct api_notice *request, const struct notice *n, struct span *received,
                  struct facts *out)
{
    *out = (struct facts){.kind = FACTS_STUB,
                          .sender = n->sender,
                          .originator = n->stub.from,
                          .recipient = n->recipient,
                          .link_host = n->url.host,
                          .link_port = n->url.port};
    inbound_facts(&request->envelope, request->field, request->field_count, received, out);
    inbound_author(request->from, &out->author);
}

/* ---- the job */

static enum err fill_addresses(const struct notice *n, const struct facts *f, struct job *j)
{
    enum err e;
    char text[ADDRESS_TEXT_MAX];

    address_text(&n->stub.from, text);
    if ((e = TEXT_SET(j->stub_from, text)))
        return e;
    address_text(&n->stub.to, text);
    if ((e = TEXT_SET(j->stub_to, text)))
        return e;
    address_text(&n->sender, text);
    if ((e = TEXT_SET(j->envelope_from, text)))
        return e;
    address_text(&n->recipient, text);
    if ((e = TEXT_SET(j->recipient, text)))
        return e;
    address_text(&f->author, text);
    return TEXT_SET(j->author, text);
}

static enum err fill_admission(const struct facts *f, const struct finding *found, struct job *j)
{
    enum err e = TEXT_SET(j->mailbox, f->mailbox);

    TEXT_CUT(j->verified, f->sender.domain);
    TEXT_CUT(j->organisation, f->organisation);
    TEXT_CUT(j->admission, reason_code(found->reason));
    TEXT_CUT(j->list_id, f->list_id);
    TEXT_CUT(j->token, f->token);
    admission_proof(f, j->proof);
    return e;
}

static enum err fill_job(const struct api_notice *request, const struct notice *n, const struct facts *f,
                         const struct finding *found, struct job *j)
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
    if ((e = TEXT_SET(j->url, n->stub.url)) || (e = fill_addresses(n, f, j)) ||
        (e = fill_admission(f, found, j)) || (e = TEXT_SET(j->notify, recipient->notify)) ||
        (e = TEXT_SET(j->orcpt, recipient->orcpt)) || (e = TEXT_SET(j->ret, envelope->ret)) ||
        (e = TEXT_SET(j->envid, envelope->envid)))
        return e;
    return secret_random(j->lease_token, sizeof j->lease_token);
}

/* One that waited is called for now: its sender was admitted since. */
static enum err keep_job(const struct env *env, struct job *j, enum job_added *added)
{
    enum err e = store_job_add(env->store, j, added);

    if (!e)
        puller_wake(env->puller);
    return e;
}

static enum err keep_attempt(const struct env *env, const struct api_notice *request, const struct facts *f,
                             const struct finding *found, struct job *j, enum job_added *added)
{
    struct attempt row;
    const char *subject = api_field_value(request->field, request->field_count, "Subject");
    enum err e = inbound_attempt(env->settings, f, found->reason, request->from, subject, &row);

    if (e)
        return e;
    j->tell = JOB_TELL_HELD;
    if (found->verdict == VERDICT_CHALLENGE) {
        e = challenge_url_make(env, &row, j->challenge_url);
        if (!e)
            j->tell = JOB_TELL_CHALLENGE;
        else if (e != ERR_TOO_LARGE)
            return e;
    }
    e = store_attempt_add(env->store, &row, j, (uint32_t)env->settings->attempts_max, added);
    if (!e)
        puller_wake(env->puller);
    return e;
}

/* Silently: the stub is taken, and nothing comes of it. Told: a job that only says so. */
static enum err deny(const struct env *env, const struct facts *f, const struct finding *found, struct job *j,
                     enum job_added *added)
{
    if (!f->tell_denied)
        return ERR_OK;
    j->state = JOB_REFUSED;
    TEXT_CUT(j->reason, NACK_DENIED);
    TEXT_CUT(j->text, reason_text(found->reason));
    enum err e = store_job_add(env->store, j, added);
    if (!e)
        puller_wake(env->puller);
    return e;
}

/* ---- the story */

/* A notice on its way. */
struct judging {
    const struct env *env;
    const struct api_notice *request;
    int64_t began_mono_ms;
    struct notice notice;
    struct facts facts;
    struct finding found;
    struct job job;
    enum job_added added;
    struct span received[API_RECEIVED_MAX];
};

static void log_notice(const struct judging *g, bool read, const char *reason, const char *status,
                       const char *detail)
{
    struct log_line line;
    char id[9], client[NETADDR_TEXT_MAX];
    const struct api_envelope *envelope = &g->request->envelope;

    log_line_begin(&line, envelope->queue_id);
    if (read && memcmp(g->job.id, (const uint8_t[16]){0}, sizeof g->job.id) != 0) {
        encode_hex(g->job.id, 4, id);
        log_line_str(&line, LOG_KEY_JOB, id);
    }
    log_line_addr(&line, LOG_KEY_FROM, envelope->sender);
    if (envelope->recipient_count)
        log_line_addr(&line, LOG_KEY_TO, envelope->recipient[0].address);
    if (read) {
        log_line_num(&line, LOG_KEY_SIZE, (int64_t)g->notice.stub.size_bytes);
        log_line_str(&line, LOG_KEY_HOST, g->notice.url.host);
    }
    if (envelope->client_address)
        log_line_str(&line, LOG_KEY_CLIENT, envelope->client_address);
    if (read && g->facts.relayed && g->facts.entered.family) {
        netaddr_text(&g->facts.entered, client);
        log_line_str(&line, LOG_KEY_ENTERED, client);
    }
    log_line_str(&line, LOG_KEY_REASON, reason);
    if (read && g->facts.observed)
        log_line_str(&line, LOG_KEY_WOULD, verdict_name(g->facts.overruled.verdict));
    log_line_delay(&line, clock_mono_ms() - g->began_mono_ms);
    log_line_status(&line, status, detail);
    log_line_end(&line, LOG_LEVEL_INFO);
}

static const char *finding_text(const struct finding *found)
{
    return found->text[0] ? found->text : reason_text(found->reason);
}

static enum err ask(struct judging *g, int64_t deadline_mono_ms, bool again)
{
    notice_facts(g->request, &g->notice, g->received, &g->facts);
    g->facts.deadline_mono_ms = deadline_mono_ms;
    g->facts.rate_counted = again;
    return admission_judge(g->env->admission, &g->facts, NULL, NULL, &g->found);
}

/* Waits for DNS, if there is a place for those who do. */
static enum err ask_waiting(struct judging *g)
{
    struct gate_pass pass;

    notice_facts(g->request, &g->notice, g->received, &g->facts);
    facts_entered(g->env->admission, &g->facts);
    enum err e = gate_enter(g->env->gate, &g->facts.entered, g->notice.sender.domain,
                            g->env->settings->notice_dns_timeout_s * 1000, &pass);
    if (!e) {
        e = ask(g, pass.deadline_mono_ms, true);
        gate_leave(g->env->gate, &pass);
        bool unclear = !e && g->found.verdict == VERDICT_REFUSE && err_temporary(reason_err(g->found.reason));
        if (pass.gave_way && unclear)
            e = ERR_BUSY;
    }
    if (e == ERR_BUSY) {
        g->found = (struct finding){.verdict = VERDICT_REFUSE, .reason = REASON_BUSY};
        e = ERR_OK;
    }
    return e;
}

/* A verified sender's domain is known from now on, whatever its letter's fate. */
static void note_domain(const struct judging *g)
{
    int64_t first_s;

    if (!g->facts.verified || !g->facts.organisation[0])
        return;
    enum err e = store_domain_seen(g->env->store, g->facts.organisation, g->facts.now_s, &first_s);
    if (e)
        log_warning("%s cannot be noted as seen: %s", g->facts.organisation, err_text(e));
}

/* What the verdict means for the store. */
static enum err carry_out(struct judging *g)
{
    bool keeps = g->found.verdict == VERDICT_ADMIT || g->found.verdict == VERDICT_WAIT ||
                 g->found.verdict == VERDICT_CHALLENGE || g->found.verdict == VERDICT_DENY;
    enum err e = keeps ? fill_job(g->request, &g->notice, &g->facts, &g->found, &g->job) : ERR_OK;

    if (e)
        return e;
    note_domain(g);
    switch (g->found.verdict) {
    case VERDICT_ADMIT:
        return keep_job(g->env, &g->job, &g->added);
    case VERDICT_WAIT:
    case VERDICT_CHALLENGE:
        return keep_attempt(g->env, g->request, &g->facts, &g->found, &g->job, &g->added);
    case VERDICT_DENY:
        return deny(g->env, &g->facts, &g->found, &g->job, &g->added);
    default:
        return ERR_OK;
    }
}

static const char *added_text(const struct judging *g)
{
    if (g->found.verdict == VERDICT_DENY)
        return g->facts.tell_denied ? "dropped, the sender is told" : "dropped";
    if (g->added == JOB_KNOWN_ENDED)
        return "a stub whose letter was dealt with";
    if (g->added == JOB_KNOWN)
        return "a stub seen before";
    return g->found.verdict == VERDICT_ADMIT ? "a stub" : "a contact attempt";
}

static struct api_reply conclude(struct judging *g, enum err e)
{
    static const char *const status[VERDICT_COUNT] = {[VERDICT_ADMIT] = "accepted",
                                                      [VERDICT_WAIT] = "held",
                                                      [VERDICT_CHALLENGE] = "challenged",
                                                      [VERDICT_DENY] = "denied"};
    struct api_reply reply;
    const char *reason = reason_code(g->found.reason);
    enum err refused = e;

    if (!refused && g->found.verdict == VERDICT_REFUSE)
        refused = reason_err(g->found.reason);
    if (refused) {
        reply = answer_reply_of(refused, e ? NULL : finding_text(&g->found));
        log_notice(g, true, e ? reason_code(REASON_INTERNAL) : reason,
                   err_temporary(refused) ? "deferred" : "refused", reply.text);
    } else if (g->found.verdict == VERDICT_PASS) {
        reply = (struct api_reply){.smtp = 0};
        log_notice(g, true, reason, "passed", finding_text(&g->found));
    } else {
        reply = answer_reply_of(ERR_OK, added_text(g));
        log_notice(g, true, reason, status[g->found.verdict], reply.text);
    }
    return reply;
}

/* A stub that is none. In observe mode it goes on as ordinary mail. */
static struct api_reply refuse_unread(struct judging *g, enum err e, const char *why)
{
    struct policy policy;
    struct address recipient;
    const struct api_envelope *envelope = &g->request->envelope;
    struct api_reply reply = answer_reply_of(e, why[0] ? why : NULL);
    enum reason reason = notice_reason(e);

    bool observed = envelope->recipient_count == 1 &&
                    address_parse(span_of(envelope->recipient[0].address), &recipient) == ERR_OK &&
                    !recipient.null && admission_policy(g->env->admission, &recipient, &policy) == ERR_OK &&
                    policy.mode == MODE_OBSERVE;
    log_notice(g, false, reason_code(reason), observed ? "passed" : "refused", reply.text);
    if (observed)
        reply = (struct api_reply){.smtp = 0};
    return reply;
}

/*
 * The whole judgement; *reply tells the milter what to say. ERR_WOULD_WAIT when waiting is false and the
 * cache does not hold all: nothing was done then but that its rate was counted.
 */
static enum err judge(const struct env *env, const struct api_notice *request, bool waiting,
                      struct api_reply *reply)
{
    struct buf why;
    struct judging *g = calloc(1, sizeof *g);

    if (!g)
        return ERR_NOMEM;
    g->env = env;
    g->request = request;
    g->began_mono_ms = clock_mono_ms();
    buf_init(&why, WHY_MAX);
    enum err e = notice_read(request, env->settings->letter_max_bytes, clock_now_s(), &g->notice, &why);
    if (e) {
        *reply = refuse_unread(g, e, buf_cstr(&why));
        e = ERR_OK;
        goto out;
    }
    e = waiting ? ask_waiting(g) : ask(g, DNS_CACHED_ONLY, false);
    if (!e && g->found.verdict == VERDICT_LATER) {
        e = ERR_WOULD_WAIT;
        goto out;
    }
    if (!e)
        e = carry_out(g);
    if (e == ERR_FORBIDDEN && g->facts.token[0]) {
        /* Another letter has used the token up meanwhile. */
        job_wipe(&g->job);
        g->job = (struct job){.state = JOB_WAITING};
        e = ask(g, g->facts.deadline_mono_ms, true);
        if (!e)
            e = g->found.verdict == VERDICT_LATER ? ERR_BUSY : carry_out(g);
    }
    *reply = conclude(g, e);
    e = ERR_OK;
out:
    buf_free(&why);
    job_wipe(&g->job);
    notice_wipe(&g->notice);
    free(g);
    return e;
}

static void answer_notice(struct http_exchange *x, enum err e, const struct api_reply *reply)
{
    KILL_POINT("notice-answer-before");
    if (e)
        answer_error(x, e, NULL);
    else
        answer_reply(x, reply);
}

/* On env->notices. */
static void notice_handle_waiting(void *env, struct http_exchange *x)
{
    struct api_notice request;
    struct api_reply reply;
    enum err e = api_notice_parse(http_body(x), &request);

    if (e) {
        answer_error(x, e, NULL);
        return;
    }
    answer_notice(x, judge(env, &request, true, &reply), &reply);
    api_notice_free(&request);
}

void notice_handle(void *env_, struct http_exchange *x)
{
    const struct env *env = env_;
    struct api_notice request;
    struct api_reply reply;
    enum err e = api_notice_parse(http_body(x), &request);

    if (e) {
        answer_error(x, e, NULL);
        return;
    }
    e = judge(env, &request, false, &reply);
    if (e == ERR_WOULD_WAIT)
        http_move(x, env->notices, notice_handle_waiting);
    else
        answer_notice(x, e, &reply);
    api_notice_free(&request);
}
