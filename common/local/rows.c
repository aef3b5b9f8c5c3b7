/*
 * rows.c - a JSON object whose members are arrays of flat objects.
 */
#include "local/rows.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/encode.h"

#define SHOWN_MAX 65536
#define HEX_BYTES_MAX 64

struct rows {
    json_t *root, *list;
    bool failed;
};

enum err rows_create(const char *name, struct rows **out)
{
    struct rows *r = calloc(1, sizeof *r);

    if (!r)
        return ERR_NOMEM;
    r->root = json_object();
    r->list = json_array();
    if (!r->root || !r->list || json_object_set(r->root, name, r->list)) {
        rows_free(r);
        return ERR_NOMEM;
    }
    *out = r;
    return ERR_OK;
}

enum err rows_parse(struct span json, const char *name, struct rows **out)
{
    struct rows *r = calloc(1, sizeof *r);

    if (!r)
        return ERR_NOMEM;
    r->root = json_loadb(json.ptr ? json.ptr : "", json.len, JSON_REJECT_DUPLICATES, NULL);
    r->list = json_incref(json_object_get(r->root, name));
    if (!json_is_array(r->list)) {
        rows_free(r);
        return ERR_SYNTAX;
    }
    *out = r;
    return ERR_OK;
}

void rows_free(struct rows *r)
{
    if (!r)
        return;
    json_decref(r->list);
    json_decref(r->root);
    free(r);
}

void rows_list(struct rows *r, const char *name)
{
    json_t *list = json_array();

    if (json_object_set(r->root, name, list))
        r->failed = true;
    json_decref(r->list);
    r->list = list;
}

static void set(struct rows *r, const char *key, json_t *value)
{
    size_t count = json_array_size(r->list);

    /* Takes value in every case; without a row to put it in (rows_begin failed) it is only let go. */
    if (json_object_set_new(count ? json_array_get(r->list, count - 1) : NULL, key, value))
        r->failed = true;
}

void rows_begin(struct rows *r)
{
    if (json_array_append_new(r->list, json_object()))
        r->failed = true;
}

void rows_text(struct rows *r, const char *key, const char *value)
{
    struct buf shown;

    if (!value || !value[0])
        return;
    if (utf8_valid(span_of(value))) {
        set(r, key, json_string(value));
        return;
    }
    buf_init(&shown, SHOWN_MAX);
    if (encode_printable(&shown, span_of(value)))
        r->failed = true;
    else
        set(r, key, json_string(buf_cstr(&shown)));
    buf_free(&shown);
}

void rows_number(struct rows *r, const char *key, int64_t value)
{
    set(r, key, json_integer(value));
}

void rows_time(struct rows *r, const char *key, int64_t utc_s)
{
    char text[CLOCK_ISO_MAX];

    if (utc_s == 0)
        return;
    clock_iso(utc_s, text);
    rows_text(r, key, text);
}

void rows_hex(struct rows *r, const char *key, const uint8_t *bytes, size_t len)
{
    char hex[ENCODE_HEX_LEN(HEX_BYTES_MAX) + 1];

    if (len > HEX_BYTES_MAX) {
        r->failed = true;
        return;
    }
    encode_hex(bytes, len, hex);
    rows_text(r, key, hex);
}

static int append(const char *data, size_t len, void *out)
{
    return buf_append(out, data, len) ? -1 : 0;
}

enum err rows_format(const struct rows *r, struct buf *out)
{
    if (r->failed ||
        json_dump_callback(r->root, append, out, JSON_INDENT(1) | JSON_PRESERVE_ORDER | JSON_ENSURE_ASCII))
        return ERR_NOMEM;
    return buf_append_char(out, '\n');
}

size_t rows_count(const struct rows *r)
{
    return json_array_size(r->list);
}

const char *rows_get_text(const struct rows *r, size_t row, const char *key)
{
    const char *text = json_string_value(json_object_get(json_array_get(r->list, row), key));

    return text ? text : "";
}

int64_t rows_get_number(const struct rows *r, size_t row, const char *key)
{
    return json_integer_value(json_object_get(json_array_get(r->list, row), key));
}

bool rows_has_number(const struct rows *r, size_t row, const char *key)
{
    return json_is_integer(json_object_get(json_array_get(r->list, row), key));
}

void rows_each(const struct rows *r, size_t row, void (*each)(void *arg, const char *key, const char *value),
               void *arg)
{
    const char *key;
    json_t *value;
    char number[32];

    json_object_foreach(json_array_get(r->list, row), key, value)
    {
        snprintf(number, sizeof number, "%lld", (long long)json_integer_value(value));
        each(arg, key, json_is_string(value) ? json_string_value(value) : number);
    }
}

static bool stays(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("-._~@", c);
}

enum err query_add(struct buf *out, const char *name, const char *value)
{
    enum err e;

    if (!value)
        return ERR_OK;
    bool first = !out->len || !memchr(out->data, '?', out->len);
    if ((e = buf_printf(out, "%c%s=", first ? '?' : '&', name)))
        return e;
    for (; *value && !e; value++)
        e = stays(*value) ? buf_append_char(out, *value) : buf_printf(out, "%%%02X", (unsigned char)*value);
    return e;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static enum err decode(struct span value, struct buf *out)
{
    enum err e = ERR_OK;

    for (size_t i = 0; i < value.len && !e; i++) {
        int c = (unsigned char)value.ptr[i];
        if (c == '%') {
            int high = value.len - i > 2 ? hex_digit(value.ptr[i + 1]) : -1;
            int low = value.len - i > 2 ? hex_digit(value.ptr[i + 2]) : -1;
            if (high < 0 || low < 0)
                return ERR_SYNTAX;
            c = high << 4 | low;
            i += 2;
        }
        if (c < ' ' || c == 0x7f)
            return ERR_SYNTAX;
        e = buf_append_char(out, (char)c);
    }
    return e;
}

enum err query_get(struct span query, const char *name, struct buf *out)
{
    struct span pair, key, value;

    while (query.len) {
        struct span rest;
        span_cut(query, '&', &pair, &rest);
        query = rest;
        span_cut(pair, '=', &key, &value);
        if (span_is(key, name))
            return decode(value, out);
    }
    return ERR_NOT_FOUND;
}
