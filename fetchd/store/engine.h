/*
 * engine.h - what the store asks of a database: transactions over a few ordered tables of bytes, and blobs
 * beside them. The words of the house and all rules stand above (store_*.c); a further engine implements this
 * table of functions and nothing else.
 *
 * An engine is thread-safe. A transaction belongs to one thread, which has at most one open at a time and
 * neither scans nor flushes meanwhile. Transactions are serialisable for the keys they read with `update` or
 * write.
 *
 * Errors of all functions, besides those named: ERR_STORE, ERR_DISK_FULL, ERR_NOMEM, and in a transaction
 * ERR_BUSY: it collided with another and must be aborted and run again.
 */
#ifndef STORE_ENGINE_H
#define STORE_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* X(name, file name, secret: a deleted record's bytes are overwritten first) */
#define ENGINE_TABLES(X)                                                                                     \
    X(META, "meta", false)       /* text -> format version, fingerprints of the site keys */                 \
    X(TICKET, "ticket", false)   /* store key -> ticket */                                                   \
    X(CREATED, "created", false) /* time, store key -> A: for listing */                                     \
    X(TIMER, "timer", false)     /* kind, time, id: expiry of tickets, purge of what is over */              \
    X(WRAP, "wrap", true)        /* store key -> wrapped DEK */                                              \
    X(DEDUPE, "dedupe", false)   /* of before: hash of what makes a letter the same -> store key, time */    \
    X(PAYLOAD, "payload", true)  /* payload id -> size, references, DEK sealed under the site key */         \
    X(SEALED, "sealed", false)   /* payload id -> the sealed bytes of a small payload */                     \
    X(WORK_DUE, "work", false)   /* time, store key, kind: the outbox */                                     \
    X(JOB, "job", false)         /* job id -> job */                                                         \
    X(JOB_DUE, "jobdue", false)  /* time, job id */                                                          \
    X(DOMAIN, "domain", false)   /* name -> last known answer */                                             \
    X(POLICY, "policy", false)   /* mailbox -> policy */                                                     \
    X(ENTRY, "entry", false)     /* mailbox, kind and value -> allow or deny */                              \
    X(CORRESPONDENT, "correspondent", false) /* mailbox, address -> since, until */                          \
    X(TOKEN, "token", false)                 /* mailbox, token -> token */                                   \
    X(SEEN, "seen", false)                   /* organisational domain -> since */                            \
    X(SPENT, "spent", false)                 /* hash -> until when it is spent */                            \
    X(ATTEMPT, "attempt", false)             /* mailbox, sender -> row of contact attempts */                \
    X(ATTEMPT_TIME, "attempttime", false)    /* time, row: of all; and mailbox, time, row: the rings */      \
    X(ATTEMPT_BOX, "attemptbox", false)      /* mailbox -> how many rows */                                  \
    X(QUOTA, "quota", false)                 /* owner or domain -> letters and octets that lie here */       \
    X(TALLY, "tally", false)                 /* part -> how many of what there are */                        \
    X(LETTER, "letter", false)               /* day, Message-ID, what makes it the same -> store key, time */
enum engine_table {
#define ENGINE_TABLE_ENUM(name, file, secret) TABLE_##name,
    ENGINE_TABLES(ENGINE_TABLE_ENUM)
#undef ENGINE_TABLE_ENUM
        TABLE_COUNT
};
const char *engine_table_name(enum engine_table t);
bool engine_table_secret(enum engine_table t);

#define ENGINE_KEY_MAX 512 /* bytes */
#define ENGINE_BLOB_ID_BYTES 16

struct engine;
struct engine_txn;
struct backup_dir;
struct engine_blob; /* one being written; belongs to one thread at a time */
struct engine_blob_walk;

/* Rows of a scan, in order, one after another in one buffer. Born with engine_rows_init. */
struct engine_rows {
    struct buf bytes;
    size_t count;
    size_t at; /* where engine_rows_next reads */
};
void engine_rows_init(struct engine_rows *r);
void engine_rows_free(struct engine_rows *r);
void engine_rows_clear(struct engine_rows *r);
enum err engine_rows_add(struct engine_rows *r, struct span key, struct span value);
/* The next row; false after the last. The spans borrow until the next scan into r. */
bool engine_rows_next(struct engine_rows *r, struct span *key, struct span *value);

struct engine_ops {
    void (*close)(struct engine *e);

    enum err (*begin)(struct engine *e, struct engine_txn **out);
    /* The same for one who gives way: where he would have to wait for another, he gets ERR_BUSY at once. */
    enum err (*begin_yielding)(struct engine *e, struct engine_txn **out);
    /* Appends the value to *out (cleared first). update: the record will be written in this transaction;
     * nobody else may read it for update until the end. ERR_NOT_FOUND. */
    enum err (*get)(struct engine_txn *t, enum engine_table table, struct span key, bool update,
                    struct buf *out);
    enum err (*put)(struct engine_txn *t, enum engine_table table, struct span key, struct span value);
    enum err (*del)(struct engine_txn *t, enum engine_table table, struct span key); /* ERR_NOT_FOUND */
    /* Ends t in any case. After ERR_OK all sees the changes, and a crash shows either all of them or none;
     * they are safe from a crash only after flush. Whoever sees the changes of t and then commits or flushes,
     * does so behind t: an answer given after a flush never rests on something that a crash takes back. */
    enum err (*commit)(struct engine_txn *t);
    void (*abort)(struct engine_txn *t); /* ends t */
    /* Makes everything durable that was committed before the call. After an error the changes are still
     * there, and a later flush may make them durable. */
    enum err (*flush)(struct engine *e);

