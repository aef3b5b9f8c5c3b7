/*
 * store_payload.c - writing payloads as they are sealed, and reading them back.
 */
#include "store/store_payload.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/kill.h"
#include "base/log.h"
#include "base/secret.h"

#define READ_BACK_BYTES 65536

enum err store_disk_floor(struct store *s)
{
    uint64_t free_bytes, total_bytes;
    enum err err = s->engine->ops->space(s->engine, &free_bytes, &total_bytes);

    if (err != ERR_OK || total_bytes == 0)
        return err;
    return free_bytes < total_bytes / 100 * (uint64_t)s->disk_floor_percent ? ERR_DISK_FULL : ERR_OK;
}

enum err store_payload_begin(struct store *s, const uint8_t payload_id[SEAL_PAYLOAD_ID_BYTES],
                             struct store_payload **out)
{
    struct store_payload *p;
    enum err err = store_disk_floor(s);

    if (err != ERR_OK)
        return err;
    if ((p = calloc(1, sizeof *p)) == NULL)
        return ERR_NOMEM;
    p->s = s;
    memcpy(p->id, payload_id, sizeof p->id);
    buf_init(&p->bytes, (size_t)s->record_max_bytes);
    *out = p;
    return ERR_OK;
}

/* Too large for a record: what there is moves to a blob. */
static enum err spill(struct store_payload *p)
{
    const struct engine_ops *ops = p->s->engine->ops;
    enum err err = ops->blob_create(p->s->engine, &p->blob);

    if (err != ERR_OK)
        return err;
    err = ops->blob_write(p->blob, p->bytes.data, p->bytes.len);
    if (err != ERR_OK) {
        ops->blob_abort(p->blob);
        p->blob = NULL;
        return err;
    }
    buf_free(&p->bytes);
    return ERR_OK;
}

enum err store_payload_write(struct store_payload *p, const void *data, size_t len)
{
    enum err err = ERR_OK;

    if (p->blob == NULL && p->size + len > (uint64_t)p->s->record_max_bytes)
        err = spill(p);
    if (err == ERR_OK)
        err = p->blob == NULL ? buf_append(&p->bytes, data, len)
                              : p->s->engine->ops->blob_write(p->blob, data, len);
    if (err == ERR_OK) {
        p->size += len;
        KILL_POINT("payload-write");
    }
    return err;
}

enum err store_payload_patch(struct store_payload *p, const void *header, size_t len)
{
    if (len > p->size)
        return ERR_INTERNAL;
    if (p->blob != NULL)
        return p->s->engine->ops->blob_patch(p->blob, header, len);
    memcpy(p->bytes.data, header, len);
    return ERR_OK;
}

void store_payload_abort(struct store_payload *p)
{
    if (p == NULL)
        return;
    if (p->blob != NULL)
        p->s->engine->ops->blob_abort(p->blob);
    if (p->keeping)
        grace_give_back(p->s->keeping, span_bytes(p->id, sizeof p->id));
    buf_free(&p->bytes);
    free(p);
}

enum err store_payload_digest(struct store_payload *p, uint8_t out[CRYPT_SHA256_BYTES])
{
    struct crypt_digest *digest = NULL;
    uint8_t *piece = NULL;
    enum err err;

    if (p->blob == NULL)
        return crypt_sha256(buf_span(&p->bytes), out);
    /* The header was put in front last, so the digest can only be taken now; the bytes are in the page cache.
     */
    if ((piece = malloc(READ_BACK_BYTES)) == NULL)
        return ERR_NOMEM;
    err = crypt_digest_create(&digest);
    for (uint64_t at = 0; at < p->size && err == ERR_OK;) {
        size_t len = p->size - at < READ_BACK_BYTES ? (size_t)(p->size - at) : READ_BACK_BYTES;

        err = p->s->engine->ops->blob_read(p->blob, at, piece, len);
        if (err == ERR_OK)
            err = crypt_digest_update(digest, piece, len);
        at += len;
    }
    if (err == ERR_OK)
        err = crypt_digest_final(digest, out);
    crypt_digest_free(digest);
    free(piece);
    return err;
}

