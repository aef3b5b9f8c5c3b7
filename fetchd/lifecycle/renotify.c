/*
 * renotify.c - see renotify.h.
 */
#include "lifecycle/renotify.h"

#define DAY_S 86400
#define JITTER_PART 10 /* a time is put off by less than this part of the interval beside it */

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* ---- the schedule */

/* 0 to 1023, evenly, the same each time: FNV-1a over the ticket's random identifier and the number. */
static int64_t dice(const struct ticket *t, uint64_t number)
{
    uint64_t hash = 14695981039346656037U;

    for (size_t i = 0; i < sizeof t->a; i++)
        hash = (hash ^ t->a[i]) * 1099511628211U;
    for (size_t i = 0; i < sizeof number; i++)
        hash = (hash ^ (number >> 8 * i & 0xff)) * 1099511628211U;
    return (int64_t)(hash >> 32 & 1023);
}

/* The number-th time, from 0. Later ones are later: what is put off stays well before the next. */
static int64_t slot(const struct ticket *t, const struct renotify_rules *r, uint64_t number)
{
    int64_t last_s = r->schedule_s[r->count - 1], at_s, before_s, after_s;

    if (number < r->count) {
        at_s = r->schedule_s[number];
        before_s = number > 0 ? r->schedule_s[number - 1] : 0;
        after_s = number + 1 < r->count ? r->schedule_s[number + 1] : at_s + last_s;
    } else {
        at_s = last_s * (int64_t)(number - r->count + 2);
        before_s = at_s - last_s;
        after_s = at_s + last_s;
    }
    int64_t room_s = smaller(at_s - before_s, after_s - at_s) / JITTER_PART;
    return t->created_s + at_s + room_s * dice(t, number) / 1024;
}

/* The first time after `after_s`; INT64_MAX without a schedule. */
static int64_t slot_after(const struct ticket *t, const struct renotify_rules *r, int64_t after_s)
{
    if (r->count == 0)
        return INT64_MAX;
    for (uint64_t i = 0; i < r->count; i++) {
        if (slot(t, r, i) > after_s)
            return slot(t, r, i);
    }
    int64_t rounds = larger((after_s - t->created_s) / r->schedule_s[r->count - 1], 2);
    uint64_t number = (uint64_t)rounds - 2 + r->count;
    return slot(t, r, number) > after_s ? slot(t, r, number) : slot(t, r, number + 1);
}

/* When to tell again after the other side was told at told_s: never at once after it. */
static int64_t again_after(const struct ticket *t, const struct renotify_rules *r, int64_t told_s)
{
    return slot_after(t, r, r->count > 0 ? told_s + r->schedule_s[0] / 2 : told_s);
}

/* ---- what keeps it from being told */

/* Until when nothing is sent although it may be time: a lease runs, or the other side has just said that the
 * letter waits there. now_s or earlier: nothing keeps it. */
static int64_t quiet_until(const struct ticket *t, const struct renotify_rules *r, int64_t now_s)
{
    switch (t->state) {
    case TICKET_LEASED:
    case TICKET_LAPSED:
        /* A body under way keeps a lease running beyond what the store knows of it. */
        return larger(t->state == TICKET_LEASED ? smaller(t->lease_until_s, now_s + r->lease_total_s) : 0,
                      smaller(t->lease_started_s, now_s) + r->lease_total_s);
    case TICKET_HELD:
    case TICKET_CHALLENGED:
        return smaller(t->status_s, now_s) + r->held_fresh_s;
    default:
        return now_s;
    }
}

/* Whether it was replaced since the other side was last told. */
static bool replaced_since(const struct ticket *t)
{
    struct ticket_event event;
    bool replaced = false;

    for (size_t i = 0; ticket_event_get(t, i, &event); i++) {
        if (event.what == TICKET_EVENT_REPLACED)
            replaced = true;
        else if (event.what == TICKET_EVENT_STUB_SENT)
            replaced = false;
    }
    return replaced;
}

static bool in_sight(const struct ticket *t)
{
    return t->state == TICKET_HELD || t->state == TICKET_CHALLENGED;
}

/* ---- the look */

static enum renotify_act act_of(const struct ticket *t, bool quiet, bool slot_due)
{
    if (t->state == TICKET_WAITING && t->stub_sent_s == 0)
        return RENOTIFY_FIRST;
    if (in_sight(t) && replaced_since(t))
        return RENOTIFY_RECALL;
    return !quiet && slot_due ? RENOTIFY_AGAIN : RENOTIFY_WAIT;
}

/* The warning's time, if it is still to come; else INT64_MAX. */
static int64_t warning_at(const struct ticket *t, const struct renotify_rules *r)
{
    return r->delay_warning_s > 0 && t->delay_told_s == 0 ? t->created_s + r->delay_warning_s : INT64_MAX;
}

static void look_at_living(const struct ticket *t, const struct renotify_rules *r, int64_t now_s,
                           struct renotify *out)
{
    int64_t quiet_s = quiet_until(t, r, now_s), warning_s = warning_at(t, r);
    int64_t told_s = smaller(t->stub_sent_s, now_s);
    bool quiet = quiet_s > now_s, leased = quiet && !in_sight(t);
    int64_t again_s = again_after(t, r, told_s);

    out->warn = warning_s <= now_s && !leased;
    out->act = act_of(t, quiet, again_s <= now_s);
    if (out->act != RENOTIFY_WAIT)
        again_s = again_after(t, r, now_s);
    else if (again_s != INT64_MAX)
        again_s = larger(again_s, quiet_s);
    if (!out->warn && warning_s != INT64_MAX)
        again_s = smaller(again_s, leased ? larger(quiet_s, warning_s) : warning_s);
    out->next_s = again_s;
    if (out->next_s == INT64_MAX) {
        out->next_s = 0;
        if (out->act == RENOTIFY_WAIT)
            out->act = RENOTIFY_STOP;
    }
}

void renotify_look(const struct ticket *t, const struct renotify_rules *rules, int64_t now_s,
                   struct renotify *out)
{
    *out = (struct renotify){.act = RENOTIFY_STOP};
    if (t->state == TICKET_RETRACTED && now_s < t->expires_s)
        out->act = RENOTIFY_RECALL;
    if (ticket_state_ended(t->state))
        return;
    if (now_s >= t->expires_s) {
        /* On hold, or about to be ended: a stub that says so itself is of no use to anybody. */
        *out = (struct renotify){.act = RENOTIFY_WAIT, .next_s = now_s + DAY_S};
        return;
    }
    look_at_living(t, rules, now_s, out);
}

enum renotify_way renotify_way(const struct ticket *t, enum route route,
                               const struct discovery_answer *answer)
{
    bool known = !answer->remembered && answer->word != DISCOVERY_UNKNOWN;
    bool takes = known && (answer->word == DISCOVERY_YES ||
                           (answer->word == DISCOVERY_TESTING && route == ROUTE_PULL));

    /* What was handed over may have arrived: it never goes out a second time. */
    bool may_go_plain = t->handed_over_s == 0 && !t->perhaps && route != ROUTE_PULL;
    if (route == ROUTE_PLAIN && may_go_plain)
        return RENOTIFY_PLAIN;
    if (takes)
        return RENOTIFY_STUB;
    return known && may_go_plain ? RENOTIFY_PLAIN : RENOTIFY_LATER;
}
