/*
 * lifecycle.c - the clock thread: what is due goes to the sending threads. (What is past its time is the
 * sweeper's.)
 */
#include "lifecycle/lifecycle.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "env/env.h"
#include "lifecycle/challenge_notice.h"
#include "lifecycle/notify.h"
#include "lifecycle/outbox.h"
#include "lifecycle/plain.h"
#include "lifecycle/quota_notice.h"
#include "lifecycle/sweeper.h"
#include "pool/pool.h"
#include "settings/settings.h"
#include "store/store.h"

#define BATCH 64      /* entries taken at a time: no more are under way */
#define BATCH_BUSY 4  /* the same while letters are being deposited: their clients wait, the outbox can */
#define ASKING_MAX 64 /* entries that wait for DNS besides */
#define ASKERS 4
#define BUSY_MS 250  /* after the last of them */
#define GRACE_S 7200 /* longer than any sending may take: an entry under way is not given out again */
#define LOOK_MS 1000 /* at least so often: the wall clock may jump */

struct lifecycle {
    const struct env *env;
    struct pool *senders;
    struct pool *askers;
    struct sweeper *sweeper;
    pthread_t clock;
    bool clock_runs;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    bool woken, stopping;
    unsigned under_way, asking;
    struct task *tasks; /* all there are */
    int64_t busy_until_mono_ms;
};

struct task {
    struct task *next;
    struct lifecycle *lifecycle;
    struct work work;
    bool asked; /* answer is what DNS said */
    struct discovery_answer answer;
};

static bool is_stopping(struct lifecycle *l)
{
    pthread_mutex_lock(&l->lock);
    bool stopping = l->stopping;
    pthread_mutex_unlock(&l->lock);
    return stopping;
}

/* False: that entry is under way. The store gives it out again when its grace is over, or as a new one of the
 * same kind when the last one's task is just ending: nothing is sent twice side by side. */
static bool task_begin(struct lifecycle *l, struct task *task)
{
    struct task *t;

    pthread_mutex_lock(&l->lock);
    for (t = l->tasks; t; t = t->next) {
        if (t->work.kind == task->work.kind && memcmp(t->work.key, task->work.key, sizeof t->work.key) == 0)
            break;
    }
    if (!t) {
        task->next = l->tasks;
        l->tasks = task;
    }
    pthread_mutex_unlock(&l->lock);
    return !t;
}

static void task_end(struct lifecycle *l, struct task *task)
{
    pthread_mutex_lock(&l->lock);
    for (struct task **at = &l->tasks; *at; at = &(*at)->next) {
        if (*at == task) {
            *at = task->next;
            break;
        }
    }
    pthread_mutex_unlock(&l->lock);
    free(task);
}

/* Under the lock: how many may be under way. */
static unsigned room_at_all(const struct lifecycle *l)
{
    return clock_mono_ms() < l->busy_until_mono_ms ? BATCH_BUSY : BATCH;
}

/* One of those under way is done with. */
static void leave(struct lifecycle *l)
{
    pthread_mutex_lock(&l->lock);
    if (--l->under_way <= room_at_all(l) / 2) {
        l->woken = true; /* there is room for more */
        pthread_cond_signal(&l->changed);
    }
    pthread_mutex_unlock(&l->lock);
}

static void run_task(void *arg);

/* DNS is asked by threads that nobody else waits for, and while it answers the task is none of those under
 * way: slow name servers of domains that are told again keep no stub from going out for the first time. */
static void run_asking(void *arg)
{
    struct task *task = arg;
    struct lifecycle *l = task->lifecycle;

    if (!is_stopping(l))
        outbox_ask(l->env, &task->work, &task->answer);
    task->asked = true;
    pthread_mutex_lock(&l->lock);
    l->asking--;
    l->under_way++;
    pthread_mutex_unlock(&l->lock);
    if (pool_submit(l->senders, run_task, task)) {
        outbox_come_back(l->env, &task->work);
        task_end(l, task);
        leave(l);
    }
}

/* Takes the task if there is room for it. Under the lock: once it stops, the pool may be gone. */
static bool start_asking(struct lifecycle *l, struct task *task)
{
    pthread_mutex_lock(&l->lock);
    bool taken = !l->stopping && l->asking < ASKING_MAX && pool_submit(l->askers, run_asking, task) == ERR_OK;
    l->asking += taken;
    pthread_mutex_unlock(&l->lock);
    return taken;
}

/* False: the task is another thread's now. */
static bool do_task(struct lifecycle *l, struct task *task)
{
    switch (task->work.kind) {
    case WORK_STUB:
        if (outbox_look(l->env, &task->work, task->asked ? &task->answer : NULL))
            break;
        if (start_asking(l, task))
            return false;
        outbox_come_back(l->env, &task->work);
        break;
    case WORK_CHALLENGE:
        challenge_notice_send(l->env, &task->work);
        break;
    case WORK_PLAIN:
        plain_send(l->env, &task->work);
        break;
    case WORK_QUOTA:
        quota_notice_send(l->env, &task->work);
        break;
    case WORK_DELAY:
    case WORK_NOTIFY:
    default:
        notify_send(l->env, &task->work);
        break;
    }
    return true;
}

