/*
 * bounce.c - the message goes into an anonymous file while it arrives (a human's answer may be of any size);
 * its first part is enough to tell a report.
 */
#include "local/bounce.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admission/reason.h"
#include "base/clock.h"
#include "base/kill.h"
#include "base/log.h"
#include "env/env.h"
#include "lifecycle/lifecycle.h"
#include "lifecycle/story.h"
#include "local/answer.h"
#include "local/api.h"
#include "mail/address.h"
#include "mail/dsn.h"
#include "mail/report.h"
#include "mta/smtp.h"
#include "settings/settings.h"
#include "store/store.h"
#include "ticket/ticket.h"

#define REPORT_MAX (1024 * 1024) /* bytes looked at: the report proper stands in front of what it returns */

struct bounce {
    bool head_read;
    bool after_cr; /* the last octet was a CR, which is not written yet */
    struct buf head;
    struct api_deposit request;
    int fd;
    uint64_t size;
};

static void bounce_free(void *state)
{
    struct bounce *b = state;

    if (!b)
        return;
    api_deposit_free(&b->request);
    buf_free(&b->head);
    if (b->fd >= 0)
        close(b->fd);
    free(b);
}

static struct bounce *bounce_new(const struct env *env)
{
    char path[4096];
    struct bounce *b = calloc(1, sizeof *b);

    if (!b)
        return NULL;
    buf_init(&b->head, API_HEAD_MAX);
    snprintf(path, sizeof path, "%s/spool", env->settings->data_directory);
    b->fd = open(path, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    return b;
}

static enum err take_head(struct bounce *b, struct span piece, size_t *used)
{
    enum err e;
    const char *end = memchr(piece.ptr, '\n', piece.len);
    size_t len = end ? (size_t)(end - piece.ptr) : piece.len;

    *used = end ? len + 1 : len;
    if ((e = buf_append(&b->head, piece.ptr, len)) || !end)
        return e;
    if ((e = api_deposit_parse(buf_span(&b->head), &b->request)))
        return e;
    b->head_read = true;
    return b->request.envelope.recipient_count == 1 ? ERR_OK : ERR_SYNTAX;
}

static enum err write_out(const struct env *env, struct bounce *b, struct span piece)
{
    b->size += piece.len;
    if (b->size > (uint64_t)env->settings->letter_max_bytes)
        return ERR_TOO_LARGE;
    while (piece.len) {
        ssize_t n = write(b->fd, piece.ptr, piece.len);
        if (n < 0 && errno != EINTR)
            return err_from_errno(errno);
        if (n > 0)
            piece = (struct span){piece.ptr + n, piece.len - (size_t)n};
    }
    return ERR_OK;
}

/* Postfix's pipe(8) gives LF line ends, other MTAs CRLF: what is passed on has CRLF, and a bare CR becomes a
 * blank, as Postfix has it. */
static enum err take_message(const struct env *env, struct bounce *b, struct span piece)
{
    char out[2 * 4096 + 1];
    enum err e = ERR_OK;

    for (size_t i = 0; i < piece.len && !e;) {
        size_t len = 0;
        for (size_t n = 0; n < 4096 && i < piece.len; n++, i++) {
            char c = piece.ptr[i];
            if (b->after_cr && c != '\n')
                out[len++] = ' ';
            if (c == '\n')
                out[len++] = '\r';
            if (c != '\r')
                out[len++] = c;
            b->after_cr = c == '\r';
        }
        e = write_out(env, b, span_bytes(out, len));
    }
    return e;
}

/* ---- what it means */

/* "restante+<tag>@domain" -> A; false: no stub of ours has this reverse-path. */
static bool read_tag(const struct env *env, const char *recipient, uint8_t a[TICKET_A_BYTES])
{
    struct address address;
    struct span user, detail;

    if (address_parse(span_of(recipient), &address))
        return false;
    address_detail(&address, '+', &user, &detail);
    return span_is_nocase(user, "restante") && ticket_tag_parse(env->keys, detail, a) == ERR_OK;
}

static enum err read_report(const struct bounce *b, struct dsn_report *out)
{
    struct buf text;
    size_t want = b->size < REPORT_MAX ? (size_t)b->size : REPORT_MAX;
    enum err e = ERR_NOMEM;

    buf_init(&text, REPORT_MAX);
    char *to = buf_reserve(&text, want + 1 < REPORT_MAX ? want + 1 : want);
    ssize_t got = to ? pread(b->fd, to, want, 0) : 0;
    if (got < 0) {
        e = ERR_IO;
    } else if (to) {
        buf_added(&text, (size_t)got);
        e = dsn_report_parse(buf_span(&text), out);
    }
    buf_free(&text);
    return e;
}

static void log_bounce(const struct bounce *b, const struct ticket *t, const char *status, const char *detail)
{
    struct log_line line;

    story_begin(&line, b->request.envelope.queue_id, t);
    log_line_num(&line, LOG_KEY_SIZE, (int64_t)b->size);
    log_line_status(&line, status, detail);
    log_line_end(&line, LOG_LEVEL_INFO);
}

static enum err take_report(const struct env *env, const struct bounce *b, const struct dsn_report *report,
                            struct ticket *t)
{
    const char *words = report->diagnostic ? report->diagnostic : "the stub came back";
    char text[STORE_TEXT_MAX];

