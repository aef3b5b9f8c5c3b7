/*
 * dsn_report.c - what comes back to a stub's reverse-path: a delivery report of some MTA, or anything else.
 *
 * The content is a stranger's. It is read for the first recipient's action and reason, and for nothing more.
 */
#include "mail/dsn.h"

#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "mail/header.h"

#define BOUNDARY_MAX 70 /* RFC 2046 5.1.1 */
#define TEXT_MAX 480    /* octets that are kept of a reason */

/* A line without its end off the front; what is left begins right behind it, also when that is nothing. */
static bool next_line(struct span *rest, struct span *line)
{
    if (rest->len == 0)
        return false;
    const char *lf = memchr(rest->ptr, '\n', rest->len);
    size_t len = lf != NULL ? (size_t)(lf - rest->ptr) + 1 : rest->len;
    *line = span_bytes(rest->ptr, lf != NULL ? len - 1 : len);
    if (line->len > 0 && line->ptr[line->len - 1] == '\r')
        line->len--;
    *rest = span_bytes(rest->ptr + len, rest->len - len);
    return true;
}

/* The value of the first field of that name in a header block. */
static bool find_field(struct span header, const char *name, struct span *value)
{
    struct header_field f;
    while (header_next(&header, &f)) {
        if (span_is_nocase(f.name, name)) {
            *value = f.value;
            return true;
        }
    }
    return false;
}

/* Behind the header's empty line; false when there is no body. */
static bool find_body(struct span text, struct span *body)
{
    struct span line;
    while (next_line(&text, &line)) {
        if (line.len == 0) {
            *body = text;
            return true;
        }
    }
    return false;
}

/* The boundary of a multipart/report of delivery status; false when it is something else. */
static bool report_boundary(struct span message, struct buf *boundary)
{
    struct span type;
    struct buf kind;
    buf_init(&kind, 32);
    bool ok = find_field(message, "Content-Type", &type) && header_is_report(type) &&
              header_parameter(type, "report-type", &kind) == ERR_OK &&
              span_is_nocase(buf_span(&kind), "delivery-status") &&
              header_parameter(type, "boundary", boundary) == ERR_OK;
    buf_free(&kind);
    return ok;
}

static bool is_delimiter(struct span line, const struct buf *boundary)
{
    return line.len >= boundary->len + 2 && memcmp(line.ptr, "--", 2) == 0 &&
           memcmp(line.ptr + 2, boundary->data, boundary->len) == 0;
}

/* The next part (its header and body) behind a delimiter line; false when there is no more. */
static bool next_part(struct span *rest, const struct buf *boundary, struct span *part)
{
    struct span line = {NULL, 0};
    while (next_line(rest, &line) && !is_delimiter(line, boundary))
        ;
    if (rest->len == 0)
        return false;
    struct span scan = *rest;
    const char *begin = rest->ptr, *end = rest->ptr;
    while (next_line(&scan, &line) && !is_delimiter(line, boundary)) {
        end = scan.ptr;
        *rest = scan;
    }
    *part = span_bytes(begin, (size_t)(end - begin));
    return true;
}

static bool is_status_part(struct span part)
{
    struct span type;
    if (!find_field(part, "Content-Type", &type))
        return false;
    type = span_trim(type);
    return span_starts_nocase(type, "message/delivery-status") ||
           span_starts_nocase(type, "message/global-delivery-status");
}

/* The fields of the first recipient: the first block with an Action (the block ahead of it tells of the
 * message). */
static bool find_recipient(struct span body, struct span *block)
{
    struct span line, value;
    const char *begin = body.ptr;
    while (body.len > 0) {
        (void)next_line(&body, &line);
        if (line.len > 0 && body.len > 0)
            continue;
        *block = span_bytes(begin, (size_t)(body.ptr - begin));
        if (find_field(*block, "Action", &value))
            return true;
        begin = body.ptr;
    }
    return false;
}

