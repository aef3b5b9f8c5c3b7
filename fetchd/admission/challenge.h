/*
 * challenge.h - the receiving side's challenge: where a verified stranger may prove himself
 * (docs/PROTOCOL.md, "Challenge").
 *
 * The URL names a contact attempt, a row (mailbox, sender), in a token that only this site can make and read:
 * it says nothing to others, and nothing is kept of it.
 */
#ifndef ADMISSION_CHALLENGE_H
#define ADMISSION_CHALLENGE_H

#include "base/buf.h"
#include "store/attempt.h"

struct env;
struct site_keys;

#define CHALLENGE_PATH_PREFIX "/restante/challenge/1/"
#define CHALLENGE_URL_SIZE 512 /* with its NUL: what /status can carry */
#define CHALLENGE_TOKEN_MAX 480
#define CHALLENGE_TOKEN_LIFE_S (60 * 86400LL) /* at most; it ends with its contact attempt anyway */

struct challenge_token {
    uint16_t epoch; /* of the site key that made it */
    char mailbox[STORE_ADDRESS_MAX];
    char sender[STORE_ADDRESS_MAX];
    int64_t expires_s;
};

/*
 * https://<our link host>/restante/challenge/1/<token> for the row that a's mailbox and sender name; it need
 * not be stored yet. Another token each time. ERR_TOO_LARGE when the two addresses are so long that /status
 * could not carry it: such a sender is told "held" instead. env: keys and site. Thread-safe.
 */
enum err challenge_url_make(const struct env *env, const struct attempt *a, char out[CHALLENGE_URL_SIZE]);

/* Pure, thread-safe. ERR_NOT_FOUND for one that this site did not make, ERR_GONE when its time is over. */
enum err challenge_token_make(const struct site_keys *keys, const struct challenge_token *t,
                              char out[CHALLENGE_TOKEN_MAX + 1]);
enum err challenge_token_read(const struct site_keys *keys, struct span text, int64_t now_s,
                              struct challenge_token *out);

#endif