static void run_task(void *arg)
{
    struct task *task = arg;
    struct lifecycle *l = task->lifecycle;

    /* When it stops, the entry is due again after the next start. */
    if (is_stopping(l) || do_task(l, task))
        task_end(l, task);
    leave(l);
}

static void start_task(struct lifecycle *l, const struct work *work)
{
    struct task *task = malloc(sizeof *task);

    if (task) {
        *task = (struct task){.lifecycle = l, .work = *work};
        if (!task_begin(l, task)) {
            free(task);
            store_work_give_back(l->env->store, work); /* it may be a new one of the same kind */
            return;
        }
        pthread_mutex_lock(&l->lock);
        l->under_way++;
        pthread_mutex_unlock(&l->lock);
        if (pool_submit(l->senders, run_task, task) == ERR_OK)
            return;
        pthread_mutex_lock(&l->lock);
        l->under_way--;
        pthread_mutex_unlock(&l->lock);
        task_end(l, task);
    }
    /* Not given out again by itself for a while: say when. */
    store_work_later(l->env->store, work, outbox_next_try(l->env, work->tries, clock_now_s()), "no memory");
}

/* Takes as much as there is room for. True when there may be more. */
static bool empty_outbox(struct lifecycle *l)
{
    struct work work[BATCH];
    size_t count = 0;

    pthread_mutex_lock(&l->lock);
    unsigned all = room_at_all(l);
    size_t room = all > l->under_way ? all - l->under_way : 0;
    pthread_mutex_unlock(&l->lock);
    if (room == 0)
        return false;
    enum err e = store_work_due(l->env->store, clock_now_s(), GRACE_S, work, room, &count);
    if (e) {
        log_error("the outbox cannot be read: %s", err_text(e));
        return false;
    }
    for (size_t i = 0; i < count; i++)
        start_task(l, &work[i]);
    return count == room;
}

static void deadline_in(int64_t ms, struct timespec *out)
{
    clock_gettime(CLOCK_MONOTONIC, out);
    out->tv_sec += ms / 1000;
    out->tv_nsec += ms % 1000 * 1000000;
    if (out->tv_nsec >= 1000000000) {
        out->tv_sec++;
        out->tv_nsec -= 1000000000;
    }
}

/* False: stop. */
static bool wait_a_while(struct lifecycle *l)
{
    struct timespec until;

    pthread_mutex_lock(&l->lock);
    deadline_in(clock_mono_ms() < l->busy_until_mono_ms ? BUSY_MS : LOOK_MS, &until);
    while (!l->woken && !l->stopping && pthread_cond_timedwait(&l->changed, &l->lock, &until) == 0)
        ;
    l->woken = false;
    bool go_on = !l->stopping;
    pthread_mutex_unlock(&l->lock);
    return go_on;
}

static void *run_clock(void *arg)
{
    struct lifecycle *l = arg;

    do {
        while (empty_outbox(l))
            ;
    } while (wait_a_while(l));
    return NULL;
}

static void wake_for_ended(void *arg)
{
    lifecycle_wake(arg);
}

enum err lifecycle_create(const struct env *env, struct lifecycle **out)
{
    enum err e;
    pthread_condattr_t attr;
    struct lifecycle *l = calloc(1, sizeof *l);

    if (!l)
        return ERR_NOMEM;
    l->env = env;
    pthread_mutex_init(&l->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&l->changed, &attr);
    pthread_condattr_destroy(&attr);
    e = pool_create("outbox", (unsigned)env->settings->injections_max, BATCH + ASKING_MAX, &l->senders);
    if (!e)
        e = pool_create("renotify", ASKERS, ASKING_MAX, &l->askers);
    if (e) {
        lifecycle_free(l);
        return e;
    }
    *out = l;
    return ERR_OK;
}

enum err lifecycle_start(struct lifecycle *l)
{
    enum err e = sweeper_create(l->env->store, wake_for_ended, l, &l->sweeper);

    if (e)
        return e;
    l->clock_runs = pthread_create(&l->clock, NULL, run_clock, l) == 0;
    return l->clock_runs ? ERR_OK : ERR_NOMEM;
}

void lifecycle_wake(struct lifecycle *l)
{
    if (!l)
        return;
    pthread_mutex_lock(&l->lock);
    l->woken = true;
    pthread_cond_signal(&l->changed);
    pthread_mutex_unlock(&l->lock);
}

void lifecycle_deposited(struct lifecycle *l)
{
    pthread_mutex_lock(&l->lock);
    l->busy_until_mono_ms = clock_mono_ms() + BUSY_MS;
    l->woken = true;
    pthread_cond_signal(&l->changed);
    pthread_mutex_unlock(&l->lock);
}

void lifecycle_free(struct lifecycle *l)
{
    if (!l)
        return;
    pthread_mutex_lock(&l->lock);
    l->stopping = true;
    pthread_cond_signal(&l->changed);
    pthread_mutex_unlock(&l->lock);
    if (l->clock_runs)
        pthread_join(l->clock, NULL);
    sweeper_free(l->sweeper);
    pool_free(l->askers); /* what it still has goes to the senders */
    pool_free(l->senders);
    pthread_cond_destroy(&l->changed);
    pthread_mutex_destroy(&l->lock);
    free(l);
}
