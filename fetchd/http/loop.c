/*
 * loop.c - accepting, the queue from the pool back to the loop, and the end.
 *
 * All loops watch all listening sockets; whoever is awake first accepts. With a loop a core the losers cost
 * little beside a TLS handshake, and no connection waits for a busy loop while another is idle.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "http/connection.h"
#include "http/exchange.h"
#include "http/loop.h"

#define ACCEPT_BATCH 16     /* connections in a row, so that others get their turn */
#define ACCEPT_PAUSE_S 0.25 /* when descriptors or memory have run out */
#define PARK_S 0.01

struct accept_watch {
    ev_io io;
    struct loop *loop;
    struct listener *listener;
};

/* ---- accepting ---- */

static void accept_all(struct loop *l, bool on)
{
    for (size_t i = 0; i < l->accept_count; i++) {
        if (on)
            ev_io_start(l->ev, &l->accept[i].io);
        else
            ev_io_stop(l->ev, &l->accept[i].io);
    }
}

static void on_accept_timer(struct ev_loop *ev, ev_timer *timer, int events)
{
    struct loop *l = ev_userdata(ev);
    (void)timer;
    (void)events;

    if (!l->stopping)
        accept_all(l, true);
}

static void on_accept(struct ev_loop *ev, ev_io *io, int events)
{
    struct accept_watch *w = (struct accept_watch *)io;
    struct loop *l = w->loop;
    (void)events;

    for (int i = 0; i < ACCEPT_BATCH; i++) {
        struct sockaddr_storage from = {0};
        socklen_t len = sizeof from;
        int fd = accept4(w->listener->fd, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            connection_accept(l, w->listener, fd, (struct sockaddr *)&from);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            log_warning("accept: %s", strerror(errno));
            accept_all(l, false);
            ev_timer_stop(ev, &l->accept_timer);
            ev_timer_set(&l->accept_timer, ACCEPT_PAUSE_S, 0);
            ev_timer_start(ev, &l->accept_timer);
        }
        return; /* nobody waits, or he went away meanwhile */
    }
}

/* ---- back from the pool ---- */

void loop_post(struct loop *l, struct http_exchange *x)
{
    /* When the loop has taken x, it may end; it is not freed before we have left. Waking it under the lock
     * would make it wait for us first of all. */
    atomic_fetch_add(&l->posting, 1);
    pthread_mutex_lock(&l->lock);
    x->queue_next = l->posted;
    l->posted = x;
    pthread_mutex_unlock(&l->lock);
    ev_async_send(l->ev, &l->wake);
    atomic_fetch_sub(&l->posting, 1);
}

static void end_if_done(struct loop *l)
{
    if (l->stopping && l->connections == NULL)
        ev_break(l->ev, EVBREAK_ALL);
}

void loop_connection_gone(struct loop *l)
{
    end_if_done(l);
}

static void on_stop_timer(struct ev_loop *ev, ev_timer *timer, int events)
{
    struct loop *l = ev_userdata(ev);
    (void)timer;
    (void)events;

    for (struct connection *c = l->connections, *next; c != NULL; c = next) {
        next = c->next;
        connection_drop(c);
    }
    end_if_done(l);
}

static void begin_stop(struct loop *l, int64_t stop_at_ms)
{
    double grace_s = (double)(stop_at_ms - clock_mono_ms()) / 1000.0;

    l->stopping = true;
    accept_all(l, false);
    for (struct connection *c = l->connections, *next; c != NULL; c = next) {
        next = c->next;
        connection_shut(c);
    }
    ev_timer_set(&l->stop_timer, grace_s > 0 ? grace_s : 0, 0);
    ev_timer_start(l->ev, &l->stop_timer);
}

static void on_wake(struct ev_loop *ev, ev_async *async, int events)
{
    struct loop *l = ev_userdata(ev);
    struct http_exchange *posted, *first = NULL;
    (void)async;
    (void)events;

    pthread_mutex_lock(&l->lock);
    posted = l->posted;
    l->posted = NULL;
    int64_t stop_at_ms = l->stop_at_ms;
    pthread_mutex_unlock(&l->lock);

    while (posted != NULL) { /* the order in which they came */
        struct http_exchange *x = posted;
        posted = x->queue_next;
        x->queue_next = first;
        first = x;
    }
    while (first != NULL) {
        struct http_exchange *x = first;
        first = x->queue_next;
        x->queue_next = NULL;
        exchange_posted(x);
    }
    if (stop_at_ms != 0 && !l->stopping)
        begin_stop(l, stop_at_ms);
    end_if_done(l);
}

