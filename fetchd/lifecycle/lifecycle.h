/*
 * lifecycle.h - what happens to a ticket by itself: its stub is sent, its sender is notified, its time runs
 * out.
 *
 * One clock thread looks into the outbox and at the calendar; a few threads talk to the MTA. All functions
 * are thread-safe.
 */
#ifndef LIFECYCLE_LIFECYCLE_H
#define LIFECYCLE_LIFECYCLE_H

#include "base/err.h"

struct env;
struct lifecycle;

/* env must outlive it and have settings, site, store, keys, letters_in and stubs_out set. */
enum err lifecycle_create(const struct env *env, struct lifecycle **out);
/* Once, when nothing of env changes any more: work begins, and its threads read all of env without a lock. */
enum err lifecycle_start(struct lifecycle *l);
/* The outbox may have something due now. Cheap, never blocks; NULL is fine. */
void lifecycle_wake(struct lifecycle *l);
/* The same, after a letter was deposited: while letters keep coming, few stubs are sent at once, so that the
 * machine has time for those who wait for their 250. */
void lifecycle_deposited(struct lifecycle *l);
/* Takes nothing new, waits for what is under way, joins, frees. */
void lifecycle_free(struct lifecycle *l);

#endif
