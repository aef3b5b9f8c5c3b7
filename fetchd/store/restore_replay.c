/*
 * restore_replay.c - see restore_replay.h.
 *
 * The notes are sorted by what they speak of; those of one ticket are read into what it comes to (struct
 * fate), and that is entered in one change. Whether its sender was told of an end is noted too, so nobody is
 * told twice and nobody is not told.
 */
#include "store/restore_replay.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/secret.h"
#include "mail/dsn.h"
#include "store/store_handover.h"
#include "store/store_job.h"
#include "store/store_letter.h"
#include "store/ticket_state.h"

#define REPLACED_TEXT                                                                                        \
    "the sender's server was restored from a backup: the replacement of this letter is lost, and the "       \
    "letter "                                                                                                \
    "before it was not delivered"
#define LOST_TEXT                                                                                            \
    "the sender's server was restored from a backup, which does not have this letter: it is lost"
#define HANDED_OVER_TEXT "the sender's server was restored from a backup, which does not have this letter"
#define RESTORED_REASON "5.3.0"

struct note {
    struct handover_entry e; /* its body is owned */
    size_t number;           /* in the journal's order */
};

struct replay {
    struct note *note;
    size_t count, room;
};

enum err replay_create(struct replay **out)
{
    struct replay *r = calloc(1, sizeof *r);

    if (r == NULL)
        return ERR_NOMEM;
    *out = r;
    return ERR_OK;
}

void replay_free(struct replay *r)
{
    if (r == NULL)
        return;
    for (size_t i = 0; i < r->count; i++)
        free((void *)(uintptr_t)r->note[i].e.body.ptr);
    free(r->note);
    free(r);
}

enum err replay_note(void *arg, const struct handover_entry *e)
{
    struct replay *r = arg;
    struct note *n;
    char *body = NULL;

    if (r->count == r->room) {
        size_t room = r->room == 0 ? 1024 : r->room * 2;
        struct note *grown = reallocarray(r->note, room, sizeof *grown);

        if (grown == NULL)
            return ERR_NOMEM;
        r->note = grown;
        r->room = room;
    }
    if (e->body.len > 0) {
        if ((body = malloc(e->body.len)) == NULL)
            return ERR_NOMEM;
        memcpy(body, e->body.ptr, e->body.len);
    }
    n = &r->note[r->count];
    n->e = *e;
    n->e.body = span_bytes(body, e->body.len);
    n->number = r->count++;
    return ERR_OK;
}

static bool is_of_job(enum handover_kind what)
{
    return what == HANDOVER_JOB_DELIVERED || what == HANDOVER_JOB_REFUSED || what == HANDOVER_JOB_ENDED;
}

/* By what they speak of, and in their order. */
static int by_subject(const void *a, const void *b)
{
    const struct note *x = a, *y = b;
    int jobs = (int)is_of_job(x->e.what) - (int)is_of_job(y->e.what);
    int key = jobs != 0 ? jobs : memcmp(x->e.key, y->e.key, sizeof x->e.key);

    return key != 0 ? key : x->number < y->number ? -1 : x->number > y->number;
}

/* ---- what it comes to ---------------------------------------------------------------------------------- */

struct fate {
    const struct handover_entry *deposited, *claimed, *claimed_last, *end, *replaced, *hold, *plain_refused;
    const struct handover_entry *told[WORK_KIND_COUNT];
    bool several; /* claims with different tokens */
};

static bool same_token(const struct handover_entry *claimed, const uint8_t *token)
{
    return memcmp(claimed->extra, token, CODEC_SIZEOF(struct ticket, lease_token)) == 0;
}

static void read_fate(const struct note *first, size_t count, struct fate *f)
{
    memset(f, 0, sizeof *f);
    for (size_t i = 0; i < count; i++) {
        const struct handover_entry *e = &first[i].e;

        switch (e->what) {
        case HANDOVER_DEPOSITED:
            f->deposited = e;
            break;
        case HANDOVER_CLAIMED:
            if (f->claimed == NULL)
                f->claimed = e;
            f->several = f->several || !same_token(f->claimed, e->extra);
            f->claimed_last = e;
            break;
        case HANDOVER_REPLACED:
            f->replaced = e;
            break;
        case HANDOVER_HOLD:
            f->hold = e;
            break;
        case HANDOVER_PLAIN_REFUSED:
            f->plain_refused = e;
            break;
        case HANDOVER_TOLD:
            if (e->arg < WORK_KIND_COUNT)
                f->told[e->arg] = e;
            break;
        case HANDOVER_ACKED:
        case HANDOVER_REFUSED:
        case HANDOVER_RETRACTED:
        case HANDOVER_PLAIN:
        case HANDOVER_BOUNCED:
        case HANDOVER_EXPIRED:
        case HANDOVER_UNCONFIRMED:
            if (f->end == NULL) /* the same one may be noted again */
                f->end = e;
            break;
        default:
            break;
        }
    }
}

