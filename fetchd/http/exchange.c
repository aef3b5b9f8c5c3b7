/*
 * exchange.c - the life of a request: routed on the loop, handled on the pool, answered on the loop again.
 *
 * While the state is EXCHANGE_RUNNING or EXCHANGE_ENDING the exchange belongs to a pool thread, and the loop
 * touches only what server.h does not give to a handler: arriving, request_ended, gone, the lists. Handing
 * over goes through the pool's and the loop's locks, so nothing else needs one.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/kill.h"
#include "base/log.h"
#include "http/exchange.h"

#define FIELDS_MAX 64 /* of an answer */

static const char *const state_names[EXCHANGE_STATES] = {
    [EXCHANGE_HEAD] = "head",         [EXCHANGE_BODY] = "body",       [EXCHANGE_RUNNING] = "running",
    [EXCHANGE_DRAINING] = "draining", [EXCHANGE_SENDING] = "sending", [EXCHANGE_FLUSHING] = "flushing",
    [EXCHANGE_ENDING] = "ending",
};
#define TO(state) (1U << EXCHANGE_##state)
static const unsigned allowed[EXCHANGE_STATES] = {
    [EXCHANGE_HEAD] = TO(BODY) | TO(DRAINING) | TO(SENDING) | TO(ENDING),
    [EXCHANGE_BODY] = TO(RUNNING) | TO(DRAINING) | TO(SENDING) | TO(ENDING),
    [EXCHANGE_RUNNING] = TO(BODY) | TO(DRAINING) | TO(SENDING) | TO(ENDING),
    [EXCHANGE_DRAINING] = TO(SENDING) | TO(ENDING),
    [EXCHANGE_SENDING] = TO(FLUSHING) | TO(ENDING),
    [EXCHANGE_FLUSHING] = TO(ENDING),
    [EXCHANGE_ENDING] = 0,
};

static void enter(struct http_exchange *x, enum exchange_state state)
{
    bool ok = (allowed[x->state] & (1U << state)) != 0;

    assert(ok);
    (void)ok;
    log_debug("http stream %d: %s -> %s", (int)x->stream_id, state_names[x->state], state_names[state]);
    x->state = state;
    x->by_ms = 0;
}

static const struct http_limits *limits_of(const struct http_exchange *x)
{
    return &x->connection->listener->limits;
}

static void deadline_in(struct http_exchange *x, int64_t ms)
{
    if (ms <= 0)
        return;
    x->by_ms = clock_mono_ms() + ms;
    connection_watch(x->connection, x->by_ms);
}

/* ---- birth and death ---- */

struct http_exchange *exchange_begin(struct connection *c, int32_t stream_id)
{
    /* A client that resets its streams leaves handlers behind that still run: those count too. */
    if (c->exchange_count >= 2 * (size_t)c->listener->limits.streams_max)
        return NULL;
    struct http_exchange *x = calloc(1, sizeof *x);
    if (x == NULL)
        return NULL;
    x->connection = c;
    x->stream_id = stream_id;
    x->fd = -1;
    x->pool = c->loop->pool;
    head_init(&x->head, c->listener->limits.header_list_max);
    x->next = c->exchanges;
    if (x->next != NULL)
        x->next->prev = x;
    c->exchanges = x;
    c->exchange_count++;
    c->stream_count++;
    c->idle_by_ms = 0;
    deadline_in(x, limits_of(x)->head_ms);
    return x;
}

static void drop_answer(struct http_exchange *x)
{
    buf_free(&x->answer);
    if (x->fd >= 0)
        close(x->fd);
    x->fd = -1;
}

static void exchange_free(struct http_exchange *x)
{
    struct connection *c = x->connection;

    if (x->next != NULL)
        x->next->prev = x->prev;
    if (x->prev != NULL)
        x->prev->next = x->next;
    else
        c->exchanges = x->next;
    c->exchange_count--;
    drop_answer(x);
    while (x->field != NULL) {
        struct exchange_field *f = x->field;
        x->field = f->next;
        free(f->name);
        free(f->value);
        free(f);
    }
    buf_free(&x->arriving);
    buf_free(&x->body);
    head_free(&x->head);
    free(x);
    connection_release(c);
}

/* ---- on the pool ---- */

