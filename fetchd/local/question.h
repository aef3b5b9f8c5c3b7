/*
 * question.h - one request of restantectl: who asks, its parameters, and its answer as rows (local/rows.h) or
 * as an error. Mistakes are noted and told at the end, so that a handler reads its parameters in a row and
 * looks once. Belongs to one thread.
 */
#ifndef LOCAL_QUESTION_H
#define LOCAL_QUESTION_H

#include "env/env.h"
#include "http/server.h"
#include "local/access.h"
#include "local/rows.h"
#include "mail/address.h"

#define QUESTION_PARAMETERS_MAX 40

struct question {
    const struct env *env;
    struct http_exchange *x;
    struct access who;
    struct buf text[QUESTION_PARAMETERS_MAX]; /* decoded parameters */
    size_t count;
    enum err err; /* the first mistake */
    struct buf why;
    struct rows *rows; /* the answer; NULL until question_rows */
    bool candidates;   /* the rows go with ERR_AMBIGUOUS */
};

void question_open(struct question *q, const struct env *env, struct http_exchange *x);
/* Answers (q->rows, or the mistake), and frees. The exchange is over then. */
void question_close(struct question *q);
/* Frees without an answer: another question of the same exchange will give it. */
void question_leave(struct question *q);
/* Notes a mistake, if it is the first; format NULL: the error's own text. */
void question_fail(struct question *q, enum err e, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* What only root may, or somebody else. The refusal is logged. */
void question_forbid(struct question *q, const char *what);

/* A parameter; NULL when absent. Borrows until question_close. */
const char *question_get(struct question *q, const char *name);
/* The same; absent or empty is a mistake. */
const char *question_need(struct question *q, const char *name);
/* A number in min..max; fallback when absent. */
uint64_t question_number(struct question *q, const char *name, uint64_t min, uint64_t max, uint64_t fallback);
/* The parameter `limit`: how many rows at most. */
size_t question_limit(struct question *q);
/* The parameter `state`, as the index of its name; -1 when absent. */
int question_state(struct question *q, int count, const char *(*name)(int));
/* The parameter `until` (when.h), which must lie ahead; 0 when absent. */
int64_t question_until(struct question *q, int64_t now_s);
/* Text of at most max bytes for a record; "" when absent. */
void question_text(struct question *q, const char *name, char *out, size_t max);
/* A mailbox of this site that the asker may see and change, in normal form without detail. */
void question_mailbox(struct question *q, const char *text, char out[ADDRESS_TEXT_MAX],
                      struct address *address);
#define QUESTION_NO_LETTERS UINT32_MAX
/* One line in the log for what somebody decided: whose mailbox, about whom ("": nobody), what, and how many
 * letters that concerned (QUESTION_NO_LETTERS: it is not about letters). */
void question_log(const struct question *q, const char *mailbox, const char *sender, const char *status,
                  uint32_t letters);
/* Notes ERR_AMBIGUOUS, and answers with these, a list called "candidates", in the place of the error. Takes
 * them. */
void question_candidates(struct question *q, struct rows *candidates);
/* The list to fill. False when there is a mistake already. */
bool question_rows(struct question *q, const char *name);

#endif
