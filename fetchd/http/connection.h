/*
 * connection.h - one client's connection: socket, PROXY header, TLS, the nghttp2 session and its deadlines.
 * Runs on its loop's thread alone.
 */
#ifndef HTTP_CONNECTION_H
#define HTTP_CONNECTION_H

#include <nghttp2/nghttp2.h>

#include "http/loop.h"
#include "http/proxy.h"

/* A stream's receive window, and the connection's: what a peer may send before a handler has taken it. */
#define STREAM_WINDOW 262144
#define CONNECTION_WINDOW 2097152

enum connection_state {
    CONNECTION_PROXY,     /* the PROXY header is being read */
    CONNECTION_HANDSHAKE, /* TLS */
    CONNECTION_OPEN,      /* HTTP/2 */
    CONNECTION_LINGERING, /* our side is shut; what the peer still sends is dropped, so that he reads our
                             GOAWAY */
    CONNECTION_CLOSED     /* the socket is gone; exchanges on the pool still refer to us */
};

struct connection {
    struct connection *prev, *next; /* in the loop's list */
    struct loop *loop;
    struct listener *listener;
    struct http_peer peer; /* constant from CONNECTION_OPEN on */
    bool address_counted;
    struct chain *chain; /* the client's, verified; constant from CONNECTION_OPEN on; NULL: none */
    enum connection_state state;
    int fd;
    SSL *ssl;
    nghttp2_session *session;
    ev_io io;
    ev_timer timer;
    int64_t timer_at_ms;

    uint8_t *proxy; /* PROXY_HEADER_MAX bytes while in CONNECTION_PROXY */
    size_t proxy_len;

    struct http_exchange *exchanges; /* with an open stream, or still on their way out */
    size_t exchange_count;           /* all that are not freed, those on the pool too */
    size_t stream_count;

    struct buf out; /* what the socket did not take yet */
    size_t out_offset;
    uint64_t produced, written; /* bytes of HTTP/2, counted from the beginning */
    bool ending;                /* a GOAWAY that ends the session is on its way */
    bool shut;                  /* no new streams; ends with the last one */
    bool settled;               /* the client's SETTINGS are here */
    bool inside;                /* within nghttp2: no flushing */
    bool buried;                /* in the loop's graveyard */

    int64_t handshake_by_ms, idle_by_ms, stalled_by_ms, close_by_ms; /* monotonic; 0: none */
    int nuisance;                                                    /* frames that carry nothing */
    unsigned answers_unreset; /* answers whose stream the client has not reset (yet) */
    int64_t nuisance_at_ms;
};

/* Takes fd. The connection frees itself when its socket and its exchanges are gone. */
void connection_accept(struct loop *loop, struct listener *listener, int fd, const struct sockaddr *from);
/* GOAWAY(NO_ERROR); closes when the open streams have ended. */
void connection_shut(struct connection *c);
/* Closes the socket at once. */
void connection_drop(struct connection *c);
/* GOAWAY with this error, then close. `reason` goes to the log. */
void connection_end(struct connection *c, uint32_t error, const char *reason);
/* Sends what nghttp2 has to send. To be called after anything was submitted from outside a callback. */
void connection_flush(struct connection *c);
/* Sees to it that deadlines are looked at no later than this. */
void connection_watch(struct connection *c, int64_t at_ms);
/* One more frame that costs us work and carries nothing; ends the connection when there are too many. */
void connection_nuisance(struct connection *c, const char *what);
/* The last exchange may have gone: the connection goes to the loop's graveyard if it is closed. */
void connection_release(struct connection *c);
void connection_free(struct connection *c);

#endif
