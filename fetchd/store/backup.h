/*
 * backup.h - copies of the whole store while it works, and one put in its place again.
 *
 * A backup holds the database, its logs and the payload files as they were at one moment; of the site keys
 * only which epochs it needs. What was handed over, confirmed or told since stands in the handover journal
 * (handover.h), which is no part of it.
 */
#ifndef STORE_BACKUP_H
#define STORE_BACKUP_H

#include "store/backup_dir.h"
#include "store/store.h"

struct store_backup {
    uint64_t number;
    bool full; /* else it was added to the one before */
    struct backup_tally tally;
    size_t payloads; /* that it has in all */
};
/* Makes the next backup in a directory (backup_dir.h); changes go on meanwhile. program: the version that
 * makes it. ERR_BUSY: one is being made; ERR_EXISTS, ERR_FORBIDDEN, ERR_UNAVAILABLE (the engine makes none),
 * ERR_IO, with *why. Takes as long as it takes to copy what is new. */
enum err store_backup(struct store *s, const char *directory, const char *program, struct store_backup *out,
                      struct buf *why);

#endif
