/*
 * resolver.c - from the cache (cache.c), else from the name server (asker.c).
 */
#include "dns/resolver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "dns/asker.h"
#include "dns/cache.h"
#include "dns/packet.h"

#define RESOLV_CONF "/etc/resolv.conf"
#define PORT_DEFAULT 53

struct resolver {
    struct cache *cache;
    struct asker *asker;
};

/* As what this thread waits. */
static _Thread_local struct dns_wait *this_wait;

/* The first "nameserver" of resolv.conf(5). The caller owns *out. */
static enum err first_nameserver(char **out)
{
    FILE *f = fopen(RESOLV_CONF, "re");
    if (f == NULL)
        return ERR_CONFIG;
    enum err err = ERR_CONFIG;
    char line[512];
    while (err == ERR_CONFIG && fgets(line, sizeof line, f) != NULL) {
        char word[16], address[NETADDR_TEXT_MAX];
        if (sscanf(line, " %15s %45s", word, address) == 2 && strcmp(word, "nameserver") == 0) {
            *out = strdup(address);
            err = *out != NULL ? ERR_OK : ERR_NOMEM;
        }
    }
    fclose(f);
    return err;
}

static enum err read_server(const char *text, struct asker_options *o)
{
    struct netaddr addr;
    uint16_t port = PORT_DEFAULT;
    char *from_file = NULL, *host = NULL;
    enum err err = ERR_OK;
    if (text == NULL || *text == '\0') {
        if ((err = first_nameserver(&from_file)) != ERR_OK)
            return err;
        text = from_file;
    }
    if (netaddr_parse(span_of(text), &addr) != ERR_OK) {
        if (netaddr_split_host_port(span_of(text), PORT_DEFAULT, &host, &port) != ERR_OK ||
            netaddr_parse(span_of(host), &addr) != ERR_OK)
            err = ERR_CONFIG;
    }
    if (err == ERR_OK)
        o->server_len = netaddr_to_sockaddr(&addr, port, &o->server);
    free(host);
    free(from_file);
    return err;
}

enum err resolver_create(const struct resolver_options *o, struct resolver **out)
{
    struct asker_options options = {.timeout_ms = o->timeout_ms,
                                    .limits = {o->ttl_max_s, o->negative_ttl_max_s}};
    struct resolver *r = calloc(1, sizeof *r);
    if (r == NULL)
        return ERR_NOMEM;
    enum err err = read_server(o->server, &options);
    if (err == ERR_OK)
        err = cache_create(o->cache_max, &r->cache);
    options.cache = r->cache;
    if (err == ERR_OK)
        err = asker_create(&options, &r->asker);
    if (err != ERR_OK) {
        resolver_free(r);
        return err;
    }
    *out = r;
    return ERR_OK;
}

void resolver_free(struct resolver *r)
{
    if (r == NULL)
        return;
    asker_free(r->asker);
    cache_free(r->cache);
    free(r);
}

void resolver_wait_begin(struct dns_wait *w)
{
    *w = (struct dns_wait){.ended = false};
    this_wait = w;
}

void resolver_wait_end(struct resolver *r, struct dns_wait *w)
{
    asker_end(r->asker, w);
}

void resolver_wait_over(void)
{
    this_wait = NULL;
}

static enum err answer(struct resolver *r, const char *normal, enum dns_type type, int64_t deadline_mono_ms,
                       struct dns_answer **out)
{
    bool again;
    struct dns_answer *kept = cache_get(r->cache, normal, type, clock_mono_ms(), &again);
    if (again)
        asker_refresh(r->asker, normal, type);
    if (kept != NULL) {
        *out = kept;
        return ERR_OK;
    }
    if (deadline_mono_ms == DNS_CACHED_ONLY)
        return ERR_WOULD_WAIT;
    return asker_ask(r->asker, normal, type, deadline_mono_ms, this_wait, out);
}

/* Leaves MX records out whose host is no host name. */
static void keep_hosts(struct dns_answer *a)
{
    char normal[DNS_NAME_MAX + 1];
    size_t kept = 0;
    for (size_t i = 0; i < a->count; i++) {
        struct dns_record *record = &a->record[i];
        if (record->mx.host[0] == '\0' || packet_name(span_of(record->mx.host), normal) == ERR_OK)
            a->record[kept++] = *record;
        else
            free(record->mx.host);
    }
    a->count = kept;
}

enum err resolver_query(struct resolver *r, const char *name, enum dns_type type, int64_t deadline_mono_ms,
                        struct dns_answer **out)
{
    char normal[DNS_NAME_MAX + 1];
    enum err err = packet_name(span_of(name), normal);
    if (err == ERR_OK)
        err = answer(r, normal, type, deadline_mono_ms, out);
    if (err == ERR_OK && type == DNS_MX)
        keep_hosts(*out);
    return err;
}

enum err resolver_query_any(struct resolver *r, const char *name, enum dns_type type,
                            int64_t deadline_mono_ms, struct dns_answer **out)
{
    char normal[DNS_NAME_MAX + 1];
    enum err err = packet_any_name(span_of(name), normal);
    return err == ERR_OK ? answer(r, normal, type, deadline_mono_ms, out) : err;
}

bool resolver_cached(struct resolver *r, const char *name, enum dns_type type)
{
    char normal[DNS_NAME_MAX + 1];
    return packet_name(span_of(name), normal) == ERR_OK && cache_has(r->cache, normal, type, clock_mono_ms());
}
