#include "settings/settings.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/netaddr.h"

#define CONFIG_DIRECTORY RESTANTE_SYSCONFDIR "/restante"

#define M SETTINGS_MILTER
#define F SETTINGS_FETCHD
#define C SETTINGS_CTL
#define O SETTINGS_OPEN
#define ALL (M | F | C | O)

#define AT(name) offsetof(struct settings, name)
#define NONE NULL, ""
#define KB ((int64_t)1024)
#define MB ((int64_t)1048576)
#define MINUTE ((int64_t)60)
#define HOUR ((int64_t)3600)
#define DAY ((int64_t)86400)
#define PATH_BYTES 1000
#define SCHEDULE_MAX_S (400 * DAY)

/* clang-format off */
const struct config_row settings_rows[] = {
    /* the site */
    {"config_version", CONFIG_NUMBER, AT(config_version), "1", 1, 1, NONE,
     "The version of the meaning of this file. This release knows version 1 alone.", ALL},
    {"myhostname", CONFIG_TEXT, AT(myhostname), "", 0, 253, NONE,
     "The name by which this host calls itself: in EHLO, in Received fields, and in the Message-ID of stubs and reports. "
     "Empty: the host name that the system has.", ALL},
    {"local_domains", CONFIG_LIST, AT(local_domains), "", 0, 10000, NULL, "domains",
     "All mail domains that this site hosts, enabled or not. Letters among them never become stubs, and only their "
     "mailboxes take stubs.", F},
    {"submission_networks", CONFIG_LIST, AT(submission_networks), "127.0.0.0/8, ::1/128", 0, 1000, NULL, "networks",
     "Clients in these networks count as local submission, as clients that have authenticated do. Letters from anybody else "
     "are never deposited.", M | F},
    {"domains_file", CONFIG_TEXT, AT(domains_file), CONFIG_DIRECTORY "/domains", 0, PATH_BYTES, NONE,
     "The administrator's table of recipients, see below. A missing file is an empty table.", F},
    {"authserv_id", CONFIG_TEXT, AT(authserv_id), "", 0, 253, NONE,
     "The name under which this site writes Authentication-Results; fields that came with this name are removed from letters "
     "that were called for. Empty: the value of myhostname.", F},
    {"log_level", CONFIG_CHOICE, AT(log_level), "info", 0, 0, "error warning info debug", "",
     "The least grave kind of line that is logged.", ALL},
    /* places */
    {"local_socket_directory", CONFIG_TEXT, AT(local_socket_directory), "/run/restante", 1, 90, NONE,
     "Where restante-fetchd has its two local sockets, deposit.sock and admin.sock.", M | F | C},
    {"milter_socket", CONFIG_TEXT, AT(milter_socket), "unix:/var/spool/postfix/restante/milter.sock", 1, 110, NONE,
     "Where restante-milter listens for the MTA: unix:/path, or inet:port@address.", M},
    {"data_directory", CONFIG_TEXT, AT(data_directory), "/var/lib/restante", 1, PATH_BYTES, NONE,
     "The store: sealed letters, tickets, jobs. It must lie on a local file system that knows O_TMPFILE (ext4, XFS, btrfs) "
     "and have room for the letters of the retention time.", F},
    {"site_keys_file", CONFIG_TEXT, AT(site_keys_file), CONFIG_DIRECTORY "/site.keys", 1, PATH_BYTES, NONE,
     "The site keys, readable by restante-fetchd alone. Without them neither the store nor a backup of it opens any letter; "
     "keep a copy in another place than the backups of the store. credential:NAME takes them from the credential NAME that "
     "systemd gives restante-fetchd (LoadCredential=).", F | C},
    {"site_key_lifetime", CONFIG_DURATION, AT(site_key_lifetime_s), "30d", 0, 3650 * DAY, NONE,
     "The age at which restantectl key rotate --due, which a timer runs every day, puts a new site key in the place of the "
     "current one. 0: never.", C},
    {"user", CONFIG_TEXT, AT(user), "restante", 0, 32, NONE,
     "The user to whom restante-fetchd changes when it was started as root. Empty: it stays root. Started by anybody else, it "
     "stays who it is.", F},
    /* serving */
    {"listen_https", CONFIG_LIST, AT(listen_https), ":443", 0, 32, NULL, "addresses, each address:port, [address]:port or :port",
     "Where restante-fetchd serves payloads. An empty list: nowhere, so that this site only receives.", F},
    {"link_host", CONFIG_TEXT, AT(link_host), "", 0, 260, NONE,
     "The HTTPS host that is written into stubs, as host or host:port. It must be one of those that the domain's DNS record "
     "designates (h=), and its certificate must bear this name. Empty: the value of myhostname.", F},
    {"tls_certificate_file", CONFIG_TEXT, AT(tls_certificate_file), CONFIG_DIRECTORY "/tls.crt", 1, PATH_BYTES, NONE,
     "The certificate of the link host with its chain, in PEM. It is read again on SIGHUP.", F},
    {"tls_key_file", CONFIG_TEXT, AT(tls_key_file), CONFIG_DIRECTORY "/tls.key", 1, PATH_BYTES, NONE,
     "The private key of that certificate, in PEM.", F},
    {"proxy_protocol_from", CONFIG_LIST, AT(proxy_protocol_from), "", 0, 1000, NULL, "networks",
     "Connections from these networks must begin with a PROXY protocol header, and come from the address that it names.", F},
    {"pickup_domains", CONFIG_LIST, AT(pickup_domains), "", 0, 10000, NULL, "domains",
     "For recipients in these domains the key in the stub alone opens the letter, from any address: for people whose server "
     "does not pull.", F},
    {"https_connections_max", CONFIG_NUMBER, AT(https_connections_max), "4096", 1, 1000000, NONE,
     "How many HTTPS connections are open at once; more are closed at once.", F},
    {"https_connections_address_max", CONFIG_NUMBER, AT(https_connections_address_max), "64", 1, 1000000, NONE,
     "The same for one client address.", F},
    {"wrong_keys_max", CONFIG_NUMBER, AT(wrong_keys_max), "20", 1, 1000000, NONE,
     "How many requests with a wrong address or key one client may make in a minute; after them it gets 429.", F},
    /* calling */
    {"tls_ca_file", CONFIG_TEXT, AT(tls_ca_file), "", 0, PATH_BYTES, NONE,
     "The certificate authorities that link hosts of other sites are trusted by, in PEM. Empty: those of the system.", F | O},
    {"pull_bind_address", CONFIG_TEXT, AT(pull_bind_address), "", 0, 45, NONE,
     "The local address from which letters are called for: it must be one that the recipient's domain designates (an MX host, "
     "a link host, or p=). Empty: what the system chooses.", F | O},
    {"client_certificate_file", CONFIG_TEXT, AT(client_certificate_file), "", 0, PATH_BYTES, NONE,
     "A certificate to show to link hosts, in PEM, for sites whose pulls come from an address that is not designated. "
     "Empty: none.", F | O},
    {"client_key_file", CONFIG_TEXT, AT(client_key_file), "", 0, PATH_BYTES, NONE,
     "The private key of client_certificate_file, in PEM.", F | O},
    {"trusted_proxies", CONFIG_LIST, AT(trusted_proxies), "", 0, 1000, NULL, "host names",
     "Link hosts outside the sender's domain are called only if they are listed here.", F | O},
    {"allow_special_ranges", CONFIG_LIST, AT(allow_special_ranges), "", 0, 100, NULL, "networks",
     "Link hosts may have addresses in these special-purpose networks, such as 10.0.0.0/8, which are never called otherwise. "
     "For test networks only.", F | O},
    {"pulls_max", CONFIG_NUMBER, AT(pulls_max), "256", 1, 10000, NONE,
     "How many letters are called for at once.", F},
    {"pulls_host_max", CONFIG_NUMBER, AT(pulls_host_max), "16", 1, 10000, NONE,
     "The same for all link hosts of one organisation (registered domain).", F},
    {"pull_connect_timeout", CONFIG_DURATION, AT(pull_connect_timeout_s), "10s", 1, 10 * MINUTE, NONE,
     "How long a connection to a link host, with its TLS handshake, may take.", F},
    {"pull_answer_timeout", CONFIG_DURATION, AT(pull_answer_timeout_s), "30s", 1, 10 * MINUTE, NONE,
     "How long a link host may think before it answers.", F},
    {"pull_total_timeout", CONFIG_DURATION, AT(pull_total_timeout_s), "1h", 1, DAY, NONE,
     "How long one letter may take to arrive.", F},
    {"pull_rate_min", CONFIG_SIZE, AT(pull_rate_min_bytes_s), "1k", 0, 100 * MB, NULL, "bytes a second",
     "A link host that sends more slowly than this for a while is cut off.", F | O},
    {"pull_disk_reserve", CONFIG_SIZE, AT(pull_disk_reserve_bytes), "64m", 0, (int64_t)1 << 50, NULL, "bytes",
     "So much of the file system of data_directory stays free when letters are called for. One for which there is no room stays "
     "at its sender's, and is called for when there is.", F},
    {"retry_min", CONFIG_DURATION, AT(retry_min_s), "1m", 1, DAY, NONE,
     "How long a call that failed for now waits before the second try; each further wait is longer.", F},
    {"retry_max", CONFIG_DURATION, AT(retry_max_s), "4h", 1, 7 * DAY, NONE,
     "The longest such wait.", F},
    /* certificates */
    {"revocation", CONFIG_CHOICE, AT(revocation), "hard", 0, 0, "hard soft", "",
     "What becomes of a certificate of which nobody can tell whether it is revoked: no OCSP answer came with it, and the CRL "
     "that it names is not to be had. hard: for now it is not trusted. soft: it is, with a line in the log.", F | O},
    {"tls_short_lifetime", CONFIG_DURATION, AT(tls_short_lifetime_s), "7d", 0, 30 * DAY, NONE,
     "Certificates that live no longer than this need not be asked for: they end sooner than word of a revocation spreads.", F | O},
    {"crl_timeout", CONFIG_DURATION, AT(crl_timeout_s), "10s", 1, MINUTE, NONE,
     "How long one CRL (list of revoked certificates) may take to arrive.", F | O},
    {"crl_max", CONFIG_SIZE, AT(crl_max_bytes), "16m", 10 * KB, 256 * MB, NULL, "bytes",
     "The largest CRL that is read.", F | O},
    {"crl_cache", CONFIG_SIZE, AT(crl_cache_bytes), "64m", 0, 4096 * MB, NULL, "bytes",
     "How much of CRLs is remembered, each until its nextUpdate.", F | O},
    /* DNS */
    {"resolver", CONFIG_TEXT, AT(resolver), "", 0, 64, NONE,
     "The validating resolver of this site, as address or address:port. Empty: the first nameserver of /etc/resolv.conf. "
     "It must be trusted: its word on DNSSEC is taken.", F | O},
    {"dns_cache_max", CONFIG_NUMBER, AT(dns_cache_max), "10000", 100, 10000000, NULL, "answers",
     "How many DNS answers are remembered, in as many KB of memory.", F},
    {"notice_dns_timeout", CONFIG_DURATION, AT(notice_dns_timeout_s), "5s", 1, MINUTE, NONE,
     "How long an arriving stub may wait for DNS answers before its sender is asked to come again later.", F},
    /* admission */
    {"mode", CONFIG_CHOICE, AT(mode), "enforce", 0, 0, "observe enforce", "",
     "In observe mode nothing is refused, denied or kept waiting: what would have been done is logged. restantectl policy sets it "
     "for one domain.", F},
    {"admission", CONFIG_CHOICE, AT(admission), "open", 0, 0, "open known challenge", "",
     "How mailboxes treat verified senders whom they do not know: take their letters, let them wait as contact attempts, or let "
     "them wait and ask them to prove themselves. restantectl policy sets it for a domain or a mailbox. postmaster and abuse are "
     "always open.", F},
    {"legacy", CONFIG_CHOICE, AT(legacy), "accept", 0, 0, "accept attempt reject", "",
     "What becomes of mail without a stub from senders whom the mailbox does not know: taken, kept as a contact attempt, or "
     "refused. restantectl policy sets it for a domain or a mailbox.", F},
    {"legacy_asked", CONFIG_FLAG, AT(legacy_asked), "yes", 0, 0, NONE,
     "Whether mail without a stub into enabled domains is shown to restante-fetchd at all. With no, it passes untouched, and deny "
     "lists, tokens and legacy rules mean nothing to it.", M},
    {"denial", CONFIG_CHOICE, AT(denial), "silent", 0, 0, "silent told", "",
     "Whether a denied sender is told so. restantectl policy sets it for a domain or a mailbox.", F},
    {"correspondents", CONFIG_FLAG, AT(correspondents), "yes", 0, 0, NONE,
     "Whether those whom somebody of this site wrote to may write back to him. restantectl policy sets it for a domain or a "
     "mailbox.", F},
    {"correspondents_keep", CONFIG_DURATION, AT(correspondents_keep_s), "365d", DAY, 3650 * DAY, NONE,
     "How long they may, counted from the last letter to them.", F},
    {"recipient_delimiter", CONFIG_TEXT, AT(recipient_delimiter), "+", 0, 8, NONE,
     "The characters that separate a mailbox from a token or another detail, as recipient_delimiter of Postfix. Empty: none.", F},
    {"require_mx", CONFIG_FLAG, AT(require_mx), "yes", 0, 0, NONE,
     "Whether a sender's domain must have an MX record.", F},
    {"require_spf", CONFIG_FLAG, AT(require_spf), "yes", 0, 0, NONE,
     "Whether SPF of the sender's domain must permit the client. Without this and without trusted relays, nothing but the link "
     "host's designation proves a sender's domain.", F},
    {"require_reverse_dns", CONFIG_FLAG, AT(require_reverse_dns), "yes", 0, 0, NONE,
     "Whether the client's address must have a name in DNS that has this address.", F},
    {"trusted_relays", CONFIG_LIST, AT(trusted_relays), "", 0, 1000, NULL, "networks",
     "Backup MX hosts and filtering services through which mail reaches this site: mail from them is judged by the address "
     "from which they got it.", F},
    {"first_seen_min", CONFIG_DURATION, AT(first_seen_min_s), "0", 0, 400 * DAY, NONE,
     "Letters of an organisation whose first verified stub came less than this ago wait as contact attempts. 0: this is not "
     "asked.", F},
    {"rdap_url", CONFIG_TEXT, AT(rdap_url), "", 0, 500, NONE,
     "The RDAP service (RFC 9083) that is asked when a sender's domain was registered, as https://rdap.example/ with its final "
     "slash. Empty: this is not asked.", F},
    {"registered_min", CONFIG_DURATION, AT(registered_min_s), "30d", 0, 400 * DAY, NONE,
     "Letters of a domain that was registered less than this ago wait as contact attempts, where rdap_url is set.", F},
    {"attempts_max", CONFIG_NUMBER, AT(attempts_max), "500", 1, 100000, NULL, "senders",
     "How many senders of contact attempts a mailbox remembers; a new one takes the place of the one heard of longest ago; "
     "of an organisation that has a quarter of attempts_max (or 1000), of one of its own.", F},
    {"attempts_keep", CONFIG_DURATION, AT(attempts_keep_s), "30d", HOUR, 400 * DAY, NONE,
     "How long ordinary mail that is kept as a contact attempt waits before it is deleted.", F},
    {"attempts_size", CONFIG_SIZE, AT(attempts_size_bytes), "100m", 0, (int64_t)1 << 50, NULL, "bytes",
     "How much of such mail may lie here for one mailbox; who sends more is asked to come again later. Of it, one organisation, "
     "or one client network where nothing is proven, may have a quarter, and all of which nothing is proven a half; what is "
     "larger than a quarter by itself is refused. 0: any amount.", F},
    {"attempts_size_all", CONFIG_SIZE, AT(attempts_size_all_bytes), "5g", 0, (int64_t)1 << 50, NULL, "bytes",
     "The same for all mailboxes together, with the same shares.", F},
    {"held_look", CONFIG_DURATION, AT(held_look_s), "1d", 0, 400 * DAY, NONE,
     "How often the sender's site is asked, about, whether a letter that waits for its recipient's word is still there and the "
     "same, and told again that it waits. 0: only when its stub comes again.", F},
    {"attempts_text", CONFIG_FLAG, AT(attempts_text), "no", 0, 0, NONE,
     "Whether contact attempts show the display name and the Subject, which their senders chose.", F},
    {"rate_client", CONFIG_NUMBER, AT(rate_client), "1200", 0, 10000000, NULL, "stubs a minute",
     "How many stubs a client network (/24, /48) may send, and messages that are kept as contact attempts. 0: any number.", F},
    {"rate_domain", CONFIG_NUMBER, AT(rate_domain), "3000", 0, 10000000, NULL, "stubs a minute",
     "The same for a sender's domain, of stubs and of messages each.", F},
    {"rate_organisation", CONFIG_NUMBER, AT(rate_organisation), "6000", 0, 10000000, NULL, "stubs a minute",
     "The same for all domains of one organisation, of stubs and of messages each.", F},
    {"rate_host", CONFIG_NUMBER, AT(rate_host), "6000", 0, 10000000, NULL, "stubs a minute",
     "The same for a link host.", F},
    {"challenge_work", CONFIG_NUMBER, AT(challenge_work), "100000", 1, 1000000000, NULL, "hashes",
     "How many hashes, at most, a stranger's browser computes to answer a challenge; on average it is half of them. The number "
     "doubles with each few challenges that his organisation or its link host had lately.", F},
    {"challenge_work_max", CONFIG_NUMBER, AT(challenge_work_max), "3200000", 1, 1000000000, NULL, "hashes",
     "The most that it grows to.", F},
    {"challenge_life", CONFIG_DURATION, AT(challenge_life_s), "1h", MINUTE, DAY, NONE,
     "How long a challenge that was begun may take to be answered.", F},
    {"challenge_period", CONFIG_DURATION, AT(challenge_period_s), "7d", HOUR, 400 * DAY, NONE,
     "How long after telling one of this site's senders of a recipient's challenge he is not told of it again.", F},
    {"system_users_domain", CONFIG_TEXT, AT(system_users_domain), "", 0, 253, NONE,
     "The domain whose mailboxes are this system's users: user bob may see and change what concerns bob@DOMAIN with restantectl. "
     "Empty: root alone may.", F},
    /* the MTA */
    {"letters_in", CONFIG_TEXT, AT(letters_in), "127.0.0.1:10025", 1, 110, NONE,
     "The listener of the MTA that takes the letters called for, and notifications to this site's own senders, as address:port "
     "or unix:/path.", F},
    {"stubs_out", CONFIG_TEXT, AT(stubs_out), "127.0.0.1:10026", 1, 110, NONE,
     "The listener of the MTA that takes stubs, as address:port or unix:/path.", F},
    {"injections_max", CONFIG_NUMBER, AT(injections_max), "20", 1, 1000, NONE,
     "How many SMTP connections to each of these listeners are open at once.", F},
    /* letters and tickets */
    {"letter_max", CONFIG_SIZE, AT(letter_max_bytes), "100m", 10 * KB, (int64_t)1 << 40, NULL, "bytes",
     "The largest letter that is deposited or called for. At least message_size_limit of the MTA.", F | O},
    {"payload_record_max", CONFIG_SIZE, AT(payload_record_max_bytes), "32560", 0, 128 * KB, NULL, "bytes",
     "Sealed letters up to this size lie in the database, larger ones in files beside it.", F},
    {"retention", CONFIG_DURATION, AT(retention_s), "30d", MINUTE, 400 * DAY, NONE,
     "How long a letter waits to be called for.", F},
    {"max_retention", CONFIG_DURATION, AT(max_retention_s), "30d", MINUTE, 400 * DAY, NONE,
     "The longest that a letter may wait: an upper bound of retention, and of what a letter asks for itself in its header field "
     "Restante-Retention (a duration such as 12h or 7d). Where only retention is set and is longer, it is as long as that.", F},
    {"min_retention", CONFIG_DURATION, AT(min_retention_s), "1h", MINUTE, 400 * DAY, NONE,
     "The shortest that a letter may ask for itself.", F},
    {"renotify_schedule", CONFIG_LIST, AT(renotify_schedule), "1h 4h 1d 3d 7d", 0, SETTINGS_RENOTIFY_MAX, NULL,
     "durations, each longer than the one before",
     "When the other side is told again of a letter that nobody called for or confirmed, counted from its deposit; after the last "
     "time, again and again at that interval. Empty: never.", F},
    {"held_fresh", CONFIG_DURATION, AT(held_fresh_s), "7d", 0, 400 * DAY, NONE,
     "How long after the other side said that a letter waits there for its recipient's word it is not told of it again.", F},
    {"delay_warning", CONFIG_DURATION, AT(delay_warning_s), "4h", 0, 400 * DAY, NONE,
     "When the sender of a letter that nobody has called for is warned, once, unless his NOTIFY forbids it. 0: never.", F},
    {"confirm_domains", CONFIG_LIST, AT(confirm_domains), "", 0, 10000, NULL, "domains",
     "Senders in these domains get a confirmation of delivery for letters with which they did not say what they want to be "
     "notified of (NOTIFY).", F},
    {"journal", CONFIG_TEXT, AT(journal), "", 0, 320, NONE,
     "The address of an archive that gets a complete copy of each letter, under fields with its envelope, before its stubs go "
     "out. Empty: none.", F},
    {"retract_forbidden", CONFIG_LIST, AT(retract_forbidden), "", 0, 10000, NULL, "domains, or *",
     "Senders in these domains cannot take their letters back.", F},
    {"replace_forbidden", CONFIG_LIST, AT(replace_forbidden), "", 0, 10000, NULL, "domains, or *",
     "Senders in these domains cannot replace their letters.", F},
    {"quota_sender", CONFIG_SIZE, AT(quota_sender_bytes), "0", 0, (int64_t)1 << 50, NULL, "bytes",
     "How much may lie here of one sender's letters, each counted once however many recipients it has. 0: any amount.", F},
    {"quota_sender_letters", CONFIG_NUMBER, AT(quota_sender_letters), "0", 0, 1000000000, NULL, "letters",
     "How many of them. 0: any number.", F},
    {"quota_domain", CONFIG_SIZE, AT(quota_domain_bytes), "0", 0, (int64_t)1 << 50, NULL, "bytes",
     "The same for all senders of a domain.", F},
    {"quota_domain_letters", CONFIG_NUMBER, AT(quota_domain_letters), "0", 0, 1000000000, NULL, "letters",
     "The same for all senders of a domain.", F},
    {"quota_reserve_percent", CONFIG_NUMBER, AT(quota_reserve_percent), "10", 0, 100, NULL, "percent",
     "How much more than the quota is free for system mail: that of root, postmaster and the daemons of this host.", F},
    {"handover_journal", CONFIG_TEXT, AT(handover_journal), "", 0, PATH_BYTES, NONE,
     "The directory of the journal of what was handed over, confirmed, retracted or sent plain, which a restore reads so that "
     "nothing of it is served again; best on another disk than the store. Empty: handover in data_directory. none: no journal.", F},
    {"tombstone", CONFIG_DURATION, AT(tombstone_s), "30d", MINUTE, 400 * DAY, NONE,
     "How long a ticket is remembered after its end; longer while its sender is still to be told of it.", F},
    {"lease", CONFIG_DURATION, AT(lease_s), "5m", 1, HOUR, NONE,
     "How long a letter that was called for stays reserved after its last byte was sent.", F},
    {"lease_total", CONFIG_DURATION, AT(lease_total_s), "1h", 1, DAY, NONE,
     "How long one such reservation can be in all.", F},
    {"lease_bodies_max", CONFIG_NUMBER, AT(lease_bodies_max), "50", 1, 1000, NONE,
     "How many times one letter is sent before its ticket is no longer served.", F},
    {"stub_subject", CONFIG_FLAG, AT(stub_subject), "no", 0, 0, NONE,
     "Whether stubs bear the Subject of their letters, in clear.", F},
    {"outbox_retry_min", CONFIG_DURATION, AT(outbox_retry_min_s), "1m", 1, DAY, NONE,
     "How long a stub or notification that the MTA refused for now waits before the second try.", F},
    {"outbox_retry_max", CONFIG_DURATION, AT(outbox_retry_max_s), "4h", 1, 7 * DAY, NONE,
     "The longest such wait.", F},
    {"disk_floor_percent", CONFIG_NUMBER, AT(disk_floor_percent), "5", 0, 90, NULL, "percent",
     "With less than this of the store's file system free, letters go by plain SMTP, and those that may not are refused "
     "for now.", F},
    /* machinery */
    {"http_threads", CONFIG_NUMBER, AT(http_threads), "0", 0, 64, NONE,
     "Threads that serve connections. 0: one for each processor.", F},
    {"work_threads", CONFIG_NUMBER, AT(work_threads), "16", 1, 256, NONE,
     "Threads that wait for the store: so many for this site's own mail, and as many for pullers.", F},
    {"lookup_threads", CONFIG_NUMBER, AT(lookup_threads), "32", 1, 256, NONE,
     "Threads on which this site's own work waits for DNS answers. Arriving stubs have their own.", F},
    {"store_cache", CONFIG_SIZE, AT(store_cache_bytes), "32m", MB, 65536 * MB, NULL, "bytes",
     "The memory for the database's pages.", F},
    /* milter */
    {"milter_timeout", CONFIG_DURATION, AT(milter_timeout_s), "25s", 1, HOUR, NONE,
     "How long restante-milter waits for an answer of restante-fetchd before it asks the client to come again later. Keep it "
     "below milter_command_timeout (30s) of Postfix.", M},
};
/* clang-format on */
const size_t settings_row_count = sizeof settings_rows / sizeof settings_rows[0];

