#include "certificate/crl_cache.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct kept {
    char url[CRL_URL_MAX + 1]; /* "": free */
    struct crl *list;          /* NULL: a failure */
    char why[CRL_WHY_MAX];
    int64_t failed_until_mono_ms;
    uint64_t used; /* turn of the last use */
};

struct crl_cache {
    pthread_mutex_t lock;
    size_t entries_max, bytes_max, bytes;
    uint64_t turn;
    struct kept entry[]; /* a few hundred: authorities have few lists each */
};

enum err crl_cache_create(size_t entries_max, size_t bytes_max, struct crl_cache **out)
{
    struct crl_cache *c = calloc(1, sizeof *c + entries_max * sizeof c->entry[0]);
    if (c == NULL)
        return ERR_NOMEM;
    c->entries_max = entries_max;
    c->bytes_max = bytes_max;
    pthread_mutex_init(&c->lock, NULL);
    *out = c;
    return ERR_OK;
}

static void drop(struct crl_cache *c, struct kept *k)
{
    if (k->list != NULL)
        c->bytes -= crl_bytes(k->list);
    crl_free(k->list);
    memset(k, 0, sizeof *k);
}

void crl_cache_free(struct crl_cache *c)
{
    if (c == NULL)
        return;
    for (size_t i = 0; i < c->entries_max; i++)
        drop(c, &c->entry[i]);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

static struct kept *find(struct crl_cache *c, const char *url)
{
    for (size_t i = 0; i < c->entries_max; i++)
        if (strcmp(c->entry[i].url, url) == 0)
            return &c->entry[i];
    return NULL;
}

/* The entry that was not used for longest, free ones first; with lists: of those that hold one. */
static struct kept *oldest(struct crl_cache *c, bool with_list)
{
    struct kept *found = NULL;
    for (size_t i = 0; i < c->entries_max; i++) {
        struct kept *k = &c->entry[i];
        if ((!with_list || k->list != NULL) && (found == NULL || k->used < found->used))
            found = k;
    }
    return found;
}

enum crl_found crl_cache_get(struct crl_cache *c, const char *url, int64_t now_s, int64_t now_mono_ms,
                             struct crl **out, char why[CRL_WHY_MAX])
{
    enum crl_found found = CRL_UNKNOWN;
    pthread_mutex_lock(&c->lock);
    struct kept *k = find(c, url);
    if (k != NULL)
        k->used = ++c->turn;
    if (k != NULL && k->list != NULL && crl_not_in_force(k->list, now_s) == NULL) {
        *out = crl_ref(k->list);
        found = CRL_HERE;
    } else if (k != NULL && k->list == NULL && now_mono_ms < k->failed_until_mono_ms) {
        memcpy(why, k->why, CRL_WHY_MAX);
        found = CRL_FAILED;
    }
    pthread_mutex_unlock(&c->lock);
    return found;
}

/* Takes the list; NULL: a failure. */
static void put(struct crl_cache *c, const char *url, struct crl *list, const char *why, int64_t now_mono_ms)
{
    pthread_mutex_lock(&c->lock);
    struct kept *k = find(c, url);
    if (k == NULL)
        k = oldest(c, false);
    if (k == NULL) {
        crl_free(list);
    } else {
        drop(c, k);
        snprintf(k->url, sizeof k->url, "%s", url);
        snprintf(k->why, sizeof k->why, "%s", why);
        k->list = list;
        k->failed_until_mono_ms = now_mono_ms + CRL_FAILURE_MS;
        k->used = ++c->turn;
        c->bytes += list != NULL ? crl_bytes(list) : 0;
        for (struct kept *old; c->bytes > c->bytes_max && (old = oldest(c, true)) != k;)
            drop(c, old);
    }
    pthread_mutex_unlock(&c->lock);
}

void crl_cache_put(struct crl_cache *c, const char *url, struct span der, int64_t now_s, int64_t now_mono_ms)
{
    struct crl *list = NULL;
    const char *why = "not a list in DER";
    if (crl_parse(der, &list) == ERR_OK && (why = crl_not_in_force(list, now_s)) != NULL) {
        crl_free(list);
        list = NULL;
    }
    put(c, url, list, list == NULL ? why : "", now_mono_ms);
}

void crl_cache_put_failure(struct crl_cache *c, const char *url, const char *why, int64_t now_mono_ms)
{
    put(c, url, NULL, why, now_mono_ms);
}
