/*
 * rate.h - token buckets on client networks (/24, /48), sender domains, organisations and link hosts, all at
 * once; and who guesses at tokens. In memory, of bounded size, nothing outlives the process. Thread-safe.
 */
#ifndef ADMISSION_RATE_H
#define ADMISSION_RATE_H

#include "admission/reason.h"
#include "base/netaddr.h"

#define RATE_PROVEN_MS (7 * 86400000LL)
#define RATE_PROOFS_MAX 64        /* new ones of an organisation within RATE_PROVEN_MS */
#define RATE_CHANCES 4            /* a minute, of an organisation from a client network */
#define RATE_GUESSES_MAX 10       /* wrong tokens of a client network at a mailbox */
#define RATE_GUESSES_MS 3600000LL /* within this */

struct rate;
struct rate_options {
    /* Stubs a minute, and at once after a minute's rest; 0: no limit. */
    int64_t client_minute, domain_minute, organisation_minute, host_minute;
    size_t buckets_max; /* of each kind, about 50 bytes each; the longest unused gives way */
};
enum err rate_create(const struct rate_options *o, struct rate **out);
void rate_free(struct rate *r); /* NULL is fine */

struct rate_subject {
    const struct netaddr *client;             /* NULL or family 0: none */
    const char *domain, *organisation, *host; /* lower case; NULL or "": none */
    bool ordinary; /* a whole message, of a proven domain or none: buckets of its own, but for the client's */
};
/* Takes one from each bucket, or from none when one is empty: then *out says which (the first in the order
 * above). The caller refuses with 450. What others have emptied in a name that was not proven from this
 * network does not stop RATE_CHANCES stubs a minute: one of them may prove it. */
bool rate_take(struct rate *r, const struct rate_subject *s, int64_t now_mono_ms, enum reason *out);
/* The organisation's own client (its network) and host it was, of a stub that was taken: for RATE_PROVEN_MS
 * they have buckets of domain, organisation and host that those who only use these names cannot empty. More
 * than RATE_PROOFS_MAX of one organisation are not noted. */
void rate_proven(struct rate *r, const struct rate_subject *s, int64_t now_mono_ms);

/* A guess at a token that was none: after RATE_GUESSES_MAX of a client network at a mailbox (lower case)
 * within RATE_GUESSES_MS, tokens are not looked up for it any more (true), without a word. client: NULL or
 * family 0 when not known; all such are one. */
bool rate_guessing(struct rate *r, const struct netaddr *client, const char *mailbox, int64_t now_mono_ms);
void rate_guessed(struct rate *r, const struct netaddr *client, const char *mailbox, int64_t now_mono_ms);

#endif
