/*
 * group_sync.h - one sync for all who wait for it. Thread-safe.
 *
 * One thread syncs at a time; who comes meanwhile waits for the next sync, which the first of them then does
 * for all: a sync that began before somebody came may not have his changes. Each sleeps by himself and wakes
 * with his result, so that a crowd does not meet again at one lock.
 */
#ifndef STORE_GROUP_SYNC_H
#define STORE_GROUP_SYNC_H

#include <pthread.h>
#include <stdbool.h>

#include "base/err.h"

struct group_waiter;
struct group_sync {
    pthread_mutex_t mutex;
    bool busy;                    /* somebody syncs */
    struct group_waiter *waiting; /* for the next sync */
};

void group_sync_init(struct group_sync *g);
void group_sync_free(struct group_sync *g);
/* Returns when a sync that began after the call has ended, with its result. sync is called without a lock
 * held, by one thread at a time. */
enum err group_sync_run(struct group_sync *g, enum err (*sync)(void *arg), void *arg);

#endif
