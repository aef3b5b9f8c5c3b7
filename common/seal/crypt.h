/*
 * crypt.h - the few primitives of OpenSSL's EVP that the house uses. Only common/seal includes OpenSSL's
 * crypto headers. Thread-safe. Failures of the library are ERR_INTERNAL (ERR_NOMEM where it says so).
 */
#ifndef SEAL_CRYPT_H
#define SEAL_CRYPT_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define CRYPT_SHA256_BYTES 32
#define CRYPT_KEY_BYTES 32   /* AES-256 */
#define CRYPT_NONCE_BYTES 12 /* GCM */
#define CRYPT_TAG_BYTES 16

enum err crypt_sha256(struct span data, uint8_t out[CRYPT_SHA256_BYTES]);
/* Over several ranges one after another. */
enum err crypt_sha256v(const struct span *parts, size_t count, uint8_t out[CRYPT_SHA256_BYTES]);
enum err crypt_hmac_sha256(const uint8_t *key, size_t key_len, const struct span *parts, size_t count,
                           uint8_t out[CRYPT_SHA256_BYTES]);
/* HKDF-SHA-256 (RFC 5869), out_len at most 255*32 bytes. */
enum err crypt_hkdf(struct span key, struct span salt, struct span info, uint8_t *out, size_t out_len);
/* AES-256-GCM. out has len + CRYPT_TAG_BYTES bytes (seal) or len - CRYPT_TAG_BYTES (open; ERR_SEAL_TAG,
 * nothing written that may be used). */
enum err crypt_gcm_seal(const uint8_t key[CRYPT_KEY_BYTES], const uint8_t nonce[CRYPT_NONCE_BYTES],
                        struct span aad, struct span plain, uint8_t *out);
enum err crypt_gcm_open(const uint8_t key[CRYPT_KEY_BYTES], const uint8_t nonce[CRYPT_NONCE_BYTES],
                        struct span aad, struct span sealed, uint8_t *out);

/* A running SHA-256. Belongs to one thread at a time. */
struct crypt_digest;
enum err crypt_digest_create(struct crypt_digest **out);
enum err crypt_digest_update(struct crypt_digest *d, const void *data, size_t len);
enum err crypt_digest_final(struct crypt_digest *d, uint8_t out[CRYPT_SHA256_BYTES]); /* once */
void crypt_digest_free(struct crypt_digest *d);

#endif