static enum ticket_state end_state(enum handover_kind what)
{
    switch (what) {
    case HANDOVER_ACKED:
        return TICKET_DELIVERED;
    case HANDOVER_REFUSED:
        return TICKET_REFUSED;
    case HANDOVER_RETRACTED:
        return TICKET_RETRACTED;
    case HANDOVER_PLAIN:
        return TICKET_PLAIN;
    case HANDOVER_BOUNCED:
        return TICKET_BOUNCED;
    case HANDOVER_EXPIRED:
        return TICKET_EXPIRED;
    default:
        return TICKET_UNCONFIRMED;
    }
}

/* ---- one ticket ---------------------------------------------------------------------------------------- */

struct ticket_replay {
    const uint8_t *key;
    const struct fate *f;
    struct ticket_record *r;
    int64_t now_s;
    bool changed, replaced, lost;
};

/* Reason, NUL, text, NUL. */
static void set_words(struct ticket *t, struct span words)
{
    const char *end = words.len == 0 ? NULL : memchr(words.ptr, 0, words.len);

    if (end == NULL || words.ptr[words.len - 1] != '\0')
        return;
    store_text(t->remote_reason, sizeof t->remote_reason, words.ptr);
    if (end + 1 < words.ptr + words.len)
        store_text(t->remote_text, sizeof t->remote_text, end + 1);
}

static enum err be_handed_over(struct change *c, struct ticket_record *r, const struct fate *f)
{
    const struct handover_entry *first = f->claimed, *last = f->claimed_last;
    enum err err;

    if (ticket_state_ended(r->t.state) || first == NULL)
        return ERR_OK;
    if (r->t.state != TICKET_LEASED &&
        (err = change_ticket_enter(c, r, TICKET_LEASED, first->at_s)) != ERR_OK)
        return err;
    /* When one of them refuses it, another may have it. */
    if (f->several || (r->t.handed_over_s != 0 && !same_token(first, r->t.lease_token)))
        r->t.several = true;
    if (r->t.handed_over_s == 0)
        r->t.handed_over_s = first->at_s;
    memcpy(r->t.lease_token, last->extra, sizeof r->t.lease_token);
    r->t.lease_started_s = last->at_s;
    r->t.lease_until_s = r->lease_hard_s = last->at_s; /* whoever had it may claim again */
    r->t.bodies++;
    return ERR_OK;
}

/* Whatever lies on the way from this state to that end. */
static enum err enter_end(struct change *c, struct ticket_record *r, enum ticket_state to, int64_t at_s)
{
    enum err err = ERR_OK;

    if (to == TICKET_UNCONFIRMED && r->t.state == TICKET_LEASED)
        err = change_ticket_enter(c, r, TICKET_LAPSED, at_s);
    /* An ack of a claim that is not noted: the journal is not whole, and this is true all the same. */
    if ((to == TICKET_DELIVERED || to == TICKET_UNCONFIRMED) && r->t.handed_over_s == 0) {
        err = change_ticket_enter(c, r, TICKET_LEASED, at_s);
        r->t.handed_over_s = at_s;
        if (err == ERR_OK && to == TICKET_UNCONFIRMED)
            err = change_ticket_enter(c, r, TICKET_LAPSED, at_s);
    }
    return err == ERR_OK ? change_ticket_enter(c, r, to, at_s) : err;
}

/* The payload of the backup is not this ticket's letter any more; nothing of it is shown to anybody. */
static enum err forget_payload(struct change *c, struct ticket_record *r)
{
    enum err err = change_ticket_release(c, r);

    memset(r->t.payload_id, 0, sizeof r->t.payload_id);
    return err;
}

