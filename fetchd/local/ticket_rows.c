/*
 * ticket_rows.c - see ticket_rows.h.
 */
#include "local/ticket_rows.h"

#include <stdio.h>

#define DETAIL_MAX 1024 /* bytes: what is longer is cut */

void ticket_row_short(struct rows *r, const struct ticket *t)
{
    rows_begin(r);
    rows_hex(r, "id", t->a, sizeof t->a);
    rows_text(r, "state", ticket_state_name(t->state));
    rows_text(r, "sender", t->sender);
    rows_text(r, "recipient", t->recipient);
    rows_text(r, "message_id", t->message_id);
    rows_text(r, "queue_id", t->queue_id);
    rows_number(r, "letter_bytes", (int64_t)t->letter_bytes);
    rows_time(r, "created", t->created_s);
}

void ticket_row(struct rows *r, const struct ticket *t)
{
    ticket_row_short(r, t);
    rows_text(r, "owner", t->owner);
    rows_text(r, "from", t->from);
    rows_number(r, "version", t->version);
    rows_time(r, "changed", t->changed_s);
    rows_time(r, "expires", t->expires_s);
    rows_time(r, "stub_sent", t->stub_sent_s);
    rows_text(r, "stub_queue_id", t->stub_queue_id);
    rows_number(r, "stub_tries", t->stub_tries);
    rows_time(r, "handed_over", t->handed_over_s);
    rows_text(r, "lease_holder", t->lease_holder);
    rows_time(r, "lease_until", t->lease_until_s);
    rows_number(r, "lapses", t->lapses);
    rows_number(r, "bodies", t->bodies);
    rows_text(r, "notify", t->notify);
    rows_text(r, "reason", t->remote_reason);
    rows_text(r, "text", t->remote_text);
    rows_text(r, "challenge", t->state == TICKET_CHALLENGED ? t->challenge_url : NULL);
    rows_text(r, "hold", t->hold ? "yes" : NULL);
    rows_text(r, "hold_note", t->hold ? t->hold_note : NULL);
    rows_text(r, "perhaps_handed_over", t->perhaps ? "yes" : NULL);
}

void ticket_row_whole(struct rows *r, const struct ticket *t)
{
    ticket_row(r, t);
    rows_text(r, "list_id", t->list_id);
    rows_text(r, "ret", t->ret);
    rows_text(r, "envid", t->envid);
    rows_text(r, "challenge", t->challenge_url);
    rows_number(r, "renotified", t->renotified);
    rows_time(r, "next_look", ticket_state_ended(t->state) ? 0 : t->look_s);
    rows_time(r, "status_told", t->status_s);
    rows_time(r, "delay_told", t->delay_told_s);
    rows_text(r, "archived", t->archived ? "yes" : NULL);
    rows_number(r, "events", t->event_count);
}

/* ---- what happened */

static void two_parts(const char *first, const char *second, char out[DETAIL_MAX])
{
    snprintf(out, DETAIL_MAX, "%s%s%s", first, first[0] && second[0] ? ": " : "", second);
}

static void describe(const struct ticket *t, unsigned what, char out[DETAIL_MAX])
{
    out[0] = '\0';
    switch (what) {
    case TICKET_WAITING:
        two_parts(t->queue_id[0] ? "queue id" : "", t->queue_id, out);
        break;
    case TICKET_CHALLENGED:
        two_parts("", t->challenge_url, out);
        break;
    case TICKET_LEASED:
        two_parts(t->lease_holder[0] ? "called for by" : "", t->lease_holder, out);
        break;
    case TICKET_REFUSED:
    case TICKET_BOUNCED:
    case TICKET_PLAIN:
        two_parts(t->remote_reason, t->remote_text, out);
        break;
    case TICKET_EVENT_STUB_SENT:
        two_parts(t->stub_queue_id[0] ? "queue id" : "", t->stub_queue_id, out);
        break;
    case TICKET_EVENT_REPLACED:
        snprintf(out, DETAIL_MAX, "version %u", t->version);
        break;
    case TICKET_EVENT_HOLD:
        two_parts("", t->hold ? t->hold_note : "", out); /* the event says the rest */
        break;
    default:
        break;
    }
}

/* A ticket remembers the particulars of the newest of each kind alone. */
static bool is_newest(const struct ticket *t, size_t at, unsigned what)
{
    struct ticket_event later;

    for (size_t i = at + 1; ticket_event_get(t, i, &later); i++) {
        if (later.what == what)
            return false;
    }
    return true;
}

void ticket_event_rows(struct rows *r, const struct ticket *t)
{
    struct ticket_event event;
    char detail[DETAIL_MAX];

    for (size_t i = 0; ticket_event_get(t, i, &event); i++) {
        rows_begin(r);
        rows_time(r, "time", event.at_s);
        rows_text(r, "event", ticket_event_name(event.what));
        if (is_newest(t, i, event.what)) {
            describe(t, event.what, detail);
            rows_text(r, "detail", detail);
        }
    }
}
