/*
 * fetch.h - a bounded GET of a small public document over http or https, under the rules for link hosts:
 * addresses looked up once, special ranges refused, the checked ones and no others connected to, no
 * redirects, no proxy, bytes and time limited. No secret ever goes out here. Blocks; thread-safe.
 */
#ifndef CLAIM_FETCH_H
#define CLAIM_FETCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/netaddr.h"
#include "dns/resolver.h"

#define FETCH_URL_MAX 1024

struct fetch_options { /* all borrowed */
    struct resolver *resolver;
    const char *ca_file;      /* PEM; NULL: the system's */
    const char *bind_address; /* NULL: any */
    const struct netprefix *allowed_special;
    size_t allowed_special_count;
};
struct fetch_request {  /* all borrowed */
    const char *url;    /* no user, no address in place of a host name */
    const char *accept; /* NULL: anything */
    bool https_only;
    size_t body_max_bytes;
    int64_t deadline_mono_ms;     /* for all of it */
    const atomic_bool *cancelled; /* NULL, or looked at about once a second: ERR_CANCELLED */
};
struct fetch_answer {
    int status; /* 0 when none came */
    struct buf body;
    char location[FETCH_URL_MAX + 1]; /* of a redirect, made absolute; "" */
    char detail[160];                 /* what went wrong, printable; "" */
};
/*
 * ERR_OK for every answer that came whole, whatever its status. ERR_SYNTAX for a URL that we do not call,
 * ERR_TOO_LARGE, ERR_TIMEOUT, ERR_CONNECT, ERR_TLS, ERR_HTTP, ERR_ADDRESS_SPECIAL, ERR_DNS_TEMPORARY,
 * ERR_DNS_BOGUS, ERR_CANCELLED, ERR_NOMEM, ERR_INTERNAL. *out is set in every case, and to be freed.
 */
enum err fetch_get(const struct fetch_options *o, const struct fetch_request *r, struct fetch_answer *out);
void fetch_answer_free(struct fetch_answer *a);

#endif
