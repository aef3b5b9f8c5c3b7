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

bool utf8_valid(struct span s)
{
    const uint8_t *p = (const uint8_t *)s.ptr;
    for (size_t i = 0; i < s.len;) {
        uint8_t c = p[i++];
        if (c < 0x80)
            continue;
        unsigned more;
        uint8_t low = 0x80, high = 0xbf; /* bounds of the second byte: RFC 3629 section 4 */
        if (c >= 0xc2 && c <= 0xdf) {
            more = 1;
        } else if (c >= 0xe0 && c <= 0xef) {
            more = 2;
            low = c == 0xe0 ? 0xa0 : low;
            high = c == 0xed ? 0x9f : high;
        } else if (c >= 0xf0 && c <= 0xf4) {
            more = 3;
            low = c == 0xf0 ? 0x90 : low;
            high = c == 0xf4 ? 0x8f : high;
        } else {
            return false;
        }
        for (; more > 0; more--, low = 0x80, high = 0xbf) {
            if (i == s.len || p[i] < low || p[i] > high)
                return false;
            i++;
        }
    }
    return true;
}
