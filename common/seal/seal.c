/*
 * seal.c - a letter becomes a payload while it streams in, and a letter again while it streams out.
 *
 *   offset  octets
 *        0       8  "RESTANTE"
 *        8       1  format version, 1
 *        9       1  suite, 1 (HKDF-SHA-256, AES-256-GCM, 65,536-octet chunks)
 *       10       2  zero
 *       12       4  payload version
 *       16       8  octets of the letter
 *       24      16  payload id
 *       40      24  salt
 *       64      32  key commitment
 *       96          chunks
 */
#include "seal/seal.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/secret.h"
#include "seal/evp.h"

#define SEALED_CHUNK_BYTES (SEAL_CHUNK_BYTES + CRYPT_TAG_BYTES)

static const char magic[8] = "RESTANTE";
enum { FORMAT_VERSION = 1, SUITE = 1 };
enum { AT_VERSION = 8, AT_SUITE = 9, AT_ZERO = 10, AT_PAYLOAD_VERSION = 12, AT_LENGTH = 16, AT_ID = 24 };
enum { AT_SALT = 40, AT_COMMITMENT = 64 };

static void put_be(uint8_t *out, uint64_t value, size_t bytes)
{
    for (size_t i = bytes; i-- > 0; value >>= 8)
        out[i] = (uint8_t)value;
}

static uint64_t get_be(const uint8_t *in, size_t bytes)
{
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; i++)
        value = value << 8 | in[i];
    return value;
}

static uint64_t chunk_count(uint64_t letter_bytes)
{
    return letter_bytes == 0 ? 1 : (letter_bytes - 1) / SEAL_CHUNK_BYTES + 1;
}

uint64_t seal_sealed_size(uint64_t letter_bytes)
{
    return SEAL_HEADER_BYTES + letter_bytes + chunk_count(letter_bytes) * CRYPT_TAG_BYTES;
}

/* Some letter has this sealed size. */
static bool is_sealed_size(uint64_t sealed_bytes)
{
    if (sealed_bytes < SEAL_HEADER_BYTES + CRYPT_TAG_BYTES ||
        sealed_bytes > seal_sealed_size(SEAL_LETTER_MAX))
        return false;
    uint64_t chunks = (sealed_bytes - SEAL_HEADER_BYTES - 1) / SEALED_CHUNK_BYTES + 1;
    uint64_t letter = sealed_bytes - SEAL_HEADER_BYTES;
    if (letter < chunks * CRYPT_TAG_BYTES)
        return false;
    return seal_sealed_size(letter - chunks * CRYPT_TAG_BYTES) == sealed_bytes;
}

/* STREAM: no chunk can be moved, left out, or passed for the last one. */
static void make_nonce(uint64_t counter, bool last, uint8_t nonce[CRYPT_NONCE_BYTES])
{
    put_be(nonce, counter, CRYPT_NONCE_BYTES - 1);
    nonce[CRYPT_NONCE_BYTES - 1] = last ? 1 : 0;
}

/* Bound to all of the header but the letter's length, which is not known when the first chunk is sealed. */
static enum err derive_cipher(const uint8_t dek[SEAL_DEK_BYTES], const uint8_t header[SEAL_HEADER_BYTES],
                              bool encrypt, EVP_CIPHER_CTX **out)
{
    static const char label[] = "restante/1/payload";
    uint8_t info[sizeof label - 1 + AT_LENGTH + SEAL_PAYLOAD_ID_BYTES], key[CRYPT_KEY_BYTES];
    memcpy(info, label, sizeof label - 1);
    memcpy(info + sizeof label - 1, header, AT_LENGTH);
    memcpy(info + sizeof label - 1 + AT_LENGTH, header + AT_ID, SEAL_PAYLOAD_ID_BYTES);
    enum err e = crypt_hkdf(span_bytes(dek, SEAL_DEK_BYTES), span_bytes(header + AT_SALT, SEAL_SALT_BYTES),
                            span_bytes(info, sizeof info), key, sizeof key);
    if (e == ERR_OK)
        e = evp_gcm_create(key, encrypt, out);
    secret_wipe(key, sizeof key);
    return e;
}

