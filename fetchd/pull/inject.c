/*
 * inject.c - the letter's last step: from an anonymous file to our MTA, byte for byte but for the trace
 * fields.
 */
#include "pull/inject.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admission/reason.h"
#include "base/clock.h"
#include "base/encode.h"
#include "lifecycle/letterfile.h"
#include "mail/author.h"
#include "mail/dsn.h"
#include "mail/header.h"
#include "settings/settings.h"

#define PIECE 32768
#define TRACE_MAX 8192

void inject_notify(const char *asked, char out[64])
{
    unsigned bits;
    struct buf text;
    out[0] = '\0';
    if (!asked || !*asked || dsn_notify_parse(span_of(asked), &bits) != ERR_OK)
        return;
    bits &= ~(unsigned)DSN_SUCCESS;
    if (bits == 0)
        bits = DSN_NEVER;
    buf_init(&text, 63);
    if (dsn_notify_format(bits, &text) == ERR_OK)
        snprintf(out, 64, "%s", buf_cstr(&text));
    buf_free(&text);
}

/* Reads the header block (up to and without the empty line). */
static enum err read_header(int fd, struct buf *out)
{
    off_t at = 0;
    for (;;) {
        char *room = buf_reserve(out, PIECE);
        if (!room)
            return out->max - out->len < PIECE ? ERR_TOO_LARGE : ERR_NOMEM;
        ssize_t n = pread(fd, room, PIECE, at);
        if (n < 0)
            return ERR_IO;
        if (n == 0)
            return ERR_OK;
        size_t from = out->len > 3 ? out->len - 3 : 0;
        buf_added(out, (size_t)n);
        at += n;
        const char *end = memmem(out->data + from, out->len - from, "\r\n\r\n", 4);
        if (end) {
            out->len = (size_t)(end - out->data) + 2;
            return ERR_OK;
        }
    }
}

enum err inject_check_author(const struct job *job, const struct claim_outcome *letter)
{
    struct buf header;
    struct address sender, confirmed, author;
    buf_init(&header, AUTHOR_HEADER_MAX + PIECE);
    enum err e = read_header(letter->letter_fd, &header);
    /* ERR_TOO_LARGE too: no letter of ours has such a header */
    if (e == ERR_OK)
        e = address_parse(span_of(job->stub_from), &sender);
    if (e == ERR_OK)
        e = address_parse(span_of(job->author), &confirmed);
    if (e == ERR_OK)
        e = author_of(buf_span(&header), &sender, &author, NULL);
    if (e == ERR_OK ? !address_equal_nocase(&author, &confirmed) : !err_temporary(e))
        e = ERR_FROM_CHANGED;
    buf_free(&header);
    return e;
}

/* A token of the network in a trace field: printable, no parentheses or other RFC 5322 specials of a comment.
 */
static void trace_word(struct buf *out, const char *s)
{
    for (; *s; s++)
        (void)buf_append_char(out, *s > 0x20 && *s < 0x7f && !strchr("()<>\\\";", *s) ? *s : '?');
}

/* RFC 8601 2.2. What was admitted for a reason that speaks against it was so in observe mode, or because its
 * sender's domain is testing. */
static enum err results(const struct env *env, const struct job *job, const struct claim_outcome *letter,
                        struct buf *out)
{
    enum reason reason = reason_of(job->admission);
    (void)buf_printf(out, "Authentication-Results: %s;\r\n\trestante=%s", env->settings->authserv_id,
                     reason_err(reason) == ERR_OK ? "pass" : "fail");
    if (reason != REASON_NONE)
        (void)buf_printf(out, " reason=\"%s\"", reason_code(reason));
    (void)buf_append_str(out, " smtp.mailfrom=");
    trace_word(out, job->stub_from);
    (void)buf_append_str(out, "\r\n\tpolicy.host=");
    trace_word(out, letter->host);
    struct span method, rest = span_of(job->proof);
    for (bool more = rest.len > 0; more;) {
        more = span_cut(rest, ';', &method, &rest);
        method = span_trim(method);
        (void)buf_printf(out, ";\r\n\t%.*s", (int)method.len, method.ptr);
    }
    return buf_append_str(out, "\r\n");
}

static enum err trace_fields(const struct env *env, const struct job *job, const struct claim_outcome *letter,
                             struct buf *out)
{
    char date[CLOCK_RFC5322_MAX], peer[NETADDR_TEXT_MAX], id[2 * sizeof job->id + 1];
    clock_rfc5322(clock_now_s(), date);
    netaddr_text(&letter->peer, peer);
    encode_hex(job->id, sizeof job->id, id);
    (void)buf_append_str(out, "Received: from ");
    trace_word(out, letter->host);
    (void)buf_printf(out, " ([%s%s])\r\n\t(using ", strchr(peer, ':') ? "IPv6:" : "", peer);
    for (const char *p = letter->tls; *p; p++)
        (void)buf_append_char(out, *p >= 0x20 && *p < 0x7f && !strchr("()\\", *p) ? *p : '?');
    (void)buf_printf(out, ")\r\n\tby %s (Restante) with RESTANTE id %s\r\n\tfor <%s>; %s\r\n",
                     env->settings->myhostname, id, job->recipient, date);
    return results(env, job, letter, out);
}

