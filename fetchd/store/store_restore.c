/*
 * store_restore.c - a backup in the place of the store; see backup.h.
 *
 * While it works there is a file `restoring` in the store's directory, which store_open refuses; it names
 * what the old store was moved to. So whatever was broken off is known for what it is: with the mark there,
 * db and payload are a restore's own beginnings as soon as the old ones lie aside, and a restore that begins
 * anew removes them. One that finds that it cannot be done puts the old ones back.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/kill.h"
#include "base/log.h"
#include "store/backup.h"
#include "store/file_copy.h"
#include "store/restore_replay.h"
#include "store/store_handover.h"

#define MARK "restoring"
#define MARK_MAX ((size_t)1 << 20)
#define PATH_BYTES (PATH_MAX + 64)

static const char *const part[] = {"db", "payload"};
#define PARTS (sizeof part / sizeof *part)

struct restore {
    const char *directory;
    int fd, lock_fd;
    bool again;      /* there is a mark */
    bool marked;     /* by this one, too */
    char aside[200]; /* what is put behind the parts' names: ".before-1790000000" */
};

static enum err failed(struct buf *why, const char *path)
{
    buf_printf(why, "%s: %s", path, strerror(errno));
    return err_from_errno(errno);
}

enum err store_restore_unfinished(const char *store_directory, struct buf *why)
{
    char path[PATH_BYTES];

    snprintf(path, sizeof path, "%s/" MARK, store_directory);
    if (access(path, F_OK) != 0)
        return ERR_OK;
    buf_printf(why, "%s: a restore was broken off: run restantectl restore again", store_directory);
    return ERR_CONFIG;
}

/* ---- places -------------------------------------------------------------------------------------------- */