/* Bound to the whole header, the length with it: GCM alone does not commit to its key. */
static enum err derive_commitment(const uint8_t dek[SEAL_DEK_BYTES], const uint8_t header[SEAL_HEADER_BYTES],
                                  uint8_t out[CRYPT_SHA256_BYTES])
{
    static const char label[] = "restante/1/commitment";
    uint8_t info[sizeof label - 1 + AT_COMMITMENT];
    memcpy(info, label, sizeof label - 1);
    memcpy(info + sizeof label - 1, header, AT_COMMITMENT);
    return crypt_hkdf(span_bytes(dek, SEAL_DEK_BYTES), span_bytes(header + AT_SALT, SEAL_SALT_BYTES),
                      span_bytes(info, sizeof info), out, CRYPT_SHA256_BYTES);
}

/* ---- writing ---- */

struct sealer {
    enum err failed;
    EVP_CIPHER_CTX *cipher;
    struct crypt_digest *digest;
    uint8_t dek[SEAL_DEK_BYTES];
    uint8_t header[SEAL_HEADER_BYTES]; /* length and commitment are set at the end */
    uint64_t letter_bytes;
    uint64_t counter;
    bool finished;
    size_t held; /* of a chunk that is not complete, or may turn out to be the last */
    uint8_t chunk[SEAL_CHUNK_BYTES];
};

enum err sealer_create(uint32_t payload_version, struct sealer **out)
{
    struct seal_secrets s;
    enum err e = secret_random(&s, sizeof s);
    /* The id names the payload and need not be unforeseeable. With the time in front, stores that keep rows
     * in the order of their keys write those of new payloads side by side, and not each into a page of its
     * own. */
    put_be(s.payload_id, (uint64_t)clock_now_s(), 4);
    if (e == ERR_OK)
        e = sealer_create_with(payload_version, &s, out);
    secret_wipe(&s, sizeof s);
    return e;
}

enum err sealer_create_with(uint32_t payload_version, const struct seal_secrets *secrets, struct sealer **out)
{
    if (payload_version == 0)
        return ERR_INTERNAL;
    struct sealer *s = calloc(1, sizeof *s);
    if (s == NULL)
        return ERR_NOMEM;
    memcpy(s->dek, secrets->dek, sizeof s->dek);
    memcpy(s->header, magic, sizeof magic);
    s->header[AT_VERSION] = FORMAT_VERSION;
    s->header[AT_SUITE] = SUITE;
    put_be(s->header + AT_PAYLOAD_VERSION, payload_version, 4);
    memcpy(s->header + AT_ID, secrets->payload_id, SEAL_PAYLOAD_ID_BYTES);
    memcpy(s->header + AT_SALT, secrets->salt, SEAL_SALT_BYTES);
    enum err e = derive_cipher(s->dek, s->header, true, &s->cipher);
    if (e == ERR_OK)
        e = crypt_digest_create(&s->digest);
    if (e != ERR_OK) {
        sealer_free(s);
        return e;
    }
    *out = s;
    return ERR_OK;
}

void sealer_free(struct sealer *s)
{
    if (s == NULL)
        return;
    EVP_CIPHER_CTX_free(s->cipher);
    crypt_digest_free(s->digest);
    secret_wipe(s, sizeof *s);
    free(s);
}

const uint8_t *sealer_payload_id(const struct sealer *s)
{
    return s->header + AT_ID;
}

const uint8_t *sealer_dek(const struct sealer *s)
{
    return s->dek;
}

