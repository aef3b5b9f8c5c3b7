/*
 * cmd_tokens.c - addresses to give away: user+token@domain.
 */
#include <stdio.h>

#include "ask.h"
#include "base/encode.h"
#include "local/api.h"

static const struct table_column token_columns[] = {
    {"ADDRESS", "address", 0, false}, {"STATE", "state", 0, false}, {"USED", "used", 0, false},
    {"LETTERS", "letters", 0, false}, {"UNTIL", "until", 0, false}, {"BIND", "bind", 0, false},
    {"BOUND-TO", "bound", 50, true},  {"LAST", "last", 0, false},   {"NOTE", "note", 60, true},
};
#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static void print_address(const struct rows *r)
{
    struct buf shown;

    buf_init(&shown, 8192);
    encode_visible(&shown, span_of(rows_get_text(r, 0, "address")));
    printf("%s\n", buf_cstr(&shown));
    buf_free(&shown);
}

static int command_add(const struct command *c)
{
    struct ask a;

    ask_init(&a, c, API_TOKENS_PATH);
    ask_add(&a, "mailbox", c->argv[0]);
    ask_add(&a, "token", c->argc > 1 ? c->argv[1] : NULL);
    ask_post(&a, "tokens");
    if (ask_is_for_people(&a))
        print_address(a.rows);
    return ask_end(&a);
}

static int command_list(const struct command *c)
{
    return ask_list(c, API_TOKENS_PATH, "tokens", "mailbox", token_columns, COUNT(token_columns));
}

static int command_revoke(const struct command *c)
{
    struct ask a;

    ask_init(&a, c, API_REVOKE_PATH);
    ask_add(&a, "mailbox", c->argv[0]);
    ask_add(&a, "token", c->argv[1]);
    ask_post(&a, "tokens");
    if (ask_is_for_people(&a)) {
        printf("revoked ");
        print_address(a.rows);
    }
    return ask_end(&a);
}

static const struct command_option add_options[] = {{"until", "until", false},
                                                    {"letters", "letters", false},
                                                    {"bind", "bind", true},
                                                    {"note", "note", false},
                                                    {NULL, NULL, false}};

const struct command_row commands_of_tokens[] = {
    {"token add", "MAILBOX [TOKEN] [--until DATE] [--letters N] [--bind] [--note TEXT]",
     "makes an address to give away, and prints it", 1, 2, add_options, true, command_add},
    {"token list", "MAILBOX", "those there are, with their uses", 1, 1, NULL, true, command_list},
    {"token revoke", "MAILBOX TOKEN", "ends one at once", 2, 2, NULL, true, command_revoke},
    {.name = NULL},
};
