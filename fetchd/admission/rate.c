/*
 * rate.c - a bucket is filled when it is looked at, by the time since the last look. Who makes the table
 * forget his empty bucket must have used as many other names meanwhile as the table holds.
 *
 * Anybody can write a domain's name into an envelope: each domain, organisation and host has a bucket for
 * those who were proven from the same network before, and one for all others. So forgeries, from however many
 * networks, do not use up what the domain's own letters come in by. Who was not proven yet (nothing outlives
 * the process) still has a few chances a minute of his network's own, so that he can be. Ordinary mail is
 * counted apart: at a large provider all customers are the same client, by whom stubs were proven too.
 *
 * What is proven is noted by organisation, of which names can be made at will, and so many times at most:
 * else one of them could make the table forget all others.
 */
#include "admission/rate.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/table.h"

#define MINUTE_MS 60000LL
#define NAME_SPACE 260  /* bytes: a mark, and a name of DNS */
#define PLACE_SPACE 530 /* a network and two names */

enum kind { CLIENT, DOMAIN, ORGANISATION, HOST, CHANCE, KIND_COUNT };

static const enum reason reasons[CHANCE] = {[CLIENT] = REASON_RATE_CLIENT,
                                            [DOMAIN] = REASON_RATE_DOMAIN,
                                            [ORGANISATION] = REASON_RATE_ORGANISATION,
                                            [HOST] = REASON_RATE_HOST};

/* One stub is MINUTE_MS of the level, so that a millisecond fills the whole number `minute`. */
struct bucket {
    int64_t level, looked_ms;
};

struct count {
    int64_t began_ms, count;
};

struct rate {
    pthread_mutex_t lock; /* guards all tables */
    int64_t minute[KIND_COUNT];
    struct table *bucket[KIND_COUNT];
    struct table *proven;  /* of int64_t: when */
    struct table *proofs;  /* of struct count: new ones, by organisation */
    struct table *guesses; /* of struct count */
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
    r->minute[CHANCE] = RATE_CHANCES;
    for (int i = 0; i < KIND_COUNT && !e; i++)
        e = table_create(o->buckets_max, sizeof(struct bucket), &r->bucket[i]);
    if (!e)
        e = table_create(o->buckets_max, sizeof(int64_t), &r->proven);
    if (!e)
        e = table_create(o->buckets_max, sizeof(struct count), &r->proofs);
    if (!e)
        e = table_create(o->buckets_max, sizeof(struct count), &r->guesses);
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
    table_free(r->proofs);
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

/* What has happened so many times within `within_ms`: in *c, unless that is over. */
static struct count *count_of(struct table *t, const struct name *name, int64_t within_ms, int64_t now_ms)
{
    bool made;
    struct count *c = table_put(t, name->data, name->len, &made);

