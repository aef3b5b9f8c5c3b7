/*
 * admin_recall.h - words on letters that still lie here:
 *
 *   POST /1/retract?id=|message_id=[&recipient=]              {"retract": [an outcome a ticket]}
 *   POST /1/hold?id=|message_id=[&recipient=]&hold=yes|no[&note=]
 *                                       (root alone)  {"hold": [...]}, or {"release": [...]}
 *
 * Outcomes: recall_outcome.h. What can mean several letters changes nothing and is answered 409
 * {"candidates":
 * [...]}. Somebody else's letter: 403. Each word is logged with who said it.
 */
#ifndef LOCAL_ADMIN_RECALL_H
#define LOCAL_ADMIN_RECALL_H

#include "http/server.h"
#include "local/question.h"
#include "local/recall_outcome.h"

/* For http_collect without a body; env is a struct env. */
void admin_retract(void *env, struct http_exchange *x);
void admin_hold(void *env, struct http_exchange *x);

/* One line in the log for what became of a word, and of whose. */
void admin_recall_log(const struct question *q, enum recall_word word, const struct ticket *t,
                      const struct outcome *o);

#endif
