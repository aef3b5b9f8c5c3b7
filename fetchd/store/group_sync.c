/*
 * group_sync.c - see group_sync.h.
 */
#include "store/group_sync.h"

#include <errno.h>
#include <semaphore.h>

/* On the stack of the thread that waits. */
struct group_waiter {
    struct group_waiter *next;
    sem_t wake;
    bool leads; /* woken to sync for those behind it, and not with a result */
    enum err err;
};

void group_sync_init(struct group_sync *g)
{
    *g = (struct group_sync){.busy = false};
    pthread_mutex_init(&g->mutex, NULL);
}

void group_sync_free(struct group_sync *g)
{
    pthread_mutex_destroy(&g->mutex);
}

/* Whoever is woken may be gone at once, and his struct with him. */
static void wake_all(struct group_waiter *first, enum err err)
{
    for (struct group_waiter *at = first, *next; at != NULL; at = next) {
        next = at->next;
        at->err = err;
        sem_post(&at->wake);
    }
}

enum err group_sync_run(struct group_sync *g, enum err (*sync)(void *arg), void *arg)
{
    struct group_waiter me = {.next = NULL}, *riders = NULL, *next;
    enum err err;

    pthread_mutex_lock(&g->mutex);
    if (g->busy) {
        sem_init(&me.wake, 0, 0);
        me.next = g->waiting;
        // cppcheck-suppress autoVariables ; whoever leads takes it off before it wakes us
        g->waiting = &me;
        pthread_mutex_unlock(&g->mutex);
        while (sem_wait(&me.wake) != 0 && errno == EINTR)
            ;
        sem_destroy(&me.wake);
        if (!me.leads)
            return me.err;
        pthread_mutex_lock(&g->mutex);
        /* All who came until now, not only until the last sync's end: `busy` is still set, for us. */
        riders = g->waiting;
        g->waiting = NULL;
    }
    g->busy = true;
    pthread_mutex_unlock(&g->mutex);

    err = sync(arg);

    pthread_mutex_lock(&g->mutex);
    next = g->waiting;
    if (next != NULL) {
        g->waiting = next->next;
        next->leads = true;
    } else {
        g->busy = false;
    }
    pthread_mutex_unlock(&g->mutex);
    if (next != NULL)
        sem_post(&next->wake); /* first: the disk is idle until he runs */
    wake_all(riders, err);
    return err;
}
