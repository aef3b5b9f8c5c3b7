/*
 * session.h - the nghttp2 session of a connection: turns frames into events of exchanges, and counts those
 * that carry nothing. On the loop's thread.
 */
#ifndef HTTP_SESSION_H
#define HTTP_SESSION_H

#include "http/connection.h"

/* Makes c->session and submits our SETTINGS. False: out of memory; the caller drops the connection. */
bool session_open(struct connection *c);

#endif
