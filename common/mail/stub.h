/*
 * stub.h - the Restante-Stub header field and the small message around it (docs/PROTOCOL.md, "Stub").
 *
 * Strict: at most STUB_VALUE_MAX bytes, each tag once, no unknown tag, no control character but the folding
 * CRLF WSP. Thread-safe.
 */
#ifndef MAIL_STUB_H
#define MAIL_STUB_H

#include <stdbool.h>
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

/* Appends the complete field "Restante-Stub: ...CRLF", folded below 78 columns where possible.
 * ERR_STUB_SYNTAX when stub_parse would not take it, ERR_TOO_LARGE past STUB_VALUE_MAX. */
enum err stub_format(const struct stub *s, struct buf *out);

struct stub_message {
    const struct stub *stub;
    const char *from_field; /* the letter's From value, unfolded; "" or NULL: the reverse-path f= stands in */
    const char *message_id; /* of the stub itself, without <> */
    const char *subject;    /* NULL: none */
    const char *list_id;    /* as header_list_id gives it; NULL or "": none */
    bool bulk;              /* the letter is bulk mail: said by a Precedence field */
    int64_t date_s;
    bool smtputf8; /* it will travel with SMTPUTF8: what is not ASCII in From and Subject stays as it is;
                      otherwise it becomes encoded words (RFC 2047), but an address that is not ASCII stays */
};
/* Appends the whole message (CRLF line ends, no line of the header over 998 octets): From, To, Date,
 * Message-ID, Subject, List-Id, Precedence, MIME fields, the stub field, and a plain sentence for people
 * whose server does not pull. Auto-Submitted is not set: the letter's author is a person. Control characters
 * in From and Subject become blanks. ERR_STUB_SYNTAX for a message_id or list_id that is none; ERR_TOO_LARGE
 * as in stub_format. */
enum err stub_message_format(const struct stub_message *m, struct buf *out);

#endif
