/*
 * later.c - see later.h. While the thread syncs, others come and wait for its next sync: the busier the
 * store, the more of them share one, and one change of threads serves them all.
 */
#include "store/later.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

struct later {
    struct engine *engine;
    pthread_t thread;
    bool runs;
    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t wake;
    struct store_later *first, **last;
    bool asleep, ending;
};

/* Everybody who waits, oldest first; NULL: the end. */
static struct store_later *take_all(struct later *l)
{
    struct store_later *first;

    pthread_mutex_lock(&l->mutex);
    while (l->first == NULL && !l->ending) {
        l->asleep = true;
        pthread_cond_wait(&l->wake, &l->mutex);
        l->asleep = false;
    }
    first = l->first;
    l->first = NULL;
    l->last = &l->first;
    pthread_mutex_unlock(&l->mutex);
    return first;
}

static void *later_run(void *arg)
{
    struct later *l = arg;
    struct store_later *at, *next;

    while ((at = take_all(l)) != NULL) {
        /* What they committed before they came is in the log, so this sync has it. */
        enum err err = l->engine->ops->flush(l->engine);

        for (; at != NULL; at = next) {
            next = at->next; /* once it is called, its memory is gone */
            at->then(at, err);
        }
    }
    return NULL;
}

enum err later_create(struct engine *engine, struct later **out)
{
    struct later *l = calloc(1, sizeof *l);
    sigset_t all, before;

    if (l == NULL)
        return ERR_NOMEM;
    l->engine = engine;
    l->last = &l->first;
    pthread_mutex_init(&l->mutex, NULL);
    pthread_cond_init(&l->wake, NULL);
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
        pthread_cond_signal(&l->wake);
        pthread_mutex_unlock(&l->mutex);
        pthread_join(l->thread, NULL);
    }
    pthread_cond_destroy(&l->wake);
    pthread_mutex_destroy(&l->mutex);
    free(l);
}

void later_add(struct later *l, struct store_later *item)
{
    bool wake;

    item->next = NULL;
    pthread_mutex_lock(&l->mutex);
    *l->last = item;
    l->last = &item->next;
    wake = l->asleep;
    l->asleep = false;
    pthread_mutex_unlock(&l->mutex);
    if (wake)
        pthread_cond_signal(&l->wake);
}
