/*
 * grace.h - which entries of the outbox and of the job queue are in somebody's hands, until when. In memory
 * only: after a crash all of them are due again. Thread-safe.
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
/* Takes the entry until until_s unless somebody has it (his time not being over at now_s): false then, and
 * *held_until_s is his. ERR_NOMEM counts as held by somebody, until now. */
bool grace_take(struct grace *g, struct span id, int64_t now_s, int64_t until_s, int64_t *held_until_s);
/* Whether somebody has it, and until when. */
bool grace_held(struct grace *g, struct span id, int64_t *held_until_s);
void grace_give_back(struct grace *g, struct span id);

#endif
