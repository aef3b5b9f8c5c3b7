/*
 * notification.c - see notification.h.
 */
#include "lifecycle/notification.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/log.h"
#include "env/site.h"
#include "lifecycle/letterfile.h"
#include "mail/address.h"
#include "mail/dsn.h"

#define NOTICE_MAX 65536 /* bytes of the notification without the letter */

struct notification {
    struct buf front, back;
    struct letterfile *letter; /* NULL: what goes along stands in front */
    enum { READ_FRONT, READ_LETTER, READ_BACK } phase;
    size_t offset;
    enum notify_return returns;
    bool broken; /* the letter could not be read to its end */
};

static bool is_status(struct span s, char class)
{
    return s.len >= 5 && s.len < 12 && s.ptr[0] == class && s.ptr[1] == '.' &&
           strspn(s.ptr, "0123456789.") >= s.len;
}

#define SAID_BY "host "
#define SAID " said: "

/* "host mx.b.example said: 550 ..." (bounce.c) into the two; text alone when nobody is named. */
static struct span split_said(const struct ticket *t, char host[256])
{
    struct span text = span_of(t->remote_text);
    const char *end = strstr(t->remote_text, SAID);
    size_t from = sizeof SAID_BY - 1;

    host[0] = '\0';
    if (end && span_starts_nocase(text, SAID_BY) && (size_t)(end - text.ptr) > from &&
        (size_t)(end - text.ptr) - from < 256) {
        memcpy(host, text.ptr + from, (size_t)(end - text.ptr) - from);
        host[(size_t)(end - text.ptr) - from] = '\0';
        return span_of(end + sizeof SAID - 1);
    }
    return text;
}

/* Who reported it, as far as it is known: the MTA that a bounce names, or the address (RFC 5321 4.1.3) from
 * which the letter was refused after it was called for. */
static const char *remote_mta(const struct ticket *t, char host[256])
{
    (void)split_said(t, host);
    if (!host[0] && t->state == TICKET_REFUSED && t->lease_holder[0])
        snprintf(host, 256, strchr(t->lease_holder, ':') ? "[IPv6:%s]" : "[%s]", t->lease_holder);
    return host[0] ? host : NULL;
}

/* What the other side said, as an enhanced status code: a bounce's reason is one, a nack's text is an SMTP
 * reply ("550 5.1.1 ..."). The fallback when neither has one. */
static const char *status_of(const struct ticket *t, char out[12], const char *fallback)
{
    struct span code, status = span_of(t->remote_reason), rest;
    char host[256];

    /* What an MTA tried in vain for days (4.4.1) failed for good as well. */
    bool tried = t->state == TICKET_BOUNCED && is_status(status, '4');
    if (!tried && !is_status(status, '5')) {
        span_cut(split_said(t, host), ' ', &code, &rest);
        span_cut(rest, ' ', &status, &rest);
        if (is_status(code, '5'))
            status = code;
    }
    if (!tried && !is_status(status, '5'))
        return fallback;
    memcpy(out, status.ptr, status.len);
    out[0] = '5';
    out[status.len] = '\0';
    return out;
}

/* When the letter is destroyed already: what the ticket knows of its header. */
static enum err append_known_header(const struct ticket *t, struct buf *out)
{
    enum err e = ERR_OK;

    if (t->from_field[0])
        e = buf_printf(out, "From: %s\r\n", t->from_field);
    if (!e)
        e = buf_printf(out, "To: %s\r\n", t->recipient);
    if (!e && t->message_id[0])
        e = buf_printf(out, "Message-ID: <%s>\r\n", t->message_id);
    return e;
}

/* ENVID and ORCPT in the clear; NULL where there is none, or none that can be read. */
static enum err parameter_value(const char *given, enum err (*decode)(struct span, struct buf *),
                                char out[STORE_PARAM_MAX], const char **value)
{
    struct buf text;

    *value = NULL;
    if (!given[0])
        return ERR_OK;
    buf_init(&text, STORE_PARAM_MAX - 1);
    enum err e = decode(span_of(given), &text);
    if (!e) {
        snprintf(out, STORE_PARAM_MAX, "%s", buf_cstr(&text));
        *value = out;
    }
    buf_free(&text);
    return e == ERR_NOMEM ? e : ERR_OK;
}

static enum err explain(const struct ticket *t, const struct notify_words *words, struct buf *out)
{
    char when[CLOCK_RFC5322_MAX];
    enum err e;

    clock_rfc5322(t->created_s, when);
    e = buf_printf(out, "%s\n\nRecipient: %s\nLetter of: %s\n", words->explanation, t->recipient, when);
    if (!e && t->message_id[0])
        e = buf_printf(out, "Message-ID: <%s>\n", t->message_id);
    if (!e && t->handed_over_s) {
        clock_rfc5322(t->handed_over_s, when);
        e = buf_printf(out, "Collected: %s\n", when);
    }
    if (!e && t->remote_text[0])
        e = buf_printf(out, "Reason: %s\n", t->remote_text);
    if (!e && words->action == DSN_DELAYED) {
        clock_rfc5322(t->expires_s, when);
        e = buf_printf(out, "Waits until: %s\n", when);
    }
    return e;
}

/* When something last happened that this tells of. */
static int64_t last_attempt_s(const struct ticket *t)
{
    if (t->state == TICKET_EXPIRED || !ticket_state_ended(t->state))
        return t->stub_sent_s;
    return t->state == TICKET_UNCONFIRMED ? t->handed_over_s : t->changed_s;
}

/* The letter, if it can be had. What is wrong with it must not keep the sender from being told. */
static enum err open_letter(const struct env *env, const struct ticket *t, struct letterfile **out)
{
    enum err e = letterfile_open(env->store, t, out);