/* --- what one row alone cannot say */

struct check {
    const char *file;
    const unsigned *lines;
    struct buf *why;
};

/* 0: not in the file. */
static unsigned line_of(const unsigned *lines, const char *name)
{
    for (size_t i = 0; i < settings_row_count; i++)
        if (strcmp(settings_rows[i].name, name) == 0)
            return lines[i];
    return 0;
}

static enum err complain(const struct check *c, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static enum err complain(const struct check *c, const char *name, const char *format, ...)
{
    char text[300];
    va_list ap;
    va_start(ap, format);
    (void)vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    buf_clear(c->why);
    (void)buf_printf(c->why, "%s:%u: %s: %s", c->file, line_of(c->lines, name), name, text);
    return ERR_CONFIG;
}

static enum err check_networks(const struct check *c, const char *name, const struct config_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        struct netprefix p;
        if (netprefix_parse(span_of(list->item[i]), &p) != ERR_OK)
            return complain(c, name,
                            "\"%.60s\" is no network (address/bits, with no bit set behind the prefix)",
                            list->item[i]);
    }
    return ERR_OK;
}

/* Words that become part of mail and of DNS questions; the full check is where they are used. */
static enum err check_name(const struct check *c, const char *name, const char *text)
{
    if (strpbrk(text, "@/:\\\"<>()[];, ") != NULL || strlen(text) > 253)
        return complain(c, name, "\"%.60s\" is no name", text);
    return ERR_OK;
}

