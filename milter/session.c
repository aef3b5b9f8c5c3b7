/*
 * session.c - the way of a message through the milter.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/kill.h"
#include "base/log.h"
#include "mail/stub.h"
#include "milter/inbound.h"
#include "milter/reply.h"
#include "milter/session.h"
#include "milter/upload.h"

enum state {
    STATE_IDLE,    /* between messages */
    STATE_COLLECT, /* envelope and header are being shown */
    STATE_LETTER,  /* the letter is streaming to fetchd */
    STATE_STUB,    /* a stub for us: fetchd is being told */
    STATE_DROP,    /* some recipients are to be dropped at its end, nothing streams */
    STATE_REMOVAL, /* recipients are being removed from the envelope; what fetchd took is durable */
    STATE_COUNT
};

static const char *const state_name[STATE_COUNT] = {"idle", "collect", "letter", "stub", "drop", "removal"};

#define TO(state) (1U << (state))
static const unsigned transitions[STATE_COUNT] = {
    [STATE_IDLE] = TO(STATE_COLLECT),
    [STATE_COLLECT] = TO(STATE_IDLE) | TO(STATE_LETTER) | TO(STATE_STUB) | TO(STATE_DROP),
    [STATE_LETTER] = TO(STATE_IDLE) | TO(STATE_REMOVAL),
    [STATE_STUB] = TO(STATE_IDLE),
    [STATE_DROP] = TO(STATE_IDLE) | TO(STATE_REMOVAL),
    [STATE_REMOVAL] = TO(STATE_IDLE),
};

struct session {
    const struct session_site *site;
    char *domains; /* as the MTA gave them */
    struct domain_set enabled;
    struct message_client client;
    enum state state;
    struct message message;
    struct upload upload;
    bool *removed; /* for each recipient: he is to be removed from the envelope; owned */
    size_t removed_count;
    struct api_reply refusal;
};

static const char *queue_id(const struct session *s)
{
    const char *id = s->message.plan.envelope.queue_id;
    return id ? id : "-";
}

/* False, and no change, for a step that the MTA should not have asked for. */
static bool enter(struct session *s, enum state to)
{
    if (!(transitions[s->state] & TO(to))) {
        log_error("%s: %s does not follow %s", queue_id(s), state_name[to], state_name[s->state]);
        return false;
    }
    log_debug("%s: %s -> %s", queue_id(s), state_name[s->state], state_name[to]);
    s->state = to;
    return true;
}

/* The message leaves us, whichever way. */
static void forget(struct session *s)
{
    if (s->state == STATE_IDLE)
        return;
    enter(s, STATE_IDLE);
    upload_abort(&s->upload);
    message_free(&s->message);
    free(s->removed);
    s->removed = NULL;
    s->removed_count = 0;
}

/* The summary line of a message that fetchd was asked about. */
static void summarise(struct session *s, const char *status, const char *detail)
{
    const struct message *m = &s->message;
    const struct api_envelope *env = &m->plan.envelope;
    struct log_line line;

    log_line_begin(&line, env->queue_id);
    if (*s->upload.first_ticket)
        log_line_str(&line, LOG_KEY_TICKET, s->upload.first_ticket);
    log_line_addr(&line, LOG_KEY_FROM, env->sender ? env->sender : "");
    if (env->recipient_count > 0)
        log_line_addr(&line, LOG_KEY_TO, env->recipient[0].address);
    log_line_num(&line, LOG_KEY_NRCPT, (int64_t)m->recipients_given);
    if (s->state == STATE_REMOVAL && s->upload.taken_count)
        log_line_num(&line, LOG_KEY_SIZE, (int64_t)(m->header.len + 2 + m->body_bytes));
    if (env->client_address)
        log_line_str(&line, LOG_KEY_CLIENT, env->client_address);
    log_line_delay(&line, clock_mono_ms() - m->began_ms);
    log_line_status(&line, status, detail);
    log_line_end(&line, LOG_LEVEL_INFO);
}

static enum session_step refuse(struct session *s, const struct api_reply *why)
{
    char detail[sizeof why->text + 32];
    s->refusal = *why;
    snprintf(detail, sizeof detail, "%d %s %s", why->smtp, why->enhanced, why->text);
    summarise(s, why->smtp < 500 ? "deferred" : "refused", detail);
    forget(s);
    return SESSION_REFUSE;
}

