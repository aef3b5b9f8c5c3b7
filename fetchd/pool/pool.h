/*
 * pool.h - threads for work that blocks: store commits, DNS, injection. Thread-safe.
 */
#ifndef POOL_POOL_H
#define POOL_POOL_H

#include <stddef.h>

#include "base/err.h"

struct pool;
typedef void (*pool_work)(void *arg);

/* name: for thread names, at most 10 characters. queue_max: what may wait; more is ERR_BUSY. */
enum err pool_create(const char *name, unsigned threads, size_t queue_max, struct pool **out);
/* Runs everything that was queued, then joins. */
void pool_free(struct pool *p);
enum err pool_submit(struct pool *p, pool_work work, void *arg);
size_t pool_waiting(struct pool *p);

#endif
