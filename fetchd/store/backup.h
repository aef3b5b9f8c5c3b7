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

struct store_restored {
    uint64_t number; /* of the backup */
    int64_t began_s; /* when it was begun */
    bool covered;    /* the handover journal says all that happened since; else *why of it is in gap */
    char gap[256];
    size_t notes;    /* that were read */
    size_t changed;  /* tickets that were told of since, and are as they were told */
    size_t replaced; /* ended: their letters were replaced since, and the new ones are not in the backup */
    size_t lost;     /* came since: their letters are not in the backup, and their senders are told */
    size_t perhaps;  /* perhaps handed over since */
    size_t jobs;     /* of the receiving side, that were delivered, refused or ended since */
    char aside[256]; /* what stands behind the names db and payload of the store that was there; "": there was
                        none */
};
/*
 * Puts a backup in the place of the store of `o`, which no process may have open (ERR_BUSY), and enters
 * what the handover journal knows of the time since. A store that is there already is refused (ERR_EXISTS)
 * unless `replace` moves it aside; when the restore fails before it has opened what it copied, the old one is
 * put back. Broken off, it leaves the mark that store_open refuses; said again, it begins anew.
 *
 *  - What was claimed since is handed over; what ended is ended, as it did. Senders are told what they were
 * not told.
 *  - A letter that was replaced since is not served: the ticket ends, and its sender is told (TICKET_BOUNCED,
 * or, handed over since, TICKET_UNCONFIRMED).
 *  - A letter that came since is lost; its ticket comes back with its end, or TICKET_BOUNCED, and its sender
 * is told.
 *  - Where the journal does not cover the time since, every living ticket is marked `perhaps`.
 *  - The receiving side's jobs are as they were when they were delivered or refused.
 *
 * ERR_NOT_FOUND, ERR_STORE, ERR_STORE_FORMAT, ERR_CONFIG (the site keys are not those that it needs), ERR_IO,
 * with *why.
 */
enum err store_restore(const struct store_options *o, struct site_keys *keys, const char *directory,
                       bool replace, struct store_restored *out, struct buf *why);
/* ERR_CONFIG with *why: a restore into this store was broken off. */
enum err store_restore_unfinished(const char *store_directory, struct buf *why);

#endif
