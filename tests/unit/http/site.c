#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "site.h"

#define MIB ((size_t)1024 * 1024)
#define PATTERN 64256 /* 251 * 256 */

struct http_limits site_limits = {
    .header_list_max = 16384,
    .streams_max = 32,
    .connections_max = 64,
    .connections_address_max = 32,
    .handshake_ms = 5000,
    .idle_ms = 30000,
    .head_ms = 5000,
    .body_idle_ms = 30000,
    .rate_min_bytes_s = 0,
    .rate_window_ms = 5000,
    .drain_bytes = 8388608,
    .drain_ms = 5000,
};

static atomic_uint released, states, sent[2], handled, at_gate;
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t gate_moved = PTHREAD_COND_INITIALIZER;
static bool gate_closed;

unsigned site_released(void)
{
    return atomic_load(&released);
}

unsigned site_states(void)
{
    return atomic_load(&states);
}

unsigned site_sent(bool complete)
{
    return atomic_load(&sent[complete]);
}

unsigned site_handled(void)
{
    return atomic_load(&handled);
}

unsigned site_at_gate(void)
{
    return atomic_load(&at_gate);
}

void site_close_gate(void)
{
    pthread_mutex_lock(&gate);
    gate_closed = true;
    pthread_mutex_unlock(&gate);
}

void site_open_gate(void)
{
    pthread_mutex_lock(&gate);
    gate_closed = false;
    pthread_cond_broadcast(&gate_moved);
    pthread_mutex_unlock(&gate);
}

/* ---- handlers ---- */

struct upload {
    uint64_t bytes, limit;
};

static void release_upload(void *state)
{
    free(state);
    atomic_fetch_add(&released, 1);
}

static void count_sent(void *arg, bool complete)
{
    (void)arg;
    atomic_fetch_add(&sent[complete], 1);
}

static void answer_text(struct http_exchange *x, int status, const char *text)
{
    struct buf body;

    buf_init(&body, 65536);
    buf_append_str(&body, text);
    http_set_field(x, "content-type", "text/plain");
    http_answer_bytes(x, status, &body);
}

static void hello(void *env, struct http_exchange *x)
{
    (void)env;
    atomic_fetch_add(&handled, 1);
    http_on_sent(x, count_sent, NULL);
    answer_text(x, 200, "hello\n");
}

static void echo(void *env, struct http_exchange *x)
{
    struct buf body;
    (void)env;

    atomic_fetch_add(&handled, 1);
    buf_init(&body, 1024 * 1024);
    buf_append_span(&body, http_body(x));
    http_answer_bytes(x, 200, &body);
}

static void take(void *env, struct http_exchange *x)
{
    struct upload *u = http_state(x);
    char text[64];
    (void)env;

    atomic_fetch_add(&handled, 1);
    if (u == NULL) {
        struct span path = http_path(x), rest = {path.ptr + 6, path.len > 6 ? path.len - 6 : 0};
        u = calloc(1, sizeof *u);
        u->limit = UINT64_MAX;
        if (rest.len > 0 && path.ptr[5] == '/')
            span_to_u64(rest, UINT64_MAX, &u->limit);
        atomic_fetch_add(&states, 1);
        http_set_state(x, u, release_upload);
        http_on_sent(x, count_sent, NULL);
    }
    u->bytes += http_body(x).len;
    http_body_consume(x, http_body(x).len);
    if (u->bytes >= u->limit) {
        answer_text(x, 452,
                    "{\"error\":\"disk-full\",\"smtp\":452,\"enhanced\":\"4.3.1\",\"text\":\"full\"}");
    } else if (http_body_ended(x)) {
        snprintf(text, sizeof text, "%llu\n", (unsigned long long)u->bytes);
        answer_text(x, 200, text);
    }
}

static int pattern_file(uint64_t length)
{
    char name[] = "/tmp/restante-http-XXXXXX";
    uint8_t block[PATTERN];
    int fd = mkstemp(name);

    unlink(name);
    for (size_t i = 0; i < sizeof block; i++)
        block[i] = (uint8_t)(i * 7 % 251);
    for (uint64_t at = 0; at < length; at += sizeof block)
        if (write(fd, block, length - at < sizeof block ? (size_t)(length - at) : sizeof block) < 0)
            abort();
    return fd;
}

/* The last file again if it has the length, so that load tests measure the server. */
static int kept_file(uint64_t length)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static int kept = -1;
    static uint64_t kept_length;

    pthread_mutex_lock(&lock);
    if (kept < 0 || kept_length != length) {
        if (kept >= 0)
            close(kept);
        kept = pattern_file(length + 1000);
        kept_length = length;
    }
    int fd = dup(kept);
    pthread_mutex_unlock(&lock);
    return fd;
}

static void file(void *env, struct http_exchange *x)
{
    uint64_t length = 0;
    (void)env;

    atomic_fetch_add(&handled, 1);
    span_to_u64(http_query(x), UINT64_MAX, &length);
    http_on_sent(x, count_sent, NULL);
    http_set_field(x, "etag", "\"x\"");
    http_answer_file(x, 200, kept_file(length), 0, length);
}

static void broken(void *env, struct http_exchange *x)
{
    (void)env;
    http_on_sent(x, count_sent, NULL);
    http_answer_file(x, 200, pattern_file(50000), 0, 100000);
}

