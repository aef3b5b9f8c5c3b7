/*
 * announce.h - a ticket's stub, made again from the site key and handed to our own MTA with an envelope that
 * brings bounces back to us. Thread-safe.
 */
#ifndef LIFECYCLE_ANNOUNCE_H
#define LIFECYCLE_ANNOUNCE_H

#include "env/env.h"
#include "store/store.h"

struct smtp_result;

/* env: keys, site, stubs_out. Blocks; *result says what the MTA did with it. ERR_ADDRESS, ERR_NOT_FOUND (the
 * site key of its epoch is gone), ERR_NOMEM: nothing was sent. */
enum err announce_send(const struct env *env, const struct ticket *t, struct smtp_result *result);

#endif
