/*
 * dsn.h - delivery status notifications: writing them (RFC 3461, 3464, 6522), reading what bounces to a
 * stub's reverse-path, and xtext. Thread-safe.
 */
#ifndef MAIL_DSN_H
#define MAIL_DSN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

/* NOTIFY of RFC 3461 4.1 as bits; 0 means the parameter was not given (failure and delay are then expected).
 */
enum dsn_notify { DSN_NEVER = 1, DSN_SUCCESS = 2, DSN_FAILURE = 4, DSN_DELAY = 8 };
enum dsn_ret { DSN_RET_NONE, DSN_RET_FULL, DSN_RET_HDRS };

enum err dsn_notify_parse(struct span value, unsigned *out);  /* "SUCCESS,DELAY", any case; ERR_SYNTAX */
enum err dsn_notify_format(unsigned notify, struct buf *out); /* appends; nothing for 0 */
enum err dsn_ret_parse(struct span value, enum dsn_ret *out); /* "FULL" or "HDRS", any case; ERR_SYNTAX */
/* xtext (RFC 3461 4): ERR_SYNTAX on a malformed one. */
enum err dsn_xtext_decode(struct span in, struct buf *out);
enum err dsn_xtext_encode(struct span in, struct buf *out);
/* The value of ORCPT, "rfc822;Bob+2Bx@b.example" or "utf-8;j\x{FC}@b.example" (RFC 6533 3): appended as
 * type, ";" and the address in the clear (UTF-8). ERR_SYNTAX. */
enum err dsn_orcpt_decode(struct span in, struct buf *out);

enum dsn_action { DSN_FAILED, DSN_DELAYED, DSN_DELIVERED, DSN_RELAYED };

struct dsn {
    enum dsn_action action;
    const char *reporting_mta;   /* host name */
    const char *from_domain;     /* From: MAILER-DAEMON@<this> */
    const char *to;              /* the letter's reverse-path, "local@domain" */
    const char *message_id;      /* of the notification, without <> */
    const char *envid;           /* Original-Envelope-Id as given (xtext decoded), or NULL */
    const char *orcpt;           /* "rfc822;bob@b.example" as dsn_orcpt_decode has it, or NULL */
    const char *final_recipient; /* local@domain */
    const char *remote_mta;      /* or NULL */
    const char *status;      /* "5.1.1"; anything else becomes "5.0.0", "4.0.0" or "2.0.0" by the action */
    const char *diagnostic;  /* "550 5.1.1 ...", or NULL: of smtp type when it looks like a reply, cleaned of
                                control characters */
    const char *subject;     /* NULL: what the action is usually called */
    const char *explanation; /* plain sentences for the human part, LF line ends */
    const char *original_message_id; /* without <>, or NULL: goes into References */
    int64_t arrival_s, date_s;
    int64_t last_attempt_s, retry_until_s; /* 0: not told */
    bool
        smtputf8; /* it travels with SMTPUTF8: message/global types and addresses as they are (RFC 6533);
                     otherwise addresses that are not ASCII are written in ASCII, "utf-8;j\x{FC}@a.example" */
};
/* Appends the notification up to and including the header of its third part; the caller streams the original
 * after it (its header block without the empty line, or the whole letter when full), then dsn_end. All of it
 * may be 8bit. boundary (owned by the caller) is used by both. Values are cleaned of control characters and
 * folded. */
enum err dsn_begin(const struct dsn *d, bool full, char boundary[80], struct buf *out);
enum err dsn_end(const char *boundary, struct buf *out);

/* What a message to a stub's reverse-path says (RFC 3464): only what the house acts upon. */
struct dsn_report {
    bool is_report;         /* multipart/report; report-type=delivery-status */
    enum dsn_action action; /* of the first recipient part */
    char status[16];        /* "5.1.1", "" if absent */
    char *diagnostic;       /* owned; printable; NULL if absent */
    char *remote_mta;       /* owned; NULL if absent */
};
/* message: the whole message, or its beginning; CRLF or LF line ends. Never fails on content: what is no
 * report, or tells no action, has is_report false. ERR_NOMEM. On success release with dsn_report_free. */
enum err dsn_report_parse(struct span message, struct dsn_report *out);
void dsn_report_free(struct dsn_report *r);

#endif