static enum session_step refuse_unavailable(struct session *s)
{
    struct api_reply why;
    reply_unavailable(&why);
    return refuse(s, &why);
}

enum err session_open(const struct session_site *site, const char *host, const struct sockaddr *peer,
                      const char *domains, struct session **out)
{
    struct session *s = calloc(1, sizeof *s);
    if (!s)
        return ERR_NOMEM;
    s->site = site;
    message_init(&s->message);
    upload_init(&s->upload);
    s->domains = strdup(domains);
    if (!s->domains || domain_set_parse(domains, &s->enabled) != ERR_OK ||
        message_client_init(&s->client, host, peer) != ERR_OK) {
        session_close(s);
        return ERR_NOMEM;
    }
    *out = s;
    return ERR_OK;
}

void session_close(struct session *s)
{
    if (!s)
        return;
    session_abort(s);
    message_free(&s->message);
    message_client_free(&s->client);
    domain_set_free(&s->enabled);
    free(s->domains);
    free(s);
}

/* What was not understood of a message is told when somebody listens. Only we can fail here, so it is
 * temporary. */
static void remember(struct session *s, enum err e)
{
    if (e && !s->message.refusal.smtp) {
        log_error("%s: %s", queue_id(s), err_text(e));
        reply_unavailable(&s->message.refusal);
    }
}

void session_helo(struct session *s, const char *name)
{
    if (message_client_helo(&s->client, name) != ERR_OK)
        log_error("%s", err_text(ERR_NOMEM)); /* HELO is for the log alone */
}

void session_mail(struct session *s, char *const *argv, const char *auth)
{
    session_abort(s);
    enter(s, STATE_COLLECT);
    remember(s, message_mail(&s->message, &s->client, s->domains, argv, auth));
}

void session_rcpt(struct session *s, char *const *argv, const char *mailer, const char *resolved)
{
    if (s->state == STATE_COLLECT)
        remember(s, message_rcpt(&s->message, argv, mailer, resolved));
}

void session_field(struct session *s, const char *name, const char *value)
{
    if (s->state == STATE_COLLECT)
        remember(s, message_field(&s->message, name, value));
}

void session_queue_id(struct session *s, const char *id)
{
    if (s->state != STATE_IDLE)
        remember(s, message_queue_id(&s->message, id));
}

static bool may_submit(const struct session *s)
{
    const struct api_envelope *env = &s->message.plan.envelope;
    if (env->auth || env->command_line)
        return true;
    for (size_t i = 0; s->client.has_netaddr && i < s->site->network_count; i++)
        if (netprefix_contains(&s->site->networks[i], &s->client.netaddr))
            return true;
    return false;
}

/* See "When fetchd is asked" in session.h. */
enum concern { CONCERN_NONE, CONCERN_STUB, CONCERN_SUBMISSION, CONCERN_LEGACY };

static enum concern concern_of(const struct session *s)
{
    if (s->message.has_stub)
        return CONCERN_STUB;
    if (may_submit(s))
        return message_sender_enabled(&s->message, &s->enabled) ? CONCERN_SUBMISSION : CONCERN_NONE;
    return s->site->legacy_asked && message_recipient_enabled(&s->message, &s->enabled) ? CONCERN_LEGACY
                                                                                        : CONCERN_NONE;
}

/* Asks for the plan. False: *why is set. */
static bool ask(struct session *s, struct api_plan_answer *answer, struct api_reply *why)
{
    struct buf request, reply;
    int status = 0;
    bool understood = false;

    buf_init_secret(&request, API_HEAD_MAX); /* may hold a stub's keys */
    buf_init(&reply, API_HEAD_MAX);
    reply_unavailable(why);
    enum err e = api_plan_format(&s->message.plan, &request);
    if (e && !err_temporary(e)) {
        /* An address or a field that the local API cannot carry: a letter with it could never be made into a
         * stub, and whether it may go plain cannot be asked. */
        const struct err_info *info = err_info(e);
        reply_set(why, info->smtp, info->enhanced, "the envelope or header of this letter is malformed: %s",
                  info->text);
        goto out;
    }
    if (!e)
        e = local_call(s->site->fetchd, "POST", API_PLAN_PATH, buf_span(&request), NULL, NULL, &status,
                       &reply);
    KILL_POINT("milter-plan-answer");
    if (e) {
        log_warning("plan: %s", err_text(e));
    } else if (status != 200) {
        reply_from_answer(why, status, buf_span(&reply), false);
    } else if (api_plan_answer_parse(buf_span(&reply), answer) != ERR_OK) {
        log_error("plan: fetchd's answer is not understood");
    } else {
        understood = true;
    }
out:
    buf_free(&reply);
    buf_free(&request);
    return understood;
}

