/*
 * bounce.h - POST /1/bounce: what came to a stub's reverse-path. A report that the stub failed ends the
 * ticket, once; other reports are only logged; anything else is passed on to the letter's sender.
 */
#ifndef LOCAL_BOUNCE_H
#define LOCAL_BOUNCE_H

#include "http/server.h"

/* For http_stream, on env->work; env is a struct env. */
void bounce_handle(void *env, struct http_exchange *x);

#endif
