/* rdns.c - from an address to its names and back again. */
#include "proof/rdns.h"

#include <stdio.h>
#include <string.h>

void rdns_arpa(const struct netaddr *address, char out[RDNS_ARPA_MAX])
{
    struct netaddr a = netaddr_unmapped(address);
    const uint8_t *b = a.byte;
    if (a.family == AF_INET) {
        snprintf(out, RDNS_ARPA_MAX, "%u.%u.%u.%u.in-addr.arpa", b[15], b[14], b[13], b[12]);
        return;
    }
    for (size_t i = 0; i < 16; i++)
        snprintf(out + i * 4, 5, "%x.%x.", b[15 - i] & 15u, b[15 - i] >> 4);
    memcpy(out + 64, "ip6.arpa", sizeof "ip6.arpa");
}

enum err rdns_names(struct resolver *r, const struct netaddr *address, int64_t deadline_mono_ms,
                    struct rdns_names *out)
{
    char arpa[RDNS_ARPA_MAX];
    struct dns_answer *a = NULL;
    rdns_arpa(address, arpa);
    enum err err = resolver_query(r, arpa, DNS_PTR, deadline_mono_ms, &a);
    if (err != ERR_OK)
        return err;
    out->count = 0;
    for (size_t i = 0; i < a->count && out->count < RDNS_NAMES_MAX; i++)
        if (a->record[i].host[0] != '\0') /* not the root */
            memcpy(out->name[out->count++], a->record[i].host, strlen(a->record[i].host) + 1);
    dns_answer_free(a);
    return ERR_OK;
}

enum err rdns_leads_back(struct resolver *r, const char *name, const struct netaddr *address,
                         int64_t deadline_mono_ms, bool *out)
{
    struct netaddr to = netaddr_unmapped(address);
    struct dns_answer *a = NULL;
    bool found = false;
    enum err err = resolver_query(r, name, to.family == AF_INET ? DNS_A : DNS_AAAA, deadline_mono_ms, &a);
    if (err != ERR_OK)
        return err;
    for (size_t i = 0; i < a->count && !found; i++)
        found = netaddr_equal(&a->record[i].addr, &to);
    dns_answer_free(a);
    *out = found;
    return ERR_OK;
}

enum err rdns_check(struct resolver *r, const struct netaddr *address, int64_t deadline_mono_ms,
                    struct rdns_answer *out)
{
    struct rdns_names names;
    enum err failed = ERR_OK, err = rdns_names(r, address, deadline_mono_ms, &names);
    if (err != ERR_OK)
        return err;
    size_t at = 0;
    bool confirmed = false;
    for (size_t i = 0; i < names.count && !confirmed; i++) {
        err = rdns_leads_back(r, names.name[i], address, deadline_mono_ms, &confirmed);
        if (confirmed)
            at = i;
        if (err == ERR_WOULD_WAIT) /* waiting for it may confirm: no further name is asked without that */
            return err;
        if (err != ERR_OK && failed == ERR_OK)
            failed = err;
    }
    if (!confirmed && failed != ERR_OK)
        return failed;
    out->result = confirmed ? RDNS_PASS : names.count > 0 ? RDNS_FAIL : RDNS_NONE;
    out->name[0] = '\0';
    if (names.count > 0)
        memcpy(out->name, names.name[at], sizeof out->name);
    return ERR_OK;
}

const char *rdns_result_text(enum rdns_result result)
{
    static const char *const text[] = {"pass", "fail", "permerror"};

    return text[result];
}
