/*
 * resolver.c - one question, one socket of its own: connected (the kernel drops what comes from elsewhere),
 * with a random ID and a port of the kernel's choice. ldns's own transport is not used: it takes any packet
 * for an answer and gives a server up for ever after one time-out.
 */
#include "dns/resolver.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/secret.h"
#include "dns/answer.h"
#include "dns/cache.h"
#include "dns/packet.h"

#define TRIES 3
#define RESOLV_CONF "/etc/resolv.conf"
#define PORT_DEFAULT 53

struct resolver {
    struct sockaddr_storage server;
    socklen_t server_len;
    int64_t timeout_ms;
    struct packet_limits limits;
    struct cache *cache;
};

/* One question under way. */
struct question {
    const struct resolver *resolver;
    const char *name;
    enum dns_type type;
    uint16_t id;
    int64_t deadline_mono_ms;
    struct buf query; /* two octets of length (for TCP), then the packet */
};

/* The first "nameserver" of resolv.conf(5). The caller owns *out. */
static enum err first_nameserver(char **out)
{
    FILE *f = fopen(RESOLV_CONF, "re");
    if (f == NULL)
        return ERR_CONFIG;
    enum err err = ERR_CONFIG;
    char line[512];
    while (err == ERR_CONFIG && fgets(line, sizeof line, f) != NULL) {
        char word[16], address[NETADDR_TEXT_MAX];
        if (sscanf(line, " %15s %45s", word, address) == 2 && strcmp(word, "nameserver") == 0) {
            *out = strdup(address);
            err = *out != NULL ? ERR_OK : ERR_NOMEM;
        }
    }
    fclose(f);
    return err;
}

static enum err read_server(const char *text, struct resolver *r)
{
    struct netaddr addr;
    uint16_t port = PORT_DEFAULT;
    char *from_file = NULL, *host = NULL;
    enum err err = ERR_OK;
    if (text == NULL || *text == '\0') {
        if ((err = first_nameserver(&from_file)) != ERR_OK)
            return err;
        text = from_file;
    }
    if (netaddr_parse(span_of(text), &addr) != ERR_OK) {
        if (netaddr_split_host_port(span_of(text), PORT_DEFAULT, &host, &port) != ERR_OK ||
            netaddr_parse(span_of(host), &addr) != ERR_OK)
            err = ERR_CONFIG;
    }
    if (err == ERR_OK)
        r->server_len = netaddr_to_sockaddr(&addr, port, &r->server);
    free(host);
    free(from_file);
    return err;
}

enum err resolver_create(const struct resolver_options *o, struct resolver **out)
{
    struct resolver *r = calloc(1, sizeof *r);
    if (r == NULL)
        return ERR_NOMEM;
    r->timeout_ms = o->timeout_ms;
    r->limits.ttl_max_s = o->ttl_max_s;
    r->limits.negative_ttl_max_s = o->negative_ttl_max_s;
    enum err err = read_server(o->server, r);
    if (err == ERR_OK)
        err = cache_create(o->cache_max, &r->cache);
    if (err != ERR_OK) {
        resolver_free(r);
        return err;
    }
    *out = r;
    return ERR_OK;
}

void resolver_free(struct resolver *r)
{
    if (r == NULL)
        return;
    cache_free(r->cache);
    free(r);
}