    if (made || now_ms - c->began_ms >= within_ms)
        *c = (struct count){now_ms, 0};
    return c;
}

/* A domain or host, in one of its buckets. */
static struct name text_name(const char *text, char mark, char space[NAME_SPACE])
{
    if (!text || !*text)
        return (struct name){NULL, 0};
    int len = snprintf(space, NAME_SPACE, "%c%s", mark, text);
    return (struct name){space, len < NAME_SPACE ? (size_t)len : NAME_SPACE - 1};
}

/* An organisation in a network, and its host there if one is named; none when network or organisation is not
 * known. */
static struct name place_name(const struct rate_subject *s, const char *host, char space[PLACE_SPACE])
{
    if (!s->client || !s->client->family || !s->organisation || !*s->organisation)
        return (struct name){NULL, 0};
    struct netaddr network = netaddr_network(s->client);
    size_t before = sizeof network.byte, room = PLACE_SPACE - before;
    memcpy(space, network.byte, before);
    int len = snprintf(space + before, room, "%s %s", s->organisation, host ? host : "");
    return (struct name){space, before + ((size_t)len < room ? (size_t)len : room - 1)};
}

/* Under the lock. */
static bool is_proven(struct rate *r, const struct rate_subject *s, int64_t now_ms)
{
    char space[PLACE_SPACE];
    struct name name = place_name(s, s->host, space);
    const int64_t *at_ms = name.data ? table_find(r->proven, name.data, name.len) : NULL;

    return at_ms && now_ms - *at_ms < RATE_PROVEN_MS;
}

/* Under the lock: whether a further place of the organisation may be noted, which is counted then. */
static bool may_note(struct rate *r, const char *organisation, int64_t now_ms)
{
    const struct name name = {organisation, strlen(organisation)};
    struct count *c = count_of(r->proofs, &name, RATE_PROVEN_MS, now_ms);

    if (c->count >= RATE_PROOFS_MAX)
        return false;
    c->count++;
    return true;
}

void rate_proven(struct rate *r, const struct rate_subject *s, int64_t now_mono_ms)
{
    char space[PLACE_SPACE];
    struct name name = place_name(s, s->host, space);

    if (!name.data)
        return;
    pthread_mutex_lock(&r->lock);
    int64_t *at_ms = table_find(r->proven, name.data, name.len);
    if (!at_ms && may_note(r, s->organisation, now_mono_ms))
        at_ms = table_put(r->proven, name.data, name.len, NULL);
    if (at_ms)
        *at_ms = now_mono_ms;
    pthread_mutex_unlock(&r->lock);
}

bool rate_take(struct rate *r, const struct rate_subject *s, int64_t now_mono_ms, enum reason *out)
{
    struct netaddr network; /* outlives the name that points to it */
    char space[CHANCE][NAME_SPACE], place[PLACE_SPACE];
    struct bucket *bucket[KIND_COUNT] = {NULL};
    struct name name[KIND_COUNT] = {{NULL, 0}};
    int empty = KIND_COUNT;

    if (s->client && s->client->family) {
        network = netaddr_network(s->client);
        name[CLIENT] = (struct name){network.byte, sizeof network.byte};
    }
    pthread_mutex_lock(&r->lock);
    char mark = s->ordinary ? '=' : is_proven(r, s, now_mono_ms) ? '+' : '-';
    name[DOMAIN] = text_name(s->domain, mark, space[DOMAIN]);
    name[ORGANISATION] = text_name(s->organisation, mark, space[ORGANISATION]);
    name[HOST] = text_name(s->host, mark, space[HOST]);
    if (mark == '-')
        name[CHANCE] = place_name(s, NULL, place);
    for (int i = 0; i < CHANCE && empty == KIND_COUNT; i++) {
        if (!name[i].data || r->minute[i] == 0)
            continue;
        bucket[i] = fill(r, (enum kind)i, &name[i], now_mono_ms);
        if (bucket[i]->level < MINUTE_MS)
            empty = i;
    }
    if (empty != KIND_COUNT && empty != CLIENT && name[CHANCE].data) {
        bucket[CHANCE] = fill(r, CHANCE, &name[CHANCE], now_mono_ms);
        if (bucket[CHANCE]->level >= MINUTE_MS) { /* it stands for the empty one and those behind it */
            bucket[empty] = NULL;
            empty = KIND_COUNT;
        }
    }
    for (int i = 0; i < KIND_COUNT && empty == KIND_COUNT; i++) {
        if (bucket[i])
            bucket[i]->level -= MINUTE_MS;
    }
    pthread_mutex_unlock(&r->lock);
    if (empty != KIND_COUNT)
        *out = reasons[empty];
    return empty == KIND_COUNT;
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
    const struct count *g = table_find(r->guesses, name.data, name.len);
    bool guessing = g && g->count >= RATE_GUESSES_MAX && now_mono_ms - g->began_ms < RATE_GUESSES_MS;
    pthread_mutex_unlock(&r->lock);
    return guessing;
}

void rate_guessed(struct rate *r, const struct netaddr *client, const char *mailbox, int64_t now_mono_ms)
{
    char space[GUESSER_MAX];
    struct name name = guesser_name(client, mailbox, space);

    pthread_mutex_lock(&r->lock);
    count_of(r->guesses, &name, RATE_GUESSES_MS, now_mono_ms)->count++;
    pthread_mutex_unlock(&r->lock);
}
