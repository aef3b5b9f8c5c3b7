/*
 * pool.c - a fixed number of threads over one bounded ring of work.
 *
 * The ring is allocated once with its maximum, so that submitting never fails for want of memory, only
 * because too much waits already.
 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
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

/* A thread; each sleeps on a semaphore of its own, so that the one that slept last is woken first: its stack
 * and the kernel's idea of it are warm, and under little load the others sleep on. (A condition variable
 * would cost one more system call a sleep: who wakes from one takes the mutex as if others waited for it.) */
struct pool_thread {
    struct pool *pool;
    pthread_t id;
    sem_t wake;
    struct pool_thread *next_idle;
};

struct pool {
    pthread_mutex_t lock; /* guards all below */
    struct pool_item *ring;
    size_t ring_size, head, waiting;
    bool ending;
    unsigned thread_count;
    pool_work on_idle;
    void *on_idle_arg;
    struct pool_thread *thread;
    struct pool_thread *idle; /* the one that slept last first */
};

/* Under the lock: the thread to wake, NULL if none sleeps. It is woken without the lock, which it needs
 * next. */
static struct pool_thread *pool_choose(struct pool *p)
{
    struct pool_thread *t = p->idle;

    if (t != NULL)
        p->idle = t->next_idle;
    return t;
}

/* Under the lock, which it gives back meanwhile. */
static void pool_sleep(struct pool_thread *t)
{
    struct pool *p = t->pool;

    t->next_idle = p->idle;
    p->idle = t;
    pthread_mutex_unlock(&p->lock);
    while (sem_wait(&t->wake) != 0 && errno == EINTR)
        ;
    pthread_mutex_lock(&p->lock);
}

static void *pool_run(void *arg)
{
    struct pool_thread *t = arg;
    struct pool *p = t->pool;

    bool worked = false;

    pthread_mutex_lock(&p->lock);
    for (;;) {
        if (p->waiting == 0 && worked && p->on_idle != NULL) {
            pthread_mutex_unlock(&p->lock);
            p->on_idle(p->on_idle_arg);
            pthread_mutex_lock(&p->lock);
        }
        while (p->waiting == 0 && !p->ending)
            pool_sleep(t);
        if (p->waiting == 0)
            break;
        worked = true;
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
        sem_init(&t->wake, 0, 0);
        if (pthread_create(&t->id, NULL, pool_run, t) != 0) {
            sem_destroy(&t->wake);
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
        sem_post(&pool_choose(p)->wake);
    pthread_mutex_unlock(&p->lock);
    for (unsigned i = 0; i < p->thread_count; i++) {
        pthread_join(p->thread[i].id, NULL);
        sem_destroy(&p->thread[i].wake);
    }
    pthread_mutex_destroy(&p->lock);
    free(p->thread);
    free(p->ring);
    free(p);
}

void pool_on_idle(struct pool *p, pool_work idle, void *arg)
{
    pthread_mutex_lock(&p->lock);
    p->on_idle = idle;
    p->on_idle_arg = arg;
    pthread_mutex_unlock(&p->lock);
}

enum err pool_submit(struct pool *p, pool_work work, void *arg)
{
    struct pool_thread *sleeper = NULL;
    enum err e = ERR_OK;

    pthread_mutex_lock(&p->lock);
    if (p->waiting == p->ring_size) {
        e = ERR_BUSY;
    } else {
        p->ring[(p->head + p->waiting) % p->ring_size] = (struct pool_item){work, arg};
        p->waiting++;
        sleeper = pool_choose(p);
    }
    pthread_mutex_unlock(&p->lock);
    if (sleeper != NULL)
        sem_post(&sleeper->wake);
    return e;
}

size_t pool_waiting(struct pool *p)
{
    pthread_mutex_lock(&p->lock);
    size_t n = p->waiting;
    pthread_mutex_unlock(&p->lock);
    return n;
}
