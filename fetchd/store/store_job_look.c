/*
 * store_job_look.c - looking at jobs: one by its id, those that are due, or a list.
 */
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "store/store_internal.h"

static enum err read_job(struct store *s, const uint8_t id[JOB_ID_BYTES], struct job_record *r,
                         struct buf *value)
{
    enum err err = store_read(s, TABLE_JOB, span_bytes(id, JOB_ID_BYTES), value);

    secret_wipe(r, sizeof *r);
    return err == ERR_OK ? job_record_decode(s->keys, buf_span(value), id, r) : err;
}

enum err store_job_get(struct store *s, const uint8_t id[JOB_ID_BYTES], struct job *out)
{
    struct job_record *r = calloc(1, sizeof *r);
    struct buf value;
    enum err err;

    if (r == NULL)
        return ERR_NOMEM;
    buf_init(&value, STORE_VALUE_MAX);
    err = read_job(s, id, r, &value);
    if (err == ERR_OK)
        *out = r->j;
    buf_free(&value);
    job_record_free(r);
    return err;
}

enum err store_jobs_due(struct store *s, int64_t now_s, int64_t grace_s, uint8_t (*ids)[JOB_ID_BYTES],
                        size_t max, size_t *count)
{
    struct job_record *r = calloc(1, sizeof *r);
    struct walk walk;
    struct span key, value;
    struct buf record;
    size_t n = 0;
    enum err err = ERR_OK;

    if (r == NULL)
        return ERR_NOMEM;
    buf_init(&record, STORE_VALUE_MAX);
    walk_init(&walk, s, TABLE_JOB_DUE, record_key_time(0, NULL, 0), record_key_time(now_s + 1, NULL, 0),
              false);
    while (n < max && (err = walk_next(&walk, &key, &value)) == ERR_OK) {
        uint8_t id[JOB_ID_BYTES];
        int64_t due_s;

        if (!record_key_time_parse(key, sizeof id, &due_s, id)) {
            err = ERR_STORE;
            break;
        }
        /* First taken, then looked at again, as in store_work_due. */
        if (!grace_take(s->job_grace, span_bytes(id, sizeof id), grace_s * 1000))
            continue;
        err = store_read(s, TABLE_JOB, span_bytes(id, sizeof id), &record);
        if (err == ERR_OK)
            err = job_record_peek(buf_span(&record), r);
        if (err == ERR_OK && !job_state_ended(r->j.state) && r->j.due_s == due_s) {
            memcpy(ids[n++], id, sizeof id);
            continue;
        }
        grace_give_back(s->job_grace, span_bytes(id, sizeof id));
        if (err != ERR_OK && err != ERR_NOT_FOUND && err != ERR_STORE)
            break;
    }
    walk_free(&walk);
    buf_free(&record);
    job_record_free(r);
    if (err == ERR_NOT_FOUND || n > 0)
        err = ERR_OK;
    if (err == ERR_OK)
        *count = n;
    return err;
}

enum err store_jobs(struct store *s, int state, size_t limit, bool (*each)(void *arg, const struct job *j),
                    void *arg)
{
    struct job_record *r = calloc(1, sizeof *r);
    struct record_key all = {.len = 0};
    struct walk walk;
    struct span key, value;
    enum err err = ERR_OK;

    if (r == NULL)
        return ERR_NOMEM;
    walk_init(&walk, s, TABLE_JOB, all, all, false);
    while (limit > 0 && (err = walk_next(&walk, &key, &value)) == ERR_OK) {
        if (key.len != JOB_ID_BYTES) {
            err = ERR_STORE;
            break;
        }
        secret_wipe(r, sizeof *r);
        err = job_record_peek(value, r);
        if (err == ERR_OK && state >= 0 && (int)r->j.state != state)
            continue;
        secret_wipe(r, sizeof *r);
        err = job_record_decode(s->keys, value, (const uint8_t *)key.ptr, r);
        if (err == ERR_STORE)
            continue; /* damaged: said so at opening */
        if (err != ERR_OK)
            break;
        limit--;
        if (!each(arg, &r->j))
            break;
    }
    walk_free(&walk);
    job_record_free(r);
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}
