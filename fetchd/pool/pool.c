/*
 * pool.c - a fixed number of threads over one bounded ring of work.
 *
 * The ring is allocated once with its maximum, so that submitting never fails for want of memory, only
 * because too much waits already.
 */
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "pool/pool.h"

#define POOL_NAME_MAX 16 /* what the kernel keeps of a thread's name, with the NUL */

struct pool_item {
    pool_work work;
    void *arg;
};

/* A thread; each sleeps on a condition of its own, so that the one that slept last is woken first: its stack
 * and the kernel's idea of it are warm, and under little load the others sleep on. */
struct pool_thread {
    struct pool *pool;
    pthread_t id;
    pthread_cond_t wake;
    bool woken;
    struct pool_thread *next_idle;
};

struct pool {
    pthread_mutex_t lock; /* guards all below */
    struct pool_item *ring;
    size_t ring_size, head, waiting;
    bool ending;
    unsigned thread_count;
    struct pool_thread *thread;
    struct pool_thread *idle; /* the one that slept last first */
};

/* Under the lock. */
static void pool_wake_one(struct pool *p)
{
    struct pool_thread *t = p->idle;

    if (t == NULL)
        return;
    p->idle = t->next_idle;
    t->woken = true;
    pthread_cond_signal(&t->wake);
}

/* Under the lock. */
static void pool_sleep(struct pool_thread *t)
{
    struct pool *p = t->pool;

    t->woken = false;
    t->next_idle = p->idle;
    p->idle = t;
    while (!t->woken)
        pthread_cond_wait(&t->wake, &p->lock);
}

static void *pool_run(void *arg)
{
    struct pool_thread *t = arg;
    struct pool *p = t->pool;

    pthread_mutex_lock(&p->lock);
    for (;;) {
        while (p->waiting == 0 && !p->ending)
            pool_sleep(t);
        if (p->waiting == 0)
            break;
        struct pool_item item = p->ring[p->head];
        p->head = (p->head + 1) % p->ring_size;
        p->waiting--;
        pthread_mutex_unlock(&p->lock);
        item.work(item.arg);
        pthread_mutex_lock(&p->lock);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

/* Signals are main's business: the threads start with all of them blocked. */
static enum err pool_start(struct pool *p, const char *name, unsigned threads)
{
    enum err e = ERR_OK;
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (p->thread_count < threads) {
        char thread_name[POOL_NAME_MAX];
        struct pool_thread *t = &p->thread[p->thread_count];
        t->pool = p;
        pthread_cond_init(&t->wake, NULL);
        if (pthread_create(&t->id, NULL, pool_run, t) != 0) {
            pthread_cond_destroy(&t->wake);
            e = ERR_UNAVAILABLE;
            break;
        }
        snprintf(thread_name, sizeof thread_name, "%.10s-%u", name, p->thread_count % 10000);
        pthread_setname_np(t->id, thread_name);
        p->thread_count++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return e;
}

enum err pool_create(const char *name, unsigned threads, size_t queue_max, struct pool **out)
{
    struct pool *p = calloc(1, sizeof *p);

    if (p == NULL)
        return ERR_NOMEM;
    pthread_mutex_init(&p->lock, NULL);
    p->ring_size = queue_max;
    p->ring = calloc(queue_max, sizeof *p->ring);
    p->thread = calloc(threads, sizeof *p->thread);
    enum err e = p->ring == NULL || p->thread == NULL ? ERR_NOMEM : pool_start(p, name, threads);
    if (e != ERR_OK) {
        pool_free(p);
        return e;
    }
    *out = p;
    return ERR_OK;
}

void pool_free(struct pool *p)
{
    if (p == NULL)
        return;
    pthread_mutex_lock(&p->lock);
    p->ending = true;
    while (p->idle != NULL)
        pool_wake_one(p);
    pthread_mutex_unlock(&p->lock);
    for (unsigned i = 0; i < p->thread_count; i++) {
        pthread_join(p->thread[i].id, NULL);
        pthread_cond_destroy(&p->thread[i].wake);
    }
    pthread_mutex_destroy(&p->lock);
    free(p->thread);
    free(p->ring);
    free(p);
}

enum err pool_submit(struct pool *p, pool_work work, void *arg)
{
    enum err e = ERR_OK;

    pthread_mutex_lock(&p->lock);
    if (p->waiting == p->ring_size) {
        e = ERR_BUSY;
    } else {
        p->ring[(p->head + p->waiting) % p->ring_size] = (struct pool_item){work, arg};
        p->waiting++;
        pool_wake_one(p);
    }
    pthread_mutex_unlock(&p->lock);
    return e;
}

size_t pool_waiting(struct pool *p)
{
    pthread_mutex_lock(&p->lock);
    size_t n = p->waiting;
    pthread_mutex_unlock(&p->lock);
    return n;
}
