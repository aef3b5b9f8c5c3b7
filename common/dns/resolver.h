/*
 * resolver.h - DNS questions to the site's own validating resolver, over connected sockets of ours; ldns
 * builds and reads the packets. ID, question and source are checked, TCP on truncation, EDNS0 with DO, AD
 * requested.
 *
 * Answers (negative ones too) are cached by TTL, at most cache_max entries of 1 KB on average. One that is
 * asked for up to a tenth of its TTL (at most 10 s) after its end is given out once more and asked anew
 * meanwhile. Several that ask the same at once wait for one look-up. All functions are thread-safe; queries
 * may block until their deadline.
 */
#ifndef DNS_RESOLVER_H
#define DNS_RESOLVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/netaddr.h"

#define DNS_NAME_MAX 253  /* octets, without the final dot */
#define DNS_CACHED_ONLY 0 /* as a deadline: nothing is asked, nobody waits */

enum dns_type { DNS_A = 1, DNS_PTR = 12, DNS_MX = 15, DNS_TXT = 16, DNS_AAAA = 28, DNS_TLSA = 52 };

struct dns_record {
    union {
        struct netaddr addr; /* A, AAAA */
        struct {
            uint16_t preference;
            char *host;
        } mx;       /* lower case, no final dot; "" for the null MX "." */
        char *host; /* PTR */
        struct {
            char *data;
            size_t len;
        } txt; /* strings joined; may hold NUL */
        struct {
            uint8_t usage, selector, matching;
            uint8_t *data;
            size_t len;
        } tlsa;
    };
};
struct dns_answer {
    enum dns_type type; /* says which member of the records is set */
    bool exists;        /* false: NXDOMAIN (final) */
    bool secure;        /* AD: the resolver validated it */
    uint32_t ttl_s;
    size_t count; /* 0 with exists: no data of this type */
    struct dns_record *record;
};

struct resolver;
struct resolver_options {
    const char *server; /* "address[:port]", port 53; NULL: the first nameserver of /etc/resolv.conf */
    int64_t timeout_ms; /* for one try over UDP, e.g. 1500; three tries within the deadline */
    size_t cache_max;   /* entries, e.g. 10000 */
    uint32_t ttl_max_s; /* longer TTLs are cut, e.g. 86400 */
    uint32_t negative_ttl_max_s; /* e.g. 300 */
};
/* ERR_CONFIG for a server that is no address, ERR_NOMEM, ERR_UNAVAILABLE. Starts a thread; makes no
 * connection.
 */
enum err resolver_create(const struct resolver_options *o, struct resolver **out);
void resolver_free(struct resolver *r); /* when no thread uses it */

/*
 * deadline_mono_ms: clock_mono_ms() value at which to give up. With DNS_CACHED_ONLY (here and in everything
 * that passes a deadline on to here) an answer that is not in the cache is ERR_WOULD_WAIT.
 * *out is owned by the caller (dns_answer_free).
 * NXDOMAIN and "no data" are ERR_OK answers; SERVFAIL, time-out and malformed packets ERR_DNS_TEMPORARY, a
 * validation failure that the resolver tells apart (extended DNS error 6..12, RFC 8914) ERR_DNS_BOGUS. CNAMEs
 * are followed within the answer. name: letters, digits, '-', '_' and dots, with or without the final dot;
 * ERR_ADDRESS for anything else. Records with a host name of other characters are left out.
 */
enum err resolver_query(struct resolver *r, const char *name, enum dns_type type, int64_t deadline_mono_ms,
                        struct dns_answer **out);
/* The same for a name that never becomes a host (macros make such names, RFC 7208 7): its labels may hold any
 * printable ASCII and blanks, and the hosts of MX records too. */
enum err resolver_query_any(struct resolver *r, const char *name, enum dns_type type,
                            int64_t deadline_mono_ms, struct dns_answer **out);

/*
 * The waiting of one thread, so that another can put an end to it: between resolver_wait_begin and
 * resolver_wait_over all queries of the thread, in whatever they are made, wait as w.
 */
struct dns_wait {
    char vain[DNS_NAME_MAX + 1]; /* the last question that got no answer, "" for none; the thread's own */
    /* the resolver's */
    bool ended;
    void *asleep;
};
void resolver_wait_begin(struct dns_wait *w); /* borrows w until resolver_wait_over */
void resolver_wait_over(void);
/* From any thread, while w lives: a query that waits as w gets ERR_DNS_TEMPORARY at once, and so do all later
 * ones whose answers are not in the cache. The question itself goes on, and its answer will be kept. */
void resolver_wait_end(struct resolver *r, struct dns_wait *w);

/* Whether the answer is in the cache (a query would not wait). */
bool resolver_cached(struct resolver *r, const char *name, enum dns_type type);
void dns_answer_free(struct dns_answer *a);

#endif
