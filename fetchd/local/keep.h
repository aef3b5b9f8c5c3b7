/*
 * keep.h - POST /1/keep: a message without a stub that waits as a contact attempt of the recipients named in
 * its head: a JSON head (that of a plan), '\n', then the raw letter, sealed chunk by chunk while it arrives.
 * Answered 201 once it is durable for each of them; a stream that ends before END_STREAM leaves nothing.
 */
#ifndef LOCAL_KEEP_H
#define LOCAL_KEEP_H

#include "http/server.h"

/* For http_stream, on env->work; env is a struct env. */
void keep_handle(void *env, struct http_exchange *x);

#endif
