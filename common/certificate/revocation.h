/*
 * revocation.h - whether a verified chain may be trusted still: for each certificate but the anchor the OCSP
 * answer that came with it, else a life so short that nobody needs to ask, else the list that it names. No
 * network: what is not at hand is named, to be fetched. Thread-safe.
 */
#ifndef CERTIFICATE_REVOCATION_H
#define CERTIFICATE_REVOCATION_H

#include "certificate/crl_cache.h"

#define REVOCATION_NEEDED_MAX 4
#define REVOCATION_DETAIL_MAX 256

struct revocation_rules {
    bool hard;                /* what cannot be told is refused for now; else it passes */
    int64_t short_lifetime_s; /* certificates that live no longer need not be asked for */
    bool not_to_be_fetched;   /* lists that are not here count as not to be had */
};
struct revocation_verdict {
    /* In words, from the network in part: why it was refused, or, with ERR_OK, what could not be told. "" */
    char detail[REVOCATION_DETAIL_MAX];
    size_t needed_count; /* with ERR_REVOCATION_UNKNOWN: lists to be fetched before it can be told */
    char needed[REVOCATION_NEEDED_MAX][CRL_URL_MAX + 1];
};
/* ERR_OK, ERR_CERT_REVOKED, ERR_REVOCATION_UNKNOWN. *out is set in every case. */
enum err revocation_judge(const struct revocation_rules *rules, struct crl_cache *cache, struct chain *chain,
                          int64_t now_s, int64_t now_mono_ms, struct revocation_verdict *out);

#endif
