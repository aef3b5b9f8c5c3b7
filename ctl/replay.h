/*
 * replay.h - a message file, or an envelope alone, as restante-milter would show it to restante-fetchd: for
 * `restantectl explain`. Thread-safe.
 */
#ifndef CTL_REPLAY_H
#define CTL_REPLAY_H

#include "base/buf.h"

struct replay {       /* all borrowed; NULL: not given */
    const char *from; /* reverse-path; from the file: Return-Path */
    const char *to;   /* X-Original-To, else Delivered-To */
    const char
        *client; /* IP address; that of the topmost Received whose client is another host (a letter that was
                  * called for: of its Authentication-Results), which is then left out with all above it */
    const char *helo;      /* that of the same Received */
    const char *author;    /* From's value; the file's own, else `from` */
    const char *link_host; /* host[:port] of a stub to be made; that of a letter that was called for; the file
                              may be a stub itself */
    struct span message;   /* a file as it lies in a mailbox (LF or CRLF); empty: there is none */
};
/* Appends the JSON of a struct api_plan. ERR_SYNTAX with a sentence in *why for what is missing or malformed;
 * ERR_TOO_LARGE, ERR_NOMEM. */
enum err replay_format(const struct replay *r, struct buf *out, struct buf *why);

#endif
