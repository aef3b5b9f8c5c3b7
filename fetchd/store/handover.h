/*
 * handover.h - the journal of what left this house, or was told to somebody, and must not be served again
 * when the store is restored from a backup: claims, acks, refusals, retractions and the other ends, notices.
 * It lies beside the store, best on another disk.
 *
 * Files handover.<number> in one directory, appended to, each with a header (format version, the journal's
 * id, its own number, when it was begun) and entries that end with the head of their SHA-256. A file that is
 * done with ends with HANDOVER_END; only the newest may lack it, and its last entry may be torn. A file is
 * full at 16 MiB or at midnight (UTC), and goes when all of it is older than the options' keep_s. The id
 * changes when entries may be missing (the journal was off, or lost): what was noted under another id says
 * nothing of the time between.
 *
 * Thread-safe but for open and free. Errors besides those named: ERR_STORE, ERR_DISK_FULL, ERR_NOMEM.
 */
#ifndef STORE_HANDOVER_H
#define STORE_HANDOVER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "ticket/ticket.h"

#define HANDOVER_ID_BYTES 16

/* On disk: values are never given to anything else. */
enum handover_kind {
    HANDOVER_CLAIMED = 1, /* extra: the lease token */
    HANDOVER_ACKED = 2,
    HANDOVER_REFUSED = 3, /* body: reason, NUL, text, NUL */
    HANDOVER_RETRACTED = 4,
    HANDOVER_PLAIN = 5,    /* closed to claims; its letter went out with a TOLD of WORK_PLAIN */
    HANDOVER_REPLACED = 6, /* arg: the new version */
    HANDOVER_BOUNCED = 7,  /* body: as REFUSED */
    HANDOVER_EXPIRED = 8,
    HANDOVER_UNCONFIRMED = 9,
    HANDOVER_TOLD = 10,          /* arg: enum work_kind, which is done */
    HANDOVER_HOLD = 11,          /* arg: 1 or 0; body: the note, NUL */
    HANDOVER_DEPOSITED = 12,     /* body: the ticket's record */
    HANDOVER_JOB_DELIVERED = 13, /* key: the job's id; body: the job's record */
    HANDOVER_JOB_REFUSED = 14,
    HANDOVER_JOB_ENDED = 15,
    HANDOVER_END = 16,           /* of a file; arg: how many entries it has */
    HANDOVER_PLAIN_REFUSED = 17, /* body: as REFUSED */
};

struct handover_entry {
    enum handover_kind what;
    uint32_t arg;
    int64_t at_s;
    uint8_t key[TICKET_STORE_KEY_BYTES];
    uint8_t a[TICKET_A_BYTES];
    uint8_t extra[32];
    struct span body;
};
#define HANDOVER_BODY_MAX 65536
/* Appends the entry's bytes to *out. */
enum err handover_encode(const struct handover_entry *e, struct buf *out);

/* Where in the journal: everything noted later comes behind it. */
struct handover_position {
    uint8_t id[HANDOVER_ID_BYTES];
    uint64_t file, offset;
};

struct handover;
struct handover_options {
    const char *directory; /* created 0700; its parent must be there */
    int64_t keep_s;
};
/* known: the id under which the store's last journal ran, NULL for none. The journal that lies in the
 * directory is gone on with when it has this id and is whole; else one with a new id begins. *last_s: the
 * time of the last entry of the one gone on with, 0 else. ERR_IO, ERR_STORE with *why. */
enum err handover_open(const struct handover_options *o, const uint8_t *known, struct handover **out,
                       int64_t *last_s, struct buf *why);
void handover_free(struct handover *h); /* what was added is written first; NULL is fine */
/* Where it stands; nothing that is added after the call lies before it. */
void handover_position(struct handover *h, struct handover_position *out);

/* Entries, encoded: in memory until the next sync. Never fails: what there is no room for makes every sync
 * fail until the program starts again. */
void handover_add(struct handover *h, struct span entries);
/* Begins to write and sync what was added before the call, in a thread of its own; false: there is nothing.
 * After true, handover_synced must follow and waits for the result. By one caller at a time. What failed is
 * tried again with the next sync. */
bool handover_sync(struct handover *h);
enum err handover_synced(struct handover *h);

/* Reads all entries behind a position, in order. ERR_NOT_FOUND with *why: the journal does not cover the time
 * since then (it is another one, or a file or a piece of it is missing or damaged); what each was given
 * before that is true all the same. A torn end is none of these. An error of each ends it and is the result.
 * The entry borrows until each returns. */
enum err handover_read(const char *directory, const struct handover_position *since,
                       enum err (*each)(void *arg, const struct handover_entry *e), void *arg,
                       struct buf *why);

#endif
