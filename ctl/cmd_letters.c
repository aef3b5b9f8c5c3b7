/*
 * cmd_letters.c - letters that lie here, one at a time, and how much lies here of whom.
 */
#include "ask.h"
#include "local/api.h"

static const struct table_column event_columns[] = {
    {"TIME", "time", 0, false},
    {"EVENT", "event", 0, false},
    {"DETAIL", "detail", 0, true},
};
static const struct table_column quota_columns[] = {
    {"NAME", "name", 50, false},      {"BYTES", "bytes", 0, false},     {"OF", "bytes_limit", 0, true},
    {"LETTERS", "letters", 0, false}, {"OF", "letters_limit", 0, true}, {"PERCENT", "percent", 0, true},
    {"WARNED", "warned", 0, true},
};
#define COUNT(a) (sizeof(a) / sizeof(a)[0])

/* ---- one letter */

static int command_ticket(const struct command *c)
{
    struct ask a;
    struct rows *events;

    ask_init(&a, c, API_TICKET_PATH);
    ask_add(&a, "id", c->argv[0]);
    ask_get(&a, "ticket");
    if (ask_is_for_people(&a)) {
        table_print_entry(stdout, a.rows, 0);
        if ((events = ask_rows(&a, "events"))) {
            fputc('\n', stdout);
            table_print(stdout, events, event_columns, COUNT(event_columns));
        }
        rows_free(events);
    }
    return ask_end(&a);
}

/* ---- how much lies here */

static int command_quota(const struct command *c)
{
    return ask_list(c, API_QUOTA_PATH, "quota", c->argc ? "name" : NULL, quota_columns, COUNT(quota_columns));
}

const struct command_row commands_of_letters[] = {
    {"ticket", "ID",
     "all about one of them, and what happened to it (a prefix of its id, or of what the log calls ticket=)",
     1, 1, NULL, true, command_ticket},
    {"quota", "[SENDER | @DOMAIN]", "how much lies here of whose letters, and how much may", 0, 1, NULL, true,
     command_quota},
    {.name = NULL},
};
