/*
 * talk.c - see talk.h.
 */
#include "mta/talk.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "mta/reply.h"

#define COMMAND_MAX 8192

/* ---- the stop
 * --------------------------------------------------------------------------------------------------- */

enum err talk_stop_init(struct talk_stop *s)
{
    s->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    atomic_init(&s->until_mono_ms, INT64_MAX);
    atomic_init(&s->answer_until_mono_ms, INT64_MAX);
    return s->fd >= 0 ? ERR_OK : err_from_errno(errno);
}

void talk_stop_say(struct talk_stop *s, int64_t grace_ms)
{
    int64_t now = clock_mono_ms();
    atomic_store(&s->answer_until_mono_ms, now + grace_ms);
    atomic_store(&s->until_mono_ms, now + grace_ms / 2);
    (void)eventfd_write(s->fd, 1);
}

static int64_t stop_time(const struct talk_stop *s, bool waits_for_dot)
{
    return atomic_load(waits_for_dot ? &s->answer_until_mono_ms : &s->until_mono_ms);
}

bool talk_stop_over(const struct talk_stop *s)
{
    return clock_mono_ms() >= stop_time(s, false);
}

void talk_stop_free(struct talk_stop *s)
{
    if (s->fd >= 0)
        close(s->fd);
}

/* ---- waiting
 * ---------------------------------------------------------------------------------------------------- */

static enum err wait_for(const struct talk *k, short events, int64_t deadline_ms)
{
    for (;;) {
        int64_t now = clock_mono_ms(), stop_ms = stop_time(k->stop, k->waits_for_dot);
        int64_t left = (deadline_ms < stop_ms ? deadline_ms : stop_ms) - now;
        if (left <= 0)
            return deadline_ms < stop_ms ? ERR_TIMEOUT : ERR_CANCELLED;
        struct pollfd p[] = {{.fd = k->fd, .events = events}, {.fd = k->stop->fd, .events = POLLIN}};
        /* Who knows of the stop need not be woken by it. */
        int n = poll(p, stop_ms == INT64_MAX ? 2 : 1, left > 1000000 ? 1000000 : (int)left);
        if (n > 0 && p[0].revents)
            return ERR_OK;
        if (n < 0 && errno != EINTR)
            return ERR_IO;
    }
}

/* ---- the talk
 * --------------------------------------------------------------------------------------------------- */

enum err talk_write(struct talk *k, const char *data, size_t len, int64_t timeout_ms)
{
    int64_t deadline = clock_mono_ms() + timeout_ms;
    while (len > 0) {
        ssize_t n = send(k->fd, data, len, MSG_NOSIGNAL);
        if (n > 0) {
            data += n;
            len -= (size_t)n;
            deadline = clock_mono_ms() + timeout_ms;
        } else if (n < 0 && errno == EINTR) {
            continue;
        } else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            enum err e = wait_for(k, POLLOUT, deadline);
            if (e != ERR_OK)
                return e;
        } else {
            return ERR_CONNECT;
        }
    }
    return ERR_OK;
}

void talk_reply_init(struct talk_reply *r)
{
    r->code = 0;
    r->enhanced[0] = '\0';
    buf_init(&r->text, 2048);
}

enum err talk_read(struct talk *k, int64_t timeout_ms, struct talk_reply *r)
{
    int64_t deadline = clock_mono_ms() + timeout_ms;
    for (;;) {
        size_t used = 0;
        buf_clear(&r->text);
        enum err e = smtp_reply_parse(buf_span(&k->in), &used, &r->code, r->enhanced, &r->text);
        if (e != ERR_OK)
            return e;
        if (used > 0) {
            buf_consume(&k->in, used);
            return ERR_OK;
        }
        e = wait_for(k, POLLIN, deadline);
        if (e != ERR_OK)
            return e;
        char *room = buf_reserve(&k->in, 4096);
        if (!room)
            return ERR_SYNTAX;
        ssize_t n = recv(k->fd, room, 4096, 0);
        if (n > 0)
            buf_added(&k->in, (size_t)n);
        else if (n == 0 || (errno != EINTR && errno != EAGAIN && errno != EWOULDBLOCK))
            return ERR_CONNECT;
    }
}

static const struct {
    const char *word;
    unsigned cap;
} capability_words[] = {
    {"PIPELINING", TALK_PIPELINING}, {"SIZE", TALK_SIZE},         {"DSN", TALK_DSN},
    {"8BITMIME", TALK_8BITMIME},     {"SMTPUTF8", TALK_SMTPUTF8}, {"XFORWARD", TALK_XFORWARD},
};

static unsigned capabilities(struct span ehlo_text)
{
    unsigned caps = 0;
    struct span line, rest = ehlo_text;
    bool more = true;
    while (more) {
        struct span word, args;
        more = span_cut(rest, '\n', &line, &rest);
        (void)span_cut(line, ' ', &word, &args);
        for (size_t i = 0; i < sizeof capability_words / sizeof *capability_words; i++)
            if (span_is_nocase(word, capability_words[i].word))
                caps |= capability_words[i].cap;
    }
    return caps;
}

enum err talk_open(const struct talk_peer *peer, struct talk_stop *stop, struct talk **out,
                   struct talk_reply *r)
{
    enum err e;
    char hello[COMMAND_MAX];
    struct talk *k = calloc(1, sizeof *k);
    if (!k)
        return ERR_NOMEM;
    k->stop = stop;
    buf_init(&k->in, SMTP_REPLY_MAX + 4096);
    k->fd = socket(peer->address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (k->fd < 0) {
        e = err_from_errno(errno);
        goto fail;
    }
    /* Without it the final dot waits 40 ms for the acknowledgement of the content (a UNIX socket has no such
     * option, and does not need it). */
    (void)setsockopt(k->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    if (connect(k->fd, peer->address, peer->address_len) != 0) {
        int failed = 0;
        socklen_t len = sizeof failed;
        if (errno != EINPROGRESS && errno != EINTR) {
            e = ERR_CONNECT;
            goto fail;
        }
        e = wait_for(k, POLLOUT, clock_mono_ms() + peer->connect_timeout_ms);
        if (e != ERR_OK)
            goto fail;
        if (getsockopt(k->fd, SOL_SOCKET, SO_ERROR, &failed, &len) != 0 || failed != 0) {
            e = ERR_CONNECT;
            goto fail;
        }
    }
    e = talk_read(k, peer->command_timeout_ms, r);
    if (e == ERR_OK && r->code != 220)
        e = ERR_SMTP_TEMPORARY; /* a 5yz greeting of our own MTA is trouble with the MTA, not with the letter
                                 */
    if (e != ERR_OK)
        goto fail;
    int n = snprintf(hello, sizeof hello, "EHLO %s\r\n", peer->helo);
    e = talk_write(k, hello, (size_t)n, peer->command_timeout_ms);
    if (e == ERR_OK)
        e = talk_read(k, peer->command_timeout_ms, r);
    if (e == ERR_OK && r->code != 250)
        e = ERR_SMTP_TEMPORARY;
    if (e != ERR_OK)
        goto fail;
    k->caps = capabilities(buf_span(&r->text));
    *out = k;
    return ERR_OK;
fail:
    talk_close(k);
    return e;
}

void talk_close(struct talk *k)
{
    if (!k)
        return;
    if (k->fd >= 0)
        close(k->fd);
    buf_free(&k->in);
    free(k);
}
