/*
 * fold.c - folds only where a blank stands already (RFC 5322 2.2.3), so no value changes.
 */
#include "mail/fold.h"

#include <string.h>

enum err fold_clean(const char *text, struct buf *out)
{
    enum err e = ERR_OK;
    struct span s = span_trim(span_of(text));
    for (size_t i = 0; i < s.len && e == ERR_OK; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        e = buf_append_char(out, c < 0x20 || c == 0x7f ? ' ' : (char)c);
    }
    return e;
}

/* The next word with the blanks ahead of it, off the front. */
static struct span take_word(struct span *s)
{
    size_t len = 0;
    while (len < s->len && s->ptr[len] == ' ')
        len++;
    while (len < s->len && s->ptr[len] != ' ')
        len++;
    struct span word = span_bytes(s->ptr, len);
    *s = span_bytes(s->ptr + len, s->len - len);
    return word;
}

enum err fold_field(struct buf *out, const char *name, struct span value)
{
    struct buf field;
    buf_init(&field, 2 * FOLD_FIELD_MAX + strlen(name) + 4);
    value = span_trim(value);
    enum err e = buf_printf(&field, "%s: ", name);
    size_t column = field.len;
    for (bool first = true; e == ERR_OK && value.len > 0; first = false) {
        struct span word = take_word(&value);
        if (!first && column + word.len > FOLD_COLUMNS) {
            e = buf_append_str(&field, "\r\n");
            column = 0;
        }
        column += word.len;
        if (column > FOLD_LINE_MAX)
            e = ERR_TOO_LARGE;
        if (e == ERR_OK)
            e = buf_append_span(&field, word);
    }
    if (e == ERR_OK)
        e = buf_append_str(&field, "\r\n");
    if (e == ERR_OK)
        e = buf_append_span(out, buf_span(&field));
    buf_free(&field);
    return e;
}
