/*
 * reply.h - one SMTP reply out of a stream of bytes. Pure, thread-safe.
 */
#ifndef MTA_REPLY_H
#define MTA_REPLY_H

#include "base/buf.h"

#define SMTP_REPLY_MAX 16384     /* bytes of one reply, all its lines */
#define SMTP_REPLY_LINE_MAX 4096 /* RFC 5321 4.5.3.1.5 says 512; be liberal */

/*
 * One reply, possibly of several lines; these are joined by LF in text (what does not fit its bound is cut).
 * *used: bytes consumed, 0 when more is needed. enhanced: the first line's enhanced status code, "" without
 * one. ERR_SYNTAX.
 */
enum err smtp_reply_parse(struct span in, size_t *used, int *code, char enhanced[12], struct buf *text);

#endif
