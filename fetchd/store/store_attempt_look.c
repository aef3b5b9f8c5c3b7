/*
 * store_attempt_look.c - looking at contact attempts: one sender's row, or a list, the newest first.
 */
#include <stdlib.h>
#include <string.h>

#include "store/attempt.h"
#include "store/attempt_row.h"

enum err attempt_row_read(struct store *s, struct span key, struct attempt_record *r)
{
    struct buf value;
    enum err err;

    buf_init(&value, STORE_VALUE_MAX);
    memset(r, 0, sizeof *r);
    err = store_read(s, TABLE_ATTEMPT, key, &value);
    if (err == ERR_OK)
        err = attempt_record_decode(buf_span(&value), r);
    if (err == ERR_OK)
        err = attempt_record_open(s->keys, key, r);
    buf_free(&value);
    return err;
}

enum err store_attempt_get(struct store *s, const char *mailbox, const char *sender, struct attempt *out)
{
    struct attempt_record *r = malloc(sizeof *r);
    struct record_key key;
    enum err err;

    if (r == NULL)
        return ERR_NOMEM;
    err = attempt_row_key(mailbox, sender, &key);
    if (err == ERR_OK)
        err = attempt_row_read(s, record_key_span(&key), r);
    if (err == ERR_OK)
        *out = r->a;
    free(r);
    return err;
}

enum err store_attempts(struct store *s, const char *mailbox, size_t limit,
                        bool (*each)(void *arg, const struct attempt *a), void *arg)
{
    struct attempt_record *r = malloc(sizeof *r);
    struct record_key box, from, until;
    uint8_t row[ATTEMPT_ROW_BYTES];
    struct span key, value;
    struct walk walk;
    int64_t last_s;
    enum err err = ERR_OK;

    if (r == NULL)
        return ERR_NOMEM;
    if (mailbox != NULL && (err = key_box(mailbox, &box)) != ERR_OK) {
        free(r);
        return err;
    }
    attempt_index_range(mailbox == NULL ? NULL : &box, &from, &until);
    walk_init(&walk, s, TABLE_ATTEMPT_TIME, from, until, true);
    while (limit > 0 && (err = walk_next(&walk, &key, &value)) == ERR_OK) {
        if (!attempt_index_parse(key, row, &last_s)) {
            err = ERR_STORE;
            break;
        }
        err = attempt_row_read(s, span_bytes(row, sizeof row), r);
        /* Gone or moved meanwhile: a row is given once. Damaged: said so at opening. */
        if (err == ERR_NOT_FOUND || err == ERR_STORE || (err == ERR_OK && r->a.last_s != last_s))
            continue;
        if (err != ERR_OK)
            break;
        limit--;
        if (!each(arg, &r->a))
            break;
    }
    walk_free(&walk);
    free(r);
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}
