/*
 * rdap.h - when a domain was registered, by the Registration Data Access Protocol (RFC 7480, 9082, 9083). Off
 * unless a base URL is configured. Answers are remembered in memory, failures for some minutes. Thread-safe.
 */
#ifndef ADMISSION_RDAP_H
#define ADMISSION_RDAP_H

#include <stdbool.h>

#include "claim/fetch.h"

struct rdap;
struct rdap_options {
    const char *base_url;       /* "https://rdap.example/", with its final slash; copied */
    struct fetch_options fetch; /* what it points to is borrowed for the life */
    size_t domains_max;         /* remembered; about 50 bytes each */
};
enum err rdap_create(const struct rdap_options *o, struct rdap **out);
void rdap_stop(struct rdap *r); /* ends what is being asked, within a second */
void rdap_free(struct rdap *r);

/*
 * domain: an organisational domain in A-labels, lower case. Blocks until the deadline at most; redirects of
 * the service are followed (RFC 7480 5.2), three times, https alone, each under the rules of fetch.h. ERR_OK;
 * ERR_NOT_FOUND when the registry knows no domain or no date; ERR_ADDRESS for a name that is none; ERR_BUSY
 * while too many ask; ERR_SYNTAX for an answer that is none; what fetch_get returns.
 */
enum err rdap_registered(struct rdap *r, const char *domain, int64_t deadline_mono_ms, int64_t *registered_s);
/* What is remembered, without waiting: false when nothing is, else *err and *registered_s as above. */
bool rdap_remembered(struct rdap *r, const char *domain, enum err *err, int64_t *registered_s);

#endif
