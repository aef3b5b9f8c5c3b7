/*
 * api.h - the words of the local API (HTTP/2 over UNIX sockets) as structs, and their JSON. The milter writes
 * what fetchd reads and the other way round; both use these functions, so the wire format stands in one
 * place.
 *
 * All char pointers are owned by the struct and released by its _free function; NULL means absent. Parsers
 * refuse unknown members, wrong types, control characters and anything over the stated bounds with
 * ERR_SYNTAX. Formatting appends one line of JSON without a line break; an address that is no UTF-8 or has
 * control characters is ERR_ADDRESS, other such text ERR_SYNTAX (client_name and helo are merely shown, and
 * get
 * '?' for what does not fit). Thread-safe.
 */
#ifndef LOCAL_API_H
#define LOCAL_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define API_PLAN_PATH "/1/plan"
#define API_DEPOSIT_PATH "/1/deposit"
#define API_NOTICE_PATH "/1/notice"
#define API_BOUNCE_PATH "/1/bounce"
#define API_TICKETS_PATH "/1/tickets"
#define API_JOBS_PATH "/1/jobs"
#define API_STATUS_PATH "/1/status"
#define API_KEEP_PATH "/1/keep"         /* messages without a stub that wait as contact attempts */
#define API_ATTEMPTS_PATH "/1/attempts" /* GET ?mailbox= */
#define API_RULES_PATH "/1/rules"       /* GET ?mailbox= */
#define API_ALLOW_PATH "/1/allow"       /* POST ?mailbox=&sender=[&until=][&note=][&domain=] */
#define API_DENY_PATH "/1/deny"         /* the same */
#define API_FORGET_PATH "/1/forget"     /* POST ?mailbox=&sender= */
#define API_POLICY_PATH "/1/policy"     /* GET, POST ?name=... */
#define API_TOKENS_PATH "/1/tokens"     /* GET ?mailbox=; POST ?mailbox=... adds */
#define API_REVOKE_PATH "/1/revoke"     /* POST ?mailbox=&token= */
#define API_EXPLAIN_PATH "/1/explain"   /* POST: the JSON of a struct api_plan */
#define API_COMPLAIN_PATH "/1/complain" /* GET ?id= shows the report, POST sends it */
#define API_TICKET_PATH "/1/ticket"     /* GET ?id=: one ticket with what happened to it */
#define API_RETRACT_PATH "/1/retract"   /* POST ?id= or ?message_id=, [&recipient=] */
#define API_REPLACE_PATH "/1/replace"   /* POST ?id= or ?message_id=, [&recipient=]: the raw letter */
#define API_HOLD_PATH "/1/hold"         /* POST ?id= or ?message_id=, [&recipient=]&hold=yes|no[&note=] */
#define API_QUOTA_PATH "/1/quota"       /* GET [?name=] */
#define API_KEYS_PATH "/1/keys"         /* GET; POST ?reload=yes, ?retire=EPOCH */
#define API_BACKUP_PATH "/1/backup"     /* POST ?directory= */
#define API_CHECK_PATH "/1/check"       /* POST [?repair=yes][&deep=yes] */
#define API_RECIPIENTS_MAX 5000
#define API_FIELDS_MAX 20000
#define API_RECEIVED_MAX 60 /* Received fields that a milter shows, from the top */
#define API_FIELD_CUT                                                                                        \
    4096 /* bytes of a value in what is merely read: List-Id, Precedence, Received, Subject */
/* Postfix cuts a field at about 60,000 bytes for every milter, and in the mail itself; a letter with such a
 * field would not be kept as it was sent. Counted is the whole field as it goes over the wire, final CRLF
 * included. */
#define API_LETTER_FIELD_MAX 58999
#define API_FIELD_REPEATS 4 /* of each of these but Received */
#define API_NOTICE_MAX                                                                                       \
    ((size_t)512 * 1024) /* bytes of a notice: a stub is 4 KiB, and 60 Received fields are bounded */
#define API_HEAD_MAX ((size_t)4 * 1024 * 1024) /* bytes of one JSON head */

struct api_recipient {
    char *address; /* as in the envelope, without <> */
    char *notify;  /* NOTIFY= value as given, or NULL */
    char *orcpt;   /* ORCPT= value as given (xtext), or NULL */
    char *mailer;  /* {rcpt_mailer}, or NULL */
};

/* The envelope and session of one message, as a milter knows them. */
struct api_envelope {
    char *queue_id; /* macro i, or NULL */
    char *domains;  /* {restante_domains}: the enabled domains as main.cf gives them */
    char *sender;   /* reverse-path without <>; "" for the null one */
    char *body;     /* BODY= value, or NULL */
    char *ret;      /* RET= value, or NULL */
    char *envid;    /* ENVID= value (xtext), or NULL */
    bool smtputf8;
    char *client_address; /* IP address text, or NULL */
    char *client_name;
    int client_port; /* 0 for sendmail(1) through Postfix */
    char *helo;
    char *auth;        /* {auth_authen}, NULL when not authenticated */
    bool command_line; /* sendmail(1): no SMTP session */
    size_t recipient_count;
    struct api_recipient *recipient;
};

