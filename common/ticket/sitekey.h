/*
 * sitekey.h - the site keys: one 32-byte secret an epoch, in a file outside the database (mode 0400), and
 * sealing of records under them.
 *
 * File: one "epoch hex64" a line, '#' comments, epochs ascending, each once; the last is the current one.
 * The loaded object is immutable and may be shared by threads.
 */
#ifndef TICKET_SITEKEY_H
#define TICKET_SITEKEY_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define SITEKEY_BYTES 32
#define SITEKEY_FINGERPRINT_BYTES 8

struct site_keys;

/* Refuses a file that others may read (mode & 077), a malformed or empty one: ERR_CONFIG with "file:line:
 * message" in *why; ERR_IO. The caller owns *out. */
enum err site_keys_load(const char *path, struct site_keys **out, struct buf *why);
/* Creates the file (O_EXCL, mode 0400) with one random key of epoch 1. ERR_EXISTS. */
enum err site_keys_create_file(const char *path);
/* For tests: keys from memory. */
enum err site_keys_from_bytes(const uint16_t *epochs, const uint8_t (*keys)[SITEKEY_BYTES], size_t count,
                              struct site_keys **out);
void site_keys_free(struct site_keys *k); /* wipes */

uint16_t site_keys_current(const struct site_keys *k);
size_t site_keys_count(const struct site_keys *k);
/* The i-th epoch and its fingerprint (HMAC of a fixed label: says nothing of the key). */
void site_keys_fingerprint(const struct site_keys *k, size_t i, uint16_t *epoch,
                           uint8_t out[SITEKEY_FINGERPRINT_BYTES]);

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
