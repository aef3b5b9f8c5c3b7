/*
 * organisation.h - the organisational domain of a name by the public suffix list (publicsuffix.org), as
 * alignment and rates want it (RFC 7489 3.2). The newer of Debian's list and the one built into libpsl is
 * loaded once, at the first call. Thread-safe.
 */
#ifndef DNS_ORGANISATION_H
#define DNS_ORGANISATION_H

#include <stdbool.h>

#include "dns/resolver.h"

/* The public suffix of a domain and one label more: "a.example" for "mail.a.example". A name that is itself a
 * public suffix gives itself. domain: A-labels; out: lower-case A-labels without the final dot. ERR_ADDRESS
 * for what is no domain name (as resolver_query, and address literals), ERR_NOMEM. */
enum err organisation_of(const char *domain, char out[DNS_NAME_MAX + 1]);

/* Relaxed alignment: both have the same organisational domain. False also when one of them has none. */
bool organisation_aligned(const char *a, const char *b);

#endif
