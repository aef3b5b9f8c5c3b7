/*
 * recall_outcome.h - what became of a sender's or administrator's word on one ticket (store/recall.h), as the
 * answer has it: exactly one of retracted, replaced, on-hold, released, collected, ended, perhaps, forbidden,
 * not-yet, from-changed, failed. Pure; thread-safe.
 */
#ifndef LOCAL_RECALL_OUTCOME_H
#define LOCAL_RECALL_OUTCOME_H

#include "local/rows.h"
#include "settings/settings.h"
#include "store/store.h"

enum recall_word { RECALL_RETRACT, RECALL_REPLACE, RECALL_HOLD, RECALL_RELEASE };

#define OUTCOME_TEXT_MAX 700
struct outcome {
    const char *word;            /* of the above; static */
    bool done;                   /* what was asked for holds now */
    bool again;                  /* it may be tried again */
    int64_t collected_s;         /* collected: when; else 0 */
    bool confirmed;              /* ... and that it arrived was confirmed */
    char text[OUTCOME_TEXT_MAX]; /* a sentence for people */
};
/* e: what the store said; t: the ticket as it left it (all zero with ERR_NOT_FOUND). */
void outcome_of(enum recall_word word, enum err e, const struct ticket *t, struct outcome *out);
/* ... when a policy does not allow the word; how the ticket ended goes before that. */
void outcome_forbidden(enum recall_word word, const struct ticket *t, struct outcome *out);
/* A row with the ticket's own (ticket_row_short) and the outcome. */
void outcome_row(struct rows *r, const struct ticket *t, const struct outcome *o);

#endif
