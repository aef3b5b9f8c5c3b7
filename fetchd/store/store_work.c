/*
 * store_work.c - the outbox: stubs and plain letters to send, notifications and warnings to write. An entry
 * is a key in WORK_DUE, ordered by time, and the same time in its ticket; the two change in one commit.
 */
#include <stdlib.h>
#include <string.h>

#include "base/kill.h"
#include "base/log.h"
#include "mail/dsn.h"
#include "store/store_handover.h"
#include "store/ticket_state.h"

struct grace_id {
    uint8_t byte[TICKET_STORE_KEY_BYTES + 1];
};

static struct grace_id grace_id(const struct work *w)
{
    struct grace_id id;

    memcpy(id.byte, w->key, sizeof w->key);
    id.byte[sizeof w->key] = (uint8_t)w->kind;
    return id;
}

static struct span grace_span(const struct grace_id *id)
{
    return span_bytes(id->byte, sizeof id->byte);
}

/* The entry as its ticket has it now; ERR_NOT_FOUND when it was done or put off since the index was read. */
static enum err look_again(struct store *s, struct work *w, struct ticket_record *r, struct buf *value)
{
    enum err err = store_read(s, TABLE_TICKET, span_bytes(w->key, sizeof w->key), value);

    memset(r, 0, sizeof *r);
    if (err == ERR_OK)
        err = ticket_record_decode(buf_span(value), w->key, r);
    if (err != ERR_OK)
        return err;
    w->tries = *ticket_record_tries(r, w->kind);
    return w->due_s == *ticket_record_due(r, w->kind) ? ERR_OK : ERR_NOT_FOUND;
}

enum err store_work_due(struct store *s, int64_t now_s, int64_t grace_s, struct work *out, size_t max,
                        size_t *count)
{
    struct ticket_record *r = malloc(sizeof *r);
    struct walk walk;
    struct span key, value;
    struct buf record;
    size_t n = 0;
    enum err err = ERR_OK;

    if (r == NULL)
        return ERR_NOMEM;
    buf_init(&record, STORE_VALUE_MAX);
    walk_init(&walk, s, TABLE_WORK_DUE, record_key_time(0, NULL, 0), record_key_time(now_s + 1, NULL, 0),
              false);
    while (n < max && (err = walk_next(&walk, &key, &value)) == ERR_OK) {
        struct work w = {.due_s = 0};
        struct grace_id id;

        if (!record_key_work_parse(key, &w)) {
            err = ERR_STORE;
            break;
        }
        /* First taken, then looked at again: whoever finishes an entry commits first and gives it back then,
         * so an entry that is still there was not finished by anybody. */
        id = grace_id(&w);
        if (!grace_take(s->work_grace, grace_span(&id), grace_s * 1000))
            continue;
        err = look_again(s, &w, r, &record);
        if (err == ERR_OK) {
            out[n++] = w;
            continue;
        }
        grace_give_back(s->work_grace, grace_span(&id));
        if (err != ERR_NOT_FOUND && err != ERR_STORE)
            break;
    }
    walk_free(&walk);
    buf_free(&record);
    free(r);
    if (err == ERR_NOT_FOUND || n > 0)
        err = ERR_OK; /* what was taken must be handed out */
    if (err == ERR_OK)
        *count = n;
    return err;
}

void store_work_give_back(struct store *s, const struct work *w)
{
    struct grace_id id = grace_id(w);

    grace_give_back(s->work_grace, grace_span(&id));
}

enum err store_work_next(struct store *s, int64_t *due_s)
{
    struct record_key all = {.len = 0};
    struct work w = {.due_s = INT64_MAX};
    struct walk walk;
    struct span key, value;
    enum err err;

    walk_init(&walk, s, TABLE_WORK_DUE, all, all, false);
    walk.page = 1;
    err = walk_next(&walk, &key, &value);
    if (err == ERR_OK && !record_key_work_parse(key, &w))
        err = ERR_STORE;
    walk_free(&walk);
    if (err == ERR_NOT_FOUND)
        err = ERR_OK;
    if (err == ERR_OK)
        *due_s = w.due_s;
    return err;
}