static void wait_at_gate(void *env, struct http_exchange *x)
{
    struct upload *u = calloc(1, sizeof *u);
    (void)env;

    atomic_fetch_add(&states, 1);
    http_set_state(x, u, release_upload);
    http_on_sent(x, count_sent, NULL);
    pthread_mutex_lock(&gate);
    atomic_fetch_add(&at_gate, 1);
    while (gate_closed)
        pthread_cond_wait(&gate_moved, &gate);
    atomic_fetch_sub(&at_gate, 1);
    pthread_mutex_unlock(&gate);
    atomic_fetch_add(&handled, 1);
    answer_text(x, 200, "through\n");
}

static void *answer_held(void *arg)
{
    struct http_exchange *x = arg;

    answer_text(x, 200, "held\n");
    http_resume(x);
    return NULL;
}

static void hold(void *env, struct http_exchange *x)
{
    pthread_t thread;
    pthread_attr_t attr;
    (void)env;

    atomic_fetch_add(&handled, 1);
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    http_hold(x);
    if (pthread_create(&thread, &attr, answer_held, x) != 0)
        answer_held(x);
    pthread_attr_destroy(&attr);
}

static void peer(void *env, struct http_exchange *x)
{
    const struct http_peer *p = http_peer(x);
    char text[200], address[NETADDR_TEXT_MAX] = "-";
    (void)env;

    if (p->kind == HTTP_TLS)
        netaddr_text(&p->addr, address);
    snprintf(text, sizeof text, "%s listener=%d addr=%s port=%u uid=%d pid=%d authority=%.*s\n",
             p->kind == HTTP_UNIX ? "unix" : "tls", p->listener, address, p->port, (int)p->uid, (int)p->pid,
             (int)http_authority(x).len, http_authority(x).ptr);
    answer_text(x, 200, text);
}

static void name(void *env, struct http_exchange *x)
{
    char *host = span_dup(http_query(x));
    (void)env;

    answer_text(x, 200, http_peer_has_name(x, host) ? "yes\n" : "no\n");
    free(host);
}

static void field(void *env, struct http_exchange *x)
{
    char *wanted = span_dup(http_query(x));
    char *value = span_dup(http_field(x, wanted));
    (void)env;

    answer_text(x, http_has_field(x, wanted) ? 200 : 404, value);
    free(wanted);
    free(value);
}

static void silent(void *env, struct http_exchange *x)
{
    (void)env;
    (void)x;
}

static void inject(void *env, struct http_exchange *x)
{
    (void)env;
    http_set_field(x, "x-text", "a\r\nb: c");
    answer_text(x, 200, "never\n");
}

static void route(void *env, struct http_exchange *x)
{
    static const struct {
        const char *path;
        http_handler handler;
        bool streamed;
        size_t size;
    } routes[] = {
        {"/hello", hello, false, 0},   {"/echo", echo, false, 1024 * 1024},
        {"/count", take, true, 65536}, {"/file", file, false, 0},
        {"/broken", broken, false, 0}, {"/wait", wait_at_gate, false, 1024},
        {"/peer", peer, false, 0},     {"/name", name, false, 0},
        {"/field", field, false, 0},   {"/silent", silent, true, 65536},
        {"/inject", inject, false, 0}, {"/hold", hold, false, 1024},
    };
    struct span path = http_path(x);
    (void)env;

    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        if (!span_is(path, routes[i].path))
            continue;
        if (routes[i].streamed)
            http_stream(x, routes[i].size, routes[i].handler);
        else
            http_collect(x, routes[i].size, routes[i].handler);
        return;
    }
    if (span_starts_nocase(path, "/take/"))
        http_stream(x, 65536, take);
    else
        http_answer(x, span_is(path, "/refuse") ? 403 : 404);
}

/* ---- life ---- */

static void must(enum err e, const char *what, struct buf *why)
{
    if (e == ERR_OK)
        return;
    fprintf(stderr, "%s: %s %s\n", what, err_text(e), buf_cstr(why));
    abort();
}

static void serve(struct site *s, const char *address, const struct http_tls *tls)
{
    struct http_options options = {.threads = 2, .pool = s->pool};
    struct buf why;

    buf_init(&why, 1000);
    must(http_server_create(&options, &s->server), "server", &why);
    must(http_listen_unix(s->server, s->socket_path, 0600, &site_limits, route, &why), "unix", &why);
    if (address != NULL)
        must(http_listen_tls(s->server, address, tls, &site_limits, route, &why), "tls", &why);
    must(http_server_start(s->server), "start", &why);
    buf_free(&why);
}

void site_start(struct site *s, const char *address, const struct http_tls *tls)
{
    memset(s, 0, sizeof *s);
    strcpy(s->directory, "/tmp/restante-http-XXXXXX");
    if (mkdtemp(s->directory) == NULL)
        abort();
    snprintf(s->socket_path, sizeof s->socket_path, "%s/site.sock", s->directory);
    must(pool_create("site", 4, 256, &s->pool), "pool", &(struct buf){0});
    serve(s, address, tls);
}

void site_restart(struct site *s)
{
    http_server_stop(s->server, 500);
    http_server_free(s->server);
    serve(s, NULL, NULL);
}

void site_stop(struct site *s)
{
    http_server_stop(s->server, 500);
    http_server_free(s->server);
    pool_free(s->pool);
    rmdir(s->directory);
}
