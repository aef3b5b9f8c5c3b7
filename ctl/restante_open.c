/*
 * restante-open - turns a stub on standard input into the letter on standard output, where there is no
 * restante-fetchd.
 *
 * It is the same caller as fetchd's puller: the URL's host must be designated by the domain of the stub's f=,
 * and everything common/claim checks is checked. The letter is confirmed to its sender's site only after its
 * last byte was written; whoever cannot keep it says --no-ack.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/kill.h"
#include "base/log.h"
#include "base/secret.h"
#include "claim/claim.h"
#include "claim/trust.h"
#include "dns/designation.h"
#include "mail/author.h"
#include "mail/header.h"
#include "mail/stub.h"
#include "settings/settings.h"

#define MESSAGE_MAX (1024 * 1024) /* bytes: a stub is about one kilobyte */
#define PIECE 65536
#define DNS_MS 15000
#define CONNECT_MS 10000
#define ANSWER_MS 30000
#define TOTAL_MS 3600000

static const char usage_text[] =
    "usage: restante-open [-c restante.conf] [--no-ack] < stub > letter\n"
    "  -c FILE    resolver, tls_ca_file, revocation, trusted_proxies... from there\n"
    "  --no-ack   do not confirm: the letter stays open to be called for again\n"
    "The exit status is 0, 75 if it may be tried again, 65 if this stub will never give a letter.\n";

struct opening {
    struct settings *settings;
    struct netprefix *special; /* allow_special_ranges */
    struct resolver *resolver;
    struct trust *trust;
    struct claim_client *client;
    struct stub stub;
    struct ticket_url url;
    char sender[ADDRESS_TEXT_MAX], recipient[ADDRESS_TEXT_MAX], author[ADDRESS_TEXT_MAX];
    uint8_t lease[CLAIM_LEASE_BYTES];
};

static int complain(enum err e, const char *what)
{
    fprintf(stderr, "restante-open: %s: %s\n", what, err_text(e));
    return err_temporary(e) ? EX_TEMPFAIL : EX_DATAERR;
}

/* ---- the stub ------------------------------------------------------------------------------------------ */

/* Mail on a disk has LF line ends; the parsers want what came over the wire. */
static enum err read_message(struct buf *out)
{
    int c, before = 0;
    enum err e = ERR_OK;
    while (e == ERR_OK && (c = getchar()) != EOF) {
        if (c == '\n' && before != '\r')
            e = buf_append_char(out, '\r');
        if (e == ERR_OK)
            e = buf_append_char(out, (char)c);
        before = c;
    }
    return e == ERR_OK && ferror(stdin) ? ERR_IO : e;
}

static enum err read_stub(struct opening *o, struct span message, struct buf *why)
{
    struct header_field f;
    struct span rest = message, value = {NULL, 0};
    struct address author;
    size_t count = 0;
    while (header_next(&rest, &f)) {
        if (span_is_nocase(span_trim(f.name), STUB_FIELD_NAME)) {
            value = f.value;
            count++;
        }
    }
    if (count != 1)
        return ERR_STUB_SYNTAX;
    enum err e = stub_parse(value, &o->stub, why);
    if (e == ERR_OK && ticket_url_parse(span_of(o->stub.url), &o->url) != ERR_OK)
        e = ERR_STUB_SYNTAX;
    if (e == ERR_OK && o->stub.expires_s < clock_now_s())
        e = ERR_STUB_EXPIRED;
    if (e == ERR_OK)
        e = author_of(message, &o->stub.from, &author, NULL);
    if (e == ERR_OK) {
        address_text(&o->stub.from, o->sender);
        address_text(&o->stub.to, o->recipient);
        address_text(&author, o->author);
        e = secret_random(o->lease, sizeof o->lease);
    }
    return e;
}

/* ---- the call ------------------------------------------------------------------------------------------ */