/* ---- done, later, refused ------------------------------------------------------------------------------ */

struct outcome {
    const struct work *w;
    struct ticket_record *r;
    int64_t time_s, next_s;
    const char *queue_id, *status, *text;
};

/* The ticket with this entry. ERR_NOT_FOUND: nothing to do any more (the ticket ended or is gone). */
static enum err outcome_get(struct change *c, struct outcome *o)
{
    enum err err;

    memset(o->r, 0, sizeof *o->r);
    err = change_ticket_get(c, o->w->key, o->r);
    if (err == ERR_OK && *ticket_record_due(o->r, o->w->kind) == 0)
        err = ERR_NOT_FOUND;
    return err;
}

static enum err outcome_run(struct store *s, change_body body, struct outcome *o)
{
    struct grace_id id = grace_id(o->w);
    enum err err;

    if ((o->r = malloc(sizeof *o->r)) == NULL)
        return ERR_NOMEM;
    err = store_change(s, body, o);
    free(o->r);
    if (err == ERR_NOT_FOUND)
        err = ERR_OK;
    if (err == ERR_OK)
        grace_give_back(s->work_grace, grace_span(&id));
    return err;
}

static void stub_was_sent(struct ticket *t, const struct outcome *o)
{
    if (t->stub_sent_s != 0)
        t->renotified++;
    t->stub_tries = 0;
    t->stub_sent_s = o->time_s;
    store_text(t->stub_queue_id, sizeof t->stub_queue_id, o->queue_id);
    /* An earlier try's error is over; what the other side said is not. */
    if (t->state == TICKET_WAITING)
        t->remote_text[0] = '\0';
}

static const enum ticket_happening done_event[WORK_KIND_COUNT] = {
    [WORK_STUB] = TICKET_EVENT_STUB_SENT,           [WORK_NOTIFY] = TICKET_EVENT_NOTICE_SENT,
    [WORK_CHALLENGE] = TICKET_EVENT_CHALLENGE_TOLD, [WORK_DELAY] = TICKET_EVENT_DELAY_TOLD,
    [WORK_PLAIN] = TICKET_EVENT_PLAIN_SENT, /* of a quota nothing is said among one letter's events */
};

static enum err work_done(struct change *c, void *arg)
{
    struct outcome *o = arg;
    struct ticket_record *r = o->r;
    enum work_kind kind = o->w->kind;
    enum err err = outcome_get(c, o);

    if (err == ERR_OK)
        err = change_work_set(c, r, kind, o->next_s);
    if (err == ERR_OK && (kind == WORK_NOTIFY || kind == WORK_PLAIN))
        err = change_ticket_release(c, r);
    if (err != ERR_OK)
        return err;
    if (o->queue_id != NULL) {
        if (done_event[kind] != 0)
            ticket_event_add(&r->t, done_event[kind], o->time_s);
        if (kind == WORK_STUB)
            stub_was_sent(&r->t, o);
    }
    err = change_ticket_put(c, r);
    if (err == ERR_OK && o->w->kind != WORK_STUB)
        err =
            change_note_ticket(c, HANDOVER_TOLD, (uint32_t)o->w->kind, &r->t, o->time_s, span_bytes(NULL, 0));
    if (err == ERR_OK)
        KILL_POINT("work-done-commit-before");
    return err;
}

enum err store_work_done(struct store *s, const struct work *w, const char *queue_id, int64_t now_s)
{
    struct outcome o = {.w = w, .time_s = now_s, .queue_id = queue_id};
    enum err err = outcome_run(s, work_done, &o);

    KILL_POINT("work-done-commit-after");
    return err;
}

enum err store_stub_sent(struct store *s, const struct work *w, const char *queue_id, int64_t next_s,
                         int64_t now_s)
{
    struct outcome o = {.w = w, .time_s = now_s, .next_s = next_s, .queue_id = queue_id};
    enum err err = w->kind == WORK_STUB ? outcome_run(s, work_done, &o) : ERR_INTERNAL;

    KILL_POINT("work-done-commit-after");
    return err;
}

