/*
 * challenge.h - the receiving side's challenge: where a verified stranger may prove himself
 * (docs/PROTOCOL.md, "Challenge").
 *
 * The URL names a contact attempt, a row (mailbox, sender), in a token that only this site can make and read:
 * it says nothing to others, and nothing is kept of it.
 */
#ifndef ADMISSION_CHALLENGE_H
#define ADMISSION_CHALLENGE_H

#include "admission/altcha.h"
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

/* ---- work and questions
 *
 * What is remembered of them, in memory alone and of bounded size: how many challenges a sender's
 * organisation and link host had lately (the work grows with them), and wrong answers to questions. */
struct challenge;
enum err challenge_create(struct challenge **out);
void challenge_free(struct challenge *c);

/* ALTCHA's maxnumber after `recent` challenges begun or solved: base doubled with every eighth, at most max
 * (but never below base). Pure. */
uint64_t challenge_work_of(uint64_t base, uint64_t max, uint32_t recent);

/* Which of the two a policy in force asks for: a question needs a question and an answer, else it is work. */
bool challenge_asks_question(const struct policy *p);

/* Begins a proof of work for the row (a) that the token (text and what it says) names. env: challenge, keys,
 * settings. */
enum err challenge_work_begin(const struct env *env, struct span text, const struct challenge_token *token,
                              const struct attempt *a, int64_t now_s, struct altcha *out);
/* DURABLE: the work is done, and can be shown no second time. Errors of altcha_verify; ERR_EXISTS: shown
 * before; the store's. */
enum err challenge_work_check(const struct env *env, struct span text, const struct challenge_token *token,
                              const struct attempt *a, const struct altcha *answer, int64_t now_s);
/* ERR_ANSWER; ERR_RATE after a few of these for the same row, until about an hour has passed. */
enum err challenge_question_check(const struct env *env, const struct challenge_token *token,
                                  const struct policy *p, const char *answer, int64_t now_s);
/* One of the answers (one a line), compared without case and with any blanks as one. Pure. */
bool challenge_answer_matches(const char *answers, const char *given);

#endif
