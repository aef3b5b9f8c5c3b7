/*
 * loop.h - one event loop and its thread: it accepts, owns connections and their exchanges, and gets back
 * from the pool what handlers have finished. Everything here but loop_post and loop_stop runs on the loop's
 * thread.
 */
#ifndef HTTP_LOOP_H
#define HTTP_LOOP_H

#include <ev.h>
#include <pthread.h>
#include <stdatomic.h>

#include "http/listener.h"
#include "http/server.h"

#define LOOP_READ_BYTES 32768
#define LOOP_WRITE_BYTES 81920

struct connection;

struct loop {
    struct loop *next; /* in the server's list */
    struct ev_loop *ev;
    pthread_t thread;
    bool running;
    struct pool *pool;
    void *env;

    ev_async wake;
    atomic_uint posting; /* threads inside loop_post */
    pthread_mutex_t lock;
    struct http_exchange *posted; /* newest first; under the lock */
    int64_t stop_at_ms;           /* 0: not stopping; under the lock */

    bool stopping;
    ev_timer stop_timer;
    struct http_exchange *parked; /* the pool was full; tried again soon */
    ev_timer park_timer;
    struct accept_watch *accept;
    size_t accept_count;
    ev_timer accept_timer; /* accepting pauses when descriptors have run out */
    struct connection *connections;
    struct connection *graveyard; /* closed ones, freed when no callback can know them any more */
    ev_prepare reaper;

    uint8_t in[LOOP_READ_BYTES]; /* shared by all connections, valid within one callback */
    uint8_t out[LOOP_WRITE_BYTES];
};

/* Listeners: a list by their `next`; borrowed until loop_free. */
enum err loop_create(struct pool *pool, void *env, struct listener *listeners, struct loop **out);
enum err loop_start(struct loop *l);
/* Ends the thread's work: connections get a GOAWAY, exchanges may end until stop_at_ms (monotonic), then the
 * sockets are closed; handlers that still run are waited for. Thread-safe. */
void loop_stop(struct loop *l, int64_t stop_at_ms);
void loop_join(struct loop *l);
void loop_free(struct loop *l);

/* From a pool thread: the exchange belongs to the loop again. */
void loop_post(struct loop *l, struct http_exchange *x);
/* A connection has left the list: a loop that is stopping ends with the last one. */
void loop_connection_gone(struct loop *l);
/* The pool was full: the exchange's work is submitted again in a moment. */
void loop_park(struct loop *l, struct http_exchange *x);

#endif
