#include "base/netaddr.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

static void set_v4(struct netaddr *out, const void *four_bytes)
{
    memcpy(out->byte, mapped, sizeof mapped);
    memcpy(out->byte + 12, four_bytes, 4);
    out->family = AF_INET;
}

enum err netaddr_parse(struct span text, struct netaddr *out)
{
    char copy[NETADDR_TEXT_MAX];
    if (text.len == 0 || text.len >= sizeof copy || memchr(text.ptr, '\0', text.len) != NULL)
        return ERR_SYNTAX;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    struct in_addr v4;
    struct netaddr v6 = {.family = AF_INET6};
    if (inet_pton(AF_INET, copy, &v4) == 1)
        set_v4(out, &v4);
    else if (inet_pton(AF_INET6, copy, v6.byte) == 1)
        *out = v6;
    else
        return ERR_SYNTAX;
    return ERR_OK;
}

/* Bits before the prefix in the 16-byte form. */
static unsigned lead_bits(int family)
{
    return family == AF_INET ? 96 : 0;
}

static bool same_bits(const uint8_t *a, const uint8_t *b, unsigned bits)
{
    if (memcmp(a, b, bits / 8) != 0)
        return false;
    unsigned rest = bits % 8;
    return rest == 0 || (a[bits / 8] ^ b[bits / 8]) >> (8 - rest) == 0;
}

enum err netprefix_parse(struct span text, struct netprefix *out)
{
    struct span host, size;
    bool sized = span_cut(text, '/', &host, &size);
    bool brackets = host.len >= 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']';
    if (brackets)
        host = (struct span){host.ptr + 1, host.len - 2};
    struct netprefix p;
    if (netaddr_parse(host, &p.addr) != ERR_OK || (brackets && p.addr.family != AF_INET6))
        return ERR_SYNTAX;
    uint64_t bits = 128 - lead_bits(p.addr.family);
    if (sized && !span_to_u64(size, bits, &bits))
        return ERR_SYNTAX;
    p.bits = (unsigned)bits;
    for (unsigned bit = lead_bits(p.addr.family) + p.bits; bit < 128; bit++)
        if (p.addr.byte[bit / 8] & (0x80 >> bit % 8))
            return ERR_SYNTAX;
    *out = p;
    return ERR_OK;
}

enum err netaddr_from_sockaddr(const struct sockaddr *sa, struct netaddr *out)
{
    if (sa->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, sa, sizeof in);
        set_v4(out, &in.sin_addr);
        return ERR_OK;
    }
    if (sa->sa_family != AF_INET6)
        return ERR_SYNTAX;
    struct sockaddr_in6 in6;
    memcpy(&in6, sa, sizeof in6);
    memcpy(out->byte, &in6.sin6_addr, 16);
    out->family = memcmp(out->byte, mapped, sizeof mapped) == 0 ? AF_INET : AF_INET6;
    return ERR_OK;
}

socklen_t netaddr_to_sockaddr(const struct netaddr *a, uint16_t port, struct sockaddr_storage *ss)
{
    memset(ss, 0, sizeof *ss);
    if (a->family == AF_INET) {
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
        memcpy(&in.sin_addr, a->byte + 12, 4);
        memcpy(ss, &in, sizeof in);
        return sizeof in;
    }
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    memcpy(&in6.sin6_addr, a->byte, 16);
    memcpy(ss, &in6, sizeof in6);
    return sizeof in6;
}

struct netaddr netaddr_unmapped(const struct netaddr *a)
{
    struct netaddr out = *a;
    if (memcmp(a->byte, mapped, sizeof mapped) == 0)
        out.family = AF_INET;
    return out;
}

struct netaddr netaddr_network(const struct netaddr *a)
{
    struct netaddr network = *a;
    size_t kept = a->family == AF_INET ? 15 : 6;

    memset(network.byte + kept, 0, sizeof network.byte - kept);
    return network;
}

void netaddr_text(const struct netaddr *a, char out[NETADDR_TEXT_MAX])
{
    const void *bytes = a->family == AF_INET ? a->byte + 12 : a->byte;
    if (inet_ntop(a->family, bytes, out, NETADDR_TEXT_MAX) == NULL)
        out[0] = '\0';
}

bool netaddr_equal(const struct netaddr *a, const struct netaddr *b)
{
    return memcmp(a->byte, b->byte, sizeof a->byte) == 0;
}

bool netprefix_contains(const struct netprefix *p, const struct netaddr *a)
{
    return same_bits(p->addr.byte, a->byte, lead_bits(p->addr.family) + p->bits);
}

