/*
 * smtp.h - a small SMTP client for our own MTA's listeners: injection of letters, stubs and notifications.
 * EHLO, PIPELINING, SIZE, DSN (RFC 3461), 8BITMIME, SMTPUTF8, XFORWARD, kept-open connections.
 *
 * A struct smtp_client is thread-safe; each send uses one connection of its own (kept ones first).
 */
#ifndef MTA_SMTP_H
#define MTA_SMTP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"

struct smtp_client;
struct smtp_options {
    const char *server; /* "host:port" numeric, or "unix:/path" */
    const char *helo;   /* our host name */
    int64_t connect_timeout_ms, command_timeout_ms, data_timeout_ms,
        final_timeout_ms; /* RFC 5321 4.5.3.2 as maxima */
    size_t idle_max;      /* kept connections */
};
enum err smtp_client_create(const struct smtp_options *o, struct smtp_client **out);
/* From now on every send, under way or begun later, ends within grace_ms: half of it is for what has not been
 * sent whole (then ERR_SMTP_TEMPORARY, stopped), all of it for the answer to what has (then
 * ERR_SMTP_UNCLEAR). */
void smtp_client_stop(struct smtp_client *c, int64_t grace_ms);
void smtp_client_free(struct smtp_client *c);

struct smtp_envelope {
    const char *sender; /* "" for the null reverse-path */
    const char *recipient;
    const char *notify;      /* NOTIFY value or NULL */
    const char *orcpt;       /* ORCPT value (xtext) or NULL */
    const char *ret, *envid; /* or NULL */
    const char *body;        /* "8BITMIME" or NULL */
    bool smtputf8;
    uint64_t size_bytes;                                                        /* 0: unknown */
    const char *xforward_addr, *xforward_name, *xforward_helo, *xforward_ident; /* NULL: not sent */
};
/* The content, read in order: returns bytes, 0 at the end, -1 on error. CRLF line ends; dot-stuffing is done
 * here; a missing last CRLF is added. */
typedef ssize_t (*smtp_read)(void *arg, void *out, size_t max);

struct smtp_result {
    enum err err; /* OK, SMTP_TEMPORARY (4yz or connection trouble before the final dot), SMTP_PERMANENT
                     (5yz), SMTP_UNCLEAR (no answer after the final dot: it may have been taken) */
    bool stopped; /* SMTP_TEMPORARY because of smtp_client_stop: says nothing of the MTA or the letter */
    int code;     /* 0 when no reply came */
    char enhanced[12];
    char text[512];    /* the reply's text, printable */
    char queue_id[64]; /* from Postfix's "queued as" or Sendmail's answer, "" when unknown */
    char relay[128];   /* "host[address]:port" for the log */
};
void smtp_send(struct smtp_client *c, const struct smtp_envelope *e, smtp_read read, void *arg,
               struct smtp_result *out);

/* "550 5.1.1 no such user", for logs, records and notifications; the error's text when no reply came. What
 * does not fit into size bytes is cut. */
void smtp_result_text(const struct smtp_result *r, char *out, size_t size);

#endif
