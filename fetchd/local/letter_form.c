/*
 * letter_form.c - see letter_form.h.
 */
#include "local/letter_form.h"

#include "base/encode.h"
#include "local/api.h"
#include "mail/header.h"
#include "mail/stub.h"

void letter_form_feed(struct letter_form *f, struct span piece)
{
    for (size_t i = 0; i < piece.len && !f->bad; i++) {
        unsigned char c = (unsigned char)piece.ptr[i];
        if (c == '\0' || f->after_cr != (c == '\n')) {
            f->bad = true;
        } else if (c == '\n') {
            f->in_body = f->in_body || f->line_bytes == 0;
            f->line++;
            f->line_bytes = 0;
        } else if (c != '\r') {
            f->line_bytes++;
            f->header_8bit = f->header_8bit || (c >= 0x80 && !f->in_body);
            f->body_8bit = f->body_8bit || (c >= 0x80 && f->in_body);
        }
        f->after_cr = c == '\r';
    }
}

static enum err wrong(struct buf *why, const char *text)
{
    buf_append_str(why, text);
    return ERR_SYNTAX;
}

static enum err check_field(const struct header_field *h, const struct address *reverse_path, bool *has_from,
                            struct buf *why)
{
    struct address returned, author;

    if (h->raw.len > API_LETTER_FIELD_MAX) {
        buf_printf(why, "a header field is longer than %d bytes", API_LETTER_FIELD_MAX);
        return ERR_TOO_LARGE;
    }
    if (span_is_nocase(span_trim(h->name), "From")) {
        /* Else another field would tell its author, and this one might show anybody. */
        if (*has_from || header_from_address(h->value, &author))
            return wrong(why, "its From is not one field with one address");
        *has_from = true;
    }
    if (span_is_nocase(h->name, "Bcc") || span_is_nocase(h->name, "Resent-Bcc"))
        return wrong(why, "it has a Bcc field, which its recipients would see");
    if (span_is_nocase(h->name, STUB_FIELD_NAME))
        return wrong(why, "it is a stub");
    if (span_is_nocase(h->name, "Return-Path") &&
        (address_parse(span_trim(h->value), &returned) || !address_equal(&returned, reverse_path)))
        return wrong(why, "its Return-Path is not the letter's reverse-path");
    return ERR_OK;
}

enum err letter_form_check(const struct letter_form *f, struct span header,
                           const struct address *reverse_path, struct buf *why)
{
    struct header_field field;
    struct span rest = header;
    bool any = false, has_from = false;
    enum err e = ERR_OK;

    if (f->bad || f->after_cr) {
        buf_printf(why, "a bare CR or LF, or a NUL, in line %llu", (unsigned long long)f->line + 1);
        return ERR_BAD_BYTES;
    }
    while (!e && header_next(&rest, &field)) {
        any = true;
        e = check_field(&field, reverse_path, &has_from, why);
    }
    if (e)
        return e;
    if (!any)
        return wrong(why, "it is no letter: it does not begin with a header");
    if (rest.len && !span_is(rest, "\r\n"))
        return wrong(why, "it is no letter: a line in its header is no field");
    if (!has_from)
        return wrong(why, "it has no From field");
    if (f->header_8bit && !utf8_valid(header))
        return wrong(why, "its header is neither ASCII nor UTF-8");
    return ERR_OK;
}
