/*
 * store_bdb_backup.c - backups of the Berkeley DB engine while it works, and which logs they need.
 *
 * A full backup is a copy of every table, taken by Berkeley DB itself so that no page is caught half written,
 * and of all logs from the checkpoint before to the end: recovery from the first of these logs on brings the
 * copies, taken at different moments, to one state, that at the log's end. An incremental one adds the logs
 * since; it needs every log since the last backup, so these are kept (and with them, until then, what they
 * say of destroyed keys) up to KEEP_LOG_FILES, past which the next backup is a full one again. Which backup
 * was the last stands in the file backup-state, so that a restart forgets nothing.
 *
 * A payload file may go between the copy of the log and that of the files: so none is removed while a backup
 * is made. Those that come meanwhile are copied too; nothing names them after a restore, and they are swept.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/encode.h"
#include "base/kill.h"
#include "base/log.h"
#include "store/backup_dir.h"
#include "store/store_bdb.h"
#include "store/file_copy.h"

#define KEEP_LOG_FILES 32 /* that incremental backups may need: 512 MiB */
#define ROW_FILES_MAX                                                                                        \
    200 /* logs of one row of backups: past that, copying the tables costs less than recovery */
#define BLOBS_MAX ((size_t)256 << 20)
#define STATE "backup-state"

/* ---- which logs ---------------------------------------------------------------------------------------- */

/* The number in log.0000000012; 0 for another name. */
static u_int32_t log_number(const char *path)
{
    const char *name = strrchr(path, '/');
    unsigned long number;

    name = name == NULL ? path : name + 1;
    if (strncmp(name, "log.", 4) != 0 || strlen(name + 4) != 10 || strspn(name + 4, "0123456789") != 10)
        return 0;
    number = strtoul(name + 4, NULL, 10);
    return number <= UINT32_MAX ? (u_int32_t)number : 0;
}

static void state_path(const struct bdb *b, char out[PATH_MAX + 16])
{
    snprintf(out, PATH_MAX + 16, "%s/" STATE, b->keep.directory);
}

void bdb_keep_init(struct bdb *b, const char *directory)
{
    struct bdb_keep *k = &b->keep;
    char path[PATH_MAX + 16], text[200] = "";
    struct span id, number, log;
    uint64_t file = 0;
    int fd;

    pthread_mutex_init(&k->mutex, NULL);
    pthread_mutex_init(&k->tables, NULL);
    buf_init(&k->blobs, BLOBS_MAX);
    snprintf(k->directory, sizeof k->directory, "%s", directory);
    state_path(b, path);
    if ((fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)) < 0)
        return;
    if (read(fd, text, sizeof text - 1) > 0) {
        span_cut(span_of(text), ' ', &id, &log);
        span_cut(log, ' ', &number, &log);
        span_cut(log, '\n', &log, &(struct span){0});
        k->row = decode_hex(id, k->row_id, sizeof k->row_id) == ERR_OK &&
                 span_to_u64(number, UINT64_MAX, &k->number) && span_to_u64(log, UINT32_MAX, &file);
        k->log = (uint32_t)file;
    }
    close(fd);
}

void bdb_keep_free(struct bdb *b)
{
    buf_free(&b->keep.blobs);
    pthread_mutex_destroy(&b->keep.mutex);
    pthread_mutex_destroy(&b->keep.tables);
}

/* Under the mutex. The logs are needed no more. */
static void forget(struct bdb *b)
{
    char path[PATH_MAX + 16];

    b->keep.row = false;
    state_path(b, path);
    unlink(path);
}

void bdb_keep_forget(struct bdb *b)
{
    pthread_mutex_lock(&b->keep.mutex);
    forget(b);
    pthread_mutex_unlock(&b->keep.mutex);
}

/* Under the mutex. What is not on disk is forgotten by a crash, and then the next backup is a full one. */
static void remember(struct bdb *b, const struct backup_manifest *m, u_int32_t log)
{
    char path[PATH_MAX + 16], hex[ENCODE_HEX_LEN(BACKUP_ID_BYTES) + 1], text[200];
    int fd, len;

    encode_hex(m->id, sizeof m->id, hex);
    len = snprintf(text, sizeof text, "%s %" PRIu64 " %" PRIu32 "\n", hex, m->number, log);
    state_path(b, path);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    b->keep.row = fd >= 0 && file_write_all(fd, text, (size_t)len) == ERR_OK && fdatasync(fd) == 0;
    if (fd >= 0)
        close(fd);
    if (!b->keep.row) {
        forget(b);
        return;
    }
    memcpy(b->keep.row_id, m->id, sizeof b->keep.row_id);
    b->keep.number = m->number;
    b->keep.log = log;
}

