/*
 * message.h - one message as an MTA shows it to a milter: envelope, header and the reply it may earn.
 *
 * Collecting alone: nothing here decides or talks to anybody. A struct message belongs to one thread at a
 * time and may move between threads.
 */
#ifndef MILTER_MESSAGE_H
#define MILTER_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/netaddr.h"
#include "local/api.h"
#include "mail/domain_set.h"

#define MESSAGE_FIELD_MAX API_LETTER_FIELD_MAX
#define MESSAGE_ROWS_MAX 16 /* names of fields that fetchd is shown */
/* The header block is in memory until its end. */
#define MESSAGE_HEADER_MAX ((size_t)4 * 1024 * 1024)

/* Who speaks to the MTA. Text is owned by the struct; NULL means not known. */
struct message_client {
    char *host;    /* name found by the MTA; NULL for "[192.0.2.1]" and the like */
    char *address; /* IP address */
    struct netaddr netaddr;
    bool has_netaddr;
    int port;
    char *helo;
    bool local_pipe; /* address and port are those that Postfix invents for mail without an SMTP session */
};

/*
 * host, peer: as xxfi_connect gets them; peer may be NULL. Copies. ERR_NOMEM.
 *
 * Mail that came by sendmail(1) is shown by Postfix as a session from "localhost", 127.0.0.1 or ::1, port 0.
 * No TCP client can have port 0, so a program that connects over loopback is never taken for sendmail(1).
 */
enum err message_client_init(struct message_client *c, const char *host, const struct sockaddr *peer);
enum err message_client_helo(struct message_client *c, const char *helo);
void message_client_free(struct message_client *c);

struct message {
    struct api_plan plan;    /* envelope and the fields that matter; owned */
    char **given_recipient;  /* each envrcpt argument to the letter, as smfi_delrcpt wants it; owned */
    size_t recipient_room;   /* allocated */
    size_t recipients_given; /* all that were shown; more than recipient_count when there are too many */
    size_t field_room;
    size_t shown[MESSAGE_ROWS_MAX]; /* fields of each such name */
    struct buf header;              /* the block as it was sent, without the empty line */
    bool has_stub;                  /* a Restante-Stub field was seen */
    uint64_t body_bytes;
    int64_t began_ms;         /* monotonic */
    struct api_reply refusal; /* smtp != 0: what makes the message impossible, the first of it */
    struct api_reply cut;     /* smtp != 0: a field is so long that the MTA may have cut it; whoever deposits
                                 this letter must be told so */
};

void message_init(struct message *m);
void message_free(struct message *m); /* leaves an initialised, empty one */

/*
 * The MAIL command: argv[0] is the reverse-path with or without <>, then the ESMTP parameters, NULL at the
 * end. Unknown parameters are passed over. auth: authenticated user or NULL. domains: {restante_domains}.
 * ERR_NOMEM.
 */
enum err message_mail(struct message *m, const struct message_client *client, const char *domains,
                      char *const *argv, const char *auth);
/* The RCPT command, mailer: {rcpt_mailer} or NULL, resolved: {rcpt_addr} or NULL, asked when the command
 * names no user@domain. Past API_RECIPIENTS_MAX recipients they are only counted.
 */
enum err message_rcpt(struct message *m, char *const *argv, const char *mailer, const char *resolved);
enum err message_queue_id(struct message *m, const char *id); /* NULL: no change */
/*
 * A header field as it was before the MTA took it apart: name ":" value CRLF, '\n' in the value as CRLF; the
 * blank after the colon belongs to the value (SMFIP_HDR_LEADSPC). A field longer than MESSAGE_FIELD_MAX sets
 * m->cut to 552 5.3.4. A header that is too large, or one field too many, sets m->refusal to it and is left
 * out. ERR_NOMEM.
 */
enum err message_field(struct message *m, const char *name, const char *value);

/* Whether the reverse-path's domain is an enabled one, or that of some recipient. */
bool message_sender_enabled(const struct message *m, const struct domain_set *enabled);
bool message_recipient_enabled(const struct message *m, const struct domain_set *enabled);

#endif
