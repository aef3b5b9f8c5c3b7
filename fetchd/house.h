/*
 * house.h - everything that restante-fetchd holds open, opened and closed in the right order. Main thread
 * only.
 */
#ifndef FETCHD_HOUSE_H
#define FETCHD_HOUSE_H

#include "base/buf.h"

struct settings;
struct house;

/* What can be said of the configuration without opening anything: settings, domains table. ERR_CONFIG, ERR_IO
 * with *why. */
enum err house_check(const struct settings *settings, struct buf *why);
/* The site's first key, where there is none and no store either: owned by the daemon's user, readable by
 * nobody else. ERR_CONFIG, ERR_IO with *why. */
enum err house_make_keys(const struct settings *settings, struct buf *why);
/* As root where that is needed: site keys (made on the very first start), certificates, HTTPS listeners.
 * settings are borrowed. failed is called, from any thread, when the process must stop and be started again.
 */
enum err house_open(const struct settings *settings, void (*failed)(void *arg), struct house **out,
                    struct buf *why);
/* After privileges were dropped: store, pools, outbox, puller, local sockets; then it serves. */
enum err house_start(struct house *h, struct buf *why);
/* The table of domains, the site keys, and certificate and key, are read again; what is in error stays as it
 * was. The log says which. */
void house_reload(struct house *h);
/* Lets go of everything, with grace for what is under way. NULL is fine. */
void house_close(struct house *h);

#endif
