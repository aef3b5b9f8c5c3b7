/*
 * ticket.h - a ticket's identifier, the keys derived from it, its URL, and the tag of its stub's reverse-path
 * (docs/PROTOCOL.md, "Identifiers and keys"; FLRRMaP section 3). Pure functions, thread-safe.
 */
#ifndef TICKET_TICKET_H
#define TICKET_TICKET_H

#include <stdint.h>

#include "base/buf.h"
#include "ticket/sitekey.h"

#define TICKET_A_BYTES 16
#define TICKET_B_BYTES 16
#define TICKET_KEY_BYTES 32
#define TICKET_STORE_KEY_BYTES 32
#define TICKET_TAG_LEN 48 /* lower-case hex of A and an 8-byte MAC */
#define TICKET_HOST_MAX 253
#define TICKET_URL_MAX 512
#define TICKET_PATH_PREFIX "/restante/1/"

struct ticket_keys {
    uint8_t a[TICKET_A_BYTES];    /* 2 bytes of epoch, 14 random */
    uint8_t b[TICKET_B_BYTES];    /* proves that the URL was made here */
    uint8_t ka[TICKET_KEY_BYTES]; /* authorises a request; secret */
    uint8_t kd[TICKET_KEY_BYTES]; /* opens the wrap; secret */
};

/* A new ticket under the current epoch: random A, the rest derived. ERR_INTERNAL. Wipe after use. */
enum err ticket_create(const struct site_keys *keys, struct ticket_keys *out);
/* Derives B, Ka, Kd from A. ERR_NOT_FOUND when A's epoch is not among the keys. */
enum err ticket_derive(const struct site_keys *keys, const uint8_t a[TICKET_A_BYTES],
                       struct ticket_keys *out);
void ticket_wipe(struct ticket_keys *t);
/* The store's key, SHA-256(A | B). */
enum err ticket_store_key(const uint8_t a[TICKET_A_BYTES], const uint8_t b[TICKET_B_BYTES],
                          uint8_t out[TICKET_STORE_KEY_BYTES]);
/* What the store keeps of Ka: SHA-256(Ka). */
enum err ticket_ka_hash(const uint8_t ka[TICKET_KEY_BYTES], uint8_t out[32]);

struct ticket_url {
    char host[TICKET_HOST_MAX + 1]; /* lower-case A-labels; never an address literal */
    uint16_t port;
    uint8_t a[TICKET_A_BYTES];
    uint8_t b[TICKET_B_BYTES];
};
/* Canonical form only: "https://" host [":" port, not 443, no leading zero] "/restante/1/" A "/" B; no user
 * info, no query, no fragment, no percent escapes, no upper case host, no IP address in any spelling.
 * ERR_SYNTAX. */
enum err ticket_url_parse(struct span text, struct ticket_url *out);
enum err ticket_url_format(const struct ticket_url *u, char out[TICKET_URL_MAX + 1]);
/* The path "/restante/1/<A>/<B>" with an optional "/" + verb (claim, ack, nack, status) -> A, B and the
 * verb's span (empty for none). ERR_SYNTAX. */
enum err ticket_path_parse(struct span path, uint8_t a[TICKET_A_BYTES], uint8_t b[TICKET_B_BYTES],
                           struct span *verb);

/* The tag of the stub's reverse-path "restante+<tag>@domain". */
enum err ticket_tag_format(const struct site_keys *keys, const uint8_t a[TICKET_A_BYTES],
                           char out[TICKET_TAG_LEN + 1]);
/* Checks the MAC in constant time. ERR_SYNTAX for a malformed one, ERR_NOT_FOUND for a wrong MAC or unknown
 * epoch. Upper-case hex is accepted (mail systems may change the case of local parts). */
enum err ticket_tag_parse(const struct site_keys *keys, struct span tag, uint8_t a[TICKET_A_BYTES]);

#endif
