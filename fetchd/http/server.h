/*
 * server.h - the HTTP/2 server, wrapped once: nghttp2 over TLS (OpenSSL) or UNIX sockets, an epoll loop
 * (libev) a thread. Nothing outside this folder knows nghttp2, OpenSSL's SSL or libev.
 *
 * Life of a request: the head arrives -> the router is called on the loop thread (must not block) and chooses
 * one of http_collect, http_stream, or an immediate answer. Handlers then run on the pool, never two at once
 * for one exchange, and may block. An exchange belongs to the handler while it runs. Memory is bounded by the
 * limits; flow control is the back-pressure both ways.
 */
#ifndef HTTP_SERVER_H
#define HTTP_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/netaddr.h"
#include "pool/pool.h"

struct http_server;
struct http_exchange;
struct chain; /* certificate/chain.h */

enum http_kind { HTTP_UNIX, HTTP_TLS };
struct http_peer {
    enum http_kind kind;
    int listener;        /* index of the listener in the order they were added */
    struct netaddr addr; /* TLS: the client's (own, or by PROXY protocol); family 0 for UNIX */
    uint16_t port;
    uid_t uid; /* UNIX: SO_PEERCRED */
    gid_t gid;
    pid_t pid;
};

typedef void (*http_router)(void *env, struct http_exchange *x);  /* loop thread, must not block */
typedef void (*http_handler)(void *env, struct http_exchange *x); /* pool thread */

/* A deadline, rate or list that a client oversteps ends his connection with GOAWAY(ENHANCE_YOUR_CALM), and so
 * do some hundred frames that carry nothing (resets, pings, settings, empty DATA). A connection over a cap is
 * closed at once. */
struct http_limits {
    size_t header_list_max;         /* bytes, e.g. 16384 */
    uint32_t streams_max;           /* concurrent, a connection, e.g. 32 */
    size_t connections_max;         /* in total */
    size_t connections_address_max; /* from one address, IPv6: one /64 (TLS) */
    int64_t handshake_ms; /* accept (and PROXY header, and TLS) to the client's SETTINGS, e.g. 10000 */
    int64_t idle_ms;      /* a connection without an open stream, e.g. 60000 */
    int64_t head_ms;      /* a stream's head to be complete, e.g. 10000 */
    int64_t body_idle_ms; /* a request body without a byte, e.g. 60000 (UNIX: an hour: a slow SMTP client) */
    int64_t rate_min_bytes_s; /* a response body's minimum over rate_window_ms (TLS), e.g. 1024 */
    int64_t rate_window_ms;   /* e.g. 30000; also how long output may be stuck altogether (0: a minute) */
    int64_t drain_bytes;      /* rest of a refused upload that is read and dropped, e.g. 64 MiB */
    int64_t drain_ms;         /* e.g. 30000 */
};
struct http_tls {
    const char *certificate_file, *key_file; /* PEM, chain in the certificate file */
    const char *client_ca_file;              /* NULL: client certificates are not asked for */
    const struct netprefix
        *proxy_protocol_from; /* borrowed; connections from here must start with a PROXY header */
    size_t proxy_protocol_count;
};

struct http_options {
    unsigned threads;  /* event loops */
    struct pool *pool; /* handlers run here; borrowed */
    void *env;         /* handed to router and handlers */
};
enum err http_server_create(const struct http_options *o, struct http_server **out);
/* Binds at once (the caller may drop privileges afterwards). mode: of the UNIX socket file; a stale file is
 * replaced. */
enum err http_listen_unix(struct http_server *s, const char *path, mode_t mode,
                          const struct http_limits *limits, http_router router, struct buf *why);
/* address "host:port" numeric, "[v6]:port", ":port" for all. */
enum err http_listen_tls(struct http_server *s, const char *address, const struct http_tls *tls,
                         const struct http_limits *limits, http_router router, struct buf *why);
/* Loads certificate and key again (SIGHUP); new connections use them. On error the old ones stay. */
enum err http_tls_reload(struct http_server *s, struct buf *why);
enum err http_server_start(struct http_server *s);
/* GOAWAY, waits up to grace_ms for open exchanges, closes, joins. */
void http_server_stop(struct http_server *s, int64_t grace_ms);
void http_server_free(struct http_server *s);