static void run_handler(void *arg)
{
    struct http_exchange *x = arg;
    bool held = false;

    x->held = &held;
    if (!atomic_load(&x->gone)) /* nobody waits for the answer of what has not begun */
        x->handler(x->connection->loop->env, x);
    if (!held) /* else x may be back already, and freed */
        loop_post(x->connection->loop, x);
}

static void run_ending(void *arg)
{
    struct http_exchange *x = arg;

    x->release(x->handler_state);
    loop_post(x->connection->loop, x);
}

void exchange_resubmit(struct http_exchange *x)
{
    pool_work work = x->state == EXCHANGE_ENDING ? run_ending : run_handler;

    if (pool_submit(x->pool, work, x) != ERR_OK)
        loop_park(x->connection->loop, x);
}

/* The last state: nobody but us knows the exchange any more. */
static void exchange_end(struct http_exchange *x)
{
    enter(x, EXCHANGE_ENDING);
    drop_answer(x);
    if (x->sent != NULL)
        x->sent(x->sent_arg, x->complete);
    if (x->release == NULL)
        exchange_free(x);
    else
        exchange_resubmit(x);
}

/* ---- the answer ---- */

static void give_window_back(struct http_exchange *x, size_t bytes)
{
    if (bytes == 0 || x->gone)
        return;
    x->owed -= bytes;
    nghttp2_session_consume(x->connection->session, x->stream_id, bytes);
}

static ssize_t read_answer(nghttp2_session *session, int32_t stream_id, uint8_t *out, size_t room,
                           uint32_t *flags, nghttp2_data_source *source, void *arg)
{
    struct http_exchange *x = source->ptr;
    uint64_t left = x->length - x->sent_bytes;
    size_t len = left < room ? (size_t)left : room;
    (void)session;
    (void)stream_id;
    (void)arg;

    if (x->kind == ANSWER_BYTES) {
        memcpy(out, x->answer.data + x->sent_bytes, len);
    } else {
        ssize_t n = pread(x->fd, out, len, (off_t)(x->offset + x->sent_bytes));
        if (n <= 0) {
            log_error("an answer's file ended early or failed: the stream is reset");
            return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
        }
        len = (size_t)n;
    }
    x->sent_bytes += len;
    if (x->sent_bytes == x->length)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)len;
}

static nghttp2_nv pair(const char *name, const char *value)
{
    return (nghttp2_nv){.name = (uint8_t *)name,
                        .namelen = strlen(name),
                        .value = (uint8_t *)value,
                        .valuelen = strlen(value)};
}

static void exchange_send(struct http_exchange *x)
{
    nghttp2_data_provider body = {.source.ptr = x, .read_callback = read_answer};
    nghttp2_nv nv[FIELDS_MAX + 2];
    char status[16], length[24];
    size_t n = 0;
    bool has_length = x->status >= 200 && x->status != 204 && x->status != 304;
    bool has_body = has_length && x->length > 0 && !span_is(http_method(x), "HEAD");

    enter(x, EXCHANGE_SENDING);
    snprintf(status, sizeof status, "%d", x->status);
    snprintf(length, sizeof length, "%llu", (unsigned long long)x->length);
    nv[n++] = pair(":status", status);
    for (struct exchange_field *f = x->field; f != NULL && n <= FIELDS_MAX; f = f->next)
        nv[n++] = pair(f->name, f->value);
    if (has_length)
        nv[n++] = pair("content-length", length);
    if (nghttp2_submit_response(x->connection->session, x->stream_id, nv, n, has_body ? &body : NULL) != 0)
        nghttp2_submit_rst_stream(x->connection->session, NGHTTP2_FLAG_NONE, x->stream_id,
                                  NGHTTP2_INTERNAL_ERROR);
    else if (has_body && limits_of(x)->rate_min_bytes_s > 0)
        deadline_in(x, limits_of(x)->rate_window_ms);
}

/* The handler has answered, or we do in its place. */
static void exchange_reply(struct http_exchange *x)
{
    size_t waiting = x->streamed ? x->body.len - x->body_offset + x->arriving.len : 0;

    if (x->broken) {
        drop_answer(x);
        x->kind = ANSWER_NOTHING;
        x->status = 500;
        x->length = 0;
    }
    buf_free(&x->body);
    x->body_offset = 0;
    buf_free(&x->arriving);
    if (x->request_ended) {
        exchange_send(x);
        return;
    }
    enter(x, EXCHANGE_DRAINING);
    x->drained = waiting;
    give_window_back(x, waiting);
    deadline_in(x, limits_of(x)->drain_ms);
}

