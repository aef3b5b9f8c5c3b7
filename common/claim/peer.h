/*
 * peer.h - who may be called: the addresses of a link host, and the judgement of the peer before a key
 * leaves; inside this room. Thread-safe.
 */
#ifndef CLAIM_PEER_H
#define CLAIM_PEER_H

#include <curl/curl.h>
#include <stdbool.h>

#include "base/netaddr.h"
#include "claim/claim.h"
#include "claim/tlsa.h"
#include "claim/trust.h"

#define PEER_ADDRESSES_MAX 16

struct peer_policy {
    const struct netprefix *allowed_special; /* borrowed */
    size_t allowed_special_count;
    int family; /* AF_UNSPEC, or the only one that our own address can reach */
};

struct peer_addresses {
    size_t count;
    struct netaddr addr[PEER_ADDRESSES_MAX];
};

/* Neither in a special-purpose range nor an address of this machine, or allowed by configuration. */
bool peer_allows(const struct peer_policy *p, const struct netaddr *a);

/* Asks DNS once (blocks) and keeps what peer_allows. ERR_ADDRESS_SPECIAL when nothing else is left,
 * ERR_CONNECT for a name without addresses, ERR_DNS_TEMPORARY, ERR_DNS_BOGUS. *secure (may be NULL): all that
 * was answered is secured by DNSSEC. */
enum err peer_resolve(const struct peer_policy *p, struct resolver *r, const char *host,
                      int64_t deadline_mono_ms, struct peer_addresses *out, bool *secure);

/* What a socket is about to be connected to is one of these, with this port. */
bool peer_is_checked(const struct peer_addresses *list, const struct sockaddr *sa, uint16_t port);

/*
 * The gate: called when the connection stands and before the request, on new and on reused connections alike.
 * ERR_OK, or why no key may be sent; fills peer, tls and the certificate's fields of *out. Here is the place
 * of everything that judges a peer beyond what TLS itself verified. Does not wait.
 */
struct peer_gate {
    const struct peer_policy *policy;
    struct trust *trust;
    const struct tlsa_set *tlsa; /* what DNS says now */
    /* what may be done about a refusal */
    struct revocation_verdict revocation; /* needed_count > 0: lists to be fetched first */
    bool outdated; /* the connection was verified by other TLSA records: a new one is needed */
};
enum err peer_judge(struct peer_gate *g, CURL *easy, const char *address, struct claim_outcome *out);

#endif
