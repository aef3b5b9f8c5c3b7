/*
 * admin_recall.c - see admin_recall.h.
 */
#include "local/admin_recall.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "env/site.h"
#include "lifecycle/lifecycle.h"
#include "lifecycle/story.h"
#include "local/selection.h"
#include "settings/settings.h"
#include "store/recall.h"

void admin_recall_log(const struct question *q, enum recall_word word, const struct ticket *t,
                      const struct outcome *o)
{
    static const char *const not_done[] = {[RECALL_RETRACT] = "not-retracted",
                                           [RECALL_REPLACE] = "not-replaced",
                                           [RECALL_HOLD] = "not-on-hold",
                                           [RECALL_RELEASE] = "not-released"};
    char detail[OUTCOME_TEXT_MAX + 40];
    struct log_line line;

    snprintf(detail, sizeof detail, "by user %u: %s", (unsigned)q->who.uid, o->text);
    story_begin(&line, NULL, t);
    log_line_str(&line, LOG_KEY_STATE, ticket_state_name(t->state));
    log_line_status(&line, o->done ? o->word : not_done[word], detail);
    log_line_end(&line, LOG_LEVEL_INFO);
}

/* ---- one ticket */

static enum err retract_one(const struct question *q, const uint8_t *key, struct ticket *t, struct outcome *o)
{
    const struct env *env = q->env;
    struct address sender;
    enum err e = store_ticket_get(env->store, key, t);

    if (e || (e = address_parse(span_of(t->sender), &sender)))
        return e;
    if (!site_may_retract(env->site, sender.domain)) {
        outcome_forbidden(RECALL_RETRACT, t, o);
        return ERR_OK;
    }
    e = store_retract(env->store, key, env->settings->journal[0] != '\0', clock_now_s(), t);
    outcome_of(RECALL_RETRACT, e, t, o);
    return ERR_OK;
}

struct recall {
    enum recall_word word;
    const char *note;
};

static enum err recall_one(const struct question *q, const struct recall *r, const uint8_t *key,
                           struct ticket *t, struct outcome *o)
{
    if (r->word == RECALL_RETRACT)
        return retract_one(q, key, t, o);
    enum err e = store_hold(q->env->store, key, r->word == RECALL_HOLD, r->note, clock_now_s(), t);
    if (e != ERR_NOT_FOUND)
        outcome_of(r->word, e, t, o);
    return e == ERR_NOT_FOUND ? e : ERR_OK;
}

/* ---- all that are meant */

/* One after the other: what was done stays done, whatever becomes of the next, and the answer says which. */
static void recall_all(struct question *q, const struct recall *r, const char *name)
{
    struct selection selection;
    struct outcome *o = calloc(1, sizeof *o);
    struct ticket *t = calloc(1, sizeof *t);

    selection_find(q, &selection);
    if (!o || !t)
        question_fail(q, ERR_NOMEM, NULL);
    if (o && t && question_rows(q, name)) {
        for (size_t i = 0; i < selection.count; i++) {
            memset(t, 0, sizeof *t);
            enum err e = recall_one(q, r, selection.key[i], t, o);
            if (e == ERR_NOT_FOUND)
                continue; /* purged meanwhile: as if it had never been found */
            if (e)
                outcome_of(r->word, e, t, o);
            outcome_row(q->rows, t, o);
            admin_recall_log(q, r->word, t, o);
        }
        lifecycle_wake(q->env->lifecycle); /* the other side may have to look */
    }
    selection_free(&selection);
    free(t);
    free(o);
}

void admin_retract(void *env, struct http_exchange *x)
{
    struct question q;
    const struct recall r = {.word = RECALL_RETRACT};

    question_open(&q, env, x);
    recall_all(&q, &r, "retract");
    question_close(&q);
}

void admin_hold(void *env, struct http_exchange *x)
{
    struct question q;
    char note[STORE_NOTE_MAX];

    question_open(&q, env, x);
    if (!q.who.all)
        question_forbid(&q, "a hold");
    const char *hold = question_need(&q, "hold");
    question_text(&q, "note", note, sizeof note - 1);
    if (strcmp(hold, "yes") != 0 && strcmp(hold, "no") != 0)
        question_fail(&q, ERR_SYNTAX, "hold: yes or no");
    const struct recall r = {.word = strcmp(hold, "yes") == 0 ? RECALL_HOLD : RECALL_RELEASE, .note = note};
    recall_all(&q, &r, r.word == RECALL_HOLD ? "hold" : "release");
    question_close(&q);
}
