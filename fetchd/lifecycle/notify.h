/*
 * notify.h - tells a letter's sender what became of it: an RFC 3464 notification from the null reverse-path,
 * exactly one a ticket, when the ticket's end and the sender's NOTIFY (RFC 3461) call for one; and once
 * before, when it waits for long.
 */
#ifndef LIFECYCLE_NOTIFY_H
#define LIFECYCLE_NOTIFY_H

#include "env/env.h"
#include "lifecycle/notification.h"
#include "store/store.h"

struct site;
struct smtp_result;

/* The NOTIFY of a ticket: as the sender gave it (NULL or "": he did not), or what confirm_domains asks for in
 * his place. sender_domain: A-labels. Static, or given. Pure. */
const char *notify_asked(const struct site *site, const char *sender_domain, const char *given);

/* Whether and what to tell about a ticket in its present state; false: nothing (ticket_wants_notice; of one
 * that was sent plain, only that it was refused). Strings in *out are static or the ticket's. Pure. */
bool notify_decide(const struct ticket *t, struct notify_words *out);

/* The same of the warning that a living ticket's letter still waits; false: it was collected, or ended. */
bool notify_decide_delay(const struct ticket *t, struct notify_words *out);

/* The notification to the MTA, with as much of the letter as RET and the MTA allow. Blocks; *result says what
 * came of it. */
enum err notify_hand_over(const struct env *env, const struct ticket *t, const struct notify_words *words,
                          struct smtp_result *result);
/* Whether the MTA will not take a notification: it said so for good, or has said "later" for a month and many
 * times. One that does not answer is waited for. Pure. */
bool notify_gives_up(const struct ticket *t, const struct work *work, const struct smtp_result *result,
                     int64_t now_s);
/* What came of a notification at the MTA: into the store (done, or later) and the log. */
enum err notify_record(const struct env *env, const struct ticket *t, const struct work *work,
                       const struct smtp_result *result);
/* WORK_NOTIFY, WORK_DELAY. Blocks; records what came of it in the store. */
void notify_send(const struct env *env, const struct work *work);

#endif
