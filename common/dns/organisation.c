/*
 * organisation.c - libpsl wrapped. The list lives as long as the process: others hold on to results, never to
 * the list.
 */
#include "dns/organisation.h"

#include <pthread.h>
#include <string.h>

#include <libpsl.h>

#include "dns/packet.h"

static pthread_once_t loaded = PTHREAD_ONCE_INIT;
static const psl_ctx_t *list;

static void load(void)
{
    list = psl_latest(NULL);
    if (list == NULL)
        list = psl_builtin(); /* NULL only in a libpsl built without a list */
}

/* "192.0.2.1" has no organisation: its "labels" would align with strangers. */
static bool numeric(const char *name)
{
    const char *last = strrchr(name, '.');
    last = last != NULL ? last + 1 : name;
    return strspn(last, "0123456789") == strlen(last);
}

enum err organisation_of(const char *domain, char out[DNS_NAME_MAX + 1])
{
    char name[DNS_NAME_MAX + 1];
    enum err err = packet_name(span_of(domain), name);
    if (err != ERR_OK)
        return err;
    if (numeric(name))
        return ERR_ADDRESS;
    pthread_once(&loaded, load);
    if (list == NULL)
        return ERR_NOMEM;
    const char *organisation = psl_registrable_domain(list, name);
    if (organisation == NULL) /* a public suffix */
        organisation = name;
    memcpy(out, organisation, strlen(organisation) + 1);
    return ERR_OK;
}

bool organisation_aligned(const char *a, const char *b)
{
    char x[DNS_NAME_MAX + 1], y[DNS_NAME_MAX + 1];
    return organisation_of(a, x) == ERR_OK && organisation_of(b, y) == ERR_OK && strcmp(x, y) == 0;
}
