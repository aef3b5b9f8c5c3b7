/*
 * engine.c - what all engines share: the tables' names and the rows of a scan.
 */
#include "store/engine.h"

#include <string.h>

/* One scan's rows; the callers' own limits keep it far below. */
#define ROWS_BYTES_MAX (64U * 1024 * 1024)

static const struct {
    const char *name;
    bool secret;
} table_row[TABLE_COUNT] = {
#define TABLE_ROW(name, file, secret) [TABLE_##name] = {file, secret},
    ENGINE_TABLES(TABLE_ROW)
#undef TABLE_ROW
};

const char *engine_table_name(enum engine_table t)
{
    return table_row[t].name;
}

bool engine_table_secret(enum engine_table t)
{
    return table_row[t].secret;
}

void engine_rows_init(struct engine_rows *r)
{
    buf_init(&r->bytes, ROWS_BYTES_MAX);
    r->count = 0;
    r->at = 0;
}

void engine_rows_free(struct engine_rows *r)
{
    buf_free(&r->bytes);
    r->count = 0;
    r->at = 0;
}

void engine_rows_clear(struct engine_rows *r)
{
    buf_clear(&r->bytes);
    r->count = 0;
    r->at = 0;
}

enum err engine_rows_add(struct engine_rows *r, struct span key, struct span value)
{
    uint32_t len[2] = {(uint32_t)key.len, (uint32_t)value.len};
    size_t before = r->bytes.len;
    enum err err = buf_append(&r->bytes, len, sizeof len);

    if (err == ERR_OK)
        err = buf_append_span(&r->bytes, key);
    if (err == ERR_OK)
        err = buf_append_span(&r->bytes, value);
    if (err == ERR_OK)
        r->count++;
    else
        r->bytes.len = before;
    return err == ERR_TOO_LARGE ? ERR_NOMEM : err;
}

bool engine_rows_next(struct engine_rows *r, struct span *key, struct span *value)
{
    uint32_t len[2];

    if (r->at >= r->bytes.len)
        return false;
    memcpy(len, r->bytes.data + r->at, sizeof len);
    r->at += sizeof len;
    *key = span_bytes(r->bytes.data + r->at, len[0]);
    *value = span_bytes(r->bytes.data + r->at + len[0], len[1]);
    r->at += (size_t)len[0] + len[1];
    return true;
}