/* Those whom fetchd takes (deposited, kept) or drops are removed in the end. ERR_NOMEM. */
static enum err choose(struct session *s, const struct api_plan_answer *answer)
{
    bool legacy = answer->kind == API_LEGACY;
    enum err e = upload_choose(&s->upload, legacy ? UPLOAD_KEEP : UPLOAD_DEPOSIT, &s->message, answer,
                               legacy ? API_VERDICT_KEEP : API_VERDICT_STUB);

    if (e)
        return e;
    if (!(s->removed = calloc(answer->recipient_count + 1, sizeof *s->removed)))
        return ERR_NOMEM;
    for (size_t i = 0; i < answer->recipient_count; i++) {
        s->removed[i] = s->upload.taken[i] || answer->verdict[i] == API_VERDICT_DROP;
        s->removed_count += s->removed[i];
    }
    return ERR_OK;
}

/* What may be said of a recipient in a plan of this kind. A refusal without a word on why is none. */
static bool verdict_fits(enum api_kind kind, enum api_verdict verdict)
{
    return verdict == API_VERDICT_PLAIN || (kind == API_LETTER && verdict == API_VERDICT_STUB) ||
           (kind == API_LEGACY && (verdict == API_VERDICT_KEEP || verdict == API_VERDICT_DROP));
}

/* Some recipients are fetchd's, the others stay as they are; or the plan cannot be carried out, and the
 * message waits. */
static enum session_step follow_verdicts(struct session *s, const struct api_plan_answer *answer)
{
    struct api_reply why;

    if (answer->recipient_count != s->message.plan.envelope.recipient_count)
        return refuse_unavailable(s);
    for (size_t i = 0; i < answer->recipient_count; i++)
        if (!verdict_fits(answer->kind, answer->verdict[i]))
            return refuse_unavailable(s);
    if (choose(s, answer) != ERR_OK)
        return refuse_unavailable(s);
    if (s->removed_count == 0) {
        if (answer->kind == API_LETTER)
            summarise(s, "plain", "no recipient takes stubs");
        forget(s);
        return SESSION_PASS;
    }
    if (s->upload.taken_count == 0) {
        enter(s, STATE_DROP);
        return SESSION_CONTINUE;
    }
    if (!upload_begin(&s->upload, s->site->fetchd, &s->message, &why))
        return refuse(s, &why);
    enter(s, STATE_LETTER);
    return SESSION_CONTINUE;
}

/* The body is of no interest: a sentence for people. */
static enum session_step tell_of_stub(struct session *s)
{
    struct api_reply why;
    enum session_step step = SESSION_DISCARD;

    enter(s, STATE_STUB);
    switch (inbound_notice(s->site->fetchd, &s->message, &why)) {
    case INBOUND_KEPT:
        summarise(s, "accepted", "stub handed to fetchd");
        break;
    case INBOUND_PASSES:
        summarise(s, "passed", "stub goes on as ordinary mail");
        step = SESSION_PASS;
        break;
    case INBOUND_REFUSED:
        return refuse(s, &why);
    }
    forget(s);
    return step;
}

static enum session_step follow_plan(struct session *s, const struct api_plan_answer *answer)
{
    if (reply_is_refusal(&answer->refuse))
        return refuse(s, &answer->refuse);
    if (answer->refuse.smtp)
        return refuse_unavailable(s);
    switch (answer->kind) {
    case API_NONE:
        forget(s);
        return SESSION_PASS;
    case API_LETTER:
    case API_LEGACY:
        return follow_verdicts(s, answer);
    case API_STUB:
        if (s->message.has_stub && s->message.plan.envelope.recipient_count == 1)
            return tell_of_stub(s);
        break;
    }
    return refuse_unavailable(s);
}