static void exchange_fail(struct http_exchange *x, int status)
{
    drop_answer(x);
    x->kind = ANSWER_NOTHING;
    x->length = 0;
    x->status = status;
    x->answered = true;
    exchange_reply(x);
}

/* The bound of draining is reached: some clients lose the answer now, so it waited for the bound. */
static void exchange_send_early(struct http_exchange *x)
{
    x->reset_after = true;
    exchange_send(x);
}

void exchange_answer_made(struct http_exchange *x)
{
    if (x->state != EXCHANGE_SENDING)
        return;
    enter(x, EXCHANGE_FLUSHING);
    x->end_at = x->connection->produced;
    drop_answer(x);
    if (x->reset_after)
        nghttp2_submit_rst_stream(x->connection->session, NGHTTP2_FLAG_NONE, x->stream_id, NGHTTP2_NO_ERROR);
}

void exchange_flushed(struct http_exchange *x)
{
    if (x->state != EXCHANGE_FLUSHING || x->connection->written < x->end_at)
        return;
    x->complete = true;
    KILL_POINT("http-response-sent");
    if (x->gone)
        exchange_end(x);
}

void exchange_stream_closed(struct http_exchange *x)
{
    if (x->gone)
        return;
    x->gone = true;
    x->connection->stream_count--;
    /* What nobody will take any more must not be missing from the connection's window. */
    if (x->owed > 0)
        nghttp2_session_consume_connection(x->connection->session, x->owed);
    if (x->state == EXCHANGE_RUNNING || (x->state == EXCHANGE_FLUSHING && !x->complete))
        return; /* the pool or the socket has it */
    exchange_end(x);
}

void exchange_abandon(struct http_exchange *x)
{
    bool waits = x->state == EXCHANGE_FLUSHING && !x->complete;

    exchange_stream_closed(x); /* may be the end of x, but not if it waits for the socket */
    if (waits)
        exchange_end(x);
}

/* ---- the request ---- */

static bool merge_body(struct http_exchange *x)
{
    if (x->body_offset == x->body.len) {
        struct buf swap = x->body;
        buf_clear(&swap);
        x->body = x->arriving;
        x->arriving = swap;
    } else {
        buf_consume(&x->body, x->body_offset);
        if (buf_append_span(&x->body, buf_span(&x->arriving)) != ERR_OK)
            return false;
        buf_clear(&x->arriving);
    }
    x->body_offset = 0;
    return true;
}

/* Calls the handler if it is time. */
static void exchange_pump(struct http_exchange *x)
{
    if (x->state != EXCHANGE_BODY)
        return;
    size_t waiting = x->body.len - x->body_offset + x->arriving.len;
    bool more = x->streamed && (!x->handled || (waiting >= x->min_bytes && waiting > x->shown));
    if (!x->request_ended && !more)
        return;
    if (!merge_body(x)) {
        exchange_fail(x, 503);
        return;
    }
    x->body_ended = x->request_ended;
    x->consumed = 0;
    x->handled = true;
    enter(x, EXCHANGE_RUNNING);
    exchange_resubmit(x);
}

static void send_continue(struct http_exchange *x)
{
    nghttp2_nv nv = pair(":status", "100");

    nghttp2_submit_headers(x->connection->session, NGHTTP2_FLAG_NONE, x->stream_id, NULL, &nv, 1, NULL);
}

void exchange_head_ended(struct http_exchange *x, bool request_ended)
{
    struct connection *c = x->connection;

    x->request_ended = request_ended;
    if (head_finish(&x->head) != ERR_OK) {
        exchange_fail(x, 503);
        return;
    }
    x->path = head_path(&x->head);
    x->query = head_query(&x->head);
    c->listener->router(c->loop->env, x);
    if (x->answered) {
        exchange_reply(x);
        return;
    }
    if (x->handler == NULL) {
        log_error("a router chose nothing for a request");
        exchange_fail(x, 500);
        return;
    }
    if (!request_ended && span_is_nocase(head_value(&x->head, "expect"), "100-continue"))
        send_continue(x);
    enter(x, EXCHANGE_BODY);
    /* A collected body is small: it gets the time as a whole. */
    deadline_in(x, limits_of(x)->body_idle_ms);
    exchange_pump(x);
}

