/*
 * host.h - what is remembered of each link host: its checked addresses, what is under way there, and when it
 * is left alone; inside this room. Not thread-safe: the client's lock is held around every call.
 */
#ifndef CLAIM_HOST_H
#define CLAIM_HOST_H

#include <stdbool.h>
#include <stdint.h>

#include "claim/peer.h"

#define HOST_FAILURES_MAX 5      /* consecutive ones that open the circuit */
#define HOST_PAUSE_FIRST_MS 1000 /* doubled with each trial that fails: about as long as it was away */
#define HOST_PAUSE_MAX_MS 3600000

struct host {
    char name[TICKET_HOST_MAX + 1];
    uint16_t port;
    /* its addresses */
    bool looking_up;
    int64_t resolved_until_mono_ms; /* until then the next two are as good as new */
    enum err resolve_err;
    struct peer_addresses addresses;
    struct tlsa_set tlsa;
    /* revocation lists that its certificates name and that are not here: it waits for them */
    bool fetching;
    size_t crl_count;
    char crl[REVOCATION_NEEDED_MAX][CRL_URL_MAX + 1];
    /* what is under way */
    int running, waiting;
    /* the circuit breaker */
    int failures;
    int64_t pause_ms;
    int64_t open_until_mono_ms; /* left alone until then */
    int64_t used_mono_ms;
    struct host *next, *next_fetch; /* in the queues of look-ups and of lists to be fetched */
};

struct hosts;
struct hosts *hosts_create(void);
void hosts_free(struct hosts *h);
/* Finds or makes the entry of a host and port. NULL when out of memory. */
struct host *hosts_get(struct hosts *h, const char *name, uint16_t port, int64_t now_mono_ms);
/* Forgets those without anything under way and without a pause that were not used for a while. */
void hosts_sweep(struct hosts *h, int64_t now_mono_ms);

bool host_is_open(const struct host *h, int64_t now_mono_ms); /* the circuit: nothing may pass */
/* How many transfers may run: one while it is on trial. */
int host_limit(const struct host *h, int transfers_max);
void host_succeeded(struct host *h);
/* A failure of the connection. random: any number, for the pause's jitter. */
void host_failed(struct host *h, int64_t now_mono_ms, uint32_t random);
void host_leave_alone(struct host *h, int64_t now_mono_ms, int64_t pause_ms);

#endif