/* One chunk through digest and cipher while it is in the processor's cache. */
static enum err seal_chunk(struct sealer *s, const void *plain, size_t len, bool last, struct buf *out)
{
    uint8_t nonce[CRYPT_NONCE_BYTES];
    char *to = buf_reserve(out, len + CRYPT_TAG_BYTES);
    if (to == NULL)
        return len + CRYPT_TAG_BYTES > out->max - out->len ? ERR_TOO_LARGE : ERR_NOMEM;
    make_nonce(s->counter, last, nonce);
    enum err e = crypt_digest_update(s->digest, plain, len);
    if (e == ERR_OK)
        e = evp_gcm_seal(s->cipher, nonce, (struct span){0}, span_bytes(plain, len), (uint8_t *)to);
    if (e != ERR_OK)
        return e;
    buf_added(out, len + CRYPT_TAG_BYTES);
    s->counter++;
    s->letter_bytes += len;
    return ERR_OK;
}

enum err sealer_update(struct sealer *s, const void *letter, size_t len, struct buf *out)
{
    const uint8_t *at = letter;
    if (s->failed == ERR_OK && s->finished)
        s->failed = ERR_INTERNAL;
    if (s->failed == ERR_OK && len > SEAL_LETTER_MAX - s->letter_bytes - s->held)
        s->failed = ERR_TOO_LARGE;
    /* A full chunk is sealed only when another byte follows it: it could be the last. */
    while (s->failed == ERR_OK && len > 0) {
        if (s->held == SEAL_CHUNK_BYTES) {
            s->failed = seal_chunk(s, s->chunk, s->held, false, out);
            s->held = 0;
        } else if (s->held == 0 && len > SEAL_CHUNK_BYTES) {
            s->failed = seal_chunk(s, at, SEAL_CHUNK_BYTES, false, out);
            at += SEAL_CHUNK_BYTES;
            len -= SEAL_CHUNK_BYTES;
        } else {
            size_t take = SEAL_CHUNK_BYTES - s->held < len ? SEAL_CHUNK_BYTES - s->held : len;
            memcpy(s->chunk + s->held, at, take);
            s->held += take;
            at += take;
            len -= take;
        }
    }
    return s->failed;
}

enum err sealer_finish(struct sealer *s, struct buf *out, uint8_t header[SEAL_HEADER_BYTES],
                       uint8_t digest[SEAL_DIGEST_BYTES], uint64_t *letter_bytes)
{
    if (s->failed == ERR_OK && s->finished)
        s->failed = ERR_INTERNAL;
    if (s->failed == ERR_OK)
        s->failed = seal_chunk(s, s->chunk, s->held, true, out);
    if (s->failed != ERR_OK)
        return s->failed;
    s->finished = true;
    uint8_t commitment[CRYPT_SHA256_BYTES], sum[SEAL_DIGEST_BYTES];
    put_be(s->header + AT_LENGTH, s->letter_bytes, 8);
    s->failed = derive_commitment(s->dek, s->header, commitment);
    if (s->failed == ERR_OK)
        s->failed = crypt_digest_final(s->digest, sum);
    if (s->failed != ERR_OK)
        return s->failed;
    memcpy(s->header + AT_COMMITMENT, commitment, sizeof commitment);
    memcpy(header, s->header, SEAL_HEADER_BYTES);
    memcpy(digest, sum, SEAL_DIGEST_BYTES);
    *letter_bytes = s->letter_bytes;
    return ERR_OK;
}

/* ---- reading ---- */

struct opener {
    enum err failed;
    EVP_CIPHER_CTX *cipher; /* NULL until header and commitment are good */
    struct crypt_digest *digest;
    struct seal_header header;
    uint64_t sealed_bytes; /* announced, or UINT64_MAX */
    uint64_t opened_bytes; /* of the letter */
    uint64_t counter, chunks;
    uint8_t dek[SEAL_DEK_BYTES];
    size_t held;
    uint8_t piece[SEALED_CHUNK_BYTES]; /* the header, or a chunk that is not complete */
};

