/*
 * replace.c - who asks and which tickets are meant is settled first, then the letter streams in (arrival.h),
 * and at its end one durable commit decides for each ticket.
 */
#include "local/replace.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "env/env.h"
#include "env/site.h"
#include "lifecycle/lifecycle.h"
#include "lifecycle/limits.h"
#include "local/admin_recall.h"
#include "local/arrival.h"
#include "local/letter_form.h"
#include "local/question.h"
#include "local/selection.h"
#include "settings/settings.h"
#include "store/recall.h"

#define WHY_MAX 150 /* bytes */

struct replace {
    struct arrival in;
    struct letter_form form;
    struct selection selection;
    uint32_t version; /* the payload's: above that of every ticket */
    struct address reverse_path;
};

static void replace_free(void *state)
{
    struct replace *r = state;

    if (!r)
        return;
    arrival_free(&r->in);
    selection_free(&r->selection);
    free(r);
}

/* ---- before the letter */

/* What is the same in all tickets of a letter, and the newest version. */
static enum err look_at_tickets(const struct env *env, struct replace *r)
{
    enum err e = ERR_OK;
    struct ticket *t = malloc(sizeof *t);

    if (!t)
        return ERR_NOMEM;
    for (size_t i = 0; i < r->selection.count && !e; i++) {
        e = store_ticket_get(env->store, r->selection.key[i], t);
        if (!e && i == 0)
            e = address_parse(span_of(t->sender), &r->reverse_path);
        if (!e && t->version >= r->version)
            r->version = t->version + 1;
    }
    free(t);
    return e;
}

/* The first call. False: it is answered. */
static bool begin(const struct env *env, struct http_exchange *x)
{
    struct question q;
    struct replace *r = calloc(1, sizeof *r);

    question_open(&q, env, x);
    if (r) {
        arrival_init(&r->in);
        http_set_state(x, r, replace_free);
        selection_find(&q, &r->selection);
        if (!q.err)
            q.err = look_at_tickets(env, r);
        if (!q.err)
            q.err = arrival_begin(env, &r->in, r->version);
    } else {
        question_fail(&q, ERR_NOMEM, NULL);
    }
    if (q.err) {
        question_close(&q);
        return false;
    }
    question_leave(&q);
    return true;
}

/* ---- the commit */

/* Every ticket of the letter was sent by one sender: forbidden to one is forbidden to all. */
static void forbid(struct question *q, const struct replace *r)
{
    struct outcome *o = calloc(1, sizeof *o);
    struct ticket *t = calloc(1, sizeof *t);

    if (!o || !t)
        question_fail(q, ERR_NOMEM, NULL);
    for (size_t i = 0; o && t && i < r->selection.count && !q->err; i++) {
        q->err = store_ticket_get(q->env->store, r->selection.key[i], t);
        if (q->err)
            break;
        outcome_forbidden(RECALL_REPLACE, t, o);
        outcome_row(q->rows, t, o);
        admin_recall_log(q, RECALL_REPLACE, t, o);
    }
    free(t);
    free(o);
}

static enum err derive_keys(const struct question *q, const struct replace *r, struct ticket_keys *keys,
                            struct store_replacement *s)
{
    enum err e = ERR_OK;
    struct ticket *t = malloc(sizeof *t);

    if (!t)
        return ERR_NOMEM;
    for (size_t i = 0; i < s->count && !e; i++) {
        s->item[i].outcome = ERR_INTERNAL; /* until the store says something */
        s->item[i].keys = &keys[i];
        e = store_ticket_get(q->env->store, r->selection.key[i], t);
        if (!e)
            e = ticket_derive(q->env->keys, t->a, &keys[i]);
    }
    free(t);
    return e;
}

static void tell_outcomes(struct question *q, const struct store_replacement *s)
{
    struct outcome *o = calloc(1, sizeof *o);

    if (!o)
        question_fail(q, ERR_NOMEM, NULL);
    for (size_t i = 0; o && i < s->count; i++) {
        if (s->item[i].outcome == ERR_NOT_FOUND)
            continue; /* purged meanwhile */
        outcome_of(RECALL_REPLACE, s->item[i].outcome, &s->item[i].ticket, o);
        outcome_row(q->rows, &s->item[i].ticket, o);
        admin_recall_log(q, RECALL_REPLACE, &s->item[i].ticket, o);
    }
    free(o);
}

