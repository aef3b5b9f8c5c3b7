/*
 * cache.c - a search tree (libc's, balanced: names that an attacker chooses cannot make it slow) and a list
 * in order of use.
 */
#include "dns/cache.h"

#include <pthread.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "dns/answer.h"

struct kept {
    enum dns_type type;
    struct dns_answer *answer;
    int64_t expires_mono_ms;
    int64_t stale_ms; /* how long it is given out after that */
    bool asked_anew;
    size_t bytes;
    struct kept *newer, *older;
    char name[]; /* with a final NUL */
};

struct cache {
    pthread_mutex_t lock;
    void *tree; /* of struct kept, by name and type */
    struct kept *newest, *oldest;
    size_t count, max, bytes;
};

enum err cache_create(size_t entries_max, struct cache **out)
{
    struct cache *c = calloc(1, sizeof *c);
    if (c == NULL)
        return ERR_NOMEM;
    c->max = entries_max;
    pthread_mutex_init(&c->lock, NULL);
    *out = c;
    return ERR_OK;
}

static int by_name_and_type(const void *a, const void *b)
{
    const struct kept *x = a, *y = b;
    if (x->type != y->type)
        return x->type < y->type ? -1 : 1;
    return strcmp(x->name, y->name);
}

static struct kept *entry_create(const char *name, enum dns_type type)
{
    size_t len = strlen(name) + 1;
    struct kept *e = calloc(1, sizeof *e + len);
    if (e == NULL)
        return NULL;
    e->type = type;
    memcpy(e->name, name, len);
    return e;
}

static void entry_free(struct kept *e)
{
    if (e == NULL)
        return;
    dns_answer_free(e->answer);
    free(e);
}

static void unlink_entry(struct cache *c, struct kept *e)
{
    *(e->newer != NULL ? &e->newer->older : &c->newest) = e->older;
    *(e->older != NULL ? &e->older->newer : &c->oldest) = e->newer;
    e->newer = e->older = NULL;
}

static void push_newest(struct cache *c, struct kept *e)
{
    e->older = c->newest;
    *(c->newest != NULL ? &c->newest->newer : &c->oldest) = e;
    c->newest = e;
}

static void drop(struct cache *c, struct kept *e)
{
    unlink_entry(c, e);
    tdelete(e, &c->tree, by_name_and_type);
    c->count--;
    c->bytes -= e->bytes;
    entry_free(e);
}

/* The entry, or NULL; one that is too old is dropped. With the lock held. */
static struct kept *find(struct cache *c, const char *name, enum dns_type type, int64_t now_mono_ms)
{
    struct kept *key = entry_create(name, type);
    if (key == NULL)
        return NULL;
    struct kept **found = tfind(key, &c->tree, by_name_and_type);
    struct kept *e = found != NULL ? *found : NULL;
    entry_free(key);
    if (e != NULL && e->expires_mono_ms + e->stale_ms <= now_mono_ms) {
        drop(c, e);
        e = NULL;
    }
    return e;
}

struct dns_answer *cache_get(struct cache *c, const char *name, enum dns_type type, int64_t now_mono_ms,
                             bool *again)
{
    struct dns_answer *copy = NULL;
    *again = false;
    pthread_mutex_lock(&c->lock);
    struct kept *e = find(c, name, type, now_mono_ms);
    if (e != NULL) {
        unlink_entry(c, e);
        push_newest(c, e);
        copy = answer_copy(e->answer);
        int64_t left_ms = e->expires_mono_ms - now_mono_ms;
        if (copy != NULL)
            copy->ttl_s = left_ms > 0 ? (uint32_t)((left_ms + 999) / 1000) : 0;
        *again = left_ms <= 0 && !e->asked_anew;
        e->asked_anew = e->asked_anew || *again;
    }
    pthread_mutex_unlock(&c->lock);
    return copy;
}

bool cache_has(struct cache *c, const char *name, enum dns_type type, int64_t now_mono_ms)
{
    pthread_mutex_lock(&c->lock);
    bool has = find(c, name, type, now_mono_ms) != NULL;
    pthread_mutex_unlock(&c->lock);
    return has;
}

static int64_t stale_ms(const struct dns_answer *a)
{
    int64_t ms = (int64_t)a->ttl_s * 100;
    return ms < CACHE_STALE_MAX_MS ? ms : CACHE_STALE_MAX_MS;
}

void cache_put(struct cache *c, const char *name, const struct dns_answer *a, int64_t now_mono_ms)
{
    if (a->ttl_s == 0 || c->max == 0)
        return;
    struct kept *e = entry_create(name, a->type);
    if (e == NULL || (e->answer = answer_copy(a)) == NULL) {
        entry_free(e);
        return;
    }
    e->expires_mono_ms = now_mono_ms + (int64_t)a->ttl_s * 1000;
    e->stale_ms = stale_ms(a);
    e->bytes = sizeof *e + strlen(name) + 1 + answer_bytes(a);
    pthread_mutex_lock(&c->lock);
    struct kept *old = find(c, name, a->type, now_mono_ms);
    if (old != NULL) {
        /* What the resolver gave out of its own cache tells little of the record's TTL. */
        if (old->stale_ms > e->stale_ms)
            e->stale_ms = old->stale_ms;
        drop(c, old);
    }
    while (c->count > 0 && (c->count >= c->max || c->bytes + e->bytes > c->max * CACHE_ENTRY_BYTES))
        drop(c, c->oldest);
    if (tsearch(e, &c->tree, by_name_and_type) != NULL) {
        push_newest(c, e);
        c->count++;
        c->bytes += e->bytes;
        e = NULL;
    }
    pthread_mutex_unlock(&c->lock);
    entry_free(e);
}

void cache_free(struct cache *c)
{
    if (c == NULL)
        return;
    while (c->newest != NULL)
        drop(c, c->newest);
    pthread_mutex_destroy(&c->lock);
    free(c);
}
