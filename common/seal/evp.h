/*
 * evp.h - AES-256-GCM with a context that is used again chunk by chunk; for crypt.c and seal.c alone
 * (OpenSSL's types stand in it). A context belongs to one thread at a time.
 */
#ifndef SEAL_EVP_H
#define SEAL_EVP_H

#include <stdbool.h>

#include <openssl/evp.h>

#include "seal/crypt.h"

/* The caller owns *out: EVP_CIPHER_CTX_free, which wipes. */
enum err evp_gcm_create(const uint8_t key[CRYPT_KEY_BYTES], bool encrypt, EVP_CIPHER_CTX **out);
/* As crypt_gcm_seal and crypt_gcm_open, under the context's key. */
enum err evp_gcm_seal(EVP_CIPHER_CTX *ctx, const uint8_t nonce[CRYPT_NONCE_BYTES], struct span aad,
                      struct span plain, uint8_t *out);
enum err evp_gcm_open(EVP_CIPHER_CTX *ctx, const uint8_t nonce[CRYPT_NONCE_BYTES], struct span aad,
                      struct span sealed, uint8_t *out);

#endif
