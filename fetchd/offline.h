/*
 * offline.h - what is done to a store while no daemon has it open. One thread; as root it becomes the
 * daemon's user after the site keys were read.
 */
#ifndef FETCHD_OFFLINE_H
#define FETCHD_OFFLINE_H

#include <stdbool.h>

#include "base/buf.h"
#include "settings/settings.h"

/* Puts a backup in the store's place (store/backup.h), and prints what came of it. */
enum err offline_restore(const struct settings *s, const char *directory, bool replace, struct buf *why);

/* Looks at all of the store (store/verify.h), and prints a line for each finding and one at the end. *wrong:
 * something is wrong still. */
enum err offline_check(const struct settings *s, bool repair, bool deep, bool *wrong, struct buf *why);

#endif
