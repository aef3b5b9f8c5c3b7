/*
 * rdns.h - the names of an address by reverse DNS, and whether they lead back to it (forward-confirmed; the
 * "iprev" of RFC 8601 3, the "validated names" of RFC 7208 5.5). Thread-safe; may block until the deadline.
 *
 * IPv4-mapped IPv6 addresses count as the IPv4 address. Errors are the resolver's: ERR_DNS_TEMPORARY,
 * ERR_DNS_BOGUS, ERR_WOULD_WAIT.
 */
#ifndef PROOF_RDNS_H
#define PROOF_RDNS_H

#include "dns/resolver.h"

#define RDNS_NAMES_MAX 10 /* PTR records that are looked at; further ones are ignored */

struct rdns_names {
    size_t count;
    char name[RDNS_NAMES_MAX][DNS_NAME_MAX + 1]; /* lower case, no final dot; unproven */
};
/* The names that the owner of the address claims for it. None: ERR_OK with count 0. */
enum err rdns_names(struct resolver *r, const struct netaddr *address, int64_t deadline_mono_ms,
                    struct rdns_names *out);
/* Whether a name leads back to the address. */
enum err rdns_leads_back(struct resolver *r, const char *name, const struct netaddr *address,
                         int64_t deadline_mono_ms, bool *out);

enum rdns_result {
    RDNS_PASS, /* one of its names leads back */
    RDNS_FAIL, /* it has names, none of them leads back */
    RDNS_NONE  /* it has no name */
};
struct rdns_answer {
    enum rdns_result result;
    char name[DNS_NAME_MAX + 1]; /* pass: the confirmed name; fail: the first claimed one; none: "" */
};
/* An error only when nothing was confirmed and a look-up that could have done so failed. */
enum err rdns_check(struct resolver *r, const struct netaddr *address, int64_t deadline_mono_ms,
                    struct rdns_answer *out);
/* As the iprev method of RFC 8601 2.7.3 says it: "pass", "fail", "permerror" for none. */
const char *rdns_result_text(enum rdns_result result);

#define RDNS_ARPA_MAX 80
/* The name at which the PTR records of an address stand (RFC 1035 3.5, RFC 3596 2.5). */
void rdns_arpa(const struct netaddr *address, char out[RDNS_ARPA_MAX]);

#endif
