/*
 * grace.c - a hash table of entries in work, small: it holds no more than what is handed out at one time.
 */
#include "store/grace.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define GRACE_BUCKETS 4096U

struct grace_entry {
    struct grace_entry *next;
    int64_t until_mono_ms;
    size_t len;
    uint8_t id[GRACE_ID_MAX];
};

struct grace {
    pthread_mutex_t mutex;
    struct grace_entry *bucket[GRACE_BUCKETS];
};

enum err grace_create(struct grace **out)
{
    struct grace *g = calloc(1, sizeof *g);

    if (g == NULL)
        return ERR_NOMEM;
    pthread_mutex_init(&g->mutex, NULL);
    *out = g;
    return ERR_OK;
}

void grace_free(struct grace *g)
{
    if (g == NULL)
        return;
    for (size_t i = 0; i < GRACE_BUCKETS; i++)
        while (g->bucket[i] != NULL) {
            struct grace_entry *e = g->bucket[i];

            g->bucket[i] = e->next;
            free(e);
        }
    pthread_mutex_destroy(&g->mutex);
    free(g);
}

/* Ids are hashes: their first bytes are spread well. */
static struct grace_entry **find(struct grace *g, struct span id)
{
    uint32_t hash = 0;
    struct grace_entry **at;

    memcpy(&hash, id.ptr, id.len < sizeof hash ? id.len : sizeof hash);
    at = &g->bucket[hash % GRACE_BUCKETS];
    while (*at != NULL && !span_equal(span_bytes((*at)->id, (*at)->len), id))
        at = &(*at)->next;
    return at;
}

bool grace_take(struct grace *g, struct span id, int64_t for_ms)
{
    int64_t now_ms = clock_mono_ms();
    struct grace_entry **at, *e;
    bool taken = false;

    if (id.len > GRACE_ID_MAX)
        return false;
    pthread_mutex_lock(&g->mutex);
    at = find(g, id);
    if ((e = *at) == NULL && (e = calloc(1, sizeof *e)) != NULL) {
        e->len = id.len;
        memcpy(e->id, id.ptr, id.len);
        e->until_mono_ms = INT64_MIN;
        *at = e;
    }
    if (e != NULL && e->until_mono_ms <= now_ms) {
        e->until_mono_ms = for_ms == GRACE_FOR_EVER ? INT64_MAX : now_ms + for_ms;
        taken = true;
    }
    pthread_mutex_unlock(&g->mutex);
    return taken;
}

bool grace_held(struct grace *g, struct span id)
{
    bool held;

    pthread_mutex_lock(&g->mutex);
    held = *find(g, id) != NULL;
    pthread_mutex_unlock(&g->mutex);
    return held;
}

void grace_give_back(struct grace *g, struct span id)
{
    struct grace_entry **at, *e;

    pthread_mutex_lock(&g->mutex);
    at = find(g, id);
    e = *at;
    if (e != NULL)
        *at = e->next;
    pthread_mutex_unlock(&g->mutex);
    free(e);
}
