/*
 * cache.h - answers kept until their TTL ends, a bounded number of them, the longest unused thrown out first;
 * inside this room. Thread-safe.
 */
#ifndef DNS_CACHE_H
#define DNS_CACHE_H

#include "dns/resolver.h"

struct cache;
enum err cache_create(size_t entries_max, struct cache **out);
void cache_free(struct cache *c);

/* A copy of the answer with what is left of its TTL; the caller owns it. NULL when there is none. name in
 * packet_name's form. */
struct dns_answer *cache_get(struct cache *c, const char *name, enum dns_type type, int64_t now_mono_ms);
bool cache_has(struct cache *c, const char *name, enum dns_type type, int64_t now_mono_ms);
/* Keeps a copy for its ttl_s; not at all for 0, nor when memory is short. */
void cache_put(struct cache *c, const char *name, const struct dns_answer *a, int64_t now_mono_ms);

#endif
