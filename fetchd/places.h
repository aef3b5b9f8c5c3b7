/*
 * places.h - where the store lies, and how it is opened, for the daemon and for what works while it does not
 * run.
 */
#ifndef FETCHD_PLACES_H
#define FETCHD_PLACES_H

#include "settings/settings.h"
#include "store/store.h"

#define PLACES_PATH_BYTES 4096
/* journal: room for the handover journal's path; borrowed, as the settings' paths are. */
struct store_options places_store_options(const struct settings *s, char journal[PLACES_PATH_BYTES]);

#endif
