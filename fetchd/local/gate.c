/*
 * gate.c - 32 places, searched from end to end: that is cheaper than being clever.
 */
#include "local/gate.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/table.h"
#include "dns/organisation.h"

#define REMEMBERED_MAX 16384 /* networks, and as many organisations */

/* Waits in vain. */
struct strikes {
    int64_t latest_ms, count;
};

struct gate {
    struct resolver *resolver;
    pthread_mutex_t lock; /* guards all below, and place and gave_way of every pass inside */
    struct gate_pass *place[GATE_PLACES];
    unsigned guests;
    struct table *networks, *organisations; /* of struct strikes */
};

enum err gate_create(struct resolver *resolver, struct gate **out)
{
    enum err e;
    struct gate *g = calloc(1, sizeof *g);

    if (!g)
        return ERR_NOMEM;
    g->resolver = resolver;
    pthread_mutex_init(&g->lock, NULL);
    if ((e = table_create(REMEMBERED_MAX, sizeof(struct strikes), &g->networks)) ||
        (e = table_create(REMEMBERED_MAX, sizeof(struct strikes), &g->organisations))) {
        gate_free(g);
        return e;
    }
    *out = g;
    return ERR_OK;
}

void gate_free(struct gate *g)
{
    if (!g)
        return;
    table_free(g->networks);
    table_free(g->organisations);
    pthread_mutex_destroy(&g->lock);
    free(g);
}

/* ---- who waited in vain, under the lock */

static int64_t strikes_of(struct table *t, const void *name, size_t len, int64_t now_ms)
{
    const struct strikes *s = table_find(t, name, len);

    return s && now_ms - s->latest_ms < GATE_REMEMBER_MS ? s->count : 0;
}

static void strike(struct table *t, const void *name, size_t len, int64_t count, int64_t now_ms)
{
    struct strikes *s = table_put(t, name, len, NULL);

    if (now_ms - s->latest_ms >= GATE_REMEMBER_MS)
        s->count = 0;
    s->count += count;
    s->latest_ms = now_ms;
}

/* Of the two that a notice names, who kept it waiting? The organisation only when the question was about a
 * name of its own, since anybody may name it, from a network whose reverse DNS is slow. The network always:
 * when places are short at once, else when it comes to be a habit. */
static void blame(struct gate *g, const struct gate_pass *p, int64_t now_ms)
{
    char organisation[DNS_NAME_MAX + 1];

    if (organisation_of(p->wait.vain, organisation) == ERR_OK && strcmp(organisation, p->organisation) == 0)
        strike(g->organisations, organisation, strlen(organisation), 1, now_ms);
    if (p->network.family)
        strike(g->networks, p->network.byte, sizeof p->network.byte, p->gave_way ? GATE_STRIKES : 1, now_ms);
}

/* ---- places, under the lock */

struct survey {
    int unused;                /* -1: none */
    struct gate_pass *longest; /* that waits; NULL: none */
    unsigned same_network, same_organisation;
    int64_t organisation_began; /* the first of its own inside; 0: none */
};

static struct survey look_around(const struct gate *g, const struct gate_pass *p)
{
    struct survey s = {.unused = -1};

    for (int i = 0; i < GATE_PLACES; i++) {
        struct gate_pass *other = g->place[i];
        if (!other) {
            s.unused = s.unused < 0 ? i : s.unused;
            continue;
        }
        if (!s.longest || other->began_mono_ms < s.longest->began_mono_ms)
            s.longest = other;
        s.same_network += p->network.family && netaddr_equal(&other->network, &p->network);
        if (strcmp(other->organisation, p->organisation) != 0)
            continue;
        s.same_organisation++;
        if (!s.organisation_began || other->began_mono_ms < s.organisation_began)
            s.organisation_began = other->began_mono_ms;
    }
    return s;
}

static enum err take_guest(struct gate *g, struct gate_pass *p, int64_t now_ms)
{
    if (g->guests >= GATE_GUESTS)
        return ERR_BUSY;
    g->guests++;
    p->place = -1;
    if (p->deadline_mono_ms > now_ms + GATE_GUEST_MS)
        p->deadline_mono_ms = now_ms + GATE_GUEST_MS;
    return ERR_OK;
}

static enum err take_place(struct gate *g, struct gate_pass *p, const struct survey *s, int64_t now_ms)
{
    p->place = s->unused;
    if (p->place < 0) {
        struct gate_pass *out = s->longest;
        if (now_ms - out->began_mono_ms < GATE_REST_MS)
            return ERR_BUSY;
        p->place = out->place;
        out->place = -1;
        out->gave_way = true;
        resolver_wait_end(g->resolver, &out->wait);
    }
    g->place[p->place] = p;
    return ERR_OK;
}

static enum err let_in(struct gate *g, struct gate_pass *p, int64_t now_ms)
{
    const struct survey s = look_around(g, p);

    if (strikes_of(g->organisations, p->organisation, strlen(p->organisation), now_ms))
        return ERR_BUSY;
    if (s.same_organisation >= GATE_ORGANISATION_PLACES)
        return now_ms - s.organisation_began < GATE_GUEST_MS ? take_guest(g, p, now_ms) : ERR_BUSY;
    if (s.same_network >= GATE_NETWORK_PLACES)
        return ERR_BUSY;
    if (p->network.family &&
        strikes_of(g->networks, p->network.byte, sizeof p->network.byte, now_ms) >= GATE_STRIKES)
        return take_guest(g, p, now_ms);
    return take_place(g, p, &s, now_ms);
}

enum err gate_enter(struct gate *g, const struct netaddr *client, const char *domain, int64_t timeout_ms,
                    struct gate_pass *pass)
{
    int64_t now_ms = clock_mono_ms();

    *pass = (struct gate_pass){.deadline_mono_ms = now_ms + timeout_ms, .began_mono_ms = now_ms};
    if (client->family)
        pass->network = netaddr_network(client);
    if (organisation_of(domain, pass->organisation) != ERR_OK)
        snprintf(pass->organisation, sizeof pass->organisation, "%s", domain);
    resolver_wait_begin(&pass->wait);
    pthread_mutex_lock(&g->lock);
    enum err e = let_in(g, pass, now_ms);
    pthread_mutex_unlock(&g->lock);
    if (e)
        resolver_wait_over();
    return e;
}

void gate_leave(struct gate *g, struct gate_pass *pass)
{
    int64_t now_ms = clock_mono_ms();

    resolver_wait_over();
    pthread_mutex_lock(&g->lock);
    bool guest = pass->place < 0 && !pass->gave_way;
    if (guest)
        g->guests--;
    else if (!pass->gave_way)
        g->place[pass->place] = NULL;
    if (!guest && pass->wait.vain[0] && (pass->gave_way || now_ms - pass->began_mono_ms >= GATE_SLOW_MS))
        blame(g, pass, now_ms);
    pthread_mutex_unlock(&g->lock);
}
