/* mx.c - what the MX records of a domain say about it. */
#include "proof/mx.h"

/* An address where a host name belongs (RFC 5321 5.1 knows no such record). */
static bool is_address(const char *host)
{
    struct netaddr address;
    return netaddr_parse(span_of(host), &address) == ERR_OK;
}

static enum mx_state judge(const struct dns_answer *a)
{
    bool null = false;
    if (!a->exists)
        return MX_NO_DOMAIN;
    for (size_t i = 0; i < a->count; i++) {
        const char *host = a->record[i].mx.host;
        if (host[0] == '\0')
            null = true;
        else if (!is_address(host))
            return MX_PRESENT;
    }
    return null ? MX_NULL : MX_NONE;
}

enum err mx_check(struct resolver *r, const char *domain, int64_t deadline_mono_ms, enum mx_state *out)
{
    struct dns_answer *a = NULL;
    if (is_address(domain))
        return ERR_ADDRESS;
    enum err err = resolver_query(r, domain, DNS_MX, deadline_mono_ms, &a);
    if (err != ERR_OK)
        return err;
    *out = judge(a);
    dns_answer_free(a);
    return ERR_OK;
}
