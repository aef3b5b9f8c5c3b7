/*
 * reply.h - SMTP replies that a milter gives: from fetchd's answers, from our own errors, and in the form
 * that libmilter takes. Thread-safe.
 */
#ifndef MILTER_REPLY_H
#define MILTER_REPLY_H

#include <stdbool.h>

#include "base/buf.h"
#include "local/api.h"

/* Text longer than the struct is cut; what is not printable ASCII becomes '?'. */
void reply_set(struct api_reply *r, int smtp, const char *enhanced, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* 451 4.3.2: fetchd is away, or something is unclear. The client keeps its letter. */
void reply_unavailable(struct api_reply *r);

/*
 * What an answer that is no success says. Only a well-formed 4xx or 5xx reply is passed on; all else is
 * reply_unavailable(). permanent_fine: without it a 5xx is unavailable too, for calls where it could only be
 * a misunderstanding between milter and fetchd; HTTP 404 and 405 are such a misunderstanding always.
 */
void reply_from_answer(struct api_reply *r, int status, struct span json, bool permanent_fine);
/* 4xx or 5xx, enhanced status code (RFC 3463) of the same class. */
bool reply_is_refusal(const struct api_reply *r);

#define REPLY_TEXT_MAX 512 /* bytes, with the NUL */
/* The text as smfi_setreply wants it: '%' doubled, printable, never empty. */
void reply_milter_text(const struct api_reply *r, char out[REPLY_TEXT_MAX]);

#endif
