/*
 * verify_files.c - the files that the store consists of.
 *
 * Payload files that no record names: the sweep would remove them some time, for what a broken-off deposit
 * left is of no use to anybody; here nobody knows that it is that, so they are put aside. The tables' files
 * are looked at while the store is not open.
 */
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "store/backup.h"
#include "store/verify_internal.h"

/* Whoever puts a file there takes it before, and gives it back when he has committed or removed it: so it is
 * asked first whether a file is being put there. Whoever removes one takes it before his commit, and gives it
 * back when the file is gone: so it is asked last whether one is being removed, or is gone already. */
static enum err is_named(struct verify *v, struct span id, bool *named)
{
    const struct engine_ops *ops = v->s->engine->ops;
    struct payload_record p = {.in_blob = true};
    uint64_t size;
    int fd;
    enum err err;

    *named = true;
    if (grace_held(v->s->keeping, id))
        return ERR_OK;
    err = store_read(v->s, TABLE_PAYLOAD, id, &v->value);
    if (err == ERR_OK && payload_record_decode(buf_span(&v->value), &p) == ERR_OK)
        *named = p.in_blob;
    if (err != ERR_NOT_FOUND)
        return err;
    if (grace_held(v->s->keeping, id))
        return ERR_OK;
    err = ops->blob_open(v->s->engine, (const uint8_t *)id.ptr, &fd, &size);
    if (err == ERR_OK)
        close(fd);
    *named = err == ERR_NOT_FOUND;
    return *named || verify_unreadable(err) ? ERR_OK : err;
}

static enum err put_aside(struct verify *v, const uint8_t id[ENGINE_BLOB_ID_BYTES])
{
    const struct engine_ops *ops = v->s->engine->ops;
    uint64_t size;
    enum err err = ops->blob_open(v->s->engine, id, &v->blob_fd, &size);

    if (err != ERR_OK) {
        v->blob_fd = -1;
        return err;
    }
    buf_clear(&v->value);
    buf_clear(&v->extra);
    err = verify_quarantine_bytes(v);
    close(v->blob_fd);
    v->blob_fd = -1;
    return err == ERR_OK ? ops->blob_remove(v->s->engine, id) : err;
}

static enum err look_at_file(struct verify *v, const uint8_t id[ENGINE_BLOB_ID_BYTES])
{
    bool named, repaired = false;
    enum err err = is_named(v, span_bytes(id, ENGINE_BLOB_ID_BYTES), &named);

    if (err != ERR_OK || named)
        return err;
    verify_begin(v, TABLE_PAYLOAD, span_bytes(id, ENGINE_BLOB_ID_BYTES));
    if (verify_problem(v, "payload-orphan", "a payload file is there that no record names")) {
        err = put_aside(v, id);
        repaired = err == ERR_OK;
    }
    if (err == ERR_NOT_FOUND) /* it went meanwhile */
        return ERR_OK;
    verify_tell(v, repaired);
    /* No quarantine, or nothing that can be opened: it stays. */
    return err == ERR_CANCELLED || verify_unreadable(err) ? ERR_OK : err;
}

enum err verify_files(struct verify *v)
{
    const struct engine_ops *ops = v->s->engine->ops;
    struct engine_blob_walk *walk = NULL;
    uint8_t id[ENGINE_BLOB_ID_BYTES];
    enum err err = ops->blob_walk_begin(v->s->engine, &walk);

    while (err == ERR_OK && (err = ops->blob_walk_next(walk, id)) == ERR_OK)
        err = look_at_file(v, id);
    ops->blob_walk_end(walk);
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

/* ---- tables -------------------------------------------------------------------------------------------- */

static const char *table_text(bool missing, bool derived, bool mended)
{
    if (mended)
        return missing ? "its file was not there: it is made anew from other tables"
                       : "the pages of its file did not fit together: it is made anew from other tables";
    if (derived)
        return missing
                   ? "its file is not there: a repair makes it anew from other tables"
                   : "the pages of its file do not fit together: a repair makes it anew from other tables";
    return missing ? "its file is not there: put it back, or go back to a backup"
                   : "the pages of its file do not fit together: go back to a backup";
}

static void table_found(void *arg, enum engine_table t, bool missing, bool derived, bool mended)
{
    struct verify *v = arg;
    const struct verify_finding f = {.what = missing ? "table-missing" : "table-damaged",
                                     .table = engine_table_name(t),
                                     .text = table_text(missing, derived, mended),
                                     .repaired = mended,
                                     .quarantine = ""};

    v->result->findings++;
    v->result->repaired += f.repaired;
    if (mended && !missing)
        verify_note(v, &f);
    if (v->o->each != NULL)
        v->o->each(v->o->arg, &f);
}

enum err store_verify_tables(const struct store_options *o, const struct verify_options *options,
                             struct verify_result *out, struct buf *why)
{
    struct verify v = {.o = options, .result = out, .now_s = clock_now_s(), .blob_fd = -1};
    const struct engine_look look = {.mend = options->repair && options->quarantine != NULL,
                                     .quarantine = options->quarantine,
                                     .each = table_found,
                                     .arg = &v};
    enum err err = o->engine == STORE_BDB ? store_restore_unfinished(o->directory, why) : ERR_OK;

    return err == ERR_OK && o->engine == STORE_BDB ? engine_bdb_look(o->directory, o->cache_bytes, &look, why)
                                                   : err;
}
