/*
 * store_restore.c - a backup in the place of the store; see backup.h.
 *
 * While it works there is a file `restoring` in the store's directory, which store_open refuses; it says what
 * the old store is moved to, and how it lay:
 *
 *   .before-1790000000              behind the parts' names
 *   db there | db empty             one for each part, before anything is touched
 *   payload there | payload empty
 *   opened                          what was restored has been opened: the handover journal knows of its ends
 *
 * So whatever was broken off is known for what it is, and a restore that begins anew removes its beginnings:
 * what lies in a part's place while the old one lies aside, or where there was none. Nothing else is ever
 * removed. One that finds that it cannot be done puts the old ones back, unless it was opened once. Earlier
 * versions wrote the first line alone; then nobody knows, and nothing is put back.
 */
#include <dirent.h>
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
#define MARK_NEW MARK ".new"
#define THERE "there"
#define EMPTY "empty"
#define OPENED "opened"
#define MARK_MAX ((size_t)1 << 20)
#define PATH_BYTES (PATH_MAX + 64)

static const char *const part[] = {"db", "payload"};
#define PARTS (sizeof part / sizeof *part)

/* How a part of the store that was there lies. */
enum lies {
    LIES_IN_PLACE, /* untouched */
    LIES_ASIDE,    /* what is in its place is a restore's */
    LIES_NOWHERE   /* there was none, or an empty one: so is this */
};

struct restore {
    const char *directory;
    int fd, lock_fd;
    bool again;  /* one was broken off, which has left its mark */
    bool marked; /* there is a mark: that one's, or this one's */
    bool begun;  /* how the parts lie is known, and may change */
    bool opened; /* by that one, or by this one */
    bool was_empty[PARTS];
    enum lies lies[PARTS];
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

/* ERR_OK also where there is no such directory. */
static enum err look_into(const char *path, bool *empty, struct buf *why)
{
    DIR *d = opendir(path);

    *empty = true;
    if (d == NULL)
        return errno == ENOENT ? ERR_OK : failed(why, path);
    for (const struct dirent *e; *empty && (e = readdir(d)) != NULL;)
        *empty = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0;
    closedir(d);
    return ERR_OK;
}

static bool is_there(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0 || errno != ENOENT;
}

/* A restore's beginnings. A directory that cannot go itself, being a mount or behind a link, is left empty.
 */
static enum err remove_part(const char *path, struct buf *why)
{
    char inside[PATH_BYTES + 2];
    bool empty;
    enum err err;

    snprintf(inside, sizeof inside, "%s/.", path);
    nftw(inside, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
    rmdir(path);
    err = look_into(path, &empty, why);
    if (err == ERR_OK && !empty) {
        buf_printf(why, "%s: what is in it cannot be removed", path);
        err = ERR_IO;
    }
    return err;
}

/* A name that nothing has yet. */
static void name_aside(struct restore *r)
{
    char path[PATH_BYTES];
    int64_t now_s = clock_now_s();
    bool taken;

    do {
        snprintf(r->aside, sizeof r->aside, ".before-%" PRId64, now_s++);
        taken = false;
        for (size_t i = 0; i < PARTS && !taken; i++) {
            part_path(r, part[i], r->aside, path);
            taken = is_there(path);
        }
    } while (taken);
}

/* ---- the mark ------------------------------------------------------------------------------------------ */

/* One that has no line is not one: nothing is touched before it is whole. */
static enum err read_mark(struct restore *r, struct buf *why)
{
    char there[40], empty[40], *line, *rest = NULL;
    size_t noted = 0;
    bool opened = false;
    struct buf text;
    enum err err;

