/*
 * header_filter.c - takes Authentication-Results fields that claim to be this site's out of a letter that
 * passes by (RFC 8601 5). Nothing else is touched, and nothing is held but the field whose end has not come
 * yet.
 */
#include "mail/header.h"

#include <stdlib.h>
#include <string.h>

enum field_mode {
    HOLD, /* what was read of the field waits for the decision */
    PASS, /* decided: the rest of the field goes out as it comes */
    DROP  /* decided: the rest of the field is ours no more */
};

struct header_filter {
    struct buf held;
    enum field_mode mode;
    bool line_start;
    bool body;
    char authserv_id[];
};

enum err header_filter_create(const char *authserv_id, struct header_filter **out)
{
    size_t len = strlen(authserv_id);
    struct header_filter *f = calloc(1, sizeof *f + len + 1);
    if (f == NULL)
        return ERR_NOMEM;
    memcpy(f->authserv_id, authserv_id, len);
    buf_init(&f->held, HEADER_FIELD_MAX);
    f->line_start = true;
    *out = f;
    return ERR_OK;
}

void header_filter_free(struct header_filter *f)
{
    if (f == NULL)
        return;
    buf_free(&f->held);
    free(f);
}

/* Where the authserv-id does not parse, readers downstream may find one that we do not: then ours anywhere
 * ahead of the first ';' is reason enough. */
static bool mentions(struct span head, const char *id)
{
    size_t len = strlen(id);
    for (size_t i = 0; len > 0 && i + len <= head.len; i++)
        if (span_starts_nocase(span_bytes(head.ptr + i, head.len - i), id))
            return true;
    return false;
}

static bool is_ours(const struct header_filter *f)
{
    struct header_field field;
    struct span rest = buf_span(&f->held), id, head, tail;
    if (!header_next(&rest, &field) || !span_is_nocase(field.name, "Authentication-Results"))
        return false;
    if (header_authserv_id(field.value, &id) == ERR_OK)
        return span_is_nocase(id, f->authserv_id);
    span_cut(field.value, ';', &head, &tail);
    return mentions(head, f->authserv_id);
}

static enum err decide(struct header_filter *f, struct buf *out)
{
    f->mode = is_ours(f) ? DROP : PASS;
    enum err e = f->mode == PASS ? buf_append_span(out, buf_span(&f->held)) : ERR_OK;
    buf_clear(&f->held);
    return e;
}

static enum err end_field(struct header_filter *f, struct buf *out)
{
    enum err e = f->mode == HOLD && f->held.len > 0 ? decide(f, out) : ERR_OK;
    f->mode = HOLD;
    return e;
}

static bool is_empty_line(struct span s)
{
    return span_is(s, "\r\n") || span_is(s, "\n");
}

/* A line of a field, or a piece of one. */
static enum err take_piece(struct header_filter *f, struct span piece, struct buf *out)
{
    enum err e = ERR_OK;
    size_t room = f->held.max - f->held.len;
    if (f->mode == HOLD && piece.len > room) { /* what fits holds the name and the authserv-id */
        e = buf_append(&f->held, piece.ptr, room);
        piece = span_bytes(piece.ptr + room, piece.len - room);
        if (e == ERR_OK)
            e = decide(f, out);
    }
    if (e == ERR_OK && f->mode == HOLD)
        e = buf_append_span(&f->held, piece);
    else if (e == ERR_OK && f->mode == PASS)
        e = buf_append_span(out, piece);
    if (e == ERR_OK && f->mode == HOLD && is_empty_line(buf_span(&f->held))) {
        e = end_field(f, out);
        f->body = true;
    }
    return e;
}

enum err header_filter_feed(struct header_filter *f, const char *data, size_t len, bool last, struct buf *out)
{
    enum err e = ERR_OK;
    while (e == ERR_OK && len > 0 && !f->body) {
        if (f->line_start && data[0] != ' ' && data[0] != '\t')
            e = end_field(f, out);
        const char *lf = memchr(data, '\n', len);
        size_t piece = lf != NULL ? (size_t)(lf - data) + 1 : len;
        if (e == ERR_OK)
            e = take_piece(f, span_bytes(data, piece), out);
        f->line_start = lf != NULL;
        data += piece;
        len -= piece;
    }
    if (e == ERR_OK && len > 0)
        e = buf_append(out, data, len);
    if (e == ERR_OK && last)
        e = end_field(f, out);
    return e;
}
