/*
 * smtp.c - the SMTP client for our own MTA's listeners (RFC 5321, 2920, 3461, 6531).
 *
 * Place in the flow: the outbox hands stubs and notifications to the MTA here, the puller hands letters. A
 * send is one transaction on one kept-open connection. What matters most is the moment of the final dot:
 * trouble before it means "not taken" (temporary, nothing is lost), trouble after it means "unclear" (RFC
 * 1047), and the two are never mixed up.
 */
#include "mta/smtp.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/netaddr.h"
#include "mta/smtp_command.h"
#include "mta/talk.h"

#define COMMAND_MAX 8192
#define OUT_CHUNK 32768
#define IDLE_MS_MAX 60000    /* Postfix closes an idle client after 300 s, under stress after 10 */
#define TRANSACTIONS_MAX 100 /* then a fresh connection, so that the MTA may reshuffle its processes */

struct smtp_client {
    struct smtp_options o;
    char *server, *helo;
    struct sockaddr_storage addr;
    socklen_t addr_len;
    char relay[128];
    struct talk_stop stop;
    pthread_mutex_t lock; /* guards idle and idle_count */
    struct talk *idle;
    size_t idle_count;
};

/* A kept connection that is still open and silent, or NULL. */
static struct talk *idle_take(struct smtp_client *c)
{
    for (;;) {
        pthread_mutex_lock(&c->lock);
        struct talk *k = c->idle;
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
        talk_close(k);
    }
}

static void idle_give(struct smtp_client *c, struct talk *k)
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
        (void)talk_write(k, "QUIT\r\n", 6, 1000);
        talk_close(k);
    }
}

/* ---- one transaction ----------------------------------------------------------------------------------- */

static void result_reply(struct smtp_result *out, const struct talk_reply *r)
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

static void result_refusal(struct smtp_result *out, const struct talk_reply *r)
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
    out->stopped = e == ERR_CANCELLED && meaning == ERR_SMTP_TEMPORARY;
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
static enum err send_content(struct talk *k, smtp_read read, void *arg, int64_t timeout_ms)
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
        e = talk_write(k, out, filled, timeout_ms);
        if (e != ERR_OK)
            goto done;
    }
    if (after_cr) {
        e = ERR_BAD_BYTES;
        goto done;
    }
    if (!line_start)
        e = talk_write(k, "\r\n", 2, timeout_ms);
done:
    free(in);
    free(out);
    return e;
}

/* One transaction on one connection. */
struct transaction {
    const struct smtp_client *c;
    struct talk *k;
    struct smtp_result *out;
    struct talk_reply r;
    /* The connection may be used again. */
    bool reusable;
    /* It broke before any reply came: a kept one was dead already, and the whole may be said again on a fresh
     * one. */
    bool stale;
};

/* After a refusal: ready for another transaction, or given up. */
static void reset(struct transaction *t, bool data_open)
{
    int64_t timeout_ms = t->c->o.command_timeout_ms;
    enum err e;

    /* Pipelined DATA may have been let through without a recipient (RFC 2920 3.1): close rather than send an
     * empty letter. */
    if (data_open)
        return;
    e = talk_write(t->k, "RSET\r\n", 6, timeout_ms);
    if (e == ERR_OK)
        e = talk_read(t->k, timeout_ms, &t->r);
    t->reusable = e == ERR_OK && t->r.code == 250;
}

/* Says the commands and hears what comes of them; false: not all were taken, and *t->out says why. */
static bool say_commands(struct transaction *t, struct span commands, const struct smtp_step *steps,
                         size_t count)
{
    bool pipelining = (t->k->caps & TALK_PIPELINING) != 0, refused = false;
    int64_t timeout_ms = t->c->o.command_timeout_ms;
    size_t from = 0;
    enum err e;

    if (pipelining && (e = talk_write(t->k, commands.ptr, commands.len, timeout_ms)) != ERR_OK) {
        t->stale = true;
        result_trouble(t->out, e, ERR_SMTP_TEMPORARY, "sending commands");
        return false;
    }
    for (size_t i = 0; i < count; from = steps[i++].end) {
        if (!pipelining) {
            e = talk_write(t->k, commands.ptr + from, steps[i].end - from, timeout_ms);
            if (e != ERR_OK) {
                t->stale = i == 0;
                result_trouble(t->out, e, ERR_SMTP_TEMPORARY, steps[i].name);
                return false;
            }
        }
        e = talk_read(t->k, timeout_ms, &t->r);
        if (e != ERR_OK) {
            t->stale = i == 0 && e == ERR_CONNECT;
            if (!refused)
                result_trouble(t->out, e, ERR_SMTP_TEMPORARY, steps[i].name);
            return false;
        }
        if (t->r.code / 100 == steps[i].good || steps[i].optional)
            continue;
        /* The first refusal is the one that counts; with pipelining the later replies are read all the same.
         */
        if (!refused)
            result_refusal(t->out, &t->r);
        refused = true;
        if (!pipelining)
            break;
    }
    if (refused)
        reset(t, pipelining && t->r.code == 354);
    return !refused;
}