enum err seal_header_parse(struct span header, struct seal_header *out)
{
    const uint8_t *h = (const uint8_t *)header.ptr;
    if (header.len < SEAL_HEADER_BYTES || memcmp(h, magic, sizeof magic) != 0 ||
        h[AT_VERSION] != FORMAT_VERSION || h[AT_SUITE] != SUITE || get_be(h + AT_ZERO, 2) != 0)
        return ERR_SEAL_FORMAT;
    uint32_t version = (uint32_t)get_be(h + AT_PAYLOAD_VERSION, 4);
    uint64_t length = get_be(h + AT_LENGTH, 8);
    if (version == 0 || length > SEAL_LETTER_MAX)
        return ERR_SEAL_FORMAT;
    out->payload_version = version;
    out->letter_bytes = length;
    memcpy(out->payload_id, h + AT_ID, SEAL_PAYLOAD_ID_BYTES);
    return ERR_OK;
}

enum err opener_create(const uint8_t dek[SEAL_DEK_BYTES], uint64_t sealed_bytes, struct opener **out)
{
    if (sealed_bytes != UINT64_MAX && !is_sealed_size(sealed_bytes))
        return ERR_SEAL_LENGTH;
    struct opener *o = calloc(1, sizeof *o);
    if (o == NULL)
        return ERR_NOMEM;
    memcpy(o->dek, dek, sizeof o->dek);
    o->sealed_bytes = sealed_bytes;
    enum err e = crypt_digest_create(&o->digest);
    if (e != ERR_OK) {
        opener_free(o);
        return e;
    }
    *out = o;
    return ERR_OK;
}

void opener_free(struct opener *o)
{
    if (o == NULL)
        return;
    EVP_CIPHER_CTX_free(o->cipher);
    crypt_digest_free(o->digest);
    secret_wipe(o, sizeof *o);
    free(o);
}

static enum err open_header(struct opener *o)
{
    uint8_t commitment[CRYPT_SHA256_BYTES];
    enum err e = seal_header_parse(span_bytes(o->piece, SEAL_HEADER_BYTES), &o->header);
    if (e == ERR_OK && o->sealed_bytes != UINT64_MAX &&
        seal_sealed_size(o->header.letter_bytes) != o->sealed_bytes)
        e = ERR_SEAL_LENGTH;
    if (e == ERR_OK)
        e = derive_commitment(o->dek, o->piece, commitment);
    if (e == ERR_OK && !secret_equal(commitment, o->piece + AT_COMMITMENT, sizeof commitment))
        e = ERR_SEAL_COMMITMENT;
    if (e == ERR_OK)
        e = derive_cipher(o->dek, o->piece, false, &o->cipher);
    o->chunks = chunk_count(o->header.letter_bytes);
    return e;
}

/* Sealed octets of the chunk whose turn it is. */
static size_t next_chunk_bytes(const struct opener *o)
{
    uint64_t left = o->header.letter_bytes - o->opened_bytes;
    return (left > SEAL_CHUNK_BYTES ? SEAL_CHUNK_BYTES : (size_t)left) + CRYPT_TAG_BYTES;
}

static enum err open_chunk(struct opener *o, const void *sealed, size_t len, struct buf *out)
{
    uint8_t nonce[CRYPT_NONCE_BYTES], empty[1];
    size_t plain = len - CRYPT_TAG_BYTES;
    char *to = plain > 0 ? buf_reserve(out, plain) : (char *)empty;
    if (to == NULL)
        return plain > out->max - out->len ? ERR_TOO_LARGE : ERR_NOMEM;
    make_nonce(o->counter, o->counter + 1 == o->chunks, nonce);
    enum err e = evp_gcm_open(o->cipher, nonce, (struct span){0}, span_bytes(sealed, len), (uint8_t *)to);
    if (e == ERR_OK)
        e = crypt_digest_update(o->digest, to, plain);
    if (e != ERR_OK)
        return e;
    if (plain > 0)
        buf_added(out, plain);
    o->counter++;
    o->opened_bytes += plain;
    return ERR_OK;
}

