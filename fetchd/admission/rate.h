/*
 * rate.h - token buckets on client networks (/24, /48), sender domains, organisations and link hosts, all at
 * once; and who is left alone because his name servers made us wait. In memory, of bounded size, nothing
 * outlives the process. Thread-safe.
 */
#ifndef ADMISSION_RATE_H
#define ADMISSION_RATE_H

#include "admission/reason.h"
#include "base/netaddr.h"

struct rate;
struct rate_options {
    int64_t client_minute, domain_minute, organisation_minute, host_minute; /* stubs a minute; 0: no limit */
    size_t buckets_max; /* of each kind; the longest unused gives way */
};
enum err rate_create(const struct rate_options *o, struct rate **out);
void rate_free(struct rate *r);

struct rate_subject {
    const struct netaddr *client;             /* family 0: none */
    const char *domain, *organisation, *host; /* NULL: none */
};
/* Takes one from each bucket, or from none when one is empty: then *out says which. The caller refuses with
 * 450. */
bool rate_take(struct rate *r, const struct rate_subject *s, int64_t now_mono_ms, enum reason *out);

/* A guess at a token that was none: after guesses_max (10) a client network and mailbox in an hour, tokens
 * are not looked up for it any more (true), without a word. */
bool rate_guessing(struct rate *r, const struct netaddr *client, const char *mailbox, int64_t now_mono_ms);
void rate_guessed(struct rate *r, const struct netaddr *client, const char *mailbox, int64_t now_mono_ms);

#endif