static enum err end_for_want_of_letter(struct change *c, struct ticket_record *r, const char *text,
                                       int64_t now_s)
{
    enum ticket_state to = r->t.handed_over_s != 0 ? TICKET_UNCONFIRMED : TICKET_BOUNCED;

    if (r->t.perhaps && r->t.handed_over_s == 0) { /* perhaps it arrived: never "not delivered" */
        store_text(r->t.remote_text, sizeof r->t.remote_text, text);
        return change_ticket_enter(c, r, TICKET_UNCONFIRMED, now_s);
    }
    store_text(r->t.remote_reason, sizeof r->t.remote_reason, RESTORED_REASON);
    store_text(r->t.remote_text, sizeof r->t.remote_text, to == TICKET_UNCONFIRMED ? HANDED_OVER_TEXT : text);
    return enter_end(c, r, to, now_s);
}

enum err change_letter_lost(struct change *c, struct ticket_record *r, const char *text, int64_t now_s)
{
    enum err err = forget_payload(c, r);

    if (err == ERR_OK && r->plain_due_s != 0) { /* nothing is left that could go */
        store_text(r->t.remote_reason, sizeof r->t.remote_reason, RESTORED_REASON);
        store_text(r->t.remote_text, sizeof r->t.remote_text, text);
        err = change_work_set(c, r, WORK_PLAIN, 0);
        if (err == ERR_OK && ticket_asks(&r->t, DSN_FAILURE))
            err = change_work_set(c, r, WORK_NOTIFY, now_s);
    }
    return err != ERR_OK || ticket_state_ended(r->t.state) ? err : end_for_want_of_letter(c, r, text, now_s);
}

/* What was done since is not done again. */
static enum err take_told(struct change *c, struct ticket_record *r, const struct fate *f)
{
    enum err err = ERR_OK;

    if (f->plain_refused != NULL && r->plain_due_s != 0) {
        set_words(&r->t, f->plain_refused->body);
        err = change_work_set(c, r, WORK_PLAIN, 0);
        if (err == ERR_OK)
            err = ticket_asks(&r->t, DSN_FAILURE) ? change_work_set(c, r, WORK_NOTIFY, f->plain_refused->at_s)
                                                  : change_ticket_release(c, r);
    }
    for (int kind = 0; kind < WORK_KIND_COUNT && err == ERR_OK; kind++) {
        const struct handover_entry *told = f->told[kind];

        if (told == NULL || kind == WORK_STUB)
            continue;
        if (kind == WORK_DELAY && r->t.delay_told_s == 0)
            r->t.delay_told_s = told->at_s;
        if (*ticket_record_due(r, (enum work_kind)kind) == 0)
            continue;
        err = change_work_set(c, r, (enum work_kind)kind, 0);
        if (err == ERR_OK && (kind == WORK_NOTIFY || kind == WORK_PLAIN))
            err = change_ticket_release(c, r);
    }
    return err;
}

/* A ticket whose letter came since: as it was deposited, without payload and wrap. */
static enum err bring_back(struct change *c, struct ticket_replay *x)
{
    const struct engine_ops *ops = c->s->engine->ops;
    struct ticket_record *r = x->r;
    struct record_key k;
    enum err err;

    memset(r, 0, sizeof *r);
    err = ticket_record_decode(x->f->deposited->body, x->key, r);
    if (err != ERR_OK)
        return err;
    memset(r->t.payload_id, 0, sizeof r->t.payload_id);
    memset(r->dedupe, 0, sizeof r->dedupe); /* sent again, it is a letter of its own */
    for (int kind = 0; kind < WORK_KIND_COUNT; kind++)
        *ticket_record_due(r, (enum work_kind)kind) = 0;
    k = record_key_time(r->t.created_s, r->t.key, sizeof r->t.key);
    err = ops->put(c->txn, TABLE_CREATED, record_key_span(&k), span_bytes(r->t.a, sizeof r->t.a));
    if (err == ERR_OK)
        err = change_letter_put(c, r);
    k = record_key_timer(TIMER_EXPIRE, r->timer_s, r->t.key, sizeof r->t.key);
    if (err == ERR_OK)
        err = ops->put(c->txn, TABLE_TIMER, record_key_span(&k), span_bytes(NULL, 0));
    c->counts.tickets[r->t.state]++;
    x->lost = true;
    return err;
}

static enum err replay_end(struct change *c, struct ticket_replay *x)
{
    const struct handover_entry *end = x->f->end;
    struct ticket_record *r = x->r;
    bool other_letter = x->f->replaced != NULL && x->f->replaced->arg > r->t.version;
    enum err err = ERR_OK;

