/*
 * cache.h - answers kept until their TTL ends, and a little longer (RFC 8767): while what has just ended is
 * asked anew, it is still given out, so that nobody waits for a record that is in steady use. Asking early
 * would not do: the site's resolver has the record too, and gives it with what is left of its TTL.
 *
 * A bounded number of answers and of bytes, the longest unused thrown out first; inside this room.
 * Thread-safe.
 */
#ifndef DNS_CACHE_H
#define DNS_CACHE_H

#include "dns/resolver.h"

#define CACHE_ENTRY_BYTES 1024   /* on average, at most: answers over TCP may have 64 KB */
#define CACHE_STALE_MAX_MS 10000 /* a tenth of the TTL, and at most so long, after its end */

struct cache;
/* Holds entries_max answers, and CACHE_ENTRY_BYTES times as many bytes. */
enum err cache_create(size_t entries_max, struct cache **out);
void cache_free(struct cache *c);

/* A copy of the answer with what is left of its TTL; the caller owns it. NULL when there is none. name in
 * packet_any_name's form. *again: its TTL has ended, and nobody was told so before: ask anew. */
struct dns_answer *cache_get(struct cache *c, const char *name, enum dns_type type, int64_t now_mono_ms,
                             bool *again);
bool cache_has(struct cache *c, const char *name, enum dns_type type, int64_t now_mono_ms);
/* Keeps a copy for its ttl_s; not at all for 0, nor when memory is short. */
void cache_put(struct cache *c, const char *name, const struct dns_answer *a, int64_t now_mono_ms);

#endif
