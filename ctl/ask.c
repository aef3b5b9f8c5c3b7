/*
 * ask.c - see ask.h.
 */
#include "ask.h"

#include <stdio.h>
#include <sysexits.h>

#include "local/api.h"
#include "settings/settings.h"

#define REPLY_MAX (256 * 1024 * 1024)
#define PATH_MAX_BYTES 65536 /* with the query */
#define WHY_MAX 8192
#define ANSWER_MS 120000
#define PATIENT_MS (48LL * 3600 * 1000)

void ask_init(struct ask *a, const struct command *c, const char *path)
{
    *a = (struct ask){.command = c};
    buf_init(&a->path, PATH_MAX_BYTES);
    buf_init(&a->json, REPLY_MAX);
    buf_init(&a->why, WHY_MAX);
    a->err = buf_append_str(&a->path, path);
    for (size_t i = 0; i < c->count; i++) {
        if (c->given[i].option->parameter)
            ask_add(a, c->given[i].option->parameter, c->given[i].value);
    }
}

void ask_free(struct ask *a)
{
    rows_free(a->rows);
    buf_free(&a->path);
    buf_free(&a->json);
    buf_free(&a->why);
}

void ask_add(struct ask *a, const char *parameter, const char *value)
{
    if (!a->err)
        a->err = query_add(&a->path, parameter, value);
}

static enum err connect_to(const struct command *c, const char *socket, int64_t answer_ms,
                           struct local_client **out, struct buf *why)
{
    struct settings *settings = NULL;
    char path[4096];
    enum err e = settings_load(c->config, &settings, why);

    if (e == ERR_IO) /* a file that cannot be read is as wrong as one that can */
        e = ERR_CONFIG;
    if (!e) {
        snprintf(path, sizeof path, "%s/%s", settings->local_socket_directory, socket);
        const struct local_options options = {.socket_path = path,
                                              .connect_timeout_ms = 5000,
                                              .answer_timeout_ms = answer_ms,
                                              .write_timeout_ms = 60000,
                                              .idle_max = 1,
                                              .reply_max_bytes = REPLY_MAX};
        e = local_client_create(&options, out);
    }
    settings_free(settings);
    return e;
}

static const struct table_column candidate_columns[] = {
    {"TICKET", "id", 0, false},
    {"STATE", "state", 0, false},
    {"SIZE", "letter_bytes", 0, false},
    {"CREATED", "created", 0, false},
    {"SENDER", "sender", 40, false},
    {"RECIPIENT", "recipient", 40, false},
    {"MESSAGE-ID", "message_id", 60, false},
};

enum err ask_connect(const struct command *c, const char *socket, struct local_client **out, struct buf *why)
{
    return connect_to(c, socket, ANSWER_MS, out, why);
}

/* What an answer that is none says. */
static void read_refusal(struct ask *a, int status)
{
    struct api_reply reply;

    if (rows_parse(buf_span(&a->json), "candidates", &a->rows) == ERR_OK) {
        a->err = ERR_AMBIGUOUS;
        return;
    }
    a->err = status == 403 ? ERR_FORBIDDEN : status == 503 || status == 504 ? ERR_UNAVAILABLE : ERR_SYNTAX;
    if (api_reply_parse(buf_span(&a->json), &reply) == ERR_OK)
        buf_append_str(&a->why, reply.text);
    else
        buf_printf(&a->why, "restante-fetchd answers %d", status);
}

/* e: whether there is an answer at all. */
static bool read_answer(struct ask *a, enum err e, int status, const char *name)
{
    if ((a->err = e))
        buf_printf(&a->why, "restante-fetchd does not answer: %s", err_text(a->err));
    else if (status != 200)
        read_refusal(a, status);
    else if ((a->err = rows_parse(buf_span(&a->json), name, &a->rows)))
        buf_append_str(&a->why, "the answer is not understood");
    return !a->err;
}

