/*
 * server.c - listeners and loops put together.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "http/loop.h"
#include "http/server.h"

struct http_server {
    struct http_options options;
    struct listener *first, **last;
    int listener_count;
    struct loop *loops;
};

enum err http_server_create(const struct http_options *o, struct http_server **out)
{
    struct http_server *s = calloc(1, sizeof *s);

    if (s == NULL)
        return ERR_NOMEM;
    s->options = *o;
    if (s->options.threads == 0)
        s->options.threads = 1;
    s->last = &s->first;
    *out = s;
    return ERR_OK;
}

static void add(struct http_server *s, struct listener *l)
{
    l->index = s->listener_count++;
    *s->last = l;
    s->last = &l->next;
}

enum err http_listen_unix(struct http_server *s, const char *path, mode_t mode,
                          const struct http_limits *limits, http_router router, struct buf *why)
{
    struct listener *l = NULL;
    enum err e = listener_unix(path, mode, limits, router, &l, why);

    if (e == ERR_OK)
        add(s, l);
    return e;
}

enum err http_listen_tls(struct http_server *s, const char *address, const struct http_tls *tls,
                         const struct http_limits *limits, http_router router, struct buf *why)
{
    struct listener *l = NULL;
    enum err e = listener_tls(address, tls, limits, router, &l, why);

    if (e == ERR_OK)
        add(s, l);
    return e;
}

enum err http_tls_reload(struct http_server *s, struct buf *why)
{
    enum err first = ERR_OK;

    for (struct listener *l = s->first; l != NULL; l = l->next) {
        enum err e = l->tls == NULL ? ERR_OK : tls_reload(l->tls, first == ERR_OK ? why : NULL);
        if (first == ERR_OK)
            first = e;
    }
    return first;
}

enum err http_server_start(struct http_server *s)
{
    for (unsigned i = 0; i < s->options.threads; i++) {
        struct loop *l = NULL;
        enum err e = loop_create(s->options.pool, s->options.env, s->first, &l);
        if (e != ERR_OK)
            return e;
        l->next = s->loops;
        s->loops = l;
        e = loop_start(l);
        if (e != ERR_OK)
            return e;
    }
    return ERR_OK;
}

void http_server_stop(struct http_server *s, int64_t grace_ms)
{
    int64_t stop_at_ms = clock_mono_ms() + grace_ms;

    for (struct loop *l = s->loops; l != NULL; l = l->next)
        loop_stop(l, stop_at_ms);
    for (struct loop *l = s->loops; l != NULL; l = l->next)
        loop_join(l);
}

void http_server_free(struct http_server *s)
{
    if (s == NULL)
        return;
    http_server_stop(s, 0);
    for (struct loop *l = s->loops, *next; l != NULL; l = next) {
        next = l->next;
        loop_free(l);
    }
    for (struct listener *l = s->first, *next; l != NULL; l = next) {
        next = l->next;
        listener_free(l);
    }
    free(s);
}
