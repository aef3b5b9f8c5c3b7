/*
 * line_ends.c - see line_ends.h.
 */
#include "line_ends.h"

static enum err end_line(struct line_ends *l, struct buf *out)
{
    if (l->kind == LINE_ENDS_UNKNOWN)
        l->kind = l->last == '\r' ? LINE_ENDS_CRLF : LINE_ENDS_LF;
    if ((l->kind == LINE_ENDS_CRLF) != (l->last == '\r'))
        return ERR_BAD_BYTES;
    l->lines++;
    return l->kind == LINE_ENDS_CRLF ? buf_append_char(out, '\n') : buf_append(out, "\r\n", 2);
}

enum err line_ends_feed(struct line_ends *l, const char *data, size_t len, struct buf *out)
{
    enum err e = ERR_OK;

    for (size_t i = 0; i < len && !e; i++) {
        char c = data[i];
        if (c == '\n')
            e = end_line(l, out);
        else if (c == '\0' || l->last == '\r')
            e = ERR_BAD_BYTES;
        else
            e = buf_append_char(out, c);
        if (!e)
            l->last = c;
    }
    return e;
}

enum err line_ends_finish(struct line_ends *l, struct buf *out)
{
    if (l->last == '\r')
        return ERR_BAD_BYTES;
    return l->last == '\n' || l->last == '\0' ? ERR_OK : buf_append(out, "\r\n", 2);
}
