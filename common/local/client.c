/*
 * client.c - HTTP/2 client sessions over a UNIX socket, driven by poll(2) in the caller's thread.
 *
 * A connection carries one call at a time, so a session's callbacks have one call to think of. An upload's
 * bytes are given to nghttp2 out of the caller's own buffer: the data provider is deferred when it has taken
 * all, and resumed by the next write.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <nghttp2/nghttp2.h>

#include "base/clock.h"
#include "local/client.h"

#define READ_BYTES (32 * 1024)
#define PIECE_BYTES (16 * 1024) /* small writes are gathered up to a frame's worth */
#define REPLY_WINDOW (1024 * 1024)
#define PROGRESS_MS 1000

/* One connection and the call on it. */
struct line {
    struct line *next; /* in the list of idle ones */
    int fd;
    nghttp2_session *session;
    bool dead;    /* the socket or the session failed */
    bool leaving; /* the server sent GOAWAY */
    bool kept;    /* it served another call before */
    size_t reply_max;
    const uint8_t *out; /* what the socket did not take yet; nghttp2's until its next mem_send */
    size_t out_len;

    int32_t stream;       /* of the call; -1: none */
    const uint8_t *piece; /* what is to be sent now; borrowed from the caller */
    size_t piece_len;
    bool last_piece, deferred;
    bool end_made; /* the frame with END_STREAM has been given to the socket's queue */
    int status;    /* 0: no head yet */
    struct buf reply;
    bool reply_too_large;
    bool closed;    /* the stream has ended */
    bool answered;  /* by END_STREAM of the server */
    uint32_t error; /* the stream's, once closed */
};

struct local_client {
    char *path;
    struct local_options options;
    pthread_mutex_t lock;
    struct line *idle;
    size_t idle_count;
};

struct local_upload {
    struct local_client *client;
    struct line *line;
    uint8_t gathered[PIECE_BYTES];
    size_t gathered_len;
};

/* ---- nghttp2 calls us ---- */

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags, void *arg)
{
    struct line *l = arg;
    uint64_t status = 0;
    (void)session;
    (void)flags;

    if (frame->hd.stream_id == l->stream && span_is(span_bytes(name, name_len), ":status") &&
        span_to_u64(span_bytes(value, value_len), 999, &status) && status >= 200)
        l->status = (int)status;
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *data, size_t len,
                   void *arg)
{
    struct line *l = arg;
    (void)flags;

    if (stream != l->stream || l->reply_too_large)
        return 0;
    if (buf_append(&l->reply, data, len) != ERR_OK) {
        l->reply_too_large = true;
        nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, stream, NGHTTP2_CANCEL);
    }
    return 0;
}

static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct line *l = arg;
    (void)session;

    if (frame->hd.type == NGHTTP2_GOAWAY)
        l->leaving = true;
    if ((frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA) &&
        (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0 && frame->hd.stream_id == l->stream)
        l->answered = true;
    return 0;
}

static int on_frame_send(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct line *l = arg;
    (void)session;

    if ((frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA) &&
        (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0)
        l->end_made = true;
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t stream, uint32_t error, void *arg)
{
    struct line *l = arg;
    (void)session;

    if (stream == l->stream) {
        l->closed = true;
        l->error = error;
    }
    return 0;
}

static ssize_t read_piece(nghttp2_session *session, int32_t stream, uint8_t *out, size_t room,
                          uint32_t *flags, nghttp2_data_source *source, void *arg)
{
    struct line *l = arg;
    size_t len = l->piece_len < room ? l->piece_len : room;
    (void)session;
    (void)stream;
    (void)source;

    if (len > 0)
        memcpy(out, l->piece, len);
    l->piece += len;
    l->piece_len -= len;
    if (l->piece_len == 0 && l->last_piece)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    else if (len == 0) {
        l->deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    return (ssize_t)len;
}

/* ---- a connection ---- */

static void line_free(struct line *l)
{
    if (l == NULL)
        return;
    nghttp2_session_del(l->session);
    if (l->fd >= 0)
        close(l->fd);
    buf_free(&l->reply);
    free(l);
}

static enum err socket_connect(const struct local_client *c, int *out)
{
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    struct timeval patience = {.tv_sec = c->options.connect_timeout_ms / 1000,
                               .tv_usec = c->options.connect_timeout_ms % 1000 * 1000};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return errno == ENOMEM ? ERR_NOMEM : ERR_UNAVAILABLE;
    memcpy(sun.sun_path, c->path, strlen(c->path) + 1); /* local_client_create saw that it fits */
    /* A listener whose queue is full makes connect(2) wait; the time-out for sending bounds that (a
     * non-blocking connect would fail at once and leave nothing to poll for). */
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (connect(fd, (struct sockaddr *)&sun, sizeof sun) != 0) {
        enum err e = errno == EAGAIN ? ERR_TIMEOUT : ERR_UNAVAILABLE;
        close(fd);
        return e;
    }
    *out = fd;
    return ERR_OK;
}

static enum err session_open(struct line *l)
{
    nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, REPLY_WINDOW},
    };
    nghttp2_session_callbacks *callbacks = NULL;
    enum err e = ERR_NOMEM;

    if (nghttp2_session_callbacks_new(&callbacks) != 0)
        return ERR_NOMEM;
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_recv);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_send);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    if (nghttp2_session_client_new(&l->session, callbacks, l) == 0 &&
        nghttp2_submit_settings(l->session, NGHTTP2_FLAG_NONE, settings,
                                sizeof settings / sizeof settings[0]) == 0 &&
        nghttp2_session_set_local_window_size(l->session, NGHTTP2_FLAG_NONE, 0, REPLY_WINDOW) == 0)
        e = ERR_OK;
    nghttp2_session_callbacks_del(callbacks);
    return e;
}

