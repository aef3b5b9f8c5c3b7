/*
 * restantectl.c - the administrator's command, over fetchd's local API; and the command that Postfix runs for
 * what comes to a stub's reverse-path.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/log.h"
#include "local/api.h"
#include "local/client.h"
#include "local/rows.h"
#include "settings/settings.h"
#include "table.h"

#define REPLY_MAX (256 * 1024 * 1024)

static const char usage_text[] =
    "usage: restantectl [-c restante.conf] COMMAND\n"
    "  status [--json]              what lies in the store, what is under way\n"
    "  tickets [--sender ADDRESS] [--recipient ADDRESS] [--state STATE] [--queue-id ID] [--message-id ID]\n"
    "          [--limit N] [--json] letters that wait here, or did\n"
    "  ticket ID [--json]           one of them (a prefix of its id, or of what the log calls ticket=)\n"
    "  jobs [--state STATE] [--limit N] [--json]\n"
    "                               letters that are called for, or were\n"
    "  bounce SENDER RECIPIENT      (for Postfix) takes what came to a stub's reverse-path on standard "
    "input\n";

struct command {
    const char *config;
    const char *sender, *recipient, *state, *queue_id, *message_id, *limit;
    bool json;
    int argc; /* what follows the options */
    char **argv;
};

static enum err connect_to(const struct command *c, const char *socket, struct local_client **out,
                           struct buf *why)
{
    struct settings *settings = NULL;
    char path[4096];
    enum err e = settings_load(c->config, &settings, why);

    if (!e) {
        snprintf(path, sizeof path, "%s/%s", settings->local_socket_directory, socket);
        const struct local_options options = {.socket_path = path,
                                              .connect_timeout_ms = 5000,
                                              .answer_timeout_ms = 120000,
                                              .write_timeout_ms = 60000,
                                              .idle_max = 1,
                                              .reply_max_bytes = REPLY_MAX};
        e = local_client_create(&options, out);
    }
    settings_free(settings);
    return e;
}

/* ---- asking */

static enum err ask(const struct command *c, const char *path, struct buf *reply, struct buf *why)
{
    int status = 0;
    struct local_client *client = NULL;
    enum err e = connect_to(c, "admin.sock", &client, why);

    if (!e && (e = local_call(client, "GET", path, (struct span){NULL, 0}, NULL, NULL, &status, reply)))
        buf_printf(why, "restante-fetchd does not answer: %s", err_text(e));
    if (!e && status == 403) {
        buf_append_str(why, "only root may ask");
        e = ERR_FORBIDDEN;
    } else if (!e && status != 200) {
        buf_printf(why, "restante-fetchd answers %d: %.*s", status, (int)reply->len, buf_cstr(reply));
        e = ERR_SYNTAX;
    }
    local_client_free(client);
    return e;
}

static enum err ask_rows(const struct command *c, const char *path, const char *name, struct buf *json,
                         struct rows **out, struct buf *why)
{
    enum err e = ask(c, path, json, why);

    if (!e && (e = rows_parse(buf_span(json), name, out)))
        buf_append_str(why, "the answer is not understood");
    return e;
}

static int fail(enum err e, const struct buf *why)
{
    fprintf(stderr, "restantectl: %s\n", why->len ? buf_cstr(why) : err_text(e));
    return e == ERR_CONFIG        ? EX_CONFIG
           : e == ERR_FORBIDDEN   ? EX_NOPERM
           : e == ERR_UNAVAILABLE ? EX_TEMPFAIL
                                  : 1;
}

static const struct table_column ticket_columns[] = {
    {"TICKET", "id", 0},
    {"STATE", "state", 0},
    {"SIZE", "letter_bytes", 0},
    {"CREATED", "created", 0},
    {"QUEUE-ID", "queue_id", 0},
    {"SENDER", "sender", 40},
    {"RECIPIENT", "recipient", 40},
    {"TEXT", "text", 60},
};
static const struct table_column job_columns[] = {
    {"JOB", "id", 0},
    {"STATE", "state", 0},
    {"SIZE", "letter_bytes", 0},
    {"CREATED", "created", 0},
    {"QUEUE-ID", "queue_id", 0},
    {"SENDER", "sender", 40},
    {"RECIPIENT", "recipient", 40},
    {"TEXT", "text", 60},
};
#define COUNT(a) (sizeof(a) / sizeof(a)[0])

