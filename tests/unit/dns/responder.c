#include "responder.h"

#include <arpa/inet.h>
#include <assert.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define PACKET_MAX 65536

struct responder {
    const struct zone_row *zone;
    int udp, tcp, stop;
    uint16_t port;
    pthread_t thread;
    pthread_mutex_t lock;
    unsigned queries, tcp_queries;
    uint8_t latest[512];
    size_t latest_len;
    bool silenced[256]; /* by row: SILENT_ONCE was silent */
};

struct packet {
    uint8_t octet[PACKET_MAX];
    size_t len;
};

static void put(struct packet *p, const void *data, size_t len)
{
    assert(p->len + len <= PACKET_MAX);
    memcpy(p->octet + p->len, data, len);
    p->len += len;
}

static void put16(struct packet *p, unsigned n)
{
    const uint8_t two[] = {(uint8_t)(n >> 8), (uint8_t)n};
    put(p, two, 2);
}

static void put32(struct packet *p, uint32_t n)
{
    put16(p, n >> 16);
    put16(p, n & 0xffff);
}

/* The question's name as text; returns where the question ends. */
static size_t read_question(const uint8_t *query, size_t len, char name[256], uint16_t *type)
{
    size_t at = 12, out = 0;
    while (at < len && query[at] != 0) {
        size_t label = query[at++];
        assert(at + label < len && out + label + 1 < 256);
        if (out > 0)
            name[out++] = '.';
        memcpy(name + out, query + at, label);
        out += label;
        at += label;
    }
    name[out] = '\0';
    assert(at + 5 <= len);
    *type = (uint16_t)(query[at + 1] << 8 | query[at + 2]);
    return at + 5;
}

static const struct zone_row *find(const struct zone_row *zone, const char *name, uint16_t type)
{
    for (const struct zone_row *row = zone; row->name != NULL; row++)
        if (row->type == type && strcasecmp(row->name, name) == 0)
            return row;
    return NULL;
}

static unsigned put_records(struct packet *p, const struct zone_row *first)
{
    unsigned count = 0;
    for (const struct zone_row *row = first; row->name != NULL; row++) {
        if (row->type != first->type || strcasecmp(row->name, first->name) != 0)
            continue;
        put16(p, 0xc00c);
        put16(p, row->type);
        put16(p, 1);
        put32(p, row->ttl_s);
        put16(p, (unsigned)row->rdata_len);
        put(p, row->rdata, row->rdata_len);
        count++;
    }
    return count;
}

static void put_soa(struct packet *p)
{
    static const uint8_t rdata[] = {0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 60};
    put16(p, 0xc00c);
    put16(p, 6);
    put16(p, 1);
    put32(p, 3600);
    put16(p, sizeof rdata);
    put(p, rdata, sizeof rdata);
}

static void put_bogus(struct packet *p)
{
    static const uint8_t opt[] = {0, 0, 41, 4, 208, 0, 0, 128, 0, 0, 6, 0, 15, 0, 2, 0, 6};
    put(p, opt, sizeof opt);
}

static void build(const struct zone_row *row, enum manner manner, const uint8_t *query, size_t question_end,
                  struct packet *out)
{
    bool negative = manner == NXDOMAIN || manner == NODATA;
    bool truncated = manner == TRUNCATED || manner == TRUNCATED_TWICE;
    bool failed = manner == SERVFAIL || manner == SERVFAIL_BOGUS;
    unsigned rcode = failed ? 2 : manner == NXDOMAIN ? 3 : 0;
    unsigned records = 0;
    *out = (struct packet){.len = 0};
    put(out, query, 2);
    put16(out, 0x81a0 | (truncated ? 0x0200u : 0) | rcode);
    put16(out, 1);
    put16(out, 0);
    put16(out, negative);
    put16(out, manner == SERVFAIL_BOGUS);
    put(out, query + 12, question_end - 12);
    if (manner == PLAIN)
        records = put_records(out, row);
    out->octet[7] = (uint8_t)records;
    if (negative)
        put_soa(out);
    if (manner == SERVFAIL_BOGUS)
        put_bogus(out);
    if (manner == MALFORMED)
        out->octet[7] = 3; /* records that do not follow */
}

static void send_udp(struct responder *r, const struct packet *p, const struct sockaddr_in *to)
{
    sendto(r->udp, p->octet, p->len, 0, (const struct sockaddr *)to, sizeof *to);
}

/* What precedes the right answer, or stands for it. Returns the manner of what is still to be sent; SILENT
 * for nothing. */
static enum manner misbehave(struct responder *r, const struct zone_row *row, const uint8_t *query,
                             size_t question_end, const struct sockaddr_in *from)
{
    struct packet p;
    enum manner manner = row != NULL ? row->manner : NXDOMAIN;
    if (manner == WRONG_ID_FIRST || manner == WRONG_ID_ONLY || manner == WRONG_QUESTION_FIRST) {
        build(row, PLAIN, query, question_end, &p);
        p.octet[manner == WRONG_QUESTION_FIRST ? 13 : 0] ^= 1;
        p.octet[p.len - 1] ^= 1; /* forged data */
        send_udp(r, &p, from);
        return manner == WRONG_ID_ONLY ? SILENT : PLAIN;
    }
    if (manner == SILENT_ONCE) {
        bool *silenced = &r->silenced[row - r->zone];
        manner = *silenced ? PLAIN : SILENT;
        *silenced = true;
    }
    return manner;
}

