/*
 * turns.c - a hash table of the hosts that have flights; a host without any is dropped.
 */
#include "pull/turns.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOST_WAITING_MAX 192 /* jobs of one host kept in memory beside those under way */
#define WAITING_MAX 1024     /* of all hosts */
#define BUCKETS 1024

struct host {
    char name[TICKET_HOST_MAX + 1];
    unsigned active;
    size_t waiting_count;
    struct flight *waiting_first, *waiting_last;
    struct host *next;
};

struct turns {
    unsigned active_max;
    unsigned waiting_count;
    struct host *bucket[BUCKETS];
};

enum err turns_create(unsigned active_max, struct turns **out)
{
    struct turns *h = calloc(1, sizeof *h);
    if (!h)
        return ERR_NOMEM;
    h->active_max = active_max;
    *out = h;
    return ERR_OK;
}

static size_t bucket_of(const char *name)
{
    uint32_t h = 2166136261u;
    for (; *name; name++)
        h = (h ^ (unsigned char)*name) * 16777619u;
    return h % BUCKETS;
}

/* NULL when out of memory. */
static struct host *get(struct turns *h, const char *name, bool make)
{
    size_t bucket = bucket_of(name);
    for (struct host *host = h->bucket[bucket]; host; host = host->next)
        if (strcmp(host->name, name) == 0)
            return host;
    struct host *host = make ? calloc(1, sizeof *host) : NULL;
    if (host) {
        snprintf(host->name, sizeof host->name, "%s", name);
        host->next = h->bucket[bucket];
        h->bucket[bucket] = host;
    }
    return host;
}

static void drop(struct turns *h, struct host *host)
{
    struct host **at = &h->bucket[bucket_of(host->name)];
    while (*at != host)
        at = &(*at)->next;
    *at = host->next;
    free(host);
}

static struct flight *take_first(struct turns *h, struct host *host)
{
    struct flight *f = host->waiting_first;
    if (!f)
        return NULL;
    host->waiting_first = f->next_waiting;
    if (!host->waiting_first)
        host->waiting_last = NULL;
    host->waiting_count--;
    h->waiting_count--;
    return f;
}

enum turn turns_enter(struct turns *h, struct flight *f)
{
    struct host *host = get(h, f->url.host, true);
    if (!host)
        return TURN_FULL;
    if (host->active < h->active_max) {
        host->active++;
        return TURN_GO;
    }
    if (host->waiting_count >= HOST_WAITING_MAX || h->waiting_count >= WAITING_MAX)
        return TURN_FULL;
    f->next_waiting = NULL;
    if (host->waiting_last)
        host->waiting_last->next_waiting = f;
    else
        host->waiting_first = f;
    host->waiting_last = f;
    host->waiting_count++;
    h->waiting_count++;
    return TURN_WAITS;
}

struct flight *turns_leave(struct turns *h, const struct flight *f)
{
    struct host *host = get(h, f->url.host, false);
    struct flight *next = take_first(h, host);
    if (!next && --host->active == 0)
        drop(h, host);
    return next;
}

struct flight *turns_take_waiting(struct turns *h)
{
    for (size_t i = 0; h->waiting_count > 0 && i < BUCKETS; i++)
        for (struct host *host = h->bucket[i]; host; host = host->next)
            if (host->waiting_first)
                return take_first(h, host);
    return NULL;
}

unsigned turns_waiting(const struct turns *h)
{
    return h->waiting_count;
}

void turns_free(struct turns *h)
{
    if (!h)
        return;
    for (size_t i = 0; i < BUCKETS; i++)
        while (h->bucket[i])
            drop(h, h->bucket[i]);
    free(h);
}
