/*
 * asker.c - each question has a socket of its own: connected (the kernel drops what comes from elsewhere),
 * with a random ID and a port of the kernel's choice. ldns's own transport is not used: it takes any packet
 * for an answer and gives a server up for ever after one time-out.
 *
 * Whoever asks sends the first query himself; tries, answers and TCP are the thread's.
 */
#include "dns/asker.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/secret.h"
#include "dns/answer.h"

#define NEVER INT64_MAX
#define WAKE UINT64_MAX /* the eventfd among epoll's events */

/* A thread that waits; on its own stack. */
struct waiter {
    struct waiter *next;
    pthread_cond_t changed;
    bool done; /* err and answer are set */
    enum err err;
    struct dns_answer *answer;
};

struct question {
    bool under_way;
    uint32_t generation; /* an event for an earlier question in this slot is no event for this one */
    char name[DNS_NAME_MAX + 1];
    enum dns_type type;
    uint16_t id;
    int fd;
    bool tcp;
    unsigned tries;
    int64_t began_ms;
    int64_t try_ms;  /* when the next try is due; NEVER when there is none */
    int64_t fail_ms; /* when those who wait are told that it failed */
    int64_t end_ms;  /* when nobody listens any more */
    struct waiter *waiting;
    uint8_t query[2 + PACKET_QUERY_MAX]; /* two octets of length (for TCP), then the packet */
    size_t query_len;
    /* TCP */
    size_t sent, got;
    uint8_t reply_size[2];
    uint8_t *reply;
};

struct asker {
    struct asker_options options;
    int epoll, wake;
    pthread_t thread;
    pthread_condattr_t monotonic;
    pthread_mutex_t lock; /* guards what follows */
    bool ending;
    int64_t sleeps_until_ms; /* the thread */
    struct question question[ASKER_QUESTIONS];
    size_t used; /* slots that ever were */
};

/* ---- one question, with the lock held */

static void tell_waiting(struct question *q, enum err err, const struct dns_answer *answer)
{
    while (q->waiting) {
        struct waiter *w = q->waiting;
        q->waiting = w->next;
        w->err = err;
        if (!err && !(w->answer = answer_copy(answer)))
            w->err = ERR_NOMEM;
        w->done = true;
        pthread_cond_signal(&w->changed);
    }
}

static void end_question(struct question *q, enum err err, const struct dns_answer *answer)
{
    tell_waiting(q, err, answer);
    if (q->fd >= 0)
        close(q->fd);
    free(q->reply);
    q->reply = NULL;
    q->under_way = false;
    q->generation++;
}