    if (report->action != DSN_FAILED) {
        log_bounce(b, t, "ignored",
                   report->action == DSN_DELAYED ? "the stub is delayed" : "a report on the stub");
        return ERR_OK;
    }
    /* In Postfix's words, which the notification takes apart again. */
    if (report->remote_mta && report->diagnostic)
        snprintf(text, sizeof text, "host %s said: %s", report->remote_mta, words);
    else
        snprintf(text, sizeof text, "%s", words);
    enum err e = store_bounced(env->store, t->a, report->status, text, clock_now_s(), t);
    if (e == ERR_OK) {
        log_bounce(b, t, "bounced", text);
        lifecycle_wake(env->lifecycle);
    } else if (e == ERR_GONE || e == ERR_LEASED || e == ERR_RESTORED) {
        log_bounce(b, t, "ignored",
                   "the stub came back after the letter was handed over or the ticket ended");
        e = ERR_OK;
    }
    return e;
}

struct reading {
    int fd;
    off_t offset;
};

static ssize_t read_file(void *arg, void *out, size_t max)
{
    struct reading *r = arg;
    ssize_t n = pread(r->fd, out, max, r->offset);

    if (n > 0)
        r->offset += n;
    return n;
}

/* A human's answer, an absence notice: for the letter's sender. */
static enum err pass_on(const struct env *env, const struct bounce *b, const struct ticket *t)
{
    char text[STORE_TEXT_MAX];
    struct smtp_result result;
    struct reading reading = {.fd = b->fd};
    struct smtp_envelope envelope = {.sender = b->request.envelope.sender,
                                     .recipient = t->sender,
                                     .smtputf8 =
                                         t->smtputf8 || !report_is_ascii(span_of(b->request.envelope.sender)),
                                     .body = "8BITMIME",
                                     .size_bytes = b->size};

    smtp_send(env->letters_in, &envelope, read_file, &reading, &result);
    smtp_result_text(&result, text, sizeof text);
    log_bounce(b, t, result.err ? (err_temporary(result.err) ? "deferred" : "refused") : "passed-on", text);
    return result.err;
}

/* Nobody who was sent a stub wrote this: a bounce of it would meet whoever was forged. */
static void log_forged(const struct bounce *b)
{
    const struct api_envelope *envelope = &b->request.envelope;
    struct log_line line;

    log_line_begin(&line, envelope->queue_id);
    log_line_addr(&line, LOG_KEY_FROM, envelope->sender);
    log_line_addr(&line, LOG_KEY_TO, envelope->recipient[0].address);
    log_line_num(&line, LOG_KEY_SIZE, (int64_t)b->size);
    log_line_str(&line, LOG_KEY_REASON, reason_code(REASON_NO_STUB));
    log_line_status(&line, "dropped", reason_text(REASON_NO_STUB));
    log_line_end(&line, LOG_LEVEL_WARNING);
}

static enum err take_care(const struct env *env, const struct bounce *b)
{
    uint8_t a[TICKET_A_BYTES];
    struct dsn_report report;
    struct ticket t;

    if (!read_tag(env, b->request.envelope.recipient[0].address, a)) {
        log_forged(b);
        return ERR_OK;
    }
    enum err e = store_ticket_by_a(env->store, a, &t);
    if (e || (e = read_report(b, &report)))
        return e;
    e = report.is_report ? take_report(env, b, &report, &t) : pass_on(env, b, &t);
    dsn_report_free(&report);
    return e;
}

void bounce_handle(void *env, struct http_exchange *x)
{
    enum err e = ERR_OK;
    struct bounce *b = http_state(x);

    if (!b) {
        if (!(b = bounce_new(env))) {
            answer_error(x, ERR_NOMEM, NULL);
            return;
        }
        http_set_state(x, b, bounce_free);
        if (b->fd < 0)
            e = ERR_IO;
    }
    struct span piece = http_body(x);
    bool ended = http_body_ended(x);
    size_t all = piece.len, used;
    if (!e && !b->head_read && piece.len) {
        e = take_head(b, piece, &used);
        piece = (struct span){piece.ptr + used, piece.len - used};
    }
    if (!e && b->head_read)
        e = take_message(env, b, piece);
    http_body_consume(x, all);
    if (!e && !ended)
        return;
    if (!e)
        e = b->head_read ? take_care(env, b) : ERR_SYNTAX;
    struct api_reply reply = answer_reply_of(e, NULL);
    KILL_POINT("bounce-answer-before");
    answer_reply(x, &reply);
}
