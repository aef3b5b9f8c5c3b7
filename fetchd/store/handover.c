/*
 * handover.c - see handover.h. Entries are gathered in memory and written by one thread, so that the
 * journal's disk and the database's sync side by side. The file is written full of zeros some way ahead: then
 * a sync writes the entries' blocks and no metadata, and a torn end reads as what it is.
 */
#include "store/handover.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/kill.h"
#include "base/log.h"
#include "base/secret.h"
#include "store/handover_file.h"

#define PENDING_MAX ((size_t)64 << 20) /* that could not be written yet */
#define FILE_MAX ((uint64_t)16 << 20)
#define AHEAD_BYTES ((uint64_t)64 << 10)
#define DAY_S 86400

struct handover {
    char *directory;
    int64_t keep_s;
    pthread_t thread;
    bool runs;
    sem_t wake, done;
    pthread_mutex_t mutex; /* guards added, overflow, ending, at */
    struct buf added;
    bool overflow, ending;
    struct handover_position at;
    /* the thread's, and the caller's of handover_sync while the thread sleeps */
    struct buf writing; /* taken, not on disk yet */
    enum err result;
    int directory_fd, fd;
    uint64_t zeros; /* the file's length */
    uint32_t entries;
    int64_t begun_s;
};

/* ---- the file that is written -------------------------------------------------------------------------- */

static enum err failed(const struct handover *h, const char *what)
{
    enum err err = err_from_errno(errno);

    log_error("handover journal: %s: %s: %s", h->directory, what, strerror(errno));
    return err == ERR_IO ? ERR_STORE : err;
}

static enum err write_at(const struct handover *h, const void *data, size_t len, uint64_t offset)
{
    const char *from = data;

    while (len > 0) {
        ssize_t n = pwrite(h->fd, from, len, (off_t)offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return failed(h, "write");
        from += n;
        len -= (size_t)n;
        offset += (uint64_t)n;
    }
    return ERR_OK;
}

/* Zeros ahead of what will be written at `until` and before. */
static enum err reach(struct handover *h, uint64_t until)
{
    static const char zeros[65536];
    enum err err = ERR_OK;

    while (h->zeros < until + HANDOVER_END_BYTES && err == ERR_OK) {
        uint64_t end = h->zeros + AHEAD_BYTES;

        for (uint64_t at = h->zeros; at < end && err == ERR_OK; at += sizeof zeros)
            err = write_at(h, zeros, sizeof zeros, at);
        if (err == ERR_OK)
            h->zeros = end;
    }
    return err;
}

static void set_position(struct handover *h, uint64_t file, uint64_t offset)
{
    pthread_mutex_lock(&h->mutex);
    h->at.file = file;
    h->at.offset = offset;
    pthread_mutex_unlock(&h->mutex);
}

/* The next file, with its header on disk under its name. */
static enum err begin_file(struct handover *h)
{
    uint64_t number = h->at.file + 1;
    uint8_t header[HANDOVER_HEADER_BYTES];
    char name[HANDOVER_NAME_MAX];
    enum err err;

    handover_file_name(number, name);
    h->begun_s = clock_now_s();
    handover_file_header(h->at.id, number, h->begun_s, header);
    h->zeros = 0;
    h->entries = 0;
    h->fd = openat(h->directory_fd, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (h->fd < 0)
        return failed(h, name);
    err = reach(h, sizeof header);
    if (err == ERR_OK)
        err = write_at(h, header, sizeof header, 0);
    if (err == ERR_OK && (fdatasync(h->fd) != 0 || fsync(h->directory_fd) != 0))
        err = failed(h, name);
    if (err == ERR_OK) {
        set_position(h, number, sizeof header);
        return ERR_OK;
    }
    close(h->fd); /* the next try truncates it */
    h->fd = -1;
    return err;
}

static enum err end_file(struct handover *h)
{
    const struct handover_entry e = {.what = HANDOVER_END, .arg = h->entries, .at_s = clock_now_s()};
    struct buf end;
    enum err err;

    buf_init(&end, HANDOVER_END_BYTES);
    err = handover_encode(&e, &end);
    if (err == ERR_OK)
        err = write_at(h, end.data, end.len, h->at.offset);
    buf_free(&end);
    if (err == ERR_OK &&
        (ftruncate(h->fd, (off_t)(h->at.offset + HANDOVER_END_BYTES)) != 0 || fdatasync(h->fd) != 0))
        err = failed(h, "end of a file");
    if (err == ERR_OK) {
        close(h->fd);
        h->fd = -1;
        handover_files_forget(h->directory_fd, clock_now_s() - h->keep_s);
    } else {
        h->zeros = h->at.offset; /* write_at may have left anything behind it */
    }
    return err;
}

static bool is_full(const struct handover *h)
{
    return h->at.offset + h->writing.len > FILE_MAX || clock_now_s() / DAY_S != h->begun_s / DAY_S;
}

/* All that was taken, or nothing of it counts: the next try writes it again, at the same place, so that the
 * kernel has it dirty again. */
static enum err write_all(struct handover *h)
{
    enum err err = ERR_OK;

