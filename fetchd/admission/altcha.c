/*
 * altcha.c - see altcha.h.
 */
#include "admission/altcha.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/encode.h"
#include "base/secret.h"
#include "seal/crypt.h"

#define SALT_RANDOM_BYTES 16
#define SALT_EXPIRES "?expires="

static enum err sign(const uint8_t key[ALTCHA_KEY_BYTES], const char *challenge, char out[ALTCHA_HEX_LEN + 1])
{
    uint8_t sum[CRYPT_SHA256_BYTES];
    const struct span text = span_of(challenge);
    enum err e = crypt_hmac_sha256(key, ALTCHA_KEY_BYTES, &text, 1, sum);
    if (e == ERR_OK)
        encode_hex(sum, sizeof sum, out);
    return e;
}

static enum err hash(const char *salt, uint64_t number, char out[ALTCHA_HEX_LEN + 1])
{
    uint8_t sum[CRYPT_SHA256_BYTES];
    char text[ALTCHA_SALT_MAX + 24];
    int len = snprintf(text, sizeof text, "%s%" PRIu64, salt, number);
    if (len < 0 || (size_t)len >= sizeof text)
        return ERR_SYNTAX;
    enum err e = crypt_sha256(span_bytes(text, (size_t)len), sum);
    if (e == ERR_OK)
        encode_hex(sum, sizeof sum, out);
    return e;
}

enum err altcha_compute(const uint8_t key[ALTCHA_KEY_BYTES], const char *salt, uint64_t number,
                        struct altcha *out)
{
    struct altcha a = {.number = number};
    if (strlen(salt) >= sizeof a.salt)
        return ERR_SYNTAX;
    strcpy(a.salt, salt);
    enum err e = hash(salt, number, a.challenge);
    if (e == ERR_OK)
        e = sign(key, a.challenge, a.signature);
    if (e == ERR_OK)
        *out = a;
    return e;
}

enum err altcha_make(const uint8_t key[ALTCHA_KEY_BYTES], uint64_t maxnumber, int64_t expires_s,
                     struct altcha *out)
{
    uint8_t bytes[SALT_RANDOM_BYTES];
    uint64_t random;
    char hex[ENCODE_HEX_LEN(SALT_RANDOM_BYTES) + 1], salt[ALTCHA_SALT_MAX + 1];
    enum err e = secret_random(bytes, sizeof bytes);
    if (e == ERR_OK)
        e = secret_random(&random, sizeof random);
    if (e != ERR_OK)
        return e;
    encode_hex(bytes, sizeof bytes, hex);
    snprintf(salt, sizeof salt, "%s" SALT_EXPIRES "%" PRId64 "&", hex, expires_s);
    e = altcha_compute(key, salt, random % (maxnumber + 1), out);
    secret_wipe(&random, sizeof random);
    if (e == ERR_OK)
        out->number = maxnumber;
    return e;
}

/* The one form that altcha_make writes. */
static bool read_expires(const char *salt, int64_t *out)
{
    struct span random, rest, digits, nothing;
    uint64_t n;
    uint8_t bytes[SALT_RANDOM_BYTES];
    if (!span_cut(span_of(salt), '?', &random, &rest) || decode_hex(random, bytes, sizeof bytes) != ERR_OK ||
        !span_starts_nocase(rest, "expires=") ||
        !span_cut(span_bytes(rest.ptr + 8, rest.len - 8), '&', &digits, &nothing) || nothing.len > 0 ||
        !span_to_u64(digits, INT64_MAX, &n))
        return false;
    *out = (int64_t)n;
    return true;
}

enum err altcha_verify(const uint8_t key[ALTCHA_KEY_BYTES], const struct altcha *answer, int64_t now_s,
                       int64_t *expires_s)
{
    char signature[ALTCHA_HEX_LEN + 1], challenge[ALTCHA_HEX_LEN + 1];
    int64_t expires;
    enum err e = sign(key, answer->challenge, signature);
    if (e != ERR_OK)
        return e;
    if (strlen(answer->signature) != ALTCHA_HEX_LEN ||
        !secret_equal(signature, answer->signature, ALTCHA_HEX_LEN))
        return ERR_FORBIDDEN;
    if (!read_expires(answer->salt, &expires))
        return ERR_ANSWER;
    if ((e = hash(answer->salt, answer->number, challenge)) != ERR_OK)
        return e;
    if (strcmp(challenge, answer->challenge) != 0)
        return ERR_ANSWER;
    if (now_s > expires)
        return ERR_GONE;
    *expires_s = expires;
    return ERR_OK;
}
