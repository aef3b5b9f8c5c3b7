/*
 * crypt.c - the house's few cryptographic primitives, on OpenSSL's EVP.
 *
 * Algorithms are fetched once a process: an implicit fetch a call costs more than most of these operations.
 */
#include "seal/crypt.h"

#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include "base/secret.h"
#include "seal/evp.h"

static EVP_MD *sha256;
static EVP_CIPHER *aes256gcm;
static EVP_MAC *hmac;
static EVP_KDF *hkdf;
static pthread_once_t fetched = PTHREAD_ONCE_INIT;

static void fetch(void)
{
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    aes256gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    hkdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
}

static bool ready(void)
{
    pthread_once(&fetched, fetch);
    return sha256 != NULL && aes256gcm != NULL && hmac != NULL && hkdf != NULL;
}

/* EVP takes non-const pointers where it only reads, and never NULL for "nothing" where that means "absent".
 */
static void *octets(struct span s)
{
    return s.len > 0 ? (void *)(uintptr_t)s.ptr : (void *)(uintptr_t) "";
}

enum err crypt_sha256(struct span data, uint8_t out[CRYPT_SHA256_BYTES])
{
    return crypt_sha256v(&data, 1, out);
}

enum err crypt_sha256v(const struct span *parts, size_t count, uint8_t out[CRYPT_SHA256_BYTES])
{
    struct crypt_digest *d = NULL;
    enum err e = crypt_digest_create(&d);
    for (size_t i = 0; i < count && e == ERR_OK; i++)
        e = crypt_digest_update(d, parts[i].ptr, parts[i].len);
    if (e == ERR_OK)
        e = crypt_digest_final(d, out);
    crypt_digest_free(d);
    return e;
}

enum err crypt_hmac_sha256(const uint8_t *key, size_t key_len, const struct span *parts, size_t count,
                           uint8_t out[CRYPT_SHA256_BYTES])
{
    char digest[] = "SHA256";
    const OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                                 OSSL_PARAM_construct_end()};
    if (!ready())
        return ERR_INTERNAL;
    EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(hmac);
    if (ctx == NULL)
        return ERR_NOMEM;
    bool ok = EVP_MAC_init(ctx, key_len > 0 ? key : (const uint8_t *)"", key_len, params) == 1;
    for (size_t i = 0; i < count && ok; i++)
        ok = EVP_MAC_update(ctx, octets(parts[i]), parts[i].len) == 1;
    size_t len = 0;
    ok = ok && EVP_MAC_final(ctx, out, &len, CRYPT_SHA256_BYTES) == 1 && len == CRYPT_SHA256_BYTES;
    EVP_MAC_CTX_free(ctx);
    return ok ? ERR_OK : ERR_INTERNAL;
}

enum err crypt_hkdf(struct span key, struct span salt, struct span info, uint8_t *out, size_t out_len)
{
    char digest[] = "SHA256";
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, octets(key), key.len),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, octets(salt), salt.len),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, octets(info), info.len),
        OSSL_PARAM_construct_end(),
    };
    if (!ready())
        return ERR_INTERNAL;
    EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(hkdf);
    if (ctx == NULL)
        return ERR_NOMEM;
    bool ok = EVP_KDF_derive(ctx, out, out_len, params) == 1;
    EVP_KDF_CTX_free(ctx);
    return ok ? ERR_OK : ERR_INTERNAL;
}

/* ---- AES-256-GCM ---- */

enum err evp_gcm_create(const uint8_t key[CRYPT_KEY_BYTES], bool encrypt, EVP_CIPHER_CTX **out)
{
    if (!ready())
        return ERR_INTERNAL;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    if (ctx == NULL)
        return ERR_NOMEM;
    if (EVP_CipherInit_ex2(ctx, aes256gcm, key, NULL, encrypt, NULL) != 1) {
        EVP_CIPHER_CTX_free(ctx);
        return ERR_INTERNAL;
    }
    *out = ctx;
    return ERR_OK;
}

