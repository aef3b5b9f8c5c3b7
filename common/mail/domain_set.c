/*
 * domain_set.c - see domain_set.h.
 */
#include "mail/domain_set.h"

#include <stdlib.h>
#include <string.h>

#define SEPARATORS ", \t\r\n"

static int compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

enum err domain_set_parse(const char *list, struct domain_set *out)
{
    size_t room = 1;

    if (!list)
        list = "";
    for (const char *p = list; *p; p++)
        room += strchr(SEPARATORS, *p) != NULL;
    *out = (struct domain_set){.domain = calloc(room, sizeof *out->domain)};
    if (!out->domain)
        return ERR_NOMEM;
    for (const char *p = list; *p;) {
        size_t len = strcspn(p, SEPARATORS);
        if (len && domain_normalise(span_bytes(p, len), out->domain[out->count]) == ERR_OK)
            out->count++;
        p += len;
        p += strspn(p, SEPARATORS);
    }
    qsort(out->domain, out->count, sizeof *out->domain, compare);
    return ERR_OK;
}

void domain_set_free(struct domain_set *s)
{
    free(s->domain);
    *s = (struct domain_set){0};
}

bool domain_set_has(const struct domain_set *s, const char *domain)
{
    return s->count && bsearch(domain, s->domain, s->count, sizeof *s->domain, compare);
}

bool domain_set_has_address(const struct domain_set *s, const char *address)
{
    struct address a;

    return address && address_parse(span_of(address), &a) == ERR_OK && !a.null && domain_set_has(s, a.domain);
}
