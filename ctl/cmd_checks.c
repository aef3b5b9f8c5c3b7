/*
 * cmd_checks.c - why a message is taken or not, and complaints about those that came.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "ask.h"
#include "base/encode.h"
#include "local/api.h"
#include "replay.h"

#define FILE_MAX (64 * 1024 * 1024)
#define NOT_ADMITTED 2 /* exit status of explain */

/* ---- explain */

/* All of a file, "-" for standard input. */
static enum err read_file(const char *path, struct buf *out)
{
    bool in = strcmp(path, "-") == 0;
    int fd = in ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = 1;
    enum err e = fd < 0 ? ERR_IO : ERR_OK;

    while (!e && got > 0) {
        char *to = buf_reserve(out, 65536);
        if (!to) {
            e = ERR_TOO_LARGE;
            break;
        }
        got = read(fd, to, 65536);
        if (got > 0)
            buf_added(out, (size_t)got);
        else if (got < 0)
            e = ERR_IO;
    }
    int number = errno;
    if (fd >= 0 && !in)
        close(fd);
    errno = number;
    return e;
}

static const struct table_column check_columns[] = {
    {"CHECK", "check", 0, false},    {"VERDICT", "verdict", 0, false},      {"REASON", "reason", 0, false},
    {"DECIDES", "decides", 0, true}, {"WITHOUT-OBSERVE", "would", 0, true}, {"TEXT", "text", 0, false}};

static int command_explain(const struct command *c)
{
    struct ask a;
    struct buf file, request;
    bool admitted = false;

    ask_init(&a, c, API_EXPLAIN_PATH);
    buf_init(&file, FILE_MAX);
    buf_init_secret(&request, API_HEAD_MAX); /* may hold a stub's keys */
    if (c->argc && (a.err = read_file(c->argv[0], &file)))
        buf_printf(&a.why, "%s: %s", c->argv[0], a.err == ERR_IO ? strerror(errno) : err_text(a.err));
    const struct replay replay = {.from = command_value(c, "from"),
                                  .to = command_value(c, "to"),
                                  .client = command_value(c, "client"),
                                  .helo = command_value(c, "helo"),
                                  .author = command_value(c, "header-from"),
                                  .link_host = command_value(c, "stub"),
                                  .message = buf_span(&file)};
    if (!a.err)
        a.err = replay_format(&replay, &request, &a.why);
    if (!a.err && ask_call(&a, "POST", buf_span(&request), "explain")) {
        size_t count = rows_count(a.rows);
        admitted = count && strcmp(rows_get_text(a.rows, count - 1, "verdict"), "admit") == 0;
    }
    if (ask_is_for_people(&a))
        table_print(stdout, a.rows, check_columns, sizeof check_columns / sizeof check_columns[0]);
    buf_free(&file);
    buf_free(&request);
    int status = ask_end(&a);
    return status ? status : admitted ? EX_OK : NOT_ADMITTED;
}

/* ---- complain */

static void print_message(const char *message)
{
    struct span line, rest = span_of(message);
    struct buf shown;

    buf_init(&shown, FILE_MAX);
    while (rest.len) {
        span_cut(rest, '\n', &line, &rest);
        if (line.len && line.ptr[line.len - 1] == '\r')
            line.len--;
        buf_clear(&shown);
        if (line.len && line.ptr[0] == '\t') { /* a folded field */
            putchar('\t');
            line = span_bytes(line.ptr + 1, line.len - 1);
        }
        encode_visible(&shown, line);
        printf("%s\n", buf_cstr(&shown));
    }
    buf_free(&shown);
}

static bool confirmed(const char *to)
{
    char answer[16] = "";
    struct buf shown;

    buf_init(&shown, 8192);
    encode_visible(&shown, span_of(to));
    printf("\nSend this to %s? [y/N] ", buf_cstr(&shown));
    fflush(stdout);
    buf_free(&shown);
    return fgets(answer, sizeof answer, stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

static int show_complaint(const struct command *c, bool ask_him, bool *send)
{
    struct ask a;

    *send = false;
    ask_init(&a, c, API_COMPLAIN_PATH);
    ask_add(&a, "id", c->argv[0]);
    ask_get(&a, "complaint");
    if (ask_is_for_people(&a)) {
        print_message(rows_get_text(a.rows, 0, "message"));
        *send = ask_him && confirmed(rows_get_text(a.rows, 0, "to"));
    }
    return ask_end(&a);
}

static int send_complaint(const struct command *c)
{
    struct ask a;
    struct buf shown;

    ask_init(&a, c, API_COMPLAIN_PATH);
    ask_add(&a, "id", c->argv[0]);
    ask_post(&a, "complaint");
    if (ask_is_for_people(&a)) {
        buf_init(&shown, 8192);
        encode_visible(&shown, span_of(rows_get_text(a.rows, 0, "to")));
        printf("sent to %s: ", buf_cstr(&shown));
        buf_clear(&shown);
        encode_visible(&shown, span_of(rows_get_text(a.rows, 0, "status")));
        printf("%s\n", buf_cstr(&shown));
        buf_free(&shown);
    }
    return ask_end(&a);
}

static int command_complain(const struct command *c)
{
    bool yes = command_value(c, "yes") != NULL, dry = command_value(c, "dry-run") != NULL, send = yes;
    bool terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);

    if (yes && dry)
        return command_usage(c->row);
    if (!yes && !dry && (!terminal || c->json)) {
        fputs("restantectl: nobody is there to ask: --yes sends the complaint, --dry-run shows it\n", stderr);
        return EX_USAGE;
    }
    int status = yes ? EX_OK : show_complaint(c, !dry, &send);
    return status || !send ? status : send_complaint(c);
}

static const struct command_option explain_options[] = {
    {"from", NULL, false},        {"to", NULL, false},   {"client", NULL, false}, {"helo", NULL, false},
    {"header-from", NULL, false}, {"stub", NULL, false}, {NULL, NULL, false},
};
static const struct command_option complain_options[] = {
    {"yes", NULL, true}, {"dry-run", NULL, true}, {NULL, NULL, false}};

const struct command_row commands_of_checks[] = {
    {"explain",
     "[FILE|-] [--from ADDRESS] [--to ADDRESS] [--client IP] [--helo NAME] [--header-from ADDRESS]\n"
     "      [--stub LINK-HOST]",
     "judges a message, or an envelope, and says what each check finds; nothing is sent or kept", 0, 1,
     explain_options, true, command_explain},
    {"complain", "ID [--yes|--dry-run]",
     "reports a letter or contact attempt (its job's id) to whoever answers for the sender's domain", 1, 1,
     complain_options, true, command_complain},
    {.name = NULL},
};