enum err opener_update(struct opener *o, const void *sealed, size_t len, struct buf *out)
{
    const uint8_t *at = sealed;
    while (o->failed == ERR_OK && len > 0) {
        if (o->cipher != NULL && o->counter == o->chunks) {
            o->failed = ERR_SEAL_TRAILING;
            break;
        }
        size_t need = o->cipher == NULL ? SEAL_HEADER_BYTES : next_chunk_bytes(o);
        if (o->cipher != NULL && o->held == 0 && len >= need) {
            o->failed = open_chunk(o, at, need, out);
            at += need;
            len -= need;
            continue;
        }
        size_t take = need - o->held < len ? need - o->held : len;
        memcpy(o->piece + o->held, at, take);
        o->held += take;
        at += take;
        len -= take;
        if (o->held == need) {
            o->failed = o->cipher == NULL ? open_header(o) : open_chunk(o, o->piece, need, out);
            o->held = 0;
        }
    }
    return o->failed;
}

enum err opener_finish(struct opener *o, uint8_t digest[SEAL_DIGEST_BYTES], uint64_t *letter_bytes)
{
    if (o->failed == ERR_OK && (o->cipher == NULL || o->counter != o->chunks))
        o->failed = ERR_SEAL_TRUNCATED;
    uint8_t sum[SEAL_DIGEST_BYTES];
    if (o->failed == ERR_OK)
        o->failed = crypt_digest_final(o->digest, sum);
    if (o->failed != ERR_OK)
        return o->failed;
    memcpy(digest, sum, sizeof sum);
    *letter_bytes = o->opened_bytes;
    o->failed = ERR_INTERNAL; /* finished: nothing more may come */
    return ERR_OK;
}

const struct seal_header *opener_header(const struct opener *o)
{
    return o->cipher != NULL ? &o->header : NULL;
}

/* ---- key wrap ---- */

static const uint8_t zero_nonce[CRYPT_NONCE_BYTES];

static enum err derive_wrap_key(const uint8_t kd[32], const uint8_t a[16],
                                const uint8_t payload_id[SEAL_PAYLOAD_ID_BYTES], uint32_t payload_version,
                                uint8_t out[CRYPT_KEY_BYTES])
{
    static const char label[] = "restante/1/wrap";
    uint8_t info[sizeof label - 1 + SEAL_PAYLOAD_ID_BYTES + 4];
    memcpy(info, label, sizeof label - 1);
    memcpy(info + sizeof label - 1, payload_id, SEAL_PAYLOAD_ID_BYTES);
    put_be(info + sizeof info - 4, payload_version, 4);
    return crypt_hkdf(span_bytes(kd, 32), span_bytes(a, 16), span_bytes(info, sizeof info), out,
                      CRYPT_KEY_BYTES);
}

enum err wrap_seal(const uint8_t kd[32], const uint8_t a[16], const uint8_t payload_id[SEAL_PAYLOAD_ID_BYTES],
                   uint32_t payload_version, const uint8_t dek[SEAL_DEK_BYTES], uint8_t wrap[SEAL_WRAP_BYTES])
{
    uint8_t key[CRYPT_KEY_BYTES];
    enum err e = derive_wrap_key(kd, a, payload_id, payload_version, key);
    if (e == ERR_OK)
        e = crypt_gcm_seal(key, zero_nonce, (struct span){0}, span_bytes(dek, SEAL_DEK_BYTES), wrap);
    secret_wipe(key, sizeof key);
    return e;
}

enum err wrap_open(const uint8_t kd[32], const uint8_t a[16], const uint8_t payload_id[SEAL_PAYLOAD_ID_BYTES],
                   uint32_t payload_version, const uint8_t wrap[SEAL_WRAP_BYTES], uint8_t dek[SEAL_DEK_BYTES])
{
    uint8_t key[CRYPT_KEY_BYTES], opened[SEAL_DEK_BYTES];
    enum err e = derive_wrap_key(kd, a, payload_id, payload_version, key);
    if (e == ERR_OK)
        e = crypt_gcm_open(key, zero_nonce, (struct span){0}, span_bytes(wrap, SEAL_WRAP_BYTES), opened);
    if (e == ERR_OK)
        memcpy(dek, opened, SEAL_DEK_BYTES);
    secret_wipe(key, sizeof key);
    secret_wipe(opened, sizeof opened);
    return e == ERR_SEAL_TAG ? ERR_SEAL_WRAP : e;
}
