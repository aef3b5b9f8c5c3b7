/*
 * places.c - see places.h.
 */
#include "places.h"

#include <stdio.h>
#include <string.h>

#define DEDUPE_S 86400 /* the same letter again within this gets the existing ticket */

/* NULL: there is to be none. */
static const char *journal_directory(const struct settings *s, char own[PLACES_PATH_BYTES])
{
    if (strcmp(s->handover_journal, "none") == 0)
        return NULL;
    snprintf(own, PLACES_PATH_BYTES, "%s/handover", s->data_directory);
    return s->handover_journal[0] ? s->handover_journal : own;
}

struct store_options places_store_options(const struct settings *s, char journal[PLACES_PATH_BYTES])
{
    return (struct store_options){.engine = STORE_BDB,
                                  .directory = s->data_directory,
                                  .record_max_bytes = s->payload_record_max_bytes,
                                  .cache_bytes = s->store_cache_bytes,
                                  .dedupe_s = DEDUPE_S,
                                  .tombstone_s = s->tombstone_s,
                                  .disk_floor_percent = s->disk_floor_percent,
                                  .handover_directory = journal_directory(s, journal),
                                  .handover_keep_s = s->max_retention_s + s->tombstone_s};
}
