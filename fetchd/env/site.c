/*
 * site.c - turns the text of restante.conf into the values that decisions are made with.
 */
#include "env/site.h"

#include <stdlib.h>
#include <string.h>

#include "env/text.h"

enum err site_prefixes(const char *parameter, const struct config_list *list, struct netprefix **out,
                       size_t *count, struct buf *why)
{
    struct netprefix *prefixes = calloc(list->count + 1, sizeof *prefixes);

    if (!prefixes)
        return ERR_NOMEM;
    for (size_t i = 0; i < list->count; i++) {
        if (netprefix_parse(span_of(list->item[i]), &prefixes[i])) {
            free(prefixes);
            buf_printf(why, "%s: \"%s\" is no network address", parameter, list->item[i]);
            return ERR_CONFIG;
        }
    }
    *out = prefixes;
    *count = list->count;
    return ERR_OK;
}

static enum err read_domains(const char *parameter, const struct config_list *list,
                             char (**out)[ADDRESS_DOMAIN_MAX + 1], size_t *count, struct buf *why)
{
    *out = calloc(list->count + 1, sizeof **out);
    if (!*out)
        return ERR_NOMEM;
    for (size_t i = 0; i < list->count; i++) {
        if (domain_normalise(span_of(list->item[i]), (*out)[i])) {
            buf_printf(why, "%s: \"%s\" is no domain", parameter, list->item[i]);
            return ERR_CONFIG;
        }
        *count = i + 1;
    }
    return ERR_OK;
}

/* Domains, or "*" alone for all. */
static enum err read_domains_or_all(const char *parameter, const struct config_list *list,
                                    struct site_domains *out, struct buf *why)
{
    out->all = list->count == 1 && strcmp(list->item[0], "*") == 0;
    return out->all ? ERR_OK : read_domains(parameter, list, &out->domain, &out->count, why);
}

static enum err read_archive(struct site *s, const char *journal, struct buf *why)
{
    struct address address;

    if (!journal[0])
        return ERR_OK;
    if (address_parse(span_of(journal), &address) || address.null) {
        buf_printf(why, "journal: \"%s\" is no address", journal);
        return ERR_CONFIG;
    }
    address_text(&address, s->archive);
    s->archive_here = site_is_local(s, address.domain);
    return ERR_OK;
}

static enum err read_names(struct site *s, const struct settings *settings, struct buf *why)
{
    char *host = NULL;
    char normal[ADDRESS_DOMAIN_MAX + 1];

    TEXT_CUT(s->hostname, settings->myhostname);
    const char *text = settings->link_host[0] ? settings->link_host : s->hostname;
    if (netaddr_split_host_port(span_of(text), 443, &host, &s->link_port) ||
        domain_normalise(span_of(host), normal)) {
        free(host);
        buf_printf(why, "link_host: \"%s\" is no host[:port]", text);
        return ERR_CONFIG;
    }
    free(host);
    s->link_host = strdup(normal);
    return s->link_host ? ERR_OK : ERR_NOMEM;
}

enum err site_create(const struct settings *settings, struct site **out, struct buf *why)
{
    enum err e;
    struct site *s = calloc(1, sizeof *s);

    if (!s)
        return ERR_NOMEM;
    if ((e = read_domains("local_domains", &settings->local_domains, &s->local_domain, &s->local_count,
                          why)) ||
        (e = read_domains("confirm_domains", &settings->confirm_domains, &s->confirm_domain,
                          &s->confirm_count, why)) ||
        (e = read_domains_or_all("retract_forbidden", &settings->retract_forbidden, &s->retract_forbidden,
                                 why)) ||
        (e = read_domains_or_all("replace_forbidden", &settings->replace_forbidden, &s->replace_forbidden,
                                 why)) ||
        (e = read_archive(s, settings->journal, why)) ||
        (e = site_prefixes("submission_networks", &settings->submission_networks, &s->submission,
                           &s->submission_count, why)) ||
        (e = read_names(s, settings, why))) {
        site_free(s);
        return e;
    }
    *out = s;
    return ERR_OK;
}

void site_free(struct site *s)
{
    if (!s)
        return;
    free(s->local_domain);
    free(s->confirm_domain);
    free(s->retract_forbidden.domain);
    free(s->replace_forbidden.domain);
    free(s->submission);
    free(s->link_host);
    free(s);
}

static bool has_domain(char (*list)[ADDRESS_DOMAIN_MAX + 1], size_t count, const char *domain)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(list[i], domain) == 0)
            return true;
    }
    return false;
}

bool site_is_local(const struct site *s, const char *domain)
{
    return has_domain(s->local_domain, s->local_count, domain);
}

bool site_confirms(const struct site *s, const char *domain)
{
    return has_domain(s->confirm_domain, s->confirm_count, domain);
}

static bool is_among(const struct site_domains *d, const char *domain)
{
    return d->all || has_domain(d->domain, d->count, domain);
}

bool site_may_retract(const struct site *s, const char *domain)
{
    return !is_among(&s->retract_forbidden, domain);
}

bool site_may_replace(const struct site *s, const char *domain)
{
    return !is_among(&s->replace_forbidden, domain);
}

bool site_may_submit(const struct site *s, const char *client_address)
{
    struct netaddr client;

    if (!client_address || netaddr_parse(span_of(client_address), &client))
        return false;
    for (size_t i = 0; i < s->submission_count; i++) {
        if (netprefix_contains(&s->submission[i], &client))
            return true;
    }
    return false;
}
