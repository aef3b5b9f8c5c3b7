/*
 * main.c - restante-milter: stands between an MTA's milter protocol and fetchd's local API. No keys, no
 * database, no network.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

#include "base/err.h"
#include "base/kill.h"
#include "base/log.h"
#include "base/netaddr.h"
#include "base/secret.h"
#include "local/client.h"
#include "milter/callbacks.h"
#include "milter/session.h"
#include "settings/settings.h"

#define PROGRAM "restante-milter"
#define DESCRIPTORS 65536
#define FETCHD_CONNECT_MS 2000
#define FETCHD_WRITE_MS 60000
#define FETCHD_IDLE_CONNECTIONS 16
#define FETCHD_REPLY_BYTES ((size_t)1024 * 1024)

static int usage(FILE *out)
{
    fprintf(out, "usage: " PROGRAM " [-c file] [-n | -V | --kill-points]\n"
                 "  -c file        configuration, default " SETTINGS_DEFAULT_FILE "\n"
                 "  -n             check the configuration, print the effective values, end\n"
                 "  -V             print the version, end\n"
                 "  --kill-points  list the places where a test build can be made to die, end\n");
    return out == stdout ? 0 : 64;
}

/* submission_networks as prefixes. The caller frees *out. */
static enum err parse_networks(const struct config_list *list, struct netprefix **out, struct buf *why)
{
    struct netprefix *networks = calloc(list->count + 1, sizeof *networks);
    if (!networks)
        return ERR_NOMEM;
    for (size_t i = 0; i < list->count; i++) {
        if (netprefix_parse(span_of(list->item[i]), &networks[i]) != ERR_OK) {
            buf_printf(why, "submission_networks: %s is no network", list->item[i]);
            free(networks);
            return ERR_CONFIG;
        }
    }
    *out = networks;
    return ERR_OK;
}

static enum err connect_fetchd(const struct settings *settings, struct local_client **out)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/deposit.sock", settings->local_socket_directory);
    const struct local_options options = {
        .socket_path = path,
        .connect_timeout_ms = FETCHD_CONNECT_MS,
        .answer_timeout_ms = settings->milter_timeout_s * 1000,
        .write_timeout_ms = FETCHD_WRITE_MS,
        .idle_max = FETCHD_IDLE_CONNECTIONS,
        .reply_max_bytes = FETCHD_REPLY_BYTES,
    };
    return local_client_create(&options, out);
}

/* A session takes two descriptors, one towards the MTA and one towards fetchd; the usual soft limit of 1,024
 * would end at 500 sessions. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max < DESCRIPTORS ? limit.rlim_max : DESCRIPTORS;
        setrlimit(RLIMIT_NOFILE, &limit); /* the old one still serves */
    }
}

/* What the callbacks of all threads use. Never freed: libmilter's workers may still be within a callback when
 * smfi_main has returned. Their sessions then end with the process, unanswered, and the MTA tells its client
 * to come again. */
static struct session_site site;

static enum err prepare(const struct settings *settings, struct buf *why)
{
    struct netprefix *networks;
    enum err e = parse_networks(&settings->submission_networks, &networks, why);
    if (e)
        return e;
    site.networks = networks;
    site.network_count = settings->submission_networks.count;
    site.legacy_asked = settings->legacy_asked;
    if ((e = connect_fetchd(settings, &site.fetchd)))
        return e;
    /* The MTA's group may connect (the folder has the set-group-id bit), nobody else. */
    umask(007);
    raise_descriptor_limit();
    signal(SIGPIPE, SIG_IGN);
    return callbacks_open(&site, settings->milter_socket, why);
}

static int serve(const struct settings *settings)
{
    struct buf why;
    enum err e;

    buf_init(&why, 4096);
    if (!(e = prepare(settings, &why))) {
        log_info("version %s serves %s", RESTANTE_VERSION, settings->milter_socket);
        sd_notify(0, "READY=1");
        e = callbacks_run();
        sd_notify(0, "STOPPING=1");
    }
    if (e)
        log_error("%s", why.len ? buf_cstr(&why) : err_text(e));
    else
        log_info("ends");
    buf_free(&why);
    return e ? 1 : 0;
}

int main(int argc, char **argv)
{
    const char *file = NULL;
    struct settings *settings = NULL;
    struct buf why;
    bool print = false;
    int status = 0;

    if (argc == 2 && strcmp(argv[1], "--kill-points") == 0) {
        kill_points_print(stdout);
        return 0;
    }
    if (argc == 2 && strcmp(argv[1], "--help") == 0)
        return usage(stdout);
    for (int option; (option = getopt(argc, argv, "c:nV")) != -1;) {
        switch (option) {
        case 'c':
            file = optarg;
            break;
        case 'n':
            print = true;
            break;
        case 'V':
            printf(PROGRAM " %s\n", RESTANTE_VERSION);
            return 0;
        default:
            return usage(stderr);
        }
    }
    if (optind != argc)
        return usage(stderr);

    log_open(PROGRAM, LOG_LEVEL_INFO);
    if (secret_forbid_cores() != ERR_OK) { /* stubs hold keys */
        log_error("core files cannot be forbidden");
        return 1;
    }
    buf_init(&why, 4096);
    if (settings_load(file, &settings, &why) != ERR_OK) {
        fprintf(stderr, "%s\n", buf_cstr(&why));
        status = 78;
    } else if (print) {
        settings_print(stdout, settings, SETTINGS_MILTER);
    } else {
        log_set_level((enum log_level)settings->log_level);
        status = serve(settings);
    }
    settings_free(settings);
    buf_free(&why);
    return status;
}
