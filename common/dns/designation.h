/*
 * designation.h - the "_restante" TXT record of a domain (docs/PROTOCOL.md, "Designation"): which hosts serve
 * its payloads, whether it takes stubs, and where its pulls come from. Thread-safe; the look-ups may block.
 */
#ifndef DNS_DESIGNATION_H
#define DNS_DESIGNATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/netaddr.h"
#include "dns/resolver.h"

#define DESIGNATION_HOSTS_MAX 8
#define DESIGNATION_PREFIXES_MAX 32
#define DESIGNATION_RECORD_MAX 4096 /* bytes */

struct designation_host {
    char name[DNS_NAME_MAX + 1]; /* lower-case A-labels */
    uint16_t port;
    bool inside; /* the domain itself or below it; otherwise a proxy */
};
struct designation {
    bool present;     /* exactly one valid record */
    bool secure;      /* DNSSEC-validated */
    bool takes_stubs; /* r=1 */
    bool testing;     /* t=y */
    size_t host_count;
    struct designation_host host[DESIGNATION_HOSTS_MAX];
    size_t prefix_count;
    struct netprefix prefix[DESIGNATION_PREFIXES_MAX]; /* p= */
    char complaints[320];                              /* a=; "" when absent */
    uint32_t ttl_s;
};

/* Grammar of DKIM tag lists (RFC 6376 3.2). domain: for `inside`. ERR_SYNTAX with a reason in *why (may be
 * NULL). */
enum err designation_parse(struct span record, const char *domain, struct designation *out, struct buf *why);

/* Whether a TXT record means to be a designation: its first tag is v=restante1, whatever follows. */
bool designation_is_candidate(struct span record);

/* Asks DNS. No record, two records or a malformed one: ERR_OK with present = false. ERR_DNS_TEMPORARY,
 * ERR_DNS_BOGUS. */
enum err designation_lookup(struct resolver *r, const char *domain, int64_t deadline_mono_ms,
                            struct designation *out);

/* The host and port are a link host of this designation; a proxy counts only if it is in trusted_proxies. */
bool designation_has_host(const struct designation *d, const char *host, uint16_t port,
                          const char *const *trusted_proxies, size_t trusted_count);

/* Whether an address is one of the domain's designated pullers: the MX hosts', link hosts' or p= addresses.
 * At most 10 look-up terms. ERR_DNS_TEMPORARY when a look-up that could have decided failed. */
enum err designation_is_puller(struct resolver *r, const char *domain, const struct netaddr *from,
                               int64_t deadline_mono_ms, bool *out);
/* The names that a puller's client certificate may carry: MX hosts and link hosts. Calls back for each. */
enum err designation_puller_names(struct resolver *r, const char *domain, int64_t deadline_mono_ms,
                                  bool (*match)(void *arg, const char *name), void *arg, bool *out);

#endif