void exchange_data(struct http_exchange *x, const uint8_t *data, size_t len)
{
    x->owed += len;
    if (x->state != EXCHANGE_RUNNING && x->answered) {
        give_window_back(x, len);
        x->drained += len;
        if (x->state == EXCHANGE_DRAINING && x->drained > (uint64_t)limits_of(x)->drain_bytes)
            exchange_send_early(x);
        return;
    }
    if (!x->streamed) {
        give_window_back(x, len);
        if (len > x->collect_max - x->arriving.len) {
            exchange_fail(x, 413);
            return;
        }
    }
    if (buf_append(&x->arriving, data, len) != ERR_OK) {
        nghttp2_submit_rst_stream(x->connection->session, NGHTTP2_FLAG_NONE, x->stream_id,
                                  NGHTTP2_INTERNAL_ERROR);
        return;
    }
    if (x->state == EXCHANGE_BODY && x->streamed) {
        deadline_in(x, limits_of(x)->body_idle_ms);
        exchange_pump(x);
    }
}

void exchange_request_ended(struct http_exchange *x)
{
    x->request_ended = true;
    if (x->state == EXCHANGE_DRAINING)
        exchange_send(x);
    else
        exchange_pump(x);
}

void exchange_posted(struct http_exchange *x)
{
    struct connection *c = x->connection;

    if (x->state == EXCHANGE_ENDING) {
        exchange_free(x);
        return;
    }
    if (x->gone) {
        exchange_end(x);
        return;
    }
    if (x->moved && !x->answered) {
        x->moved = false;
        exchange_resubmit(x);
        return;
    }
    if (x->streamed)
        give_window_back(x, x->consumed);
    if (x->answered) {
        exchange_reply(x);
    } else if (x->body_ended && (!x->streamed || x->consumed == 0)) {
        log_error("a handler gave no answer");
        exchange_fail(x, 500);
    } else {
        x->shown = x->consumed == 0 ? x->body.len : 0;
        enter(x, EXCHANGE_BODY);
        deadline_in(x, limits_of(x)->body_idle_ms);
        exchange_pump(x);
    }
    connection_flush(c);
}

/* ---- deadlines ---- */

int64_t exchange_deadline(struct http_exchange *x, int64_t now_ms)
{
    const struct http_limits *limits = limits_of(x);

    if (x->by_ms == 0 || now_ms < x->by_ms)
        return x->by_ms;
    x->by_ms = 0;
    switch (x->state) {
    case EXCHANGE_HEAD:
        connection_end(x->connection, NGHTTP2_ENHANCE_YOUR_CALM, "a request's head took too long");
        break;
    case EXCHANGE_BODY:
        connection_end(x->connection, NGHTTP2_ENHANCE_YOUR_CALM, "a request's body took too long");
        break;
    case EXCHANGE_DRAINING:
        exchange_send_early(x);
        break;
    case EXCHANGE_SENDING:
        if (x->sent_bytes - x->rate_bytes <
            (uint64_t)(limits->rate_min_bytes_s * limits->rate_window_ms / 1000)) {
            connection_end(x->connection, NGHTTP2_ENHANCE_YOUR_CALM, "an answer was taken too slowly");
            break;
        }
        x->rate_bytes = x->sent_bytes;
        x->by_ms = now_ms + limits->rate_window_ms;
        break;
    default:
        break;
    }
    return x->by_ms;
}

/* ---- what routers and handlers call ---- */

struct span http_method(const struct http_exchange *x)
{
    return head_value(&x->head, ":method");
}

struct span http_path(const struct http_exchange *x)
{
    return x->path;
}

struct span http_query(const struct http_exchange *x)
{
    return x->query;
}

struct span http_authority(const struct http_exchange *x)
{
    struct span authority = head_value(&x->head, ":authority");

    return authority.len > 0 ? authority : head_value(&x->head, "host");
}

struct span http_field(const struct http_exchange *x, const char *name)
{
    return head_value(&x->head, name);
}

bool http_has_field(const struct http_exchange *x, const char *name)
{
    return head_has(&x->head, name);
}

