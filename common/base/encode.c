#include "base/encode.h"

#include <string.h>

static const char hex_digits[] = "0123456789abcdef";
static const char b64_letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void encode_hex(const uint8_t *in, size_t len, char *out)
{
    for (size_t i = 0; i < len; i++) {
        *out++ = hex_digits[in[i] >> 4];
        *out++ = hex_digits[in[i] & 15];
    }
    *out = '\0';
}

/* 16: no digit. */
static unsigned hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    return c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10 : 16;
}

enum err decode_hex(struct span in, uint8_t *out, size_t len)
{
    if (in.len != ENCODE_HEX_LEN(len))
        return ERR_SYNTAX;
    for (size_t i = 0; i < in.len; i++)
        if (hex_value(in.ptr[i]) > 15)
            return ERR_SYNTAX;
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)(hex_value(in.ptr[2 * i]) << 4 | hex_value(in.ptr[2 * i + 1]));
    return ERR_OK;
}

void encode_b64url(const uint8_t *in, size_t len, char *out)
{
    uint32_t bits = 0;
    unsigned have = 0;
    for (size_t i = 0; i < len; i++) {
        bits = bits << 8 | in[i];
        have += 8;
        while (have >= 6) {
            have -= 6;
            *out++ = b64_letters[bits >> have & 63];
        }
    }
    if (have > 0)
        *out++ = b64_letters[bits << (6 - have) & 63];
    *out = '\0';
}

/* 64: no letter of the alphabet. */
static unsigned b64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (unsigned)(c - 'A');
    if (c >= 'a' && c <= 'z')
        return (unsigned)(c - 'a') + 26;
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0') + 52;
    return c == '-' ? 62 : c == '_' ? 63 : 64;
}

enum err decode_b64url(struct span in, uint8_t *out, size_t len)
{
    if (in.len != ENCODE_B64_LEN(len))
        return ERR_SYNTAX;
    for (size_t i = 0; i < in.len; i++)
        if (b64_value(in.ptr[i]) > 63)
            return ERR_SYNTAX;
    /* The last character of a value that is no multiple of 3 bytes has 2 or 4 bits that mean nothing. */
    unsigned spare = (unsigned)(in.len * 6 - len * 8);
    if (spare > 0 && (b64_value(in.ptr[in.len - 1]) & ((1U << spare) - 1)) != 0)
        return ERR_SYNTAX;
    uint32_t bits = 0;
    unsigned have = 0;
    for (size_t i = 0; i < in.len; i++) {
        bits = bits << 6 | b64_value(in.ptr[i]);
        have += 6;
        if (have >= 8) {
            have -= 8;
            *out++ = (uint8_t)(bits >> have);
        }
    }
    return ERR_OK;
}

enum err encode_printable(struct buf *out, struct span s)
{
    size_t start = out->len;
    enum err e = ERR_OK;
    for (size_t i = 0; i < s.len && e == ERR_OK;) {
        size_t run = i;
        while (run < s.len && s.ptr[run] >= ' ' && s.ptr[run] <= '~' && s.ptr[run] != '\\')
            run++;
        if (run > i) {
            e = buf_append(out, s.ptr + i, run - i);
            i = run;
        } else {
            unsigned char c = (unsigned char)s.ptr[i++];
            char escape[4] = {'\\', 'x', hex_digits[c >> 4], hex_digits[c & 15]};
            e = c == '\\' ? buf_append(out, "\\\\", 2) : buf_append(out, escape, sizeof escape);
        }
    }
    if (e != ERR_OK && out->data != NULL) { /* all or nothing */
        out->len = start;
        out->data[start] = '\0';
    }
    return e;
}

/* Octets of the well-formed UTF-8 character at the start of s (not empty), and its number; 0 for none (RFC
 * 3629 section 4). */
static size_t utf8_character(struct span s, uint32_t *out)
{
    const uint8_t *p = (const uint8_t *)s.ptr;
    size_t len = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 0;
    /* Bounds of the second byte keep out over-long forms, surrogates and what lies above U+10FFFF. */
    uint8_t low = p[0] == 0xe0 ? 0xa0 : p[0] == 0xf0 ? 0x90 : 0x80;
    uint8_t high = p[0] == 0xed ? 0x9f : p[0] == 0xf4 ? 0x8f : 0xbf;
    uint32_t c = len == 1 ? p[0] : p[0] & (0xffu >> (len + 1));

    if (len == 0 || len > s.len)
        return 0;
    for (size_t i = 1; i < len; i++, low = 0x80, high = 0xbf) {
        if (p[i] < low || p[i] > high)
            return 0;
        c = c << 6 | (p[i] & 0x3fu);
    }
    *out = c;
    return len;
}

/* Controls, what Unicode has to turn the direction of text (UAX #9) or to break lines, and what cannot be
 * seen: two addresses that look the same shall not be two. Not the joiners of U+200C and U+200D, without
 * which some scripts cannot be read. */
static bool misleads(uint32_t c)
{
    return c < ' ' || (c >= 0x7f && c < 0xa0) || c == 0xad || c == 0x61c || c == 0x180e || c == 0x200b ||
           c == 0x200e || c == 0x200f || (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) ||
           c == 0xfeff || (c >= 0xe0000 && c <= 0xe007f);
}

enum err encode_visible(struct buf *out, struct span s)
{
    enum err e = ERR_OK;
    uint32_t c = 0;

    while (s.len > 0 && e == ERR_OK) {
        size_t len = utf8_character(s, &c);
        if (len == 0)
            e = buf_printf(out, "\\x%02X", (unsigned char)s.ptr[0]);
        else if (misleads(c))
            e = buf_printf(out, "\\u{%04X}", (unsigned)c);
        else
            e = buf_append(out, s.ptr, len);
        len = len ? len : 1;
        s = span_bytes(s.ptr + len, s.len - len);
    }
    return e;
}

bool utf8_valid(struct span s)
{
    uint32_t c;

    while (s.len > 0) {
        size_t len = utf8_character(s, &c);
        if (len == 0)
            return false;
        s = span_bytes(s.ptr + len, s.len - len);
    }
    return true;
}
