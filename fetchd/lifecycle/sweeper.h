/*
 * sweeper.h - the thread that tidies up (store/sweep.h): a step, then a pause that is longer than the step
 * was, so that deposits and claims hardly notice it.
 */
#ifndef LIFECYCLE_SWEEPER_H
#define LIFECYCLE_SWEEPER_H

#include "base/err.h"

struct store;
struct sweeper;
/* Borrows the store until sweeper_free. ended(arg): tickets have ended, somebody is to be told; called in the
 * sweeper's thread. */
enum err sweeper_create(struct store *store, void (*ended)(void *arg), void *arg, struct sweeper **out);
void sweeper_free(struct sweeper *s); /* waits for the step that is under way; NULL is fine */

#endif
