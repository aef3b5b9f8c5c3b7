/*
 * legacy.c - see legacy.h.
 */
#include "local/legacy.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "env/env.h"
#include "env/text.h"
#include "local/gate.h"
#include "local/inbound.h"
#include "seal/crypt.h"
#include "settings/settings.h"
#include "ticket/ticket.h"

#define TOKEN_TRIES 3 /* somebody else may use up a token between the look at it and its use */

/* ---- the message */

static size_t count_fields(const struct api_plan *p, const char *name)
{
    size_t count = 0;

    for (size_t i = 0; i < p->field_count; i++)
        count += span_is_nocase(span_of(p->field[i].name), name);
    return count;
}

static const char *only_field(const struct api_plan *p, const char *name)
{
    return count_fields(p, name) == 1 ? api_field_value(p->field, p->field_count, name) : NULL;
}

enum err legacy_read(const struct api_plan *request, struct legacy *out)
{
    struct legacy l = {.request = request};
    enum err e = domain_set_parse(request->envelope.domains, &l.enabled);

    if (e)
        return e;
    if (address_parse(span_of(request->envelope.sender), &l.sender) != ERR_OK)
        l.sender = (struct address){.null = true};
    inbound_author(only_field(request, "From"), &l.author);
    *out = l;
    return ERR_OK;
}

void legacy_free(struct legacy *l)
{
    domain_set_free(&l->enabled);
}

/* ---- one recipient */

/* restante@, the address that stubs come back to. */
static bool is_ours(const struct address *recipient, struct span *tag)
{
    struct span user;

    address_detail(recipient, '+', &user, tag);
    return span_is_nocase(user, "restante");
}

/* What makes a letter the same when its client tries again within a day. */
static enum err same_letter(const struct legacy *l, const char *recipient, uint8_t out[CRYPT_SHA256_BYTES])
{
    const struct api_plan *p = l->request;
    const char *id = api_field_value(p->field, p->field_count, "Message-ID");
    const char *part[] = {p->envelope.sender, recipient, id ? id : p->envelope.queue_id,
                          api_field_value(p->field, p->field_count, "Date"),
                          api_field_value(p->field, p->field_count, "Subject")};
    struct span parts[2 * sizeof part / sizeof *part];

    for (size_t i = 0; i < sizeof part / sizeof *part; i++) {
        parts[2 * i] = span_of(part[i]);
        parts[2 * i + 1] = SPAN_LITERAL("\0");
    }
    return crypt_sha256v(parts, sizeof parts / sizeof *parts, out);
}

static void admit(struct legacy_word *out, enum reason reason)
{
    *out = (struct legacy_word){.verdict = VERDICT_ADMIT, .reason = reason};
}

/* What comes to a stub's reverse-path is a report on it, or an answer. What names no stub is nobody's, and is
 * refused while its client waits: later it could only be dropped, or bounce to whoever was forged. */
static void judge_ours(const struct env *env, struct span tag, struct legacy_word *out)
{
    uint8_t a[TICKET_A_BYTES];

    if (ticket_tag_parse(env->keys, tag, a) == ERR_OK) {
        admit(out, REASON_ROLE);
        return;
    }
    *out = (struct legacy_word){.verdict = VERDICT_DENY, .reason = REASON_NO_STUB, .told = true};
    TEXT_CUT(out->text, reason_text(REASON_NO_STUB));
}

enum err legacy_judge(const struct env *env, const struct legacy *l, const struct api_recipient *recipient,
                      int64_t deadline_mono_ms, bool again, struct legacy_facts *facts,
                      struct legacy_word *out)
{
    struct address address;
    struct span tag;
    struct finding found;
    struct facts *f = &facts->facts;

