/*
 * group_sync.c - see group_sync.h.
 */
#include "store/group_sync.h"

void group_sync_init(struct group_sync *g)
{
    *g = (struct group_sync){.begun = 0};
    pthread_mutex_init(&g->mutex, NULL);
    pthread_cond_init(&g->ended, NULL);
}

void group_sync_free(struct group_sync *g)
{
    pthread_mutex_destroy(&g->mutex);
    pthread_cond_destroy(&g->ended);
}

enum err group_sync_run(struct group_sync *g, enum err (*sync)(void *arg), void *arg)
{
    uint64_t mine;
    enum err err;

    pthread_mutex_lock(&g->mutex);
    mine = g->begun + 1;
    while (g->done < mine) {
        if (g->begun != g->done) { /* somebody is at it */
            pthread_cond_wait(&g->ended, &g->mutex);
            continue;
        }
        g->begun++;
        pthread_mutex_unlock(&g->mutex);
        err = sync(arg);
        pthread_mutex_lock(&g->mutex);
        g->done = g->begun;
        g->err = err;
        if (err == ERR_OK)
            g->good = g->done;
        pthread_cond_broadcast(&g->ended);
    }
    /* A later one that went well has everything too. */
    err = g->good >= mine ? ERR_OK : g->err;
    pthread_mutex_unlock(&g->mutex);
    return err;
}
