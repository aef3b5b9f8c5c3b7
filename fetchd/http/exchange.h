/*
 * exchange.h - one request and its answer. On the loop's thread, but for the part that a handler owns while
 * it runs on the pool (see server.h).
 */
#ifndef HTTP_EXCHANGE_H
#define HTTP_EXCHANGE_H

#include <stdatomic.h>

#include "http/connection.h"
#include "http/head.h"

enum exchange_state {
    EXCHANGE_HEAD,     /* fields are arriving */
    EXCHANGE_BODY,     /* waiting for (more of) the body */
    EXCHANGE_RUNNING,  /* the handler has it, on the pool or queued for it */
    EXCHANGE_DRAINING, /* answered before the body's end: the rest is read and dropped, then the answer goes
                          out */
    EXCHANGE_SENDING,  /* the answer is with nghttp2 */
    EXCHANGE_FLUSHING, /* its last frame is made, and not yet with the kernel */
    EXCHANGE_ENDING,   /* on the pool for on_sent and release */
    EXCHANGE_STATES
};
enum answer_kind { ANSWER_NOTHING, ANSWER_BYTES, ANSWER_FILE };

struct exchange_field {
    struct exchange_field *next;
    char *name, *value;
};

struct http_exchange {
    struct http_exchange *prev, *next; /* in the connection's list */
    struct http_exchange *queue_next;  /* posted or parked */
    struct connection *connection;
    int32_t stream_id;
    enum exchange_state state;
    atomic_bool gone; /* the stream is closed; set by the loop, looked at by the pool */
    bool handled;     /* the handler has been called */

    /* the request */
    struct head head;
    struct span path, query;
    size_t collect_max;
    bool streamed;
    size_t min_bytes;
    http_handler handler;
    struct pool *pool;
    struct buf arriving; /* came while a handler ran or not enough for one */
    bool request_ended;
    size_t owed;  /* bytes of the receive window not given back yet */
    size_t shown; /* bytes that the handler saw last and left all */

    /* the handler's while it runs */
    struct buf body;
    size_t body_offset;
    bool body_ended;
    size_t consumed;
    void *handler_state;
    void (*release)(void *state);
    void (*sent)(void *arg, bool complete);
    void *sent_arg;
    struct exchange_field *field;
    bool moved;            /* the handler goes on in another pool */
    bool *held;            /* of the pool's thread that runs the handler: it returns, and x stays away */
    bool answered, broken; /* broken: a field that may not go out */
    int status;
    enum answer_kind kind;
    struct buf answer;
    int fd;
    uint64_t offset, length;

    /* sending */
    bool complete;
    bool reset_after; /* the request has not ended: RST_STREAM(NO_ERROR) behind the answer */
    uint64_t end_at;  /* connection's `produced` with the last byte */
    uint64_t sent_bytes, rate_bytes;

    int64_t by_ms; /* the state's deadline; 0: none */
    uint64_t drained;
};

/* A new stream's head begins. NULL: out of memory, or the connection has too many under way. */
struct http_exchange *exchange_begin(struct connection *c, int32_t stream_id);
void exchange_head_ended(struct http_exchange *x, bool request_ended);
void exchange_data(struct http_exchange *x, const uint8_t *data, size_t len);
void exchange_request_ended(struct http_exchange *x);
/* A frame with END_STREAM is made: ours are the bytes up to `produced`. */
void exchange_answer_made(struct http_exchange *x);
/* The stream is closed, whoever did it. */
void exchange_stream_closed(struct http_exchange *x);
/* The connection is gone, and with it what was not written yet. */
void exchange_abandon(struct http_exchange *x);
/* The connection has written up to `written`. */
void exchange_flushed(struct http_exchange *x);
/* Looks at the deadline; returns the next, 0 for none. May end the connection. */
int64_t exchange_deadline(struct http_exchange *x, int64_t now_ms);
/* Back from the pool. */
void exchange_posted(struct http_exchange *x);
/* Tries the pool again. */
void exchange_resubmit(struct http_exchange *x);

#endif