/* Asks path (its query in the buffer), prints the list. */
static int list(const struct command *c, const struct buf *path, const char *name,
                const struct table_column *columns, size_t count)
{
    struct rows *rows = NULL;
    struct buf json, why;
    int status = EX_OK;

    buf_init(&json, REPLY_MAX);
    buf_init(&why, 8192);
    enum err e = ask_rows(c, buf_cstr(path), name, &json, &rows, &why);
    if (e)
        status = fail(e, &why);
    else if (c->json)
        fwrite(json.data, 1, json.len, stdout);
    else
        table_print(stdout, rows, columns, count);
    rows_free(rows);
    buf_free(&json);
    buf_free(&why);
    return status;
}

static int command_tickets(const struct command *c)
{
    struct buf path;

    buf_init(&path, 16384);
    buf_append_str(&path, API_TICKETS_PATH);
    query_add(&path, "sender", c->sender);
    query_add(&path, "recipient", c->recipient);
    query_add(&path, "state", c->state);
    query_add(&path, "queue_id", c->queue_id);
    query_add(&path, "message_id", c->message_id);
    query_add(&path, "limit", c->limit);
    int status = list(c, &path, "tickets", ticket_columns, COUNT(ticket_columns));
    buf_free(&path);
    return status;
}

static int command_jobs(const struct command *c)
{
    struct buf path;

    buf_init(&path, 16384);
    buf_append_str(&path, API_JOBS_PATH);
    query_add(&path, "state", c->state);
    query_add(&path, "limit", c->limit);
    int status = list(c, &path, "jobs", job_columns, COUNT(job_columns));
    buf_free(&path);
    return status;
}

/* One entry, all of it. */
static int entry(const struct command *c, const struct buf *path, const char *name, const char *what)
{
    struct rows *rows = NULL;
    struct buf json, why;
    int status = EX_OK;

    buf_init(&json, REPLY_MAX);
    buf_init(&why, 8192);
    enum err e = ask_rows(c, buf_cstr(path), name, &json, &rows, &why);
    if (!e && rows_count(rows) != 1) {
        e = ERR_NOT_FOUND;
        buf_printf(&why,
                   rows_count(rows) ? "more than one ticket begins with %s" : "no ticket begins with %s",
                   what);
    }
    if (e)
        status = fail(e, &why);
    else if (c->json)
        fwrite(json.data, 1, json.len, stdout);
    else
        table_print_entry(stdout, rows, 0);
    rows_free(rows);
    buf_free(&json);
    buf_free(&why);
    return status;
}

static int command_ticket(const struct command *c)
{
    struct buf path;

    buf_init(&path, 16384);
    buf_append_str(&path, API_TICKETS_PATH);
    query_add(&path, "id", c->argv[0]);
    query_add(&path, "limit", "2");
    int status = entry(c, &path, "tickets", c->argv[0]);
    buf_free(&path);
    return status;
}

static int command_status(const struct command *c)
{
    struct buf path;

    buf_init(&path, 256);
    buf_append_str(&path, API_STATUS_PATH);
    int status = entry(c, &path, "status", "");
    buf_free(&path);
    return status;
}

/* ---- bounce */

static enum err upload_stdin(struct local_upload *u)
{
    char piece[65536];
    ssize_t got;
    enum err e = ERR_OK;

    while (!e && (got = read(STDIN_FILENO, piece, sizeof piece)) != 0) {
        if (got < 0 && errno != EINTR)
            return ERR_IO;
        if (got > 0)
            e = local_upload_write(u, piece, (size_t)got, NULL, NULL);
    }
    return e;
}

static enum err format_head(const struct command *c, struct buf *out)
{
    struct api_recipient recipient = {.address = c->argv[1]};
    const struct api_deposit head = {
        .envelope = {.sender = c->argv[0], .recipient_count = 1, .recipient = &recipient}};
    enum err e = api_deposit_format(&head, out);

    return e ? e : buf_append_char(out, '\n');
}

