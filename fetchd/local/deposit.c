/*
 * deposit.c - one deposit is a small machine fed by the body's pieces: head, letter, commit (arrival.h). One
 * path for one recipient and for a thousand.
 */
#include "local/deposit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/kill.h"
#include "base/log.h"
#include "env/env.h"
#include "env/text.h"
#include "lifecycle/lifecycle.h"
#include "lifecycle/limits.h"
#include "lifecycle/notify.h"
#include "lifecycle/story.h"
#include "local/answer.h"
#include "local/arrival.h"
#include "local/system_mail.h"
#include "mail/address.h"
#include "settings/settings.h"
#include "store/store.h"
#include "ticket/ticket.h"

#define WHY_MAX 250 /* bytes: it stands in a struct api_reply */

struct deposit {
    struct arrival in;
    struct api_deposit request;
    struct buf why; /* figures of the store to its error */
};

static void deposit_free(void *state)
{
    struct deposit *d = state;

    if (!d)
        return;
    arrival_free(&d->in);
    api_deposit_free(&d->request);
    buf_free(&d->why);
    free(d);
}

static struct deposit *deposit_new(void)
{
    struct deposit *d = calloc(1, sizeof *d);

    if (d) {
        arrival_init(&d->in);
        buf_init(&d->why, WHY_MAX);
    }
    return d;
}

/* Takes bytes for the head from the piece; *used tells how many. */
static enum err take_head(const struct env *env, struct deposit *d, struct span piece, size_t *used)
{
    bool complete;
    enum err e = arrival_head(&d->in, piece, used, &complete);

    if (e || !complete)
        return e;
    if ((e = api_deposit_parse(buf_span(&d->in.head), &d->request)))
        return e;
    return d->request.envelope.recipient_count ? arrival_begin(env, &d->in, 1) : ERR_SYNTAX;
}

/* ---- the commit */

static enum err set_address(char to[STORE_ADDRESS_MAX], const char *from)
{
    struct address address;
    char text[ADDRESS_TEXT_MAX];

    if (address_parse(span_of(from), &address) || address.null)
        return ERR_ADDRESS;
    address_text(&address, text);
    return text_set(to, STORE_ADDRESS_MAX, text);
}

static enum err fill_common(const struct env *env, const struct api_envelope *envelope,
                            const struct letter_facts *facts, struct ticket *t)
{
    enum err e;
    const char *owner = envelope->auth && envelope->auth[0] ? envelope->auth : NULL;

    t->created_s = t->changed_s = clock_now_s();
    t->expires_s =
        t->created_s + (facts->retention.asked_s ? facts->retention.asked_s : env->settings->retention_s);
    t->smtputf8 = envelope->smtputf8;
    t->bulk = facts->bulk;
    t->body_8bit = envelope->body && span_is_nocase(span_of(envelope->body), "8BITMIME");
    if ((e = set_address(t->sender, envelope->sender)) ||
        (e = TEXT_SET(t->owner, owner ? owner : t->sender)) || (e = TEXT_SET(t->from, facts->from)) ||
        (e = TEXT_SET(t->from_field, facts->from_field)) ||
        (e = TEXT_SET(t->message_id, facts->message_id)) || (e = TEXT_SET(t->list_id, facts->list_id)) ||
        (e = TEXT_SET(t->queue_id, envelope->queue_id)) || (e = TEXT_SET(t->ret, envelope->ret)) ||
        (e = TEXT_SET(t->envid, envelope->envid)))
        return e;
    return env->settings->stub_subject ? TEXT_SET(t->subject, facts->subject) : ERR_OK;
}

static enum err fill_recipient(const struct site *site, const struct address *sender,
                               const struct api_recipient *r, struct ticket *t)
{
    enum err e = set_address(t->recipient, r->address);

    if (!e)
        e = TEXT_SET(t->notify, notify_asked(site, sender->domain, r->notify));
    if (!e)
        e = TEXT_SET(t->orcpt, r->orcpt);
    return e;
}

static void log_tickets(const struct deposit *d, const struct store_deposit *s)
{
    for (size_t i = 0; i < s->count; i++) {
        struct log_line line;
        const struct ticket *t = &s->item[i].ticket;
        story_begin(&line, d->request.envelope.queue_id, t);
        log_line_str(&line, LOG_KEY_MESSAGE_ID, t->message_id);
        log_line_num(&line, LOG_KEY_SIZE, (int64_t)t->letter_bytes);
        log_line_num(&line, LOG_KEY_NRCPT, (int64_t)s->count);
        log_line_delay(&line, clock_mono_ms() - d->in.began_mono_ms);
        log_line_status(&line, "deposited",
                        s->item[i].existing ? "the same letter again, the existing ticket" : "");
        log_line_end(&line, LOG_LEVEL_INFO);
    }
}

static enum err format_answer(const struct store_deposit *s, struct buf *json)
{
    struct api_deposit_answer answer = {.ticket_count = s->count};