    if (e == ERR_OK || e == ERR_NOMEM)
        return e;
    if (e != ERR_NOT_FOUND && e != ERR_GONE)
        log_error("a letter cannot be read: its sender is told without it: %s", err_text(e));
    *out = NULL;
    return ERR_OK;
}

/* The letter's header into the front; what the ticket knows of it without the letter. */
static enum err put_header_part(const struct ticket *t, struct notification *n)
{
    enum err e = ERR_OK;

    n->returns = n->letter ? NOTIFY_HEADER : NOTIFY_FACTS;
    if (n->letter && (e = letterfile_header(n->letter, &n->front)) && e != ERR_NOMEM) {
        log_error("a letter is damaged: its sender is told without it");
        n->returns = NOTIFY_FACTS;
    }
    if (n->returns == NOTIFY_FACTS)
        e = append_known_header(t, &n->front);
    letterfile_close(n->letter);
    n->letter = NULL;
    return e;
}

static enum err compose(const struct env *env, const struct ticket *t, const struct notify_words *words,
                        enum notify_return most, struct notification *n)
{
    enum err e;
    char boundary[80], message_id[ADDRESS_DOMAIN_MAX + 80], status[12];
    char envid[STORE_PARAM_MAX], orcpt[STORE_PARAM_MAX], hex[ENCODE_HEX_LEN(TICKET_A_BYTES) + 1];
    char host[256];
    struct address sender;
    struct buf explanation;
    struct dsn dsn = {.action = words->action};

    buf_init(&explanation, NOTICE_MAX);
    encode_hex(t->a, sizeof t->a, hex);
    /* The same for each try: whoever gets the notification twice after a crash can tell. */
    snprintf(message_id, sizeof message_id, "restante-notice.%s.%s@%s", hex,
             words->action == DSN_DELAYED ? "delayed" : ticket_state_name(t->state), env->site->hostname);
    if (most >= NOTIFY_HEADER && (e = open_letter(env, t, &n->letter)))
        goto out;
    bool full = most == NOTIFY_LETTER && n->letter && words->action == DSN_FAILED &&
                span_is_nocase(span_of(t->ret), "FULL");
    n->returns = NOTIFY_LETTER;
    if ((e = address_parse(span_of(t->sender), &sender)) || (e = explain(t, words, &explanation)) ||
        (e = parameter_value(t->envid, dsn_xtext_decode, envid, &dsn.envid)) ||
        (e = parameter_value(t->orcpt, dsn_orcpt_decode, orcpt, &dsn.orcpt)))
        goto out;
    dsn.reporting_mta = env->site->hostname;
    dsn.from_domain = sender.domain;
    dsn.to = t->sender;
    dsn.message_id = message_id;
    dsn.final_recipient = t->recipient;
    /* What ended an expired one is its time, whatever the MTA last said to its stub. */
    bool theirs = words->action == DSN_FAILED && t->state != TICKET_EXPIRED;
    dsn.status = theirs ? status_of(t, status, words->status) : words->status;
    bool said = words->action == DSN_FAILED || words->action == DSN_DELAYED;
    dsn.diagnostic = said && t->remote_text[0] ? split_said(t, host).ptr : NULL;
    dsn.remote_mta = said ? remote_mta(t, host) : NULL;
    dsn.explanation = buf_cstr(&explanation);
    dsn.original_message_id = t->message_id[0] ? t->message_id : NULL;
    dsn.subject = words->subject;
    dsn.arrival_s = t->created_s;
    dsn.last_attempt_s = last_attempt_s(t);
    dsn.retry_until_s = words->action == DSN_DELAYED ? t->expires_s : 0;
    dsn.date_s = clock_now_s();
    dsn.smtputf8 = t->smtputf8;
    if ((e = dsn_begin(&dsn, full, boundary, &n->front)))
        goto out;
    if (!full)
        e = put_header_part(t, n);
    if (!e)
        e = dsn_end(boundary, &n->back);
out:
    buf_free(&explanation);
    return e;
}

enum err notification_open(const struct env *env, const struct ticket *t, const struct notify_words *words,
                           enum notify_return most, struct notification **out)
{
    struct notification *n = calloc(1, sizeof *n);

    if (!n)
        return ERR_NOMEM;
    buf_init(&n->front, NOTICE_MAX + LETTERFILE_HEADER_MAX);
    buf_init(&n->back, 256);
    enum err e = compose(env, t, words, most, n);
    if (e) {
        notification_close(n);
        return e;
    }
    *out = n;
    return ERR_OK;
}

enum notify_return notification_returns(const struct notification *n)
{
    return n->returns;
}

bool notification_broken(const struct notification *n)
{
    return n->broken;
}

void notification_close(struct notification *n)
{
    if (!n)
        return;
    letterfile_close(n->letter);
    buf_free(&n->front);
    buf_free(&n->back);
    free(n);
}

static ssize_t read_buf(struct notification *n, const struct buf *b, void *out, size_t max)
{
    size_t len = b->len - n->offset;

    if (len > max)
        len = max;
    if (len)
        memcpy(out, b->data + n->offset, len);
    n->offset += len;
    return (ssize_t)len;
}

ssize_t notification_read(void *arg, void *out, size_t max)
{
    struct notification *n = arg;
    ssize_t got;

    for (;;) {
        switch (n->phase) {
        case READ_FRONT:
            if ((got = read_buf(n, &n->front, out, max)))
                return got;
            n->phase = READ_LETTER;
            break;
        case READ_LETTER:
            if (n->letter && (got = letterfile_read(n->letter, out, max))) {
                n->broken = got < 0;
                return got;
            }
            n->phase = READ_BACK;
            n->offset = 0;
            break;
        case READ_BACK:
            return read_buf(n, &n->back, out, max);
        }
    }
}
