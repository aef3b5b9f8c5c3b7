/*
 * asker.h - questions under way to the name server; inside this room. Thread-safe.
 *
 * One thread listens for all of them. Who asks what is under way already waits with the others: however many
 * want an answer, one look-up is made. A question goes on when nobody waits for it any more, so that a slow
 * answer is in the cache when its domain comes again. At most ASKER_QUESTIONS are under way; of those that
 * nobody waits for the oldest gives way.
 */
#ifndef DNS_ASKER_H
#define DNS_ASKER_H

#include <sys/socket.h>

#include "dns/cache.h"
#include "dns/packet.h"

#define ASKER_QUESTIONS 512
#define ASKER_TRIES 3         /* over UDP; then those who wait are told that it failed */
#define ASKER_LINGER_MS 10000 /* after this nobody listens for the answer any more */

struct asker_options {
    struct sockaddr_storage server;
    socklen_t server_len;
    int64_t timeout_ms; /* of one try */
    struct packet_limits limits;
    struct cache *cache; /* borrowed; every answer is put there */
};
struct asker;
/* Starts the thread. ERR_NOMEM, ERR_UNAVAILABLE. */
enum err asker_create(const struct asker_options *o, struct asker **out);
/* When nobody waits. NULL is fine. */
void asker_free(struct asker *a);

/* Waits for the answer until the deadline, or until wait (may be NULL) is ended. name in packet_any_name's
 * form. ERR_DNS_TEMPORARY, ERR_DNS_BOGUS. The caller owns *out. */
enum err asker_ask(struct asker *a, const char *name, enum dns_type type, int64_t deadline_mono_ms,
                   struct dns_wait *wait, struct dns_answer **out);
/* Asks, and does not wait: the answer will be in the cache. */
void asker_refresh(struct asker *a, const char *name, enum dns_type type);
/* Who waits as this waits no more, now and later. */
void asker_end(struct asker *a, struct dns_wait *wait);

#endif
