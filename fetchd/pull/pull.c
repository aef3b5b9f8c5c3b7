/*
 * pull.c - the job loop: due jobs become flights (flight.h), each with a place at its host (turns.h).
 */
#include "pull/pull.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "dns/organisation.h"
#include "env/env.h"
#include "pool/pool.h"
#include "pull/flight.h"
#include "pull/room.h"
#include "pull/turns.h"
#include "settings/settings.h"
#include "ticket/ticket.h"

/* A due job is not given out again for this long: those under way are skipped anyway, and those of a host
 * whose queue is full shall come back soon. */
#define GIVE_OUT_S 1
#define BATCH 64
#define PATH_MAX_BYTES 4096
#define KEPT_RELEASE_S (5 * 86400) /* RFC 5321 4.5.4.1: how long a letter is tried */
#define LOOP_WAIT_MAX_MS 1000 /* the clock may be shifted, other processes may have stopped: look again */

struct puller {
    const struct env *env;
    struct pool *inject;
    pthread_t thread;
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t wake;  /* CLOCK_MONOTONIC */
    bool woken, stopping;
    struct flight *flights; /* under way or waiting */
    unsigned flight_count;
    struct turns *turns;
    struct room *room;
};

/* ---- flights ------------------------------------------------------------------------------------------- */

static void give_room(struct flight *f)
{
    if (f->aside_bytes)
        room_give(f->puller->room, f->aside_bytes);
    f->aside_bytes = 0;
}

/* It is unlinked, and so the puller may be gone. */
static void flight_free(struct flight *f)
{
    if (f->outcome.letter_fd >= 0)
        close(f->outcome.letter_fd);
    job_wipe(&f->job);
    free(f);
}

/* Under the lock. What it has of the puller's goes back now. */
static void flight_unlink(struct puller *p, struct flight *f)
{
    give_room(f);
    struct flight **at = &p->flights;
    while (*at != f)
        at = &(*at)->next;
    *at = f->next;
    p->flight_count--;
}

/* Under the lock: those that wait for a host's turn go back to the store's keeping. */
static void drop_waiting(struct puller *p)
{
    struct flight *f;
    while ((f = turns_take_waiting(p->turns))) {
        flight_unlink(p, f);
        flight_free(f);
    }
}

void flight_end(struct flight *f)
{
    struct puller *p = f->puller;
    pthread_mutex_lock(&p->lock);
    flight_unlink(p, f);
    struct flight *next = turns_leave(p->turns, f);
    p->woken = true;
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
    flight_free(f);
    if (next)
        flight_start(next);
}

bool puller_has_room(struct flight *f)
{
    /* What the stub says, within our own limit: more than that is not taken anyway. */
    uint64_t max = (uint64_t)f->env->settings->letter_max_bytes;
    uint64_t bytes = f->job.size_bytes < max ? f->job.size_bytes : max;
    if (f->aside_bytes)
        return true;
    if (!room_take(f->puller->room, bytes))
        return false;
    f->aside_bytes = bytes;
    return true;
}

bool puller_pause(struct puller *p)
{
    struct timespec until;
    int rc = 0;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec++;
    pthread_mutex_lock(&p->lock);
    while (!p->stopping && rc == 0)
        rc = pthread_cond_timedwait(&p->wake, &p->lock, &until);
    bool go_on = !p->stopping;
    pthread_mutex_unlock(&p->lock);
    return go_on;
}

/* Under the lock. */
static bool under_way(const struct puller *p, const uint8_t id[16])
{
    for (const struct flight *f = p->flights; f; f = f->next)
        if (memcmp(f->id, id, sizeof f->id) == 0)
            return true;
    return false;
}

/* ---- the loop ------------------------------------------------------------------------------------------ */

/* How many more may be under way. Those that wait for slow hosts do not count: they must not keep the jobs of
 * others from their turn. */
static size_t room_for_more(struct puller *p)
{
    unsigned max = (unsigned)p->env->settings->pulls_max;
    pthread_mutex_lock(&p->lock);
    unsigned active = p->flight_count - turns_waiting(p->turns);
    pthread_mutex_unlock(&p->lock);
    return active < max ? max - active : 0;
}

/* A job whose time is over. */
static void expire(struct flight *f)
{
    switch (f->job.state) {
    case JOB_DELIVERED:
        flight_close_job(f, JOB_ACKED, "expired", "could not be confirmed");
        break;
    case JOB_REFUSED:
        flight_close_job(f, JOB_NACKED, "expired", "could not be confirmed");
        break;
    case JOB_HELD:
        flight_close_job(f, JOB_FAILED, "expired", "its recipient did not ask for it in time");
        break;
    default:
        flight_close_job(f, JOB_FAILED, "expired",
                         f->job.kept ? "the MTA did not take it in time" : "never got the payload");
        break;
    }
}

/* What its recipient let in at the last moment is still worth some days of trying. */
static int64_t expires_s(const struct job *j)
{
    return j->expires_s + (j->kept && j->state == JOB_WAITING ? KEPT_RELEASE_S : 0);
}