    if (ticket_state_ended(r->t.state))
        return ERR_OK;
    if (other_letter) {
        r->t.version = x->f->replaced->arg;
        ticket_event_add(&r->t, TICKET_EVENT_REPLACED, x->f->replaced->at_s);
        err = forget_payload(c, r);
    }
    if (err != ERR_OK)
        return err;
    if (end != NULL &&
        !(end->what == HANDOVER_PLAIN && x->f->told[WORK_PLAIN] == NULL && (other_letter || x->lost))) {
        set_words(&r->t, end->body);
        return enter_end(c, r, end_state(end->what), end->at_s);
    }
    /* Closed to claims, and its letter never went out. */
    if (other_letter || x->lost) {
        x->replaced = other_letter;
        return end_for_want_of_letter(c, r, other_letter ? REPLACED_TEXT : LOST_TEXT, x->now_s);
    }
    /* Alive. */
    return r->t.state == TICKET_LEASED && x->f->claimed != NULL
               ? change_ticket_enter(c, r, TICKET_LAPSED, r->t.lease_until_s)
               : ERR_OK;
}

static enum err replay_ticket(struct change *c, void *arg)
{
    struct ticket_replay *x = arg;
    struct ticket_record *r = x->r;
    enum err err;

    x->changed = x->replaced = x->lost = false;
    memset(r, 0, sizeof *r);
    err = change_ticket_get(c, x->key, r);
    if (err == ERR_NOT_FOUND) {
        if (x->f->deposited == NULL)
            return ERR_OK; /* purged long since, and noted again */
        err = bring_back(c, x);
    }
    if (err == ERR_OK && x->f->hold != NULL && !ticket_state_ended(r->t.state)) {
        r->t.hold = x->f->hold->arg != 0;
        if (x->f->hold->body.len > 0 && x->f->hold->body.ptr[x->f->hold->body.len - 1] == '\0')
            store_text(r->t.hold_note, sizeof r->t.hold_note, x->f->hold->body.ptr);
    }
    if (err == ERR_OK)
        err = be_handed_over(c, r, x->f);
    if (err == ERR_OK)
        err = replay_end(c, x);
    if (err == ERR_OK)
        err = take_told(c, r, x->f);
    if (err != ERR_OK)
        return err;
    x->changed = true;
    ticket_event_add(&r->t, TICKET_EVENT_RESTORED, x->now_s);
    return change_ticket_put(c, r);
}

/* ---- one job ------------------------------------------------------------------------------------------- */

struct job_replay {
    const struct handover_entry *last;
    struct job_record *old, *new;
    bool changed;
};

static enum err put_job(struct change *c, const struct job_replay *x)
{
    const struct engine_ops *ops = c->s->engine->ops;
    const struct job_record *r = x->new;
    bool ended = job_state_ended(r->j.state);
    struct record_key k = ended ? record_key_timer(TIMER_PURGE_JOB, r->timer_s, r->j.id, sizeof r->j.id)
                                : record_key_time(r->j.due_s, r->j.id, sizeof r->j.id);
    enum err err =
        ops->put(c->txn, ended ? TABLE_TIMER : TABLE_JOB_DUE, record_key_span(&k), span_bytes(NULL, 0));

    c->counts.jobs[r->j.state]++;
    return err == ERR_OK ? ops->put(c->txn, TABLE_JOB, span_bytes(r->j.id, sizeof r->j.id), x->last->body)
                         : err;
}

static enum err replay_job(struct change *c, void *arg)
{
    struct job_replay *x = arg;
    enum err err;

    x->changed = false;
    secret_wipe(x->new, sizeof *x->new);
    if ((err = job_record_decode(c->s->keys, x->last->body, x->last->key, x->new)) != ERR_OK)
        return err;
    err = change_job_get(c, x->last->key, x->old);
    /* The backup knows better; but an end is an end, whatever the clock did. */
    if (err == ERR_OK && x->old->j.changed_s > x->new->j.changed_s &&
        (job_state_ended(x->old->j.state) || !job_state_ended(x->new->j.state)))
        return ERR_OK;
    if (err == ERR_NOT_FOUND && x->new->j.kept && !job_state_ended(x->new->j.state))
        return ERR_OK; /* its letter came since, and is not here */
    if (err == ERR_OK && x->old->j.state == JOB_HELD)
        err = change_attempt_leave(c, &x->old->j);
    if (err == ERR_OK && x->old->j.kept && !job_state_ended(x->new->j.state)) {
        /* Its letter is with the MTA; it stays with it until the job has ended. */
        x->old->j.kept = false;
        err = change_job_forget(c, x->old);
    } else if (err == ERR_OK) {
        err = change_job_forget(c, x->old);
    }
    if (err == ERR_NOT_FOUND)
        err = ERR_OK;
    x->changed = true;
    return err == ERR_OK ? put_job(c, x) : err;
}

