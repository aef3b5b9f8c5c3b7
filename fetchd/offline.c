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
#include "store/verify.h"
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

/* ---- check */

static void print_finding(void *arg, const struct verify_finding *f)
{
    (void)arg;
    printf("%s: %s%s%s: %s%s%s%s\n", f->what, f->table, f->key[0] ? " " : "", f->key, f->text,
           f->repaired ? " (repaired)" : "", f->quarantine[0] ? ": in quarantine as " : "", f->quarantine);
}

static enum err check_rows(const struct store_options *options, const struct verify_options *verify,
                           struct site_keys *keys, struct verify_result *result, struct buf *why)
{
    struct verify_result rows;
    struct store *store = NULL;
    enum err e = store_open(options, keys, &store, why);

    if (!e && !(e = store_verify(store, verify, &rows))) {
        rows.findings += result->findings;
        rows.repaired += result->repaired;
        *result = rows;
        printf("%llu records, %llu rows: %llu wrong, %llu repaired\n", (unsigned long long)result->records,
               (unsigned long long)result->rows, (unsigned long long)result->findings,
               (unsigned long long)result->repaired);
    }
    store_close(store);
    return e;
}

enum err offline_check(const struct settings *s, bool repair, bool deep, bool *wrong, struct buf *why)
{
    char journal[PLACES_PATH_BYTES], quarantine[PLACES_PATH_BYTES];
    struct store_options options = places_store_options(s, journal);
    const struct verify_options verify = {
        .repair = repair, .deep = deep, .quarantine = quarantine, .each = print_finding};
    struct verify_result result = {.findings = 0};
    struct site_keys *keys = NULL;
    enum err e = begin(s, &keys, why);

    snprintf(quarantine, sizeof quarantine, "%s/quarantine", s->data_directory);
    options.repair = repair;
    if (!e)
        e = store_verify_tables(&options, &verify, &result, why);
    if (!e && result.findings > result.repaired)
        printf("%llu of the tables wrong, %llu repaired; the records were not looked at\n",
               (unsigned long long)result.findings, (unsigned long long)result.repaired);
    else if (!e)
        e = check_rows(&options, &verify, keys, &result, why);
    *wrong = !e && result.findings > result.repaired;
    site_keys_free(keys);
    return e;
}
