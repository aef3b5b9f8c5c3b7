/*
 * house.c - see house.h.
 *
 * Order: what needs root (keys, certificates, ports below 1024), then the drop, then the store (recovery
 * writes as the daemon's own user), then threads, then the sockets: nobody is let in before everything
 * stands.
 */
#include "house.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admission/admission.h"
#include "admission/challenge.h"
#include "admission/rdap.h"
#include "base/clock.h"
#include "base/log.h"
#include "claim/claim.h"
#include "claim/trust.h"
#include "dns/resolver.h"
#include "env/env.h"
#include "env/site.h"
#include "files.h"
#include "http/server.h"
#include "lifecycle/lifecycle.h"
#include "local/admin_keys.h"
#include "local/gate.h"
#include "local/router.h"
#include "route/routes.h"
#include "mta/smtp.h"
#include "pool/pool.h"
#include "places.h"
#include "privileges.h"
#include "public/public.h"
#include "pull/pull.h"
#include "settings/settings.h"
#include "store/store.h"
#include "ticket/keyfile.h"

#define PATH_MAX_BYTES 4096
#define QUEUE_MAX 65536
#define RDAP_DOMAINS_MAX 16384
#define STOP_GRACE_MS 10000
#define STOP_MTA_MS 20000 /* TimeoutStopSec of the unit leaves time for this and some more */
#define QUICK_THREADS(loops) (((loops) + 3) / 4) /* one keeps up with several: it never waits */

struct house {
    const struct settings *settings;
    void (*failed)(void *arg);
    struct env env; /* what the rooms see */
    struct site *site;
    struct routes *routes;
    struct site_keys *keys;
    struct netprefix *proxies, *allowed_special;
    size_t proxy_count, allowed_special_count;
    struct http_server *server;
};

/* NULL for what is not set. */
static const char *set_or_null(const char *text)
{
    return text && text[0] ? text : NULL;
}

static bool exists(const char *directory, const char *name)
{
    char path[PATH_MAX_BYTES];

    snprintf(path, sizeof path, "%s/%s", directory, name);
    return access(path, F_OK) == 0;
}

enum err house_check(const struct settings *settings, struct buf *why)
{
    struct site *site = NULL;
    struct routes *routes = NULL;
    enum err e = site_create(settings, &site, why);

    if (!e)
        e = routes_load(settings->domains_file, &routes, why);
    routes_free(routes);
    site_free(site);
    return e;
}

/* ---- as root */

enum err house_make_keys(const struct settings *settings, struct buf *why)
{
    uid_t uid;
    gid_t gid;
    const char *path = settings->site_keys_file;

    if (keyfile_is_credential(path))
        return ERR_OK;
    /* Never when a store is there: its letters need the key that is lost. */
    if (access(path, F_OK) == 0 || errno != ENOENT)
        return ERR_OK; /* what is wrong with it, loading says */
    if (exists(settings->data_directory, "db")) {
        buf_printf(why, "%s is missing, but %s/db exists: put the site's key file back", path,
                   settings->data_directory);
        return ERR_CONFIG;
    }
    enum err e = privileges_user(settings->user, &uid, &gid, why);
    if (!e && (e = keyfile_create(path, clock_now_s())))
        buf_printf(why, "%s cannot be made: %s", path, errno ? strerror(errno) : err_text(e));
    if (!e && geteuid() == 0 && chown(path, uid, gid)) {
        buf_printf(why, "%s: %s", path, strerror(errno));
        e = ERR_IO;
    }
    if (!e)
        log_info("made the site's first key in %s: keep a copy of it in a safe place", path);
    return e;
}

static struct http_limits public_limits(const struct settings *s)
{
    return (struct http_limits){.header_list_max = 16384,
                                .streams_max = 32,
                                .connections_max = (size_t)s->https_connections_max,
                                .connections_address_max = (size_t)s->https_connections_address_max,
                                .handshake_ms = 10000,
                                .idle_ms = 60000,
                                .head_ms = 10000,
                                .body_idle_ms = 10000,
                                .rate_min_bytes_s = 1024,
                                .rate_window_ms = 30000,
                                .drain_bytes = 65536,
                                .drain_ms = 5000};
}