bool ask_call(struct ask *a, const char *method, struct span body, const char *name)
{
    int status = 0;
    struct local_client *client = NULL;

    if (!a->err)
        a->err = connect_to(a->command, "admin.sock", a->patient ? PATIENT_MS : ANSWER_MS, &client, &a->why);
    if (!a->err) {
        enum err e = local_call(client, method, buf_cstr(&a->path), body, NULL, NULL, &status, &a->json);
        read_answer(a, e, status, name);
        a->status = e ? 0 : status;
    }
    local_client_free(client);
    return !a->err;
}

bool ask_upload(struct ask *a, ask_read read, void *arg, const char *name)
{
    char piece[65536];
    int status = 0;
    ssize_t got = 0;
    struct local_client *client = NULL;
    struct local_upload *u = NULL;

    if (!a->err)
        a->err = ask_connect(a->command, "admin.sock", &client, &a->why);
    enum err e = a->err ? a->err : local_upload_begin(client, buf_cstr(&a->path), &u);
    while (!e && (got = read(a, arg, piece, sizeof piece)) > 0)
        e = local_upload_write(u, piece, (size_t)got, NULL, NULL);
    if (u && (e || got < 0))
        local_upload_abort(u); /* fetchd keeps nothing of it */
    else if (u)
        e = local_upload_finish(u, NULL, NULL, &status, &a->json);
    if (!a->err)
        read_answer(a, e, status, name);
    local_client_free(client);
    return !a->err;
}

struct rows *ask_rows(const struct ask *a, const char *name)
{
    struct rows *rows = NULL;

    return rows_parse(buf_span(&a->json), name, &rows) ? NULL : rows;
}

bool ask_get(struct ask *a, const char *name)
{
    return ask_call(a, "GET", (struct span){NULL, 0}, name);
}

bool ask_post(struct ask *a, const char *name)
{
    return ask_call(a, "POST", (struct span){NULL, 0}, name);
}

bool ask_is_for_people(struct ask *a)
{
    if ((!a->err || (a->err == ERR_AMBIGUOUS && a->rows)) && a->command->json)
        fwrite(a->json.data, 1, a->json.len, stdout);
    return !a->err && !a->command->json;
}

int ask_failed(enum err e, const struct buf *why)
{
    fprintf(stderr, "restantectl: %s\n", why->len ? buf_cstr(why) : err_text(e));
    return e == ERR_CONFIG        ? EX_CONFIG
           : e == ERR_FORBIDDEN   ? EX_NOPERM
           : e == ERR_UNAVAILABLE ? EX_TEMPFAIL
                                  : 1;
}

int ask_end(struct ask *a)
{
    int status = a->err ? ask_failed(a->err, &a->why) : EX_OK;

    if (a->err == ERR_AMBIGUOUS && a->rows && !a->command->json)
        table_print(stderr, a->rows, candidate_columns,
                    sizeof candidate_columns / sizeof candidate_columns[0]);
    ask_free(a);
    return status;
}

int ask_list(const struct command *c, const char *path, const char *name, const char *parameter,
             const struct table_column *columns, size_t count)
{
    struct ask a;

    ask_init(&a, c, path);
    if (parameter)
        ask_add(&a, parameter, c->argv[0]);
    ask_get(&a, name);
    if (ask_is_for_people(&a))
        table_print(stdout, a.rows, columns, count);
    return ask_end(&a);
}

int ask_entry(const struct command *c, const char *path, const char *name, const char *parameter,
              const char *what)
{
    struct ask a;

    ask_init(&a, c, path);
    if (parameter)
        ask_add(&a, parameter, c->argv[0]);
    if (what)
        ask_add(&a, "limit", "2");
    if (ask_get(&a, name) && rows_count(a.rows) != 1) {
        a.err = ERR_NOT_FOUND;
        buf_printf(&a.why, "%s %s begins with %s", rows_count(a.rows) ? "more than one" : "no",
                   what ? what : "entry", c->argv[0]);
    }
    if (ask_is_for_people(&a))
        table_print_entry(stdout, a.rows, 0);
    return ask_end(&a);
}
