#include "claim/tlsa.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SELECTOR_SPKI 1
#define MATCHING_SHA256 1

static int by_octets(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct tlsa_record));
}

void tlsa_read(const struct dns_answer *a, struct tlsa_set *out)
{
    memset(out, 0, sizeof *out);
    for (size_t i = 0; a->secure && i < a->count && out->count < TLSA_RECORDS_MAX; i++) {
        const struct dns_record *r = &a->record[i];
        if ((r->tlsa.usage != TLSA_AUTHORITY && r->tlsa.usage != TLSA_KEY) ||
            r->tlsa.selector != SELECTOR_SPKI || r->tlsa.matching != MATCHING_SHA256 ||
            r->tlsa.len != TLSA_DIGEST_BYTES)
            continue;
        out->record[out->count].usage = r->tlsa.usage;
        memcpy(out->record[out->count++].digest, r->tlsa.data, TLSA_DIGEST_BYTES);
    }
    qsort(out->record, out->count, sizeof out->record[0], by_octets);
}

bool tlsa_equal(const struct tlsa_set *a, const struct tlsa_set *b)
{
    return a->count == b->count && memcmp(a->record, b->record, a->count * sizeof a->record[0]) == 0;
}

enum err tlsa_lookup(struct resolver *r, const char *host, uint16_t port, int64_t deadline_mono_ms,
                     struct tlsa_set *out)
{
    char name[DNS_NAME_MAX + 16];
    struct dns_answer *a = NULL;
    memset(out, 0, sizeof *out);
    snprintf(name, sizeof name, "_%u._tcp.%s", port, host);
    if (strlen(name) > DNS_NAME_MAX)
        return ERR_OK; /* no such name can be in DNS */
    enum err err = resolver_query(r, name, DNS_TLSA, deadline_mono_ms, &a);
    if (err == ERR_OK)
        tlsa_read(a, out);
    dns_answer_free(a);
    return err;
}
