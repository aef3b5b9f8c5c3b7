/*
 * upload.h - a letter on its way to fetchd, streamed as the MTA pushes it: an outbound one that is deposited
 * for its stub recipients, or an inbound one that is kept for those whose mailbox does not know the sender.
 *
 * Order that must hold: nothing is edited before upload_finish() said that fetchd has the letter, durably. A
 * struct upload belongs to one thread at a time and may move between threads.
 */
#ifndef MILTER_UPLOAD_H
#define MILTER_UPLOAD_H

#include <stdbool.h>
#include <stddef.h>

#include "local/api.h"
#include "local/client.h"
#include "milter/message.h"

enum upload_kind { UPLOAD_DEPOSIT, UPLOAD_KEEP };

struct upload {
    enum upload_kind kind;
    struct local_upload *stream; /* owned; NULL before and after, and once it failed */
    bool *taken;            /* for each recipient of the message: fetchd takes the letter for him; owned */
    size_t taken_count;     /* the same address twice counts twice */
    size_t different_count; /* different addresses among them */
    char first_ticket[9];   /* DEPOSIT: start of the first ticket's name, for the log; "" before */
};

void upload_init(struct upload *u);
/* Takes the verdicts of a plan for the message: those with `verdict` are fetchd's. ERR_NOMEM. */
enum err upload_choose(struct upload *u, enum upload_kind kind, const struct message *m,
                       const struct api_plan_answer *answer, enum api_verdict verdict);
/*
 * Opens the stream and writes head and header. When false, *refusal is set and nothing remains at fetchd (all
 * through this header).
 */
bool upload_begin(struct upload *u, struct local_client *fetchd, const struct message *m,
                  struct api_reply *refusal);
/* A piece of the body. May block under back-pressure. Nobody can be told of a failure now: upload_finish()
 * tells. */
void upload_body(struct upload *u, const void *data, size_t len);
/* Ends the stream and waits until the letter is durable. progress is called while waiting. */
bool upload_finish(struct upload *u, local_progress progress, void *arg, struct api_reply *refusal);
/* The message is not going to end: fetchd keeps nothing of it. Leaves an initialised struct. */
void upload_abort(struct upload *u);

#endif
