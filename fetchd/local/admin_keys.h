/*
 * admin_keys.h - the site keys, for root alone; never a key's octets.
 *
 *   GET  /1/keys             {"keys": [{epoch, state, since, until, retired, fingerprint}...]}; state is
 * "current", "in use", "unused" (may be retired) or "retired" POST /1/keys?reload=yes  the file of the site
 * keys is read again POST /1/keys?retire=N    an epoch is over; its key is forgotten, and may be destroyed
 *
 * Both answer the list as it is then. It takes a look through the store.
 */
#ifndef LOCAL_ADMIN_KEYS_H
#define LOCAL_ADMIN_KEYS_H

#include "env/env.h"
#include "http/server.h"

/* For http_collect without a body; env is a struct env. */
void admin_keys_show(void *env, struct http_exchange *x);
void admin_keys_change(void *env, struct http_exchange *x);

/* Reads the file again, and seals anew what would keep an old key alive. On error the old keys stay.
 * ERR_CONFIG, ERR_IO with "file:line: message" in *why. Thread-safe. */
enum err admin_keys_reload(const struct env *env, struct buf *why);

#endif
