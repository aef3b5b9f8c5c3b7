/*
 * rate.c - a bucket is filled when it is looked at, by the time since the last look. Who makes the table
 * forget his empty bucket must have used as many other names meanwhile as the table holds.
 *
 * Anybody can write a domain's name into an envelope: each domain, organisation and host has a bucket for
 * those who were proven from the same network before, and one for all others. So forgeries, from however many
 * networks, do not use up what the domain's own letters come in by.
 */
#include "admission/rate.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/table.h"

#define MINUTE_MS 60000LL
#define NAME_SPACE 260   /* bytes: a mark, and a name of DNS */
#define TRIPLE_SPACE 530 /* a network and two names */

enum kind { CLIENT, DOMAIN, ORGANISATION, HOST, KIND_COUNT };

static const enum reason reasons[KIND_COUNT] = {[CLIENT] = REASON_RATE_CLIENT,
                                                [DOMAIN] = REASON_RATE_DOMAIN,
                                                [ORGANISATION] = REASON_RATE_ORGANISATION,
                                                [HOST] = REASON_RATE_HOST};

/* One stub is MINUTE_MS of the level, so that a millisecond fills the whole number `minute`. */
struct bucket {
    int64_t level, looked_ms;
};

struct guesses {
    int64_t began_ms, count;
};

struct rate {
    pthread_mutex_t lock; /* guards all tables */
    int64_t minute[KIND_COUNT];
    struct table *bucket[KIND_COUNT];
    struct table *proven; /* of int64_t: when */
    struct table *guesses;
};

struct name {
    const void *data; /* NULL: none */
    size_t len;
};

enum err rate_create(const struct rate_options *o, struct rate **out)
{
    enum err e = ERR_OK;
    struct rate *r = calloc(1, sizeof *r);

    if (!r)
        return ERR_NOMEM;
    pthread_mutex_init(&r->lock, NULL);
    r->minute[CLIENT] = o->client_minute;
    r->minute[DOMAIN] = o->domain_minute;
    r->minute[ORGANISATION] = o->organisation_minute;
    r->minute[HOST] = o->host_minute;
    for (int i = 0; i < KIND_COUNT && !e; i++)
        e = table_create(o->buckets_max, sizeof(struct bucket), &r->bucket[i]);
    if (!e)
        e = table_create(o->buckets_max, sizeof(int64_t), &r->proven);
    if (!e)
        e = table_create(o->buckets_max, sizeof(struct guesses), &r->guesses);
    if (e) {
        rate_free(r);
        return e;
    }
    *out = r;
    return ERR_OK;
}