    if (!(answer.ticket = calloc(s->count + 1, sizeof *answer.ticket)))
        return ERR_NOMEM;
    for (size_t i = 0; i < s->count; i++)
        encode_hex(s->item[i].ticket.a, TICKET_A_BYTES, answer.ticket[i]);
    enum err e = api_deposit_answer_format(&answer, json);
    free(answer.ticket);
    return e;
}

/* The payload's last chunk and its header, then everything in one durable commit. After an error nothing
 * remains. */
static enum err commit(const struct env *env, struct deposit *d, struct buf *json)
{
    enum err e;
    struct letter_facts facts;
    struct address reverse_path;
    const struct api_envelope *envelope = &d->request.envelope;
    struct quota_limits limits;
    struct store_deposit s = {.version = 1,
                              .limits = &limits,
                              .system_mail = system_mail(envelope),
                              .why = &d->why,
                              .count = envelope->recipient_count};
    struct ticket_keys *keys = calloc(s.count, sizeof *keys);

    limits_of(env->settings, &limits);
    s.item = calloc(s.count, sizeof *s.item);
    if (!keys || !s.item) {
        e = ERR_NOMEM;
        goto out;
    }
    if ((e = address_parse(span_of(envelope->sender), &reverse_path)) ||
        (e = arrival_finish(&d->in, &reverse_path, &facts)))
        goto out;
    if (!retention_fits(&facts.retention, env->settings->min_retention_s, env->settings->max_retention_s)) {
        e = ERR_RETENTION;
        goto out;
    }
    s.letter_bytes = d->in.letter_bytes;
    if ((e = fill_common(env, envelope, &facts, &s.item[0].ticket)))
        goto out;
    for (size_t i = 0; i < s.count; i++) {
        if (i > 0) {
            s.item[i].ticket = s.item[0].ticket;
            s.item[i].ticket.notify[0] = s.item[i].ticket.orcpt[0] = '\0';
        }
        if ((e = fill_recipient(env->site, &reverse_path, &envelope->recipient[i], &s.item[i].ticket)) ||
            (e = ticket_create(env->keys, &keys[i])))
            goto out;
        memcpy(s.item[i].ticket.a, keys[i].a, TICKET_A_BYTES);
        s.item[i].keys = &keys[i];
    }
    s.payload = d->in.payload;
    s.dek = sealer_dek(d->in.sealer);
    s.digest = d->in.digest;
    s.body_digest = facts.body_digest;
    d->in.payload = NULL;
    if ((e = store_deposit(env->store, &s)))
        goto out;
    log_tickets(d, &s);
    lifecycle_deposited(env->lifecycle);
    e = format_answer(&s, json);
out:
    if (keys) {
        for (size_t i = 0; i < s.count; i++)
            ticket_wipe(&keys[i]);
    }
    free(keys);
    free(s.item);
    return e;
}

static void log_refused(const struct deposit *d, enum err e, const char *text)
{
    struct log_line line;

    log_line_begin(&line, d->request.envelope.queue_id);
    if (d->request.envelope.sender)
        log_line_addr(&line, LOG_KEY_FROM, d->request.envelope.sender);
    log_line_num(&line, LOG_KEY_SIZE, (int64_t)d->in.letter_bytes);
    log_line_delay(&line, clock_mono_ms() - d->in.began_mono_ms);
    log_line_status(&line, err_temporary(e) ? "deferred" : "refused", text);
    log_line_end(&line, err_temporary(e) ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO);
}

void deposit_handle(void *env_, struct http_exchange *x)
{
    const struct env *env = env_;
    enum err e = ERR_OK;
    struct buf json;
    struct deposit *d = http_state(x);

    if (!d) {
        if (!(d = deposit_new())) {
            answer_error(x, ERR_NOMEM, NULL);
            return;
        }
        http_set_state(x, d, deposit_free);
    }
    struct span piece = http_body(x);
    bool ended = http_body_ended(x);
    size_t all = piece.len, used;
    if (!e && !d->in.head_read && piece.len) {
        e = take_head(env, d, piece, &used);
        piece = (struct span){piece.ptr + used, piece.len - used};
    }
    if (!e && d->in.head_read)
        e = arrival_letter(env, &d->in, piece);
    http_body_consume(x, all);
    if (!e && !ended)
        return;
    buf_init(&json, API_HEAD_MAX);
    if (!e)
        e = d->in.head_read ? commit(env, d, &json) : ERR_SYNTAX;
    if (e) {
        buf_free(&json);
        char text[WHY_MAX];
        snprintf(text, sizeof text, "%s%s%s", err_text(e), d->why.len ? ": " : "", buf_cstr(&d->why));
        log_refused(d, e, text);
        answer_error(x, e, text);
        return;
    }
    KILL_POINT("deposit-answer-before");
    answer_json(x, 201, &json);
}
