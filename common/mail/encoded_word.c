/*
 * encoded_word.c - written is "Q" alone: readable where most is ASCII, and short names are what it is used
 * for.
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

/* ---- reading */

struct word {
    struct span charset, data;
    char encoding; /* 'q', 'b' */
};

/* "=?charset?q?data?=" at the front; *rest is what follows. */
static bool cut_word(struct span text, struct word *out, struct span *rest)
{
    struct span encoding, language;
    if (text.len < 2 || text.ptr[0] != '=' || text.ptr[1] != '?' ||
        !span_cut(span_bytes(text.ptr + 2, text.len - 2), '?', &out->charset, rest) ||
        !span_cut(*rest, '?', &encoding, rest) || !span_cut(*rest, '?', &out->data, rest) ||
        encoding.len != 1 || rest->len == 0 || rest->ptr[0] != '=' ||
        memchr(out->data.ptr, ' ', out->data.len))
        return false;
    *rest = span_bytes(rest->ptr + 1, rest->len - 1);
    (void)span_cut(out->charset, '*', &out->charset, &language); /* RFC 2231 5 */
    out->encoding = (char)(encoding.ptr[0] | 0x20);
    return out->encoding == 'q' || out->encoding == 'b';
}

static enum err append_read(unsigned char octet, bool latin1, struct buf *out)
{
    if (octet == 0)
        return buf_append_str(out, "\xef\xbf\xbd");
    if (!latin1 || octet < 0x80)
        return buf_append_char(out, (char)octet);
    enum err e = buf_append_char(out, (char)(0xc0 | octet >> 6));
    return e ? e : buf_append_char(out, (char)(0x80 | (octet & 0x3f)));
}

static int hex_value(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static enum err read_q(struct span data, bool latin1, struct buf *out)
{
    enum err e = ERR_OK;
    for (size_t i = 0; i < data.len && e == ERR_OK; i++) {
        unsigned char octet = (unsigned char)(data.ptr[i] == '_' ? ' ' : data.ptr[i]);
        if (octet == '=') {
            int high = i + 2 < data.len ? hex_value(data.ptr[i + 1]) : -1;
            int low = high >= 0 ? hex_value(data.ptr[i + 2]) : -1;
            if (low < 0)
                return ERR_SYNTAX;
            octet = (unsigned char)(high << 4 | low);
            i += 2;
        }
        e = append_read(octet, latin1, out);
    }
    return e;
}

static enum err read_b(struct span data, bool latin1, struct buf *out)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned bits = 0, count = 0;
    enum err e = ERR_OK;
    while (data.len > 0 && data.ptr[data.len - 1] == '=')
        data.len--;
    for (size_t i = 0; i < data.len && e == ERR_OK; i++) {
        const char *at = data.ptr[i] ? strchr(alphabet, data.ptr[i]) : NULL;
        if (!at)
            return ERR_SYNTAX;
        bits = (bits << 6 | (unsigned)(at - alphabet)) & 0xffff;
        count += 6;
        if (count >= 8) {
            count -= 8;
            e = append_read((unsigned char)(bits >> count), latin1, out);
        }
    }
    return e;
}

/* ERR_SYNTAX, and nothing appended: it is to stay as it is. */
static enum err read_word(const struct word *w, struct buf *out)
{
    size_t before = out->len;
    bool latin1 = span_is_nocase(w->charset, "iso-8859-1");
    if (!latin1 && !span_is_nocase(w->charset, "utf-8") && !span_is_nocase(w->charset, "us-ascii"))
        return ERR_SYNTAX;
    enum err e = w->encoding == 'q' ? read_q(w->data, latin1, out) : read_b(w->data, latin1, out);
    if (e == ERR_SYNTAX)
        out->len = before;
    return e;
}

enum err encoded_word_decode(struct span text, struct buf *out)
{
    bool after_word = false;
    struct word word;
    struct span rest;
    enum err e = ERR_OK;
    while (text.len > 0 && e == ERR_OK) {
        size_t blanks = 0, begin = out->len;
        while (blanks < text.len && (text.ptr[blanks] == ' ' || text.ptr[blanks] == '\t'))
            blanks++;
        struct span there = span_bytes(text.ptr + blanks, text.len - blanks);
        bool is_word = cut_word(there, &word, &rest);
        if (!(is_word && after_word)) /* between two words blanks are none (RFC 2047 6.2) */
            e = buf_append(out, text.ptr, blanks);
        size_t behind = out->len;
        if (e == ERR_OK && is_word && (e = read_word(&word, out)) == ERR_OK) {
            text = rest;
            after_word = true;
            continue;
        }
        if (e == ERR_SYNTAX)
            e = ERR_OK;
        if (e == ERR_OK && behind == begin && blanks > 0)
            e = buf_append(out, text.ptr, blanks);
        after_word = false;
        size_t len = 0; /* up to the next blank, or what may begin a word */
        while (len < there.len && there.ptr[len] != ' ' && there.ptr[len] != '\t' &&
               (len == 0 || there.ptr[len] != '='))
            len++;
        if (e == ERR_OK)
            e = buf_append(out, there.ptr, len);
        text = span_bytes(there.ptr + len, there.len - len);
    }
    return e;
}
