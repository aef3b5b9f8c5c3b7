/*
 * crl_cache.h - revocation lists by the address they came from, each until its nextUpdate, and for a while
 * that one could not be had. In memory, bounded in number and octets; what was not used for longest goes
 * first. Thread-safe.
 */
#ifndef CERTIFICATE_CRL_CACHE_H
#define CERTIFICATE_CRL_CACHE_H

#include "certificate/crl.h"

#define CRL_WHY_MAX 128
#define CRL_FAILURE_MS 60000 /* how long an address that gave nothing is not asked again */

struct crl_cache;
enum err crl_cache_create(size_t entries_max, size_t bytes_max, struct crl_cache **out);
void crl_cache_free(struct crl_cache *c);

enum crl_found {
    CRL_HERE,   /* *out is a reference of the caller's */
    CRL_FAILED, /* asked a while ago, in vain: why says how */
    CRL_UNKNOWN /* to be asked for */
};
enum crl_found crl_cache_get(struct crl_cache *c, const char *url, int64_t now_s, int64_t now_mono_ms,
                             struct crl **out, char why[CRL_WHY_MAX]);
/* Reads what came from the address. What is no list in force is remembered as a failure. */
void crl_cache_put(struct crl_cache *c, const char *url, struct span der, int64_t now_s, int64_t now_mono_ms);
void crl_cache_put_failure(struct crl_cache *c, const char *url, const char *why, int64_t now_mono_ms);

#endif
