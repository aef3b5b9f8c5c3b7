/*
 * spf.h - Sender Policy Framework (RFC 7208): may this client send mail for that domain. All mechanisms,
 * modifiers and macros; at most 10 terms that look something up, 2 of them in vain; 10 MX hosts, 10 reverse
 * names. Thread-safe; blocks for 5 s at most.
 */
#ifndef PROOF_SPF_H
#define PROOF_SPF_H

#include "dns/resolver.h"

#define SPF_TIME_MAX_MS 5000
#define SPF_TERM_MAX 128        /* octets */
#define SPF_EXPLANATION_MAX 512 /* octets */

enum spf_result { SPF_NONE, SPF_NEUTRAL, SPF_PASS, SPF_FAIL, SPF_SOFTFAIL, SPF_TEMPERROR, SPF_PERMERROR };
/* "none", "neutral", "pass" ... as in Authentication-Results (RFC 8601 2.7.2). */
const char *spf_result_text(enum spf_result result);

struct spf_question {
    struct netaddr client;
    const char *helo;     /* as the client said it: any text, NULL for none */
    const char *local;    /* local part of the reverse-path; "" counts as postmaster */
    const char *domain;   /* A-labels; NULL or "" for the null reverse-path: then HELO is checked (2.4) */
    const char *receiver; /* our host's name; NULL: "unknown" */
    bool explain;         /* look the domain's explanation of a fail up: one more look-up */
};
struct spf_answer {
    enum spf_result result;
    char domain[DNS_NAME_MAX + 1]; /* whose record decided, after redirect; lower case */
    char term[SPF_TERM_MAX + 1]; /* the term that decided, or is at fault; "" when none is. Printable ASCII */
    const char *why;             /* permerror, temperror: what is wrong, static text; else "" */
    char explanation[SPF_EXPLANATION_MAX +
                     1]; /* in the domain's words; "" when there is none. Printable ASCII */
    enum err cause;      /* temperror: ERR_DNS_TEMPORARY or ERR_DNS_BOGUS; else ERR_OK */
    bool complete; /* false: a look-up failed that RFC 7208 5.5 and 7.3 pass over (reverse names); a later
                      check may end otherwise */
};

/*
 * What becomes of the look-ups is in the answer. With DNS_CACHED_ONLY ERR_WOULD_WAIT when anything needed is
 * not in the cache. ERR_NOMEM.
 */
enum err spf_check(struct resolver *r, const struct spf_question *q, int64_t deadline_mono_ms,
                   struct spf_answer *out);

#endif
