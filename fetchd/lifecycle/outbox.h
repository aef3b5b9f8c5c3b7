/*
 * outbox.h - one look at a ticket of the outbox (what it means, renotify.h says): its stub goes to our MTA,
 * for the first time or again; its sender's warning becomes due; it is closed to claims and its letter due to
 * go plain; or nothing, for now. Each step that matters is durable before the next thing depends on it; an
 * unclear outcome sends the stub again, which harms nobody (a repeated stub delivers nothing twice).
 */
#ifndef LIFECYCLE_OUTBOX_H
#define LIFECYCLE_OUTBOX_H

#include <sys/types.h>

#include "env/env.h"
#include "mail/address.h"
#include "route/discovery.h"
#include "store/store.h"

/* WORK_STUB. Blocks for the MTA, never for DNS; records what came of it in the store. answer: what
 * outbox_ask found, or NULL. False: that is needed first, nothing was done. */
bool outbox_look(const struct env *env, const struct work *work, const struct discovery_answer *answer);
/* Whether the recipient's domain takes stubs. Blocks for DNS. */
void outbox_ask(const struct env *env, const struct work *work, struct discovery_answer *out);
/* The entry was not looked at: again in a minute or two. */
void outbox_come_back(const struct env *env, const struct work *work);
/* When to try again: doubles from outbox_retry_min to outbox_retry_max, with up to a quarter more at random.
 */
int64_t outbox_next_try(const struct env *env, uint32_t tries, int64_t now_s);
/* An smtp_read of a message in memory; arg is a struct outbox_reading. */
struct outbox_reading {
    const struct buf *from;
    size_t offset;
};
ssize_t outbox_read(void *arg, void *out, size_t max);
/* An entry could not be done for a reason of our own: says so in the log, and puts it off. what: "a stub". */
void outbox_put_off(const struct env *env, const struct work *work, enum err why, const char *what);

#endif
