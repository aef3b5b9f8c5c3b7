/*
 * store_internal.h - what the files behind store.h share: the store's struct, and a change: one transaction
 * with what goes with it when it commits (counters, a blob to remove).
 */
#ifndef STORE_STORE_INTERNAL_H
#define STORE_STORE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "store/engine.h"
#include "store/grace.h"
#include "store/group_sync.h"
#include "store/records.h"
#include "store/store.h"

#define STORE_VALUE_MAX                                                                                      \
    (128 * 1024) /* bytes of any record's value, sealed payloads among them; payload_record_max's limit */

struct store {
    struct engine *engine;
    struct site_keys *keys;       /* borrowed until store_close */
    pthread_mutex_t epochs_mutex; /* one reloads or retires keys at a time (epochs.h) */
    int64_t record_max_bytes, dedupe_s, tombstone_s, disk_floor_percent;
    struct grace *work_grace, *job_grace;
    atomic_int_fast64_t deposited_mono_ms; /* when the last letter came */
    /* Payloads on their way from a file to a record, and from a record that went to the end of the file: no
     * orphans. */
    struct grace *keeping;
    struct later *later;
    bool repair;
    int64_t letters_since_s;               /* store_letter.h */
    atomic_uint_fast32_t letters_last_day; /* no row of LETTER is of a later one */
    struct handover *handover;             /* NULL: there is none */
    struct group_sync flush;               /* of both */
    pthread_mutex_t count_mutex;
    struct store_counts counts; /* under count_mutex */
};

/* Opens a store on an engine of the caller's, which it takes even on error. store_open is this, after opening
 * the engine of the options. */
enum err store_open_on(const struct store_options *o, struct site_keys *keys, struct engine *engine,
                       struct store **out, struct buf *why);
/* The opening's checks: format, site keys; then the counts. */
enum err store_check(struct store *s, struct buf *why);
/* What a repair emptied is full again: the store opens for all. */
enum err store_check_repaired(struct store *s);
/* Its part about site keys: those that the store was opened with against those that it knows (epochs.c). */
enum err epochs_check(struct store *s, struct buf *why);

struct change {
    struct store *s;
    struct engine_txn *txn;
    struct buf value;           /* scratch of the last read */
    struct store_counts counts; /* differences, in modular arithmetic */
    struct buf blobs;           /* ids of blobs to remove after the commit */
    struct buf quota;           /* sums for store_quota.c */
    struct buf notes;           /* entries for the handover journal, added after the commit */
    struct buf states;          /* struct state_change, for the log */
};
struct state_change {
    uint8_t a[TICKET_A_BYTES];
    enum ticket_state from, to;
};
/*
 * Runs body in a transaction and commits it when the result is ERR_OK, else aborts and gives that result.
 * Again and again while it collides with others, so body starts from nothing each time and writes to arg only
 * what it may overwrite. Whatever the result, what it rests on is durable when this returns without an error
 * of the store. Takes one flush.
 */
typedef enum err (*change_body)(struct change *c, void *arg);
enum err store_change(struct store *s, change_body body, void *arg);
/* The same without the flush (but with it when blobs go), for what may be lost in a crash, or is flushed
 * later. */
enum err store_change_lazy(struct store *s, change_body body, void *arg);
/* The same for what can wait, of many records at once: where it collides it gives way, and gives up with
 * ERR_BUSY. */
enum err store_change_yielding(struct store *s, change_body body, void *arg);

/* For what need not be there: ERR_NOT_FOUND is ERR_OK. */
static inline enum err absent_is_fine(enum err err)
{
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

/* Copies with truncation, NUL-terminated; NULL reads as "". */
void store_text(char *out, size_t size, const char *text);

/* Records in a change. r comes zeroed. Reading is for update. ERR_NOT_FOUND. */
enum err change_ticket_get(struct change *c, const uint8_t key[TICKET_STORE_KEY_BYTES],
                           struct ticket_record *r);
enum err change_ticket_put(struct change *c, const struct ticket_record *r);
/* The one way into a state: checks the table of transitions, counts, says so among the ticket's events, and
 * does what an end calls for: wrap destroyed, timer to the purge, nothing more to be sent to the other side
 * or told to the sender but of this end (WORK_NOTIFY, WORK_PLAIN: these keep the payload), or else the
 * payload's reference given up. */
enum err change_ticket_enter(struct change *c, struct ticket_record *r, enum ticket_state to, int64_t now_s);
/* A lease that is over at now_s becomes a lapse. */
enum err change_ticket_settle(struct change *c, struct ticket_record *r, int64_t now_s, int64_t live_until_s);
/* Past its time, not under a lease and not on hold, it ends now (*ended), and not only when store_expire
 * comes by. The ticket must be settled before and put afterwards. */
enum err change_ticket_end_overdue(struct change *c, struct ticket_record *r, int64_t now_s, bool *ended);
/* When store_expire looks at a living ticket; it must be put afterwards. */
enum err change_ticket_timer(struct change *c, struct ticket_record *r, int64_t time_s);
/* Whether the archive has a copy of the ticket's letter goes into r->t.archived. */
enum err change_ticket_archived(struct change *c, struct ticket_record *r);
/* Something waits for that copy: a look at the ticket, which makes it, is due. Puts the ticket. */
enum err change_archive_due(struct change *c, struct ticket_record *r, int64_t now_s);
/* Sets, moves or (0) removes an entry of the outbox; the ticket must be put afterwards. */
enum err change_work_set(struct change *c, struct ticket_record *r, enum work_kind kind, int64_t due_s);
/* A new payload's record and, unless it is a blob, its bytes; r->references is set. */
struct store_payload;
enum err change_payload_put(struct change *c, const struct store_payload *p, const struct payload_record *r);
/* A payload's record, for update. ERR_NOT_FOUND. */
enum err change_payload_get(struct change *c, const uint8_t id[SEAL_PAYLOAD_ID_BYTES],
                            struct payload_record *out);
/* One reference less; with the last one the payload, its sealed DEK and its blob go. */
enum err change_payload_release(struct change *c, const uint8_t id[SEAL_PAYLOAD_ID_BYTES]);
/* The ticket's own reference, and what the payload knew of the archive goes into r->t.archived. */
enum err change_ticket_release(struct change *c, struct ticket_record *r);
/* Ends a ticket whose time is up, or sets its timer anew when it may not end yet (*r: what it is then).
 * ERR_NOT_FOUND: its time is not up (any more), nothing was changed. r: for its record. */
enum err change_ticket_expire(struct change *c, const uint8_t key[TICKET_STORE_KEY_BYTES], int64_t now_s,
                              struct ticket_record *r);
/* Everything of an ended ticket. ERR_NOT_FOUND: it lives, or something is still to be done for it. */
enum err change_ticket_purge(struct change *c, struct ticket_record *r);
enum err change_job_purge(struct change *c, const uint8_t id[16], int64_t timer_s);

/* Rows of a table between two keys, page by page. */
struct walk {
    struct store *s;
    enum engine_table table;
    struct engine_rows rows;
    struct record_key from, until;
    bool descending, done;
    size_t page;
};
void walk_init(struct walk *w, struct store *s, enum engine_table table, struct record_key from,
               struct record_key until, bool descending);
/* ERR_NOT_FOUND after the last row. The spans borrow until the next call. */
enum err walk_next(struct walk *w, struct span *key, struct span *value);
void walk_free(struct walk *w);
/* One committed record, read without a lock. ERR_NOT_FOUND. */
enum err store_read(struct store *s, enum engine_table table, struct span key, struct buf *out);

#endif
