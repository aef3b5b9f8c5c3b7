/*
 * report.c - see report.h.
 */
#include "mail/report.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/secret.h"
#include "mail/fold.h"

#define TEXT_LINE_MAX 900 /* octets of a line of the human part, well below RFC 5322's 998 */

/* Octets of the line's piece that may stand in one line, not within a UTF-8 character. */
static size_t piece_length(struct span line)
{
    size_t len = line.len < TEXT_LINE_MAX ? line.len : TEXT_LINE_MAX;
    while (len < line.len && len > TEXT_LINE_MAX - 4 && ((unsigned char)line.ptr[len] & 0xc0) == 0x80)
        len--;
    return len;
}

enum err report_boundary(char out[REPORT_BOUNDARY_MAX])
{
    uint8_t random[16];
    char hex[ENCODE_HEX_LEN(sizeof random) + 1];
    enum err e = secret_random(random, sizeof random);
    if (e != ERR_OK)
        return e;
    encode_hex(random, sizeof random, hex);
    snprintf(out, REPORT_BOUNDARY_MAX, "restante-%s", hex);
    return ERR_OK;
}

enum err report_text(const char *text, struct buf *out)
{
    struct span rest = span_of(text), line;
    enum err e = ERR_OK;
    while (rest.len > 0 && e == ERR_OK) {
        span_cut(rest, '\n', &line, &rest);
        do {
            size_t len = piece_length(line);
            for (size_t i = 0; i < len && e == ERR_OK; i++) {
                unsigned char c = (unsigned char)line.ptr[i];
                e = buf_append_char(out, (c < 0x20 && c != '\t') || c == 0x7f ? ' ' : (char)c);
            }
            line = span_bytes(line.ptr + len, line.len - len);
            if (e == ERR_OK)
                e = buf_append_str(out, "\r\n");
        } while (line.len > 0 && e == ERR_OK);
    }
    return e;
}

enum err report_explanation(const char *boundary, const char *text, struct buf *out)
{
    enum err e =
        buf_printf(out,
                   "--%s\r\nContent-Description: Notification\r\nContent-Type: text/plain; charset=%s\r\n"
                   "Content-Transfer-Encoding: 8bit\r\n\r\n",
                   boundary, report_is_ascii(span_of(text)) ? "us-ascii" : "utf-8");
    return e == ERR_OK ? report_text(text, out) : e;
}

enum err report_field(struct buf *out, const char *name, const struct buf *value)
{
    enum err e = fold_field(out, name, buf_span(value));
    return e == ERR_TOO_LARGE ? ERR_OK : e;
}

enum err report_date(struct buf *out, const char *name, int64_t utc_s)
{
    char date[CLOCK_RFC5322_MAX];
    clock_rfc5322(utc_s, date);
    return buf_printf(out, "%s: %s\r\n", name, date);
}

bool report_is_ascii(struct span text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] >= 0x80)
            return false;
    return true;
}
