/*
 * throttle.c - a direct-mapped table: two networks that fall on one slot push each other out, which can only
 * let a few more guesses through; a guess of 256 bits does not get nearer by that.
 */
#include "public/throttle.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"

#define SLOTS 8192

struct slot {
    uint8_t network[7]; /* family marker and up to 6 bytes of prefix */
    uint32_t count;
    int64_t minute;
};

struct throttle {
    pthread_mutex_t lock; /* guards slot */
    int64_t max;
    uint64_t seed; /* so that nobody can aim at a slot */
    struct slot slot[SLOTS];
};

static void network_of(const struct netaddr *a, uint8_t out[7])
{
    memset(out, 0, 7);
    out[0] = a->family == AF_INET ? 4 : 6;
    if (a->family == AF_INET)
        memcpy(out + 1, a->byte + 12, 3);
    else
        memcpy(out + 1, a->byte, 6);
}

static struct slot *slot_of(struct throttle *t, const uint8_t network[7])
{
    uint64_t h = 14695981039346656037ull ^ t->seed;
    for (size_t i = 0; i < 7; i++)
        h = (h ^ network[i]) * 1099511628211ull;
    return &t->slot[(h >> 20) % SLOTS];
}

enum err throttle_create(int64_t max_a_minute, struct throttle **out)
{
    struct throttle *t = calloc(1, sizeof *t);
    if (!t)
        return ERR_NOMEM;
    enum err e = secret_random(&t->seed, sizeof t->seed);
    if (e != ERR_OK) {
        free(t);
        return e;
    }
    pthread_mutex_init(&t->lock, NULL);
    t->max = max_a_minute;
    *out = t;
    return ERR_OK;
}

void throttle_free(struct throttle *t)
{
    if (!t)
        return;
    pthread_mutex_destroy(&t->lock);
    free(t);
}

bool throttle_closed(struct throttle *t, const struct netaddr *from, int64_t now_s, int64_t *retry_after_s)
{
    uint8_t network[7];
    network_of(from, network);
    pthread_mutex_lock(&t->lock);
    const struct slot *s = slot_of(t, network);
    bool closed = memcmp(s->network, network, 7) == 0 && s->minute == now_s / 60 && s->count >= t->max;
    pthread_mutex_unlock(&t->lock);
    if (closed)
        *retry_after_s = 60 - now_s % 60;
    return closed;
}

void throttle_count(struct throttle *t, const struct netaddr *from, int64_t now_s)
{
    uint8_t network[7];
    network_of(from, network);
    pthread_mutex_lock(&t->lock);
    struct slot *s = slot_of(t, network);
    if (memcmp(s->network, network, 7) != 0 || s->minute != now_s / 60) {
        memcpy(s->network, network, 7);
        s->minute = now_s / 60;
        s->count = 0;
    }
    s->count++;
    pthread_mutex_unlock(&t->lock);
}