/* The content and the final dot: trouble before it is temporary, after it unclear. */
static void say_content(struct transaction *t, smtp_read read, void *arg)
{
    enum err e = send_content(t->k, read, arg, t->c->o.data_timeout_ms);

    if (e != ERR_OK) {
        result_trouble(t->out, e, e == ERR_BAD_BYTES ? ERR_BAD_BYTES : ERR_SMTP_TEMPORARY, "content");
        return;
    }
    if (talk_stop_over(&t->c->stop)) { /* before the dot nothing is unclear */
        result_trouble(t->out, ERR_CANCELLED, ERR_SMTP_TEMPORARY, "content");
        return;
    }
    t->k->waits_for_dot = true;
    e = talk_write(t->k, ".\r\n", 3, t->c->o.data_timeout_ms);
    if (e == ERR_OK)
        e = talk_read(t->k, t->c->o.final_timeout_ms, &t->r);
    t->k->waits_for_dot = false;
    if (e != ERR_OK) {
        result_trouble(t->out, e, ERR_SMTP_UNCLEAR, "final answer");
        return;
    }
    if (t->r.code / 100 == 2) {
        result_reply(t->out, &t->r);
        t->out->err = ERR_OK;
        queue_id_of(t->out->text, t->out->queue_id, sizeof t->out->queue_id);
    } else {
        result_refusal(t->out, &t->r);
    }
    t->reusable = t->r.code != 421;
}

/* Returns true when the connection may be used again. */
static bool transaction(struct smtp_client *c, struct talk *k, const struct smtp_envelope *e, smtp_read read,
                        void *arg, struct smtp_result *out, bool *stale)
{
    struct transaction t = {.c = c, .k = k, .out = out};
    struct smtp_step steps[SMTP_STEPS_MAX];
    struct buf commands;
    size_t count;
    enum err rc;

    if (e->smtputf8 && !(k->caps & TALK_SMTPUTF8)) {
        out->err = ERR_SMTP_PERMANENT;
        out->code = 550;
        snprintf(out->enhanced, sizeof out->enhanced, "5.6.7");
        snprintf(out->text, sizeof out->text, "the MTA does not offer SMTPUTF8");
        return true;
    }
    buf_init(&commands, COMMAND_MAX);
    talk_reply_init(&t.r);
    rc = smtp_commands(k->caps, e, &commands, steps, &count);
    if (rc != ERR_OK) {
        result_trouble(out, rc, rc == ERR_TOO_LARGE ? ERR_SMTP_PERMANENT : ERR_SMTP_TEMPORARY, "command");
        t.reusable = true;
    } else if (say_commands(&t, buf_span(&commands), steps, count)) {
        say_content(&t, read, arg);
    }
    buf_free(&commands);
    buf_free(&t.r.text);
    *stale = t.stale;
    return t.reusable;
}

/* ---- public -------------------------------------------------------------------------------------------- */

enum err smtp_client_create(const struct smtp_options *o, struct smtp_client **out)
{
    enum err e = ERR_OK;
    char *host = NULL;
    struct smtp_client *c = calloc(1, sizeof *c);
    if (!c)
        return ERR_NOMEM;
    pthread_mutex_init(&c->lock, NULL);
    c->o = *o;
    if ((e = talk_stop_init(&c->stop)) != ERR_OK)
        goto fail;
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
        struct talk *k = c->idle;
        c->idle = k->next;
        (void)talk_write(k, "QUIT\r\n", 6, 200);
        talk_close(k);
    }
    talk_stop_free(&c->stop);
    pthread_mutex_destroy(&c->lock);
    free(c->server);
    free(c->helo);
    free(c);
}

void smtp_client_stop(struct smtp_client *c, int64_t grace_ms)
{
    talk_stop_say(&c->stop, grace_ms);
}

/* A fresh connection, or NULL with the trouble in *out. */
static struct talk *connection_for(struct smtp_client *c, struct smtp_result *out)
{
    struct talk *k = NULL;
    struct talk_reply r;
    talk_reply_init(&r);
    const struct talk_peer peer = {.address = (struct sockaddr *)&c->addr,
                                   .address_len = c->addr_len,
                                   .helo = c->helo,
                                   .connect_timeout_ms = c->o.connect_timeout_ms,
                                   .command_timeout_ms = c->o.command_timeout_ms};
    enum err rc = talk_open(&peer, &c->stop, &k, &r);
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
    if (!smtp_envelope_safe(e)) {
        result_trouble(out, ERR_BAD_BYTES, ERR_BAD_BYTES, "envelope");
        return;
    }
    if (talk_stop_over(&c->stop)) {
        result_trouble(out, ERR_CANCELLED, ERR_SMTP_TEMPORARY, "stopping");
        return;
    }
    struct talk *k = idle_take(c);
    bool stale = false;
    if (k) {
        if (transaction(c, k, e, read, arg, out, &stale)) {
            idle_give(c, k);
            return;
        }
        talk_close(k);
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
        talk_close(k);
}

void smtp_result_text(const struct smtp_result *r, char *out, size_t size)
{
    if (r->code)
        snprintf(out, size, "%d %s%s%s", r->code, r->enhanced, r->enhanced[0] ? " " : "", r->text);
    else
        snprintf(out, size, "%s", r->text[0] ? r->text : err_text(r->err));
}
