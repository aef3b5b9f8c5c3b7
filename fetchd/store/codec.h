/*
 * codec.h - the explicit encoding of records: a version, then the fields of a table in order.
 *
 * Integers are big-endian; text and blobs have a 2-byte length. A record of a later format than the table
 * knows is ERR_STORE_FORMAT; anything else that does not fit (cut off, trailing bytes, NUL in text, a value
 * out of range) is ERR_STORE. A later format appends fields with a higher `since`; records of earlier formats
 * then leave these zero. Pure functions, thread-safe.
 */
#ifndef STORE_CODEC_H
#define STORE_CODEC_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum codec_type {
    CODEC_BYTES, /* uint8_t[size] */
    CODEC_TEXT,  /* char[size], NUL-terminated */
    CODEC_U32,
    CODEC_U64,
    CODEC_S64,
    CODEC_BOOL,
    CODEC_ENUM, /* an int-sized enum below `size`; one byte on disk */
    CODEC_BLOB  /* struct { uint16_t len; uint8_t data[size]; } */
};
struct codec_field {
    enum codec_type type;
    uint16_t since; /* the first record version that has it */
    size_t offset, size;
};
struct codec {
    uint16_t version; /* written; the highest that is read */
    const struct codec_field *field;
    size_t count;
};

#define CODEC_SIZEOF(s, m) sizeof(((s *)NULL)->m)
#define CODEC_FIELD(type, since, s, m)                                                                       \
    {                                                                                                        \
        type, since, offsetof(s, m), CODEC_SIZEOF(s, m)                                                      \
    }
#define CODEC_FIELD_ENUM(since, s, m, count)                                                                 \
    {                                                                                                        \
        CODEC_ENUM, since, offsetof(s, m), count                                                             \
    }
#define CODEC_FIELD_BLOB(since, s, m)                                                                        \
    {                                                                                                        \
        CODEC_BLOB, since, offsetof(s, m), CODEC_SIZEOF(s, m.data)                                           \
    }

/* Appends. ERR_NOMEM, ERR_TOO_LARGE (the buffer's maximum). */
enum err codec_encode(const struct codec *c, const void *record, struct buf *out);
/* Fills the table's fields of *record (on error: some of them). Fields that the record's format does not have
 * are left alone. */
enum err codec_decode(const struct codec *c, struct span bytes, void *record);

void codec_put_be64(uint8_t out[8], uint64_t v);
uint64_t codec_get_be64(const uint8_t in[8]);

#endif
