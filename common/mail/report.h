/*
 * report.h - what all multipart/report messages (RFC 6522) of this house have in common: the boundary, the
 * part for people, and fields of the part for machines. Thread-safe.
 */
#ifndef MAIL_REPORT_H
#define MAIL_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

#define REPORT_BOUNDARY_MAX 80

/* A boundary that is in no message. */
enum err report_boundary(char out[REPORT_BOUNDARY_MAX]);
/* Appends sentences for people, given with LF line ends: over-long lines are broken, control characters
 * become blanks. */
enum err report_text(const char *text, struct buf *out);
/* Appends the first part with such sentences. */
enum err report_explanation(const char *boundary, const char *text, struct buf *out);
/* Appends "name: value", folded; value in one line. A word of a thousand octets: nothing is appended, rather
 * than something broken. */
enum err report_field(struct buf *out, const char *name, const struct buf *value);
enum err report_date(struct buf *out, const char *name, int64_t utc_s);
/* Whether there is nothing but ASCII in it. */
bool report_is_ascii(struct span text);

#endif