static enum err send_bounce(const struct command *c, struct api_reply *reply, struct buf *why)
{
    int status = 0;
    struct local_client *client = NULL;
    struct local_upload *u = NULL;
    struct buf head, answer;
    enum err e;

    buf_init(&head, 65536);
    buf_init(&answer, 65536);
    if ((e = format_head(c, &head)) || (e = connect_to(c, "deposit.sock", &client, why)) ||
        (e = local_upload_begin(client, API_BOUNCE_PATH, &u)))
        goto out;
    if ((e = local_upload_write(u, head.data, head.len, NULL, NULL)) || (e = upload_stdin(u))) {
        local_upload_abort(u);
        goto out;
    }
    e = local_upload_finish(u, NULL, NULL, &status, &answer);
    if (!e)
        e = status == 200 ? api_reply_parse(buf_span(&answer), reply) : ERR_UNAVAILABLE;
out:
    local_client_free(client);
    buf_free(&head);
    buf_free(&answer);
    return e;
}

/* Postfix's pipe(8) reads the exit status and, in front of the text, the enhanced status code. */
static int command_bounce(const struct command *c)
{
    struct api_reply reply = {.smtp = 0};
    struct buf why;
    int status = EX_OK;

    buf_init(&why, 8192);
    enum err e = send_bounce(c, &reply, &why);
    if (e) {
        /* Whatever went wrong, Postfix keeps the message and tries again. */
        printf("4.3.2 %s\n", why.len ? buf_cstr(&why) : err_text(e));
        status = EX_TEMPFAIL;
    } else if (reply.smtp != 250) {
        printf("%s %s\n", reply.enhanced, reply.text);
        status = reply.smtp / 100 == 5 ? EX_UNAVAILABLE : EX_TEMPFAIL;
    }
    buf_free(&why);
    return status;
}

/* ---- the command line */

static const struct {
    const char *name;
    int arguments;
    int (*run)(const struct command *c);
} commands[] = {
    {"status", 0, command_status}, {"tickets", 0, command_tickets}, {"ticket", 1, command_ticket},
    {"jobs", 0, command_jobs},     {"bounce", 2, command_bounce},
};

static int usage(void)
{
    fputs(usage_text, stderr);
    return EX_USAGE;
}

/* A Message-ID may be given with its angle brackets, as logs and letters show it. */
static const char *without_brackets(char *id)
{
    size_t len = strlen(id);

    if (len < 2 || id[0] != '<' || id[len - 1] != '>')
        return id;
    id[len - 1] = '\0';
    return id + 1;
}

static bool read_options(int argc, char **argv, struct command *out)
{
    static const struct option options[] = {
        {"sender", required_argument, NULL, 's'},
        {"recipient", required_argument, NULL, 'r'},
        {"state", required_argument, NULL, 't'},
        {"queue-id", required_argument, NULL, 'q'},
        {"message-id", required_argument, NULL, 'm'},
        {"limit", required_argument, NULL, 'l'},
        {"json", no_argument, NULL, 'j'},
        {NULL, 0, NULL, 0},
    };
    int c;

    while ((c = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
        const char **value = c == 'c'   ? &out->config
                             : c == 's' ? &out->sender
                             : c == 'r' ? &out->recipient
                             : c == 't' ? &out->state
                             : c == 'q' ? &out->queue_id
                             : c == 'm' ? &out->message_id
                             : c == 'l' ? &out->limit
                                        : NULL;
        if (value)
            *value = c == 'm' ? without_brackets(optarg) : optarg;
        else if (c == 'j')
            out->json = true;
        else
            return false;
    }
    out->argc = argc - optind;
    out->argv = argv + optind;
    return true;
}

int main(int argc, char **argv)
{
    struct command c = {.config = SETTINGS_DEFAULT_FILE};

    log_open("restantectl", LOG_LEVEL_WARNING);
    if (!read_options(argc, argv, &c) || c.argc < 1)
        return usage();
    const char *name = c.argv[0];
    c.argc--;
    c.argv++;
    for (size_t i = 0; i < COUNT(commands); i++) {
        if (strcmp(commands[i].name, name) == 0 && commands[i].arguments == c.argc)
            return commands[i].run(&c);
    }
    return usage();
}
