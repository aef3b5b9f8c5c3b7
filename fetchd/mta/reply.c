/*
 * reply.c - reads an SMTP server's replies (RFC 5321 4.2, RFC 2034).
 */
#include "mta/reply.h"

#include <string.h>

static bool enhanced_code(struct span line, char out[12])
{
    size_t i = 0, dots = 0;
    if (line.len < 5 || (line.ptr[0] != '2' && line.ptr[0] != '4' && line.ptr[0] != '5') ||
        line.ptr[1] != '.')
        return false;
    while (i < line.len && i < 11 && ((line.ptr[i] >= '0' && line.ptr[i] <= '9') || line.ptr[i] == '.')) {
        dots += line.ptr[i] == '.';
        i++;
    }
    if (dots != 2 || line.ptr[i - 1] == '.' || (i < line.len && line.ptr[i] != ' '))
        return false;
    memcpy(out, line.ptr, i);
    out[i] = '\0';
    return true;
}

enum err smtp_reply_parse(struct span in, size_t *used, int *code, char enhanced[12], struct buf *text)
{
    size_t at = 0;
    int first = 0;
    *used = 0;
    enhanced[0] = '\0';
    for (;;) {
        const char *line = in.ptr + at;
        const char *lf = in.len > at ? memchr(line, '\n', in.len - at) : NULL;
        if (!lf)
            return in.len - at > SMTP_REPLY_LINE_MAX || in.len > SMTP_REPLY_MAX ? ERR_SYNTAX : ERR_OK;
        size_t len = (size_t)(lf - line);
        size_t next = at + len + 1;
        if (next > SMTP_REPLY_MAX || len > SMTP_REPLY_LINE_MAX)
            return ERR_SYNTAX;
        if (len > 0 && line[len - 1] == '\r')
            len--;
        if (len < 3 || line[0] < '2' || line[0] > '5' || line[1] < '0' || line[1] > '9' || line[2] < '0' ||
            line[2] > '9')
            return ERR_SYNTAX;
        int this_code = (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
        char mark = len > 3 ? line[3] : ' ';
        if ((mark != ' ' && mark != '-') || (first && this_code != first))
            return ERR_SYNTAX;
        struct span words = span_bytes(line + (len > 3 ? 4 : 3), len > 3 ? len - 4 : 0);
        char code_here[12];
        if (enhanced_code(words, code_here)) {
            if (!first)
                memcpy(enhanced, code_here, sizeof code_here);
            size_t skip = strlen(code_here);
            words.ptr += skip;
            words.len -= skip;
            words = span_trim(words);
        }
        if (text->len > 0)
            (void)buf_append_char(text, '\n');
        /* What does not fit the caller's bound is cut: the text is for people. */
        struct span fits = words;
        if (fits.len > text->max - text->len)
            fits.len = text->max - text->len;
        if (buf_append_span(text, fits) == ERR_NOMEM)
            return ERR_NOMEM;
        first = this_code;
        at = next;
        if (mark == ' ') {
            *used = at;
            *code = first;
            return ERR_OK;
        }
    }
}