/* Its form alone: what local part a mailbox has is read where it is used. */
static enum err check_address(const struct check *c, const char *name, const char *text)
{
    const char *at = strrchr(text, '@');
    if (at == NULL || at == text || at[1] == '\0' || strpbrk(text, "<>, \t") != NULL)
        return complain(c, name, "\"%.60s\" is no address", text);
    return check_name(c, name, at + 1);
}

static enum err check_names(const struct check *c, const char *name, const struct config_list *list)
{
    enum err e = ERR_OK;
    for (size_t i = 0; e == ERR_OK && i < list->count; i++)
        e = check_name(c, name, list->item[i]);
    return e;
}

/* default_port 0: the port must be there. numeric: the host must be an address, or empty if any is true. */
static enum err check_host_port(const struct check *c, const char *name, const char *text,
                                uint16_t default_port, bool numeric, bool any)
{
    char *host = NULL;
    uint16_t port;
    struct netaddr address;
    enum err e = netaddr_split_host_port(span_of(text), default_port, &host, &port);
    if (e == ERR_SYNTAX)
        return complain(c, name, "\"%.60s\" is not %s%s", text, numeric ? "address" : "host",
                        default_port == 0 ? ":port" : " or with :port");
    if (e != ERR_OK)
        return e;
    if (host[0] == '\0' && !any)
        e = complain(c, name, "\"%.60s\" has no host", text);
    else if (host[0] != '\0' && numeric && netaddr_parse(span_of(host), &address) != ERR_OK)
        e = complain(c, name, "\"%.60s\" is no IP address", host);
    free(host);
    return e;
}

