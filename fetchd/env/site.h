/*
 * site.h - what restante.conf says of the site, read once into values: own domains, submission networks, the
 * link host, and the disk floor's question. Immutable after site_create; thread-safe.
 */
#ifndef FETCHD_SITE_H
#define FETCHD_SITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/netaddr.h"
#include "mail/address.h"
#include "settings/settings.h"

struct site_domains {
    bool all; /* "*" */
    size_t count;
    char (*domain)[ADDRESS_DOMAIN_MAX + 1]; /* A-labels; owned */
};

struct site {
    size_t local_count;
    char (*local_domain)[ADDRESS_DOMAIN_MAX + 1]; /* A-labels; owned */
    size_t confirm_count;
    char (*confirm_domain)[ADDRESS_DOMAIN_MAX + 1]; /* likewise */
    struct site_domains retract_forbidden, replace_forbidden;
    char archive[ADDRESS_TEXT_MAX]; /* `journal`; "": none */
    bool archive_here;              /* in one of the local domains */
    size_t submission_count;
    struct netprefix *submission; /* owned */
    char *link_host;              /* owned; A-labels */
    uint16_t link_port;
    char hostname[ADDRESS_DOMAIN_MAX + 1]; /* myhostname */
};

/* Reads settings (borrowed for the call). ERR_CONFIG with "parameter: message" in *why. The caller owns *out.
 */
enum err site_create(const struct settings *settings, struct site **out, struct buf *why);
void site_free(struct site *s);

/* A domain (A-labels) of local_domains. */
bool site_is_local(const struct site *s, const char *domain);
/* A domain (A-labels) of confirm_domains. */
bool site_confirms(const struct site *s, const char *domain);
/* Whether letters with a reverse-path in this domain (A-labels) may be taken back, or replaced. */
bool site_may_retract(const struct site *s, const char *domain);
bool site_may_replace(const struct site *s, const char *domain);
/* A client in submission_networks; text that is no address is in none. */
bool site_may_submit(const struct site *s, const char *client_address);
/* A prefix list of the settings. The caller owns *out. ERR_CONFIG with "parameter: message". */
enum err site_prefixes(const char *parameter, const struct config_list *list, struct netprefix **out,
                       size_t *count, struct buf *why);

#endif
