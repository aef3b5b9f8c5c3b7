/*
 * later.c - see later.h. While the thread syncs, others come and wait for its next sync: the busier the
 * store, the more of them share one, and one change of threads serves them all.
 */
#include "store/later.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>

#include "store/store_handover.h"

#define SOON_MAX 32 /* so many do not wait for more to come */

struct later {
    struct store *store;
    pthread_t thread;
    bool runs;
    sem_t wake;            /* a condition variable would cost one more system call a sleep */
    pthread_mutex_t mutex; /* guards what follows */
    struct store_later *first, **last;
    size_t count;
    bool asleep, ending;
};

/* Everybody who waits, oldest first. Under the mutex. */
static struct store_later *take_all(struct later *l)
{
    struct store_later *first = l->first;

    l->first = NULL;
    l->last = &l->first;
    l->count = 0;
    return first;
}

/* What they committed before they came is in the log, so this sync has it. */
static void serve_all(struct later *l, struct store_later *first)
{
    enum err err = first == NULL ? ERR_OK : store_flush(l->store);

    for (struct store_later *at = first, *next; at != NULL; at = next) {
        next = at->next; /* once it is called, its memory is gone */
        at->then(at, err);
    }
}

static void *later_run(void *arg)
{
    struct later *l = arg;
    struct store_later *first;

    do {
        pthread_mutex_lock(&l->mutex);
        while (l->first == NULL && !l->ending) {
            l->asleep = true;
            pthread_mutex_unlock(&l->mutex);
            while (sem_wait(&l->wake) != 0 && errno == EINTR)
                ;
            pthread_mutex_lock(&l->mutex);
        }
        first = take_all(l);
        pthread_mutex_unlock(&l->mutex);
        serve_all(l, first);
    } while (first != NULL);
    return NULL;
}

enum err later_create(struct store *s, struct later **out)
{
    struct later *l = calloc(1, sizeof *l);
    sigset_t all, before;

    if (l == NULL)
        return ERR_NOMEM;
    l->store = s;
    l->last = &l->first;
    pthread_mutex_init(&l->mutex, NULL);
    sem_init(&l->wake, 0, 0);
    /* Signals are main's business. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    l->runs = pthread_create(&l->thread, NULL, later_run, l) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!l->runs) {
        later_free(l);
        return ERR_UNAVAILABLE;
    }
    pthread_setname_np(l->thread, "durable");
    *out = l;
    return ERR_OK;
}

void later_free(struct later *l)
{
    if (l == NULL)
        return;
    if (l->runs) {
        pthread_mutex_lock(&l->mutex);
        l->ending = true;
        pthread_mutex_unlock(&l->mutex);
        sem_post(&l->wake);
        pthread_join(l->thread, NULL);
    }
    sem_destroy(&l->wake);
    pthread_mutex_destroy(&l->mutex);
    free(l);
}

void later_add(struct later *l, struct store_later *item, bool at_once)
{
    bool wake = false;

    item->next = NULL;
    pthread_mutex_lock(&l->mutex);
    *l->last = item;
    l->last = &item->next;
    l->count++;
    if (l->asleep && (at_once || l->count >= SOON_MAX)) {
        l->asleep = false;
        wake = true;
    }
    pthread_mutex_unlock(&l->mutex);
    if (wake)
        sem_post(&l->wake);
}

void later_sync(struct later *l)
{
    struct store_later *first;

    pthread_mutex_lock(&l->mutex);
    first = take_all(l);
    pthread_mutex_unlock(&l->mutex);
    serve_all(l, first);
}
