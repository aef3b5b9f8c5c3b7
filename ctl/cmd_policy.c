/*
 * cmd_policy.c - how a mailbox or a domain treats senders whom it does not know.
 */
#include <stdio.h>
#include <string.h>

#include "ask.h"
#include "local/api.h"

static const struct table_column columns[] = {
    {"PART", "part", 0, false}, {"VALUE", "value", 0, false}, {"FROM", "from", 0, false}};

static int command_policy(const struct command *c)
{
    struct ask a;
    char name[32];
    unsigned answers = 0;

    ask_init(&a, c, API_POLICY_PATH);
    ask_add(&a, "name", c->argv[0]);
    if (c->argc > 1)
        ask_add(&a, "rule", c->argv[1]);
    for (size_t i = 0; i < c->count; i++) {
        if (strcmp(c->given[i].option->name, "answer") != 0)
            continue;
        snprintf(name, sizeof name, "answer%u", ++answers);
        ask_add(&a, name, c->given[i].value);
    }
    if (c->argc > 1 || c->count)
        ask_post(&a, "policy");
    else
        ask_get(&a, "policy");
    if (ask_is_for_people(&a))
        table_print(stdout, a.rows, columns, sizeof columns / sizeof columns[0]);
    return ask_end(&a);
}

static const struct command_option options[] = {
    {"legacy", "legacy", false},
    {"mode", "mode", false},
    {"denial", "denial", false},
    {"challenge", "challenge", false},
    {"question", "question", false},
    {"answer", NULL, false},
    {"correspondents", "correspondents", false},
    {NULL, NULL, false},
};

const struct command_row commands_of_policy[] = {
    {"policy",
     "MAILBOX|@DOMAIN [open|known|challenge|default] [--legacy accept|attempt|reject|default]\n"
     "      [--mode observe|enforce|default] [--denial silent|told|default] [--challenge "
     "work|question|default]\n"
     "      [--question TEXT --answer TEXT...] [--correspondents on|off|default]",
     "shows what is in force and where it comes from, or changes it", 1, 2, options, true, command_policy},
    {.name = NULL},
};
