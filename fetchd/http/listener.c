/*
 * listener.c - binding, and the caps on connections.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "http/listener.h"

#define BACKLOG 511
#define DEFAULT_PORT 443

struct address_count {
    struct address_count *next;
    struct netaddr addr;
    size_t count;
};

static enum err complain(struct buf *why, const char *what, const char *where)
{
    int saved = errno;

    if (why != NULL)
        buf_printf(why, "%s %s: %s", what, where, strerror(saved));
    return saved == ENOMEM ? ERR_NOMEM : ERR_CONFIG;
}

static struct listener *listener_new(const struct http_limits *limits, http_router router)
{
    struct listener *l = calloc(1, sizeof *l);

    if (l == NULL)
        return NULL;
    l->fd = -1;
    l->limits = *limits;
    l->router = router;
    pthread_mutex_init(&l->lock, NULL);
    return l;
}

void listener_free(struct listener *l)
{
    if (l == NULL)
        return;
    if (l->fd >= 0)
        close(l->fd);
    if (l->path != NULL)
        unlink(l->path);
    free(l->path);
    tls_free(l->tls);
    pthread_mutex_destroy(&l->lock);
    free(l);
}

/* ---- binding ---- */

enum err listener_unix(const char *path, mode_t mode, const struct http_limits *limits, http_router router,
                       struct listener **out, struct buf *why)
{
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    struct listener *l = listener_new(limits, router);
    struct stat st;
    enum err e = ERR_NOMEM;

    if (l == NULL)
        goto out;
    l->kind = HTTP_UNIX;
    errno = ENAMETOOLONG;
    if (strlen(path) >= sizeof sun.sun_path) {
        e = complain(why, "socket", path);
        goto out;
    }
    memcpy(sun.sun_path, path, strlen(path) + 1);
    /* What a killed fetchd left behind; never anything but a socket. */
    if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
        unlink(path);
    l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* The mode is set before the name exists, so that nobody slips in between; the umask may only take from
     * it. */
    if (l->fd < 0 || fchmod(l->fd, mode) != 0 || bind(l->fd, (struct sockaddr *)&sun, sizeof sun) != 0) {
        e = complain(why, "socket", path);
        goto out;
    }
    l->path = strdup(path);
    if (l->path == NULL)
        goto out;
    if (chmod(path, mode) != 0 || listen(l->fd, BACKLOG) != 0) {
        e = complain(why, "socket", path);
        goto out;
    }
    *out = l;
    l = NULL;
    e = ERR_OK;
out:
    listener_free(l);
    return e;
}

/* TCP_NODELAY is inherited by accepted sockets: without it an answer waits 40 ms for an acknowledgement. */
static int tcp_bind(const struct sockaddr *sa, socklen_t len)
{
    const int on = 1, off = 0;
    int fd = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (sa->sa_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    if (bind(fd, sa, len) != 0 || listen(fd, BACKLOG) != 0) {
        int saved = errno;
        close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

static enum err tcp_listen(struct listener *l, const char *address, struct buf *why)
{
    struct netaddr addr = {.family = AF_INET6}; /* [::]: both families */
    struct sockaddr_storage ss;
    char *host = NULL;
    uint16_t port = 0;
    enum err e = netaddr_split_host_port(span_of(address), DEFAULT_PORT, &host, &port);

    if (e == ERR_OK && host[0] != '\0')
        e = netaddr_parse(span_of(host), &addr);
    if (e != ERR_OK) {
        if (why != NULL)
            buf_printf(why, "%s: not address:port, [address]:port or :port", address);
        goto out;
    }
    socklen_t len = netaddr_to_sockaddr(&addr, port, &ss);
    l->fd = tcp_bind((struct sockaddr *)&ss, len);
    if (l->fd < 0 && host[0] == '\0') { /* a kernel without IPv6 */
        netaddr_parse(SPAN_LITERAL("0.0.0.0"), &addr);
        len = netaddr_to_sockaddr(&addr, port, &ss);
        l->fd = tcp_bind((struct sockaddr *)&ss, len);
    }
    if (l->fd < 0)
        e = complain(why, "listen on", address);
out:
    free(host);
    return e;
}

enum err listener_tls(const char *address, const struct http_tls *tls, const struct http_limits *limits,
                      http_router router, struct listener **out, struct buf *why)
{
    struct listener *l = listener_new(limits, router);
    enum err e = ERR_NOMEM;

    if (l == NULL)
        return ERR_NOMEM;
    l->kind = HTTP_TLS;
    l->proxy_from = tls->proxy_protocol_from;
    l->proxy_from_count = tls->proxy_protocol_count;
    e = tls_create(tls->certificate_file, tls->key_file, tls->client_ca_file, &l->tls, why);
    if (e == ERR_OK)
        e = tcp_listen(l, address, why);
    if (e != ERR_OK) {
        listener_free(l);
        return e;
    }
    *out = l;
    return ERR_OK;
}

/* ---- caps ---- */

bool listener_enter(struct listener *l)
{
    pthread_mutex_lock(&l->lock);
    bool fits = l->connections < l->limits.connections_max;
    if (fits)
        l->connections++;
    pthread_mutex_unlock(&l->lock);
    return fits;
}

void listener_leave(struct listener *l)
{
    pthread_mutex_lock(&l->lock);
    l->connections--;
    pthread_mutex_unlock(&l->lock);
}

/* Whoever has one IPv6 address has its whole /64. */
static struct netaddr counted_address(const struct netaddr *addr)
{
    struct netaddr counted = *addr;

    if (addr->family == AF_INET6)
        memset(counted.byte + 8, 0, 8);
    return counted;
}

static struct address_count **find_count(struct listener *l, const struct netaddr *counted)
{
    uint32_t hash = 2166136261U;

    for (size_t i = 0; i < sizeof counted->byte; i++)
        hash = (hash ^ counted->byte[i]) * 16777619U;
    struct address_count **at = &l->bucket[(hash ^ hash >> 16) % LISTENER_BUCKETS];
    while (*at != NULL && !netaddr_equal(&(*at)->addr, counted))
        at = &(*at)->next;
    return at;
}

bool listener_enter_address(struct listener *l, const struct netaddr *addr)
{
    struct netaddr counted = counted_address(addr);
    bool fits = false;

    pthread_mutex_lock(&l->lock);
    struct address_count **at = find_count(l, &counted);
    if (*at == NULL && (*at = calloc(1, sizeof **at)) != NULL)
        (*at)->addr = counted;
    if (*at != NULL && (*at)->count < l->limits.connections_address_max) {
        (*at)->count++;
        fits = true;
    }
    pthread_mutex_unlock(&l->lock);
    return fits;
}

void listener_leave_address(struct listener *l, const struct netaddr *addr)
{
    struct netaddr counted = counted_address(addr);

    pthread_mutex_lock(&l->lock);
    struct address_count **at = find_count(l, &counted);
    if (*at != NULL && --(*at)->count == 0) {
        struct address_count *gone = *at;
        *at = gone->next;
        free(gone);
    }
    pthread_mutex_unlock(&l->lock);
}

bool listener_expects_proxy(const struct listener *l, const struct netaddr *addr)
{
    for (size_t i = 0; i < l->proxy_from_count; i++)
        if (netprefix_contains(&l->proxy_from[i], addr))
            return true;
    return false;
}
