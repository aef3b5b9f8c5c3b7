/*
 * gate.c - 32 places, searched from end to end: that is cheaper than being clever.
 */
#include "local/gate.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mail/address.h"

struct gate {
    pthread_mutex_t lock; /* guards all places */
    struct gate_place {
        bool taken;
        struct netaddr network;
        char domain[ADDRESS_DOMAIN_MAX + 1];
    } place[GATE_PLACES];
};

enum err gate_create(struct gate **out)
{
    struct gate *g = calloc(1, sizeof *g);

    if (!g)
        return ERR_NOMEM;
    pthread_mutex_init(&g->lock, NULL);
    *out = g;
    return ERR_OK;
}

void gate_free(struct gate *g)
{
    if (!g)
        return;
    pthread_mutex_destroy(&g->lock);
    free(g);
}

enum err gate_enter(struct gate *g, const struct netaddr *client, const char *domain, int *place)
{
    int unused = -1;
    unsigned same_network = 0, same_domain = 0;
    struct netaddr network = netaddr_network(client);

    pthread_mutex_lock(&g->lock);
    for (int i = 0; i < GATE_PLACES; i++) {
        const struct gate_place *p = &g->place[i];
        if (!p->taken) {
            unused = i;
            continue;
        }
        same_network += client->family && netaddr_equal(&p->network, &network);
        same_domain += strcmp(p->domain, domain) == 0;
    }
    bool free_place = unused >= 0 && same_network < GATE_NETWORK_PLACES && same_domain < GATE_DOMAIN_PLACES;
    if (free_place) {
        g->place[unused].taken = true;
        g->place[unused].network = network;
        snprintf(g->place[unused].domain, sizeof g->place[unused].domain, "%s", domain);
        *place = unused;
    }
    pthread_mutex_unlock(&g->lock);
    return free_place ? ERR_OK : ERR_BUSY;
}

void gate_leave(struct gate *g, int place)
{
    pthread_mutex_lock(&g->lock);
    g->place[place].taken = false;
    pthread_mutex_unlock(&g->lock);
}
