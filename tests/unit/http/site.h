/*
 * site.h - a small real server for tests: what a router and handlers of every kind do. Linked into the unit
 * tests, and as a program of its own (http_site) for clients in other languages.
 *
 *   GET  /hello        "hello\n"
 *   *    /echo         the whole body back (up to 1 MiB, else 413)
 *   POST /count        streamed: how many bytes came
 *   POST /take/N       streamed: answers 452 with JSON when N bytes have come, or 200 at the end
 *   *    /refuse       403 by the router, at once
 *   GET  /file?N       N bytes from a file, byte i being i * 7 mod 251
 *   GET  /broken       a file that is shorter than was promised
 *   *    /wait         200 after site_open_gate
 *   *    /hold         200 from another thread, after the handler has returned
 *   GET  /peer         what is known of the client
 *   GET  /name?HOST    whether the client's certificate has that name
 *   GET  /field?NAME   the value of a field
 *   *    /silent       a handler that forgets to answer
 *   GET  /inject       a field with a line break in it
 */
#ifndef TESTS_SITE_H
#define TESTS_SITE_H

#include "http/server.h"

struct site {
    struct pool *pool;
    struct http_server *server;
    char directory[64];
    char socket_path[128];
};

extern struct http_limits site_limits; /* used by the next site_start; generous */

/* With a UNIX socket; TLS if address is not NULL (certificate as in *tls). Exits the test on failure. */
void site_start(struct site *s, const char *address, const struct http_tls *tls);
/* Ends the server and starts another at the same UNIX socket. */
void site_restart(struct site *s);
void site_stop(struct site *s);

/* What happened so far, counted over all sites of the program. */
unsigned site_released(void);      /* states released */
unsigned site_states(void);        /* states made */
unsigned site_sent(bool complete); /* on_sent calls */
unsigned site_handled(void);       /* handlers that ran */
void site_close_gate(void);
void site_open_gate(void);
unsigned site_at_gate(void);

#endif
