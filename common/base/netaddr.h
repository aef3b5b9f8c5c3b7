/*
 * netaddr.h - IP addresses and prefixes: parse, print, match, and the IANA special-purpose registries.
 * Values only, thread-safe.
 */
#ifndef BASE_NETADDR_H
#define BASE_NETADDR_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/buf.h"

/* Addresses are kept as 16 bytes; IPv4 as ::ffff:a.b.c.d with family AF_INET. */
struct netaddr {
    uint8_t byte[16];
    int family; /* AF_INET or AF_INET6 */
};
struct netprefix {
    struct netaddr addr;
    unsigned bits; /* 0..32 for AF_INET, 0..128 for AF_INET6 */
};
#define NETADDR_TEXT_MAX 46

/* Strict dotted quad or RFC 4291 text, no zone id, no brackets, no octal. ERR_SYNTAX otherwise. */
enum err netaddr_parse(struct span text, struct netaddr *out);
/* "192.0.2.0/24", "2001:db8::/32", "[2001:db8::]/32" (as in Postfix), or a bare address (all bits). Host bits
 * below the prefix must be 0. */
enum err netprefix_parse(struct span text, struct netprefix *out);
/* From a socket address; IPv4-mapped IPv6 becomes AF_INET. ERR_SYNTAX for other families. */
enum err netaddr_from_sockaddr(const struct sockaddr *sa, struct netaddr *out);
/* Fills *ss for connect/bind and returns its length. */
socklen_t netaddr_to_sockaddr(const struct netaddr *a, uint16_t port, struct sockaddr_storage *ss);
/* The IPv4 address for an IPv4-mapped IPv6 one that was read from text; any other is as it was. */
struct netaddr netaddr_unmapped(const struct netaddr *a);
/* The network that an address is counted with, whoever has one has them all: /24 or /48; family 0 as it is.
 */
struct netaddr netaddr_network(const struct netaddr *a);
void netaddr_text(const struct netaddr *a, char out[NETADDR_TEXT_MAX]);
/* The bytes decide: an IPv4 address and its IPv4-mapped form are equal, and the same prefixes contain them.
 */
bool netaddr_equal(const struct netaddr *a, const struct netaddr *b);
bool netprefix_contains(const struct netprefix *p, const struct netaddr *a);
/*
 * In one of the IANA special-purpose address registries (RFC 6890 and updates), multicast or reserved, or an
 * IPv6 address that embeds such an IPv4 one (NAT64 64:ff9b::/96); IPv4-mapped and -compatible, 6to4 and
 * Teredo are special altogether. Such an address is never connected to on the word of a stub.
 */
bool netaddr_is_special(const struct netaddr *a);
/* "host:port" or "[v6]:port" or ":port" -> host (without brackets, owned by the caller, "" for any) and port
 * 1..65535. Without ":port" default_port is taken; 0: then the port must be there. ERR_SYNTAX, ERR_NOMEM. */
enum err netaddr_split_host_port(struct span text, uint16_t default_port, char **host, uint16_t *port);

#endif
