/*
 * stub.h - the Restante-Stub header field and the small message around it (docs/PROTOCOL.md, "Stub").
 *
 * Strict: at most STUB_VALUE_MAX bytes, each tag once, no unknown tag, no control character but the folding
 * CRLF WSP. Thread-safe.
 */
#ifndef MAIL_STUB_H
#define MAIL_STUB_H

#include <stdint.h>

#include "base/buf.h"
#include "mail/address.h"

#define STUB_FIELD_NAME "Restante-Stub"
#define STUB_VALUE_MAX 4096 /* bytes */
#define STUB_URL_MAX 512    /* bytes */
#define STUB_KEY_BYTES 32

struct stub {
    char url[STUB_URL_MAX + 1]; /* https URL in canonical form; read further by ticket_url_parse */
    uint8_t ka[STUB_KEY_BYTES]; /* secret: authorises a request */
    uint8_t kd[STUB_KEY_BYTES]; /* secret: opens the payload's wrap */
    struct address from;        /* f= */
    struct address to;          /* t= */
    uint64_t size_bytes;        /* s= octets of the letter, at most 2^50 */
    int64_t expires_s;          /* x= UTC seconds */
};

/* Reads the field's value (folding as it stands). ERR_STUB_SYNTAX, or ERR_BAD_BYTES for bare CR, LF, NUL,
 * controls; *why (may be NULL) gets a printable reason. On success release with stub_wipe. */
enum err stub_parse(struct span value, struct stub *out, struct buf *why);
void stub_wipe(struct stub *s);

/* Appends the complete field "Restante-Stub: ...CRLF", folded below 78 columns where possible. */
enum err stub_format(const struct stub *s, struct buf *out);

struct stub_message {
    const struct stub *stub;
    const char *from_field; /* the letter's From value, unfolded */
    const char *message_id; /* of the stub itself, without <> */
    const char *subject;    /* NULL: none */
    int64_t date_s;
};
/* Appends the whole message (CRLF line ends): From, To, Date, Message-ID, Subject, Auto-Submitted: no is not
 * set, MIME fields, the stub field, and a plain sentence for people whose server does not pull. */
enum err stub_message_format(const struct stub_message *m, struct buf *out);

#endif
