/*
 * answer.h - the two shapes of the local API's answers: a JSON body, or an error as JSON. After these a
 * handler must not touch the exchange.
 */
#ifndef LOCAL_ANSWER_H
#define LOCAL_ANSWER_H

#include "base/buf.h"
#include "http/server.h"
#include "local/api.h"

/* Takes the buffer's memory. */
void answer_json(struct http_exchange *x, int status, struct buf *json);
/* The table's status, SMTP code and text; text (may be NULL) in the place of the table's. */
void answer_error(struct http_exchange *x, enum err e, const char *text);
void answer_reply(struct http_exchange *x, const struct api_reply *reply);
/* A reply as the table has it, with another text (NULL: the table's). */
struct api_reply answer_reply_of(enum err e, const char *text);

#endif
