/*
 * throttle.h - counts wrong keys by client network (IPv4 /24, IPv6 /48) in one-minute windows, in a table of
 * fixed size. A guess costs us an HMAC; past the limit it costs us a table look-up. Thread-safe.
 */
#ifndef PUBLIC_THROTTLE_H
#define PUBLIC_THROTTLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/netaddr.h"

struct throttle;
enum err throttle_create(int64_t max_a_minute, struct throttle **out);
void throttle_free(struct throttle *t);
/* True when the network has used up this minute's wrong keys; *retry_after_s then says when to come again. */
bool throttle_closed(struct throttle *t, const struct netaddr *from, int64_t now_s, int64_t *retry_after_s);
void throttle_count(struct throttle *t, const struct netaddr *from, int64_t now_s);

#endif