void loop_park(struct loop *l, struct http_exchange *x)
{
    x->queue_next = l->parked;
    l->parked = x;
    if (!ev_is_active(&l->park_timer)) {
        ev_timer_set(&l->park_timer, PARK_S, 0);
        ev_timer_start(l->ev, &l->park_timer);
    }
}

static void on_park_timer(struct ev_loop *ev, ev_timer *timer, int events)
{
    struct loop *l = ev_userdata(ev);
    struct http_exchange *parked = l->parked;
    (void)timer;
    (void)events;

    l->parked = NULL;
    while (parked != NULL) {
        struct http_exchange *x = parked;
        parked = x->queue_next;
        x->queue_next = NULL;
        exchange_resubmit(x);
    }
    end_if_done(l);
}

static void reap(struct loop *l)
{
    while (l->graveyard != NULL) {
        struct connection *c = l->graveyard;
        l->graveyard = c->next;
        connection_free(c);
    }
}

static void on_prepare(struct ev_loop *ev, ev_prepare *prepare, int events)
{
    (void)prepare;
    (void)events;
    reap(ev_userdata(ev));
}

/* ---- life ---- */

enum err loop_create(struct pool *pool, void *env, struct listener *listeners, struct loop **out)
{
    struct loop *l = calloc(1, sizeof *l);
    size_t n = 0;

    if (l == NULL)
        return ERR_NOMEM;
    pthread_mutex_init(&l->lock, NULL);
    l->pool = pool;
    l->env = env;
    for (struct listener *at = listeners; at != NULL; at = at->next)
        n++;
    l->accept = calloc(n == 0 ? 1 : n, sizeof *l->accept);
    l->ev = ev_loop_new(EVFLAG_NOENV | EVBACKEND_EPOLL);
    if (l->accept == NULL || l->ev == NULL) {
        loop_free(l);
        return ERR_NOMEM;
    }
    ev_set_userdata(l->ev, l);
    for (struct listener *at = listeners; at != NULL; at = at->next) {
        struct accept_watch *w = &l->accept[l->accept_count++];
        w->loop = l;
        w->listener = at;
        ev_io_init(&w->io, on_accept, at->fd, EV_READ);
    }
    ev_async_init(&l->wake, on_wake);
    ev_async_start(l->ev, &l->wake);
    ev_prepare_init(&l->reaper, on_prepare);
    ev_prepare_start(l->ev, &l->reaper);
    ev_timer_init(&l->stop_timer, on_stop_timer, 0, 0);
    ev_timer_init(&l->park_timer, on_park_timer, 0, 0);
    ev_timer_init(&l->accept_timer, on_accept_timer, 0, 0);
    *out = l;
    return ERR_OK;
}

static void *loop_run(void *arg)
{
    struct loop *l = arg;

    accept_all(l, true);
    ev_run(l->ev, 0);
    return NULL;
}

enum err loop_start(struct loop *l)
{
    sigset_t all, before;

    /* Signals are main's business; SIGPIPE, which would come from writing to a socket that the peer has
     * closed, is blocked with the others. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    l->running = pthread_create(&l->thread, NULL, loop_run, l) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!l->running)
        return ERR_UNAVAILABLE;
    pthread_setname_np(l->thread, "http");
    return ERR_OK;
}

void loop_stop(struct loop *l, int64_t stop_at_ms)
{
    pthread_mutex_lock(&l->lock);
    l->stop_at_ms = stop_at_ms;
    ev_async_send(l->ev, &l->wake);
    pthread_mutex_unlock(&l->lock);
}

void loop_join(struct loop *l)
{
    if (l->running)
        pthread_join(l->thread, NULL);
    l->running = false;
}

void loop_free(struct loop *l)
{
    if (l == NULL)
        return;
    while (atomic_load(&l->posting) > 0)
        sched_yield();
    reap(l);
    if (l->ev != NULL)
        ev_loop_destroy(l->ev);
    free(l->accept);
    pthread_mutex_destroy(&l->lock);
    free(l);
}
