/*
 * proxy.c - reads no byte too many: the first 12 bytes tell the version; version 2 says its length in 4 more,
 * version 1 ends with a line and is taken byte by byte.
 */
#include <string.h>

#include "http/proxy.h"

#define V2_SIGNATURE_LEN 12
#define V2_FIXED_LEN 16
#define V1_LINE_MAX 107 /* with CRLF, as the specification computes it */

static const uint8_t v2_signature[V2_SIGNATURE_LEN] = "\r\n\r\n\0\r\nQUIT\n";

static enum err address_from_bytes(int family, const uint8_t *bytes, uint16_t port, struct proxy_header *out)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } sa;

    memset(&sa, 0, sizeof sa);
    sa.any.sa_family = (sa_family_t)family;
    if (family == AF_INET)
        memcpy(&sa.v4.sin_addr, bytes, 4);
    else
        memcpy(&sa.v6.sin6_addr, bytes, 16);
    out->known = true;
    out->port = port;
    return netaddr_from_sockaddr(&sa.any, &out->addr);
}

static uint16_t big_endian(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static enum err v2_parse(const uint8_t *data, size_t len, struct proxy_header *out, size_t *want)
{
    if (len < V2_FIXED_LEN) {
        *want = V2_FIXED_LEN - len;
        return ERR_BUSY;
    }
    unsigned command = data[12], family = data[13];
    size_t length = V2_FIXED_LEN + big_endian(data + 14);
    if ((command != 0x20 && command != 0x21) || length > PROXY_HEADER_MAX)
        return ERR_SYNTAX;
    if (len < length) {
        *want = length - len;
        return ERR_BUSY;
    }
    const uint8_t *addresses = data + V2_FIXED_LEN;
    if (command == 0x20 || family == 0x00) {
        out->known = false;
        return ERR_OK;
    }
    if (family == 0x11 && length >= V2_FIXED_LEN + 12)
        return address_from_bytes(AF_INET, addresses, big_endian(addresses + 8), out);
    if (family == 0x21 && length >= V2_FIXED_LEN + 36)
        return address_from_bytes(AF_INET6, addresses, big_endian(addresses + 32), out);
    return ERR_SYNTAX;
}

/* "PROXY TCP4 source destination source-port destination-port", without the CRLF. */
static enum err v1_line_parse(struct span line, struct proxy_header *out)
{
    struct span word[6], rest = line;
    size_t n = 0;
    bool more = true;
    struct netaddr source, destination;
    uint64_t source_port, destination_port;

    while (more && n < 6)
        more = span_cut(rest, ' ', &word[n++], &rest);
    if (n < 2 || !span_is(word[0], "PROXY"))
        return ERR_SYNTAX;
    if (span_is(word[1], "UNKNOWN")) {
        out->known = false;
        return ERR_OK;
    }
    bool v4 = span_is(word[1], "TCP4");
    if (more || n != 6 || (!v4 && !span_is(word[1], "TCP6")))
        return ERR_SYNTAX;
    for (size_t i = 2; i < 4; i++)
        if ((memchr(word[i].ptr, ':', word[i].len) == NULL) != v4)
            return ERR_SYNTAX;
    if (netaddr_parse(word[2], &source) != ERR_OK || netaddr_parse(word[3], &destination) != ERR_OK ||
        !span_to_u64(word[4], 65535, &source_port) || !span_to_u64(word[5], 65535, &destination_port))
        return ERR_SYNTAX;
    struct sockaddr_storage ss;
    netaddr_to_sockaddr(&source, (uint16_t)source_port, &ss);
    out->known = true;
    out->port = (uint16_t)source_port;
    return netaddr_from_sockaddr((const struct sockaddr *)&ss, &out->addr);
}

enum err proxy_parse(const uint8_t *data, size_t len, struct proxy_header *out, size_t *want)
{
    static const char v1_start[] = "PROXY ";
    size_t seen = len < V2_SIGNATURE_LEN ? len : V2_SIGNATURE_LEN;
    struct proxy_header header = {0};
    enum err e = ERR_OK;

    if (len == 0 || data[0] == v2_signature[0]) {
        if (len > 0 && memcmp(data, v2_signature, seen) != 0)
            return ERR_SYNTAX;
        if (seen < V2_SIGNATURE_LEN) {
            *want = V2_SIGNATURE_LEN - seen;
            return ERR_BUSY;
        }
        e = v2_parse(data, len, &header, want);
    } else {
        size_t start = len < sizeof v1_start - 1 ? len : sizeof v1_start - 1;
        if (memcmp(data, v1_start, start) != 0)
            return ERR_SYNTAX;
        if (data[len - 1] != '\n') {
            if (len >= V1_LINE_MAX)
                return ERR_SYNTAX;
            /* The shortest line, "PROXY UNKNOWN" CRLF, is longer than the first read. */
            *want = 1;
            return ERR_BUSY;
        }
        if (len > V1_LINE_MAX || len < 2 || data[len - 2] != '\r')
            return ERR_SYNTAX;
        e = v1_line_parse(span_bytes(data, len - 2), &header);
    }
    if (e == ERR_OK)
        *out = header;
    return e;
}
