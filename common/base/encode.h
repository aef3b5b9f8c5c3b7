/*
 * encode.h - hexadecimal, base64url (RFC 4648 section 5, no padding), escapes for logs and people, UTF-8
 * validity. Thread-safe.
 */
#ifndef BASE_ENCODE_H
#define BASE_ENCODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define ENCODE_HEX_LEN(bytes) ((bytes)*2)
#define ENCODE_B64_LEN(bytes) (((bytes)*8 + 5) / 6)

/* Writes ENCODE_HEX_LEN(len) lower-case digits and a NUL. */
void encode_hex(const uint8_t *in, size_t len, char *out);
/* Exactly len bytes from 2*len lower-case digits; ERR_SYNTAX on anything else (upper case too). */
enum err decode_hex(struct span in, uint8_t *out, size_t len);

/* Writes ENCODE_B64_LEN(len) characters and a NUL. */
void encode_b64url(const uint8_t *in, size_t len, char *out);
/* Exactly len bytes. No padding, no blanks, trailing bits must be zero (one spelling a value); else
 * ERR_SYNTAX. */
enum err decode_b64url(struct span in, uint8_t *out, size_t len);

/* Appends s with everything but printable ASCII shown as \xHH, and '\\' as "\\\\": safe in a log line or a
 * terminal. */
enum err encode_printable(struct buf *out, struct span s);

/* Appends s for people to read: well-formed UTF-8 stays, but what could move a cursor, break a line or turn
 * the direction of the text around it (control characters, U+061C, U+200E, U+200F, U+2028 to U+202E, U+2066
 * to U+2069), or cannot be seen (U+00AD, U+200B, U+2060...), is shown as \u{202E}, and bytes that are no
 * UTF-8 as \xHH. */
enum err encode_visible(struct buf *out, struct span s);

/* Well-formed UTF-8 (RFC 3629: no surrogates, no over-long forms, at most U+10FFFF). */
bool utf8_valid(struct span s);

#endif