/* Local clients are ours: a letter may come as slowly as its SMTP client sends it, and an error waits for its
 * end. */
static struct http_limits local_limits(void)
{
    return (struct http_limits){.header_list_max = 16384,
                                .streams_max = 32,
                                .connections_max = 10000,
                                .connections_address_max = 10000,
                                .handshake_ms = 10000,
                                .idle_ms = 300000,
                                .head_ms = 60000,
                                .body_idle_ms = 3600000,
                                .rate_min_bytes_s = 0,
                                .rate_window_ms = 3600000,
                                .drain_bytes = 4LL << 30,
                                .drain_ms = 3600000};
}

/* The authorities of the system; NULL: there are none. */
static const char *system_ca_file(void)
{
    return access(FILES_SYSTEM_CA, R_OK) == 0 ? FILES_SYSTEM_CA : NULL;
}

static enum err listen_https(struct house *h, struct buf *why)
{
    const struct settings *s = h->settings;
    const struct http_limits limits = public_limits(s);
    const struct http_tls tls = {.certificate_file = s->tls_certificate_file,
                                 .key_file = s->tls_key_file,
                                 .client_ca_file =
                                     set_or_null(s->tls_ca_file) ? s->tls_ca_file : system_ca_file(),
                                 .proxy_protocol_from = h->proxies,
                                 .proxy_protocol_count = h->proxy_count};
    enum err e = ERR_OK;

    for (size_t i = 0; i < s->listen_https.count && !e; i++)
        e = http_listen_tls(h->server, s->listen_https.item[i], &tls, &limits, public_router, why);
    return e;
}

static enum err open_values(struct house *h, struct buf *why)
{
    const struct settings *s = h->settings;
    enum err e;

    if ((e = site_create(s, &h->site, why)) || (e = routes_load(s->domains_file, &h->routes, why)) ||
        (e = site_prefixes("proxy_protocol_from", &s->proxy_protocol_from, &h->proxies, &h->proxy_count,
                           why)) ||
        (e = site_prefixes("allow_special_ranges", &s->allow_special_ranges, &h->allowed_special,
                           &h->allowed_special_count, why)) ||
        (e = house_make_keys(s, why)) || (e = keyfile_load(s->site_keys_file, &h->keys, why)))
        return e;
    h->env.settings = s;
    h->env.site = h->site;
    h->env.routes = h->routes;
    h->env.keys = h->keys;
    return ERR_OK;
}

static enum err open_server(struct house *h, struct buf *why)
{
    const struct settings *s = h->settings;
    enum err e;

    if ((e = pool_create("work", (unsigned)s->work_threads, QUEUE_MAX, &h->env.work)) ||
        (e = pool_create("lookup", (unsigned)s->lookup_threads, QUEUE_MAX, &h->env.lookup)) ||
        (e = pool_create("notices", GATE_THREADS, QUEUE_MAX, &h->env.notices)) ||
        (e = pool_create("serve", (unsigned)s->work_threads, QUEUE_MAX, &h->env.serve)) ||
        (e = pool_create("quick", QUICK_THREADS((unsigned)s->http_threads), QUEUE_MAX, &h->env.quick)))
        return e;
    const struct http_options options = {
        .threads = (unsigned)s->http_threads, .pool = h->env.work, .env = &h->env};
    if ((e = http_server_create(&options, &h->server)))
        return e;
    return listen_https(h, why);
}

enum err house_open(const struct settings *settings, void (*failed)(void *arg), struct house **out,
                    struct buf *why)
{
    enum err e;
    struct house *h = calloc(1, sizeof *h);

    if (!h)
        return ERR_NOMEM;
    h->settings = settings;
    h->failed = failed;
    if ((e = open_values(h, why)) || (e = open_server(h, why))) {
        house_close(h);
        return e;
    }
    *out = h;
    return ERR_OK;
}

/* ---- as the daemon's own user */

static enum err make_directory(const char *path, struct buf *why)
{
    if (mkdir(path, 0700) == 0 || errno == EEXIST)
        return ERR_OK;
    buf_printf(why, "%s: %s", path, strerror(errno));
    return ERR_IO;
}

static enum err open_store(struct house *h, struct buf *why)
{
    char journal[PLACES_PATH_BYTES];
    struct store_options options = places_store_options(h->settings, journal);

