/*
 * settings.h - every parameter of restante.conf, for all programs. settings.c has the one row that declares
 * each.
 *
 * Loaded once into an immutable struct; read by any thread.
 */
#ifndef SETTINGS_SETTINGS_H
#define SETTINGS_SETTINGS_H

#include "base/config.h"
#include "base/log.h"

#define SETTINGS_DEFAULT_FILE RESTANTE_SYSCONFDIR "/restante/restante.conf"

#define SETTINGS_RENOTIFY_MAX 20

enum settings_revocation { SETTINGS_REVOCATION_HARD, SETTINGS_REVOCATION_SOFT };

enum settings_program { SETTINGS_MILTER = 1, SETTINGS_FETCHD = 2, SETTINGS_CTL = 4, SETTINGS_OPEN = 8 };

struct settings {
    int64_t config_version;
    /* the site */
    char *myhostname; /* never empty after settings_load: the host's own name */
    struct config_list local_domains;
    struct config_list
        submission_networks; /* netprefix_parse takes every item, here and in the others of networks */
    char *domains_file;
    char *authserv_id; /* never empty after settings_load: myhostname */
    /* places */
    char *local_socket_directory; /* deposit.sock, admin.sock */
    char *milter_socket;          /* libmilter form: unix:/path or inet:port@host */
    char *data_directory;         /* db/, payload/, spool/ */
    char *site_keys_file;         /* a path, or credential:NAME */
    int64_t site_key_lifetime_s;  /* 0: for ever */
    char *user;                   /* fetchd drops to it; "" stays */
    int log_level;                /* enum log_level */
    /* serving */
    struct config_list listen_https; /* each netaddr_split_host_port with port 443 */
    char *link_host;                 /* host[:port] put into stubs */
    char *tls_certificate_file, *tls_key_file;
    struct config_list proxy_protocol_from;
    struct config_list pickup_domains;
    int64_t https_connections_max, https_connections_address_max;
    int64_t wrong_keys_max; /* wrong Ka or B an address and minute before 429 */
    /* calling */
    char *tls_ca_file;
    char *pull_bind_address;
    char *client_certificate_file, *client_key_file;
    struct config_list trusted_proxies;
    struct config_list allow_special_ranges;
    int64_t pulls_max, pulls_host_max;
    int64_t pull_connect_timeout_s, pull_answer_timeout_s, pull_total_timeout_s;
    int64_t pull_rate_min_bytes_s;
    int64_t pull_disk_reserve_bytes;
    int64_t retry_min_s, retry_max_s; /* back-off of pulls and acks */
    /* certificates */
    int revocation; /* enum settings_revocation */
    int64_t tls_short_lifetime_s;
    int64_t crl_timeout_s;
    int64_t crl_max_bytes, crl_cache_bytes;
    /* DNS */
    char *resolver; /* address[:port]; "": the first of /etc/resolv.conf */
    int64_t dns_cache_max;
    int64_t notice_dns_timeout_s;
    /* admission */
    int mode;          /* 0 observe, 1 enforce */
    int admission;     /* 0 open, 1 known, 2 challenge */
    int legacy;        /* 0 accept, 1 attempt, 2 reject */
    bool legacy_asked; /* of the milter */
    int denial;        /* 0 silent, 1 told */
    bool correspondents;
    int64_t correspondents_keep_s;
    char *recipient_delimiter;
    bool require_mx, require_spf, require_reverse_dns;
    struct config_list trusted_relays;
    int64_t first_seen_min_s;
    char *rdap_url; /* ends with "/"; "": not asked */
    int64_t registered_min_s;
    int64_t attempts_max, attempts_keep_s, held_look_s;
    int64_t attempts_size_bytes, attempts_size_all_bytes; /* 0: any amount */
    bool attempts_text;
    int64_t rate_client, rate_domain, rate_organisation, rate_host; /* stubs a minute; 0: no limit */
    int64_t challenge_work, challenge_work_max;                     /* ALTCHA's maxnumber */
    int64_t challenge_life_s;
    int64_t challenge_period_s; /* sender's side */
    char *system_users_domain;
    /* the MTA */
    char *letters_in; /* host:port */
    char *stubs_out;
    int64_t injections_max;
    /* letters and tickets */
    int64_t letter_max_bytes;
    int64_t payload_record_max_bytes; /* larger sealed payloads are files */
    int64_t retention_s;              /* a ticket's life; never above max_retention_s */
    int64_t tombstone_s;              /* what is known after its end, 30 d */
    int64_t max_retention_s, min_retention_s, held_fresh_s, delay_warning_s;
    struct config_list renotify_schedule; /* as text; read below */
    size_t renotify_count;
    int64_t renotify_s[SETTINGS_RENOTIFY_MAX]; /* ascending, from 1 */
    struct config_list confirm_domains, retract_forbidden, replace_forbidden;
    char *journal;
    int64_t quota_sender_bytes, quota_sender_letters, quota_domain_bytes, quota_domain_letters,
        quota_reserve_percent;
    char *handover_journal;
    int64_t lease_s, lease_total_s;
    int64_t lease_bodies_max;
    bool stub_subject;
    int64_t outbox_retry_min_s, outbox_retry_max_s;
    int64_t disk_floor_percent;
    /* machinery */
    int64_t http_threads; /* never 0 after settings_load: one a core */
    int64_t work_threads, lookup_threads;
    int64_t store_cache_bytes;
    /* milter */
    int64_t milter_timeout_s;

    char *file;      /* that was read */
    unsigned *lines; /* where each row stands in it; 0: nowhere */
};

extern const struct config_row settings_rows[];
extern const size_t settings_row_count;

/* config_load with the rows above, and checks of what a row cannot say: networks, host:port, minimum below
 * maximum. path NULL: SETTINGS_DEFAULT_FILE. *why as in config_load. */
enum err settings_load(const char *path, struct settings **out, struct buf *why);
void settings_free(struct settings *s);
/* "file:line: name", for a message about what the value of a parameter leads to; line 0: its default. */
void settings_place(const struct settings *s, const char *name, struct buf *out);
/* "name = value" of all rows that a program uses. */
void settings_print(FILE *out, const struct settings *s, enum settings_program program);

#endif
