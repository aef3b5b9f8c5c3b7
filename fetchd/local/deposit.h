/*
 * deposit.h - POST /1/deposit: a JSON head, '\n', then the raw letter, sealed chunk by chunk while it
 * arrives. Answered 201 with the tickets once they are durable; a stream that ends before END_STREAM leaves
 * nothing.
 */
#ifndef LOCAL_DEPOSIT_H
#define LOCAL_DEPOSIT_H

#include "http/server.h"

/* For http_stream, on env->work; env is a struct env. */
void deposit_handle(void *env, struct http_exchange *x);

#endif
