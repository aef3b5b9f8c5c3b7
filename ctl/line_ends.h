/*
 * line_ends.h - a letter in a file as people edit them, with the line ends that mail has (RFC 5321 2.3.8:
 * CRLF alone). What the first line ends with says what the file has; a line that ends otherwise, a bare CR
 * and a NUL are errors: they would mean something else than what the editor shows. Belongs to one thread.
 */
#ifndef CTL_LINE_ENDS_H
#define CTL_LINE_ENDS_H

#include "base/buf.h"

struct line_ends { /* all zero at the beginning */
    enum { LINE_ENDS_UNKNOWN, LINE_ENDS_LF, LINE_ENDS_CRLF } kind;
    char last;
    uint64_t lines; /* so far: the mistake is in the next one */
};
/* Appends the file's next bytes; at most twice as many come out, and two at the end. ERR_BAD_BYTES, or what
 * buf_append says. */
enum err line_ends_feed(struct line_ends *l, const char *data, size_t len, struct buf *out);
/* At the end: a last line without an end gets one. */
enum err line_ends_finish(struct line_ends *l, struct buf *out);

#endif
