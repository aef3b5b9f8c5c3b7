/*
 * challenge_page.h - where a sender whom a recipient of ours does not know proves himself (docs/PROTOCOL.md,
 * "Challenge"): GET of the URL, GET <url>/challenge, POST <url>/answer. No Authorization: the token in the
 * URL says whose contact attempt it is, and only who was told of it has it.
 *
 * The answer is spent, then an entry admits its sender, then what waits becomes due, each durable before the
 * next: a crash in between costs him another answer at most.
 */
#ifndef PUBLIC_CHALLENGE_PAGE_H
#define PUBLIC_CHALLENGE_PAGE_H

#include "env/env.h"
#include "http/server.h"

/* Whether a path is one of these. */
bool challenge_page_is(struct span path);
/* The router's part for such a path. */
void challenge_page_route(const struct env *env, struct http_exchange *x);

#endif
