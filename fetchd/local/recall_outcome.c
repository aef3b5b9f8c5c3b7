/*
 * recall_outcome.c - see recall_outcome.h.
 */
#include "local/recall_outcome.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/clock.h"
#include "local/ticket_rows.h"

static void say(struct outcome *out, const char *word, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void say(struct outcome *out, const char *word, const char *format, ...)
{
    va_list ap;

    out->word = word;
    va_start(ap, format);
    vsnprintf(out->text, sizeof out->text, format, ap);
    va_end(ap);
}

/* Once handed over, nobody can take it back, whatever came of it. */
static void say_collected(const struct ticket *t, struct outcome *out)
{
    char when[CLOCK_ISO_MAX];

    out->collected_s = t->handed_over_s;
    out->confirmed = t->state == TICKET_DELIVERED;
    clock_iso(t->handed_over_s, when);
    if (t->state == TICKET_REFUSED)
        say(out, "collected", "collected at %s, and refused then: %s %s", when, t->remote_reason,
            t->remote_text);
    else
        say(out, "collected", "collected at %s, %s", when,
            out->confirmed                   ? "arrival confirmed"
            : t->state == TICKET_UNCONFIRMED ? "arrival never confirmed"
                                             : "arrival not yet confirmed");
}

static void say_ended(const struct ticket *t, struct outcome *out)
{
    char when[CLOCK_ISO_MAX];

    if (t->handed_over_s) {
        say_collected(t, out);
        return;
    }
    clock_iso(t->changed_s, when);
    say(out, "ended", "ended as %s at %s%s%s%s%s", ticket_state_name(t->state), when,
        t->remote_reason[0] || t->remote_text[0] ? ": " : "", t->remote_reason,
        t->remote_reason[0] ? " " : "", t->remote_text);
}

static void say_done(enum recall_word word, const struct ticket *t, struct outcome *out)
{
    out->done = true;
    switch (word) {
    case RECALL_RETRACT:
        say(out, "retracted", "nobody had collected it");
        break;
    case RECALL_REPLACE:
        say(out, "replaced", "version %u", t->version);
        break;
    case RECALL_HOLD:
        say(out, "on-hold", "%s",
            t->handed_over_s ? "it was collected before" : "nobody has collected it yet");
        break;
    case RECALL_RELEASE:
        say(out, "released", "%s", ticket_state_name(t->state));
        break;
    }
}

void outcome_of(enum recall_word word, enum err e, const struct ticket *t, struct outcome *out)
{
    *out = (struct outcome){.again = e != ERR_OK && err_temporary(e)};
    switch (e) {
    case ERR_OK:
        say_done(word, t, out);
        break;
    case ERR_HANDED_OVER:
        say_collected(t, out);
        break;
    case ERR_GONE:
        say_ended(t, out);
        break;
    case ERR_ON_HOLD:
        say(out, "on-hold", "%s", err_text(e));
        break;
    case ERR_RESTORED:
        say(out, "perhaps", "%s", err_text(e));
        break;
    case ERR_UNARCHIVED:
    case ERR_BUSY:
        say(out, "not-yet", "%s: try again", err_text(e));
        break;
    case ERR_FROM_CHANGED:
        say(out, "from-changed", "the new letter is not from %s, as the old one is", t->from);
        break;
    default:
        say(out, "failed", "%s", err_text(e));
        break;
    }
}

void outcome_forbidden(enum recall_word word, const struct ticket *t, struct outcome *out)
{
    *out = (struct outcome){.done = false};
    if (t->handed_over_s)
        say_collected(t, out);
    else if (ticket_state_ended(t->state))
        say_ended(t, out);
    else
        say(out, "forbidden", "letters of %s may not be %s here", t->sender,
            word == RECALL_RETRACT ? "retracted" : "replaced");
}

void outcome_row(struct rows *r, const struct ticket *t, const struct outcome *o)
{
    ticket_row_short(r, t);
    rows_number(r, "version", t->version);
    rows_text(r, "outcome", o->word);
    rows_text(r, "done", o->done ? "yes" : "no");
    if (!o->done)
        rows_text(r, "again", o->again ? "yes" : "no");
    if (o->collected_s) {
        rows_time(r, "collected", o->collected_s);
        rows_text(r, "confirmed", o->confirmed ? "yes" : "no");
    }
    rows_text(r, "text", o->text);
}
