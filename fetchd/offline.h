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

#endif
