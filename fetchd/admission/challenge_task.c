/*
 * challenge_task.c - what a challenge asks for, work or a question: see challenge.h.
 */
#include <locale.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wctype.h>

#include "admission/challenge.h"
#include "admission/tally.h"
#include "base/encode.h"
#include "base/secret.h"
#include "dns/organisation.h"
#include "env/env.h"
#include "seal/crypt.h"
#include "settings/settings.h"
#include "ticket/sitekey.h"

#define WORK_LABEL SITEKEY_LABEL_PREFIX "challenge-work"
#define RECENT_HALF_LIFE_S 3600
#define RECENT_A_DOUBLING 8
/* An hour after WRONG_MAX wrong answers there is room for most of them again. */
#define WRONG_HALF_LIFE_S 1800
#define WRONG_MAX 5

/* ---- work ---------------------------------------------------------------------------------------------- */

struct challenge {
    struct tally *recent; /* by organisation and link host */
    struct tally *wrong;  /* answers, by row */
};

enum err challenge_create(struct challenge **out)
{
    struct challenge *c = calloc(1, sizeof *c);
    if (!c)
        return ERR_NOMEM;
    enum err e = tally_create(RECENT_HALF_LIFE_S, &c->recent);
    if (e == ERR_OK)
        e = tally_create(WRONG_HALF_LIFE_S, &c->wrong);
    if (e != ERR_OK) {
        challenge_free(c);
        return e;
    }
    *out = c;
    return ERR_OK;
}

void challenge_free(struct challenge *c)
{
    if (!c)
        return;
    tally_free(c->recent);
    tally_free(c->wrong);
    free(c);
}

uint64_t challenge_work_of(uint64_t base, uint64_t max, uint32_t recent)
{
    uint64_t work = base;
    for (uint32_t i = 0; i < recent / RECENT_A_DOUBLING && work < max; i++)
        work *= 2;
    return work > max && max >= base ? max : work;
}

/* Counts one more of this row's organisation and link host, and gives the greater of the two numbers before.
 */
static uint32_t count(struct challenge *c, const struct attempt *a, int64_t now_s)
{
    char name[DNS_NAME_MAX + 8], organisation[DNS_NAME_MAX + 1];
    uint32_t by_organisation = 0, by_host = 0;
    if (organisation_of(a->verified, organisation) == ERR_OK) {
        snprintf(name, sizeof name, "o %s", organisation);
        by_organisation = tally_add(c->recent, span_of(name), 1, now_s) - 1;
    }
    if (a->link_host[0]) {
        snprintf(name, sizeof name, "h %s", a->link_host);
        by_host = tally_add(c->recent, span_of(name), 1, now_s) - 1;
    }
    return by_organisation > by_host ? by_organisation : by_host;
}

/* Of one URL alone: what is signed for one sender says nothing at another's. */
static enum err work_key(const struct site_keys *keys, const struct challenge_token *token, struct span text,
                         uint8_t out[ALTCHA_KEY_BYTES])
{
    return site_keys_derive(keys, token->epoch, WORK_LABEL, text, out);
}

enum err challenge_work_begin(const struct env *env, struct span text, const struct challenge_token *token,
                              const struct attempt *a, int64_t now_s, struct altcha *out)
{
    const struct settings *s = env->settings;
    uint8_t key[ALTCHA_KEY_BYTES];
    enum err e = work_key(env->keys, token, text, key);
    if (e == ERR_OK) {
        uint64_t work = challenge_work_of((uint64_t)s->challenge_work, (uint64_t)s->challenge_work_max,
                                          count(env->challenge, a, now_s));
        e = altcha_make(key, work, now_s + s->challenge_life_s, out);
    }
    secret_wipe(key, sizeof key);
    return e;
}

static enum err spend(struct store *store, const char *challenge, int64_t expires_s)
{
    uint8_t what[CRYPT_SHA256_BYTES];
    const struct span parts[] = {SPAN_LITERAL("challenge solved "), span_of(challenge)};
    enum err e = crypt_sha256v(parts, 2, what);
    return e == ERR_OK ? store_spend(store, what, expires_s) : e;
}