static enum err line_open(const struct local_client *c, struct line **out)
{
    struct line *l = calloc(1, sizeof *l);
    enum err e = ERR_NOMEM;

    if (l == NULL)
        return ERR_NOMEM;
    l->fd = -1;
    l->stream = -1;
    l->reply_max = c->options.reply_max_bytes;
    buf_init(&l->reply, l->reply_max);
    e = socket_connect(c, &l->fd);
    if (e == ERR_OK)
        e = session_open(l);
    if (e != ERR_OK) {
        line_free(l);
        return e;
    }
    *out = l;
    return ERR_OK;
}

/* Sends what there is until the socket is full. True if anything moved. */
static bool line_send(struct line *l)
{
    bool moved = false;

    while (!l->dead) {
        if (l->out_len == 0) {
            ssize_t n = nghttp2_session_mem_send(l->session, &l->out);
            if (n <= 0) {
                l->dead = n < 0;
                break;
            }
            l->out_len = (size_t)n;
        }
        ssize_t n = send(l->fd, l->out, l->out_len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            l->dead = errno != EAGAIN;
            break;
        }
        l->out += n;
        l->out_len -= (size_t)n;
        moved = true;
    }
    return moved;
}

/* Takes in what has arrived. True if anything did. */
static bool line_receive(struct line *l)
{
    uint8_t in[READ_BYTES];
    bool moved = false;

    for (;;) {
        ssize_t n = recv(l->fd, in, sizeof in, MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return moved;
        if (n <= 0 || nghttp2_session_mem_recv(l->session, in, (size_t)n) < 0) {
            l->dead = true;
            return moved;
        }
        moved = true;
        if ((size_t)n < sizeof in)
            return true;
    }
}

/* Moves bytes both ways until done(l) or failure. ERR_TIMEOUT: timeout_ms passed in which nothing moved. */
static enum err line_work(struct line *l, bool (*done)(const struct line *), int64_t timeout_ms,
                          local_progress progress, void *arg)
{
    int64_t now = clock_mono_ms(), moved_at = now, progress_at = now + PROGRESS_MS;

    for (;;) {
        bool moved = line_send(l);
        if (done(l))
            return ERR_OK;
        if (!l->dead && !moved) {
            int64_t wait = moved_at + timeout_ms - now;
            struct pollfd p = {.fd = l->fd, .events = (short)(POLLIN | (l->out_len > 0 ? POLLOUT : 0))};
            if (wait <= 0)
                return ERR_TIMEOUT;
            if (progress != NULL && progress_at - now < wait)
                wait = progress_at > now ? progress_at - now : 0;
            poll(&p, 1, (int)(wait < 3600000 ? wait : 3600000));
        }
        /* A server that closed after its answer has still answered. */
        moved = line_receive(l) || moved;
        if (done(l))
            return ERR_OK;
        if (l->dead)
            return ERR_UNAVAILABLE;
        now = clock_mono_ms();
        if (moved)
            moved_at = now;
        if (progress != NULL && now >= progress_at) {
            progress(arg);
            progress_at = now + PROGRESS_MS;
        }
    }
}

/* ---- kept connections ---- */

static struct line *idle_take(struct local_client *c)
{
    for (;;) {
        pthread_mutex_lock(&c->lock);
        struct line *l = c->idle;
        if (l != NULL) {
            c->idle = l->next;
            c->idle_count--;
        }
        pthread_mutex_unlock(&c->lock);
        if (l == NULL)
            return NULL;
        l->next = NULL;
        line_receive(l); /* the end or a GOAWAY may wait there */
        line_send(l);
        if (!l->dead && !l->leaving)
            return l;
        line_free(l);
    }
}

static enum err line_get(struct local_client *c, struct line **out)
{
    struct line *l = idle_take(c);

    if (l == NULL)
        return line_open(c, out);
    *out = l;
    return ERR_OK;
}

/* Back to the idle ones, if its call ended cleanly. */
static void line_put(struct local_client *c, struct line *l)
{
    bool clean = !l->dead && !l->leaving && l->closed && l->out_len == 0;

    buf_free(&l->reply);
    l->stream = -1;
    l->kept = true;
    if (clean) {
        pthread_mutex_lock(&c->lock);
        clean = c->idle_count < c->options.idle_max;
        if (clean) {
            l->next = c->idle;
            c->idle = l;
            c->idle_count++;
        }
        pthread_mutex_unlock(&c->lock);
    }
    if (!clean)
        line_free(l);
}

/* ---- one call ---- */

static nghttp2_nv pair(const char *name, const char *value)
{
    return (nghttp2_nv){.name = (uint8_t *)name,
                        .namelen = strlen(name),
                        .value = (uint8_t *)value,
                        .valuelen = strlen(value)};
}

static enum err call_begin(struct line *l, const char *method, const char *path, bool has_body)
{
    nghttp2_data_provider body = {.source.ptr = l, .read_callback = read_piece};
    nghttp2_nv nv[] = {pair(":method", method), pair(":scheme", "http"), pair(":authority", "localhost"),
                       pair(":path", path)};

    l->piece = NULL;
    l->piece_len = 0;
    l->last_piece = l->deferred = l->end_made = false;
    l->status = 0;
    l->closed = l->answered = l->reply_too_large = false;
    l->error = NGHTTP2_NO_ERROR;
    l->stream =
        nghttp2_submit_request(l->session, NULL, nv, sizeof nv / sizeof nv[0], has_body ? &body : NULL, NULL);
    return l->stream < 0 ? ERR_NOMEM : ERR_OK;
}

static bool piece_is_away(const struct line *l)
{
    return l->closed || (l->piece_len == 0 && l->out_len == 0);
}

static bool call_is_over(const struct line *l)
{
    return l->closed || l->answered;
}

/* An answer counts when it came whole, also if the stream was reset behind it. */
static enum err call_result(struct line *l, int *status, struct buf *reply)
{
    enum err e = ERR_OK;

    if (l->reply_too_large)
        return ERR_TOO_LARGE;
    if (!l->answered || l->status == 0)
        return ERR_UNAVAILABLE;
    if (reply != NULL)
        e = buf_append_span(reply, buf_span(&l->reply));
    if (e == ERR_OK)
        *status = l->status;
    return e;
}

static enum err call_finish(struct local_client *c, struct line *l, local_progress progress, void *arg,
                            int *status, struct buf *reply)
{
    enum err e = line_work(l, call_is_over, c->options.answer_timeout_ms, progress, arg);

    if (e == ERR_OK || l->answered)
        e = call_result(l, status, reply);
    line_send(l); /* window updates and acknowledgements, before it is put away */
    return e;
}

/* The request may go out again: the server cannot have begun with it (it never had the whole, or says so), or
 * it only asks. */
static bool may_repeat(const struct line *l, const char *method)
{
    bool refused = l->closed && l->error == NGHTTP2_REFUSED_STREAM;
    bool unsent = !l->end_made || l->out_len > 0;

    return refused || (l->dead && (unsent || strcmp(method, "GET") == 0));
}

enum err local_call(struct local_client *c, const char *method, const char *path, struct span body,
                    local_progress progress, void *arg, int *status, struct buf *reply)
{
    struct line *l = NULL;
    enum err e = line_get(c, &l);

    while (e == ERR_OK) {
        e = call_begin(l, method, path, body.len > 0);
        l->piece = (const uint8_t *)body.ptr;
        l->piece_len = body.len;
        l->last_piece = true;
        if (e == ERR_OK)
            e = call_finish(c, l, progress, arg, status, reply);
        if (e != ERR_UNAVAILABLE || !l->kept || !may_repeat(l, method)) {
            line_put(c, l);
            return e;
        }
        line_free(l);
        e = line_open(c, &l);
    }
    return e;
}

/* ---- upload ---- */

enum err local_upload_begin(struct local_client *c, const char *path, struct local_upload **out)
{
    struct local_upload *u = calloc(1, sizeof *u);
    enum err e = u == NULL ? ERR_NOMEM : line_get(c, &u->line);

    if (e == ERR_OK) {
        u->client = c;
        e = call_begin(u->line, "POST", path, true);
        if (e != ERR_OK)
            line_free(u->line);
    }
    if (e != ERR_OK) {
        free(u);
        return e;
    }
    line_send(u->line);
    *out = u;
    return ERR_OK;
}

static enum err upload_send(struct local_upload *u, const void *data, size_t len, local_progress progress,
                            void *arg)
{
    struct line *l = u->line;

    if (call_is_over(l)) /* the server has said what it had to say; local_upload_finish tells */
        return ERR_OK;
    l->piece = data;
    l->piece_len = len;
    if (l->deferred)
        nghttp2_session_resume_data(l->session, l->stream);
    l->deferred = false;
    enum err e = line_work(l, piece_is_away, u->client->options.write_timeout_ms, progress, arg);
    l->piece = NULL;
    l->piece_len = 0;
    return e;
}

enum err local_upload_write(struct local_upload *u, const void *data, size_t len, local_progress progress,
                            void *arg)
{
    enum err e = ERR_OK;

    if (u->line->dead && !call_is_over(u->line))
        return ERR_UNAVAILABLE;
    if (len == 0)
        return ERR_OK; /* and data may be NULL */
    if (len <= sizeof u->gathered - u->gathered_len) {
        memcpy(u->gathered + u->gathered_len, data, len);
        u->gathered_len += len;
        return ERR_OK;
    }
    if (u->gathered_len > 0) {
        size_t fill = sizeof u->gathered - u->gathered_len;
        memcpy(u->gathered + u->gathered_len, data, fill);
        data = (const char *)data + fill;
        len -= fill;
        u->gathered_len = 0;
        e = upload_send(u, u->gathered, sizeof u->gathered, progress, arg);
        if (e != ERR_OK)
            return e;
    }
    if (len >= sizeof u->gathered)
        return upload_send(u, data, len, progress, arg);
    memcpy(u->gathered, data, len);
    u->gathered_len = len;
    return ERR_OK;
}

enum err local_upload_finish(struct local_upload *u, local_progress progress, void *arg, int *status,
                             struct buf *reply)
{
    struct line *l = u->line;

    l->piece = u->gathered;
    l->piece_len = u->gathered_len;
    l->last_piece = true;
    if (l->deferred && !l->closed)
        nghttp2_session_resume_data(l->session, l->stream);
    enum err e = call_finish(u->client, l, progress, arg, status, reply);
    line_put(u->client, l);
    free(u);
    return e;
}

void local_upload_abort(struct local_upload *u)
{
    if (u == NULL)
        return;
    if (!u->line->dead && !u->line->closed)
        nghttp2_submit_rst_stream(u->line->session, NGHTTP2_FLAG_NONE, u->line->stream, NGHTTP2_CANCEL);
    line_send(u->line);
    line_free(u->line); /* what was not sent any more ends with the connection */
    free(u);
}

/* ---- the client ---- */

enum err local_client_create(const struct local_options *o, struct local_client **out)
{
    struct local_client *c = NULL;

    if (strlen(o->socket_path) >= sizeof(struct sockaddr_un){0}.sun_path)
        return ERR_CONFIG;
    c = calloc(1, sizeof *c);
    if (c == NULL)
        return ERR_NOMEM;
    c->options = *o;
    c->path = strdup(o->socket_path);
    c->options.socket_path = NULL;
    if (c->path == NULL) {
        free(c);
        return ERR_NOMEM;
    }
    pthread_mutex_init(&c->lock, NULL);
    *out = c;
    return ERR_OK;
}

void local_client_free(struct local_client *c)
{
    if (c == NULL)
        return;
    while (c->idle != NULL) {
        struct line *l = c->idle;
        c->idle = l->next;
        line_free(l);
    }
    pthread_mutex_destroy(&c->lock);
    free(c->path);
    free(c);
}
