/*
 * store_backup.c - see backup.h.
 */
#include "store/backup.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "store/epochs.h"
#include "store/store_handover.h"

/* A site shares keys with its own last backup, be it ones that it has retired since, and has no other key for
 * an epoch. Backups of earlier versions do not tell. */
static enum err is_anothers(struct store *s, const struct backup_manifest *last,
                            const struct backup_manifest *own, bool *anothers)
{
    bool known = false, shared = false, other = false, met;
    enum err err = ERR_OK;

    for (size_t i = 0; i < last->epoch_count && err == ERR_OK; i++) {
        if (!last->known[i])
            continue;
        known = true;
        for (size_t j = 0; j < own->epoch_count; j++)
            if (last->epoch[i] == own->epoch[j] && own->known[j]) {
                met = memcmp(last->fingerprint[i], own->fingerprint[j], sizeof own->fingerprint[j]) == 0;
                shared = shared || met;
                other = other || !met;
            }
        err = store_epoch_met(s, (uint16_t)last->epoch[i], last->fingerprint[i], &met);
        shared = shared || (err == ERR_OK && met);
    }
    *anothers = other || (known && !shared);
    return err;
}

enum err store_backup(struct store *s, const char *directory, const char *program, struct store_backup *out,
                      struct buf *why)
{
    struct backup_manifest facts = {.began_s = clock_now_s(), .journal = s->handover != NULL};
    struct site_key_info key;
    struct backup_dir *to = NULL;
    bool full = false, anothers;
    enum err err;

    if (s->engine->ops->backup == NULL) {
        buf_append_str(why, "a store in memory has no backup");
        return ERR_UNAVAILABLE;
    }
    if ((err = backup_dir_open(directory, true, &to, why)) != ERR_OK)
        return err;
    snprintf(facts.program, sizeof facts.program, "%s", program);
    for (size_t i = 0; i < BACKUP_EPOCHS_MAX && site_keys_info(s->keys, i, &key); i++) {
        memcpy(facts.fingerprint[i], key.fingerprint, sizeof facts.fingerprint[i]);
        facts.known[i] = true;
        facts.epoch[facts.epoch_count++] = key.epoch;
    }
    err = is_anothers(s, backup_dir_last(to), &facts, &anothers);
    if (err == ERR_OK && anothers) {
        buf_printf(why, "%s holds a backup of another site, which has other site keys", directory);
        err = ERR_EXISTS;
    }
    if (err != ERR_OK) {
        if (why->len == 0)
            buf_printf(why, "%s: %s", directory, err_text(err));
        backup_dir_close(to);
        return err;
    }
    /* Taken first: what is not in the copy yet is noted behind this. */
    if (s->handover != NULL)
        handover_position(s->handover, &facts.at);
    backup_dir_facts(to, &facts);
    err = s->engine->ops->backup(s->engine, to, &full, why);
    if (err == ERR_OK) {
        out->number = backup_dir_last(to)->number;
        out->full = full;
        out->payloads = backup_dir_last(to)->payload_count;
        backup_dir_tally(to, &out->tally);
    } else if (why->len == 0) {
        buf_printf(why, "%s: %s", directory, err_text(err));
    }
    backup_dir_close(to);
    return err;
}
