/*
 * router.h - the calls behind the two local sockets (tables in router.c). env is a struct env.
 */
#ifndef LOCAL_ROUTER_H
#define LOCAL_ROUTER_H

#include "http/server.h"

/* deposit.sock: whoever may open it (its mode and group say who) may call. */
void local_deposit_router(void *env, struct http_exchange *x);
/* admin.sock: everybody; what he may, access.h says. */
void local_admin_router(void *env, struct http_exchange *x);

#endif
