/*
 * connection.c - a connection from accept to close.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>

#include "base/clock.h"
#include "base/log.h"
#include "http/connection.h"
#include "http/exchange.h"
#include "http/session.h"

#define READ_TURNS 16 /* reads in a row, so that others get their turn */
#define GATHER_BYTES 65536
#define LINGER_MS 1000    /* for the peer to read our last words */
#define GOODBYE_MS 2000   /* for them to leave, if the peer does not read */
#define STALL_MS 60000    /* output that the peer does not take, where no minimum rate is set */
#define NUISANCE_MAX 200  /* frames at once... */
#define NUISANCE_PER_S 20 /* ...and in the long run */
static int64_t in_ms(struct connection *c, int64_t ms)
{
    int64_t at = clock_mono_ms() + ms;

    connection_watch(c, at);
    return at;
}

static void log_closing(const struct connection *c, const char *reason)
{
    char address[NETADDR_TEXT_MAX] = "local";

    if (c->peer.kind == HTTP_TLS)
        netaddr_text(&c->peer.addr, address);
    log_info("http: closing the connection of %s: %s", address, reason);
}

/* ---- the socket ---- */

static void set_events(struct connection *c, int events)
{
    if (ev_is_active(&c->io) && c->io.events == events)
        return;
    ev_io_stop(c->loop->ev, &c->io);
    ev_io_set(&c->io, c->fd, events);
    ev_io_start(c->loop->ev, &c->io);
}

/* >0: bytes; 0: would block; -1: ended or failed. */
static int tls_result(struct connection *c, int result)
{
    if (result > 0)
        return result;
    int reason = SSL_get_error(c->ssl, result);
    if (reason == SSL_ERROR_WANT_READ || reason == SSL_ERROR_WANT_WRITE)
        return 0;
    ERR_clear_error();
    return -1;
}

