/*
 * store_bdb.h - what the files of the Berkeley DB engine share. Included by them alone.
 */
#ifndef STORE_STORE_BDB_H
#define STORE_STORE_BDB_H

#include <db.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>

#include "store/blob_dir.h"
#include "store/engine.h"
#include "store/group_sync.h"

/*
 * One block of the file system. With larger pages a write that a full disk or a power cut breaks off leaves a
 * page whose head says that it is new and whose tail is old, and recovery believes the head: with 16 KiB
 * pages and a full disk, tickets were lost that way. Faster they were not: the log's sync decides.
 */
#define BDB_PAGE_BYTES 4096
#define BDB_FILE_MODE 0600
#define BDB_LOG_FILE_BYTES (16U * 1024 * 1024)

/* What a backup needs kept: logs, from the one on that the last incremental backup ended with, and while one
 * is being made all logs and all blobs. */
struct bdb_keep {
    char directory[PATH_MAX]; /* the store's */
    pthread_mutex_t mutex;    /* held while logs are removed, too */
    pthread_mutex_t tables;   /* held while they are copied, or made shorter */
    bool running;             /* a backup is */
    struct buf blobs;         /* ids to be removed when it has ended */
    bool row;                 /* there is a backup that can be added to: */
    uint8_t row_id[16];
    uint64_t number;
    u_int32_t log; /* it needs this log and those behind it */
};

struct bdb {
    struct engine engine;
    int lock_fd;
    DB_ENV *env;
    DB *table[TABLE_COUNT];
    struct blob_dir *blobs;
    void (*failed)(void *arg);
    void *failed_arg;
    atomic_bool panicked;
    atomic_int_fast64_t message_minute;
    atomic_uint messages;
    struct group_sync flush;
    struct bdb_keep keep;
    /* the checkpoint thread */
    pthread_t thread;
    bool thread_runs;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    bool stop; /* under mutex */
};

/* Berkeley DB's answer as one of ours. what: for the log. */
enum err bdb_err(struct bdb *b, const char *what, int rc);

enum bdb_opening {
    BDB_USUAL,
    BDB_BACKUP,    /* files of a backup: all logs there are */
    BDB_NO_TABLES, /* their files are looked at, and not opened */
};
/* Takes the lock, recovers, opens; *why gets a sentence. Close with b->engine.ops->close. */
enum err bdb_open_files(const char *directory, int64_t cache_bytes, enum bdb_opening how, struct bdb **out,
                        struct buf *why);

/* store_bdb_tables.c */
enum err bdb_open_tables(struct bdb *b, struct buf *why);

/* store_bdb_backup.c */
enum err bdb_backup(struct engine *e, struct backup_dir *to, bool *full, struct buf *why);
/* What the last backup left in the store's directory. */
void bdb_keep_init(struct bdb *b, const char *directory);
void bdb_keep_free(struct bdb *b);
/* The last backup can not be added to. */
void bdb_keep_forget(struct bdb *b);
/* Removes logs that neither recovery nor a backup needs. */
enum err bdb_remove_logs(struct bdb *b);
/* True: a backup is being made, and the blob goes when it has ended. */
bool bdb_keep_blob(struct bdb *b, const uint8_t id[ENGINE_BLOB_ID_BYTES]);
/* Whether a blob that was removed is there for the backup under way alone. */
bool bdb_keeps_blob(struct bdb *b, const uint8_t id[ENGINE_BLOB_ID_BYTES]);

#endif
