/*
 * replace.h - POST /1/replace?id=|message_id=[&recipient=]: the raw letter (CRLF line ends) in the place of
 * one that nobody has collected yet, sealed chunk by chunk while it arrives, as a deposit is, under the same
 * limits. Answered {"replace": [an outcome a ticket]} (recall_outcome.h), or an error: nothing was changed
 * then.
 */
#ifndef LOCAL_REPLACE_H
#define LOCAL_REPLACE_H

#include "http/server.h"

/* For http_stream, on env->work; env is a struct env. */
void replace_handle(void *env, struct http_exchange *x);

#endif
