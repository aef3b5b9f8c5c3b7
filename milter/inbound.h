/*
 * inbound.h - an inbound stub: fetchd is told of it and says what becomes of it.
 *
 * Blocks while fetchd decides (it has a budget for its look-ups); safe in any thread.
 */
#ifndef MILTER_INBOUND_H
#define MILTER_INBOUND_H

#include <stdbool.h>

#include "local/client.h"
#include "milter/message.h"

enum inbound_fate {
    INBOUND_KEPT,   /* fetchd keeps what the stub says, durably: the stub itself may be discarded */
    INBOUND_PASSES, /* it goes on as ordinary mail: the sender's domain is testing */
    INBOUND_REFUSED /* *refusal is set, and the stub stays with the client */
};

/* The message has a stub field and exactly one recipient. */
enum inbound_fate inbound_notice(struct local_client *fetchd, const struct message *m,
                                 struct api_reply *refusal);

#endif
