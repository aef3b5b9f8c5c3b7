/*
 * sweep.h - tidying up in steps so small that nobody waits for them: tickets past their time end, what is
 * over is removed, payload files that no record names go, and tables of which much is free give their space
 * back.
 *
 * A sweeper belongs to one thread, which pauses between the steps.
 */
#ifndef STORE_SWEEP_H
#define STORE_SWEEP_H

#include "store/store.h"

struct store_sweeper;
enum err store_sweeper_create(struct store *s, struct store_sweeper **out); /* borrows s until it is freed */
void store_sweeper_free(struct store_sweeper *w);

/* What steps did; each adds to it. */
struct store_swept {
    size_t expired; /* tickets past their time that ended */
    size_t purged;  /* tombstones, ended jobs, rows whose time is over */
    size_t orphans; /* payload files */
    size_t damaged; /* records that were passed over */
    uint64_t pages; /* given back to the file system */
};
/*
 * One step of what is due: some dozens of records in one transaction, which gives way where it would collide
 * with others. *next_s: when the next step is due; now_s or earlier: there is more to do now. The error of a
 * task is given once, and the task left alone until its next time. Records that cannot be read are passed
 * over.
 */
enum err store_sweep(struct store_sweeper *w, int64_t now_s, struct store_swept *done, int64_t *next_s);

#endif
