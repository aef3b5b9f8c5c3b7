/*
 * public.h - what stands behind HTTPS: the ticket protocol's requests (docs/PROTOCOL.md, "Requests").
 *
 * Order of a request: form -> Authorization -> B and Ka by the site key alone (a guess dies before any store
 * access) -> the ticket -> designated puller -> the verb's durable word in the store -> the answer. Bad B,
 * unknown ticket, wrong Ka give the same bytes.
 */
#ifndef PUBLIC_PUBLIC_H
#define PUBLIC_PUBLIC_H

#include "base/err.h"
#include "http/server.h"

struct settings;
struct public;

/* The room's own memory: bodies under way, wrong keys by network. The caller owns it. */
enum err public_create(const struct settings *settings, struct public **out);
void public_free(struct public *p);

/* The router of the TLS listeners; env is a struct env whose members are all set. */
void public_router(void *env, struct http_exchange *x);
/* For pool_on_idle of env's pool `quick`: what it has said is made durable now. */
void public_idle(void *env);

#endif