/* IANA IPv4 Special-Purpose Address Registry, multicast (224/4), reserved (240/4). */
static const struct {
    uint8_t byte[4];
    unsigned bits;
} special_v4[] = {
    {{0, 0, 0, 0}, 8},       /* this network */
    {{10, 0, 0, 0}, 8},      /* private */
    {{100, 64, 0, 0}, 10},   /* shared, carrier-grade NAT */
    {{127, 0, 0, 0}, 8},     /* loopback */
    {{169, 254, 0, 0}, 16},  /* link-local */
    {{172, 16, 0, 0}, 12},   /* private */
    {{192, 0, 0, 0}, 24},    /* IETF protocol assignments */
    {{192, 0, 2, 0}, 24},    /* documentation */
    {{192, 31, 196, 0}, 24}, /* AS112 */
    {{192, 52, 193, 0}, 24}, /* AMT */
    {{192, 88, 99, 0}, 24},  /* 6to4 relay anycast */
    {{192, 168, 0, 0}, 16},  /* private */
    {{192, 175, 48, 0}, 24}, /* AS112 */
    {{198, 18, 0, 0}, 15},   /* benchmarking */
    {{198, 51, 100, 0}, 24}, /* documentation */
    {{203, 0, 113, 0}, 24},  /* documentation */
    {{224, 0, 0, 0}, 4},     /* multicast */
    {{240, 0, 0, 0}, 4},     /* reserved, broadcast */
};

/* What is special inside the global unicast space 2000::/3; all outside it is special anyway. */
static const struct {
    uint8_t byte[6];
    unsigned bits;
} special_v6[] = {
    {{0x20, 0x01, 0x00, 0x00}, 23}, /* IETF protocol assignments: Teredo, ORCHID, benchmarking ... */
    {{0x20, 0x01, 0x0d, 0xb8}, 32}, /* documentation */
    {{0x20, 0x02}, 16},             /* 6to4 */
    {{0x26, 0x20, 0x00, 0x4f, 0x80, 0x00}, 48}, /* AS112 */
    {{0x3f, 0xff}, 20},                         /* documentation */
};

static bool v4_is_special(const uint8_t *four_bytes)
{
    for (size_t i = 0; i < sizeof special_v4 / sizeof special_v4[0]; i++)
        if (same_bits(special_v4[i].byte, four_bytes, special_v4[i].bits))
            return true;
    return false;
}

bool netaddr_is_special(const struct netaddr *a)
{
    static const uint8_t nat64[12] = {0x00, 0x64, 0xff, 0x9b};
    if (a->family == AF_INET)
        return v4_is_special(a->byte + 12);
    if (memcmp(a->byte, nat64, sizeof nat64) == 0) /* what a DNS64 resolver makes of a public IPv4 host */
        return v4_is_special(a->byte + 12);
    if (a->byte[0] >> 5 !=
        1) /* not 2000::/3: loopback, mapped, compatible, local, link-local, multicast ... */
        return true;
    for (size_t i = 0; i < sizeof special_v6 / sizeof special_v6[0]; i++)
        if (same_bits(special_v6[i].byte, a->byte, special_v6[i].bits))
            return true;
    return false;
}

static bool host_char(char c)
{
    return (unsigned char)c > ' ' && c != 0x7f && strchr("[]/@,\"\\", c) == NULL;
}

enum err netaddr_split_host_port(struct span text, uint16_t default_port, char **host, uint16_t *port)
{
    struct span name, rest;
    bool has_port;
    if (text.len > 0 && text.ptr[0] == '[') {
        struct netaddr literal;
        if (!span_cut((struct span){text.ptr + 1, text.len - 1}, ']', &name, &rest) ||
            netaddr_parse(name, &literal) != ERR_OK || literal.family != AF_INET6)
            return ERR_SYNTAX;
        has_port = rest.len > 0;
        if (has_port && rest.ptr[0] != ':')
            return ERR_SYNTAX;
        rest = has_port ? (struct span){rest.ptr + 1, rest.len - 1} : rest;
    } else {
        has_port = span_cut(text, ':', &name, &rest);
        for (size_t i = 0; i < name.len; i++)
            if (!host_char(name.ptr[i]))
                return ERR_SYNTAX;
        if (name.len == 0 && !has_port)
            return ERR_SYNTAX;
    }
    uint64_t number = default_port;
    if (has_port && !span_to_u64(rest, UINT16_MAX, &number))
        return ERR_SYNTAX;
    if (number == 0)
        return ERR_SYNTAX;
    char *copy = span_dup(name);
    if (copy == NULL)
        return ERR_NOMEM;
    *host = copy;
    *port = (uint16_t)number;
    return ERR_OK;
}
