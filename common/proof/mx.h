/*
 * mx.h - whether a domain takes mail: its MX records. Thread-safe; may block until the deadline.
 */
#ifndef PROOF_MX_H
#define PROOF_MX_H

#include "dns/resolver.h"

enum mx_state {
    MX_PRESENT,  /* at least one host */
    MX_NULL,     /* "takes no mail" (RFC 7505) */
    MX_NONE,     /* the domain exists, but has no MX with a host name */
    MX_NO_DOMAIN /* NXDOMAIN */
};

/* domain: A-labels; an address literal and whatever else is no domain name are ERR_ADDRESS. Otherwise the
 * resolver's errors: ERR_DNS_TEMPORARY, ERR_DNS_BOGUS, ERR_WOULD_WAIT. */
enum err mx_check(struct resolver *r, const char *domain, int64_t deadline_mono_ms, enum mx_state *out);

#endif