    options.failed = h->failed;
    return store_open(&options, h->keys, &h->env.store, why);
}

static enum err open_smtp(const struct house *h, const char *server, struct smtp_client **out)
{
    const struct smtp_options options = {.server = server,
                                         .helo = h->site->hostname,
                                         .connect_timeout_ms = 30000,
                                         .command_timeout_ms = 300000,
                                         .data_timeout_ms = 180000,
                                         .final_timeout_ms = 600000,
                                         .idle_max = (size_t)h->settings->injections_max};

    return smtp_client_create(&options, out);
}

static struct fetch_options fetching(const struct house *h)
{
    const struct settings *s = h->settings;

    return (struct fetch_options){.resolver = h->env.resolver,
                                  .ca_file = set_or_null(s->tls_ca_file),
                                  .bind_address = set_or_null(s->pull_bind_address),
                                  .allowed_special = h->allowed_special,
                                  .allowed_special_count = h->allowed_special_count};
}

static enum err open_trust(struct house *h)
{
    const struct settings *s = h->settings;
    const struct trust_options options = {.fetch = fetching(h),
                                          .rules = {.hard = s->revocation == SETTINGS_REVOCATION_HARD,
                                                    .short_lifetime_s = s->tls_short_lifetime_s},
                                          .crl_timeout_ms = s->crl_timeout_s * 1000,
                                          .crl_max_bytes = (size_t)s->crl_max_bytes,
                                          .crls_max_bytes = (size_t)s->crl_cache_bytes};

    return trust_create(&options, &h->env.trust);
}

static enum err open_rdap(struct house *h)
{
    const struct rdap_options options = {
        .base_url = h->settings->rdap_url, .fetch = fetching(h), .domains_max = RDAP_DOMAINS_MAX};

    return options.base_url[0] ? rdap_create(&options, &h->env.rdap) : ERR_OK;
}

static enum err open_claim(struct house *h, const char *spool)
{
    const struct settings *s = h->settings;
    const struct claim_options options = {.resolver = h->env.resolver,
                                          .trust = h->env.trust,
                                          .ca_file = set_or_null(s->tls_ca_file),
                                          .bind_address = set_or_null(s->pull_bind_address),
                                          .client_certificate_file = set_or_null(s->client_certificate_file),
                                          .client_key_file = set_or_null(s->client_key_file),
                                          .allowed_special = h->allowed_special,
                                          .allowed_special_count = h->allowed_special_count,
                                          .spool_directory = spool,
                                          .letter_max_bytes = s->letter_max_bytes,
                                          .connect_timeout_ms = s->pull_connect_timeout_s * 1000,
                                          .answer_timeout_ms = s->pull_answer_timeout_s * 1000,
                                          .total_timeout_ms = s->pull_total_timeout_s * 1000,
                                          .rate_min_bytes_s = s->pull_rate_min_bytes_s,
                                          .rate_window_ms = 20000,
                                          .host_connections_max = 2,
                                          .host_transfers_max = (int)s->pulls_host_max,
                                          .transfers_max = (int)s->pulls_max,
                                          .not_restante_pause_s = 3600};

    return claim_client_create(&options, &h->env.claim);
}

/* Without them each certificate of every link host would be refused, letter by letter. */
static enum err check_authorities(const struct house *h, struct buf *why)
{
    if (set_or_null(h->settings->tls_ca_file) || system_ca_file())
        return ERR_OK;
    buf_append_str(why, "no certificate authorities: " FILES_SYSTEM_CA
                        " cannot be read (package ca-certificates), and tls_ca_file is not set");
    return ERR_CONFIG;
}

static enum err open_clients(struct house *h, struct buf *why)
{
    const struct settings *s = h->settings;
    const struct resolver_options resolver = {.server = set_or_null(s->resolver),
                                              .timeout_ms = 1500,
                                              .cache_max = (size_t)s->dns_cache_max,
                                              .ttl_max_s = 86400,
                                              .negative_ttl_max_s = 300};
    char spool[PATH_MAX_BYTES];
    enum err e;

