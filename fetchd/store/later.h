/*
 * later.h - one thread that syncs for all who do not want to wait in a thread of their own, and calls them
 * back. Of claims and acks many come at once: each is committed in memory by a thread that goes on to the
 * next, and when none waits any more (or dozens do) one sync serves all their answers. Thread-safe.
 */
#ifndef STORE_LATER_H
#define STORE_LATER_H

#include "store/store.h"

struct later;

/* s: borrowed until later_free. ERR_NOMEM, ERR_UNAVAILABLE. */
enum err later_create(struct store *s, struct later **out);
/* Calls back whoever still waits, then ends the thread. NULL is fine. */
void later_free(struct later *l);
/* As store_when_durable and store_when_durable_soon. */
void later_add(struct later *l, struct store_later *item, bool at_once);
/* As store_sync_waiting. */
void later_sync(struct later *l);

#endif
