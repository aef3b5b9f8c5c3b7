/*
 * gate.h - how many notices may wait on DNS at once: blocked milter callbacks starve other sessions, and one
 * sender shall not use up all places. Thread-safe.
 */
#ifndef LOCAL_GATE_H
#define LOCAL_GATE_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/netaddr.h"

#define GATE_PLACES 32
#define GATE_NETWORK_PLACES 2 /* a client network: /24, /48 */
#define GATE_DOMAIN_PLACES 2

struct gate;
enum err gate_create(struct gate **out);
void gate_free(struct gate *g); /* when nobody is inside */

/* client: family 0 when there is none (not counted by network). *place is to be given back by gate_leave.
 * ERR_BUSY at once when no place is free. */
enum err gate_enter(struct gate *g, const struct netaddr *client, const char *domain, int *place);
void gate_leave(struct gate *g, int place);

#endif