static enum err check_listener(const struct check *c, const char *name, const char *text)
{
    if (strncmp(text, "unix:", 5) == 0)
        return text[5] == '/' ? ERR_OK : complain(c, name, "\"%.60s\": expected unix:/path", text);
    return check_host_port(c, name, text, 0, true, false);
}

static enum err check_milter_socket(const struct check *c, const char *text)
{
    bool local = strncmp(text, "unix:/", 6) == 0 || strncmp(text, "local:/", 7) == 0;
    bool net = strncmp(text, "inet:", 5) == 0 || strncmp(text, "inet6:", 6) == 0;
    return local || net
               ? ERR_OK
               : complain(c, "milter_socket", "\"%.60s\": expected unix:/path or inet:port@address", text);
}

static enum err check_order(const struct check *c, const char *low_name, int64_t low, const char *high_name,
                            int64_t high)
{
    if (low <= high)
        return ERR_OK;
    return line_of(c->lines, high_name) != 0
               ? complain(c, high_name, "must not be smaller than %s", low_name)
               : complain(c, low_name, "must not be greater than %s", high_name);
}

static enum err check_absolute(const struct check *c, const char *name, const char *path)
{
    return path[0] == '\0' || path[0] == '/' ? ERR_OK
                                             : complain(c, name, "\"%.60s\" is not an absolute path", path);
}