    *f = (struct facts){.kind = FACTS_LEGACY};
    if (address_parse(span_of(recipient->address), &address) != ERR_OK || address.null ||
        !domain_set_has(&l->enabled, address.domain)) {
        admit(out, REASON_NONE);
        return ERR_OK;
    }
    if (is_ours(&address, &tag)) {
        judge_ours(env, tag, out);
        return ERR_OK;
    }
    f->sender = f->originator = l->sender;
    f->recipient = address;
    f->author = l->author;
    inbound_facts(&l->request->envelope, l->request->field, l->request->field_count, facts->received, f);
    f->deadline_mono_ms = deadline_mono_ms;
    f->rate_counted = again;
    f->letter = facts->letter;
    enum err e = same_letter(l, recipient->address, facts->letter);
    if (!e)
        e = admission_judge(env->admission, f, NULL, NULL, &found);
    if (e)
        return e;
    *out = (struct legacy_word){.verdict = found.verdict, .reason = found.reason, .told = f->tell_denied};
    TEXT_CUT(out->text, found.text[0] ? found.text : reason_text(found.reason));
    return ERR_OK;
}

/* ---- all of them */

enum fate { FATE_TAKES, FATE_KEEPS, FATE_REFUSES, FATE_DENIES, FATE_DENIES_ALOUD, FATE_COUNT };

static enum fate fate_of(const struct legacy_word *w)
{
    switch (w->verdict) {
    case VERDICT_ADMIT:
    case VERDICT_PASS:
        return FATE_TAKES;
    case VERDICT_REFUSE:
        return FATE_REFUSES;
    case VERDICT_DENY:
        return w->told ? FATE_DENIES_ALOUD : FATE_DENIES;
    default:
        return FATE_KEEPS;
    }
}

static void refuse(const struct legacy_word *w, struct api_plan_answer *out)
{
    enum err e = reason_err(w->reason);

    api_reply_of_error(e ? e : ERR_LEGACY_REFUSED, w->text[0] ? w->text : NULL, &out->refuse);
}

static const enum api_verdict verdict_of_fate[FATE_COUNT] = {[FATE_TAKES] = API_VERDICT_PLAIN,
                                                             [FATE_KEEPS] = API_VERDICT_KEEP,
                                                             [FATE_REFUSES] = API_VERDICT_KEEP,
                                                             [FATE_DENIES] = API_VERDICT_DROP,
                                                             [FATE_DENIES_ALOUD] = API_VERDICT_DROP};

enum err legacy_decide(const struct legacy_word *word, size_t count, struct api_plan_answer *out)
{
    size_t of[FATE_COUNT] = {0};
    const struct legacy_word *refusal = NULL, *put_off = NULL;
    struct api_plan_answer a = {.kind = API_LEGACY, .recipient_count = count};

    if (!(a.verdict = calloc(count + 1, sizeof *a.verdict)))
        return ERR_NOMEM;
    for (size_t i = 0; i < count; i++) {
        enum fate fate = fate_of(&word[i]);
        of[fate]++;
        a.verdict[i] = verdict_of_fate[fate];
        if (!refusal && (fate == FATE_REFUSES || fate == FATE_DENIES_ALOUD))
            refusal = &word[i];
        if (!put_off && fate == FATE_REFUSES && err_temporary(reason_err(word[i].reason)))
            put_off = &word[i];
    }
    size_t kept = of[FATE_KEEPS] + of[FATE_REFUSES];
    if (put_off)
        refuse(put_off, &a);
    else if (refusal && !of[FATE_TAKES] && !of[FATE_KEEPS])
        refuse(refusal, &a);
    else if (kept > LEGACY_KEPT_MAX)
        api_reply_of_error(ERR_LEGACY_REFUSED, "too many of its recipients do not know its sender",
                           &a.refuse);
    a.want_body = kept > 0 && !a.refuse.smtp;
    *out = a;
    return ERR_OK;
}

/* ---- the plan */

/* One recipient, with the token that admits the letter used up. */
static enum err judge_and_use(const struct env *env, const struct legacy *l,
                              const struct api_recipient *recipient, int64_t deadline_mono_ms,
                              struct legacy_facts *facts, struct legacy_word *word)
{
    const struct facts *f = &facts->facts;
    enum err e = ERR_OK;

    for (int tries = 0; tries < TOKEN_TRIES; tries++) {
        e = legacy_judge(env, l, recipient, deadline_mono_ms, tries > 0, facts, word);
        if (e || word->verdict != VERDICT_ADMIT || word->reason != REASON_TOKEN || !f->token[0])
            return e;
        e = store_token_use(env->store, f->mailbox, f->token, f->organisation, facts->letter, f->now_s);
        if (e != ERR_FORBIDDEN && e != ERR_NOT_FOUND)
            return e;
    }
    return e;
}

