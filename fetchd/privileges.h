/*
 * privileges.h - giving up root. Before threads that matter are started; main thread only.
 */
#ifndef FETCHD_PRIVILEGES_H
#define FETCHD_PRIVILEGES_H

#include <sys/types.h>

#include "base/buf.h"

/* The user that restante.conf names; uid and gid of the process itself for "" or when it is not root.
 * ERR_CONFIG with *why. */
enum err privileges_user(const char *user, uid_t *uid, gid_t *gid, struct buf *why);
/* Becomes that user for good: groups, gid, uid, no new privileges, no core files. Nothing but the last two
 * when the process is not root or user is "". */
enum err privileges_drop(const char *user, struct buf *why);

#endif
