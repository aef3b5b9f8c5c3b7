/*
 * turns.c - a hash table of the owners that have flights; one without any is dropped.
 */
#include "pull/turns.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OWNER_WAITING_MAX 192 /* jobs of one owner kept in memory beside those under way */
#define WAITING_MAX 1024      /* of all owners */
#define BUCKETS 1024

struct owner {
    char name[DNS_NAME_MAX + 1];
    unsigned active;
    size_t waiting_count;
    struct flight *waiting_first, *waiting_last;
    struct owner *next;
};

struct turns {
    unsigned active_max;
    unsigned waiting_count;
    struct owner *bucket[BUCKETS];
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
static struct owner *get(struct turns *h, const char *name, bool make)
{
    size_t bucket = bucket_of(name);
    for (struct owner *owner = h->bucket[bucket]; owner; owner = owner->next)
        if (strcmp(owner->name, name) == 0)
            return owner;
    struct owner *owner = make ? calloc(1, sizeof *owner) : NULL;
    if (owner) {
        snprintf(owner->name, sizeof owner->name, "%s", name);
        owner->next = h->bucket[bucket];
        h->bucket[bucket] = owner;
    }
    return owner;
}

static void drop(struct turns *h, struct owner *owner)
{
    struct owner **at = &h->bucket[bucket_of(owner->name)];
    while (*at != owner)
        at = &(*at)->next;
    *at = owner->next;
    free(owner);
}

static struct flight *take_first(struct turns *h, struct owner *owner)
{
    struct flight *f = owner->waiting_first;
    if (!f)
        return NULL;
    owner->waiting_first = f->next_waiting;
    if (!owner->waiting_first)
        owner->waiting_last = NULL;
    owner->waiting_count--;
    h->waiting_count--;
    return f;
}

enum turn turns_enter(struct turns *h, struct flight *f)
{
    struct owner *owner = get(h, f->owner, true);
    if (!owner)
        return TURN_FULL;
    if (owner->active < h->active_max) {
        owner->active++;
        return TURN_GO;
    }
    if (owner->waiting_count >= OWNER_WAITING_MAX || h->waiting_count >= WAITING_MAX)
        return TURN_FULL;
    f->next_waiting = NULL;
    if (owner->waiting_last)
        owner->waiting_last->next_waiting = f;
    else
        owner->waiting_first = f;
    owner->waiting_last = f;
    owner->waiting_count++;
    h->waiting_count++;
    return TURN_WAITS;
}

struct flight *turns_leave(struct turns *h, const struct flight *f)
{
    struct owner *owner = get(h, f->owner, false);
    struct flight *next = take_first(h, owner);
    if (!next && --owner->active == 0)
        drop(h, owner);
    return next;
}

struct flight *turns_take_waiting(struct turns *h)
{
    for (size_t i = 0; h->waiting_count > 0 && i < BUCKETS; i++)
        for (struct owner *owner = h->bucket[i]; owner; owner = owner->next)
            if (owner->waiting_first)
                return take_first(h, owner);
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