static void log_word(const struct api_envelope *envelope, const struct api_recipient *recipient,
                     const struct facts *facts, const struct legacy_word *word)
{
    static const char *const status[FATE_COUNT] = {[FATE_TAKES] = "accepted",
                                                   [FATE_KEEPS] = "kept",
                                                   [FATE_REFUSES] = "refused",
                                                   [FATE_DENIES] = "dropped",
                                                   [FATE_DENIES_ALOUD] = "refused"};
    const bool observed = facts->observed;
    struct log_line line;

    /* Ordinary mail that is simply accepted is in the MTA's log. */
    if (fate_of(word) == FATE_TAKES && word->reason != REASON_TOKEN && !observed)
        return;
    log_line_begin(&line, envelope->queue_id);
    log_line_addr(&line, LOG_KEY_FROM, envelope->sender);
    log_line_addr(&line, LOG_KEY_TO, recipient->address);
    if (envelope->client_address)
        log_line_str(&line, LOG_KEY_CLIENT, envelope->client_address);
    log_line_str(&line, LOG_KEY_REASON, reason_code(word->reason));
    if (observed)
        log_line_str(&line, LOG_KEY_WOULD, verdict_name(facts->overruled.verdict));
    log_line_status(&line, status[fate_of(word)], word->text);
    log_line_end(&line, LOG_LEVEL_INFO);
}

/* Asks for each recipient. ERR_WOULD_WAIT: an answer is not cached, and may not be waited for. */
static enum err ask_all(const struct env *env, const struct legacy *l, int64_t deadline_mono_ms,
                        struct legacy_word *word)
{
    const struct api_envelope *envelope = &l->request->envelope;
    struct legacy_facts *facts = malloc(sizeof *facts); /* some kilobytes */
    enum err e = facts ? ERR_OK : ERR_NOMEM;

    for (size_t i = 0; i < envelope->recipient_count && !e; i++) {
        e = judge_and_use(env, l, &envelope->recipient[i], deadline_mono_ms, facts, &word[i]);
        if (!e && word[i].verdict == VERDICT_LATER)
            e = ERR_WOULD_WAIT;
        if (!e)
            log_word(envelope, &envelope->recipient[i], &facts->facts, &word[i]);
    }
    free(facts);
    return e;
}

static enum err find_client(const struct env *env, const struct legacy *l, struct netaddr *out)
{
    const struct api_plan *p = l->request;
    struct legacy_facts *facts = calloc(1, sizeof *facts);

    if (!facts)
        return ERR_NOMEM;
    inbound_facts(&p->envelope, p->field, p->field_count, facts->received, &facts->facts);
    facts_entered(env->admission, &facts->facts);
    *out = facts->facts.entered;
    free(facts);
    return ERR_OK;
}

/* Where DNS is waited for, few may do so at once. */
static enum err ask_waiting(const struct env *env, const struct legacy *l, struct legacy_word *word)
{
    struct gate_pass pass;
    struct netaddr client;
    enum err e = find_client(env, l, &client);

    if (!e)
        e = gate_enter(env->gate, &client, l->sender.domain, env->settings->notice_dns_timeout_s * 1000,
                       &pass);
    if (e)
        return e;
    e = ask_all(env, l, pass.deadline_mono_ms, word);
    gate_leave(env->gate, &pass);
    return e == ERR_WOULD_WAIT ? ERR_DNS_TEMPORARY : e;
}

enum err legacy_plan(const struct env *env, const struct api_plan *request, bool may_wait,
                     struct api_plan_answer *out)
{
    struct legacy l;
    size_t count = request->envelope.recipient_count;
    struct legacy_word *word = calloc(count + 1, sizeof *word);
    enum err e = word ? legacy_read(request, &l) : ERR_NOMEM;

    if (e) {
        free(word);
        return e;
    }
    e = may_wait ? ask_waiting(env, &l, word) : ask_all(env, &l, DNS_CACHED_ONLY, word);
    if (!e)
        e = legacy_decide(word, count, out);
    legacy_free(&l);
    free(word);
    return e;
}