    if (h->fd >= 0 && h->entries > 0 && is_full(h))
        err = end_file(h);
    if (err == ERR_OK && h->fd < 0)
        err = begin_file(h);
    if (err == ERR_OK)
        err = reach(h, h->at.offset + h->writing.len);
    if (err == ERR_OK)
        err = write_at(h, h->writing.data, h->writing.len, h->at.offset);
    if (err != ERR_OK)
        return err;
    KILL_POINT("handover-sync-before");
    if (fdatasync(h->fd) != 0)
        return failed(h, "sync");
    h->entries += handover_count(buf_span(&h->writing));
    set_position(h, h->at.file, h->at.offset + h->writing.len);
    buf_clear(&h->writing);
    return ERR_OK;
}

/* ---- the thread ---------------------------------------------------------------------------------------- */

static void wait_for(sem_t *s)
{
    while (sem_wait(s) != 0 && errno == EINTR)
        ;
}

static void *run(void *arg)
{
    struct handover *h = arg;

    for (;;) {
        wait_for(&h->wake);
        if (h->ending)
            return NULL;
        h->result = write_all(h);
        sem_post(&h->done);
    }
}

/* Moves what was added to what is written; false: there is nothing to write. */
static bool take(struct handover *h)
{
    enum err err;

    pthread_mutex_lock(&h->mutex);
    err = buf_append_span(&h->writing, buf_span(&h->added));
    if (err == ERR_OK)
        buf_clear(&h->added);
    pthread_mutex_unlock(&h->mutex);
    return h->writing.len > 0 || err != ERR_OK;
}

bool handover_sync(struct handover *h)
{
    if (!take(h) && !h->overflow)
        return false;
    sem_post(&h->wake);
    return true;
}

enum err handover_synced(struct handover *h)
{
    bool lost;

    wait_for(&h->done);
    pthread_mutex_lock(&h->mutex);
    lost = h->overflow || h->added.len > PENDING_MAX / 2;
    pthread_mutex_unlock(&h->mutex);
    return h->result == ERR_OK && lost ? ERR_STORE : h->result;
}

void handover_add(struct handover *h, struct span entries)
{
    pthread_mutex_lock(&h->mutex);
    if (buf_append_span(&h->added, entries) != ERR_OK && !h->overflow) {
        h->overflow = true;
        log_error("handover journal: there is no room for more that waits to be written");
    }
    pthread_mutex_unlock(&h->mutex);
}

void handover_position(struct handover *h, struct handover_position *out)
{
    pthread_mutex_lock(&h->mutex);
    *out = h->at;
    pthread_mutex_unlock(&h->mutex);
}

/* ---- opening ------------------------------------------------------------------------------------------- */

/* Goes on with the journal that lies there, or begins a new one. */
static enum err go_on(struct handover *h, const uint8_t *known, int64_t *last_s, struct buf *why)
{
    struct handover_end end;
    enum err err = handover_files_end(h->directory_fd, &end, why);

    *last_s = 0;
    if (err != ERR_OK)
        return err;
    h->at.file = end.number;
    if (known != NULL && end.whole && memcmp(known, end.id, sizeof end.id) == 0) {
        memcpy(h->at.id, end.id, sizeof h->at.id);
        *last_s = end.last_s;
        return ERR_OK;
    }
    if (known != NULL || end.number > 0)
        log_warning("handover journal: %s: a new one begins; backups from before cannot be restored by it",
                    h->directory);
    return secret_random(h->at.id, sizeof h->at.id);
}

static enum err start(struct handover *h)
{
    sigset_t all, before;

    sigfillset(&all); /* signals are main's business */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    h->runs = pthread_create(&h->thread, NULL, run, h) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!h->runs)
        return ERR_UNAVAILABLE;
    pthread_setname_np(h->thread, "handover");
    return ERR_OK;
}

enum err handover_open(const struct handover_options *o, const uint8_t *known, struct handover **out,
                       int64_t *last_s, struct buf *why)
{
    struct handover *h = calloc(1, sizeof *h);
    enum err err = ERR_OK;

    if (h == NULL)
        return ERR_NOMEM;
    h->fd = -1;
    h->keep_s = o->keep_s;
    buf_init(&h->added, PENDING_MAX);
    buf_init(&h->writing, 2 * PENDING_MAX);
    pthread_mutex_init(&h->mutex, NULL);
    sem_init(&h->wake, 0, 0);
    sem_init(&h->done, 0, 0);
    h->directory_fd = -1;
    h->directory = strdup(o->directory);
    if (h->directory == NULL)
        err = ERR_NOMEM;
    if (err == ERR_OK && ((mkdir(h->directory, 0700) != 0 && errno != EEXIST) ||
                          (h->directory_fd = open(h->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)) {
        buf_printf(why, "handover journal: %s: %s", h->directory, strerror(errno));
        err = err_from_errno(errno);
    }
    if (err == ERR_OK)
        err = go_on(h, known, last_s, why);
    if (err == ERR_OK && (err = begin_file(h)) != ERR_OK)
        buf_printf(why, "handover journal: %s: %s", h->directory, err_text(err));
    if (err == ERR_OK)
        err = start(h);
    if (err == ERR_OK)
        *out = h;
    else
        handover_free(h);
    return err;
}

void handover_free(struct handover *h)
{
    if (h == NULL)
        return;
    if (h->runs) {
        if (handover_sync(h))
            handover_synced(h);
        h->ending = true; /* the thread sleeps */
        sem_post(&h->wake);
        pthread_join(h->thread, NULL);
        if (h->fd >= 0)
            end_file(h);
    }
    if (h->fd >= 0)
        close(h->fd);
    if (h->directory_fd >= 0)
        close(h->directory_fd);
    buf_free(&h->added);
    buf_free(&h->writing);
    sem_destroy(&h->wake);
    sem_destroy(&h->done);
    pthread_mutex_destroy(&h->mutex);
    free(h->directory);
    free(h);
}