static void answer_udp(struct responder *r)
{
    uint8_t query[512];
    char name[256];
    uint16_t type;
    struct sockaddr_in from;
    socklen_t from_len = sizeof from;
    ssize_t n = recvfrom(r->udp, query, sizeof query, 0, (struct sockaddr *)&from, &from_len);
    if (n < 17)
        return;
    pthread_mutex_lock(&r->lock);
    r->queries++;
    memcpy(r->latest, query, (size_t)n);
    r->latest_len = (size_t)n;
    pthread_mutex_unlock(&r->lock);
    size_t end = read_question(query, (size_t)n, name, &type);
    const struct zone_row *row = find(r->zone, name, type);
    enum manner manner = misbehave(r, row, query, end, &from);
    struct packet p;
    if (manner == SILENT)
        return;
    build(row, manner, query, end, &p);
    send_udp(r, &p, &from);
}

static void answer_tcp(struct responder *r)
{
    uint8_t query[600];
    char name[256];
    uint16_t type;
    int fd = accept(r->tcp, NULL, NULL);
    size_t got = 0;
    while (fd >= 0 && (got < 2 || got < 2u + (size_t)(query[0] << 8 | query[1]))) {
        ssize_t n = recv(fd, query + got, sizeof query - got, 0);
        if (n <= 0)
            break;
        got += (size_t)n;
    }
    if (got > 19) {
        struct packet p, framed = {.len = 0};
        size_t end = read_question(query + 2, got - 2, name, &type);
        const struct zone_row *row = find(r->zone, name, type);
        pthread_mutex_lock(&r->lock);
        r->tcp_queries++;
        pthread_mutex_unlock(&r->lock);
        build(row, row != NULL && row->manner == TRUNCATED_TWICE ? TRUNCATED : PLAIN, query + 2, end, &p);
        put16(&framed, (unsigned)p.len);
        put(&framed, p.octet, p.len);
        send(fd, framed.octet, 1, MSG_NOSIGNAL); /* in two pieces */
        send(fd, framed.octet + 1, framed.len - 1, MSG_NOSIGNAL);
    }
    close(fd);
}

static void *loop(void *arg)
{
    struct responder *r = arg;
    for (;;) {
        struct pollfd p[] = {{r->udp, POLLIN, 0}, {r->tcp, POLLIN, 0}, {r->stop, POLLIN, 0}};
        if (poll(p, 3, -1) < 0)
            continue;
        if (p[2].revents != 0)
            return NULL;
        if (p[0].revents != 0)
            answer_udp(r);
        if (p[1].revents != 0)
            answer_tcp(r);
    }
}

struct responder *responder_start(const struct zone_row *zone)
{
    struct responder *r = calloc(1, sizeof *r);
    struct sockaddr_in here = {.sin_family = AF_INET};
    socklen_t len = sizeof here;
    here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert(r != NULL);
    r->zone = zone;
    r->tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    r->udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    r->stop = eventfd(0, EFD_CLOEXEC);
    bool ok = bind(r->tcp, (struct sockaddr *)&here, sizeof here) == 0 && listen(r->tcp, 8) == 0 &&
              getsockname(r->tcp, (struct sockaddr *)&here, &len) == 0 &&
              bind(r->udp, (struct sockaddr *)&here, sizeof here) == 0;
    if (!ok)
        abort();
    r->port = ntohs(here.sin_port);
    pthread_mutex_init(&r->lock, NULL);
    if (pthread_create(&r->thread, NULL, loop, r) != 0)
        abort();
    return r;
}

void responder_stop(struct responder *r)
{
    const uint64_t one = 1;
    if (write(r->stop, &one, sizeof one) != sizeof one)
        abort();
    pthread_join(r->thread, NULL);
    close(r->udp);
    close(r->tcp);
    close(r->stop);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

uint16_t responder_port(const struct responder *r)
{
    return r->port;
}

unsigned responder_queries(struct responder *r)
{
    pthread_mutex_lock(&r->lock);
    unsigned n = r->queries;
    pthread_mutex_unlock(&r->lock);
    return n;
}

unsigned responder_tcp_queries(struct responder *r)
{
    pthread_mutex_lock(&r->lock);
    unsigned n = r->tcp_queries;
    pthread_mutex_unlock(&r->lock);
    return n;
}

size_t responder_latest(struct responder *r, uint8_t out[512])
{
    pthread_mutex_lock(&r->lock);
    memcpy(out, r->latest, r->latest_len);
    size_t len = r->latest_len;
    pthread_mutex_unlock(&r->lock);
    return len;
}