static bool read_action(struct span value, enum dsn_action *out)
{
    static const struct {
        const char *word;
        enum dsn_action action;
    } words[] = {{"failed", DSN_FAILED},
                 {"delayed", DSN_DELAYED},
                 {"delivered", DSN_DELIVERED},
                 {"relayed", DSN_RELAYED},
                 {"expanded", DSN_RELAYED}};
    struct buf text;
    struct span word, comment;
    bool known = false;
    buf_init(&text, 256);
    if (header_unfold(value, &text) == ERR_OK) {
        (void)span_cut(buf_span(&text), '(', &word, &comment);
        word = span_trim(word);
        for (size_t i = 0; i < sizeof words / sizeof words[0] && !known; i++) {
            known = span_is_nocase(word, words[i].word);
            if (known)
                *out = words[i].action;
        }
    }
    buf_free(&text);
    return known;
}

/* "5.1.1", perhaps with a comment behind it. */
static void read_status(struct span block, char out[16])
{
    struct span value, status, rest;
    if (!find_field(block, "Status", &value))
        return;
    size_t dots = 0;
    value = span_trim(value);
    (void)span_cut(value, ' ', &status, &rest);
    if (status.len < 5 || status.len > 9)
        return;
    for (size_t i = 0; i < status.len; i++) {
        if (status.ptr[i] == '.')
            dots++;
        else if (status.ptr[i] < '0' || status.ptr[i] > '9')
            return;
    }
    if (dots != 2 || status.ptr[1] != '.' || status.ptr[status.len - 1] == '.')
        return;
    memcpy(out, status.ptr, status.len);
    out[status.len] = '\0';
}

/* The text behind "type;", unfolded, cut and printable; NULL in *out when there is none. */
static enum err read_typed(struct span block, const char *name, char **out)
{
    struct span value, type, text;
    struct buf plain, shown;
    if (!find_field(block, name, &value))
        return ERR_OK;
    buf_init(&plain, HEADER_FIELD_MAX);
    buf_init(&shown, 4 * TEXT_MAX);
    enum err e = header_unfold(value, &plain);
    if (e == ERR_OK) {
        if (!span_cut(buf_span(&plain), ';', &type, &text))
            text = buf_span(&plain);
        text = span_trim(text);
        text.len = text.len < TEXT_MAX ? text.len : TEXT_MAX;
        e = encode_printable(&shown, text);
    }
    if (e == ERR_OK && shown.len > 0) {
        *out = buf_take(&shown);
        e = *out != NULL ? ERR_OK : ERR_NOMEM;
    }
    buf_free(&plain);
    buf_free(&shown);
    return e == ERR_TOO_LARGE ? ERR_OK : e;
}

/* The fields of the first recipient of a report; false when the message is none. */
static bool find_report(struct span message, struct span *block)
{
    struct buf boundary;
    struct span body, part = {NULL, 0};
    bool found = false;
    buf_init(&boundary, BOUNDARY_MAX);
    if (report_boundary(message, &boundary) && find_body(message, &body)) {
        bool more = true;
        while (more && !found) {
            more = next_part(&body, &boundary, &part);
            found = more && is_status_part(part);
        }
        found = found && find_body(part, &body) && find_recipient(body, block);
    }
    buf_free(&boundary);
    return found;
}

enum err dsn_report_parse(struct span message, struct dsn_report *out)
{
    struct dsn_report r = {0};
    struct span block, value;
    enum err e = ERR_OK;
    if (find_report(message, &block) && find_field(block, "Action", &value) &&
        read_action(value, &r.action)) {
        r.is_report = true;
        read_status(block, r.status);
        e = read_typed(block, "Diagnostic-Code", &r.diagnostic);
        if (e == ERR_OK)
            e = read_typed(block, "Remote-MTA", &r.remote_mta);
    }
    if (e == ERR_OK)
        *out = r;
    else
        dsn_report_free(&r);
    return e;
}

void dsn_report_free(struct dsn_report *r)
{
    free(r->diagnostic);
    free(r->remote_mta);
    *r = (struct dsn_report){0};
}
