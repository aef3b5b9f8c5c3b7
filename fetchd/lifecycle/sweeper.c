/*
 * sweeper.c - see sweeper.h.
 */
#include "lifecycle/sweeper.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "store/sweep.h"

#define LOOK_MS 1000   /* at least so often: the wall clock may jump */
#define PAUSE_MIN_MS 2 /* between steps, or twice as long as the step took */

struct sweeper {
    struct store_sweeper *steps;
    void (*ended)(void *arg);
    void *arg;
    pthread_t thread;
    pthread_mutex_t lock; /* guards stopping */
    pthread_cond_t changed;
    bool stopping;
};

/* What was done since the last report, when there is nothing more to do. */
static void report(struct store_swept *done)
{
    if (done->expired > 0)
        log_info("%zu tickets were past their time", done->expired);
    if (done->purged > 0)
        log_debug("%zu records whose time was over were removed", done->purged);
    if (done->pages > 0)
        log_info("store: %" PRIu64 " pages were given back to the file system", done->pages);
    if (done->damaged > 0)
        log_error("store: %zu damaged records were passed over", done->damaged);
    *done = (struct store_swept){.expired = 0};
}

/* False: stop. */
static bool pause_for(struct sweeper *s, int64_t ms)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&s->lock);
    while (!s->stopping && pthread_cond_timedwait(&s->changed, &s->lock, &until) == 0)
        ;
    bool go_on = !s->stopping;
    pthread_mutex_unlock(&s->lock);
    return go_on;
}

static void *run(void *arg)
{
    struct sweeper *s = arg;
    struct store_swept done = {.expired = 0};
    int64_t pause_ms = 0;
    size_t told = 0;

    while (pause_for(s, pause_ms)) {
        int64_t now_s = clock_now_s(), began_ms = clock_mono_ms(), next_s = now_s;
        enum err e = store_sweep(s->steps, now_s, &done, &next_s);

        if (done.expired > told) {
            told = done.expired;
            s->ended(s->arg);
        }
        if (e)
            log_error("the store cannot be tidied up: %s", err_text(e));
        if (next_s > now_s) {
            report(&done);
            told = 0;
            pause_ms = LOOK_MS;
        } else {
            pause_ms = 2 * (clock_mono_ms() - began_ms) + PAUSE_MIN_MS;
        }
    }
    return NULL;
}

enum err sweeper_create(struct store *store, void (*ended)(void *arg), void *arg, struct sweeper **out)
{
    pthread_condattr_t attr;
    struct sweeper *s = calloc(1, sizeof *s);
    enum err e;

    if (!s)
        return ERR_NOMEM;
    s->ended = ended;
    s->arg = arg;
    pthread_mutex_init(&s->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&s->changed, &attr);
    pthread_condattr_destroy(&attr);
    e = store_sweeper_create(store, &s->steps);
    if (!e && pthread_create(&s->thread, NULL, run, s))
        e = ERR_NOMEM;
    if (e) {
        store_sweeper_free(s->steps);
        pthread_cond_destroy(&s->changed);
        pthread_mutex_destroy(&s->lock);
        free(s);
        return e;
    }
    pthread_setname_np(s->thread, "sweeper");
    *out = s;
    return ERR_OK;
}

void sweeper_free(struct sweeper *s)
{
    if (!s)
        return;
    pthread_mutex_lock(&s->lock);
    s->stopping = true;
    pthread_cond_signal(&s->changed);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->thread, NULL);
    store_sweeper_free(s->steps);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
    free(s);
}
