/*
 * store_count.h - the store's counts as records: what a change adds and takes away is written in its own
 * transaction, so that opening need not look at every record.
 *
 * One row for all would make every change wait for every other. So there are several, each on a page of its
 * own, and a thread has its own as long as there are enough; the counts are their sum.
 */
#ifndef STORE_STORE_COUNT_H
#define STORE_STORE_COUNT_H

#include "store/store_internal.h"

/* Writes c->counts; to be done last, since others wait for the row. */
enum err change_counts_write(struct change *c);
/* Makes the rows, with these counts. */
enum err change_counts_create(struct change *c, const struct store_counts *n);
/* The sum of all rows. ERR_STORE: one is missing or damaged. */
enum err store_counts_read(struct store *s, struct store_counts *out);

#endif