    buf_init(&text, MARK_MAX);
    err = file_read_all(r->fd, MARK, &text);
    if (err == ERR_NOT_FOUND)
        err = ERR_OK;
    else if (err == ERR_OK && (err = buf_append(&text, "", 1)) == ERR_OK)
        rest = text.data;
    while ((line = strsep(&rest, "\n")) != NULL) {
        if (!r->again && line[0] == '.' && strchr(line, '/') == NULL && strlen(line) < sizeof r->aside) {
            r->again = true;
            snprintf(r->aside, sizeof r->aside, "%s", line);
        }
        opened = opened || strcmp(line, OPENED) == 0;
        for (size_t i = 0; i < PARTS; i++) {
            snprintf(there, sizeof there, "%s " THERE, part[i]);
            snprintf(empty, sizeof empty, "%s " EMPTY, part[i]);
            if (strcmp(line, empty) == 0)
                r->was_empty[i] = true;
            if (r->was_empty[i] || strcmp(line, there) == 0)
                noted |= (size_t)1 << i;
        }
    }
    buf_free(&text);
    r->marked = r->again;
    r->opened = r->again && (opened || noted != ((size_t)1 << PARTS) - 1);
    if (err != ERR_OK)
        buf_printf(why, "%s/" MARK ": %s", r->directory, err_text(err));
    else if (!r->again)
        name_aside(r);
    return err;
}

/* All of it or, when it fails, the one that was there. */
static enum err put_mark(struct restore *r, bool opened, struct buf *why)
{
    char path[PATH_BYTES];
    struct buf text;
    enum err err;
    int fd;

    part_path(r, MARK, "", path);
    if ((fd = openat(r->fd, MARK_NEW, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600)) < 0)
        return failed(why, path);
    buf_init(&text, MARK_MAX);
    err = buf_printf(&text, "%s\n", r->aside);
    for (size_t i = 0; i < PARTS && err == ERR_OK; i++)
        err = buf_printf(&text, "%s %s\n", part[i], r->was_empty[i] ? EMPTY : THERE);
    if (err == ERR_OK && opened)
        err = buf_append_str(&text, OPENED "\n");
    if (err == ERR_OK)
        err = file_write_all(fd, text.data, text.len);
    buf_free(&text);
    if (err != ERR_OK)
        buf_printf(why, "%s: %s", path, err_text(err));
    else if (fsync(fd) != 0 || renameat(r->fd, MARK_NEW, r->fd, MARK) != 0)
        err = failed(why, path);
    close(fd);
    if (err != ERR_OK) {
        unlinkat(r->fd, MARK_NEW, 0);
        return err;
    }
    r->marked = true;
    r->opened = r->opened || opened;
    return fsync(r->fd) == 0 ? ERR_OK : failed(why, path);
}

static enum err take_mark_off(const struct restore *r, struct buf *why)
{
    char path[PATH_BYTES];

    part_path(r, MARK, "", path);
    return unlink(path) == 0 && fsync(r->fd) == 0 ? ERR_OK : failed(why, path);
}

/* ---- the store that is there --------------------------------------------------------------------------- */

static enum err open_place(struct restore *r, struct buf *why)
{
    char path[PATH_BYTES];

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
    return read_mark(r, why);
}

/* Before anything is touched. */
static enum err find_parts(struct restore *r, bool replace, struct buf *why)
{
    char path[PATH_BYTES], aside[PATH_BYTES];
    enum err err;
    bool empty;

    for (size_t i = 0; i < PARTS; i++) {
        part_path(r, part[i], "", path);
        part_path(r, part[i], r->aside, aside);
        if ((err = look_into(path, &empty, why)) != ERR_OK)
            return err;
        r->was_empty[i] = r->again ? r->was_empty[i] : empty;
        if (r->again && is_there(aside)) {
            r->lies[i] = LIES_ASIDE;
        } else if (r->was_empty[i] || empty) {
            r->lies[i] = LIES_NOWHERE;
        } else if (!replace && !r->again) {
            buf_printf(why, "%s: there is a store already; --replace moves it aside", r->directory);
            return ERR_EXISTS;
        }
    }
    r->begun = true;
    return ERR_OK;
}

/* It goes aside, once; what a restore left goes. */
static enum err clear_part(struct restore *r, size_t i, struct buf *why)
{
    char path[PATH_BYTES], aside[PATH_BYTES];
    enum err err = ERR_OK;

