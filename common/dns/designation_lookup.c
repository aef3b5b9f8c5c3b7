/*
 * designation_lookup.c - asks DNS for the record, and answers the question that link hosts ask of it: may
 * this client pull for that domain. Look-ups for a stranger's request are few.
 */
#include "dns/designation.h"

#include <stdlib.h>
#include <string.h>

#define TERMS_MAX 10 /* look-ups for one question, as RFC 7208 4.6.4 */
#define VOID_MAX 2   /* look-ups without a result, the same */

/* Fails with ERR_ADDRESS for a domain too long to have such a record. */
static enum err record_name(const char *domain, char out[DNS_NAME_MAX + 1])
{
    static const char label[] = "_restante.";
    size_t len = strlen(domain);
    if (len == 0 || sizeof label - 1 + len > DNS_NAME_MAX)
        return ERR_ADDRESS;
    memcpy(out, label, sizeof label - 1);
    memcpy(out + sizeof label - 1, domain, len + 1);
    return ERR_OK;
}

enum err designation_lookup(struct resolver *r, const char *domain, int64_t deadline_mono_ms,
                            struct designation *out)
{
    char name[DNS_NAME_MAX + 1];
    struct dns_answer *a = NULL;
    struct designation d = {0};
    const struct dns_record *only = NULL;
    enum err err = record_name(domain, name);
    if (err == ERR_OK)
        err = resolver_query(r, name, DNS_TXT, deadline_mono_ms, &a);
    if (err == ERR_ADDRESS) { /* no such name can be in DNS */
        *out = d;
        return ERR_OK;
    }
    if (err != ERR_OK)
        return err;
    size_t candidates = 0;
    for (size_t i = 0; i < a->count; i++) {
        if (!designation_is_candidate(span_bytes(a->record[i].txt.data, a->record[i].txt.len)))
            continue;
        only = &a->record[i];
        candidates++;
    }
    if (candidates != 1 ||
        designation_parse(span_bytes(only->txt.data, only->txt.len), domain, &d, NULL) != ERR_OK)
        memset(&d, 0, sizeof d);
    d.secure = a->secure;
    d.ttl_s = a->ttl_s;
    dns_answer_free(a);
    *out = d;
    return ERR_OK;
}

/* --- who may pull for a domain */

/* What is left of the limits, and the first failure that may have hidden the answer. */
struct search {
    struct resolver *resolver;
    int64_t deadline_mono_ms;
    size_t terms, voids;
    enum err failed;
};

static bool exhausted(const struct search *s)
{
    return s->terms >= TERMS_MAX || s->voids > VOID_MAX;
}

/* One counted look-up. NULL when it failed, found nothing, or the limits are used up. The caller owns it. */
static struct dns_answer *search_query(struct search *s, const char *name, enum dns_type type)
{
    struct dns_answer *a = NULL;
    if (exhausted(s))
        return NULL;
    s->terms++;
    enum err err = resolver_query(s->resolver, name, type, s->deadline_mono_ms, &a);
    if (err != ERR_OK) {
        if (err != ERR_ADDRESS && s->failed == ERR_OK)
            s->failed = err;
        return NULL;
    }
    if (a->count > 0)
        return a;
    s->voids++;
    dns_answer_free(a);
    return NULL;
}

static void search_designation(struct search *s, const char *domain, struct designation *out)
{
    s->terms++;
    enum err err = designation_lookup(s->resolver, domain, s->deadline_mono_ms, out);
    if (err != ERR_OK) {
        memset(out, 0, sizeof *out);
        s->failed = err;
    }
}

static int by_preference(const void *a, const void *b)
{
    const struct dns_record *x = a, *y = b;
    return (int)x->mx.preference - (int)y->mx.preference;
}

/* Calls back for each MX host, in order, until it says true. Without MX the domain itself (RFC 5321 5.1), for
 * a null MX (RFC 7505) nothing. */
static bool search_mx(struct search *s, const char *domain,
                      bool (*visit)(struct search *s, void *arg, const char *host), void *arg)
{
    enum err failed = s->failed;
    struct dns_answer *mx = search_query(s, domain, DNS_MX);
    if (mx == NULL)
        return s->failed == failed && !exhausted(s) && visit(s, arg, domain);
    qsort(mx->record, mx->count, sizeof *mx->record, by_preference);
    bool found = false;
    for (size_t i = 0; i < mx->count && !found; i++)
        found = mx->record[i].mx.host[0] != '\0' && visit(s, arg, mx->record[i].mx.host);
    dns_answer_free(mx);
    return found;
}

static bool has_address(struct search *s, void *arg, const char *host)
{
    const struct netaddr *from = arg;
    struct dns_answer *a = search_query(s, host, from->family == AF_INET ? DNS_A : DNS_AAAA);
    bool found = false;
    for (size_t i = 0; a != NULL && i < a->count && !found; i++)
        found = netaddr_equal(&a->record[i].addr, from);
    dns_answer_free(a);
    return found;
}

/* "No" only when nothing that could have said "yes" failed. */
static enum err conclude(const struct search *s, bool found, bool *out)
{
    if (!found && s->failed != ERR_OK)
        return s->failed;
    *out = found;
    return ERR_OK;
}

enum err designation_is_puller(struct resolver *r, const char *domain, const struct netaddr *from,
                               int64_t deadline_mono_ms, bool *out)
{
    struct search s = {.resolver = r, .deadline_mono_ms = deadline_mono_ms};
    struct designation d;
    struct netaddr address = *from;
    bool found = false;
    search_designation(&s, domain, &d);
    for (size_t i = 0; i < d.prefix_count && !found; i++)
        found = netprefix_contains(&d.prefix[i], from);
    for (size_t i = 0; i < d.host_count && !found; i++)
        found = has_address(&s, &address, d.host[i].name);
    found = found || search_mx(&s, domain, has_address, &address);
    return conclude(&s, found, out);
}

struct name_match {
    bool (*match)(void *arg, const char *name);
    void *arg;
};

static bool has_name(struct search *s, void *arg, const char *host)
{
    const struct name_match *m = arg;
    (void)s;
    return m->match(m->arg, host);
}

enum err designation_puller_names(struct resolver *r, const char *domain, int64_t deadline_mono_ms,
                                  bool (*match)(void *arg, const char *name), void *arg, bool *out)
{
    struct search s = {.resolver = r, .deadline_mono_ms = deadline_mono_ms};
    struct name_match m = {match, arg};
    struct designation d;
    bool found = false;
    search_designation(&s, domain, &d);
    for (size_t i = 0; i < d.host_count && !found; i++)
        found = match(arg, d.host[i].name);
    found = found || search_mx(&s, domain, has_name, &m);
    return conclude(&s, found, out);
}
