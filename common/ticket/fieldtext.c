/*
 * fieldtext.c - addresses and reply texts in HTTP fields, which carry visible ASCII only (RFC 9110 5.5).
 */
#include "ticket/fieldtext.h"

#include "base/encode.h"

static bool is_plain(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~' || c == '@' || c == '+' || c == '=';
}

static bool is_text(struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c < 0x20 || c == 0x7f)
            return false;
    }
    return utf8_valid(s);
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

enum err fieldtext_encode(struct span text, struct buf *out)
{
    static const char digit[] = "0123456789ABCDEF";
    if (!is_text(text))
        return ERR_BAD_BYTES;
    size_t start = out->len;
    enum err e = ERR_OK;
    for (size_t i = 0; i < text.len && e == ERR_OK; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        char escape[3] = {'%', digit[c >> 4], digit[c & 15]};
        e = is_plain(c) ? buf_append_char(out, (char)c) : buf_append(out, escape, sizeof escape);
    }
    if (e != ERR_OK && out->data != NULL) {
        out->len = start;
        out->data[start] = '\0';
    }
    return e;
}

enum err fieldtext_decode(struct span value, struct buf *out)
{
    size_t start = out->len;
    enum err e = ERR_OK;
    for (size_t i = 0; i < value.len && e == ERR_OK; i++) {
        char c = value.ptr[i];
        if (c == '%') {
            int high = value.len - i > 2 ? hex_value(value.ptr[i + 1]) : -1;
            int low = high >= 0 ? hex_value(value.ptr[i + 2]) : -1;
            c = (char)(high * 16 + low);
            e = low < 0 || is_plain((unsigned char)c) ? ERR_SYNTAX : buf_append_char(out, c);
            i += 2;
        } else {
            e = is_plain((unsigned char)c) ? buf_append_char(out, c) : ERR_SYNTAX;
        }
    }
    if (e == ERR_OK && out->len > start && !is_text(span_bytes(out->data + start, out->len - start)))
        e = ERR_BAD_BYTES;
    if (e != ERR_OK && out->data != NULL) {
        out->len = start;
        out->data[start] = '\0';
    }
    return e;
}
