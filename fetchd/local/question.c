/*
 * question.c - see question.h.
 */
#include "local/question.h"

#include <stdio.h>
#include <string.h>

#include "admission/admission.h"
#include "base/clock.h"
#include "base/encode.h"
#include "base/log.h"
#include "base/when.h"
#include "env/site.h"
#include "local/answer.h"
#include "settings/settings.h"

#define JSON_MAX (256 * 1024 * 1024)
#define PARAMETER_MAX 4096
#define LIMIT_DEFAULT 1000
#define LIMIT_MAX 100000
#define WHY_MAX 250 /* bytes: it stands in a struct api_reply */

void question_open(struct question *q, const struct env *env, struct http_exchange *x)
{
    *q = (struct question){.env = env, .x = x};
    buf_init(&q->why, WHY_MAX);
    access_of(env, http_peer(x), &q->who);
    if (!q->who.all && !q->who.mailbox[0])
        question_forbid(q, "anything");
}

void question_close(struct question *q)
{
    struct buf json;

    buf_init(&json, JSON_MAX);
    if (!q->err && !q->rows)
        q->err = ERR_INTERNAL;
    enum err e = q->err && !q->candidates ? q->err : rows_format(q->rows, &json);
    if (e) {
        buf_free(&json);
        answer_error(q->x, e, q->why.len ? buf_cstr(&q->why) : NULL);
    } else {
        answer_json(q->x, err_info(q->err)->http, &json);
    }
    question_leave(q);
}

void question_leave(struct question *q)
{
    rows_free(q->rows);
    for (size_t i = 0; i < q->count; i++)
        buf_free(&q->text[i]);
    buf_free(&q->why);
}

void question_fail(struct question *q, enum err e, const char *format, ...)
{
    va_list ap;

    if (q->err)
        return;
    q->err = e;
    if (!format)
        return;
    va_start(ap, format);
    /* What does not fit is left out: the error's own text stands then. */
    if (buf_vprintf(&q->why, format, ap))
        buf_clear(&q->why);
    va_end(ap);
}

void question_forbid(struct question *q, const char *what)
{
    if (q->err)
        return;
    log_warning("admin.sock: user %u%s%s%s asked for %s, which is not his", (unsigned)q->who.uid,
                q->who.login[0] ? " (" : "", q->who.login, q->who.login[0] ? ")" : "", what);
    question_fail(q, ERR_FORBIDDEN, "%s",
                  q->who.mailbox[0]
                      ? "only root may ask for what is not your mailbox's"
                      : "only root may ask (or, with system_users_domain, users for their mailboxes)");
}

/* ---- parameters */

const char *question_get(struct question *q, const char *name)
{
    if (q->count == QUESTION_PARAMETERS_MAX) {
        question_fail(q, ERR_INTERNAL, NULL);
        return NULL;
    }
    struct buf *b = &q->text[q->count++];
    buf_init(b, PARAMETER_MAX);
    enum err e = query_get(http_query(q->x), name, b);
    if (e && e != ERR_NOT_FOUND)
        question_fail(q, e, "%s: %s", name,
                      e == ERR_TOO_LARGE ? "too long" : "control characters, or no parameter");
    if (!e && !utf8_valid(buf_span(b)))
        question_fail(q, ERR_SYNTAX, "%s: no UTF-8", name);
    return e ? NULL : buf_cstr(b);
}

const char *question_need(struct question *q, const char *name)
{
    const char *text = question_get(q, name);

    if (text && text[0])
        return text;
    question_fail(q, ERR_SYNTAX, "%s is missing", name);
    return "";
}

uint64_t question_number(struct question *q, const char *name, uint64_t min, uint64_t max, uint64_t fallback)
{
    uint64_t number = fallback;
    const char *text = question_get(q, name);

    if (text && (!span_to_u64(span_of(text), max, &number) || number < min))
        question_fail(q, ERR_SYNTAX, "%s: a number from %llu to %llu", name, (unsigned long long)min,
                      (unsigned long long)max);
    return number;
}

size_t question_limit(struct question *q)
{
    return (size_t)question_number(q, "limit", 0, LIMIT_MAX, LIMIT_DEFAULT);
}

int question_state(struct question *q, int count, const char *(*name)(int))
{
    const char *text = question_get(q, "state");

    if (!text)
        return -1;
    for (int i = 0; i < count; i++) {
        if (strcmp(name(i), text) == 0)
            return i;
    }
    question_fail(q, ERR_SYNTAX, "%s is no state", text);
    return -1;
}

int64_t question_until(struct question *q, int64_t now_s)
{
    int64_t until_s = 0;
    const char *text = question_get(q, "until");

    if (!text)
        return 0;
    if (when_parse(span_of(text), now_s, &until_s))
        question_fail(q, ERR_SYNTAX, "until: a date like 2026-12-31, 2026-12-31T18:00:00Z, or +30d");
    else if (until_s <= now_s)
        question_fail(q, ERR_SYNTAX, "until: %s is past", text);
    return until_s;
}

void question_text(struct question *q, const char *name, char *out, size_t max)
{
    const char *text = question_get(q, name);
    size_t len = text ? strlen(text) : 0;

    out[0] = '\0';
    if (len > max)
        question_fail(q, ERR_TOO_LARGE, "%s: at most %zu bytes", name, max);
    else if (len)
        memcpy(out, text, len + 1);
}

void question_mailbox(struct question *q, const char *text, char out[ADDRESS_TEXT_MAX],
                      struct address *address)
{
    char detail[POLICY_TOKEN_MAX + 1], whole[ADDRESS_TEXT_MAX];

    out[0] = '\0';
    if (q->err)
        return;
    if (address_parse(span_of(text), address) || address->null) {
        question_fail(q, ERR_ADDRESS, "%s is no mailbox: local@domain", text);
        return;
    }
    admission_mailbox(q->env->admission, address, out, detail);
    address_key(address, whole);
    if (strcmp(whole, out) != 0)
        question_fail(q, ERR_ADDRESS, "%s: a mailbox is named without a token or other detail (%s)", text,
                      out);
    else if (!access_to_mailbox(&q->who, out))
        question_forbid(q, out);
    else if (q->env->site->local_count && !site_is_local(q->env->site, address->domain))
        question_fail(q, ERR_NOT_FOUND, "%s is no mailbox of this site: %s is not in local_domains", text,
                      address->domain);
}

void question_log(const struct question *q, const char *mailbox, const char *sender, const char *status,
                  uint32_t letters)
{
    char detail[80];
    struct log_line line;

    if (letters == QUESTION_NO_LETTERS)
        snprintf(detail, sizeof detail, "by user %u", (unsigned)q->who.uid);
    else
        snprintf(detail, sizeof detail, "by user %u, %u letter%s", (unsigned)q->who.uid, letters,
                 letters == 1 ? "" : "s");
    log_line_begin(&line, NULL);
    if (sender[0])
        log_line_addr(&line, LOG_KEY_FROM, sender);
    log_line_addr(&line, LOG_KEY_TO, mailbox);
    log_line_status(&line, status, detail);
    log_line_end(&line, LOG_LEVEL_INFO);
}

void question_candidates(struct question *q, struct rows *candidates)
{
    question_fail(q, ERR_AMBIGUOUS, NULL);
    rows_free(q->rows);
    q->rows = candidates;
    q->candidates = true;
}

bool question_rows(struct question *q, const char *name)
{
    if (!q->err)
        q->err = rows_create(name, &q->rows);
    return !q->err;
}
