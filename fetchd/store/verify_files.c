/*
 * verify_files.c - payload files that no record names. The sweep would remove them some time, for what a
 * broken-off deposit left is of no use to anybody; here nobody knows that it is that, so they are put aside.
 */
#include <unistd.h>

#include "store/verify_internal.h"

/* First asked whether it is under way, for who ceases to be has committed or removed it. */
static enum err is_named(struct verify *v, struct span id, bool *named)
{
    struct payload_record p = {.in_blob = true};
    enum err err;

    *named = true;
    if (grace_held(v->s->keeping, id))
        return ERR_OK;
    err = store_read(v->s, TABLE_PAYLOAD, id, &v->value);
    if (err == ERR_OK && payload_record_decode(buf_span(&v->value), &p) == ERR_OK)
        *named = p.in_blob;
    else if (err == ERR_NOT_FOUND)
        *named = false;
    return err == ERR_NOT_FOUND ? ERR_OK : err;
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