static bool open_socket(struct asker *a, struct question *q, int kind)
{
    const struct asker_options *o = &a->options;
    struct epoll_event want = {.events = kind == SOCK_STREAM ? EPOLLIN | EPOLLOUT : EPOLLIN};
    int fd = socket(o->server.ss_family, kind | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return false;
    want.data.u64 = (uint64_t)q->generation << 32 | (uint64_t)(q - a->question);
    if ((connect(fd, (const struct sockaddr *)&o->server, o->server_len) != 0 && errno != EINPROGRESS) ||
        epoll_ctl(a->epoll, EPOLL_CTL_ADD, fd, &want) != 0) {
        close(fd);
        return false;
    }
    q->fd = fd;
    return true;
}

/* One socket for all tries, so that a late answer to an earlier one still counts. */
static void send_try(struct asker *a, struct question *q, int64_t now_ms)
{
    ssize_t sent;

    do
        sent = send(q->fd, q->query + 2, q->query_len - 2, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    q->tries++;
    q->fail_ms = now_ms + a->options.timeout_ms;
    q->try_ms = q->tries < ASKER_TRIES ? q->fail_ms : NEVER;
    if (q->try_ms != NEVER)
        q->fail_ms = NEVER;
}

static enum err write_query(struct question *q)
{
    struct buf query;
    enum err e = secret_random(&q->id, sizeof q->id);

    buf_init(&query, PACKET_QUERY_MAX);
    if (!e)
        e = packet_query(q->name, q->type, q->id, &query);
    if (!e) {
        q->query[0] = (uint8_t)(query.len >> 8);
        q->query[1] = (uint8_t)query.len;
        memcpy(q->query + 2, query.data, query.len);
        q->query_len = query.len + 2;
    }
    buf_free(&query);
    return e;
}

/* ---- what arrives, with the lock held */

static void take_answer(struct asker *a, struct question *q, enum packet_kind kind, struct dns_answer *answer)
{
    if (kind == PACKET_ANSWER) {
        cache_put(a->options.cache, q->name, answer, clock_mono_ms());
        end_question(q, ERR_OK, answer);
        dns_answer_free(answer);
    } else {
        end_question(q, kind == PACKET_BOGUS ? ERR_DNS_BOGUS : ERR_DNS_TEMPORARY, NULL);
    }
}

static enum packet_kind read_packet(const struct asker *a, const struct question *q, const void *data,
                                    size_t len, struct dns_answer **out)
{
    return packet_read(span_bytes(data, len), q->id, q->name, q->type, &a->options.limits, out);
}

static void turn_to_tcp(struct asker *a, struct question *q)
{
    close(q->fd);
    q->fd = -1;
    q->tcp = true;
    q->sent = q->got = 0;
    q->try_ms = NEVER;
    q->fail_ms = q->end_ms = clock_mono_ms() + ASKER_TRIES * a->options.timeout_ms;
    if (!open_socket(a, q, SOCK_STREAM))
        end_question(q, ERR_DNS_TEMPORARY, NULL);
}

static void receive_udp(struct asker *a, struct question *q)
{
    uint8_t packet[PACKET_UDP_MAX + 1];
    struct dns_answer *answer = NULL;
    ssize_t n;

    while ((n = recv(q->fd, packet, sizeof packet, 0)) >= 0 || errno == EINTR) {
        if (n < 0)
            continue;
        enum packet_kind kind = read_packet(a, q, packet, (size_t)n, &answer);
        if (kind == PACKET_TRUNCATED)
            turn_to_tcp(a, q);
        else if (kind != PACKET_FOREIGN)
            take_answer(a, q, kind, answer);
        if (kind != PACKET_FOREIGN)
            return;
    }
    /* Nothing more for now, or refused: nobody listens at present. The next try will tell. */
}

/* Sends or receives what is left of len octets. False when the connection is over. */
static bool tcp_move(struct question *q, bool sending, uint8_t *data, size_t len, size_t *done)
{
    while (*done < len) {
        ssize_t n = sending ? send(q->fd, data + *done, len - *done, MSG_NOSIGNAL)
                            : recv(q->fd, data + *done, len - *done, 0);
        if (n > 0)
            *done += (size_t)n;
        else if (n == 0 || (errno != EAGAIN && errno != EINTR && errno != ENOTCONN))
            return false;
        else if (errno != EINTR)
            return true;
    }
    return true;
}

/* False when the connection is over. */
static bool tcp_receive(struct question *q)
{
    if (q->got < 2 && !tcp_move(q, false, q->reply_size, 2, &q->got))
        return false;
    if (q->got < 2)
        return true;
    size_t len = (size_t)(q->reply_size[0] << 8 | q->reply_size[1]), done = q->got - 2;
    if (!q->reply && !(q->reply = malloc(len + 1)))
        return false;
    bool open = tcp_move(q, false, q->reply, len, &done);
    q->got = done + 2;
    return open;
}

static bool tcp_complete(const struct question *q)
{
    return q->got >= 2 && q->got == 2 + (size_t)(q->reply_size[0] << 8 | q->reply_size[1]);
}

static void move_tcp(struct asker *a, struct question *q)
{
    struct dns_answer *answer = NULL;
    bool sending = q->sent < q->query_len;
    bool open = tcp_move(q, true, q->query, q->query_len, &q->sent);

    if (open && sending && q->sent == q->query_len) {
        struct epoll_event want = {.events = EPOLLIN};
        want.data.u64 = (uint64_t)q->generation << 32 | (uint64_t)(q - a->question);
        epoll_ctl(a->epoll, EPOLL_CTL_MOD, q->fd, &want);
    }
    if (open && q->sent == q->query_len)
        open = tcp_receive(q);
    if (tcp_complete(q)) {
        enum packet_kind kind = read_packet(a, q, q->reply, q->got - 2, &answer);
        take_answer(a, q, kind == PACKET_FOREIGN || kind == PACKET_TRUNCATED ? PACKET_FAILED : kind, answer);
    } else if (!open) {
        end_question(q, ERR_DNS_TEMPORARY, NULL);
    }
}

/* ---- the thread */

static void take_event(struct asker *a, uint64_t data)
{
    uint64_t count;

    if (data == WAKE) {
        (void)!read(a->wake, &count, sizeof count);
        return;
    }
    struct question *q = &a->question[data & UINT32_MAX];
    if (!q->under_way || q->generation != data >> 32)
        return;
    if (q->tcp)
        move_tcp(a, q);
    else
        receive_udp(a, q);
}

static void look_at_time(struct asker *a, struct question *q, int64_t now_ms)
{
    if (now_ms >= q->end_ms) {
        end_question(q, ERR_DNS_TEMPORARY, NULL);
        return;
    }
    if (now_ms >= q->try_ms)
        send_try(a, q, now_ms);
    if (now_ms >= q->fail_ms) {
        q->fail_ms = NEVER;
        tell_waiting(q, ERR_DNS_TEMPORARY, NULL);
    }
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* What is due is done; when the next is. */
static int64_t look_at_all(struct asker *a)
{
    int64_t now_ms = clock_mono_ms(), next_ms = NEVER;

    for (size_t i = 0; i < a->used; i++) {
        struct question *q = &a->question[i];
        if (q->under_way)
            look_at_time(a, q, now_ms);
        if (q->under_way)
            next_ms = earlier(next_ms, earlier(q->end_ms, earlier(q->try_ms, q->fail_ms)));
    }
    return next_ms;
}

static void *run(void *arg)
{
    struct asker *a = arg;
    struct epoll_event event[64];

    pthread_mutex_lock(&a->lock);
    while (!a->ending) {
        a->sleeps_until_ms = look_at_all(a);
        int64_t left = a->sleeps_until_ms == NEVER ? -1 : a->sleeps_until_ms - clock_mono_ms();
        int timeout = left > 60000 ? 60000 : left < 0 && a->sleeps_until_ms != NEVER ? 0 : (int)left;
        pthread_mutex_unlock(&a->lock);
        int n = epoll_wait(a->epoll, event, sizeof event / sizeof *event, timeout);
        pthread_mutex_lock(&a->lock);
        for (int i = 0; i < n; i++)
            take_event(a, event[i].data.u64);
    }
    pthread_mutex_unlock(&a->lock);
    return NULL;
}

static void wake_thread(struct asker *a)
{
    const uint64_t one = 1;

    (void)!write(a->wake, &one, sizeof one);
}

/* ---- asking, with the lock held */

/* A slot that is nobody's; a question that nobody waits for gives way. NULL when there is none. */
static struct question *free_slot(struct asker *a)
{
    struct question *oldest = NULL;

    for (size_t i = 0; i < a->used; i++) {
        struct question *q = &a->question[i];
        if (!q->under_way)
            return q;
        if (!q->waiting && (!oldest || q->began_ms < oldest->began_ms))
            oldest = q;
    }
    if (a->used < ASKER_QUESTIONS)
        return &a->question[a->used++];
    if (oldest)
        end_question(oldest, ERR_DNS_TEMPORARY, NULL);
    return oldest;
}

static struct question *find(struct asker *a, const char *name, enum dns_type type)
{
    for (size_t i = 0; i < a->used; i++) {
        struct question *q = &a->question[i];
        if (q->under_way && q->type == type && strcmp(q->name, name) == 0)
            return q;
    }
    return NULL;
}

static struct question *begin(struct asker *a, const char *name, enum dns_type type, int64_t now_ms)
{
    struct question *q = free_slot(a);

    if (!q)
        return NULL;
    *q = (struct question){.generation = q->generation,
                           .type = type,
                           .fd = -1,
                           .began_ms = now_ms,
                           .end_ms = now_ms + ASKER_LINGER_MS};
    memcpy(q->name, name, strlen(name) + 1);
    if (write_query(q) != ERR_OK || !open_socket(a, q, SOCK_DGRAM))
        return NULL;
    q->under_way = true;
    send_try(a, q, now_ms);
    return q;
}

/* The question, under way and with tries left. NULL: it cannot be asked now. */
static struct question *under_way(struct asker *a, const char *name, enum dns_type type)
{
    int64_t now_ms = clock_mono_ms();
    struct question *q = find(a, name, type);

    if (!q) {
        q = begin(a, name, type, now_ms);
    } else if (!q->tcp && q->try_ms == NEVER && q->fail_ms == NEVER) {
        /* All tries were made and nobody was left to be told: it begins anew, on the same socket. */
        q->tries = 0;
        q->end_ms = now_ms + ASKER_LINGER_MS;
        send_try(a, q, now_ms);
    }
    if (q && earlier(q->try_ms, q->fail_ms) < a->sleeps_until_ms)
        wake_thread(a);
    return q;
}

static struct timespec timespec_of(int64_t ms)
{
    return (struct timespec){.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
}

static void leave(struct question *q, const struct waiter *w)
{
    struct waiter **link = &q->waiting;

    while (*link && *link != w)
        link = &(*link)->next;
    if (*link)
        *link = w->next;
}

static enum err wait_for(struct asker *a, struct question *q, int64_t deadline_mono_ms, struct dns_wait *wait,
                         struct dns_answer **out)
{
    struct waiter w = {.next = q->waiting};
    const struct timespec until = timespec_of(deadline_mono_ms);
    int late = 0;

    pthread_cond_init(&w.changed, &a->monotonic);
    // cppcheck-suppress autoVariables ; whoever answers takes it off, else leave() does below
    q->waiting = &w;
    if (wait)
        // cppcheck-suppress autoVariables ; until it wakes, below
        wait->asleep = &w.changed;
    while (!w.done && !late && !(wait && wait->ended))
        late = pthread_cond_timedwait(&w.changed, &a->lock, &until);
    if (wait)
        wait->asleep = NULL;
    if (!w.done) {
        w.err = ERR_DNS_TEMPORARY;
        leave(q, &w);
    }
    pthread_cond_destroy(&w.changed);
    if (!w.err)
        *out = w.answer;
    return w.err;
}

enum err asker_ask(struct asker *a, const char *name, enum dns_type type, int64_t deadline_mono_ms,
                   struct dns_wait *wait, struct dns_answer **out)
{
    enum err e = ERR_DNS_TEMPORARY;
    bool again;
    struct question *q = NULL;

    pthread_mutex_lock(&a->lock);
    /* It may have come while we were on our way. */
    struct dns_answer *kept = cache_get(a->options.cache, name, type, clock_mono_ms(), &again);
    if (kept) {
        *out = kept;
        e = ERR_OK;
    } else if (deadline_mono_ms > clock_mono_ms() && !(wait && wait->ended) &&
               (q = under_way(a, name, type))) {
        e = wait_for(a, q, deadline_mono_ms, wait, out);
    }
    if (e && wait)
        memcpy(wait->vain, name, strlen(name) + 1);
    pthread_mutex_unlock(&a->lock);
    return e;
}

void asker_refresh(struct asker *a, const char *name, enum dns_type type)
{
    pthread_mutex_lock(&a->lock);
    under_way(a, name, type);
    pthread_mutex_unlock(&a->lock);
}

void asker_end(struct asker *a, struct dns_wait *wait)
{
    pthread_mutex_lock(&a->lock);
    wait->ended = true;
    if (wait->asleep)
        pthread_cond_signal(wait->asleep);
    pthread_mutex_unlock(&a->lock);
}

/* ---- life */

/* Signals are main's business. */
static enum err start_thread(struct asker *a)
{
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&a->thread, NULL, run, a);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed)
        return ERR_UNAVAILABLE;
    pthread_setname_np(a->thread, "dns");
    return ERR_OK;
}

static void close_all(struct asker *a)
{
    for (size_t i = 0; i < a->used; i++) {
        if (a->question[i].under_way)
            end_question(&a->question[i], ERR_DNS_TEMPORARY, NULL);
    }
    if (a->epoll >= 0)
        close(a->epoll);
    if (a->wake >= 0)
        close(a->wake);
    pthread_mutex_destroy(&a->lock);
    pthread_condattr_destroy(&a->monotonic);
    free(a);
}

enum err asker_create(const struct asker_options *o, struct asker **out)
{
    struct epoll_event want = {.events = EPOLLIN, .data.u64 = WAKE};
    struct asker *a = calloc(1, sizeof *a);

    if (!a)
        return ERR_NOMEM;
    a->options = *o;
    pthread_mutex_init(&a->lock, NULL);
    pthread_condattr_init(&a->monotonic);
    pthread_condattr_setclock(&a->monotonic, CLOCK_MONOTONIC);
    a->epoll = epoll_create1(EPOLL_CLOEXEC);
    a->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (a->epoll < 0 || a->wake < 0 || epoll_ctl(a->epoll, EPOLL_CTL_ADD, a->wake, &want) != 0 ||
        start_thread(a) != ERR_OK) {
        close_all(a);
        return ERR_UNAVAILABLE;
    }
    *out = a;
    return ERR_OK;
}

void asker_free(struct asker *a)
{
    if (!a)
        return;
    pthread_mutex_lock(&a->lock);
    a->ending = true;
    wake_thread(a);
    pthread_mutex_unlock(&a->lock);
    pthread_join(a->thread, NULL);
    close_all(a);
}