/* How a message without a stub came, when it was kept. */
static enum err kept_trace_fields(const struct env *env, const struct job *job, struct buf *out)
{
    char date[CLOCK_RFC5322_MAX], id[2 * sizeof job->id + 1];
    clock_rfc5322(job->created_s, date);
    encode_hex(job->id, sizeof job->id, id);
    (void)buf_append_str(out, "Received: from ");
    trace_word(out, job->client_helo[0] ? job->client_helo : "unknown");
    (void)buf_append_str(out, " (");
    if (job->client_name[0]) {
        trace_word(out, job->client_name);
        (void)buf_append_char(out, ' ');
    }
    (void)buf_append_str(out, strchr(job->client_address, ':') ? "[IPv6:" : "[");
    trace_word(out, job->client_address);
    (void)buf_printf(out, "])\r\n\tby %s (Restante, kept) id %s\r\n\tfor <%s>; %s\r\n",
                     env->settings->myhostname, id, job->recipient, date);
    if (!job->proof[0])
        return ERR_OK;
    return buf_printf(out, "Authentication-Results: %s;\r\n\t%s\r\n", env->settings->authserv_id, job->proof);
}

struct content {
    int fd; /* the letter in the clear, or */
    off_t at;
    struct letterfile *kept; /* sealed */
    bool ended;
    struct header_filter *filter;
    struct buf ready; /* what may go out next */
};

static enum err content_init(struct content *c, const struct env *env)
{
    buf_init(&c->ready, 2 * HEADER_FIELD_MAX + 2 * PIECE + TRACE_MAX);
    return header_filter_create(env->settings->authserv_id, &c->filter);
}

static void content_free(struct content *c)
{
    header_filter_free(c->filter);
    buf_free(&c->ready);
}

static ssize_t content_read(void *arg, void *out, size_t max)
{
    struct content *c = arg;
    char piece[PIECE];
    while (c->ready.len == 0 && !c->ended) {
        ssize_t n = c->kept ? letterfile_read(c->kept, piece, sizeof piece)
                            : pread(c->fd, piece, sizeof piece, c->at);
        if (n < 0)
            return -1;
        c->at += n;
        c->ended = n == 0;
        if (header_filter_feed(c->filter, piece, (size_t)n, c->ended, &c->ready) != ERR_OK)
            return -1;
    }
    size_t n = c->ready.len < max ? c->ready.len : max;
    if (n > 0) {
        memcpy(out, c->ready.data, n);
        buf_consume(&c->ready, n);
    }
    return (ssize_t)n;
}

/* What every injection has in common: the job's envelope. */
static enum err envelope_of(const struct job *job, const char *notify, uint64_t letter_bytes,
                            struct smtp_envelope *out)
{
    struct address sender, recipient;
    enum err e = address_parse(span_of(job->stub_from), &sender);
    if (e == ERR_OK)
        e = address_parse(span_of(job->recipient), &recipient);
    if (e != ERR_OK)
        return e;
    *out = (struct smtp_envelope){
        .sender = job->stub_from,
        .recipient = job->recipient,
        .notify = notify,
        .orcpt = job->orcpt,
        .ret = job->ret,
        .envid = job->envid,
        /* Only a label: a later hop without 8BITMIME must know that it may have to convert. */
        .body = "8BITMIME",
        .smtputf8 = job->smtputf8 || sender.utf8 || recipient.utf8,
        .size_bytes = letter_bytes + TRACE_MAX / 8,
    };
    return ERR_OK;
}

static void not_sent(enum err e, struct smtp_result *out)
{
    *out = (struct smtp_result){.err = err_temporary(e) ? ERR_SMTP_TEMPORARY : ERR_BAD_BYTES};
    snprintf(out->text, sizeof out->text, "%s", err_text(e));
}

void inject_letter(const struct env *env, const struct job *job, const struct claim_outcome *letter,
                   struct smtp_result *out)
{
    struct content c = {.fd = letter->letter_fd};
    struct smtp_envelope envelope;
    char notify[64], peer[NETADDR_TEXT_MAX];
    inject_notify(letter->notify, notify);
    netaddr_text(&letter->peer, peer);
    enum err e = content_init(&c, env);
    if (e == ERR_OK)
        e = trace_fields(env, job, letter, &c.ready);
    if (e == ERR_OK)
        e = envelope_of(job, notify, letter->letter_bytes, &envelope);
    if (e == ERR_OK) {
        envelope.xforward_addr = peer;
        envelope.xforward_name = envelope.xforward_helo = letter->host;
        smtp_send(env->letters_in, &envelope, content_read, &c, out);
    } else {
        not_sent(e, out);
    }
    content_free(&c);
}

void inject_kept(const struct env *env, const struct job *job, struct letterfile *letter,
                 struct smtp_result *out)
{
    struct content c = {.fd = -1, .kept = letter};
    struct smtp_envelope envelope;
    enum err e = content_init(&c, env);
    if (e == ERR_OK)
        e = kept_trace_fields(env, job, &c.ready);
    if (e == ERR_OK)
        e = envelope_of(job, job->verified[0] ? job->notify : "NEVER", job->size_bytes, &envelope);
    if (e == ERR_OK) {
        envelope.xforward_addr = job->client_address;
        envelope.xforward_name = job->client_name;
        envelope.xforward_helo = job->client_helo;
        smtp_send(env->letters_in, &envelope, content_read, &c, out);
    } else {
        not_sent(e, out);
    }
    content_free(&c);
}