const struct http_peer *http_peer(const struct http_exchange *x)
{
    return &x->connection->peer;
}

bool http_peer_has_name(const struct http_exchange *x, const char *host)
{
    return x->connection->chain != NULL && chain_names_host(x->connection->chain, host);
}

struct chain *http_peer_chain(const struct http_exchange *x)
{
    return x->connection->chain;
}

void http_use_pool(struct http_exchange *x, struct pool *pool)
{
    x->pool = pool;
}

void http_move(struct http_exchange *x, struct pool *pool, http_handler handler)
{
    x->pool = pool;
    x->handler = handler;
    x->moved = true;
}

void http_hold(struct http_exchange *x)
{
    *x->held = true;
}

void http_resume(struct http_exchange *x)
{
    loop_post(x->connection->loop, x);
}

void http_collect(struct http_exchange *x, size_t body_max_bytes, http_handler handler)
{
    x->handler = handler;
    x->collect_max = body_max_bytes;
    buf_init(&x->arriving, body_max_bytes);
    buf_init(&x->body, body_max_bytes);
}

void http_stream(struct http_exchange *x, size_t min_bytes, http_handler handler)
{
    size_t window = STREAM_WINDOW;

    if (2 * min_bytes > window) { /* the sender must be able to send what the handler waits for */
        window = 2 * min_bytes;
        nghttp2_session_set_local_window_size(x->connection->session, NGHTTP2_FLAG_NONE, x->stream_id,
                                              (int32_t)window);
    }
    x->handler = handler;
    x->streamed = true;
    x->min_bytes = min_bytes;
    buf_init(&x->arriving, window);
    buf_init(&x->body, window);
}

struct span http_body(const struct http_exchange *x)
{
    return (struct span){x->body.data == NULL ? "" : x->body.data + x->body_offset,
                         x->body.len - x->body_offset};
}

void http_body_consume(struct http_exchange *x, size_t n)
{
    assert(n <= x->body.len - x->body_offset);
    x->body_offset += n;
    x->consumed += n;
}

bool http_body_ended(const struct http_exchange *x)
{
    return x->body_ended;
}

void http_set_state(struct http_exchange *x, void *state, void (*release)(void *state))
{
    x->handler_state = state;
    x->release = release;
}

void *http_state(const struct http_exchange *x)
{
    return x->handler_state;
}

void http_set_field(struct http_exchange *x, const char *name, const char *value)
{
    struct exchange_field **at = &x->field;
    size_t n = 0;

    if (!nghttp2_check_header_name((const uint8_t *)name, strlen(name)) || name[0] == ':' ||
        !nghttp2_check_header_value((const uint8_t *)value, strlen(value))) {
        log_error("an answer's field %s may not go out: 500 in its place", name);
        x->broken = true;
        return;
    }
    for (; *at != NULL && strcmp((*at)->name, name) != 0; n++)
        at = &(*at)->next;
    char *copy = strdup(value);
    if (*at != NULL && copy != NULL) {
        free((*at)->value);
        (*at)->value = copy;
        return;
    }
    struct exchange_field *f = n < FIELDS_MAX ? calloc(1, sizeof *f) : NULL;
    if (f != NULL)
        f->name = strdup(name);
    if (f == NULL || f->name == NULL || copy == NULL) {
        x->broken = true;
        free(copy);
        free(f);
        return;
    }
    f->value = copy;
    *at = f;
}

void http_answer(struct http_exchange *x, int status)
{
    x->status = status;
    x->kind = ANSWER_NOTHING;
    x->answered = true;
}

void http_answer_bytes(struct http_exchange *x, int status, struct buf *body)
{
    x->status = status;
    x->kind = ANSWER_BYTES;
    x->answer = *body;
    x->length = body->len;
    buf_init(body, body->max);
    x->answered = true;
}

void http_answer_file(struct http_exchange *x, int status, int fd, uint64_t offset, uint64_t length)
{
    x->status = status;
    x->kind = ANSWER_FILE;
    x->fd = fd;
    x->offset = offset;
    x->length = length;
    x->answered = true;
}

void http_on_sent(struct http_exchange *x, void (*sent)(void *arg, bool complete), void *arg)
{
    x->sent = sent;
    x->sent_arg = arg;
}
