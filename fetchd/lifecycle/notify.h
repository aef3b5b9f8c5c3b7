/*
 * notify.h - tells a letter's sender what became of it: an RFC 3464 notification from the null reverse-path,
 * exactly one a ticket, when the ticket's end and the sender's NOTIFY (RFC 3461) call for one.
 */
#ifndef LIFECYCLE_NOTIFY_H
#define LIFECYCLE_NOTIFY_H

#include "env/env.h"
#include "lifecycle/notification.h"
#include "store/store.h"

struct smtp_result;

/* Whether and what to tell about a ticket in its present state; false: nothing. Strings in *out are static or
 * the ticket's. Pure. */
bool notify_decide(const struct ticket *t, struct notify_words *out);

/* What came of a notification at the MTA: into the store (done, or later) and the log. */
enum err notify_record(const struct env *env, const struct ticket *t, const struct work *work,
                       const struct smtp_result *result);
/* WORK_NOTIFY. Blocks; records what came of it in the store. */
void notify_send(const struct env *env, const struct work *work);

#endif
