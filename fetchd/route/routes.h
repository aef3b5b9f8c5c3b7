/*
 * routes.h - the administrator's table of domains (/etc/restante/domains): which recipients' mail is always
 * pulled, always plain, or decided by DNS.
 *
 * One "pattern  pull | plain | auto" a line, '#' comments, also behind the word. A pattern is user@domain,
 * domain, or .domain (everything below it; "." alone is everybody). The most telling pattern wins: the
 * address, then the domain, then its parents from the longest. Thread-safe.
 */
#ifndef ROUTE_ROUTES_H
#define ROUTE_ROUTES_H

#include "base/buf.h"
#include "mail/address.h"

enum route {
    ROUTE_AUTO,  /* as DNS says; plain while that is not known */
    ROUTE_PULL,  /* never plain */
    ROUTE_PLAIN, /* never a stub */
};

struct routes;

/* A missing file is an empty table. ERR_CONFIG with "file:line: message" in *why, ERR_IO, ERR_NOMEM. The
 * caller owns *out. */
enum err routes_load(const char *path, struct routes **out, struct buf *why);
/* The same from memory; name stands in messages. */
enum err routes_parse(const char *name, struct span text, struct routes **out, struct buf *why);
void routes_free(struct routes *r);
/* Reads the file again, and changes the whole table at once; after an error the old one stays. */
enum err routes_reload(struct routes *r, const char *path, struct buf *why);

enum route routes_find(const struct routes *r, const struct address *recipient);

#endif
