/*
 * arf.h - complaints in the Abuse Reporting Format (RFC 5965): a message for people and programs about
 * another message. Thread-safe.
 */
#ifndef MAIL_ARF_H
#define MAIL_ARF_H

#include <stdint.h>

#include "base/buf.h"

/* Everything borrowed; NULL or "" for what is not known. Text may be of the network's making. */
struct arf {
    const char *from, *to;           /* addresses */
    const char *message_id;          /* of the complaint, without <> */
    const char *user_agent;          /* "Restante/0.1.0" */
    const char *reporting_mta;       /* host name */
    const char *mail_from, *rcpt_to; /* of the message complained about */
    const char *source_ip;
    const char *authentication_results; /* the field's value */
    const char *domain;                 /* whom it is about */
    const char *uri;                    /* and which address of his; nothing in it may be a secret */
    /* fields of our own (RFC 5965 3.5) */
    const char *verified_domain, *link_host, *certificate_issuer, *certificate_serial, *ticket;
    int64_t arrival_s, date_s;
    const char *explanation; /* plain sentences, LF line ends */
    struct span
        header; /* the message's header as far as it is known, CRLF line ends, without the empty line */
};
/* Appends the whole message, CRLF line ends. What is not ASCII stands in encoded words, but in the
 * explanation and in the header of the message complained about: it needs 8BITMIME then. */
enum err arf_format(const struct arf *a, struct buf *out);

#endif
