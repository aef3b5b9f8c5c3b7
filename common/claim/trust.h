/*
 * trust.h - whether a peer's certificates are revoked: the rules, the lists already here, and the way to
 * those that are not. One for the whole program, for link hosts that we call and for pullers who call us.
 * Thread-safe.
 */
#ifndef CLAIM_TRUST_H
#define CLAIM_TRUST_H

#include "certificate/revocation.h"
#include "claim/fetch.h"

struct trust;
struct trust_options {
    struct fetch_options fetch; /* what it points to is borrowed for the trust's life */
    struct revocation_rules rules;
    int64_t crl_timeout_ms; /* for one list */
    size_t crl_max_bytes;   /* one list */
    size_t crls_max_bytes;  /* all that are remembered */
};
enum err trust_create(const struct trust_options *o, struct trust **out);
void trust_stop(struct trust *t); /* ends what is being fetched, within a second */
void trust_free(struct trust *t); /* when nobody uses it */

/* By what is here; does not wait. As revocation_judge. may_fetch: the certificates are by an authority that
 * is trusted, so that where they send us is no stranger's choice; else no list is named as needed. */
enum err trust_judge(struct trust *t, struct chain *chain, bool may_fetch, struct revocation_verdict *out);
/* Calls for a list, unless it is here or is being called for: then it waits for that. Blocks up to
 * crl_timeout_ms. */
void trust_fetch(struct trust *t, const char *url);
/* trust_judge with all the fetching that it takes. Once the deadline has passed no further list is fetched:
 * it blocks up to crl_timeout_ms beyond it. */
enum err trust_judge_waiting(struct trust *t, struct chain *chain, int64_t deadline_mono_ms,
                             struct revocation_verdict *out);

#endif
