/*
 * tally.c - a table of sets: a name can stand in a few places only, so that a look is a look at one cache
 * line or two. Which set is not for others to choose: the hash has a key of ours.
 */
#include "admission/tally.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "seal/crypt.h"

#define SETS 2048
#define WAYS 4
#define ONE 1024 /* a score of 1 */
#define SCORE_MAX (UINT32_C(1) << 30)

struct place {
    uint64_t name; /* hash; 0 and score 0: free */
    uint32_t score;
    int64_t at_s;
};

struct tally {
    pthread_mutex_t lock; /* guards place */
    int64_t half_life_s;
    uint8_t key[32];
    struct place place[SETS][WAYS];
};

enum err tally_create(int64_t half_life_s, struct tally **out)
{
    struct tally *t = calloc(1, sizeof *t);
    if (!t)
        return ERR_NOMEM;
    enum err e = secret_random(t->key, sizeof t->key);
    if (e != ERR_OK) {
        free(t);
        return e;
    }
    pthread_mutex_init(&t->lock, NULL);
    t->half_life_s = half_life_s > 0 ? half_life_s : 1;
    *out = t;
    return ERR_OK;
}

void tally_free(struct tally *t)
{
    if (!t)
        return;
    pthread_mutex_destroy(&t->lock);
    free(t);
}

/* What is left of a score: half for each half-life, and in between along a straight line. */
static uint32_t score_at(const struct tally *t, const struct place *p, int64_t now_s)
{
    int64_t passed = now_s > p->at_s ? now_s - p->at_s : 0;
    int64_t halvings = passed / t->half_life_s, rest = passed % t->half_life_s;
    if (halvings >= 32)
        return 0;
    uint64_t score = p->score >> halvings;
    return (uint32_t)(score - score * (uint64_t)rest / (2 * (uint64_t)t->half_life_s));
}

/* The name's place, or the one that is missed least. Under the lock. */
static struct place *find(struct tally *t, uint64_t name, int64_t now_s)
{
    struct place *set = t->place[name % SETS], *least = &set[0];
    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].name == name)
            return &set[i];
        if (score_at(t, &set[i], now_s) < score_at(t, least, now_s))
            least = &set[i];
    }
    return least;
}

uint32_t tally_add(struct tally *t, struct span text, uint32_t n, int64_t now_s)
{
    uint8_t sum[CRYPT_SHA256_BYTES];
    uint64_t name;
    if (crypt_hmac_sha256(t->key, sizeof t->key, &text, 1, sum) != ERR_OK)
        return 0;
    memcpy(&name, sum, sizeof name);
    pthread_mutex_lock(&t->lock);
    struct place *p = find(t, name, now_s);
    uint64_t score = (p->name == name ? score_at(t, p, now_s) : 0) + (uint64_t)n * ONE;
    if (score > SCORE_MAX)
        score = SCORE_MAX;
    if (n > 0)
        *p = (struct place){.name = name, .score = (uint32_t)score, .at_s = now_s};
    pthread_mutex_unlock(&t->lock);
    return (uint32_t)(score / ONE);
}
