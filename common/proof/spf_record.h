/*
 * spf_record.h - the grammar of SPF records (RFC 7208 4.5, 4.6, 5, 6, 12); inside this room. Nothing is
 * copied: spans borrow from the record. Thread-safe.
 */
#ifndef PROOF_SPF_RECORD_H
#define PROOF_SPF_RECORD_H

#include "base/buf.h"
#include "base/netaddr.h"
#include "proof/spf.h"

enum spf_mechanism {
    SPF_ALL,
    SPF_INCLUDE,
    SPF_A,
    SPF_MX,
    SPF_PTR,
    SPF_IP4,
    SPF_IP6,
    SPF_EXISTS,
    SPF_MECHANISMS
};
struct spf_term {
    struct span text;
    enum spf_result result; /* on a match, by its qualifier */
    enum spf_mechanism mechanism;
    struct span domain;        /* domain-spec; empty: the current domain */
    unsigned bits_v4, bits_v6; /* of a, mx, ip4, ip6 */
    struct netaddr network;    /* of ip4, ip6; host bits may be set */
};
struct spf_record {
    struct span terms;
    struct span redirect, exp; /* domain-specs; empty when absent */
};

/* Whether a TXT record is an SPF record: "v=spf1", then a blank or the end. */
bool spf_record_is_candidate(struct span text);
/* Checks the whole of a candidate. ERR_SYNTAX with the term at fault in *bad. */
enum err spf_record_parse(struct span text, struct spf_record *out, struct span *bad);
/* Takes the next mechanism off the terms of a parsed record. False behind the last. */
bool spf_record_next(struct span *terms, struct spf_term *out);

#endif