static enum err check_site_keys(const struct check *c, const char *path)
{
    static const char credential[] = "credential:";
    const char *name = path + sizeof credential - 1;

    if (strncmp(path, credential, sizeof credential - 1) != 0)
        return check_absolute(c, "site_keys_file", path);
    return name[0] != '\0' && name[0] != '.' && strchr(name, '/') == NULL
               ? ERR_OK
               : complain(c, "site_keys_file", "\"%.60s\": expected credential:NAME", path);
}

static enum err check(const struct check *c, const struct settings *s)
{
    const struct {
        const char *name;
        const struct config_list *list;
    } networks[] = {{"submission_networks", &s->submission_networks},
                    {"proxy_protocol_from", &s->proxy_protocol_from},
                    {"allow_special_ranges", &s->allow_special_ranges},
                    {"trusted_relays", &s->trusted_relays}},
      names[] = {{"local_domains", &s->local_domains},         {"pickup_domains", &s->pickup_domains},
                 {"confirm_domains", &s->confirm_domains},     {"retract_forbidden", &s->retract_forbidden},
                 {"replace_forbidden", &s->replace_forbidden}, {"trusted_proxies", &s->trusted_proxies}};
    const struct {
        const char *name, *path;
    } paths[] = {{"domains_file", s->domains_file},
                 {"local_socket_directory", s->local_socket_directory},
                 {"data_directory", s->data_directory},
                 {"tls_certificate_file", s->tls_certificate_file},
                 {"tls_key_file", s->tls_key_file},
                 {"tls_ca_file", s->tls_ca_file},
                 {"client_certificate_file", s->client_certificate_file},
                 {"client_key_file", s->client_key_file}};
    const struct {
        const char *low_name;
        int64_t low;
        const char *high_name;
        int64_t high;
    } orders[] = {
        {"retry_min", s->retry_min_s, "retry_max", s->retry_max_s},
        {"outbox_retry_min", s->outbox_retry_min_s, "outbox_retry_max", s->outbox_retry_max_s},
        {"lease", s->lease_s, "lease_total", s->lease_total_s},
        {"challenge_work", s->challenge_work, "challenge_work_max", s->challenge_work_max},
        {"pulls_host_max", s->pulls_host_max, "pulls_max", s->pulls_max},
        {"https_connections_address_max", s->https_connections_address_max, "https_connections_max",
         s->https_connections_max},
        {"payload_record_max", s->payload_record_max_bytes, "letter_max", s->letter_max_bytes},
        {"min_retention", s->min_retention_s, "max_retention", s->max_retention_s},
    };
    enum err e = ERR_OK;
    for (size_t i = 0; e == ERR_OK && i < sizeof networks / sizeof networks[0]; i++)
        e = check_networks(c, networks[i].name, networks[i].list);
    for (size_t i = 0; e == ERR_OK && i < sizeof names / sizeof names[0]; i++)
        e = check_names(c, names[i].name, names[i].list);
    for (size_t i = 0; e == ERR_OK && i < sizeof paths / sizeof paths[0]; i++)
        e = check_absolute(c, paths[i].name, paths[i].path);
    if (e == ERR_OK)
        e = check_site_keys(c, s->site_keys_file);
    for (size_t i = 0; e == ERR_OK && i < sizeof orders / sizeof orders[0]; i++)
        e = check_order(c, orders[i].low_name, orders[i].low, orders[i].high_name, orders[i].high);
    for (size_t i = 0; e == ERR_OK && i < s->listen_https.count; i++)
        e = check_host_port(c, "listen_https", s->listen_https.item[i], 443, true, true);
    if (e == ERR_OK && s->link_host[0] != '\0')
        e = check_host_port(c, "link_host", s->link_host, 443, false, false);
    if (e == ERR_OK && s->resolver[0] != '\0')
        e = check_host_port(c, "resolver", s->resolver, 53, true, false);
    size_t rdap_len = strlen(s->rdap_url);
    if (e == ERR_OK && rdap_len > 0 &&
        (strncmp(s->rdap_url, "https://", 8) != 0 || rdap_len == 8 || s->rdap_url[8] == '/' ||
         s->rdap_url[rdap_len - 1] != '/' || strpbrk(s->rdap_url, " ?#@") != NULL))
        e = complain(c, "rdap_url", "\"%.60s\": expected https://host/ or https://host/path/", s->rdap_url);
    const char *delimiter = s->recipient_delimiter;
    if (e == ERR_OK && delimiter[strspn(delimiter, "!#$%&'*+-/=?^_`{|}~")] != '\0')
        e = complain(c, "recipient_delimiter",
                     "\"%.60s\": expected characters such as + or -, without blanks", delimiter);
    if (e == ERR_OK)
        e = check_name(c, "system_users_domain", s->system_users_domain);
    if (e == ERR_OK && s->journal[0] != '\0')
        e = check_address(c, "journal", s->journal);
    if (e == ERR_OK)
        e = check_listener(c, "letters_in", s->letters_in);
    if (e == ERR_OK)
        e = check_listener(c, "stubs_out", s->stubs_out);
    if (e == ERR_OK)
        e = check_milter_socket(c, s->milter_socket);
    struct netaddr bind_address;
    if (e == ERR_OK && s->pull_bind_address[0] != '\0' &&
        netaddr_parse(span_of(s->pull_bind_address), &bind_address) != ERR_OK)
        e = complain(c, "pull_bind_address", "\"%.60s\" is no IP address", s->pull_bind_address);
    if (e == ERR_OK && (s->client_certificate_file[0] == '\0') != (s->client_key_file[0] == '\0'))
        e = complain(c, s->client_key_file[0] == '\0' ? "client_certificate_file" : "client_key_file",
                     "client_certificate_file and client_key_file go together");
    return e;
}

