/*
 * codec.c - records to bytes and back, by tables of fields.
 */
#include "store/codec.h"

#include <string.h>

static enum err put_int(struct buf *out, uint64_t v, size_t bytes)
{
    uint8_t be[8];

    codec_put_be64(be, v);
    return buf_append(out, be + 8 - bytes, bytes);
}

static bool get_int(struct span *in, size_t bytes, uint64_t *v)
{
    if (in->len < bytes)
        return false;
    *v = 0;
    for (size_t i = 0; i < bytes; i++)
        *v = *v << 8 | (uint8_t)in->ptr[i];
    in->ptr += bytes;
    in->len -= bytes;
    return true;
}

static enum err put_counted(struct buf *out, const void *data, size_t len)
{
    enum err err = put_int(out, len, 2);

    return err == ERR_OK ? buf_append(out, data, len) : err;
}

static bool get_counted(struct span *in, size_t max, struct span *out)
{
    uint64_t len;

    if (!get_int(in, 2, &len) || len > max || len > in->len)
        return false;
    *out = span_bytes(in->ptr, (size_t)len);
    in->ptr += len;
    in->len -= (size_t)len;
    return true;
}

static enum err put_field(const struct codec_field *f, const uint8_t *at, struct buf *out)
{
    uint64_t v = 0;
    uint32_t v32;
    uint16_t len;
    bool flag;

    switch (f->type) {
    case CODEC_BYTES:
        return buf_append(out, at, f->size);
    case CODEC_TEXT:
        return put_counted(out, at, strnlen((const char *)at, f->size - 1));
    case CODEC_U32:
        memcpy(&v32, at, sizeof v32);
        return put_int(out, v32, 4);
    case CODEC_U64:
    case CODEC_S64:
        memcpy(&v, at, sizeof v);
        return put_int(out, v, 8);
    case CODEC_BOOL:
        memcpy(&flag, at, sizeof flag);
        return put_int(out, flag, 1);
    case CODEC_ENUM:
        memcpy(&v32, at, sizeof v32);
        return put_int(out, v32, 1);
    case CODEC_BLOB:
        memcpy(&len, at, sizeof len);
        return put_counted(out, at + sizeof len, len);
    }
    return ERR_INTERNAL;
}

static bool get_field(const struct codec_field *f, struct span *in, uint8_t *at)
{
    struct span part;
    uint64_t v;
    uint32_t v32;
    uint16_t len;
    bool flag;

    switch (f->type) {
    case CODEC_BYTES:
        if (in->len < f->size)
            return false;
        memcpy(at, in->ptr, f->size);
        in->ptr += f->size;
        in->len -= f->size;
        return true;
    case CODEC_TEXT:
        if (!get_counted(in, f->size - 1, &part) || (part.len > 0 && memchr(part.ptr, 0, part.len) != NULL))
            return false;
        if (part.len > 0)
            memcpy(at, part.ptr, part.len);
        at[part.len] = '\0';
        return true;
    case CODEC_U32:
        if (!get_int(in, 4, &v))
            return false;
        v32 = (uint32_t)v;
        memcpy(at, &v32, sizeof v32);
        return true;
    case CODEC_U64:
    case CODEC_S64:
        if (!get_int(in, 8, &v))
            return false;
        memcpy(at, &v, sizeof v);
        return true;
    case CODEC_BOOL:
        if (!get_int(in, 1, &v) || v > 1)
            return false;
        flag = v != 0;
        memcpy(at, &flag, sizeof flag);
        return true;
    case CODEC_ENUM:
        if (!get_int(in, 1, &v) || v >= f->size)
            return false;
        v32 = (uint32_t)v;
        memcpy(at, &v32, sizeof v32);
        return true;
    case CODEC_BLOB:
        if (!get_counted(in, f->size, &part))
            return false;
        len = (uint16_t)part.len;
        memcpy(at, &len, sizeof len);
        if (part.len > 0)
            memcpy(at + sizeof len, part.ptr, part.len);
        return true;
    }
    return false;
}

enum err codec_encode(const struct codec *c, const void *record, struct buf *out)
{
    enum err err = put_int(out, c->version, 2);

    for (size_t i = 0; i < c->count && err == ERR_OK; i++)
        err = put_field(&c->field[i], (const uint8_t *)record + c->field[i].offset, out);
    return err;
}

enum err codec_decode(const struct codec *c, struct span bytes, void *record)
{
    uint64_t version;

    if (!get_int(&bytes, 2, &version) || version == 0)
        return ERR_STORE;
    if (version > c->version)
        return ERR_STORE_FORMAT;
    for (size_t i = 0; i < c->count; i++)
        if (c->field[i].since <= version &&
            !get_field(&c->field[i], &bytes, (uint8_t *)record + c->field[i].offset))
            return ERR_STORE;
    return bytes.len == 0 ? ERR_OK : ERR_STORE;
}

void codec_put_be64(uint8_t out[8], uint64_t v)
{
    for (int i = 7; i >= 0; i--) {
        out[i] = (uint8_t)v;
        v >>= 8;
    }
}

uint64_t codec_get_be64(const uint8_t in[8])
{
    uint64_t v = 0;

    for (int i = 0; i < 8; i++)
        v = v << 8 | in[i];
    return v;
}
