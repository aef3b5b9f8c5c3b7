/*
 * restantectl.c - the command of administrators and of owners of mailboxes, over fetchd's local API; and the
 * command that Postfix runs for what comes to a stub's reverse-path.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/log.h"
#include "command.h"
#include "settings/settings.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])
#define OPTION_FIRST 256 /* what getopt_long gives for the first option of a command */

static const struct command_row *const families[] = {
    commands_of_store,  commands_of_letters, commands_of_senders, commands_of_policy, commands_of_tokens,
    commands_of_checks, commands_of_keys,    commands_of_mta,     commands_of_backup};

/* ---- usage */

static void print_row(FILE *out, const struct command_row *row)
{
    fprintf(out, "  %s %s%s\n      %s\n", row->name, row->arguments,
            row->json ? row->arguments[0] ? " [--json]" : "[--json]" : "", row->help);
}

/* Whether word is the first of the row's name. */
static bool begins_with(const struct command_row *row, const char *word)
{
    size_t len = strlen(word);

    return strncmp(row->name, word, len) == 0 && (row->name[len] == '\0' || row->name[len] == ' ');
}

/* row NULL: of all commands, or of those whose name begins with the word. False: there are none; nothing is
 * printed. */
static bool print_usage(FILE *out, const struct command_row *row, const char *word)
{
    static const char head[] = "usage: restantectl [-c restante.conf] COMMAND\n";
    bool any = false;

    for (size_t f = 0; f < COUNT(families); f++) {
        for (const struct command_row *r = families[f]; r->name; r++) {
            if (row ? r != row : word && !begins_with(r, word))
                continue;
            if (!any)
                fputs(head, out);
            any = true;
            print_row(out, r);
        }
    }
    return any;
}

static int unknown_command(const char *word)
{
    if (!print_usage(stderr, NULL, word))
        fprintf(stderr, "restantectl: no command is called %s; restantectl --help lists them\n", word);
    return EX_USAGE;
}

int command_usage(const struct command_row *row)
{
    print_usage(stderr, row, NULL);
    return EX_USAGE;
}

/* ---- the command line */

/* How many of the words are the row's name; 0: it is another. */
static int name_words(const struct command_row *row, int argc, char **argv)
{
    const char *blank = strchr(row->name, ' ');
    size_t first = blank ? (size_t)(blank - row->name) : strlen(row->name);

    if (argc < 1 || strlen(argv[0]) != first || strncmp(argv[0], row->name, first) != 0)
        return 0;
    if (!blank)
        return 1;
    return argc > 1 && strcmp(argv[1], blank + 1) == 0 ? 2 : 0;
}

static const struct command_row *find_row(int argc, char **argv, int *words)
{
    for (size_t f = 0; f < COUNT(families); f++) {
        for (const struct command_row *r = families[f]; r->name; r++) {
            if ((*words = name_words(r, argc, argv)))
                return r;
        }
    }
    return NULL;
}

const char *command_value(const struct command *c, const char *name)
{
    for (size_t i = c->count; i > 0; i--) {
        if (strcmp(c->given[i - 1].option->name, name) == 0)
            return c->given[i - 1].value;
    }
    return NULL;
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

static bool note_option(struct command *out, const struct command_option *option, char *value)
{
    if (out->count == COMMAND_OPTIONS_MAX)
        return false;
    out->given[out->count].option = option;
    out->given[out->count].value = option->flag                              ? "yes"
                                   : strcmp(option->name, "message-id") == 0 ? without_brackets(value)
                                                                             : value;
    out->count++;
    return true;
}

/* Options and arguments of a command; argv[0] is (the last word of) its name. *help: all that is asked for is
 * its usage. */
static bool read_options(int argc, char **argv, struct command *out, bool *help)
{
    struct option options[COMMAND_OPTIONS_MAX + 3] = {{"json", no_argument, NULL, 'j'},
                                                      {"help", no_argument, NULL, 'h'}};
    const struct command_option *own = out->row->options;
    int c, count = 0;

    for (; own && own[count].name; count++)
        options[count + 2] = (struct option){
            own[count].name, own[count].flag ? no_argument : required_argument, NULL, OPTION_FIRST + count};
    optind = 0; /* begin anew, with another command's options */
    while ((c = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        if (c == 'h')
            return *help = true;
        if (c == 'c')
            out->config = optarg;
        else if (c == 'j' && out->row->json)
            out->json = true;
        else if (!own || c < OPTION_FIRST || !note_option(out, &own[c - OPTION_FIRST], optarg))
            return false;
    }
    out->argc = argc - optind;
    out->argv = argv + optind;
    return out->argc >= out->row->least && out->argc <= out->row->most;
}

int main(int argc, char **argv)
{
    struct command c = {.config = SETTINGS_DEFAULT_FILE};
    static const struct option options[] = {{"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
    int option, words = 0;
    bool help = false;

    log_open("restantectl", LOG_LEVEL_WARNING);
    while ((option = getopt_long(argc, argv, "+c:h", options, NULL)) != -1) {
        if (option == 'h') {
            print_usage(stdout, NULL, NULL);
            return EX_OK;
        }
        if (option != 'c')
            return command_usage(NULL);
        c.config = optarg;
    }
    c.row = find_row(argc - optind, argv + optind, &words);
    if (!c.row)
        return unknown_command(optind < argc ? argv[optind] : NULL);
    int skip = optind + words - 1;
    argv[skip] = argv[0]; /* by which getopt_long speaks of itself */
    if (!read_options(argc - skip, argv + skip, &c, &help))
        return command_usage(c.row);
    if (help) {
        print_usage(stdout, c.row, NULL);
        return EX_OK;
    }
    return c.row->run(&c);
}
