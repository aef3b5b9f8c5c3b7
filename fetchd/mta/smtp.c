/*
 * smtp.c - the SMTP client for our own MTA's listeners (RFC 5321, 2920, 3461, 6531).
 *
 * Place in the flow: the outbox hands stubs and notifications to the MTA here, the puller hands letters. A
 * send is one transaction on one kept-open connection. What matters most is the moment of the final dot:
 * trouble before it means "not taken" (temporary, nothing is lost), trouble after it means "unclear" (RFC
 * 1047), and the two are never mixed up.
 */
#include "mta/smtp.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/netaddr.h"
#include "mta/reply.h"

#define COMMAND_MAX 8192
#define OUT_CHUNK 32768
#define IDLE_MS_MAX 60000    /* Postfix closes an idle client after 300 s, under stress after 10 */
#define TRANSACTIONS_MAX 100 /* then a fresh connection, so that the MTA may reshuffle its processes */

enum capability {
    CAP_PIPELINING = 1,
    CAP_SIZE = 2,
    CAP_DSN = 4,
    CAP_8BITMIME = 8,
    CAP_SMTPUTF8 = 16,
    CAP_XFORWARD = 32,
};

struct connection {
    int fd;
    struct buf in;
    unsigned caps;
    unsigned transactions;
    int64_t idle_since_ms;
    struct connection *next;
};

struct smtp_client {
    struct smtp_options o;
    char *server, *helo;
    struct sockaddr_storage addr;
    socklen_t addr_len;
    char relay[128];
    pthread_mutex_t lock; /* guards idle and idle_count */
    struct connection *idle;
    size_t idle_count;
};

/* ---- one connection
 * --------------------------------------------------------------------------------------------- */

static void connection_free(struct connection *k)
{
    if (!k)
        return;
    if (k->fd >= 0)
        close(k->fd);
    buf_free(&k->in);
    free(k);
}

static enum err wait_for(int fd, short events, int64_t deadline_ms)
{
    for (;;) {
        int64_t left = deadline_ms - clock_mono_ms();
        if (left <= 0)
            return ERR_TIMEOUT;
        struct pollfd p = {.fd = fd, .events = events};
        int n = poll(&p, 1, left > 1000000 ? 1000000 : (int)left);
        if (n > 0)
            return ERR_OK;
        if (n < 0 && errno != EINTR)
            return ERR_IO;
    }
}

/* Writes all; while it waits for the socket it does not read: replies are few and small. */
static enum err write_all(struct connection *k, const char *data, size_t len, int64_t timeout_ms)
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
            enum err e = wait_for(k->fd, POLLOUT, deadline);
            if (e != ERR_OK)
                return e;
        } else {
            return ERR_CONNECT;
        }
    }
    return ERR_OK;
}

struct reply {
    int code;
    char enhanced[12];
    struct buf text;
};

static void reply_init(struct reply *r)
{
    r->code = 0;
    r->enhanced[0] = '\0';
    buf_init(&r->text, 2048);
}

static enum err read_reply(struct connection *k, int64_t timeout_ms, struct reply *r)
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
        e = wait_for(k->fd, POLLIN, deadline);
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
    {"PIPELINING", CAP_PIPELINING}, {"SIZE", CAP_SIZE},         {"DSN", CAP_DSN},
    {"8BITMIME", CAP_8BITMIME},     {"SMTPUTF8", CAP_SMTPUTF8}, {"XFORWARD", CAP_XFORWARD},
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

