/*
 * callbacks.h - the milter as libmilter runs it. The only room that knows libmilter.
 */
#ifndef MILTER_CALLBACKS_H
#define MILTER_CALLBACKS_H

#include <stdint.h>

#include "base/buf.h"
#include "milter/session.h"

/*
 * Tells libmilter who we are and opens the socket ("unix:/path" or "inet:port@host"; a UNIX socket that
 * nobody serves any more is removed, nothing else ever is). From then on MTAs may connect; they wait until
 * callbacks_run(). site is borrowed until that returns. ERR_CONFIG,
 * ERR_EXISTS (somebody serves the socket), ERR_IO; *why gets a printable reason.
 */
enum err callbacks_open(const struct session_site *site, const char *where, struct buf *why);
/* Serves until SIGTERM, SIGHUP or SIGINT, which libmilter takes itself. ERR_IO when the library fails. */
enum err callbacks_run(void);

#endif
