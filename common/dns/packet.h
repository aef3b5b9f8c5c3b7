/*
 * packet.h - DNS packets on the wire, by ldns; inside this room. Thread-safe: nothing of ldns is shared.
 */
#ifndef DNS_PACKET_H
#define DNS_PACKET_H

#include "base/buf.h"
#include "dns/resolver.h"

#define PACKET_UDP_MAX 1232  /* octets of an answer over UDP that we announce (EDNS0) */
#define PACKET_QUERY_MAX 512 /* octets of a query of ours */
#define PACKET_TCP_MAX 65535

/* Lower case, no final dot, at most DNS_NAME_MAX octets of letters, digits, '-', '_' and dots, no empty or
 * over-long label. ERR_ADDRESS. out has DNS_NAME_MAX + 1 bytes. */
enum err packet_name(struct span text, char *out);
/* The same for a name that never becomes a host: its labels may hold any printable ASCII and blanks. */
enum err packet_any_name(struct span text, char *out);

/* Appends a query for a name in packet_any_name's form: RD, AD, EDNS0 with DO. */
enum err packet_query(const char *name, enum dns_type type, uint16_t id, struct buf *out);

enum packet_kind {
    PACKET_FOREIGN,   /* no answer to this question: other ID, other question, not a reply */
    PACKET_TRUNCATED, /* ask again over TCP */
    PACKET_ANSWER,    /* NOERROR or NXDOMAIN: *out is set */
    PACKET_FAILED,    /* SERVFAIL and the like, or malformed: temporary */
    PACKET_BOGUS      /* the resolver says that validation failed */
};
struct packet_limits {
    uint32_t ttl_max_s, negative_ttl_max_s;
};
/* Reads what came in for the query (id, name, type). MX hosts come in packet_any_name's form, PTR hosts in
 * packet_name's; others are left out. On PACKET_ANSWER the caller owns *out. */
enum packet_kind packet_read(struct span wire, uint16_t id, const char *name, enum dns_type type,
                             const struct packet_limits *limits, struct dns_answer **out);

#endif