    /* Outside of transactions: committed rows with from <= key < until (an empty `until`: no end), in
     * ascending or descending order, at most max; *rows is cleared first. No lock is kept: look again in a
     * transaction before acting on a row. */
    enum err (*scan)(struct engine *e, enum engine_table table, struct span from, struct span until,
                     bool descending, size_t max, struct engine_rows *rows);

    /* Blobs: large immutable values beside the tables, outside of transactions. */
    enum err (*blob_create)(struct engine *e, struct engine_blob **out);
    enum err (*blob_write)(struct engine_blob *b, const void *data, size_t len);
    enum err (*blob_patch)(struct engine_blob *b, const void *data, size_t len); /* over the first bytes */
    /* Exactly len bytes from offset of what was written so far. */
    enum err (*blob_read)(struct engine_blob *b, uint64_t offset, void *out, size_t len);
    /* Takes b: durable under its id when it returns. A record that names it is to be committed next; a blob
     * that no record names is an orphan, to be found by a walk and removed. */
    enum err (*blob_keep)(struct engine_blob *b, const uint8_t id[ENGINE_BLOB_ID_BYTES]);
    void (*blob_abort)(struct engine_blob *b); /* takes b, leaves nothing; NULL is fine */
    /* A descriptor of its own (the caller closes it) on the kept bytes. ERR_NOT_FOUND. */
    enum err (*blob_open)(struct engine *e, const uint8_t id[ENGINE_BLOB_ID_BYTES], int *fd, uint64_t *size);
    enum err (*blob_remove)(struct engine *e, const uint8_t id[ENGINE_BLOB_ID_BYTES]); /* ERR_NOT_FOUND */
    /* The ids of all kept blobs, in any order, one by one; what comes and goes meanwhile may be among them or
     * not. A walk belongs to one thread, which may take its time. ERR_NOT_FOUND behind the last. */
    enum err (*blob_walk_begin)(struct engine *e, struct engine_blob_walk **out);
    enum err (*blob_walk_next)(struct engine_blob_walk *w, uint8_t id[ENGINE_BLOB_ID_BYTES]);
    void (*blob_walk_end)(struct engine_blob_walk *w); /* NULL is fine */

    /* Gives back to the file system what a table does not use any more, a part at a time: *at is empty at
     * first, then what the last call left there, and empty again when all was looked at. Other transactions
     * go on meanwhile. Rows of secret tables stay where they are: moved ones would leave copies of their
     * bytes. *pages: how many pages were given back, added. */
    enum err (*compact)(struct engine *e, enum engine_table table, struct buf *at, uint64_t *pages);

    /* Adds the next backup to a directory: all that is committed when it is called, while changes go on, and
     * the blobs that it names. Adds to the last one that lies there when the engine can. *full: it could not.
     * One at a time: ERR_BUSY. NULL: not supported. */
    enum err (*backup)(struct engine *e, struct backup_dir *to, bool *full, struct buf *why);

    /* What unprivileged programs may still use, and all; 0 and 0 when it means nothing. */
    enum err (*space)(struct engine *e, uint64_t *free_bytes, uint64_t *total_bytes);
};

/* The first member of every engine's own struct. */
struct engine {
    const struct engine_ops *ops;
};

/* In memory, for tests and trials: the same rules, nothing survives close. */
enum err engine_mem_open(struct engine **out);

/* Brings the files of a backup, which lie in `directory` as it had them, to one state. As engine_bdb_open. */
enum err engine_bdb_recover(const char *directory, int64_t cache_bytes, struct buf *why);

/* A look at the files of a store that nobody has open: each table is there, and its pages fit together. To
 * open one of which that is not so may end in anything. each(): of each table that is missing or damaged;
 * derived: it can be made anew from others. mend: such a one is put aside into the directory `quarantine`
 * (made when it is needed), and is empty when the store is opened; before, META gets a row
 * ENGINE_REPAIRING_KEY, which whoever fills them takes out. Without a META that is whole nothing is put
 * aside. As engine_bdb_open; ERR_IO: a file could not be looked at. */
#define ENGINE_REPAIRING_KEY "repairing"
struct engine_look {
    bool mend;
    const char *quarantine;
    void (*each)(void *arg, enum engine_table t, bool missing, bool derived, bool mended);
    void *arg;
};
enum err engine_bdb_look(const char *directory, int64_t cache_bytes, const struct engine_look *l,
                         struct buf *why);

/* Berkeley DB: see store_bdb.c for what lies in `directory`. ERR_EXISTS: another process has it. ERR_CONFIG:
 * a foreign DB_CONFIG. *why gets a sentence. failed(arg) is called once, from any thread, when the
 * environment must be recovered; from then on everything is ERR_STORE. */
enum err engine_bdb_open(const char *directory, int64_t cache_bytes, void (*failed)(void *arg),
                         void *failed_arg, struct engine **out, struct buf *why);

#endif
