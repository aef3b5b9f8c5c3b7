/*
 * fold.h - text from elsewhere made fit for a header field of ours. Thread-safe.
 */
#ifndef MAIL_FOLD_H
#define MAIL_FOLD_H

#include "base/buf.h"

#define FOLD_COLUMNS 77     /* RFC 5322 2.1.1: should */
#define FOLD_LINE_MAX 998   /* RFC 5322 2.1.1: must */
#define FOLD_FIELD_MAX 8192 /* octets of a value */

/* Appends the text in one line: control characters become blanks, blanks at the ends go. */
enum err fold_clean(const char *text, struct buf *out);
/* Appends "name: value", folded at the value's blanks below FOLD_COLUMNS where possible, and CRLF. Unfolding
 * gives the same value again. ERR_TOO_LARGE when a line would still exceed FOLD_LINE_MAX: nothing is appended
 * then. */
enum err fold_field(struct buf *out, const char *name, struct span value);

#endif