/* One stub field, one recipient, of an enabled domain: nothing that a plan could say of it. */
static bool is_plain_stub(const struct session *s)
{
    const struct api_plan *plan = &s->message.plan;
    size_t fields = 0;
    for (size_t i = 0; i < plan->field_count; i++)
        fields += strcasecmp(plan->field[i].name, STUB_FIELD_NAME) == 0;
    return fields == 1 && s->message.recipients_given == 1 && plan->envelope.recipient_count == 1 &&
           message_recipient_enabled(&s->message, &s->enabled) && !may_submit(s);
}

enum session_step session_header_end(struct session *s)
{
    struct api_plan_answer answer = {0};
    struct api_reply why;
    enum session_step step;

    if (s->state != STATE_COLLECT)
        return refuse_unavailable(s);
    if (s->message.refusal.smtp && s->message.refusal.smtp < 500)
        return refuse(s, &s->message.refusal); /* not all of it is known: whose it is cannot be told */
    enum concern concern = concern_of(s);
    if (concern == CONCERN_NONE) {
        forget(s);
        return SESSION_PASS;
    }
    if (s->message.refusal.smtp)
        return refuse(s, &s->message.refusal);
    if (s->message.cut.smtp && concern != CONCERN_LEGACY)
        return refuse(s, &s->message.cut);
    if (s->message.recipients_given > s->message.plan.envelope.recipient_count) {
        reply_set(&why, 554, "5.5.3", "more than %d recipients", API_RECIPIENTS_MAX);
        return refuse(s, &why);
    }
    if (concern == CONCERN_STUB && is_plain_stub(s))
        return tell_of_stub(s);
    step = ask(s, &answer, &why) ? follow_plan(s, &answer) : refuse(s, &why);
    api_plan_answer_free(&answer);
    return step;
}

enum session_step session_body(struct session *s, const void *data, size_t len)
{
    if (s->state != STATE_LETTER)
        return SESSION_SKIP;
    s->message.body_bytes += len;
    upload_body(&s->upload, data, len);
    return s->upload.stream ? SESSION_CONTINUE : SESSION_SKIP;
}

enum session_step session_message_end(struct session *s, local_progress progress, void *arg)
{
    struct api_reply why;

    switch (s->state) {
    case STATE_LETTER:
        if (!upload_finish(&s->upload, progress, arg, &why))
            return refuse(s, &why);
        enter(s, STATE_REMOVAL);
        return SESSION_CONTINUE;
    case STATE_DROP:
        enter(s, STATE_REMOVAL);
        return SESSION_CONTINUE;
    default:
        /* An end without an end of the header: nobody was asked. */
        return refuse_unavailable(s);
    }
}

const char *session_removal(const struct session *s, size_t i)
{
    if (s->state != STATE_REMOVAL)
        return NULL;
    for (size_t k = 0; k < s->message.plan.envelope.recipient_count; k++)
        if (s->removed[k] && i-- == 0)
            return s->message.given_recipient[k];
    return NULL;
}

enum session_step session_removed(struct session *s, bool ok)
{
    char detail[100];

    if (!ok)
        return refuse_unavailable(s);
    size_t taken = s->upload.taken_count, removed = s->removed_count,
           plain = s->message.plan.envelope.recipient_count - removed;
    if (s->upload.kind == UPLOAD_DEPOSIT) {
        snprintf(detail, sizeof detail, "stubs=%zu plain=%zu", taken, plain);
        summarise(s, "deposited", detail);
    } else {
        snprintf(detail, sizeof detail, "kept=%zu dropped=%zu plain=%zu", taken, removed - taken, plain);
        summarise(s, taken ? "kept" : "dropped", detail);
    }
    KILL_POINT("milter-before-continue");
    forget(s);
    return SESSION_CONTINUE;
}

void session_abort(struct session *s)
{
    if (s->state == STATE_LETTER)
        summarise(s, "aborted", "the client or the MTA gave up");
    forget(s);
}

const struct api_reply *session_refusal(const struct session *s)
{
    return &s->refusal;
}
