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
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/netaddr.h"
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

static enum err mail_command(const struct talk *k, const struct smtp_envelope *e, struct buf *out)
{
    enum err rc = buf_printf(out, "MAIL FROM:<%s>", e->sender);
    if (rc == ERR_OK && (k->caps & TALK_SIZE) && e->size_bytes)
        rc = buf_printf(out, " SIZE=%llu", (unsigned long long)e->size_bytes);
    if (rc == ERR_OK && (k->caps & TALK_8BITMIME) && e->body)
        rc = buf_printf(out, " BODY=%s", e->body);
    if (rc == ERR_OK && e->smtputf8)
        rc = buf_append_str(out, " SMTPUTF8");
    if (rc == ERR_OK && (k->caps & TALK_DSN) && e->ret && *e->ret)
        rc = buf_printf(out, " RET=%s", e->ret);
    if (rc == ERR_OK && (k->caps & TALK_DSN) && e->envid && *e->envid)
        rc = buf_printf(out, " ENVID=%s", e->envid);
    return rc == ERR_OK ? buf_append_str(out, "\r\n") : rc;
}

static enum err rcpt_command(const struct talk *k, const struct smtp_envelope *e, struct buf *out)
{
    enum err rc = buf_printf(out, "RCPT TO:<%s>", e->recipient);
    if (rc == ERR_OK && (k->caps & TALK_DSN) && e->notify && *e->notify)
        rc = buf_printf(out, " NOTIFY=%s", e->notify);
    if (rc == ERR_OK && (k->caps & TALK_DSN) && e->orcpt && *e->orcpt)
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

/* What a step's reply must start with, and the words for its trouble. */
struct step {
    const char *name;
    int good; /* first digit */
    bool optional;
};

/* Returns true when the connection may be used again. *stale: the connection broke before any reply came, so
 * a kept one was dead already and the whole may be said again on a fresh one. */
static bool transaction(struct smtp_client *c, struct talk *k, const struct smtp_envelope *e, smtp_read read,
                        void *arg, struct smtp_result *out, bool *stale)
{
    bool reusable = false;
    struct buf commands;
    struct talk_reply r;
    struct step steps[4];
    size_t step_count = 0;
    enum err rc;

    buf_init(&commands, COMMAND_MAX);
    talk_reply_init(&r);
    if (e->smtputf8 && !(k->caps & TALK_SMTPUTF8)) {
        out->err = ERR_SMTP_PERMANENT;
        out->code = 550;
        snprintf(out->enhanced, sizeof out->enhanced, "5.6.7");
        snprintf(out->text, sizeof out->text, "the MTA does not offer SMTPUTF8");
        reusable = true;
        goto done;
    }
    rc = ERR_OK;
    if (k->caps & TALK_XFORWARD) {
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

    bool pipelining = (k->caps & TALK_PIPELINING) != 0;
    size_t from = 0;
    bool refused = false;
    if (pipelining) {
        rc = talk_write(k, commands.data, commands.len, c->o.command_timeout_ms);
        if (rc != ERR_OK) {
            *stale = true;
            result_trouble(out, rc, ERR_SMTP_TEMPORARY, "sending commands");
            goto done;
        }
    }
    for (size_t i = 0; i < step_count; i++) {
        if (!pipelining) {
            rc = talk_write(k, commands.data + from, ends[i] - from, c->o.command_timeout_ms);
            from = ends[i];
            if (rc != ERR_OK) {
                *stale = i == 0;
                result_trouble(out, rc, ERR_SMTP_TEMPORARY, steps[i].name);
                goto done;
            }
        }
        rc = talk_read(k, c->o.command_timeout_ms, &r);
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
            rc = talk_write(k, "RSET\r\n", 6, c->o.command_timeout_ms);
            if (rc == ERR_OK)
                rc = talk_read(k, c->o.command_timeout_ms, &r);
            reusable = rc == ERR_OK && r.code == 250;
        }
        goto done;
    }

    rc = send_content(k, read, arg, c->o.data_timeout_ms);
    if (rc != ERR_OK) {
        result_trouble(out, rc, rc == ERR_BAD_BYTES ? ERR_BAD_BYTES : ERR_SMTP_TEMPORARY, "content");
        goto done;
    }
    if (talk_stop_over(&c->stop)) { /* before the dot nothing is unclear */
        result_trouble(out, ERR_CANCELLED, ERR_SMTP_TEMPORARY, "content");
        goto done;
    }
    k->waits_for_dot = true;
    rc = talk_write(k, ".\r\n", 3, c->o.data_timeout_ms);
    if (rc == ERR_OK)
        rc = talk_read(k, c->o.final_timeout_ms, &r);
    k->waits_for_dot = false;
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
    if (!envelope_safe(e)) {
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