enum err evp_gcm_seal(EVP_CIPHER_CTX *ctx, const uint8_t nonce[CRYPT_NONCE_BYTES], struct span aad,
                      struct span plain, uint8_t *out)
{
    if (aad.len > INT_MAX || plain.len > INT_MAX)
        return ERR_TOO_LARGE;
    int len = 0, end = 0;
    bool ok = EVP_EncryptInit_ex2(ctx, NULL, NULL, nonce, NULL) == 1 &&
              (aad.len == 0 || EVP_EncryptUpdate(ctx, NULL, &len, octets(aad), (int)aad.len) == 1) &&
              (plain.len == 0 || (EVP_EncryptUpdate(ctx, out, &len, octets(plain), (int)plain.len) == 1 &&
                                  (size_t)len == plain.len)) &&
              EVP_EncryptFinal_ex(ctx, out + plain.len, &end) == 1 && end == 0 &&
              EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, CRYPT_TAG_BYTES, out + plain.len) == 1;
    return ok ? ERR_OK : ERR_INTERNAL;
}

enum err evp_gcm_open(EVP_CIPHER_CTX *ctx, const uint8_t nonce[CRYPT_NONCE_BYTES], struct span aad,
                      struct span sealed, uint8_t *out)
{
    if (aad.len > INT_MAX || sealed.len > INT_MAX)
        return ERR_TOO_LARGE;
    if (sealed.len < CRYPT_TAG_BYTES)
        return ERR_SEAL_TAG;
    size_t plain = sealed.len - CRYPT_TAG_BYTES;
    uint8_t tag[CRYPT_TAG_BYTES], nothing[1];
    memcpy(tag, sealed.ptr + plain, sizeof tag);
    int len = 0, end = 0;
    bool ok = EVP_DecryptInit_ex2(ctx, NULL, NULL, nonce, NULL) == 1 &&
              EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, CRYPT_TAG_BYTES, tag) == 1 &&
              (aad.len == 0 || EVP_DecryptUpdate(ctx, NULL, &len, octets(aad), (int)aad.len) == 1) &&
              (plain == 0 ||
               (EVP_DecryptUpdate(ctx, out, &len, octets(sealed), (int)plain) == 1 && (size_t)len == plain));
    if (!ok)
        return ERR_INTERNAL;
    if (EVP_DecryptFinal_ex(ctx, plain > 0 ? out + plain : nothing, &end) != 1) {
        secret_wipe(out, plain);
        return ERR_SEAL_TAG;
    }
    return ERR_OK;
}

enum err crypt_gcm_seal(const uint8_t key[CRYPT_KEY_BYTES], const uint8_t nonce[CRYPT_NONCE_BYTES],
                        struct span aad, struct span plain, uint8_t *out)
{
    EVP_CIPHER_CTX *ctx = NULL;
    enum err e = evp_gcm_create(key, true, &ctx);
    if (e == ERR_OK)
        e = evp_gcm_seal(ctx, nonce, aad, plain, out);
    EVP_CIPHER_CTX_free(ctx);
    return e;
}

enum err crypt_gcm_open(const uint8_t key[CRYPT_KEY_BYTES], const uint8_t nonce[CRYPT_NONCE_BYTES],
                        struct span aad, struct span sealed, uint8_t *out)
{
    EVP_CIPHER_CTX *ctx = NULL;
    enum err e = evp_gcm_create(key, false, &ctx);
    if (e == ERR_OK)
        e = evp_gcm_open(ctx, nonce, aad, sealed, out);
    EVP_CIPHER_CTX_free(ctx);
    return e;
}

/* ---- running digest ---- */

struct crypt_digest {
    EVP_MD_CTX *ctx;
};

enum err crypt_digest_create(struct crypt_digest **out)
{
    if (!ready())
        return ERR_INTERNAL;
    struct crypt_digest *d = calloc(1, sizeof *d);
    if (d == NULL)
        return ERR_NOMEM;
    d->ctx = EVP_MD_CTX_new();
    if (d->ctx == NULL || EVP_DigestInit_ex2(d->ctx, sha256, NULL) != 1) {
        crypt_digest_free(d);
        return ERR_NOMEM;
    }
    *out = d;
    return ERR_OK;
}

enum err crypt_digest_update(struct crypt_digest *d, const void *data, size_t len)
{
    if (len == 0)
        return ERR_OK;
    return EVP_DigestUpdate(d->ctx, data, len) == 1 ? ERR_OK : ERR_INTERNAL;
}

enum err crypt_digest_final(struct crypt_digest *d, uint8_t out[CRYPT_SHA256_BYTES])
{
    unsigned len = 0;
    return EVP_DigestFinal_ex(d->ctx, out, &len) == 1 && len == CRYPT_SHA256_BYTES ? ERR_OK : ERR_INTERNAL;
}

void crypt_digest_free(struct crypt_digest *d)
{
    if (d == NULL)
        return;
    EVP_MD_CTX_free(d->ctx); /* wipes its state */
    free(d);
}