/* ---- all of them --------------------------------------------------------------------------------------- */

static enum err apply_ticket(struct store *s, const struct note *first, size_t count, struct ticket_record *r,
                             int64_t now_s, struct store_restored *out)
{
    struct fate f;
    struct ticket_replay x = {.key = first->e.key, .f = &f, .r = r, .now_s = now_s};
    enum err err;

    read_fate(first, count, &f);
    err = store_change_lazy(s, replay_ticket, &x);
    if (err == ERR_OK) {
        out->changed += x.changed && !x.lost;
        out->replaced += x.replaced && !x.lost;
        out->lost += x.lost;
    }
    return err;
}

static enum err apply_job(struct store *s, const struct handover_entry *last, struct job_replay *x,
                          struct store_restored *out)
{
    enum err err;

    x->last = last;
    err = store_change_lazy(s, replay_job, x);
    if (err == ERR_OK)
        out->jobs += x->changed;
    return err;
}

struct mark {
    uint8_t key[TICKET_STORE_KEY_BYTES];
    struct ticket_record *r;
    int64_t now_s;
};

static enum err mark_perhaps(struct change *c, void *arg)
{
    struct mark *m = arg;
    enum err err;

    memset(m->r, 0, sizeof *m->r);
    err = change_ticket_get(c, m->key, m->r);
    if (err != ERR_OK || ticket_state_ended(m->r->t.state) || m->r->t.perhaps)
        return err == ERR_OK ? ERR_NOT_FOUND : err;
    m->r->t.perhaps = true;
    ticket_event_add(&m->r->t, TICKET_EVENT_RESTORED, m->now_s);
    return change_ticket_put(c, m->r);
}

/* What lives has an entry among the timers of expiry. */
static enum err mark_all(struct store *s, struct ticket_record *r, int64_t now_s, size_t *count)
{
    struct mark m = {.r = r, .now_s = now_s};
    struct walk w;
    struct span key, value;
    int64_t timer_s;
    enum err err;

    walk_init(&w, s, TABLE_TIMER, record_key_timer(TIMER_EXPIRE, 0, NULL, 0),
              record_key_timer(TIMER_EXPIRE, INT64_MAX, NULL, 0), false);
    while ((err = walk_next(&w, &key, &value)) == ERR_OK) {
        if (!record_key_timer_parse(key, sizeof m.key, &timer_s, m.key))
            continue;
        err = store_change_lazy(s, mark_perhaps, &m);
        if (err == ERR_OK)
            ++*count;
        else if (err != ERR_NOT_FOUND && err != ERR_STORE)
            break; /* ERR_STORE: a damaged record, which check finds */
    }
    walk_free(&w);
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

static bool same_subject(const struct note *a, const struct note *b)
{
    return is_of_job(a->e.what) == is_of_job(b->e.what) && memcmp(a->e.key, b->e.key, sizeof a->e.key) == 0;
}

enum err replay_apply(struct replay *p, struct store *s, int64_t now_s, struct store_restored *out)
{
    struct job_replay jobs = {.old = calloc(1, sizeof *jobs.old), .new = calloc(1, sizeof *jobs.new)};
    struct ticket_record *r = malloc(sizeof *r);
    enum err err = jobs.old == NULL || jobs.new == NULL || r == NULL ? ERR_NOMEM : ERR_OK;

    out->notes = p->count;
    if (p->count > 0)
        qsort(p->note, p->count, sizeof *p->note, by_subject);
    for (size_t from = 0, to; from < p->count && err == ERR_OK; from = to) {
        to = from + 1;
        while (to < p->count && same_subject(&p->note[from], &p->note[to]))
            to++;
        err = is_of_job(p->note[from].e.what) ? apply_job(s, &p->note[to - 1].e, &jobs, out)
                                              : apply_ticket(s, &p->note[from], to - from, r, now_s, out);
        if (err == ERR_STORE || err == ERR_INTERNAL) {
            log_error("restore: what a note says of a ticket or job cannot be entered; it is passed over");
            out->covered = false;
            store_text(out->gap, sizeof out->gap, "a note of the journal cannot be entered");
            err = ERR_OK;
        }
    }
    if (err == ERR_OK && !out->covered)
        err = mark_all(s, r, now_s, &out->perhaps);
    job_record_free(jobs.old);
    job_record_free(jobs.new);
    free(r);
    return err;
}
