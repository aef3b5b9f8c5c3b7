/*
 * room.c - what has arrived of a letter is counted twice, on the disk and as set aside: so it is rather too
 * little that is called for at once.
 */
#include "pull/room.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/clock.h"
#include "base/log.h"

#define SAY_AGAIN_MS 60000
#define SMALL_BYTES (128 * 1024) /* some hundred of these fit into the reserve */

struct room {
    char *directory;
    uint64_t reserve_bytes;
    pthread_mutex_t lock; /* guards all below */
    uint64_t aside_bytes;
    int64_t said_mono_ms;
    uint64_t unsaid; /* how often there was no room since then */
};

enum err room_create(const char *directory, int64_t reserve_bytes, struct room **out)
{
    struct room *r = calloc(1, sizeof *r);
    if (!r || !(r->directory = strdup(directory))) {
        free(r);
        return ERR_NOMEM;
    }
    r->reserve_bytes = (uint64_t)reserve_bytes;
    r->said_mono_ms = INT64_MIN / 2;
    pthread_mutex_init(&r->lock, NULL);
    *out = r;
    return ERR_OK;
}

void room_free(struct room *r)
{
    if (!r)
        return;
    pthread_mutex_destroy(&r->lock);
    free(r->directory);
    free(r);
}

/* Under the lock. */
static void say(struct room *r, uint64_t bytes, uint64_t free_bytes)
{
    int64_t now = clock_mono_ms();
    r->unsaid++;
    if (now - r->said_mono_ms < SAY_AGAIN_MS)
        return;
    log_warning("%s: %" PRIu64 " bytes are free, of which pull_disk_reserve keeps %" PRIu64 " and %" PRIu64
                " wait for letters on their way: a letter of %" PRIu64
                " bytes is called for later (so it was %" PRIu64 " times since this was said last)",
                r->directory, free_bytes, r->reserve_bytes, r->aside_bytes, bytes, r->unsaid);
    r->said_mono_ms = now;
    r->unsaid = 0;
}

bool room_take(struct room *r, uint64_t bytes)
{
    struct statvfs vfs;
    if (statvfs(r->directory, &vfs) != 0) {
        log_error("%s: %s", r->directory, strerror(errno));
        return false;
    }
    uint64_t free_bytes = (uint64_t)vfs.f_bavail * vfs.f_frsize;
    pthread_mutex_lock(&r->lock);
    /* What large letters are announced to need, and perhaps never send, must not keep usual ones waiting. */
    uint64_t kept = r->reserve_bytes + (bytes <= SMALL_BYTES ? 0 : r->aside_bytes);
    bool fits = kept <= free_bytes && bytes <= free_bytes - kept;
    if (fits)
        r->aside_bytes += bytes;
    else
        say(r, bytes, free_bytes);
    pthread_mutex_unlock(&r->lock);
    return fits;
}

void room_give(struct room *r, uint64_t bytes)
{
    pthread_mutex_lock(&r->lock);
    r->aside_bytes -= bytes;
    pthread_mutex_unlock(&r->lock);
}
