/*
 * pool.h - threads for work that blocks: store commits, DNS, injection. Thread-safe.
 */
#ifndef POOL_POOL_H
#define POOL_POOL_H

#include <stddef.h>

#include "base/err.h"

struct pool;
typedef void (*pool_work)(void *arg);

/* name: for thread names, at most 10 characters. threads, queue_max: 1 or more; what may wait, more is
 * ERR_BUSY. The threads start with all signals blocked. */
enum err pool_create(const char *name, unsigned threads, size_t queue_max, struct pool **out);
/* Before anything is submitted: each thread runs idle(arg) when it has worked and nothing waits any more. */
void pool_on_idle(struct pool *p, pool_work idle, void *arg);
/* Runs everything that was queued, then joins. Not from a thread of the pool. NULL is fine. */
void pool_free(struct pool *p);
/* Runs work(arg) on one of the threads, roughly in the order of submission. May be called from the pool's own
 * threads. ERR_BUSY: nothing was queued. */
enum err pool_submit(struct pool *p, pool_work work, void *arg);
/* How many pieces of work have been submitted and not yet begun. */
size_t pool_waiting(struct pool *p);

#endif
