/*
 * outbox.h - one entry of the outbox, done: the stub goes to our MTA. Each step that matters is durable
 * before the next thing depends on it; an unclear outcome sends the stub again, which harms nobody (a
 * repeated stub delivers nothing twice).
 */
#ifndef LIFECYCLE_OUTBOX_H
#define LIFECYCLE_OUTBOX_H

#include "env/env.h"
#include "store/store.h"

/* WORK_STUB. Blocks; records what came of it in the store. */
void outbox_send_stub(const struct env *env, const struct work *work);
/* When to try again: doubles from outbox_retry_min to outbox_retry_max, with up to a quarter more at random.
 */
int64_t outbox_next_try(const struct env *env, uint32_t tries, int64_t now_s);

#endif
