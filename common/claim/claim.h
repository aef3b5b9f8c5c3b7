/*
 * claim.h - the calling side of the ticket protocol: an HTTPS client (libcurl multi, HTTP/2) that calls for a
 * payload, verifies and opens it into an anonymous file, and confirms (docs/PROTOCOL.md, "Requests").
 *
 * One thread of its own runs all transfers; many letters share one connection a host. Every rule against
 * abuse lives here: addresses are resolved once, special ranges refused, the checked addresses and no others
 * connected to, no redirects, proxies, cookies or compression, bytes counted, deadlines and minimum rates
 * kept, the peer judged before a key leaves (chain, name, dates, DANE, revocation), hosts that do not answer
 * as Restante left alone. All functions are thread-safe.
 */
#ifndef CLAIM_CLAIM_H
#define CLAIM_CLAIM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/netaddr.h"
#include "dns/resolver.h"
#include "seal/seal.h"
#include "ticket/ticket.h"

#define CLAIM_LEASE_BYTES 16 /* the lease token is of the puller's making */

struct claim_client;
struct trust;
struct claim_options {
    struct resolver *resolver;                             /* borrowed for the client's life */
    struct trust *trust;                                   /* revocation; borrowed likewise */
    const char *ca_file;                                   /* PEM; NULL: the system's */
    const char *bind_address;                              /* NULL: any (pull_bind_address) */
    const char *client_certificate_file, *client_key_file; /* NULL: none */
    const struct netprefix *allowed_special; /* for test networks (allow_special_ranges); borrowed */
    size_t allowed_special_count;
    const char *spool_directory; /* O_TMPFILE files are made here */
    int64_t letter_max_bytes;
    int64_t connect_timeout_ms;   /* TCP and TLS, e.g. 10000 */
    int64_t answer_timeout_ms;    /* from request to answer's head, e.g. 30000 */
    int64_t total_timeout_ms;     /* for one body, e.g. 3600000 */
    int64_t rate_min_bytes_s;     /* over rate_window_ms, e.g. 1024 */
    int64_t rate_window_ms;       /* e.g. 20000 */
    int host_connections_max;     /* e.g. 2 */
    int host_transfers_max;       /* at once, e.g. 16; more wait in the client, not on the wire */
    int transfers_max;            /* in total, e.g. 256 */
    int64_t not_restante_pause_s; /* 3600 */
};
enum err claim_client_create(const struct claim_options *o, struct claim_client **out);
/* Cancels what is under way (callbacks get ERR_CANCELLED) and refuses what is started later (ERR_CANCELLED).
 * Stops the trust too. */
void claim_client_stop(struct claim_client *c);
void claim_client_free(struct claim_client *c); /* stops, joins, frees; when nobody else uses it */

enum claim_verb { CLAIM_CLAIM, CLAIM_ACK, CLAIM_NACK, CLAIM_STATUS, CLAIM_HEAD };

struct claim_request {
    enum claim_verb verb;
    struct ticket_url url;
    uint8_t ka[TICKET_KEY_BYTES];
    uint8_t kd[TICKET_KEY_BYTES];          /* CLAIM only */
    uint8_t lease[CLAIM_LEASE_BYTES];      /* CLAIM, NACK */
    const char *sender, *recipient, *from; /* CLAIM: as the puller believes them; copied */
    uint8_t digest[SEAL_DIGEST_BYTES];     /* ACK: SHA-256 of the letter */
    const char *reason;                    /* NACK: reason code; STATUS: "held" or "challenge"; copied */
    const char *text;                      /* NACK: "550 5.1.1 ..."; STATUS: challenge URL; copied */
};

struct claim_outcome {
    enum err err;     /* ERR_OK, or what went wrong; what to do then is the caller's verdict */
    int http_status;  /* 0 when no answer came */
    char reason[32];  /* of a 410: "acked", "retracted", ...; "" otherwise */
    char detail[256]; /* printable, for the log and `restantectl jobs` */
    char host[TICKET_HOST_MAX + 1];
    struct netaddr peer;                                  /* family 0 when never connected */
    char tls[64];                                         /* "TLSv1.3 TLS_AES_256_GCM_SHA384" */
    char certificate_issuer[256], certificate_serial[64]; /* for accountability; of a refused one too */
    int64_t retry_after_s;                                /* 0: none given */
    int64_t pause_ms; /* with ERR_CIRCUIT_OPEN: how much longer the host is left alone */
    /* CLAIM with ERR_OK: */
    int letter_fd; /* anonymous file at offset 0; the callee owns it (-1 otherwise) */
    uint8_t digest[SEAL_DIGEST_BYTES];
    char notify[64]; /* Restante-Notify: NOTIFY as the sender asked; "" when not given */
    /* CLAIM, HEAD and STATUS with ERR_OK: */
    uint32_t payload_version; /* 0 when not told */
    uint64_t letter_bytes;    /* goes with it */
    int64_t expires_s;        /* the link host's, 0 when not told */
};

/* Called exactly once, on the client's thread; must not block. */
typedef void (*claim_done)(void *arg, struct claim_outcome *outcome);

/*
 * Starts a request; everything in *request is copied. An interrupted body is resumed by Range within the same
 * request (up to 5 times) before it is reported. ERR_BUSY when transfers_max are waiting already: then done
 * is not called. While the host is left alone the outcome is ERR_CIRCUIT_OPEN, at once.
 */
enum err claim_start(struct claim_client *c, const struct claim_request *request, claim_done done, void *arg);
/* The same, waiting for the outcome (restante-open, tests). */
enum err claim_wait(struct claim_client *c, const struct claim_request *request, struct claim_outcome *out);

#endif
