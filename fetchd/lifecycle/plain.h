/*
 * plain.h - the letter of a ticket that ended as TICKET_PLAIN goes out by plain SMTP after all: to the byte,
 * with the envelope that its sender gave it, so that from then on the MTA tells him what becomes of it.
 * The ticket was closed to claims durably before (store_plain).
 *
 * A crash between the MTA's answer and our mark sends it again.
 */
#ifndef LIFECYCLE_PLAIN_H
#define LIFECYCLE_PLAIN_H

#include "env/env.h"
#include "store/store.h"

/* WORK_PLAIN. Blocks; records what came of it in the store. A letter that the MTA refuses, that it does not
 * take before the ticket's time is up, or that is damaged ends with a notification to its sender. */
void plain_send(const struct env *env, const struct work *work);

#endif