enum err bdb_remove_logs(struct bdb *b)
{
    struct bdb_keep *k = &b->keep;
    char **list = NULL;
    u_int32_t newest = 0;
    enum err err = ERR_OK;

    pthread_mutex_lock(&k->mutex);
    if (!k->running)
        err = bdb_err(b, "list of logs", b->env->log_archive(b->env, &list, DB_ARCH_ABS));
    for (char **at = list; at != NULL && *at != NULL; at++)
        if (log_number(*at) > newest)
            newest = log_number(*at);
    if (list != NULL && k->row && newest >= k->log + KEEP_LOG_FILES) {
        log_info("store: the last backup is so long ago that the next one will be a full one");
        forget(b);
    }
    for (char **at = list; at != NULL && *at != NULL; at++)
        if (log_number(*at) != 0 && (!k->row || log_number(*at) < k->log) && unlink(*at) != 0)
            log_warning("store: %s: %s", *at, strerror(errno));
    pthread_mutex_unlock(&k->mutex);
    free(list);
    return err;
}

bool bdb_keep_blob(struct bdb *b, const uint8_t id[ENGINE_BLOB_ID_BYTES])
{
    struct bdb_keep *k = &b->keep;
    bool kept;

    pthread_mutex_lock(&k->mutex);
    kept = k->running;
    /* When there is no room for more, the sweep at the next start finds it. */
    if (kept && buf_append(&k->blobs, id, ENGINE_BLOB_ID_BYTES) != ERR_OK)
        log_warning("store: a payload file that is not needed any more stays until the next start");
    pthread_mutex_unlock(&k->mutex);
    return kept;
}

bool bdb_keeps_blob(struct bdb *b, const uint8_t id[ENGINE_BLOB_ID_BYTES])
{
    const struct buf *blobs = &b->keep.blobs;
    bool kept = false;

    pthread_mutex_lock(&b->keep.mutex);
    for (size_t at = 0; at < blobs->len && !kept; at += ENGINE_BLOB_ID_BYTES)
        kept = memcmp(blobs->data + at, id, ENGINE_BLOB_ID_BYTES) == 0;
    pthread_mutex_unlock(&b->keep.mutex);
    return kept;
}

static bool begin(struct bdb *b)
{
    bool free_now;

    pthread_mutex_lock(&b->keep.mutex);
    free_now = !b->keep.running;
    b->keep.running = true;
    pthread_mutex_unlock(&b->keep.mutex);
    return free_now;
}

/* m: the backup that is complete now, which needs logs from `log` on for the next; NULL: it was broken off.
 */
static void end(struct bdb *b, const struct backup_manifest *m, u_int32_t log)
{
    struct buf blobs;

    buf_init(&blobs, BLOBS_MAX);
    pthread_mutex_lock(&b->keep.mutex);
    if (m != NULL)
        remember(b, m, log);
    b->keep.running = false;
    if (buf_append_span(&blobs, buf_span(&b->keep.blobs)) == ERR_OK)
        buf_free(&b->keep.blobs);
    pthread_mutex_unlock(&b->keep.mutex);
    for (size_t at = 0; at < blobs.len; at += ENGINE_BLOB_ID_BYTES)
        blob_dir_remove(b->blobs, (const uint8_t *)blobs.data + at);
    buf_free(&blobs);
}

/* ---- the backup ---------------------------------------------------------------------------------------- */

/* Whether the last backup of the directory is the one whose logs were kept, and is not too long a row. */
static bool can_add(struct bdb *b, const struct backup_manifest *last)
{
    char log[PATH_MAX + 32];
    bool can;

    pthread_mutex_lock(&b->keep.mutex);
    can = b->keep.row && last->number == b->keep.number && last->number > 0 &&
          memcmp(last->id, b->keep.row_id, sizeof last->id) == 0 && last->file_count < ROW_FILES_MAX;
    pthread_mutex_unlock(&b->keep.mutex);
    snprintf(log, sizeof log, "%s/db/log.%010" PRIu32, b->keep.directory, b->keep.log);
    return can && access(log, F_OK) == 0;
}

/* The first log that recovery would need now. 0: all of them. */
static enum err first_log(struct bdb *b, u_int32_t *from)
{
    char **list = NULL;
    enum err err = bdb_err(b, "list of logs", b->env->log_archive(b->env, &list, DB_ARCH_ABS));