static enum err read_payload(struct store *s, const uint8_t id[SEAL_PAYLOAD_ID_BYTES],
                             struct payload_record *r)
{
    struct buf value;
    enum err err;

    buf_init(&value, STORE_VALUE_MAX);
    memset(r, 0, sizeof *r);
    err = store_read(s, TABLE_PAYLOAD, span_bytes(id, SEAL_PAYLOAD_ID_BYTES), &value);
    if (err == ERR_OK)
        err = payload_record_decode(buf_span(&value), r);
    buf_free(&value);
    return err;
}

enum err store_payload_open(struct store *s, const uint8_t id[SEAL_PAYLOAD_ID_BYTES], struct store_body *out)
{
    struct payload_record r;
    struct buf bytes;
    uint64_t size = 0;
    int fd = -1;
    enum err err;

    buf_init(&bytes, STORE_VALUE_MAX);
    if ((err = read_payload(s, id, &r)) != ERR_OK)
        return err;
    if (r.in_blob) {
        err = s->engine->ops->blob_open(s->engine, id, &fd, &size);
    } else {
        err = store_read(s, TABLE_SEALED, span_bytes(id, SEAL_PAYLOAD_ID_BYTES), &bytes);
        size = bytes.len;
    }
    /* The record says that it is there. It may have gone since (the ticket ended); otherwise it is lost. */
    if (err == ERR_NOT_FOUND && read_payload(s, id, &r) == ERR_OK)
        err = ERR_STORE;
    if (err == ERR_OK && size != r.size)
        err = ERR_STORE;
    if (err == ERR_STORE)
        log_error("store: a payload is missing or has another size than its record says");
    if (err != ERR_OK) {
        if (fd >= 0)
            close(fd);
        buf_free(&bytes);
        return err;
    }
    *out = (struct store_body){.bytes = bytes, .fd = fd, .size = size};
    return ERR_OK;
}

enum err store_body_open(struct store *s, const struct ticket *t, struct store_body *out)
{
    return store_payload_open(s, t->payload_id, out);
}

void store_body_close(struct store_body *b)
{
    if (b->fd >= 0)
        close(b->fd);
    b->fd = -1;
    buf_free(&b->bytes);
}

enum err store_payload_open_dek(struct store *s, const uint8_t id[SEAL_PAYLOAD_ID_BYTES],
                                uint8_t dek[SEAL_DEK_BYTES])
{
    struct payload_record r;
    enum err err = read_payload(s, id, &r);

    if (err == ERR_OK)
        err = payload_record_open_dek(s->keys, id, &r, dek);
    secret_wipe(&r, sizeof r);
    return err;
}

enum err store_payload_dek(struct store *s, const struct ticket *t, uint8_t dek[SEAL_DEK_BYTES])
{
    return store_payload_open_dek(s, t->payload_id, dek);
}

/* ---- keeping ------------------------------------------------------------------------------------------- */

enum err store_payload_record(const struct store_payload *p, const uint8_t dek[SEAL_DEK_BYTES],
                              int64_t created_s, struct payload_record *out)
{
    memset(out, 0, sizeof *out);
    out->in_blob = p->blob != NULL;
    out->size = p->size;
    out->created_s = created_s;
    return payload_record_seal_dek(p->s->keys, p->id, dek, out);
}

enum err store_payload_keep(struct store_payload *p)
{
    struct engine_blob *blob = p->blob;

    if (blob == NULL)
        return ERR_OK;
    p->keeping = grace_take(p->s->keeping, span_bytes(p->id, sizeof p->id), GRACE_FOR_EVER);
    if (!p->keeping)
        return ERR_NOMEM;
    p->blob = NULL;
    return p->s->engine->ops->blob_keep(blob, p->id);
}

void store_payload_unneeded(struct store *s, const uint8_t id[SEAL_PAYLOAD_ID_BYTES])
{
    struct buf value;

    buf_init(&value, STORE_VALUE_MAX);
    if (store_read(s, TABLE_PAYLOAD, span_bytes(id, SEAL_PAYLOAD_ID_BYTES), &value) == ERR_NOT_FOUND)
        s->engine->ops->blob_remove(s->engine, id);
    buf_free(&value);
}
