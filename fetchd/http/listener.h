/*
 * listener.h - a listening socket and what all its connections share: limits, router, TLS, and how many of
 * them there are. The counters are thread-safe; the rest does not change after it was made, but by
 * listener_reload.
 */
#ifndef HTTP_LISTENER_H
#define HTTP_LISTENER_H

#include <pthread.h>

#include "http/server.h"
#include "http/tls.h"

#define LISTENER_BUCKETS 1024

struct listener {
    struct listener *next;
    int index; /* in the order they were added */
    int fd;
    enum http_kind kind;
    char *path; /* UNIX: removed by listener_free */
    struct tls *tls;
    struct http_limits limits;
    http_router router;
    const struct netprefix *proxy_from; /* borrowed */
    size_t proxy_from_count;

    pthread_mutex_t lock;
    size_t connections;
    struct address_count *bucket[LISTENER_BUCKETS]; /* by the client's address, IPv6 by its /64 */
};

enum err listener_unix(const char *path, mode_t mode, const struct http_limits *limits, http_router router,
                       struct listener **out, struct buf *why);
enum err listener_tls(const char *address, const struct http_tls *tls, const struct http_limits *limits,
                      http_router router, struct listener **out, struct buf *why);
/* Closes the socket; after the last connection is gone. */
void listener_free(struct listener *l);

/* One more connection; false: there are too many, nothing was counted. */
bool listener_enter(struct listener *l);
void listener_leave(struct listener *l);
/* One more connection of this client; false: he has too many. */
bool listener_enter_address(struct listener *l, const struct netaddr *addr);
void listener_leave_address(struct listener *l, const struct netaddr *addr);
/* Connections from here begin with a PROXY header. */
bool listener_expects_proxy(const struct listener *l, const struct netaddr *addr);

#endif