    part_path(r, part[i], "", path);
    part_path(r, part[i], r->aside, aside);
    if (r->lies[i] != LIES_IN_PLACE)
        err = remove_part(path, why);
    else if (rename(path, aside) == 0)
        r->lies[i] = LIES_ASIDE;
    else
        err = failed(why, path);
    KILL_POINT("restore-aside-after");
    if (err == ERR_OK && mkdir(path, 0700) != 0 && errno != EEXIST)
        err = failed(why, path);
    return err;
}

/* It comes back, or nothing. What cannot be undone leaves the mark. */
static void undo(const struct restore *r, struct buf *why)
{
    char path[PATH_BYTES], aside[PATH_BYTES];
    bool back = false;
    struct buf more;

    buf_init(&more, PATH_BYTES * 2);
    for (size_t i = 0; i < PARTS && more.len == 0; i++) {
        part_path(r, part[i], "", path);
        part_path(r, part[i], r->aside, aside);
        if (r->lies[i] == LIES_IN_PLACE)
            continue;
        if (r->lies[i] == LIES_ASIDE && !is_there(aside)) {
            failed(&more, aside);
        } else if (remove_part(path, &more) == ERR_OK && r->lies[i] == LIES_ASIDE) {
            back = true;
            if (rename(aside, path) != 0)
                failed(&more, aside);
        }
    }
    if (more.len == 0)
        take_mark_off(r, &more);
    if (more.len > 0)
        buf_printf(why, "; the store is not in its place again: %s", buf_cstr(&more));
    else if (back)
        buf_append_str(why, "; the store that was there is in its place again");
    buf_free(&more);
}

static void close_lock(struct restore *r)
{
    if (r->lock_fd >= 0)
        close(r->lock_fd);
    r->lock_fd = -1;
}

/* ---- the files ----------------------------------------------------------------------------------------- */

static enum err copy_files(struct restore *r, const struct backup_dir *from, bool replace,
                           struct store_restored *out, struct buf *why)
{
    char files[PATH_BYTES], payloads[PATH_BYTES], state[PATH_BYTES];
    enum err err = find_parts(r, replace, why);

    if (err == ERR_OK && !r->marked)
        err = put_mark(r, false, why);
    KILL_POINT("restore-mark-after");
    for (size_t i = 0; i < PARTS && err == ERR_OK; i++)
        err = clear_part(r, i, why);
    if (err == ERR_OK && fsync(r->fd) != 0)
        err = failed(why, r->directory);
    if (err != ERR_OK)
        return err;
    for (size_t i = 0; i < PARTS; i++)
        if (r->lies[i] == LIES_ASIDE)
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

/* With the first word entered the journal is written to. */
static enum err enter_the_rest(struct restore *place, const struct store_options *o, struct site_keys *keys,
                               struct replay *r, struct store_restored *out, struct buf *why)
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
    if (!place->opened)
        err = put_mark(place, true, why);
    if (err == ERR_OK) {
        err = replay_apply(r, s, clock_now_s(), out);
        if (err == ERR_OK)
            err = store_flush(s);
        if (err != ERR_OK)
            buf_printf(why, "what happened since the backup cannot be entered: %s", err_text(err));
    }
    store_close(s);
    KILL_POINT("restore-replay-after");
    return err;
}

enum err store_restore(const struct store_options *o, struct site_keys *keys, const char *directory,
                       bool replace, struct store_restored *out, struct buf *why)
{
    struct restore r = {.directory = o->directory, .fd = -1, .lock_fd = -1};
    struct backup_dir *from = NULL;
    struct replay *replay = NULL;
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
    if (err == ERR_OK) {
        close_lock(&r); /* the engine's next; the mark keeps others out */
        err = enter_the_rest(&r, o, keys, replay, out, why);
    }
    if (err != ERR_OK && r.begun && r.marked && !r.opened)
        undo(&r, why);
    else if (err != ERR_OK && r.begun && r.opened)
        buf_append_str(why, "; the old one stays aside, since the new one may have been opened: run "
                            "restantectl restore again");
    if (err == ERR_OK)
        err = take_mark_off(&r, why);
    if (err == ERR_OK) {
        out->number = backup_dir_last(from)->number;
        out->began_s = backup_dir_last(from)->began_s;
    }
    close_lock(&r);
    if (r.fd >= 0)
        close(r.fd);
    replay_free(replay);
    backup_dir_close(from);
    return err;
}