    *from = 0;
    for (char **at = list; at != NULL && *at != NULL; at++)
        if (log_number(*at) >= *from)
            *from = log_number(*at) + 1;
    free(list);
    return err;
}

static enum err copy_tables(struct bdb *b, struct backup_dir *to, const char *path, struct buf *why)
{
    char name[64];
    enum err err = ERR_OK;
    int rc;

    pthread_mutex_lock(&b->keep.tables);
    for (int i = 0; i < TABLE_COUNT && err == ERR_OK; i++) {
        snprintf(name, sizeof name, "%s.db", engine_table_name((enum engine_table)i));
        rc = b->env->dbbackup(b->env, name, path, 0);
        if (rc != 0) {
            buf_printf(why, "%s/%s: %s", path, name, db_strerror(rc));
            err = bdb_err(b, "backup", rc);
        } else {
            err = backup_dir_add(to, name, why);
        }
        KILL_POINT("backup-table-after");
    }
    pthread_mutex_unlock(&b->keep.tables);
    return err;
}

/* All logs from `from` on, as far as they are by now. *last: the newest of them. */
static enum err copy_logs(struct bdb *b, struct backup_dir *to, u_int32_t from, u_int32_t *last,
                          struct buf *why)
{
    char **list = NULL;
    enum err err = b->engine.ops->flush(&b->engine);
    bool found = false;

    *last = 0;
    if (err == ERR_OK)
        err = bdb_err(b, "list of logs", b->env->log_archive(b->env, &list, DB_ARCH_ABS | DB_ARCH_LOG));
    if (err != ERR_OK)
        buf_printf(why, "the logs of the database: %s", err_text(err));
    for (char **at = list; at != NULL && *at != NULL && err == ERR_OK; at++) {
        u_int32_t number = log_number(*at);

        if (number < from)
            continue;
        found = found || number == from || from == 0;
        if (number > *last)
            *last = number;
        err = backup_dir_copy(to, *at, strrchr(*at, '/') + 1, why);
    }
    free(list);
    if (err == ERR_OK && !found) {
        buf_printf(why, "log %" PRIu32 " of the database is missing", from);
        err = ERR_STORE;
    }
    return err;
}

static enum err copy_payloads(struct bdb *b, struct backup_dir *to, struct buf *why)
{
    char name[ENCODE_HEX_LEN(ENGINE_BLOB_ID_BYTES) + 1];
    uint8_t id[ENGINE_BLOB_ID_BYTES];
    struct engine_blob_walk *walk = NULL;
    enum err err = blob_dir_walk_begin(b->blobs, &walk);

    while (err == ERR_OK && (err = blob_dir_walk_next(walk, id)) == ERR_OK) {
        encode_hex(id, ENGINE_BLOB_ID_BYTES, name);
        err = backup_dir_payload(to, blob_dir_fd(b->blobs), name, why);
        if (err == ERR_NOT_FOUND) /* removed by hand: not the backup's to find */
            err = ERR_OK;
    }
    blob_dir_walk_end(walk);
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

enum err bdb_backup(struct engine *e, struct backup_dir *to, bool *full, struct buf *why)
{
    struct bdb *b = (struct bdb *)e;
    const char *path;
    u_int32_t from = 0, last = 0;
    enum err err;

    if (!begin(b)) {
        buf_append_str(why, "another backup is being made");
        return ERR_BUSY;
    }
    *full = !can_add(b, backup_dir_last(to));
    if (!*full)
        from = b->keep.log; /* changed by whoever makes a backup: by us */
    /* What is not in the tables by now is in the logs behind this checkpoint. */
    err = *full ? bdb_err(b, "checkpoint", b->env->txn_checkpoint(b->env, 0, 0, DB_FORCE)) : ERR_OK;
    if (err == ERR_OK && *full)
        err = first_log(b, &from);
    if (err == ERR_OK)
        err = backup_dir_begin(to, *full, &path, why);
    if (err == ERR_OK && *full)
        err = copy_tables(b, to, path, why);
    if (err == ERR_OK)
        err = copy_logs(b, to, from, &last, why);
    KILL_POINT("backup-logs-after");
    if (err == ERR_OK)
        err = copy_payloads(b, to, why);
    if (err == ERR_OK)
        err = backup_dir_finish(to, why);
    end(b, err == ERR_OK ? backup_dir_last(to) : NULL, last);
    return err;
}
