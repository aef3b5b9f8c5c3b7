/*
 * admin_tickets.c - see admin_tickets.h.
 */
#include "local/admin_tickets.h"

#include <stdlib.h>

#include "env/env.h"
#include "local/question.h"
#include "local/selection.h"
#include "local/ticket_rows.h"
#include "store/store.h"

static const char *state_name(int state)
{
    return ticket_state_name((enum ticket_state)state);
}

/* What is still to be listed: the store's own limit counts what the asker may not see, too. */
struct list {
    struct question *question;
    size_t left;
};

static bool add_ticket(void *arg, const struct ticket *t)
{
    struct list *list = arg;

    if (!access_to_ticket(&list->question->who, t))
        return true;
    ticket_row(list->question->rows, t);
    return --list->left > 0;
}

void admin_tickets(void *env, struct http_exchange *x)
{
    struct question q;
    struct list list = {.question = &q};

    question_open(&q, env, x);
    struct store_filter filter = {.sender = question_get(&q, "sender"),
                                  .recipient = question_get(&q, "recipient"),
                                  .queue_id = question_get(&q, "queue_id"),
                                  .message_id = question_get(&q, "message_id"),
                                  .id_prefix = question_get(&q, "id"),
                                  .state = question_state(&q, TICKET_STATE_COUNT, state_name)};
    list.left = question_limit(&q);
    if (question_rows(&q, "tickets") && list.left)
        q.err = store_tickets(q.env->store, &filter, SIZE_MAX, add_ticket, &list);
    question_close(&q);
}

void admin_ticket(void *env, struct http_exchange *x)
{
    struct question q;
    struct selection selection;
    struct ticket *t = calloc(1, sizeof *t);

    question_open(&q, env, x);
    selection_find(&q, &selection);
    if (!t)
        question_fail(&q, ERR_NOMEM, NULL);
    if (!q.err && selection.count > 1)
        question_fail(&q, ERR_AMBIGUOUS, "it has %zu recipients: say which", selection.count);
    if (t && !q.err)
        q.err = store_ticket_get(q.env->store, selection.key[0], t);
    if (t && question_rows(&q, "ticket")) {
        ticket_row_whole(q.rows, t);
        rows_list(q.rows, "events");
        ticket_event_rows(q.rows, t);
    }
    selection_free(&selection);
    question_close(&q);
    free(t);
}
