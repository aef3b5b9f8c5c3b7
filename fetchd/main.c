/*
 * main.c - restante-fetchd: arguments, configuration, open, drop privileges, run, stop.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

#include "base/kill.h"
#include "base/log.h"
#include "base/secret.h"
#include "files.h"
#include "house.h"
#include "offline.h"
#include "privileges.h"
#include "settings/settings.h"

static atomic_bool store_failed; /* the environment must be recovered: only a new process can */

struct arguments {
    const char *config;
    bool check, make_keys;
    const char *restore; /* directory of a backup */
    bool replace;
    bool check_store, repair, deep;
};

/* True: go on. False: end with *status. */
static bool read_arguments(int argc, char **argv, struct arguments *out, int *status)
{
    static const struct option options[] = {
        {"kill-points", no_argument, NULL, 'P'},   {"make-keys", no_argument, NULL, 'K'},
        {"restore", required_argument, NULL, 'R'}, {"replace", no_argument, NULL, 'r'},
        {"check", no_argument, NULL, 'C'},         {"repair", no_argument, NULL, 'p'},
        {"deep", no_argument, NULL, 'd'},          {NULL, 0, NULL, 0}};
    int c;

    while ((c = getopt_long(argc, argv, "c:nV", options, NULL)) != -1) {
        switch (c) {
        case 'c':
            out->config = optarg;
            continue;
        case 'n':
            out->check = true;
            continue;
        case 'K':
            out->make_keys = true;
            continue;
        case 'R':
            out->restore = optarg;
            continue;
        case 'r':
            out->replace = true;
            continue;
        case 'C':
            out->check_store = true;
            continue;
        case 'p':
            out->repair = true;
            continue;
        case 'd':
            out->deep = true;
            continue;
        case 'V':
            puts("restante-fetchd " RESTANTE_VERSION);
            *status = EX_OK;
            return false;
        case 'P':
            kill_points_print(stdout);
            *status = EX_OK;
            return false;
        default:
            optind = argc + 1;
            break;
        }
        break;
    }
    if (optind == argc)
        return true;
    fprintf(
        stderr,
        "usage: restante-fetchd [-c restante.conf] [-n | --make-keys | --restore directory [--replace] |\n"
        "                        --check [--repair] [--deep] |\n"
        "                        -V | --kill-points]\n");
    *status = EX_USAGE;
    return false;
}

static void on_store_failed(void *arg)
{
    (void)arg;
    log_error("the store must be recovered: ending, to be started again");
    atomic_store(&store_failed, true);
    kill(getpid(), SIGTERM);
}

static void reload(struct house *house)
{
    sd_notify(0, "RELOADING=1");
    house_reload(house);
    sd_notify(0, "READY=1");
}

/* Until a signal says stop. */
static void run(struct house *house, const sigset_t *signals)
{
    int got;

    log_info("serving");
    sd_notify(0, "READY=1");
    while (sigwait(signals, &got) || got == SIGHUP) {
        if (got == SIGHUP)
            reload(house);
    }
    sd_notify(0, "STOPPING=1");
    log_info("stopping");
}

static void block_signals(sigset_t *signals)
{
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(signals);
    sigaddset(signals, SIGTERM);
    sigaddset(signals, SIGINT);
    sigaddset(signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, signals, NULL); /* all threads inherit it: main alone waits for them */
}

static int fail(enum err e, const struct buf *why)
{
    log_error("%s", why->len ? buf_cstr(why) : err_text(e));
    return e == ERR_CONFIG ? EX_CONFIG : EX_TEMPFAIL;
}

static int serve(const struct settings *settings)
{
    enum err e;
    int status = EX_OK;
    sigset_t signals;
    struct house *house = NULL;
    struct buf why;

    buf_init(&why, 4096);
    block_signals(&signals);
    if ((e = house_open(settings, on_store_failed, &house, &why)) ||
        /* From here on: no root, no new privileges, no reading of keys that only root may read. */
        (e = privileges_drop(settings->user, &why)) || (e = house_start(house, &why))) {
        status = fail(e, &why);
    } else {
        run(house, &signals);
        if (atomic_load(&store_failed))
            _exit(EX_TEMPFAIL); /* closing a broken environment could wait for ever */
    }
    house_close(house);
    buf_free(&why);
    return status;
}

/* -n: prints the effective values, or what is wrong. With the eyes of the daemon's user, who reads
 * certificates again when root is gone. */
static int check(const struct settings *settings)
{
    struct buf why;
    int status = EX_CONFIG;

    buf_init(&why, 16384);
    enum err e = privileges_drop(settings->user, &why);
    if (!e)
        e = files_check(settings, &why);
    if (!e)
        e = house_check(settings, &why);
    if (e) {
        fprintf(stderr, "%s\n", why.len ? buf_cstr(&why) : err_text(e));
    } else {
        settings_print(stdout, settings, SETTINGS_FETCHD);
        status = EX_OK;
    }
    buf_free(&why);
    return status;
}

int main(int argc, char **argv)
{
    int status = EX_OK;
    enum err e;
    struct arguments arguments = {.config = SETTINGS_DEFAULT_FILE};
    struct settings *settings = NULL;
    struct buf why;

    secret_forbid_cores();
    log_open("restante-fetchd", LOG_LEVEL_INFO);
    if (!read_arguments(argc, argv, &arguments, &status))
        return status;
    buf_init(&why, 4096);
    e = settings_load(arguments.config, &settings, &why);
    if (!e && !arguments.check)
        e = house_check(settings, &why);
    if (e) {
        fprintf(stderr, "%s\n", why.len ? buf_cstr(&why) : err_text(e));
        status = EX_CONFIG;
    } else if (arguments.check) {
        status = check(settings);
    } else if (arguments.make_keys) {
        if ((e = house_make_keys(settings, &why)))
            status = fail(e, &why);
    } else if (arguments.restore) {
        if ((e = offline_restore(settings, arguments.restore, arguments.replace, &why)))
            status = fail(e, &why);
        if (e == ERR_EXISTS || e == ERR_NOT_FOUND) /* said again, it would say the same */
            status = e == ERR_EXISTS ? EX_CANTCREAT : EX_NOINPUT;
    } else if (arguments.check_store) {
        bool wrong = false;

        if ((e = offline_check(settings, arguments.repair, arguments.deep, &wrong, &why)))
            status = fail(e, &why);
        else if (wrong)
            status = EXIT_FAILURE;
    } else {
        log_set_level((enum log_level)settings->log_level);
        status = serve(settings);
    }
    buf_free(&why);
    settings_free(settings);
    return status;
}