static ssize_t transport_read(struct connection *c, uint8_t *out, size_t room)
{
    if (c->ssl != NULL) {
        ERR_clear_error();
        return tls_result(c, SSL_read(c->ssl, out, (int)room));
    }
    ssize_t n = recv(c->fd, out, room, 0);
    if (n > 0)
        return n;
    return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

/* After a read of n bytes: nothing is left that the socket will not tell of again. */
static bool read_all(const struct connection *c, size_t n, size_t room)
{
    return c->ssl != NULL ? !SSL_has_pending(c->ssl) : n < room;
}

static ssize_t transport_write(struct connection *c, const uint8_t *data, size_t len)
{
    if (c->ssl != NULL) {
        ERR_clear_error();
        return tls_result(c, SSL_write(c->ssl, data, (int)len));
    }
    ssize_t n = send(c->fd, data, len, MSG_NOSIGNAL);
    if (n > 0)
        return n;
    return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

/* ---- the end ---- */

void connection_release(struct connection *c)
{
    struct loop *l = c->loop;

    if (c->state != CONNECTION_CLOSED || c->exchange_count > 0 || c->buried)
        return;
    if (c->next != NULL)
        c->next->prev = c->prev;
    if (c->prev != NULL)
        c->prev->next = c->next;
    else
        l->connections = c->next;
    c->buried = true;
    c->next = l->graveyard; /* functions on the stack may still look at it */
    l->graveyard = c;
    loop_connection_gone(l);
}

void connection_free(struct connection *c)
{
    chain_free(c->chain);
    free(c);
}

/* Streams and session end; the socket may live on for a moment. */
static void leave_http(struct connection *c)
{
    for (struct http_exchange *x = c->exchanges, *next; x != NULL; x = next) {
        next = x->next;
        exchange_abandon(x);
    }
    nghttp2_session_del(c->session);
    c->session = NULL;
    buf_free(&c->out);
    c->out_offset = 0;
    free(c->proxy);
    c->proxy = NULL;
}

void connection_drop(struct connection *c)
{
    if (c->state == CONNECTION_CLOSED)
        return;
    c->state = CONNECTION_CLOSED;
    ev_io_stop(c->loop->ev, &c->io);
    ev_timer_stop(c->loop->ev, &c->timer);
    leave_http(c);
    SSL_free(c->ssl);
    c->ssl = NULL;
    close(c->fd);
    c->fd = -1;
    if (c->address_counted)
        listener_leave_address(c->listener, &c->peer.addr);
    listener_leave(c->listener);
    connection_release(c);
}

/* Our side is shut first: closing a socket with unread input would make the kernel throw away a GOAWAY or an
 * alert that the peer has not read yet. */
static void linger(struct connection *c)
{
    if (c->state == CONNECTION_CLOSED || c->state == CONNECTION_LINGERING)
        return;
    leave_http(c);
    if (c->ssl != NULL && SSL_is_init_finished(c->ssl)) {
        ERR_clear_error();
        SSL_shutdown(c->ssl);
        ERR_clear_error();
    }
    shutdown(c->fd, SHUT_WR);
    c->state = CONNECTION_LINGERING;
    c->handshake_by_ms = c->idle_by_ms = c->stalled_by_ms = 0;
    c->close_by_ms = in_ms(c, LINGER_MS);
    set_events(c, EV_READ);
}

static void linger_read(struct connection *c)
{
    for (int turn = 0; turn < READ_TURNS; turn++) {
        ssize_t n = recv(c->fd, c->loop->in, sizeof c->loop->in, 0);
        if (n > 0)
            continue;
        if (n == 0 || (errno != EAGAIN && errno != EINTR))
            connection_drop(c);
        return;
    }
}

void connection_end(struct connection *c, uint32_t error, const char *reason)
{
    if (c->ending || c->state != CONNECTION_OPEN)
        return;
    if (error != NGHTTP2_NO_ERROR)
        log_closing(c, reason);
    c->ending = true;
    c->close_by_ms = in_ms(c, GOODBYE_MS);
    nghttp2_session_terminate_session(c->session, error);
}

void connection_shut(struct connection *c)
{
    if (c->state != CONNECTION_OPEN) {
        connection_drop(c);
    } else if (c->stream_count == 0) {
        connection_end(c, NGHTTP2_NO_ERROR, "");
        connection_flush(c);
    } else {
        /* New streams are refused from here on; nghttp2 has nothing left to read or write when the open ones
         * end, which on_io sees as `shut`. */
        nghttp2_submit_goaway(c->session, NGHTTP2_FLAG_NONE,
                              nghttp2_session_get_last_proc_stream_id(c->session), NGHTTP2_NO_ERROR, NULL, 0);
        c->shut = true;
        connection_flush(c);
    }
}

void connection_nuisance(struct connection *c, const char *what)
{
    int64_t now = clock_mono_ms();
    int64_t forgiven = (now - c->nuisance_at_ms) * NUISANCE_PER_S / 1000;

    if (forgiven > 0) {
        c->nuisance = forgiven >= c->nuisance ? 0 : c->nuisance - (int)forgiven;
        c->nuisance_at_ms = now;
    }
    if (++c->nuisance > NUISANCE_MAX)
        connection_end(c, NGHTTP2_ENHANCE_YOUR_CALM, what);
}

/* ---- writing ---- */

static void wrote(struct connection *c, size_t n)
{
    c->written += n;
    c->stalled_by_ms = 0;
}

/* The socket is full: what it did not take is kept, and nothing more is made until it has gone. */
static void stall(struct connection *c, const uint8_t *rest, size_t len)
{
    int64_t patience = c->listener->limits.rate_window_ms;

    if (len > 0 && buf_append(&c->out, rest, len) != ERR_OK) {
        connection_drop(c);
        return;
    }
    if (c->stalled_by_ms == 0)
        c->stalled_by_ms = in_ms(c, patience > 0 ? patience : STALL_MS);
    set_events(c, EV_READ | EV_WRITE);
}

static bool write_kept(struct connection *c)
{
    while (c->out_offset < c->out.len) {
        ssize_t n =
            transport_write(c, (const uint8_t *)c->out.data + c->out_offset, c->out.len - c->out_offset);
        if (n < 0) {
            connection_drop(c);
            return false;
        }
        if (n == 0) {
            stall(c, NULL, 0);
            return false;
        }
        c->out_offset += (size_t)n;
        wrote(c, (size_t)n);
    }
    buf_free(&c->out);
    c->out_offset = 0;
    return true;
}

/* Lets nghttp2 make frames until the piece is full. False: the session failed. */
static bool gather(struct connection *c, size_t *len)
{
    uint8_t *out = c->loop->out;
    ssize_t n = 0;

    *len = 0;
    c->inside = true;
    do {
        const uint8_t *data = NULL;
        n = nghttp2_session_mem_send(c->session, &data);
        if (n <= 0 || (size_t)n > LOOP_WRITE_BYTES - *len)
            break;
        memcpy(out + *len, data, (size_t)n);
        *len += (size_t)n;
        c->produced += (uint64_t)n;
    } while (*len <= GATHER_BYTES - 16384);
    c->inside = false;
    /* A single frame has at most 16 KiB and a head of 9 bytes, so it always fits. */
    return n >= 0 && (size_t)n <= LOOP_WRITE_BYTES;
}

static void tell_flushed(struct connection *c)
{
    for (struct http_exchange *x = c->exchanges, *next; x != NULL; x = next) {
        next = x->next;
        exchange_flushed(x);
    }
}

/* False: the socket is full or gone. */
static bool write_piece(struct connection *c, size_t len)
{
    for (size_t done = 0; done < len;) {
        ssize_t n = transport_write(c, c->loop->out + done, len - done);
        if (n < 0) {
            connection_drop(c);
            return false;
        }
        if (n == 0) {
            stall(c, c->loop->out + done, len - done);
            return false;
        }
        done += (size_t)n;
        wrote(c, (size_t)n);
    }
    return true;
}

void connection_flush(struct connection *c)
{
    size_t len = 0;

    if (c->inside || c->state != CONNECTION_OPEN)
        return;
    bool going = write_kept(c);
    while (going) {
        going = gather(c, &len);
        if (!going)
            connection_drop(c);
        else if (len > 0)
            going = write_piece(c, len);
        else if (c->shut && !c->ending && c->stream_count == 0)
            connection_end(c, NGHTTP2_NO_ERROR, "");
        else
            break;
        if (c->state == CONNECTION_OPEN)
            tell_flushed(c);
    }
    if (c->state == CONNECTION_OPEN) {
        tell_flushed(c);
        if (going && !nghttp2_session_want_read(c->session) && !nghttp2_session_want_write(c->session)) {
            linger(c);
        } else if (going) {
            set_events(c, EV_READ);
            if (c->stream_count == 0 && c->idle_by_ms == 0)
                c->idle_by_ms = in_ms(c, c->listener->limits.idle_ms);
        }
    }
}

/* ---- reading ---- */

static uint32_t error_of(ssize_t nghttp2_error)
{
    switch (nghttp2_error) {
    case NGHTTP2_ERR_FLOODED:
    case NGHTTP2_ERR_TOO_MANY_CONTINUATIONS:
        return NGHTTP2_ENHANCE_YOUR_CALM;
    case NGHTTP2_ERR_BAD_CLIENT_MAGIC:
        return NGHTTP2_PROTOCOL_ERROR;
    default:
        return NGHTTP2_INTERNAL_ERROR;
    }
}

static void read_http(struct connection *c)
{
    int turn = 0;

    for (; turn < READ_TURNS && c->state == CONNECTION_OPEN; turn++) {
        ssize_t n = transport_read(c, c->loop->in, sizeof c->loop->in);
        if (n == 0)
            break;
        if (n < 0) {
            connection_drop(c);
            return;
        }
        c->inside = true;
        ssize_t taken = nghttp2_session_mem_recv(c->session, c->loop->in, (size_t)n);
        c->inside = false;
        if (taken < 0)
            connection_end(c, error_of(taken), nghttp2_strerror((int)taken));
        connection_flush(c);
        if (c->state != CONNECTION_OPEN || read_all(c, (size_t)n, sizeof c->loop->in))
            return;
    }
    /* TLS may hold what the socket will not tell of again. */
    if (turn == READ_TURNS && c->state == CONNECTION_OPEN)
        ev_feed_event(c->loop->ev, &c->io, EV_READ);
}

static void open_http(struct connection *c)
{
    c->state = CONNECTION_OPEN;
    if (!session_open(c)) {
        connection_drop(c);
        return;
    }
    set_events(c, EV_READ);
    read_http(c); /* TLS may hold the first request already: our SETTINGS then go out with its answer */
    connection_flush(c);
}

static void handshake(struct connection *c)
{
    ERR_clear_error();
    int result = SSL_do_handshake(c->ssl);
    if (result != 1) {
        int reason = SSL_get_error(c->ssl, result);
        if (reason == SSL_ERROR_WANT_READ || reason == SSL_ERROR_WANT_WRITE) {
            set_events(c, reason == SSL_ERROR_WANT_WRITE ? EV_READ | EV_WRITE : EV_READ);
            return;
        }
        const char *text = ERR_reason_error_string(ERR_peek_last_error());
        log_debug("http: TLS handshake failed: %s", text == NULL ? "connection ended" : text);
        ERR_clear_error();
        linger(c);
        return;
    }
    if (!tls_is_h2(c->ssl)) {
        linger(c);
        return;
    }
    c->chain = tls_client_chain(c->ssl);
    open_http(c);
}

/* The client's address is known: he may have too many connections already. */
static void begin_tls(struct connection *c)
{
    c->address_counted = listener_enter_address(c->listener, &c->peer.addr);
    c->ssl = c->address_counted ? tls_accept(c->listener->tls) : NULL;
    if (c->ssl == NULL || SSL_set_fd(c->ssl, c->fd) != 1) {
        if (!c->address_counted)
            log_closing(c, "too many from one address");
        connection_drop(c);
        return;
    }
    c->state = CONNECTION_HANDSHAKE;
    handshake(c);
}

static void read_proxy(struct connection *c)
{
    struct proxy_header header;
    size_t want = 0;
    enum err e = ERR_OK;

    while ((e = proxy_parse(c->proxy, c->proxy_len, &header, &want)) == ERR_BUSY) {
        ssize_t n = recv(c->fd, c->proxy + c->proxy_len, want, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) {
            connection_drop(c);
            return;
        }
        c->proxy_len += (size_t)n;
    }
    free(c->proxy);
    c->proxy = NULL;
    if (e != ERR_OK) {
        log_closing(c, "no PROXY header, or a bad one");
        connection_drop(c);
        return;
    }
    if (header.known) {
        c->peer.addr = header.addr;
        c->peer.port = header.port;
    }
    begin_tls(c);
}

static void on_io(struct ev_loop *ev, ev_io *io, int events)
{
    struct connection *c = (struct connection *)((char *)io - offsetof(struct connection, io));
    (void)ev;

    switch (c->state) {
    case CONNECTION_PROXY:
        read_proxy(c);
        break;
    case CONNECTION_HANDSHAKE:
        handshake(c);
        break;
    case CONNECTION_OPEN:
        if (events & EV_WRITE)
            connection_flush(c);
        if (events & EV_READ && c->state == CONNECTION_OPEN)
            read_http(c);
        break;
    case CONNECTION_LINGERING:
        linger_read(c);
        break;
    case CONNECTION_CLOSED:
        break;
    }
}

/* ---- deadlines ---- */

void connection_watch(struct connection *c, int64_t at_ms)
{
    if (c->timer_at_ms != 0 && c->timer_at_ms <= at_ms)
        return;
    int64_t ms = at_ms - clock_mono_ms();
    c->timer_at_ms = at_ms;
    ev_timer_stop(c->loop->ev, &c->timer);
    ev_timer_set(&c->timer, (double)(ms > 0 ? ms : 0) / 1000.0 + 0.001, 0);
    ev_timer_start(c->loop->ev, &c->timer);
}

static bool is_due(int64_t by_ms, int64_t now)
{
    return by_ms != 0 && now >= by_ms;
}

static void watch_if(struct connection *c, int64_t by_ms)
{
    if (by_ms != 0)
        connection_watch(c, by_ms);
}

static void on_timer(struct ev_loop *ev, ev_timer *timer, int events)
{
    struct connection *c = (struct connection *)((char *)timer - offsetof(struct connection, timer));
    int64_t now = clock_mono_ms();
    (void)ev;
    (void)events;

    c->timer_at_ms = 0;
    if (is_due(c->close_by_ms, now) || is_due(c->handshake_by_ms, now) || is_due(c->stalled_by_ms, now)) {
        if (is_due(c->stalled_by_ms, now))
            log_closing(c, "it does not take what we send");
        connection_drop(c);
    }
    if (c->state != CONNECTION_CLOSED) {
        if (c->stream_count == 0 && is_due(c->idle_by_ms, now)) {
            c->idle_by_ms = 0;
            connection_end(c, NGHTTP2_NO_ERROR, "idle");
        }
        for (struct http_exchange *x = c->exchanges, *next; x != NULL; x = next) {
            next = x->next;
            watch_if(c, exchange_deadline(x, now));
        }
        watch_if(c, c->close_by_ms);
        watch_if(c, c->handshake_by_ms);
        watch_if(c, c->stalled_by_ms);
        watch_if(c, c->idle_by_ms);
        connection_flush(c);
    }
}

/* ---- the beginning ---- */

static void learn_peer(struct connection *c, const struct sockaddr *from)
{
    c->peer.kind = c->listener->kind;
    c->peer.listener = c->listener->index;
    if (c->peer.kind == HTTP_UNIX) {
        struct ucred cred = {.uid = (uid_t)-1, .gid = (gid_t)-1};
        socklen_t len = sizeof cred;
        getsockopt(c->fd, SOL_SOCKET, SO_PEERCRED, &cred, &len);
        c->peer.uid = cred.uid;
        c->peer.gid = cred.gid;
        c->peer.pid = cred.pid;
        return;
    }
    netaddr_from_sockaddr(from, &c->peer.addr);
    if (from->sa_family == AF_INET)
        c->peer.port = ntohs(((const struct sockaddr_in *)(const void *)from)->sin_port);
    else if (from->sa_family == AF_INET6)
        c->peer.port = ntohs(((const struct sockaddr_in6 *)(const void *)from)->sin6_port);
}

void connection_accept(struct loop *loop, struct listener *listener, int fd, const struct sockaddr *from)
{
    if (!listener_enter(listener)) {
        close(fd);
        return;
    }
    struct connection *c = calloc(1, sizeof *c);
    if (c == NULL) {
        listener_leave(listener);
        close(fd);
        return;
    }
    c->loop = loop;
    c->listener = listener;
    c->fd = fd;
    buf_init(&c->out, LOOP_WRITE_BYTES);
    ev_io_init(&c->io, on_io, fd, EV_READ);
    ev_timer_init(&c->timer, on_timer, 0, 0);
    c->next = loop->connections;
    if (c->next != NULL)
        c->next->prev = c;
    loop->connections = c;
    learn_peer(c, from);
    c->handshake_by_ms = in_ms(c, listener->limits.handshake_ms);
    set_events(c, EV_READ);
    if (listener->kind == HTTP_UNIX) {
        open_http(c);
    } else if (listener_expects_proxy(listener, &c->peer.addr)) {
        c->state = CONNECTION_PROXY;
        c->proxy = malloc(PROXY_HEADER_MAX);
        if (c->proxy == NULL)
            connection_drop(c);
        else
            read_proxy(c);
    } else {
        begin_tls(c);
    }
}
