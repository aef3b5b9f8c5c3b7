/*
 * tlsa.h - what DNS says of a host's certificate (DANE, RFC 6698, 7671): the records that we use, "3 1 1"
 * (this key) and "2 1 1" (an authority with this key). All others are left out, as if they were not there.
 */
#ifndef CLAIM_TLSA_H
#define CLAIM_TLSA_H

#include <stdbool.h>

#include "dns/resolver.h"

#define TLSA_RECORDS_MAX 8
#define TLSA_DIGEST_BYTES 32 /* SHA-256 of a SubjectPublicKeyInfo */
#define TLSA_AUTHORITY 2
#define TLSA_KEY 3

struct tlsa_set { /* in order, so that equal sets are equal octets */
    size_t count; /* 0: DANE has no say */
    struct tlsa_record {
        uint8_t usage;
        uint8_t digest[TLSA_DIGEST_BYTES];
    } record[TLSA_RECORDS_MAX];
};

/* An answer that is not secure gives the empty set. Pure. */
void tlsa_read(const struct dns_answer *a, struct tlsa_set *out);
bool tlsa_equal(const struct tlsa_set *a, const struct tlsa_set *b);
/* Asks DNS for a host and TCP port (blocks). To be asked only where the host's addresses are secure (RFC 7672
 * 2.2). ERR_DNS_TEMPORARY, ERR_DNS_BOGUS: then there must be no connection. */
enum err tlsa_lookup(struct resolver *r, const char *host, uint16_t port, int64_t deadline_mono_ms,
                     struct tlsa_set *out);

#endif