static enum err say_replace(struct question *q, struct replace *r, const struct letter_facts *facts,
                            struct store_replacement *s, struct ticket_keys *keys, struct buf *why)
{
    const struct settings *settings = q->env->settings;
    struct quota_limits limits;
    enum err e = derive_keys(q, r, keys, s);

    if (e)
        return e;
    limits_of(settings, &limits);
    s->payload = r->in.payload;
    s->dek = sealer_dek(r->in.sealer);
    s->digest = r->in.digest;
    s->letter_bytes = r->in.letter_bytes;
    s->version = r->version;
    s->from = facts->from;
    s->from_field = facts->from_field;
    s->subject = settings->stub_subject ? facts->subject : "";
    s->body_8bit = r->form.header_8bit || r->form.body_8bit;
    s->smtputf8 = r->form.header_8bit;
    s->limits = &limits;
    s->why = why;
    s->archive_first = settings->journal[0] != '\0';
    r->in.payload = NULL;
    e = store_replace(q->env->store, s, clock_now_s());
    s->limits = NULL;
    return e;
}

/* What the store says of a ticket, in contrast to what keeps it from changing anything at all. */
static bool is_outcome(enum err e)
{
    static const enum err outcomes[] = {ERR_OK,      ERR_NOT_FOUND, ERR_HANDED_OVER, ERR_GONE,
                                        ERR_ON_HOLD, ERR_RESTORED,  ERR_UNARCHIVED,  ERR_BUSY};

    for (size_t i = 0; i < sizeof outcomes / sizeof *outcomes; i++) {
        if (outcomes[i] == e)
            return true;
    }
    return false;
}

static void commit(struct question *q, struct replace *r, const struct letter_facts *facts)
{
    struct store_replacement s = {.count = r->selection.count};
    struct ticket_keys *keys = calloc(s.count, sizeof *keys);
    struct buf why;

    s.item = calloc(s.count, sizeof *s.item);
    buf_init(&why, WHY_MAX);
    enum err e = keys && s.item ? say_replace(q, r, facts, &s, keys, &why) : ERR_NOMEM;
    if (is_outcome(e))
        tell_outcomes(q, &s);
    else if (e == ERR_FROM_CHANGED) /* in a letter's tickets it is the same */
        question_fail(q, e, "the new letter is from %.80s, the old one from %.80s", facts->from,
                      s.item[0].ticket.from);
    else
        question_fail(q, e, "%s%s%s", err_text(e), why.len ? ": " : "", buf_cstr(&why));
    if (!e)
        lifecycle_wake(q->env->lifecycle); /* the other side may have to look */
    for (size_t i = 0; keys && i < s.count; i++)
        ticket_wipe(&keys[i]);
    free(keys);
    free(s.item);
    buf_free(&why);
}

static void finish(struct question *q, struct replace *r)
{
    struct letter_facts *facts = calloc(1, sizeof *facts);

    if (!facts)
        question_fail(q, ERR_NOMEM, NULL);
    if (!q->err)
        q->err = letter_form_check(&r->form, letter_scan_header(r->in.scan), &r->reverse_path, &q->why);
    if (!q->err)
        q->err = arrival_finish(&r->in, &r->reverse_path, facts);
    if (question_rows(q, "replace")) {
        if (site_may_replace(q->env->site, r->reverse_path.domain))
            commit(q, r, facts);
        else
            forbid(q, r);
    }
    free(facts);
}

void replace_handle(void *env_, struct http_exchange *x)
{
    const struct env *env = env_;
    struct question q;
    enum err e;

    if (!http_state(x) && !begin(env, x))
        return;
    struct replace *r = http_state(x);
    struct span piece = http_body(x);
    bool ended = http_body_ended(x);
    letter_form_feed(&r->form, piece);
    e = arrival_letter(env, &r->in, piece);
    http_body_consume(x, piece.len);
    if (!e && !ended)
        return;
    question_open(&q, env, x);
    if (e == ERR_TOO_LARGE)
        question_fail(&q, e, "the letter is larger than letter_max, %lld bytes",
                      (long long)env->settings->letter_max_bytes);
    else if (e)
        question_fail(&q, e, NULL);
    else
        finish(&q, r);
    question_close(&q);
}