static void part_path(const struct restore *r, const char *name, const char *suffix, char out[PATH_BYTES])
{
    snprintf(out, PATH_BYTES, "%s/%s%s", r->directory, name, suffix);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static bool is_empty_directory(const char *path)
{
    return rmdir(path) == 0 ? mkdir(path, 0700) == 0 : errno == ENOENT;
}

/* A name that nothing has yet. */
static void name_aside(struct restore *r)
{
    char path[PATH_BYTES];
    int64_t now_s = clock_now_s();

    do {
        snprintf(r->aside, sizeof r->aside, ".before-%" PRId64, now_s++);
        part_path(r, part[0], r->aside, path);
    } while (access(path, F_OK) == 0);
}

static enum err open_place(struct restore *r, struct buf *why)
{
    char path[PATH_BYTES];
    struct buf text;
    enum err err = ERR_OK;

    if (mkdir(r->directory, 0700) != 0 && errno != EEXIST)
        return failed(why, r->directory);
    if ((r->fd = open(r->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
        return failed(why, r->directory);
    part_path(r, "lock", "", path);
    if ((r->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)) < 0)
        return failed(why, path);
    if (flock(r->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        buf_printf(why, "%s: restante-fetchd runs: stop it first", r->directory);
        return ERR_BUSY;
    }
    buf_init(&text, MARK_MAX);
    r->again = file_read_all(r->fd, MARK, &text) != ERR_NOT_FOUND;
    if (r->again && text.len > 0 && strchr(buf_cstr(&text), '/') == NULL)
        snprintf(r->aside, sizeof r->aside, "%.*s", (int)strcspn(buf_cstr(&text), "\n"), buf_cstr(&text));
    else
        name_aside(r);
    buf_free(&text);
    return err;
}

static enum err put_mark(struct restore *r, struct buf *why)
{
    char path[PATH_BYTES];
    enum err err;
    int fd;

    part_path(r, MARK, "", path);
    if ((fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600)) < 0)
        return failed(why, path);
    err = file_write_all(fd, r->aside, strlen(r->aside));
    if (err != ERR_OK || fsync(fd) != 0 || fsync(r->fd) != 0)
        err = failed(why, path);
    close(fd);
    r->marked = true;
    KILL_POINT("restore-mark-after");
    return err;
}

/* A store that is there goes aside, once; what a restore left goes. */
static enum err clear_part(const struct restore *r, const char *name, bool replace, bool *moved,
                           struct buf *why)
{
    char path[PATH_BYTES], aside[PATH_BYTES];

    part_path(r, name, "", path);
    part_path(r, name, r->aside, aside);
    if (r->again && access(aside, F_OK) == 0) {
        *moved = true;
        nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    } else if (!is_empty_directory(path)) {
        if (!replace && !r->again) {
            buf_printf(why, "%s: there is a store already; --replace moves it aside", r->directory);
            return ERR_EXISTS;
        }
        if (rename(path, aside) != 0)
            return failed(why, path);
        *moved = true;
    }
    KILL_POINT("restore-aside-after");
    return mkdir(path, 0700) == 0 || errno == EEXIST ? ERR_OK : failed(why, path);
}

/* Whether anything would have to go aside, asked before the mark is put. */
static enum err may_replace(const struct restore *r, bool replace, struct buf *why)
{
    char path[PATH_BYTES];

    for (size_t i = 0; i < PARTS && !replace && !r->again; i++) {
        part_path(r, part[i], "", path);
        if (!is_empty_directory(path)) {
            buf_printf(why, "%s: there is a store already; --replace moves it aside", r->directory);
            return ERR_EXISTS;
        }
    }
    return ERR_OK;
}

static void close_place(struct restore *r)
{
    if (r->lock_fd >= 0)
        close(r->lock_fd);
    if (r->fd >= 0)
        close(r->fd);
    r->fd = r->lock_fd = -1;
}

/* ---- the files ----------------------------------------------------------------------------------------- */

static enum err copy_files(struct restore *r, const struct backup_dir *from, bool replace,
                           struct store_restored *out, struct buf *why)
{
    char files[PATH_BYTES], payloads[PATH_BYTES], state[PATH_BYTES];
    bool moved = false;
    enum err err = may_replace(r, replace, why);

    if (err == ERR_OK)
        err = put_mark(r, why);
    for (size_t i = 0; i < PARTS && err == ERR_OK; i++)
        err = clear_part(r, part[i], replace, &moved, why);
    if (err != ERR_OK)
        return err;
    if (moved)
        snprintf(out->aside, sizeof out->aside, "%s", r->aside);
    part_path(r, part[0], "", files);
    part_path(r, part[1], "", payloads);
    part_path(r, "backup-state", "", state); /* of a store that is not this one any more */
    unlink(state);
    err = backup_dir_restore(from, files, payloads, why);
    if (err == ERR_OK && fsync(r->fd) != 0)
        err = failed(why, r->directory);
    KILL_POINT("restore-files-after");
    return err;
}

static enum err check_epochs(const struct backup_manifest *m, const struct site_keys *keys, struct buf *why)
{
    for (size_t i = 0; i < m->epoch_count; i++)
        if (!site_keys_has(keys, (uint16_t)m->epoch[i]) && i + 1 == m->epoch_count) {
            buf_printf(why, "the backup was made with the site key of epoch %" PRIu32 ", which is missing",
                       m->epoch[i]);
            return ERR_CONFIG;
        }
    return ERR_OK;
}

/* ---- the time since ------------------------------------------------------------------------------------ */

static enum err read_journal(const struct store_options *o, const struct backup_manifest *m, struct replay *r,
                             struct store_restored *out)
{
    struct buf why;
    enum err err;

    if (o->handover_directory == NULL || !m->journal) {
        snprintf(out->gap, sizeof out->gap, "%s",
                 m->journal ? "there is no handover journal (handover_journal = none)"
                            : "there was no handover journal when the backup was made");
        return ERR_OK;
    }
    buf_init(&why, 4096);
    err = handover_read(o->handover_directory, &m->at, replay_note, r, &why);
    out->covered = err == ERR_OK;
    if (err != ERR_OK)
        snprintf(out->gap, sizeof out->gap, "%s", why.len > 0 ? buf_cstr(&why) : err_text(err));
    buf_free(&why);
    return err == ERR_NOMEM ? err : ERR_OK;
}

/* *opened: the journal has been written to. */
static enum err enter_the_rest(const struct store_options *o, struct site_keys *keys, struct replay *r,
                               struct store_restored *out, bool *opened, struct buf *why)
{
    struct engine *engine = NULL;
    struct store *s = NULL;
    enum err err = engine_bdb_recover(o->directory, o->cache_bytes, why);

    KILL_POINT("restore-recover-after");
    if (err == ERR_OK)
        err = engine_bdb_open(o->directory, o->cache_bytes, o->failed, o->failed_arg, &engine, why);
    if (err == ERR_OK)
        err = store_open_on(o, keys, engine, &s, why);
    if (err != ERR_OK)
        return err;
    *opened = true;
    err = replay_apply(r, s, clock_now_s(), out);
    if (err == ERR_OK)
        err = store_flush(s);
    if (err != ERR_OK)
        buf_printf(why, "what happened since the backup cannot be entered: %s", err_text(err));
    store_close(s);
    KILL_POINT("restore-replay-after");
    return err;
}

static enum err take_mark_off(const struct restore *r, struct buf *why)
{
    char path[PATH_BYTES];
    int fd = open(r->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum err err = ERR_OK;

    part_path(r, MARK, "", path);
    if (fd < 0 || unlink(path) != 0 || fsync(fd) != 0)
        err = failed(why, path);
    if (fd >= 0)
        close(fd);
    return err;
}

/* Nothing of the backup is in use yet: what was there comes back, or nothing. What cannot be undone leaves
 * the mark. */
static void undo(const struct restore *r, struct buf *why)
{
    char path[PATH_BYTES], aside[PATH_BYTES];
    bool back = false;
    struct buf more;

    buf_init(&more, PATH_BYTES * 2);
    for (size_t i = 0; i < PARTS; i++) {
        part_path(r, part[i], "", path);
        part_path(r, part[i], r->aside, aside);
        nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
        if (rename(aside, path) == 0)
            back = true;
        else if (errno != ENOENT)
            failed(&more, aside);
    }
    if (more.len == 0)
        take_mark_off(r, &more);
    if (more.len > 0)
        buf_printf(why, "; the store is not in its place again: %s", buf_cstr(&more));
    else if (back)
        buf_append_str(why, "; the store that was there is in its place again");
    buf_free(&more);
}

enum err store_restore(const struct store_options *o, struct site_keys *keys, const char *directory,
                       bool replace, struct store_restored *out, struct buf *why)
{
    struct restore r = {.directory = o->directory, .fd = -1, .lock_fd = -1};
    struct backup_dir *from = NULL;
    struct replay *replay = NULL;
    bool opened = false;
    enum err err = backup_dir_open(directory, false, &from, why);

    memset(out, 0, sizeof *out);
    if (err == ERR_OK)
        err = backup_dir_verify(from, true, why);
    if (err == ERR_OK)
        err = check_epochs(backup_dir_last(from), keys, why);
    if (err == ERR_OK)
        err = replay_create(&replay);
    /* Read before anything is written to it. */
    if (err == ERR_OK)
        err = read_journal(o, backup_dir_last(from), replay, out);
    if (err == ERR_OK)
        err = open_place(&r, why);
    if (err == ERR_OK)
        err = copy_files(&r, from, replace, out, why);
    close_place(&r); /* the lock is the engine's next; the mark keeps others out */
    if (err == ERR_OK)
        err = enter_the_rest(o, keys, replay, out, &opened, why);
    if (err != ERR_OK && r.marked && !opened)
        undo(&r, why);
    if (err == ERR_OK)
        err = take_mark_off(&r, why);
    if (err == ERR_OK) {
        out->number = backup_dir_last(from)->number;
        out->began_s = backup_dir_last(from)->began_s;
    }
    replay_free(replay);
    backup_dir_close(from);
    return err;
}