/* The request. Spans borrow until the exchange ends. */
struct span http_method(const struct http_exchange *x);
struct span http_path(const struct http_exchange *x);  /* without the query */
struct span http_query(const struct http_exchange *x); /* after '?', undecoded; empty when absent */
struct span http_authority(const struct http_exchange *x);
/* The value of a field (lower-case name); empty when absent. A field that came twice is joined by ", " as RFC
 * 9110 5.3. */
struct span http_field(const struct http_exchange *x, const char *name);
bool http_has_field(const struct http_exchange *x, const char *name);
const struct http_peer *http_peer(const struct http_exchange *x);
/* Whether the client showed a certificate that verifies and carries this host name in its SAN. */
bool http_peer_has_name(const struct http_exchange *x, const char *host);
/* Its certificates, or NULL when it showed none that verify. Borrowed until the exchange ends. */
struct chain *http_peer_chain(const struct http_exchange *x);

/* Router's choices: one of these two, or an answer. */
/* The whole body, then handler. A body over the bound is answered 413 without it. The body as a whole gets
 * body_idle_ms: what is collected is small. */
void http_collect(struct http_exchange *x, size_t body_max_bytes, http_handler handler);
/* handler is called first when the head is there (body empty), then whenever at least min_bytes of body wait
 * or the body has ended, until it has answered. */
void http_stream(struct http_exchange *x, size_t min_bytes, http_handler handler);
/* In a router, before one of the two above: the handler runs on this pool (borrowed) in place of the
 * server's, so that what waits on DNS does not hold up what waits on the disk. */
void http_use_pool(struct http_exchange *x, struct pool *pool);
/* In a handler of a collected body, in place of an answer: the other handler is called on the other pool
 * (borrowed), with the same body. The caller returns and touches x no more. */
void http_move(struct http_exchange *x, struct pool *pool, http_handler handler);

/* In a handler. */
struct span http_body(const struct http_exchange *x); /* what waits (stream) or the whole body (collect) */
void http_body_consume(struct http_exchange *x, size_t n); /* stream: gives the window back to the sender */
bool http_body_ended(const struct http_exchange *x); /* END_STREAM seen: http_body() is all that is left */
/* As a handler's last act, before it hands x on to whoever calls http_resume(x), once, from any thread: until
 * then the handler counts as running, and x belongs to the one who has it, who answers before he resumes.
 * The callers touch x no more after handing it on and after http_resume. */
void http_hold(struct http_exchange *x);
void http_resume(struct http_exchange *x);
/* State of the handler between calls; release(state) runs on a pool thread when the exchange ends, answered
 * or not. */
void http_set_state(struct http_exchange *x, void *state, void (*release)(void *state));
void *http_state(const struct http_exchange *x);

/* The answer: fields first, then exactly one of http_answer*, after which the handler must not touch x any
 * more. In a router too. Before the request has ended, the rest of it is read and dropped within the drain
 * limits, and only then the answer goes out; past them it goes out at once, followed by RST_STREAM(NO_ERROR).
 */
/* Names in lower case; the same name again replaces the value. Fields that a router sets go with the server's
 * own answers too (413, and 500 when a handler forgets to answer or sets a value with line breaks).
 * content-length is the server's. */
void http_set_field(struct http_exchange *x, const char *name, const char *value);
void http_answer(struct http_exchange *x, int status);                         /* no body */
void http_answer_bytes(struct http_exchange *x, int status, struct buf *body); /* takes the buffer's memory */
/* Sends length bytes from offset of fd; takes the descriptor. */
void http_answer_file(struct http_exchange *x, int status, int fd, uint64_t offset, uint64_t length);
/* Called on the loop thread (must not block) when the answer's last byte was handed to the kernel (complete =
 * true) or the stream or connection ended before. To be set before http_answer*. */
void http_on_sent(struct http_exchange *x, void (*sent)(void *arg, bool complete), void *arg);

#endif
