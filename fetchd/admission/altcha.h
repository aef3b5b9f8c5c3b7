/*
 * altcha.h - a proof of work as ALTCHA has it (docs/PROTOCOL.md, "Challenge"), the way the widget of the npm
 * package altcha reads and solves it: challenge = hex SHA-256(salt | number in decimal), signature =
 * hex HMAC-SHA-256(key, challenge). Whoever knows salt and challenge finds the number by trying. The key is
 * of one challenge URL alone, and so is what it signs. Thread-safe.
 */
#ifndef ADMISSION_ALTCHA_H
#define ADMISSION_ALTCHA_H

#include <stdint.h>

#include "base/buf.h"

#define ALTCHA_ALGORITHM "SHA-256"
#define ALTCHA_KEY_BYTES 32
#define ALTCHA_HEX_LEN 64
#define ALTCHA_SALT_MAX 80
#define ALTCHA_NUMBER_MAX ((uint64_t)1 << 53) /* what JSON carries exactly */

struct altcha {
    /* 32 hex digits, "?expires=" and UTC seconds, "&": the last keeps digits from being moved between salt
     * and number, which would give the same hash with a later end */
    char salt[ALTCHA_SALT_MAX + 1];
    char challenge[ALTCHA_HEX_LEN + 1];
    char signature[ALTCHA_HEX_LEN + 1];
    uint64_t number; /* a challenge made: at most this; an answer: this one */
};

/* A new challenge with a random salt and number, number <= maxnumber; out->number is maxnumber. */
enum err altcha_make(const uint8_t key[ALTCHA_KEY_BYTES], uint64_t maxnumber, int64_t expires_s,
                     struct altcha *out);
/* Challenge and signature of a salt and number. Pure. */
enum err altcha_compute(const uint8_t key[ALTCHA_KEY_BYTES], const char *salt, uint64_t number,
                        struct altcha *out);

/*
 * An answer is right: the challenge was signed with this key, salt and number give it, and its time is not
 * over; *expires_s is its end. ERR_FORBIDDEN: not one of this key's. ERR_ANSWER: wrong number, or a salt that
 * was changed. ERR_GONE: too late. Pure.
 */
enum err altcha_verify(const uint8_t key[ALTCHA_KEY_BYTES], const struct altcha *answer, int64_t now_s,
                       int64_t *expires_s);

#endif
