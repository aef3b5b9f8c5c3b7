/*
 * selection.c - see selection.h.
 */
#include "local/selection.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lifecycle/story.h"
#include "local/ticket_rows.h"

#define CANDIDATES_MAX 50

bool selection_same_letter(const struct ticket *a, const struct ticket *b)
{
    if (strcmp(a->owner, b->owner) != 0 || strcmp(a->sender, b->sender) != 0 ||
        strcmp(a->message_id, b->message_id) != 0)
        return false;
    if (memcmp(a->payload_id, b->payload_id, sizeof a->payload_id) == 0)
        return true;
    /* One of them was replaced: what the MTA called the letter, and when it came, tell. */
    return a->queue_id[0] && strcmp(a->queue_id, b->queue_id) == 0 && a->created_s == b->created_s;
}

enum err selection_id(const char *text, char *out)
{
    size_t len = strlen(text);

    if (len == 0 || len > SELECTION_ID_MAX)
        return ERR_SYNTAX;
    for (size_t i = 0; i <= len; i++) {
        char c = text[i];
        out[i] = c >= 'A' && c <= 'F' ? (char)(c - 'A' + 'a') : c;
        if (i < len && !((c >= '0' && c <= '9') || (out[i] >= 'a' && out[i] <= 'f')))
            return ERR_SYNTAX;
    }
    return ERR_OK;
}

/* ---- the search */

struct search {
    struct question *q;
    bool one_ticket; /* an id means a single one */
    struct selection *found;
    size_t room;
    struct ticket first;
    bool several; /* letters */
    size_t of_others;
    uint8_t others_a[TICKET_A_BYTES];
    struct rows *candidates;
    enum err err;
};

static bool note(void *arg, const struct ticket *t)
{
    struct search *s = arg;
    struct selection *found = s->found;

    if (!access_to_ticket(&s->q->who, t)) {
        s->of_others++;
        memcpy(s->others_a, t->a, sizeof s->others_a);
        return true;
    }
    if (found->count == s->room) {
        size_t room = s->room ? s->room * 2 : 8;
        void *more = realloc(found->key, room * sizeof *found->key);
        if (!more) {
            s->err = ERR_NOMEM;
            return false;
        }
        found->key = more;
        s->room = room;
    }
    if (found->count == 0)
        s->first = *t;
    else if (s->one_ticket || !selection_same_letter(&s->first, t))
        s->several = true;
    memcpy(found->key[found->count++], t->key, sizeof found->key[0]);
    if (found->count <= CANDIDATES_MAX)
        ticket_row_short(s->candidates, t);
    return !s->several || found->count < CANDIDATES_MAX;
}

static void judge(struct search *s, const char *what)
{
    struct question *q = s->q;
    char id[STORY_ID_LEN + 1], ticket[STORY_ID_LEN + 8];

    if (s->err) {
        question_fail(q, s->err, NULL);
    } else if (s->several) {
        question_candidates(q, s->candidates);
        s->candidates = NULL;
    } else if (s->found->count == 0 && s->of_others) {
        story_id(s->others_a, id);
        snprintf(ticket, sizeof ticket, "ticket %s", id);
        question_forbid(q, ticket);
    } else if (s->found->count == 0) {
        const char *recipient = question_get(q, "recipient");

        question_fail(q, ERR_NOT_FOUND, "no ticket of %.200s%s%.200s", what, recipient ? " for " : "",
                      recipient ? recipient : "");
    }
}

void selection_find(struct question *q, struct selection *out)
{
    char id[SELECTION_ID_MAX + 1];
    const char *prefix = question_get(q, "id");
    struct store_filter filter = {
        .message_id = question_get(q, "message_id"), .recipient = question_get(q, "recipient"), .state = -1};
    struct search *s = NULL;

    *out = (struct selection){.count = 0};
    if (prefix && selection_id(prefix, id))
        question_fail(q, ERR_SYNTAX, "%.60s is no id: up to %zu hex digits", prefix, SELECTION_ID_MAX);
    if (!prefix == !filter.message_id || (filter.message_id && !filter.message_id[0]))
        question_fail(q, ERR_SYNTAX, "an id or a Message-ID, one of them, is needed");
    if (q->err)
        return;
    if (!(s = calloc(1, sizeof *s))) {
        question_fail(q, ERR_NOMEM, NULL);
        return;
    }
    filter.id_prefix = prefix ? id : NULL;
    *s = (struct search){.q = q, .one_ticket = prefix != NULL, .found = out};
    if ((s->err = rows_create("candidates", &s->candidates)) == ERR_OK) {
        enum err e = store_tickets(q->env->store, &filter, SIZE_MAX, note, s);
        if (e)
            s->err = e;
    }
    judge(s, prefix ? prefix : filter.message_id);
    rows_free(s->candidates);
    free(s);
    if (q->err)
        selection_free(out);
}

void selection_free(struct selection *s)
{
    free(s->key);
    *s = (struct selection){.count = 0};
}