static enum err replace(char **at, const char *text)
{
    char *copy = strdup(text);
    if (copy == NULL)
        return ERR_NOMEM;
    free(*at);
    *at = copy;
    return ERR_OK;
}

/* The list's text as seconds. */
static enum err read_schedule(const struct check *c, struct settings *s)
{
    const struct config_list *list = &s->renotify_schedule;
    int64_t before_s = 0;
    for (size_t i = 0; i < list->count; i++) {
        if (!config_duration(span_of(list->item[i]), &s->renotify_s[i]))
            return complain(c, "renotify_schedule",
                            "\"%.60s\" is not a time (a number of seconds, or with s, m, h, d or w)",
                            list->item[i]);
        if (s->renotify_s[i] <= before_s)
            return complain(c, "renotify_schedule", "%.60s is not longer than what stands before it",
                            list->item[i]);
        if (s->renotify_s[i] > SCHEDULE_MAX_S)
            return complain(c, "renotify_schedule", "%.60s is longer than 400d", list->item[i]);
        before_s = s->renotify_s[i];
    }
    s->renotify_count = list->count;
    return ERR_OK;
}

/* Whoever set retention alone, perhaps before there was an upper bound, gets what he asked for. */
static void bound_retention(const struct check *c, struct settings *s)
{
    if (s->retention_s <= s->max_retention_s)
        return;
    if (line_of(c->lines, "max_retention") == 0)
        s->max_retention_s = s->retention_s;
    else
        s->retention_s = s->max_retention_s;
}

