/*
 * members.c - walks tables of members, in both directions.
 */
#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "local/api.h"
#include "local/members.h"

/* ---- text ---- */

static bool is_control(char c)
{
    return (unsigned char)c < 0x20 || c == 0x7f;
}

static bool is_clean_text(struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        if (is_control(s.ptr[i]))
            return false;
    return utf8_valid(s);
}

/* Either well-formed UTF-8 stays, or everything outside ASCII goes; control characters always go. */
static json_t *lossy_string(const char *text, size_t max)
{
    struct span s = span_of(text);
    bool utf8 = utf8_valid(s) && s.len <= max;
    char *copy = NULL;
    json_t *j = NULL;

    if (s.len > max)
        s.len = max;
    copy = malloc(s.len + 1);
    if (copy == NULL)
        return NULL;
    for (size_t i = 0; i < s.len; i++) {
        bool fits = !is_control(s.ptr[i]) && (utf8 || (unsigned char)s.ptr[i] < 0x80);
        copy[i] = fits ? s.ptr[i] : '?';
    }
    j = json_stringn(copy, s.len);
    free(copy);
    return j;
}

static json_t *raw_string(struct span s)
{
    char *text = malloc(ENCODE_B64_LEN(s.len) + 1);

    if (text == NULL)
        return NULL;
    encode_b64url((const uint8_t *)s.ptr, s.len, text);
    json_t *j = json_string(text);
    free(text);
    return j;
}

/* ---- members: struct -> JSON ---- */

static enum err member_to_json(const struct member *m, const char *text, json_t **out)
{
    struct span s = span_of(text);
    json_t *j = NULL;

    switch (m->type) {
    case MEMBER_TEXT:
    case MEMBER_ADDRESS:
        if (s.len > m->max || !is_clean_text(s))
            return m->type == MEMBER_ADDRESS ? ERR_ADDRESS : ERR_SYNTAX;
        j = json_stringn(text, s.len);
        break;
    case MEMBER_LOSSY:
        j = lossy_string(text, m->max);
        break;
    default:
        if (s.len > m->max)
            return ERR_TOO_LARGE;
        j = raw_string(s);
        break;
    }
    if (j == NULL)
        return ERR_NOMEM;
    *out = j;
    return ERR_OK;
}

enum err members_to_json(const struct member *m, size_t count, const void *from, json_t *object)
{
    for (size_t i = 0; i < count; i++) {
        const char *at = (const char *)from + m[i].offset;
        json_t *j = NULL;
        enum err e = ERR_OK;

        if (m[i].type == MEMBER_FLAG) {
            if (!*(const bool *)at)
                continue;
            j = json_true();
        } else if (m[i].type == MEMBER_PORT) {
            if (*(const int *)at == 0)
                continue;
            j = json_integer(*(const int *)at);
        } else if (m[i].type == MEMBER_SIZE) {
            j = json_integer((json_int_t) * (const uint64_t *)at);
        } else {
            const char *text = *(char *const *)at;
            if (text == NULL && m[i].required)
                return ERR_INTERNAL;
            if (text == NULL)
                continue;
            e = member_to_json(&m[i], text, &j);
        }
        if (e != ERR_OK)
            return e;
        if (json_object_set_new(object, m[i].name, j) != 0)
            return ERR_NOMEM;
    }
    return ERR_OK;
}

/* ---- members: JSON -> struct ---- */

static enum err text_from_json(const struct member *m, json_t *j, char **out)
{
    struct span s = {json_string_value(j), json_string_length(j)};
    char *text = NULL;

    if (!json_is_string(j))
        return ERR_SYNTAX;
    if (m->type == MEMBER_RAW) {
        size_t len = s.len / 4 * 3 + s.len % 4 * 6 / 8;
        if (len > m->max || s.len % 4 == 1)
            return ERR_SYNTAX;
        text = calloc(1, len + 1);
        if (text == NULL)
            return ERR_NOMEM;
        if (decode_b64url(s, (uint8_t *)text, len) != ERR_OK || memchr(text, '\0', len) != NULL) {
            free(text);
            return ERR_SYNTAX;
        }
    } else {
        if (s.len > m->max || !is_clean_text(s))
            return ERR_SYNTAX;
        text = span_dup(s);
        if (text == NULL)
            return ERR_NOMEM;
    }
    *out = text;
    return ERR_OK;
}

/* Counts in *seen the members of the object that the rows name, so that the caller can tell whether others
 * are there. On an error, what was read so far stays in the struct for its _free function. */