static enum err stub_wait(struct change *c, void *arg)
{
    struct outcome *o = arg;
    enum err err = outcome_get(c, o);

    if (err == ERR_OK)
        err = change_work_set(c, o->r, WORK_STUB, o->next_s);
    if (err == ERR_OK)
        err = change_ticket_put(c, o->r);
    if (err == ERR_OK)
        KILL_POINT("stub-wait-commit-before");
    return err;
}

enum err store_stub_wait(struct store *s, const struct work *w, int64_t next_s)
{
    struct outcome o = {.w = w, .next_s = next_s};
    enum err err = w->kind == WORK_STUB ? outcome_run(s, stub_wait, &o) : ERR_INTERNAL;

    KILL_POINT("stub-wait-commit-after");
    return err;
}

static enum err work_later(struct change *c, void *arg)
{
    struct outcome *o = arg;
    struct ticket_record *r = o->r;
    enum err err = outcome_get(c, o);

    if (err == ERR_OK)
        err = change_work_set(c, r, o->w->kind, o->time_s);
    if (err != ERR_OK)
        return err;
    ++*ticket_record_tries(r, o->w->kind);
    if (o->w->kind == WORK_STUB && r->t.state == TICKET_WAITING)
        store_text(r->t.remote_text, sizeof r->t.remote_text, o->text);
    err = change_ticket_put(c, r);
    if (err == ERR_OK)
        KILL_POINT("work-later-commit-before");
    return err;
}

enum err store_work_later(struct store *s, const struct work *w, int64_t next_s, const char *why)
{
    struct outcome o = {.w = w, .time_s = next_s, .text = why};
    enum err err = outcome_run(s, work_later, &o);

    KILL_POINT("work-later-commit-after");
    return err;
}

static enum err stub_refused(struct change *c, struct outcome *o)
{
    struct ticket *t = &o->r->t;

    t->stub_tries++;
    /* Handed over all the same: the stub has done its work. Ended: it was to be told of that. */
    if (ticket_may_bounce(t) != ERR_OK)
        return change_work_set(c, o->r, WORK_STUB, 0);
    store_text(t->remote_reason, sizeof t->remote_reason, o->status);
    store_text(t->remote_text, sizeof t->remote_text, o->text);
    return change_ticket_enter(c, o->r, TICKET_BOUNCED, o->time_s);
}

/* The letter itself will not go: its sender is told, with what the payload is kept for. */
static enum err plain_refused(struct change *c, struct outcome *o)
{
    struct ticket_record *r = o->r;
    enum err err = change_work_set(c, r, WORK_PLAIN, 0);

    r->plain_tries++;
    store_text(r->t.remote_reason, sizeof r->t.remote_reason, o->status);
    store_text(r->t.remote_text, sizeof r->t.remote_text, o->text);
    if (err == ERR_OK)
        err = change_note_words(c, HANDOVER_PLAIN_REFUSED, &r->t, o->time_s);
    if (err != ERR_OK)
        return err;
    return ticket_asks(&r->t, DSN_FAILURE) ? change_work_set(c, r, WORK_NOTIFY, o->time_s)
                                           : change_ticket_release(c, r);
}

static enum err work_refused(struct change *c, void *arg)
{
    struct outcome *o = arg;
    struct ticket_record *r = o->r;
    enum err err;

    if (o->w->kind != WORK_STUB && o->w->kind != WORK_PLAIN)
        return ERR_INTERNAL;
    if ((err = outcome_get(c, o)) == ERR_OK)
        err = o->w->kind == WORK_STUB ? stub_refused(c, o) : plain_refused(c, o);
    if (err == ERR_OK)
        err = change_ticket_put(c, r);
    if (err == ERR_OK)
        KILL_POINT("work-refused-commit-before");
    return err;
}

enum err store_work_refused(struct store *s, const struct work *w, const char *status, const char *text,
                            int64_t now_s)
{
    struct outcome o = {.w = w, .time_s = now_s, .status = status, .text = text};
    enum err err = outcome_run(s, work_refused, &o);

    KILL_POINT("work-refused-commit-after");
    return err;
}