/* A header field that matters to a decision, raw. */
struct api_field {
    char *name;
    char *value; /* without the final CRLF, folding kept. Not always UTF-8: carried in JSON as base64url */
};

struct api_plan { /* POST /1/plan */
    struct api_envelope envelope;
    size_t field_count; /* From, Sender, Message-ID, Date, Content-Type, Auto-Submitted, Restante-Stub; and
                           List-Id, Precedence, Received, Subject, Restante-Retention within the bounds
                           above. In their order */
    struct api_field *field;
    uint64_t header_bytes;
};

enum api_kind {
    API_LETTER, /* of one who may submit: stub, plain, refuse */
    API_STUB,   /* send a notice */
    API_NONE,   /* nothing of ours, accept */
    API_LEGACY  /* from outside without a stub: plain, keep, drop, refuse */
};
enum api_verdict {
    API_VERDICT_STUB,
    API_VERDICT_PLAIN,
    API_VERDICT_REFUSE, /* only together with a refusal of the whole message */
    API_VERDICT_KEEP,   /* POST /1/keep, then delete the recipient */
    API_VERDICT_DROP    /* delete the recipient without a word */
};

struct api_reply {
    int smtp; /* 0 when there is none */
    char enhanced[12];
    char text[256]; /* printable */
};
struct api_plan_answer {
    enum api_kind kind;
    struct api_reply refuse; /* smtp != 0: refuse the whole message with it */
    size_t recipient_count;  /* as in the request, same order */
    enum api_verdict *verdict;
    bool want_body; /* some recipient is STUB or KEEP: deposit or keep the letter */
};

struct api_deposit {              /* POST /1/deposit: this JSON, '\n', the raw letter */
    struct api_envelope envelope; /* recipients: only those to become stubs */
};
struct api_deposit_answer {
    size_t ticket_count;
    char (*ticket)[33]; /* hex of A, in the order of the recipients */
};

struct api_notice {               /* POST /1/notice */
    struct api_envelope envelope; /* exactly one recipient */
    char *stub;                   /* the field's value, raw (base64url in JSON, as all raw values) */
    char *from;                   /* the stub's From value, raw */
    char *message_id;             /* raw */
    size_t field_count;           /* Auto-Submitted, List-Id, Precedence, Received, Subject, as in a plan */
    struct api_field *field;
};
/* Answer: struct api_reply; smtp 250 = accept and discard, 0 = let it pass as ordinary mail (the sender's
 * domain is testing, and nothing of his may be refused). */

/* POST /1/keep: the JSON of a struct api_plan whose recipients are those to be kept, '\n', the raw letter.
 * Answer: 201 with a struct api_reply when it is durable for each of them. */

/* POST /1/bounce: the JSON of a struct api_deposit (envelope with sender and exactly one recipient, the
 * stub's reverse-path), '\n', the raw message. Answer: struct api_reply; smtp 250 = taken care of. */

/* The value of the first field with this name (without case), or NULL. Borrows. */
const char *api_field_value(const struct api_field *field, size_t count, const char *name);

enum err api_plan_format(const struct api_plan *p, struct buf *out);
enum err api_plan_parse(struct span json, struct api_plan *out);
void api_plan_free(struct api_plan *p);
enum err api_plan_answer_format(const struct api_plan_answer *a, struct buf *out);
enum err api_plan_answer_parse(struct span json, struct api_plan_answer *out);
void api_plan_answer_free(struct api_plan_answer *a);
enum err api_deposit_format(const struct api_deposit *d, struct buf *out);
enum err api_deposit_parse(struct span json, struct api_deposit *out);
void api_deposit_free(struct api_deposit *d);
enum err api_deposit_answer_format(const struct api_deposit_answer *a, struct buf *out);
enum err api_deposit_answer_parse(struct span json, struct api_deposit_answer *out);
void api_deposit_answer_free(struct api_deposit_answer *a);
enum err api_notice_format(const struct api_notice *n, struct buf *out);
enum err api_notice_parse(struct span json, struct api_notice *out);
void api_notice_free(struct api_notice *n);
/* The reply to give for an error, from err.h's table; what is not printable in the text becomes '?'. */
void api_reply_of_error(enum err error, const char *text /* NULL: the table's */, struct api_reply *out);
/* {"error": "disk-full", "smtp": 452, "enhanced": "4.3.1", "text": "..."}: every error answer of the local
 * API. */
enum err api_error_format(enum err error, const char *text /* NULL: the table's */, struct buf *out);
enum err api_reply_format(const struct api_reply *r, struct buf *out);
/* Reads error answers too. A reply code is 0 or 200..599, and the enhanced code's class agrees with it. */
enum err api_reply_parse(struct span json, struct api_reply *out);

#endif
