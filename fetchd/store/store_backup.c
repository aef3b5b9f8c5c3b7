/*
 * store_backup.c - see backup.h.
 */
#include "store/backup.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "store/store_handover.h"

enum err store_backup(struct store *s, const char *directory, const char *program, struct store_backup *out,
                      struct buf *why)
{
    struct backup_manifest facts = {.began_s = clock_now_s(), .journal = s->handover != NULL};
    struct site_key_info key;
    struct backup_dir *to = NULL;
    bool full = false;
    enum err err;

    if (s->engine->ops->backup == NULL) {
        buf_append_str(why, "a store in memory has no backup");
        return ERR_UNAVAILABLE;
    }
    if ((err = backup_dir_open(directory, true, &to, why)) != ERR_OK)
        return err;
    snprintf(facts.program, sizeof facts.program, "%s", program);
    for (size_t i = 0; i < BACKUP_EPOCHS_MAX && site_keys_info(s->keys, i, &key); i++)
        facts.epoch[facts.epoch_count++] = key.epoch;
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