    snprintf(spool, sizeof spool, "%s/spool", s->data_directory);
    if ((e = make_directory(spool, why)))
        return e;
    if ((e = check_authorities(h, why)))
        return e;
    if ((e = resolver_create(&resolver, &h->env.resolver)))
        buf_append_str(why, "resolver: no name server");
    else if ((e = open_smtp(h, s->letters_in, &h->env.letters_in)))
        buf_append_str(why, "letters_in: no host:port");
    else if ((e = open_smtp(h, s->stubs_out, &h->env.stubs_out)))
        buf_append_str(why, "stubs_out: no host:port");
    else if (!(e = open_rdap(h)) && !(e = open_trust(h)) && (e = open_claim(h, spool)))
        buf_append_str(why, "the HTTPS client: tls_ca_file, client_certificate_file or client_key_file");
    return e;
}

static enum err listen_local(struct house *h, struct buf *why)
{
    const struct http_limits limits = local_limits();
    char path[PATH_MAX_BYTES];

    snprintf(path, sizeof path, "%s/deposit.sock", h->settings->local_socket_directory);
    enum err e = http_listen_unix(h->server, path, 0660, &limits, local_deposit_router, why);
    if (e)
        return e;
    /* Everybody may ask; the router looks at who he is. */
    snprintf(path, sizeof path, "%s/admin.sock", h->settings->local_socket_directory);
    return http_listen_unix(h->server, path, 0666, &limits, local_admin_router, why);
}

enum err house_start(struct house *h, struct buf *why)
{
    enum err e;

    if ((e = open_store(h, why)) || (e = open_clients(h, why)) ||
        (e = gate_create(h->env.resolver, &h->env.gate)) ||
        (e = admission_create(&h->env, &h->env.admission, why)) ||
        (e = challenge_create(&h->env.challenge)) || (e = public_create(h->settings, &h->env.public)) ||
        (e = lifecycle_create(&h->env, &h->env.lifecycle)) || (e = puller_create(&h->env, &h->env.puller)) ||
        (e = lifecycle_start(h->env.lifecycle)) || (e = listen_local(h, why)))
        return e;
    pool_on_idle(h->env.quick, public_idle, &h->env);
    return http_server_start(h->server);
}

void house_reload(struct house *h)
{
    struct buf why;

    buf_init(&why, 4096);
    if (routes_reload(h->routes, h->settings->domains_file, &why))
        log_error("the old table of domains stays: %s", buf_cstr(&why));
    else
        log_info("table of domains read again");
    buf_clear(&why);
    if (admin_keys_reload(&h->env, &why))
        log_error("the old site keys stay: %s", buf_cstr(&why));
    buf_clear(&why);
    if (http_tls_reload(h->server, &why))
        log_error("the old certificate stays: %s", buf_cstr(&why));
    else
        log_info("certificate and key read again");
    buf_free(&why);
}

void house_close(struct house *h)
{
    if (!h)
        return;
    if (h->env.letters_in) /* an MTA that hangs must not keep us */
        smtp_client_stop(h->env.letters_in, STOP_MTA_MS);
    if (h->env.stubs_out)
        smtp_client_stop(h->env.stubs_out, STOP_MTA_MS);
    if (h->env.trust) /* handlers wait for what these two fetch */
        trust_stop(h->env.trust);
    if (h->env.rdap)
        rdap_stop(h->env.rdap);
    if (h->server)
        http_server_stop(h->server, STOP_GRACE_MS);
    if (h->env.claim)
        claim_client_stop(h->env.claim);
    puller_free(h->env.puller);
    lifecycle_free(h->env.lifecycle);
    pool_free(h->env.lookup);
    pool_free(h->env.notices);
    pool_free(h->env.work);
    pool_free(h->env.serve);
    pool_free(h->env.quick);
    http_server_free(h->server);
    public_free(h->env.public);
    challenge_free(h->env.challenge);
    claim_client_free(h->env.claim);
    trust_free(h->env.trust);
    rdap_free(h->env.rdap);
    smtp_client_free(h->env.letters_in);
    smtp_client_free(h->env.stubs_out);
    resolver_free(h->env.resolver);
    admission_free(h->env.admission);
    gate_free(h->env.gate);
    store_close(h->env.store);
    site_keys_free(h->keys);
    routes_free(h->routes);
    site_free(h->site);
    free(h->proxies);
    free(h->allowed_special);
    free(h);
}
