/*
 * grace.h - which entries of the outbox and of the job queue are in somebody's hands, until when. In memory
 * only: after a crash all of them are due again. By the monotonic clock: what somebody has is not given to
 * another because the wall clock jumps. Thread-safe.
 */
#ifndef STORE_GRACE_H
#define STORE_GRACE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

#define GRACE_ID_MAX 40 /* bytes */

struct grace;
enum err grace_create(struct grace **out);
void grace_free(struct grace *g);
#define GRACE_FOR_EVER INT64_MAX
/* Takes the entry for that long (GRACE_FOR_EVER: until it is given back), unless somebody has it and his time
 * is not over: false then. ERR_NOMEM counts as held by somebody. */
bool grace_take(struct grace *g, struct span id, int64_t for_ms);
/* Whether somebody has it, or has never given it back. */
bool grace_held(struct grace *g, struct span id);
void grace_give_back(struct grace *g, struct span id);

#endif