void rate_free(struct rate *r)
{
    if (!r)
        return;
    for (int i = 0; i < KIND_COUNT; i++)
        table_free(r->bucket[i]);
    table_free(r->proven);
    table_free(r->guesses);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

static struct bucket *fill(struct rate *r, enum kind kind, const struct name *name, int64_t now_ms)
{
    bool made;
    int64_t full = r->minute[kind] * MINUTE_MS;
    struct bucket *b = table_put(r->bucket[kind], name->data, name->len, &made);
    int64_t rest_ms = now_ms - b->looked_ms;

    if (made || rest_ms >= MINUTE_MS)
        b->level = full;
    else if (rest_ms > 0)
        b->level += rest_ms * r->minute[kind];
    if (b->level > full)
        b->level = full;
    b->looked_ms = now_ms;
    return b;
}

/* A domain or host, in one of its two buckets. */
static struct name text_name(const char *text, bool proven, char space[NAME_SPACE])
{
    if (!text || !*text)
        return (struct name){NULL, 0};
    int len = snprintf(space, NAME_SPACE, "%c%s", proven ? '+' : '-', text);
    return (struct name){space, len < NAME_SPACE ? (size_t)len : NAME_SPACE - 1};
}

/* Network, domain and host; none when one of them is not known. */
static struct name triple_name(const struct rate_subject *s, char space[TRIPLE_SPACE])
{
    if (!s->client || !s->client->family || !s->domain || !s->host)
        return (struct name){NULL, 0};
    struct netaddr network = netaddr_network(s->client);
    size_t before = sizeof network.byte, room = TRIPLE_SPACE - before;
    memcpy(space, network.byte, before);
    int len = snprintf(space + before, room, "%s %s", s->domain, s->host);
    return (struct name){space, before + ((size_t)len < room ? (size_t)len : room - 1)};
}

/* Under the lock. */
static bool is_proven(struct rate *r, const struct rate_subject *s, int64_t now_ms)
{
    char space[TRIPLE_SPACE];
    struct name name = triple_name(s, space);
    const int64_t *at_ms = name.data ? table_find(r->proven, name.data, name.len) : NULL;

    return at_ms && now_ms - *at_ms < RATE_PROVEN_MS;
}

void rate_proven(struct rate *r, const struct rate_subject *s, int64_t now_mono_ms)
{
    char space[TRIPLE_SPACE];
    struct name name = triple_name(s, space);

    if (!name.data)
        return;
    pthread_mutex_lock(&r->lock);
    *(int64_t *)table_put(r->proven, name.data, name.len, NULL) = now_mono_ms;
    pthread_mutex_unlock(&r->lock);
}

bool rate_take(struct rate *r, const struct rate_subject *s, int64_t now_mono_ms, enum reason *out)
{
    struct netaddr network; /* outlives the name that points to it */
    char space[KIND_COUNT][NAME_SPACE];
    struct bucket *bucket[KIND_COUNT] = {NULL};
    struct name name[KIND_COUNT] = {{NULL, 0}};
    bool taken = true;

    if (s->client && s->client->family) {
        network = netaddr_network(s->client);
        name[CLIENT] = (struct name){network.byte, sizeof network.byte};
    }
    pthread_mutex_lock(&r->lock);
    bool proven = is_proven(r, s, now_mono_ms);
    name[DOMAIN] = text_name(s->domain, proven, space[DOMAIN]);
    name[ORGANISATION] = text_name(s->organisation, proven, space[ORGANISATION]);
    name[HOST] = text_name(s->host, proven, space[HOST]);
    for (int i = 0; i < KIND_COUNT && taken; i++) {
        if (!name[i].data || r->minute[i] == 0)
            continue;
        bucket[i] = fill(r, (enum kind)i, &name[i], now_mono_ms);
        if (bucket[i]->level < MINUTE_MS) {
            *out = reasons[i];
            taken = false;
        }
    }
    for (int i = 0; i < KIND_COUNT && taken; i++) {
        if (bucket[i])
            bucket[i]->level -= MINUTE_MS;
    }
    pthread_mutex_unlock(&r->lock);
    return taken;
}

/* ---- guesses */

#define GUESSER_MAX 600 /* bytes: a network and a mailbox (64 and 253 octets, quoted at worst) */

/* The name of a guesser in the table: network, then mailbox. */
static struct name guesser_name(const struct netaddr *client, const char *mailbox, char space[GUESSER_MAX])
{
    struct netaddr network = {.family = 0};
    size_t room = GUESSER_MAX - sizeof network.byte, len = strlen(mailbox);

    if (client && client->family)
        network = netaddr_network(client);
    if (len > room)
        len = room;
    memcpy(space, network.byte, sizeof network.byte);
    memcpy(space + sizeof network.byte, mailbox, len);
    return (struct name){space, sizeof network.byte + len};
}

bool rate_guessing(struct rate *r, const struct netaddr *client, const char *mailbox, int64_t now_mono_ms)
{
    char space[GUESSER_MAX];
    struct name name = guesser_name(client, mailbox, space);

    pthread_mutex_lock(&r->lock);
    const struct guesses *g = table_find(r->guesses, name.data, name.len);
    bool guessing = g && g->count >= RATE_GUESSES_MAX && now_mono_ms - g->began_ms < RATE_GUESSES_MS;
    pthread_mutex_unlock(&r->lock);
    return guessing;
}

void rate_guessed(struct rate *r, const struct netaddr *client, const char *mailbox, int64_t now_mono_ms)
{
    char space[GUESSER_MAX];
    struct name name = guesser_name(client, mailbox, space);
    bool made;

    pthread_mutex_lock(&r->lock);
    struct guesses *g = table_put(r->guesses, name.data, name.len, &made);
    if (made || now_mono_ms - g->began_ms >= RATE_GUESSES_MS)
        *g = (struct guesses){now_mono_ms, 0};
    g->count++;
    pthread_mutex_unlock(&r->lock);
}
