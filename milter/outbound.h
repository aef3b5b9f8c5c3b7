/*
 * outbound.h - an outbound letter on its way to fetchd: the deposit, streamed as the MTA pushes it.
 *
 * Order that must hold: nothing is edited before outbound_finish() said that the deposit is durable. A struct
 * outbound belongs to one thread at a time and may move between threads.
 */
#ifndef MILTER_OUTBOUND_H
#define MILTER_OUTBOUND_H

#include <stdbool.h>
#include <stddef.h>

#include "local/api.h"
#include "local/client.h"
#include "milter/message.h"

struct outbound {
    struct local_upload *upload; /* owned; NULL before and after, and once it failed */
    bool *stubbed;               /* for each recipient of the message: it becomes a stub; owned */
    size_t stub_count;           /* recipients that become stubs; the same address twice counts twice */
    size_t ticket_count;         /* different addresses among them */
    char first_ticket[9];        /* start of the first ticket's name, for the log; "" before */
};

void outbound_init(struct outbound *o);
/* Takes the verdicts of a plan for the message; *any tells whether somebody gets a stub. ERR_NOMEM. */
enum err outbound_choose(struct outbound *o, const struct message *m, const struct api_plan_answer *answer,
                         bool *any);
/*
 * Opens the upload and writes head and header. When false, *refusal is set and nothing remains at fetchd (all
 * through this header).
 */
bool outbound_begin(struct outbound *o, struct local_client *fetchd, const struct message *m,
                    struct api_reply *refusal);
/* A piece of the body. May block under back-pressure. Nobody can be told of a failure now: outbound_finish()
 * tells. */
void outbound_body(struct outbound *o, const void *data, size_t len);
/* Ends the upload and waits until the letter is durable. progress is called while waiting. */
bool outbound_finish(struct outbound *o, local_progress progress, void *arg, struct api_reply *refusal);
/* The message is not going to end: fetchd keeps nothing of it. Leaves an initialised struct. */
void outbound_abort(struct outbound *o);

#endif
