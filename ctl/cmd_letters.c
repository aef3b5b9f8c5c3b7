/*
 * cmd_letters.c - one's own letters that still lie here: look at one, take it back, put another in its place;
 * the administrator's hold; how much lies here of whom.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "ask.h"
#include "line_ends.h"
#include "local/api.h"

static const struct table_column event_columns[] = {
    {"TIME", "time", 0, false},
    {"EVENT", "event", 0, false},
    {"DETAIL", "detail", 0, true},
};
static const struct table_column outcome_columns[] = {
    {"TICKET", "id", 0, false},
    {"RECIPIENT", "recipient", 40, false},
    {"OUTCOME", "outcome", 0, false},
    {"TEXT", "text", 0, false},
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

/* ---- back, away, and held */

/* How a word on several tickets ends: 0 when it holds for all; 75 when what failed may be tried again; else
 * 1. */
static int outcome_status(const struct rows *rows)
{
    int status = EX_OK;

    for (size_t i = 0; i < rows_count(rows); i++) {
        if (strcmp(rows_get_text(rows, i, "done"), "yes") == 0)
            continue;
        if (strcmp(rows_get_text(rows, i, "again"), "yes") != 0)
            return 1;
        status = EX_TEMPFAIL;
    }
    return status;
}

static int end_with_outcomes(struct ask *a)
{
    int status = a->err ? EX_OK : outcome_status(a->rows);

    if (ask_is_for_people(a))
        table_print(stdout, a->rows, outcome_columns, COUNT(outcome_columns));
    int failed = ask_end(a);
    return failed ? failed : status;
}

/* The ticket's id is the first argument, unless there is a Message-ID; so many others follow. */
static bool which(const struct command *c, int others, struct ask *a)
{
    bool by_id = !command_value(c, "message-id");

    if (c->argc != others + by_id)
        return false;
    if (by_id)
        ask_add(a, "id", c->argv[0]);
    return true;
}

static int post_outcomes(const struct command *c, const char *path, const char *name, const char *hold)
{
    struct ask a;

    ask_init(&a, c, path);
    ask_add(&a, "hold", hold);
    if (!which(c, 0, &a)) {
        ask_free(&a);
        return command_usage(c->row);
    }
    ask_post(&a, name);
    return end_with_outcomes(&a);
}

static int command_retract(const struct command *c)
{
    return post_outcomes(c, API_RETRACT_PATH, "retract", NULL);
}

static int command_hold(const struct command *c)
{
    return post_outcomes(c, API_HOLD_PATH, "hold", "yes");
}

static int command_release(const struct command *c)
{
    return post_outcomes(c, API_HOLD_PATH, "release", "no");
}

/* ---- another in its place */

struct file {
    int fd;
    const char *name;
    bool ended;
    struct line_ends lines;
};

static ssize_t read_failed(struct ask *a, const struct file *f, enum err e)
{
    a->err = e;
    if (e == ERR_BAD_BYTES)
        buf_printf(&a->why, "%s, line %llu: a bare CR or LF, or a NUL: nothing was replaced", f->name,
                   (unsigned long long)f->lines.lines + 1);
    else if (e == ERR_IO)
        buf_printf(&a->why, "%s: %s: nothing was replaced", f->name, strerror(errno));
    return -1;
}

static ssize_t read_file(struct ask *a, void *arg, char *out, size_t max)
{
    struct file *f = arg;
    struct buf piece;
    char in[16384];
    ssize_t got = 0;
    size_t len = 0;

    if (f->ended)
        return 0;
    buf_init(&piece, max);
    enum err e = ERR_OK;
    do {
        got = read(f->fd, in, sizeof in < max / 2 - 1 ? sizeof in : max / 2 - 1);
    } while (got < 0 && errno == EINTR);
    if (got < 0)
        e = ERR_IO;
    else if (got > 0)
        e = line_ends_feed(&f->lines, in, (size_t)got, &piece);
    else
        e = line_ends_finish(&f->lines, &piece);
    f->ended = got == 0;
    if (!e && piece.len) {
        len = piece.len;
        memcpy(out, piece.data, len);
    }
    buf_free(&piece);
    return e ? read_failed(a, f, e) : (ssize_t)len;
}

static int command_replace(const struct command *c)
{
    struct ask a;
    struct file f = {.name = c->argv[c->argc - 1]};

    ask_init(&a, c, API_REPLACE_PATH);
    if (!which(c, 1, &a)) {
        ask_free(&a);
        return command_usage(c->row);
    }
    bool is_stdin = strcmp(f.name, "-") == 0;
    f.fd = is_stdin ? STDIN_FILENO : open(f.name, O_RDONLY | O_CLOEXEC);
    if (f.fd < 0)
        read_failed(&a, &f, ERR_IO);
    else
        ask_upload(&a, read_file, &f, "replace");
    if (f.fd >= 0 && !is_stdin)
        close(f.fd);
    return end_with_outcomes(&a);
}

/* ---- how much lies here */

static int command_quota(const struct command *c)
{
    return ask_list(c, API_QUOTA_PATH, "quota", c->argc ? "name" : NULL, quota_columns, COUNT(quota_columns));
}

static const struct command_option which_options[] = {
    {"message-id", "message_id", false}, {"recipient", "recipient", false}, {NULL, NULL, false}};
static const struct command_option hold_options[] = {{"message-id", "message_id", false},
                                                     {"recipient", "recipient", false},
                                                     {"note", "note", false},
                                                     {NULL, NULL, false}};
#define WHICH "ID | --message-id M [--recipient ADDRESS]"

const struct command_row commands_of_letters[] = {
    {"ticket", "ID",
     "all about one of them, and what happened to it (a prefix of its id, or of what the log calls ticket=)",
     1, 1, NULL, true, command_ticket},
    {"retract", WHICH, "takes a letter back that nobody has collected yet", 0, 1, which_options, true,
     command_retract},
    {"replace", "ID FILE | --message-id M [--recipient ADDRESS] FILE",
     "puts another in the place of a letter that nobody has collected yet (FILE -: standard input)", 1, 2,
     which_options, true, command_replace},
    {"hold", WHICH " [--note TEXT]", "keeps a letter from being retracted, replaced, and expired", 0, 1,
     hold_options, true, command_hold},
    {"release", WHICH, "takes it off hold", 0, 1, which_options, true, command_release},
    {"quota", "[SENDER | @DOMAIN]", "how much lies here of whose letters, and how much may", 0, 1, NULL, true,
     command_quota},
    {.name = NULL},
};
