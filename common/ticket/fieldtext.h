/*
 * fieldtext.h - text with any UTF-8 in the value of an HTTP field (docs/PROTOCOL.md, "Field text"): letters,
 * digits and -._~@+= stand for themselves, every other octet is %XX with upper-case digits. One spelling a
 * value: an encoded octet that needs no encoding is an error. Thread-safe.
 */
#ifndef TICKET_FIELDTEXT_H
#define TICKET_FIELDTEXT_H

#include "base/buf.h"

/* Appends the encoded text. ERR_BAD_BYTES when it is not UTF-8 or holds a control character (U+0000 to
 * U+001F, U+007F); nothing is appended then. */
enum err fieldtext_encode(struct span text, struct buf *out);
/* Appends the decoded text. ERR_SYNTAX for another spelling than fieldtext_encode's, ERR_BAD_BYTES for no
 * UTF-8 or control characters; nothing is appended then. */
enum err fieldtext_decode(struct span value, struct buf *out);

#endif