static enum err designated(struct opening *o)
{
    struct designation d;
    const struct config_list *proxies = &o->settings->trusted_proxies;
    enum err e = designation_lookup(o->resolver, o->stub.from.domain, clock_mono_ms() + DNS_MS, &d);
    if (e == ERR_OK && !designation_has_host(&d, o->url.host, o->url.port, (const char *const *)proxies->item,
                                             proxies->count))
        e = ERR_NOT_DESIGNATED;
    return e;
}

static enum err set_up(struct opening *o, const char *spool)
{
    const struct settings *s = o->settings;
    struct resolver_options r = {.server = s->resolver[0] ? s->resolver : NULL,
                                 .timeout_ms = 1500,
                                 .cache_max = 100,
                                 .ttl_max_s = 3600,
                                 .negative_ttl_max_s = 300};
    enum err e = resolver_create(&r, &o->resolver);
    if (e != ERR_OK)
        return e;
    o->special = calloc(s->allow_special_ranges.count + 1, sizeof *o->special);
    if (!o->special)
        return ERR_NOMEM;
    for (size_t i = 0; i < s->allow_special_ranges.count; i++)
        if (netprefix_parse(span_of(s->allow_special_ranges.item[i]), &o->special[i]) != ERR_OK)
            return ERR_CONFIG;
    struct trust_options t = {.fetch = {.resolver = o->resolver,
                                        .ca_file = s->tls_ca_file[0] ? s->tls_ca_file : NULL,
                                        .bind_address = s->pull_bind_address[0] ? s->pull_bind_address : NULL,
                                        .allowed_special = o->special,
                                        .allowed_special_count = s->allow_special_ranges.count},
                              .rules = {.hard = s->revocation == SETTINGS_REVOCATION_HARD,
                                        .short_lifetime_s = s->tls_short_lifetime_s},
                              .crl_timeout_ms = s->crl_timeout_s * 1000,
                              .crl_max_bytes = (size_t)s->crl_max_bytes,
                              .crls_max_bytes = (size_t)s->crl_cache_bytes};
    if ((e = trust_create(&t, &o->trust)) != ERR_OK)
        return e;
    struct claim_options c = {.resolver = o->resolver,
                              .trust = o->trust,
                              .ca_file = s->tls_ca_file[0] ? s->tls_ca_file : NULL,
                              .bind_address = s->pull_bind_address[0] ? s->pull_bind_address : NULL,
                              .client_certificate_file =
                                  s->client_certificate_file[0] ? s->client_certificate_file : NULL,
                              .client_key_file = s->client_key_file[0] ? s->client_key_file : NULL,
                              .allowed_special = o->special,
                              .allowed_special_count = s->allow_special_ranges.count,
                              .spool_directory = spool,
                              .letter_max_bytes = s->letter_max_bytes,
                              .connect_timeout_ms = CONNECT_MS,
                              .answer_timeout_ms = ANSWER_MS,
                              .total_timeout_ms = TOTAL_MS,
                              .rate_min_bytes_s = s->pull_rate_min_bytes_s,
                              .rate_window_ms = 20000,
                              .host_connections_max = 1,
                              .host_transfers_max = 1,
                              .transfers_max = 1,
                              .not_restante_pause_s = 3600};
    return claim_client_create(&c, &o->client);
}

static enum err write_letter(int fd)
{
    char piece[PIECE];
    ssize_t n;
    while ((n = read(fd, piece, sizeof piece)) > 0)
        if (fwrite(piece, 1, (size_t)n, stdout) != (size_t)n)
            return err_from_errno(errno);
    if (n < 0 || fflush(stdout) != 0)
        return err_from_errno(errno);
    /* A pipe has no disk to wait for. */
    return fsync(STDOUT_FILENO) == 0 || errno == EINVAL || errno == EROFS ? ERR_OK : err_from_errno(errno);
}

