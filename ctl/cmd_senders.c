/*
 * cmd_senders.c - who may write to a mailbox: who tried, who is allowed or denied.
 */
#include <stdio.h>

#include "ask.h"
#include "base/encode.h"
#include "local/api.h"

static const struct table_column attempt_columns[] = {
    {"MAILBOX", "mailbox", 40, false},
    {"SENDER", "sender", 50, false},
    {"FIRST", "first", 0, false},
    {"LAST", "last", 0, false},
    {"COUNT", "count", 0, false},
    {"WAITING", "waiting", 0, false},
    {"CHANGED", "changed", 0, true},
    {"REASON", "reason", 0, false},
    {"DOMAIN", "verified", 50, false},
    {"LINK-HOST", "link_host", 50, false},
    {"ISSUER", "certificate_issuer", 60, true},
    {"SERIAL", "certificate_serial", 40, true},
    {"CLIENT", "client", 0, false},
    {"LIST", "list_id", 50, true},
    {"NAME", "name", 40, true},
    {"SUBJECT", "subject", 60, true},
};
static const struct table_column rule_columns[] = {
    {"RULE", "rule", 0, false},     {"SENDER", "sender", 60, false},    {"KIND", "kind", 0, false},
    {"DOMAIN", "domain", 50, true}, {"IN-FORCE", "in_force", 0, false}, {"UNTIL", "until", 0, true},
    {"ORIGIN", "origin", 0, false}, {"CREATED", "created", 0, false},   {"NOTE", "note", 60, true},
};
static const struct table_column correspondent_columns[] = {
    {"ADDRESS", "address", 60, false}, {"SINCE", "since", 0, false}, {"UNTIL", "until", 0, false}};
#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static int command_attempts(const struct command *c)
{
    bool all = command_value(c, "all") != NULL;

    if (all != (c->argc == 0))
        return command_usage(c->row);
    return ask_list(c, API_ATTEMPTS_PATH, "attempts", all ? NULL : "mailbox", attempt_columns,
                    COUNT(attempt_columns));
}

static size_t correspondents_of(const struct command *c)
{
    struct ask a;

    ask_init(&a, c, API_RULES_PATH);
    ask_add(&a, "mailbox", c->argv[0]);
    ask_add(&a, "correspondents", "yes");
    size_t count = ask_get(&a, "correspondents") ? rows_count(a.rows) : 0;
    ask_free(&a);
    return count;
}

static int command_rules(const struct command *c)
{
    if (command_value(c, "correspondents"))
        return ask_list(c, API_RULES_PATH, "correspondents", "mailbox", correspondent_columns,
                        COUNT(correspondent_columns));
    int status = ask_list(c, API_RULES_PATH, "rules", "mailbox", rule_columns, COUNT(rule_columns));
    size_t count = status || c->json ? 0 : correspondents_of(c);
    if (count)
        printf("and %zu whom the owner wrote to (--correspondents)\n", count);
    return status;
}

/* ---- allow, deny, forget */

/* "allowed list:dev.lists.test for bob@b.test, until ..." */
static void print_who(const struct rows *r, const char *done)
{
    struct buf shown;
    const char *until = rows_get_text(r, 0, "until"), *domain = rows_get_text(r, 0, "domain");

    buf_init(&shown, 8192);
    encode_visible(&shown, span_of(rows_get_text(r, 0, "sender")));
    printf("%s %s", done, buf_cstr(&shown));
    if (domain[0])
        printf(" from %s", domain);
    buf_clear(&shown);
    encode_visible(&shown, span_of(rows_get_text(r, 0, "mailbox")));
    printf(" for %s%s%s", buf_cstr(&shown), until[0] ? ", until " : "", until);
    buf_free(&shown);
}

static void print_letters(const struct rows *r, const char *what)
{
    long long letters = (long long)rows_get_number(r, 0, "letters");

    printf(": %lld letter%s %s\n", letters, letters == 1 ? "" : "s", what);
}

static void ask_about(struct ask *a, const struct command *c, const char *path, const char *name)
{
    ask_init(a, c, path);
    ask_add(a, "mailbox", c->argv[0]);
    ask_add(a, "sender", c->argv[1]);
    ask_post(a, name);
}

static int command_allow(const struct command *c)
{
    struct ask a;

    ask_about(&a, c, API_ALLOW_PATH, "allowed");
    if (ask_is_for_people(&a)) {
        print_who(a.rows, "allowed");
        print_letters(a.rows, "called for");
    }
    return ask_end(&a);
}

static int command_deny(const struct command *c)
{
    struct ask a;

    ask_about(&a, c, API_DENY_PATH, "denied");
    if (ask_is_for_people(&a)) {
        bool told = rows_get_text(a.rows, 0, "denial")[0] == 't';
        print_who(a.rows, "denied");
        print_letters(a.rows, told ? "refused" : "dropped in silence");
    }
    return ask_end(&a);
}

static int command_forget(const struct command *c)
{
    struct ask a;

    ask_about(&a, c, API_FORGET_PATH, "forgotten");
    if (ask_is_for_people(&a)) {
        print_who(a.rows, "forgot");
        print_letters(a.rows, "dropped in silence");
    }
    return ask_end(&a);
}

static const struct command_option attempts_options[] = {
    {"all", NULL, true}, {"limit", "limit", false}, {NULL, NULL, false}};
static const struct command_option rules_options[] = {{"correspondents", "correspondents", true},
                                                      {NULL, NULL, false}};
static const struct command_option entry_options[] = {
    {"until", "until", false}, {"note", "note", false}, {"domain", "domain", false}, {NULL, NULL, false}};

const struct command_row commands_of_senders[] = {
    {"attempts", "MAILBOX|--all [--limit N]", "who tried to write, and was not admitted", 0, 1,
     attempts_options, true, command_attempts},
    {"rules", "MAILBOX [--correspondents]", "who is allowed and denied (or: whom the owner wrote to)", 1, 1,
     rules_options, true, command_rules},
    {"allow", "MAILBOX SENDER [--until DATE] [--note TEXT] [--domain DOMAIN]",
     "lets a sender write (address, domain, .domain, list:ID) and calls for what waits", 2, 2, entry_options,
     true, command_allow},
    {"deny", "MAILBOX SENDER [--until DATE] [--note TEXT] [--domain DOMAIN]",
     "does not, and drops what waits", 2, 2, entry_options, true, command_deny},
    {"forget", "MAILBOX SENDER", "as if nothing was ever said or heard of a sender", 2, 2, NULL, true,
     command_forget},
    {.name = NULL},
};