enum err members_from_json(const struct member *m, size_t count, json_t *object, void *into, size_t *seen)
{
    if (!json_is_object(object))
        return ERR_SYNTAX;
    for (size_t i = 0; i < count; i++) {
        char *at = (char *)into + m[i].offset;
        json_t *j = json_object_get(object, m[i].name);
        enum err e = ERR_OK;

        if (j == NULL && m[i].required)
            return ERR_SYNTAX;
        if (j == NULL)
            continue;
        ++*seen;
        if (m[i].type == MEMBER_FLAG) {
            if (!json_is_boolean(j))
                return ERR_SYNTAX;
            *(bool *)at = json_is_true(j);
        } else if (m[i].type == MEMBER_PORT) {
            json_int_t v = json_integer_value(j);
            if (!json_is_integer(j) || v < 0 || v > 65535)
                return ERR_SYNTAX;
            *(int *)at = (int)v;
        } else if (m[i].type == MEMBER_SIZE) {
            json_int_t v = json_integer_value(j);
            if (!json_is_integer(j) || v < 0)
                return ERR_SYNTAX;
            *(uint64_t *)at = (uint64_t)v;
        } else {
            e = text_from_json(&m[i], j, (char **)at);
        }
        if (e != ERR_OK)
            return e;
    }
    return ERR_OK;
}

void members_free(const struct member *m, size_t count, void *of)
{
    for (size_t i = 0; i < count; i++)
        if (m[i].type <= MEMBER_RAW)
            free(*(char **)((char *)of + m[i].offset));
}

/* ---- arrays of small structs ---- */

enum err members_array_to_json(const struct member *m, size_t count, const void *first, size_t size,
                               size_t length, json_t *object, const char *name)
{
    json_t *array = json_array();

    if (array == NULL || json_object_set_new(object, name, array) != 0)
        return ERR_NOMEM;
    for (size_t i = 0; i < length; i++) {
        json_t *item = json_object();
        if (item == NULL || json_array_append_new(array, item) != 0)
            return ERR_NOMEM;
        enum err e = members_to_json(m, count, (const char *)first + i * size, item);
        if (e != ERR_OK)
            return e;
    }
    return ERR_OK;
}

enum err members_array_from_json(const struct member *m, size_t count, json_t *array, size_t size, size_t max,
                                 void **first, size_t *length)
{
    size_t n = json_array_size(array);

    if (!json_is_array(array) || n > max)
        return ERR_SYNTAX;
    if (n == 0)
        return ERR_OK;
    *first = calloc(n, size);
    if (*first == NULL)
        return ERR_NOMEM;
    *length = n;
    for (size_t i = 0; i < n; i++) {
        json_t *item = json_array_get(array, i);
        size_t seen = 0;
        enum err e = members_from_json(m, count, item, (char *)*first + i * size, &seen);
        if (e != ERR_OK)
            return e;
        if (seen != json_object_size(item))
            return ERR_SYNTAX;
    }
    return ERR_OK;
}

/* ---- whole documents ---- */

static int append_to_buf(const char *bytes, size_t len, void *out)
{
    return buf_append(out, bytes, len) == ERR_OK ? 0 : -1;
}

/* One line without a line break, as the head of a deposit needs it. Takes the object; on an error the buffer
 * is as it was. */
enum err document_write(json_t *object, enum err so_far, struct buf *out)
{
    size_t before = out->len;

    if (so_far == ERR_OK && object == NULL)
        so_far = ERR_NOMEM;
    if (so_far == ERR_OK &&
        json_dump_callback(object, append_to_buf, out, JSON_COMPACT | JSON_PRESERVE_ORDER) != 0) {
        so_far = ERR_TOO_LARGE;
        out->len = before;
        if (out->data != NULL)
            out->data[before] = '\0';
    }
    json_decref(object);
    return so_far;
}

enum err document_read(struct span json, json_t **out)
{
    json_error_t where;

    if (json.len > API_HEAD_MAX)
        return ERR_SYNTAX;
    json_t *object = json_loadb(json.len == 0 ? "" : json.ptr, json.len, JSON_REJECT_DUPLICATES, &where);
    if (object == NULL)
        return json_error_code(&where) == json_error_out_of_memory ? ERR_NOMEM : ERR_SYNTAX;
    if (!json_is_object(object)) {
        json_decref(object);
        return ERR_SYNTAX;
    }
    *out = object;
    return ERR_OK;
}
