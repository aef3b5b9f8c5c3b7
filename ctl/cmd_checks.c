/*
 * cmd_checks.c - complaints about letters that came.
 */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "ask.h"
#include "base/encode.h"
#include "local/api.h"

#define FILE_MAX (64 * 1024 * 1024)

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

static const struct command_option complain_options[] = {
    {"yes", NULL, true}, {"dry-run", NULL, true}, {NULL, NULL, false}};

const struct command_row commands_of_checks[] = {
    {"complain", "ID [--yes|--dry-run]",
     "reports a letter or contact attempt (its job's id) to whoever answers for the sender's domain", 1, 1,
     complain_options, true, command_complain},
    {.name = NULL},
};