static int call(struct opening *o, bool ack)
{
    struct claim_outcome got;
    struct claim_request r = {.verb = CLAIM_CLAIM,
                              .url = o->url,
                              .sender = o->sender,
                              .recipient = o->recipient,
                              .from = o->author};
    memcpy(r.ka, o->stub.ka, sizeof r.ka);
    memcpy(r.kd, o->stub.kd, sizeof r.kd);
    memcpy(r.lease, o->lease, sizeof r.lease);
    enum err e = claim_wait(o->client, &r, &got);
    if (e == ERR_OK)
        e = got.err;
    if (e != ERR_OK) {
        secret_wipe(&r, sizeof r);
        if (got.reason[0] == '\0' && got.detail[0] != '\0')
            fprintf(stderr, "restante-open: %s\n", got.detail);
        return complain(e, got.reason[0] ? got.reason : o->url.host);
    }
    e = write_letter(got.letter_fd);
    close(got.letter_fd);
    if (e == ERR_OK && ack) {
        struct claim_outcome confirmed;
        r.verb = CLAIM_ACK;
        memcpy(r.digest, got.digest, sizeof r.digest);
        e = claim_wait(o->client, &r, &confirmed);
        if (e == ERR_OK)
            e = confirmed.err;
        /* The letter is here: a confirmation that fails only leaves the sender's site in doubt. */
        if (e != ERR_OK)
            fprintf(stderr, "restante-open: the letter is written, but not confirmed: %s\n", err_text(e));
        e = ERR_OK;
    }
    secret_wipe(&r, sizeof r);
    return e == ERR_OK ? EX_OK : complain(e, "writing the letter");
}

static int open_stub(const char *config, bool ack)
{
    struct opening o = {.settings = NULL};
    struct buf message, why;
    const char *spool = getenv("TMPDIR");
    int rc;
    buf_init_secret(&message, MESSAGE_MAX);
    buf_init(&why, 1000);
    enum err e = settings_load(config, &o.settings, &why);
    if (e != ERR_OK) {
        fprintf(stderr, "restante-open: %s\n", buf_cstr(&why));
        rc = EX_CONFIG;
        goto out;
    }
    e = read_message(&message);
    if (e == ERR_OK)
        e = read_stub(&o, buf_span(&message), &why);
    if (e != ERR_OK) {
        rc = complain(e, why.len > 0 ? buf_cstr(&why) : "the stub");
        goto out;
    }
    e = set_up(&o, spool && *spool ? spool : "/tmp");
    if (e == ERR_OK)
        e = designated(&o);
    rc = e == ERR_OK ? call(&o, ack) : complain(e, o.url.host);
out:
    claim_client_free(o.client);
    trust_free(o.trust);
    resolver_free(o.resolver);
    free(o.special);
    stub_wipe(&o.stub);
    settings_free(o.settings);
    buf_free(&message);
    buf_free(&why);
    return rc;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"no-ack", no_argument, NULL, 'n'},
                                            {"kill-points", no_argument, NULL, 'k'},
                                            {"version", no_argument, NULL, 'V'},
                                            {NULL, 0, NULL, 0}};
    /* Without a configuration the defaults do: the system's resolver and certificates. */
    const char *config = access(SETTINGS_DEFAULT_FILE, R_OK) == 0 ? SETTINGS_DEFAULT_FILE : "/dev/null";
    bool ack = true;
    int option;
    log_open("restante-open", LOG_LEVEL_WARNING);
    while ((option = getopt_long(argc, argv, "c:V", options, NULL)) != -1) {
        switch (option) {
        case 'c':
            config = optarg;
            break;
        case 'n':
            ack = false;
            break;
        case 'k':
            kill_points_print(stdout);
            return EX_OK;
        case 'V':
            puts("restante-open " RESTANTE_VERSION);
            return EX_OK;
        default:
            fputs(usage_text, stderr);
            return EX_USAGE;
        }
    }
    if (optind != argc) {
        fputs(usage_text, stderr);
        return EX_USAGE;
    }
    (void)secret_forbid_cores();
    return open_stub(config, ack);
}