/* What can be said of a job without calling anybody; false: nothing is to be done (any more). */
static bool look_at(struct flight *f)
{
    enum err e = store_job_get(f->env->store, f->id, &f->job);
    if (e != ERR_OK || job_state_ended(f->job.state))
        return false;
    if (clock_now_s() > expires_s(&f->job)) {
        expire(f);
        return false;
    }
    if (f->job.due_s > clock_now_s())
        return false; /* put off since it was given out, by a flight that was just ending */
    if (f->job.state == JOB_HELD && f->job.kept)
        return false; /* it waits for its recipient */
    if (f->job.kept)
        return true; /* no host is called: all of them have their turns together */
    if (ticket_url_parse(span_of(f->job.url), &f->url) != ERR_OK) {
        flight_close_job(f, JOB_FAILED, "failed", "the stored URL does not parse");
        return false;
    }
    if (organisation_of(f->url.host, f->owner) != ERR_OK)
        memcpy(f->owner, f->url.host, sizeof f->owner);
    return true;
}

/* A due job out of the store becomes a flight, or ends when its time is over. */
static void take(struct puller *p, const uint8_t id[16])
{
    pthread_mutex_lock(&p->lock);
    bool known = under_way(p, id);
    pthread_mutex_unlock(&p->lock);
    struct flight *f = known ? NULL : calloc(1, sizeof *f);
    if (!f)
        return;
    f->puller = p;
    f->env = p->env;
    f->inject = p->inject;
    memcpy(f->id, id, sizeof f->id);
    f->outcome.letter_fd = -1;
    if (!look_at(f)) {
        flight_free(f);
        return;
    }
    pthread_mutex_lock(&p->lock);
    enum turn place = p->stopping ? TURN_FULL : turns_enter(p->turns, f);
    if (place != TURN_FULL) {
        f->next = p->flights;
        p->flights = f;
        p->flight_count++;
    }
    pthread_mutex_unlock(&p->lock);
    if (place == TURN_GO)
        flight_start(f);
    else if (place == TURN_FULL)
        flight_free(f); /* given out again later; others are not kept from their turn */
}

/* Waits until a job can be due; false when stopping. */
static bool wait_for_work(struct puller *p)
{
    struct timespec until;
    pthread_mutex_lock(&p->lock);
    if (!p->woken && !p->stopping) {
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += LOOP_WAIT_MAX_MS / 1000;
        pthread_cond_timedwait(&p->wake, &p->lock, &until);
    }
    p->woken = false;
    bool go_on = !p->stopping;
    pthread_mutex_unlock(&p->lock);
    return go_on;
}

static void *loop(void *arg)
{
    struct puller *p = arg;
    uint8_t ids[BATCH][16];
    while (wait_for_work(p)) {
        size_t count = BATCH;
        while (count == BATCH) {
            size_t room = room_for_more(p);
            count = 0;
            if (room == 0)
                break;
            enum err e = store_jobs_due(p->env->store, clock_now_s(), GIVE_OUT_S, ids,
                                        room < BATCH ? room : BATCH, &count);
            if (e != ERR_OK) {
                log_error("due jobs cannot be read: %s", err_text(e));
                break;
            }
            for (size_t i = 0; i < count; i++)
                take(p, ids[i]);
        }
    }
    return NULL;
}

enum err puller_create(const struct env *env, struct puller **out)
{
    pthread_condattr_t attr;
    struct puller *p = calloc(1, sizeof *p);
    if (!p)
        return ERR_NOMEM;
    p->env = env;
    pthread_mutex_init(&p->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&p->wake, &attr);
    pthread_condattr_destroy(&attr);
    p->woken = true;
    char spool[PATH_MAX_BYTES];
    snprintf(spool, sizeof spool, "%s/spool", env->settings->data_directory);
    enum err e = turns_create((unsigned)env->settings->pulls_host_max, &p->turns);
    if (e == ERR_OK)
        e = room_create(spool, env->settings->pull_disk_reserve_bytes, &p->room);
    if (e == ERR_OK)
        e = pool_create("inject", (unsigned)env->settings->injections_max,
                        (size_t)env->settings->pulls_max + BATCH, &p->inject);
    if (e == ERR_OK && pthread_create(&p->thread, NULL, loop, p) != 0)
        e = ERR_NOMEM;
    if (e != ERR_OK) {
        pool_free(p->inject);
        room_free(p->room);
        turns_free(p->turns);
        pthread_cond_destroy(&p->wake);
        pthread_mutex_destroy(&p->lock);
        free(p);
        return e;
    }
    *out = p;
    return ERR_OK;
}

void puller_wake(struct puller *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->woken = true;
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
}

unsigned puller_busy(const struct puller *p)
{
    struct puller *m = (struct puller *)p;
    pthread_mutex_lock(&m->lock);
    unsigned n = m->flight_count;
    pthread_mutex_unlock(&m->lock);
    return n;
}

void puller_free(struct puller *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->stopping = true;
    drop_waiting(p);
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
    pthread_join(p->thread, NULL);
    pthread_mutex_lock(&p->lock);
    while (p->flight_count > 0)
        pthread_cond_wait(&p->wake, &p->lock);
    pthread_mutex_unlock(&p->lock);
    pool_free(p->inject);
    room_free(p->room);
    turns_free(p->turns);
    pthread_cond_destroy(&p->wake);
    pthread_mutex_destroy(&p->lock);
    free(p);
}
