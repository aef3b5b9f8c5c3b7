/*
 * offline.c - see offline.h.
 */
#include "offline.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "places.h"
#include "privileges.h"
#include "store/backup.h"
#include "ticket/keyfile.h"

static enum err begin(const struct settings *s, struct site_keys **keys, struct buf *why)
{
    enum err e = keyfile_load(s->site_keys_file, keys, why);

    return e ? e : privileges_drop(s->user, why);
}

/* ---- restore */

static void print_restored(const struct settings *s, const struct store_restored *r)
{
    char began[CLOCK_ISO_MAX];

    clock_iso(r->began_s, began);
    printf("restored: backup %llu of %s\n", (unsigned long long)r->number, began);
    if (r->aside[0])
        printf("the store that was there: %s/db%s and payload%s\n", s->data_directory, r->aside, r->aside);
    if (r->covered)
        printf("handover journal: all that happened since, %zu notes\n", r->notes);
    else
        printf("handover journal: not of all the time since (%s), %zu notes\n", r->gap, r->notes);
    printf("letters that something happened to since: %zu\n", r->changed);
    printf("letters that were replaced since, and are lost: %zu\n", r->replaced);
    printf("letters that came since, and are lost: %zu\n", r->lost);
    printf("letters perhaps handed over since: %zu\n", r->perhaps);
    printf("letters received that something happened to since: %zu\n", r->jobs);
}

enum err offline_restore(const struct settings *s, const char *directory, bool replace, struct buf *why)
{
    char journal[PLACES_PATH_BYTES];
    const struct store_options options = places_store_options(s, journal);
    struct site_keys *keys = NULL;
    struct store_restored restored;
    enum err e = begin(s, &keys, why);

    if (!e && !(e = store_restore(&options, keys, directory, replace, &restored, why)))
        print_restored(s, &restored);
    site_keys_free(keys);
    return e;
}