static int open_socket(const struct question *q, int kind)
{
    const struct resolver *r = q->resolver;
    int fd = socket(r->server.ss_family, kind | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    if (connect(fd, (const struct sockaddr *)&r->server, r->server_len) != 0 && errno != EINPROGRESS) {
        close(fd);
        return -1;
    }
    return fd;
}

/* False when the time is over. */
static bool wait_for(int fd, short events, int64_t until_mono_ms)
{
    for (;;) {
        int64_t left = until_mono_ms - clock_mono_ms();
        if (left <= 0)
            return false;
        struct pollfd p = {.fd = fd, .events = events};
        int n = poll(&p, 1, left > INT32_MAX ? INT32_MAX : (int)left);
        if (n > 0)
            return true;
        if (n < 0 && errno != EINTR)
            return false;
    }
}

static enum packet_kind read_packet(const struct question *q, const void *data, size_t len,
                                    struct dns_answer **out)
{
    return packet_read(span_bytes(data, len), q->id, q->name, q->type, &q->resolver->limits, out);
}

/* Sends or receives exactly len octets over TCP. */
static bool tcp_move(int fd, bool sending, char *data, size_t len, int64_t until_mono_ms)
{
    size_t done = 0;
    while (done < len) {
        if (!wait_for(fd, sending ? POLLOUT : POLLIN, until_mono_ms))
            return false;
        ssize_t n =
            sending ? send(fd, data + done, len - done, MSG_NOSIGNAL) : recv(fd, data + done, len - done, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        if (n <= 0)
            return false;
        done += (size_t)n;
    }
    return true;
}

static enum packet_kind ask_tcp(struct question *q, struct dns_answer **out)
{
    enum packet_kind kind = PACKET_FAILED;
    char *reply = NULL;
    uint8_t size[2];
    int fd = open_socket(q, SOCK_STREAM);
    if (fd < 0)
        return PACKET_FAILED;
    if (!tcp_move(fd, true, q->query.data, q->query.len, q->deadline_mono_ms) ||
        !tcp_move(fd, false, (char *)size, sizeof size, q->deadline_mono_ms))
        goto out;
    size_t len = (size_t)(size[0] << 8 | size[1]);
    reply = malloc(len + 1);
    if (reply == NULL || !tcp_move(fd, false, reply, len, q->deadline_mono_ms))
        goto out;
    kind = read_packet(q, reply, len, out);
    if (kind == PACKET_FOREIGN || kind == PACKET_TRUNCATED)
        kind = PACKET_FAILED;
out:
    free(reply);
    close(fd);
    return kind;
}

/* Takes in datagrams until one of them is the answer, or the time is over (PACKET_FOREIGN). */
static enum packet_kind receive_udp(const struct question *q, int fd, int64_t until_mono_ms,
                                    struct dns_answer **out)
{
    uint8_t reply[PACKET_UDP_MAX + 1];
    while (wait_for(fd, POLLIN, until_mono_ms)) {
        ssize_t n = recv(fd, reply, sizeof reply, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        if (n < 0) /* refused: nobody listens at present */
            return PACKET_FOREIGN;
        enum packet_kind kind = read_packet(q, reply, (size_t)n, out);
        if (kind != PACKET_FOREIGN)
            return kind;
    }
    return PACKET_FOREIGN;
}

static enum packet_kind ask_udp(struct question *q, struct dns_answer **out)
{
    enum packet_kind kind = PACKET_FOREIGN;
    int fd = open_socket(q, SOCK_DGRAM);
    if (fd < 0)
        return PACKET_FAILED;
    /* One socket for all tries, so that a late answer to an earlier one still counts. */
    for (int i = 0; i < TRIES && kind == PACKET_FOREIGN; i++) {
        int64_t until = clock_mono_ms() + q->resolver->timeout_ms;
        if (until > q->deadline_mono_ms)
            until = q->deadline_mono_ms;
        ssize_t sent;
        do
            sent = send(fd, q->query.data + 2, q->query.len - 2, MSG_NOSIGNAL);
        while (sent < 0 && errno == EINTR);
        kind = receive_udp(q, fd, until, out);
        if (clock_mono_ms() >= q->deadline_mono_ms)
            break;
    }
    close(fd);
    return kind;
}

static enum err ask(struct question *q, struct dns_answer **out)
{
    enum packet_kind kind = ask_udp(q, out);
    if (kind == PACKET_TRUNCATED)
        kind = ask_tcp(q, out);
    if (kind == PACKET_ANSWER)
        return ERR_OK;
    return kind == PACKET_BOGUS ? ERR_DNS_BOGUS : ERR_DNS_TEMPORARY;
}

/* From the cache, else from the server. */
static enum err answer(struct resolver *r, const char *normal, enum dns_type type, int64_t deadline_mono_ms,
                       struct dns_answer **out)
{
    struct dns_answer *a = cache_get(r->cache, normal, type, clock_mono_ms());
    if (a != NULL) {
        *out = a;
        return ERR_OK;
    }
    if (deadline_mono_ms == DNS_CACHED_ONLY)
        return ERR_WOULD_WAIT;
    struct question q = {.resolver = r, .name = normal, .type = type, .deadline_mono_ms = deadline_mono_ms};
    buf_init(&q.query, PACKET_QUERY_MAX);
    enum err err = secret_random(&q.id, sizeof q.id);
    if (err == ERR_OK)
        err = buf_append(&q.query, "\0\0", 2);
    if (err == ERR_OK)
        err = packet_query(normal, type, q.id, &q.query);
    if (err == ERR_OK) {
        q.query.data[0] = (char)((q.query.len - 2) >> 8);
        q.query.data[1] = (char)((q.query.len - 2) & 0xff);
        err = ask(&q, &a);
    }
    if (err == ERR_OK) {
        cache_put(r->cache, normal, a, clock_mono_ms());
        *out = a;
    }
    buf_free(&q.query);
    return err;
}

/* Leaves MX records out whose host is no host name. */
static void keep_hosts(struct dns_answer *a)
{
    char normal[DNS_NAME_MAX + 1];
    size_t kept = 0;
    for (size_t i = 0; i < a->count; i++) {
        struct dns_record *record = &a->record[i];
        if (record->mx.host[0] == '\0' || packet_name(span_of(record->mx.host), normal) == ERR_OK)
            a->record[kept++] = *record;
        else
            free(record->mx.host);
    }
    a->count = kept;
}

enum err resolver_query(struct resolver *r, const char *name, enum dns_type type, int64_t deadline_mono_ms,
                        struct dns_answer **out)
{
    char normal[DNS_NAME_MAX + 1];
    enum err err = packet_name(span_of(name), normal);
    if (err == ERR_OK)
        err = answer(r, normal, type, deadline_mono_ms, out);
    if (err == ERR_OK && type == DNS_MX)
        keep_hosts(*out);
    return err;
}

enum err resolver_query_any(struct resolver *r, const char *name, enum dns_type type,
                            int64_t deadline_mono_ms, struct dns_answer **out)
{
    char normal[DNS_NAME_MAX + 1];
    enum err err = packet_any_name(span_of(name), normal);
    return err == ERR_OK ? answer(r, normal, type, deadline_mono_ms, out) : err;
}

bool resolver_cached(struct resolver *r, const char *name, enum dns_type type)
{
    char normal[DNS_NAME_MAX + 1];
    return packet_name(span_of(name), normal) == ERR_OK && cache_has(r->cache, normal, type, clock_mono_ms());
}