enum err challenge_work_check(const struct env *env, struct span text, const struct challenge_token *token,
                              const struct attempt *a, const struct altcha *answer, int64_t now_s)
{
    uint8_t key[ALTCHA_KEY_BYTES];
    int64_t expires_s = 0;
    enum err e = work_key(env->keys, token, text, key);
    if (e == ERR_OK)
        e = altcha_verify(key, answer, now_s, &expires_s);
    if (e == ERR_OK)
        e = spend(env->store, answer->challenge, expires_s);
    if (e == ERR_OK)
        (void)count(env->challenge, a, now_s);
    secret_wipe(key, sizeof key);
    return e;
}

/* ---- questions ----------------------------------------------------------------------------------------- */

static locale_t folding; /* 0: ASCII alone has cases */
static pthread_once_t folding_once = PTHREAD_ONCE_INIT;

static void open_folding(void)
{
    folding = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
}

/* The next character of well-formed UTF-8; 0 at the end. */
static uint32_t next_character(struct span *s)
{
    if (s->len == 0)
        return 0;
    const uint8_t *p = (const uint8_t *)s->ptr;
    size_t len = p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (len > s->len)
        len = s->len;
    uint32_t c = len == 1 ? p[0] : p[0] & (0xffU >> (len + 1));
    for (size_t i = 1; i < len; i++)
        c = c << 6 | (p[i] & 0x3f);
    *s = span_bytes(s->ptr + len, s->len - len);
    return c;
}

static bool is_blank(uint32_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r') || c == 0xa0 || (c >= 0x2000 && c <= 0x200a) || c == 0x3000;
}

/* The next character to compare: lower case, a run of blanks as one, none at the end. */
static uint32_t next_folded(struct span *s)
{
    uint32_t c = next_character(s);
    bool blank = is_blank(c);
    struct span rest = *s;
    while (is_blank(c)) {
        *s = rest;
        c = next_character(&rest);
    }
    if (blank)
        return c == 0 ? 0 : ' ';
    if (folding)
        return (uint32_t)towlower_l((wint_t)c, folding);
    return c >= 'A' && c <= 'Z' ? c + 32 : c;
}

static struct span skip_blanks(struct span s)
{
    struct span rest = s;
    while (is_blank(next_character(&rest)))
        s = rest;
    return s;
}

static bool folded_equal(struct span a, struct span b)
{
    uint32_t x, y;
    a = skip_blanks(a);
    b = skip_blanks(b);
    do {
        x = next_folded(&a);
        y = next_folded(&b);
    } while (x == y && x != 0);
    return x == y;
}

bool challenge_answer_matches(const char *answers, const char *given)
{
    struct span line, rest = span_of(answers);
    (void)pthread_once(&folding_once, open_folding);
    if (!utf8_valid(rest) || !utf8_valid(span_of(given)) || skip_blanks(span_of(given)).len == 0)
        return false;
    while (rest.len > 0) {
        span_cut(rest, '\n', &line, &rest);
        if (folded_equal(line, span_of(given)))
            return true;
    }
    return false;
}

/* Some line of it is more than blanks. */
static bool has_answer(const char *answers)
{
    return skip_blanks(span_of(answers)).len > 0;
}

bool challenge_asks_question(const struct policy *p)
{
    return p->challenge == CHALLENGE_QUESTION && p->question[0] && has_answer(p->answers);
}

enum err challenge_question_check(const struct env *env, const struct challenge_token *token,
                                  const struct policy *p, const char *answer, int64_t now_s)
{
    char row[2 * STORE_ADDRESS_MAX];
    snprintf(row, sizeof row, "%s %s", token->mailbox, token->sender);
    if (tally_add(env->challenge->wrong, span_of(row), 0, now_s) >= WRONG_MAX)
        return ERR_RATE;
    if (challenge_answer_matches(p->answers, answer))
        return ERR_OK;
    tally_add(env->challenge->wrong, span_of(row), 1, now_s);
    return ERR_ANSWER;
}