/* Defaults that only the machine can tell. */
static enum err complete(struct settings *s)
{
    enum err e = ERR_OK;
    if (s->myhostname[0] == '\0') {
        char name[254] = "";
        if (gethostname(name, sizeof name - 1) != 0 || name[0] == '\0')
            (void)strcpy(name, "localhost");
        e = replace(&s->myhostname, name);
    }
    if (e == ERR_OK && s->authserv_id[0] == '\0')
        e = replace(&s->authserv_id, s->myhostname);
    if (s->http_threads == 0) {
        long cores = sysconf(_SC_NPROCESSORS_ONLN);
        s->http_threads = cores < 1 ? 1 : cores > 64 ? 64 : cores;
    }
    return e;
}

enum err settings_load(const char *path, struct settings **out, struct buf *why)
{
    const char *file = path == NULL ? SETTINGS_DEFAULT_FILE : path;
    struct settings *s = calloc(1, sizeof *s);
    enum err e = ERR_NOMEM;
    if (s != NULL && (s->file = strdup(file)) != NULL &&
        (s->lines = calloc(settings_row_count, sizeof *s->lines)) != NULL)
        e = config_load(file, settings_rows, settings_row_count, s, s->lines, why);
    if (e == ERR_OK) {
        const struct check c = {file, s->lines, why};
        bound_retention(&c, s);
        if ((e = check(&c, s)) == ERR_OK)
            e = read_schedule(&c, s);
    }
    if (e == ERR_OK)
        e = complete(s);
    if (e == ERR_OK) {
        *out = s;
        s = NULL;
    } else if (e == ERR_NOMEM) {
        buf_clear(why);
        (void)buf_printf(why, "%s:0: %s", file, err_text(e));
    }
    settings_free(s);
    return e;
}

void settings_free(struct settings *s)
{
    if (s == NULL)
        return;
    config_free(settings_rows, settings_row_count, s);
    free(s->file);
    free(s->lines);
    free(s);
}

void settings_place(const struct settings *s, const char *name, struct buf *out)
{
    (void)buf_printf(out, "%s:%u: %s", s->file, line_of(s->lines, name), name);
}

void settings_print(FILE *out, const struct settings *s, enum settings_program program)
{
    config_print(out, settings_rows, settings_row_count, s, (unsigned)program);
}
