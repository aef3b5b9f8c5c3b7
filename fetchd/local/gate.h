/*
 * gate.h - how many notices may wait on DNS at once: blocked milter callbacks starve other sessions, and one
 * sender shall not use up all places. Cached answers never wait, and need no place. Thread-safe.
 *
 * - GATE_PLACES wait at once, of them two from a client network (/24, /48) and two of an organisation.
 * - When all are taken, the one that has waited longest gives way to the new one, unless it came within
 *   GATE_REST_MS: its waiting ends at once, and its sender comes again later. What it asked goes on and will
 *   be in the cache by then.
 * - An organisation whose name servers kept a notice waiting in vain (timed out, or gave way) gets no place
 * for GATE_REMEMBER_MS.
 * - Guests wait for GATE_GUEST_MS at most, and GATE_GUESTS of them at once: those who join the look-ups that
 *   others of their organisation have just begun (letters of one busy domain arrive together; one answer
 *   serves them all), and those from networks where others waited in vain lately.
 * Everybody else is refused at once, for now. So neither forged names nor name servers that answer just in
 * time keep a new domain's letter out.
 */
#ifndef LOCAL_GATE_H
#define LOCAL_GATE_H

#include <stdbool.h>

#include "base/netaddr.h"
#include "dns/resolver.h"

#define GATE_PLACES 32
#define GATE_NETWORK_PLACES 2
#define GATE_ORGANISATION_PLACES 2
#define GATE_REST_MS 150
#define GATE_GUESTS 32
#define GATE_GUEST_MS 300
#define GATE_SLOW_MS 1000 /* who was inside for so long and got no answer has waited in vain */
#define GATE_STRIKES 3    /* a network's waits in vain, counted while each comes within GATE_REMEMBER_MS */
#define GATE_REMEMBER_MS 60000
#define GATE_THREADS                                                                                         \
    (GATE_PLACES + GATE_GUESTS + 8) /* that carry those who wait, and those on their way out */

struct gate;
struct gate_pass {
    int64_t deadline_mono_ms; /* for all questions to DNS: at the end of timeout_ms, or a guest's */
    bool gave_way;            /* after gate_leave: the place went to somebody else */
    /* the gate's */
    struct dns_wait wait;
    int place; /* -1: a guest, or gave way */
    int64_t began_mono_ms;
    struct netaddr network;
    char organisation[DNS_NAME_MAX + 1];
};

enum err gate_create(struct resolver *resolver, struct gate **out); /* borrows it */
void gate_free(struct gate *g);                                     /* when nobody is inside; NULL is fine */

/*
 * client: family 0 when there is none (not counted by network). domain: the sender's. With ERR_OK the caller
 * asks, on this thread, until pass->deadline_mono_ms at most, and calls gate_leave; pass stays where it is
 * until then. ERR_BUSY at once when it may not wait.
 */
enum err gate_enter(struct gate *g, const struct netaddr *client, const char *domain, int64_t timeout_ms,
                    struct gate_pass *pass);
void gate_leave(struct gate *g, struct gate_pass *pass);

#endif
