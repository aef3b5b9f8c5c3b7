/*
 * encoded_word.c - "Q" encoding alone: readable where most is ASCII, and short names are what it is used for.
 */
#include "mail/encoded_word.h"

#include <string.h>

#include "base/encode.h"

#define WORD_MAX 64 /* RFC 2047 2 allows 75; so one fits behind the name of the field */

/* Octets of the character at the front: a character may not be split between words. */
static size_t character_length(struct span s, bool utf8)
{
    size_t len = 1;
    while (utf8 && len < s.len && ((unsigned char)s.ptr[len] & 0xc0) == 0x80)
        len++;
    return len;
}

/* What may stand for itself in a phrase (RFC 2047 5(3)). */
static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("!*+-/", c) != NULL);
}

static enum err append_octet(char c, struct buf *out)
{
    if (c == ' ')
        return buf_append_char(out, '_');
    return is_plain(c) ? buf_append_char(out, c) : buf_printf(out, "=%02X", (unsigned)(unsigned char)c);
}

enum err encoded_word_append(struct span text, struct buf *out)
{
    bool utf8 = utf8_valid(text);
    const char *begin = utf8 ? "=?utf-8?q?" : "=?unknown-8bit?q?";
    size_t word = 0; /* octets of the word under way, 0 for none */
    enum err e = ERR_OK;
    while (text.len > 0 && e == ERR_OK) {
        size_t len = character_length(text, utf8);
        if (word > 0 && word + 3 * len + 2 > WORD_MAX) {
            e = buf_append_str(out, "?= ");
            word = 0;
        }
        if (e == ERR_OK && word == 0) {
            e = buf_append_str(out, begin);
            word = strlen(begin);
        }
        size_t before = out->len;
        for (size_t i = 0; i < len && e == ERR_OK; i++)
            e = append_octet(text.ptr[i], out);
        word += out->len - before;
        text = span_bytes(text.ptr + len, text.len - len);
    }
    return e == ERR_OK && word > 0 ? buf_append_str(out, "?=") : e;
}