static enum err connection_open(struct smtp_client *c, struct connection **out, struct reply *r)
{
    enum err e;
    char hello[COMMAND_MAX];
    struct connection *k = calloc(1, sizeof *k);
    if (!k)
        return ERR_NOMEM;
    buf_init(&k->in, SMTP_REPLY_MAX + 4096);
    k->fd = socket(c->addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (k->fd < 0) {
        e = err_from_errno(errno);
        goto fail;
    }
    /* Without it the final dot waits 40 ms for the acknowledgement of the content (a UNIX socket has no such
     * option, and does not need it). */
    (void)setsockopt(k->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    if (connect(k->fd, (struct sockaddr *)&c->addr, c->addr_len) != 0) {
        int failed = 0;
        socklen_t len = sizeof failed;
        if (errno != EINPROGRESS && errno != EINTR) {
            e = ERR_CONNECT;
            goto fail;
        }
        e = wait_for(k->fd, POLLOUT, clock_mono_ms() + c->o.connect_timeout_ms);
        if (e != ERR_OK)
            goto fail;
        if (getsockopt(k->fd, SOL_SOCKET, SO_ERROR, &failed, &len) != 0 || failed != 0) {
            e = ERR_CONNECT;
            goto fail;
        }
    }
    e = read_reply(k, c->o.command_timeout_ms, r);
    if (e == ERR_OK && r->code != 220)
        e = ERR_SMTP_TEMPORARY; /* a 5yz greeting of our own MTA is trouble with the MTA, not with the letter
                                 */
    if (e != ERR_OK)
        goto fail;
    int n = snprintf(hello, sizeof hello, "EHLO %s\r\n", c->helo);
    e = write_all(k, hello, (size_t)n, c->o.command_timeout_ms);
    if (e == ERR_OK)
        e = read_reply(k, c->o.command_timeout_ms, r);
    if (e == ERR_OK && r->code != 250)
        e = ERR_SMTP_TEMPORARY;
    if (e != ERR_OK)
        goto fail;
    k->caps = capabilities(buf_span(&r->text));
    *out = k;
    return ERR_OK;
fail:
    connection_free(k);
    return e;
}

/* A kept connection that is still open and silent, or NULL. */
static struct connection *idle_take(struct smtp_client *c)
{
    for (;;) {
        pthread_mutex_lock(&c->lock);
        struct connection *k = c->idle;
        if (k) {
            c->idle = k->next;
            c->idle_count--;
        }
        pthread_mutex_unlock(&c->lock);
        if (!k)
            return NULL;
        struct pollfd p = {.fd = k->fd, .events = POLLIN};
        /* Readable while we owe nothing: closed, or a 421. */
        if (clock_mono_ms() - k->idle_since_ms < IDLE_MS_MAX && k->in.len == 0 && poll(&p, 1, 0) == 0)
            return k;
        connection_free(k);
    }
}

static void idle_give(struct smtp_client *c, struct connection *k)
{
    k->idle_since_ms = clock_mono_ms();
    k->transactions++;
    pthread_mutex_lock(&c->lock);
    if (c->idle_count < c->o.idle_max && k->transactions < TRANSACTIONS_MAX) {
        k->next = c->idle;
        c->idle = k;
        c->idle_count++;
        k = NULL;
    }
    pthread_mutex_unlock(&c->lock);
    if (k) {
        (void)write_all(k, "QUIT\r\n", 6, 1000);
        connection_free(k);
    }
}

/* ---- one transaction
 * -------------------------------------------------------------------------------------------- */

/* An argument that reaches a command line must not end it. */
static bool argument_safe(const char *s)
{
    if (!s)
        return true;
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            return false;
    return true;
}

/* A parameter's value holds no blank either. */
static bool parameter_safe(const char *s)
{
    return argument_safe(s) && (!s || !strchr(s, ' '));
}

static bool envelope_safe(const struct smtp_envelope *e)
{
    return e->sender && e->recipient && argument_safe(e->sender) && argument_safe(e->recipient) &&
           parameter_safe(e->notify) && parameter_safe(e->orcpt) && parameter_safe(e->ret) &&
           parameter_safe(e->envid) && parameter_safe(e->body) && argument_safe(e->xforward_addr) &&
           argument_safe(e->xforward_name) && argument_safe(e->xforward_helo) &&
           argument_safe(e->xforward_ident);
}

static enum err mail_command(const struct connection *k, const struct smtp_envelope *e, struct buf *out)
{
    enum err rc = buf_printf(out, "MAIL FROM:<%s>", e->sender);
    if (rc == ERR_OK && (k->caps & CAP_SIZE) && e->size_bytes)
        rc = buf_printf(out, " SIZE=%llu", (unsigned long long)e->size_bytes);
    if (rc == ERR_OK && (k->caps & CAP_8BITMIME) && e->body)
        rc = buf_printf(out, " BODY=%s", e->body);
    if (rc == ERR_OK && e->smtputf8)
        rc = buf_append_str(out, " SMTPUTF8");
    if (rc == ERR_OK && (k->caps & CAP_DSN) && e->ret && *e->ret)
        rc = buf_printf(out, " RET=%s", e->ret);
    if (rc == ERR_OK && (k->caps & CAP_DSN) && e->envid && *e->envid)
        rc = buf_printf(out, " ENVID=%s", e->envid);
    return rc == ERR_OK ? buf_append_str(out, "\r\n") : rc;
}

static enum err rcpt_command(const struct connection *k, const struct smtp_envelope *e, struct buf *out)
{
    enum err rc = buf_printf(out, "RCPT TO:<%s>", e->recipient);
    if (rc == ERR_OK && (k->caps & CAP_DSN) && e->notify && *e->notify)
        rc = buf_printf(out, " NOTIFY=%s", e->notify);
    if (rc == ERR_OK && (k->caps & CAP_DSN) && e->orcpt && *e->orcpt)
        rc = buf_printf(out, " ORCPT=%s", e->orcpt);
    return rc == ERR_OK ? buf_append_str(out, "\r\n") : rc;
}

/* xtext (RFC 3461 4) of an XFORWARD attribute. */
static enum err xforward_attribute(struct buf *out, const char *name, const char *value)
{
    if (!value || !*value)
        return ERR_OK;
    enum err rc = buf_printf(out, " %s=", name);
    for (const char *p = value; rc == ERR_OK && *p; p++) {
        unsigned char c = (unsigned char)*p;
        rc = c > 0x20 && c < 0x7f && c != '+' && c != '=' ? buf_append_char(out, *p)
                                                          : buf_printf(out, "+%02X", c);
    }
    return rc;
}

static enum err xforward_command(const struct smtp_envelope *e, struct buf *out)
{
    size_t before = out->len;
    enum err rc = buf_append_str(out, "XFORWARD");
    size_t empty = out->len;
    if (rc == ERR_OK)
        rc = xforward_attribute(out, "NAME", e->xforward_name);
    if (rc == ERR_OK)
        rc = xforward_attribute(out, "ADDR", e->xforward_addr);
    if (rc == ERR_OK)
        rc = xforward_attribute(out, "HELO", e->xforward_helo);
    if (rc == ERR_OK)
        rc = xforward_attribute(out, "IDENT", e->xforward_ident);
    if (rc == ERR_OK && out->len == empty) {
        out->len = before;
        return ERR_OK;
    }
    return rc == ERR_OK ? buf_append_str(out, "\r\n") : rc;
}

static void result_reply(struct smtp_result *out, const struct reply *r)
{
    struct buf text;
    out->code = r->code;
    snprintf(out->enhanced, sizeof out->enhanced, "%s", r->enhanced);
    buf_init(&text, sizeof out->text - 1);
    for (size_t i = 0; i < r->text.len; i++) {
        char c = r->text.data[i];
        if (c == '\n')
            c = ' ';
        if ((unsigned char)c < 0x20 || (unsigned char)c >= 0x7f)
            c = '?';
        if (buf_append_char(&text, c) != ERR_OK)
            break;
    }
    snprintf(out->text, sizeof out->text, "%s", buf_cstr(&text));
    buf_free(&text);
}

static void result_refusal(struct smtp_result *out, const struct reply *r)
{
    result_reply(out, r);
    out->err = r->code >= 500 ? ERR_SMTP_PERMANENT : ERR_SMTP_TEMPORARY;
    /* The MTA shuts the channel: no word about this letter. */
    if (r->code == 421)
        out->err = ERR_SMTP_TEMPORARY;
}

static void result_trouble(struct smtp_result *out, enum err e, enum err meaning, const char *where)
{
    out->err = meaning;
    out->code = 0;
    snprintf(out->text, sizeof out->text, "%s: %s", where, err_text(e));
}

/* "Ok: queued as 4bXyz" (Postfix), "0A1B2C Message accepted for delivery" (Sendmail). */
static void queue_id_of(const char *text, char *out, size_t size)
{
    const char *p = strstr(text, "queued as ");
    if (p) {
        p += strlen("queued as ");
    } else if (strstr(text, " Message accepted")) {
        p = text;
    } else {
        return;
    }
    size_t n = strcspn(p, " ,;\r\n");
    if (n < size) {
        memcpy(out, p, n);
        out[n] = '\0';
    }
}

/* Reads the content, doubles dots at line starts, and writes it with the final dot. ERR_BAD_BYTES at a bare
 * CR or LF: such a letter must not reach any SMTP server (smuggling), and the caller drops the connection. */
static enum err send_content(struct connection *k, smtp_read read, void *arg, int64_t timeout_ms)
{
    enum err e = ERR_OK;
    char *in = malloc(OUT_CHUNK), *out = malloc(OUT_CHUNK * 2 + 8);
    bool line_start = true, after_cr = false;
    if (!in || !out) {
        e = ERR_NOMEM;
        goto done;
    }
    for (;;) {
        ssize_t n = read(arg, in, OUT_CHUNK);
        size_t filled = 0;
        if (n < 0) {
            e = ERR_IO;
            goto done;
        }
        if (n == 0)
            break;
        for (ssize_t i = 0; i < n; i++) {
            char c = in[i];
            if (after_cr != (c == '\n')) {
                e = ERR_BAD_BYTES;
                goto done;
            }
            if (line_start && c == '.')
                out[filled++] = '.';
            out[filled++] = c;
            line_start = c == '\n';
            after_cr = c == '\r';
        }
        e = write_all(k, out, filled, timeout_ms);
        if (e != ERR_OK)
            goto done;
    }
    if (after_cr) {
        e = ERR_BAD_BYTES;
        goto done;
    }
    if (!line_start)
        e = write_all(k, "\r\n", 2, timeout_ms);
done:
    free(in);
    free(out);
    return e;
}

/* What a step's reply must start with, and the words for its trouble. */
struct step {
    const char *name;
    int good; /* first digit */
    bool optional;
};

/* Returns true when the connection may be used again. *stale: the connection broke before any reply came, so
 * a kept one was dead already and the whole may be said again on a fresh one. */
static bool transaction(struct smtp_client *c, struct connection *k, const struct smtp_envelope *e,
                        smtp_read read, void *arg, struct smtp_result *out, bool *stale)
{
    bool reusable = false;
    struct buf commands;
    struct reply r;
    struct step steps[4];
    size_t step_count = 0;
    enum err rc;

    buf_init(&commands, COMMAND_MAX);
    reply_init(&r);
    if (e->smtputf8 && !(k->caps & CAP_SMTPUTF8)) {
        out->err = ERR_SMTP_PERMANENT;
        out->code = 550;
        snprintf(out->enhanced, sizeof out->enhanced, "5.6.7");
        snprintf(out->text, sizeof out->text, "the MTA does not offer SMTPUTF8");
        reusable = true;
        goto done;
    }
    rc = ERR_OK;
    if (k->caps & CAP_XFORWARD) {
        rc = xforward_command(e, &commands);
        if (rc == ERR_OK && commands.len > 0)
            steps[step_count++] = (struct step){"XFORWARD", 2, true};
    }
    size_t ends[4] = {commands.len};
    if (rc == ERR_OK)
        rc = mail_command(k, e, &commands);
    steps[step_count++] = (struct step){"MAIL", 2, false};
    ends[step_count - 1] = commands.len;
    if (rc == ERR_OK)
        rc = rcpt_command(k, e, &commands);
    steps[step_count++] = (struct step){"RCPT", 2, false};
    ends[step_count - 1] = commands.len;
    if (rc == ERR_OK)
        rc = buf_append_str(&commands, "DATA\r\n");
    steps[step_count++] = (struct step){"DATA", 3, false};
    ends[step_count - 1] = commands.len;
    if (rc != ERR_OK) {
        result_trouble(out, rc, rc == ERR_TOO_LARGE ? ERR_SMTP_PERMANENT : ERR_SMTP_TEMPORARY, "command");
        reusable = true;
        goto done;
    }

    bool pipelining = (k->caps & CAP_PIPELINING) != 0;
    size_t from = 0;
    bool refused = false;
    if (pipelining) {
        rc = write_all(k, commands.data, commands.len, c->o.command_timeout_ms);
        if (rc != ERR_OK) {
            *stale = true;
            result_trouble(out, rc, ERR_SMTP_TEMPORARY, "sending commands");
            goto done;
        }
    }
    for (size_t i = 0; i < step_count; i++) {
        if (!pipelining) {
            rc = write_all(k, commands.data + from, ends[i] - from, c->o.command_timeout_ms);
            from = ends[i];
            if (rc != ERR_OK) {
                *stale = i == 0;
                result_trouble(out, rc, ERR_SMTP_TEMPORARY, steps[i].name);
                goto done;
            }
        }
        rc = read_reply(k, c->o.command_timeout_ms, &r);
        if (rc != ERR_OK) {
            *stale = i == 0 && rc == ERR_CONNECT;
            if (!refused)
                result_trouble(out, rc, ERR_SMTP_TEMPORARY, steps[i].name);
            goto done;
        }
        if (r.code / 100 == steps[i].good || steps[i].optional)
            continue;
        /* The first refusal is the one that counts; with pipelining the later replies are read all the same.
         */
        if (!refused)
            result_refusal(out, &r);
        refused = true;
        if (!pipelining)
            break;
    }
    if (refused) {
        /* Pipelined DATA may have been let through without a recipient (RFC 2920 3.1): close rather than send
         * an empty letter. */
        bool data_open = pipelining && r.code == 354;
        if (!data_open) {
            rc = write_all(k, "RSET\r\n", 6, c->o.command_timeout_ms);
            if (rc == ERR_OK)
                rc = read_reply(k, c->o.command_timeout_ms, &r);
            reusable = rc == ERR_OK && r.code == 250;
        }
        goto done;
    }

    rc = send_content(k, read, arg, c->o.data_timeout_ms);
    if (rc != ERR_OK) {
        result_trouble(out, rc, rc == ERR_BAD_BYTES ? ERR_BAD_BYTES : ERR_SMTP_TEMPORARY, "content");
        goto done;
    }
    rc = write_all(k, ".\r\n", 3, c->o.data_timeout_ms);
    if (rc == ERR_OK)
        rc = read_reply(k, c->o.final_timeout_ms, &r);
    if (rc != ERR_OK) {
        result_trouble(out, rc, ERR_SMTP_UNCLEAR, "final answer");
        goto done;
    }
    if (r.code / 100 == 2) {
        result_reply(out, &r);
        out->err = ERR_OK;
        queue_id_of(out->text, out->queue_id, sizeof out->queue_id);
    } else {
        result_refusal(out, &r);
    }
    reusable = r.code != 421;
done:
    buf_free(&commands);
    buf_free(&r.text);
    return reusable;
}

/* ---- public
 * ----------------------------------------------------------------------------------------------------- */

enum err smtp_client_create(const struct smtp_options *o, struct smtp_client **out)
{
    enum err e = ERR_OK;
    char *host = NULL;
    struct smtp_client *c = calloc(1, sizeof *c);
    if (!c)
        return ERR_NOMEM;
    pthread_mutex_init(&c->lock, NULL);
    c->o = *o;
    c->server = strdup(o->server);
    c->helo = strdup(o->helo && *o->helo ? o->helo : "localhost");
    if (!c->server || !c->helo) {
        e = ERR_NOMEM;
        goto fail;
    }
    if (strncmp(c->server, "unix:", 5) == 0) {
        struct sockaddr_un *un = (struct sockaddr_un *)&c->addr;
        const char *path = c->server + 5;
        if (strlen(path) >= sizeof un->sun_path) {
            e = ERR_CONFIG;
            goto fail;
        }
        un->sun_family = AF_UNIX;
        memcpy(un->sun_path, path, strlen(path) + 1);
        c->addr_len = sizeof *un;
        snprintf(c->relay, sizeof c->relay, "%.100s", c->server);
    } else {
        struct netaddr a;
        uint16_t port;
        if (netaddr_split_host_port(span_of(c->server), 25, &host, &port) != ERR_OK ||
            netaddr_parse(span_of(host), &a) != ERR_OK) {
            e = ERR_CONFIG;
            goto fail;
        }
        c->addr_len = netaddr_to_sockaddr(&a, port, &c->addr);
        snprintf(c->relay, sizeof c->relay, "%s[%s]:%u", host, host, (unsigned)port);
    }
    free(host);
    *out = c;
    return ERR_OK;
fail:
    free(host);
    smtp_client_free(c);
    return e;
}

void smtp_client_free(struct smtp_client *c)
{
    if (!c)
        return;
    while (c->idle) {
        struct connection *k = c->idle;
        c->idle = k->next;
        (void)write_all(k, "QUIT\r\n", 6, 200);
        connection_free(k);
    }
    pthread_mutex_destroy(&c->lock);
    free(c->server);
    free(c->helo);
    free(c);
}

/* A fresh connection, or NULL with the trouble in *out. */
static struct connection *connection_for(struct smtp_client *c, struct smtp_result *out)
{
    struct connection *k = NULL;
    struct reply r;
    reply_init(&r);
    enum err rc = connection_open(c, &k, &r);
    if (rc == ERR_SMTP_TEMPORARY)
        result_reply(out, &r);
    else if (rc != ERR_OK)
        result_trouble(out, rc, ERR_SMTP_TEMPORARY, "connecting");
    if (rc != ERR_OK)
        out->err = ERR_SMTP_TEMPORARY;
    buf_free(&r.text);
    return k;
}

void smtp_send(struct smtp_client *c, const struct smtp_envelope *e, smtp_read read, void *arg,
               struct smtp_result *out)
{
    memset(out, 0, sizeof *out);
    snprintf(out->relay, sizeof out->relay, "%s", c->relay);
    if (!envelope_safe(e)) {
        result_trouble(out, ERR_BAD_BYTES, ERR_BAD_BYTES, "envelope");
        return;
    }
    struct connection *k = idle_take(c);
    bool stale = false;
    if (k) {
        if (transaction(c, k, e, read, arg, out, &stale)) {
            idle_give(c, k);
            return;
        }
        connection_free(k);
        if (!stale)
            return;
        *out = (struct smtp_result){0};
        snprintf(out->relay, sizeof out->relay, "%s", c->relay);
    }
    k = connection_for(c, out);
    if (!k)
        return;
    if (transaction(c, k, e, read, arg, out, &stale))
        idle_give(c, k);
    else
        connection_free(k);
}

void smtp_result_text(const struct smtp_result *r, char *out, size_t size)
{
    if (r->code)
        snprintf(out, size, "%d %s%s%s", r->code, r->enhanced, r->enhanced[0] ? " " : "", r->text);
    else
        snprintf(out, size, "%s", r->text[0] ? r->text : err_text(r->err));
}
