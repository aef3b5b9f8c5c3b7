/*
 * fields.h - the HTTP field names and fixed words of the ticket protocol (docs/PROTOCOL.md, "Requests"), so
 * that the serving and the calling side share one spelling. Lower case, as HTTP/2 sends them.
 */
#ifndef TICKET_FIELDS_H
#define TICKET_FIELDS_H

#define FIELD_AUTHORIZATION "authorization"
#define FIELD_AUTHORIZATION_SCHEME "Restante" /* compared without case; one blank, then base64url of Ka */

/* On every answer. */
#define FIELD_RESTANTE "restante"
#define FIELD_RESTANTE_VALUE "1"
#define FIELD_CACHE_CONTROL "cache-control"
#define FIELD_CACHE_CONTROL_VALUE "no-store"
#define FIELD_ERROR "restante-error" /* err_name(), on answers of 400 and above; for logs alone */

/* Requests. */
#define FIELD_LEASE "restante-lease"         /* base64url of 16 bytes */
#define FIELD_SENDER "restante-sender"       /* field text; claim and its answer */
#define FIELD_RECIPIENT "restante-recipient" /* field text; claim and its answer */
#define FIELD_FROM "restante-from"           /* field text */
#define FIELD_DIGEST "restante-digest"       /* base64url of 32 bytes */
#define FIELD_REASON "restante-reason"       /* nack, and the answer 410 */
#define FIELD_TEXT "restante-text"           /* field text */
#define FIELD_STATUS "restante-status"       /* FIELD_STATUS_HELD | FIELD_STATUS_CHALLENGE */
#define FIELD_STATUS_HELD "held"
#define FIELD_STATUS_CHALLENGE "challenge"
#define FIELD_CHALLENGE "restante-challenge" /* https URL */
#define FIELD_RANGE "range"
#define FIELD_IF_RANGE "if-range"

/* Answers. */
#define FIELD_WRAP "restante-wrap"       /* base64url of 48 bytes */
#define FIELD_SIZE "restante-size"       /* decimal octets of the letter */
#define FIELD_VERSION "restante-version" /* decimal, from 1 */
#define FIELD_EXPIRES "restante-expires" /* decimal UTC seconds */
#define FIELD_NOTIFY "restante-notify"   /* NOTIFY of RFC 3461 as the sender gave it */
#define FIELD_ETAG "etag"
#define FIELD_REPR_DIGEST "repr-digest" /* sha-256=:<base64>: of the sealed bytes */
#define FIELD_CONTENT_LOCATION "content-location"
#define FIELD_CONTENT_RANGE "content-range"
#define FIELD_CONTENT_TYPE_SEALED "application/octet-stream"
#define FIELD_RETRY_AFTER "retry-after" /* seconds, never a date */

/* Verbs: the last path segment. */
#define VERB_CLAIM "claim"
#define VERB_ACK "ack"
#define VERB_NACK "nack"
#define VERB_STATUS "status"

/* Reasons of a 410. */
#define GONE_ACKED "acked"
#define GONE_REFUSED "refused"
#define GONE_RETRACTED "retracted"
#define GONE_EXPIRED "expired"
#define GONE_BOUNCED "bounced"
#define GONE_PLAIN "plain"
#define GONE_UNCONFIRMED "unconfirmed"

/* Reasons of a nack. A server takes any word of the same form (1 to 31 of a-z, 0-9, '-'). */
#define NACK_MTA_REFUSED "mta-refused"   /* our MTA answered 5yz; the text is its reply */
#define NACK_TOO_LARGE "too-large"       /* above our limit */
#define NACK_CORRUPT "corrupt"           /* the sealed payload never opened */
#define NACK_FROM_CHANGED "from-changed" /* the letter's From: contradicts what the link host confirmed */
#define NACK_MALFORMED "malformed"       /* the opened letter has a bare CR or LF */
#define NACK_DENIED "denied"             /* the recipient does not want it */
#define NACK_REASON_MAX 31
#define NACK_TEXT_MAX 511 /* octets, decoded */

#endif
