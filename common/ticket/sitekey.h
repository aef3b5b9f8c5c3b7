/*
 * sitekey.h - the site keys: one 32-byte secret an epoch, and sealing of records under them. The highest
 * epoch is the current one: what is new is made with it; the others open what was made with them.
 *
 * A struct site_keys is thread-safe. Its keys can be replaced, or one of them forgotten, while other threads
 * derive and seal: each call works with the old keys or with the new ones, and no octet of the old ones is
 * left in memory when site_keys_replace or site_keys_forget returns. Where they come from: keyfile.h.
 */
#ifndef TICKET_SITEKEY_H
#define TICKET_SITEKEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define SITEKEY_BYTES 32
#define SITEKEY_FINGERPRINT_BYTES 8
#define SITEKEY_EPOCHS_MAX 4096 /* at once */

struct site_keys;

struct site_key {
    uint16_t epoch;  /* from 1 */
    unsigned line;   /* of its file; 0: from memory */
    int64_t since_s; /* as its file says; 0: it does not */
    uint8_t key[SITEKEY_BYTES];
};
/* Copies the keys, epochs ascending, each once, at least one; file (may be NULL) is for messages. ERR_CONFIG,
 * ERR_NOMEM. The caller owns *out, and wipes his own. */
enum err site_keys_create(const struct site_key *key, size_t count, const char *file, struct site_keys **out);
/* For tests: keys from memory. */
enum err site_keys_from_bytes(const uint16_t *epochs, const uint8_t (*keys)[SITEKEY_BYTES], size_t count,
                              struct site_keys **out);
void site_keys_free(struct site_keys *k); /* wipes; when no thread uses it any more */

/* Takes `with`: its keys are k's from now on, and k's are wiped. */
void site_keys_replace(struct site_keys *k, struct site_keys *with);
/* Wipes one. ERR_NOT_FOUND; ERR_FORBIDDEN: the current one. */
enum err site_keys_forget(struct site_keys *k, uint16_t epoch);

uint16_t site_keys_current(const struct site_keys *k);
/* What may be known of a key. */
struct site_key_info {
    uint16_t epoch;
    unsigned line;
    int64_t since_s;
    uint8_t fingerprint[SITEKEY_FINGERPRINT_BYTES]; /* HMAC of a fixed label: says nothing of the key */
};
/* The i-th, in the order of epochs; false behind the last. */
bool site_keys_info(const struct site_keys *k, size_t i, struct site_key_info *out);
bool site_keys_has(const struct site_keys *k, uint16_t epoch);
/* Appends "file:line: " of an epoch, "file: " when it is not there, or nothing for keys from memory. */
void site_keys_place(const struct site_keys *k, uint16_t epoch, struct buf *out);

/* What labels begin with (docs/PROTOCOL.md, "Labels"). */
#define SITEKEY_LABEL_PREFIX "restante/1/"
#define SITEKEY_LABEL_MAX 64 /* octets, for site_seal and site_open */

/* HMAC-SHA-256(K[e], label | 0x00 | data). ERR_NOT_FOUND for an unknown epoch. */
enum err site_keys_derive(const struct site_keys *k, uint16_t epoch, const char *label, struct span data,
                          uint8_t out[32]);

/*
 * Seals a record (AES-256-GCM, random nonce and a key derived for `label` and that nonce): out = epoch (2) |
 * nonce (16) | ciphertext | tag. aad binds it to its place (for example the record's key); label is the plain
 * word, for example "job". Appended to out. site_open: ERR_SEAL_TAG, ERR_SEAL_FORMAT, ERR_NOT_FOUND.
 */
#define SITE_SEAL_OVERHEAD (2 + 16 + 16)
enum err site_seal(const struct site_keys *k, const char *label, struct span aad, struct span plain,
                   struct buf *out);
enum err site_open(const struct site_keys *k, const char *label, struct span aad, struct span sealed,
                   struct buf *out);

#endif
