/*
 * head.c - fields are appended to one buffer and found by a walk: a head has a dozen of them.
 */
#include <stdlib.h>
#include <string.h>

#include "http/head.h"

#define FIELD_OVERHEAD 32 /* RFC 9113 6.5.2 */

void head_init(struct head *h, size_t list_max_bytes)
{
    memset(h, 0, sizeof *h);
    /* Joining copies each value once more; ", " is smaller than the overhead that was counted for the field.
     */
    buf_init(&h->text, 2 * list_max_bytes + 2);
    h->list_max = list_max_bytes;
}

void head_free(struct head *h)
{
    buf_free(&h->text);
    free(h->field);
    memset(h, 0, sizeof *h);
}

enum err head_add(struct head *h, struct span name, struct span value)
{
    size_t bytes = name.len + value.len + FIELD_OVERHEAD;
    struct head_field f = {.name_len = name.len, .value_len = value.len};
    enum err e = ERR_OK;

    if (bytes > h->list_max || h->list_bytes > h->list_max - bytes)
        return ERR_TOO_LARGE;
    if (h->count == h->room) {
        size_t room = h->room == 0 ? 16 : h->room * 2;
        struct head_field *field = realloc(h->field, room * sizeof *field);
        if (field == NULL)
            return ERR_NOMEM;
        h->field = field;
        h->room = room;
    }
    f.name = h->text.len;
    if ((e = buf_append_span(&h->text, name)) != ERR_OK)
        return e;
    f.value = h->text.len;
    if ((e = buf_append_span(&h->text, value)) != ERR_OK)
        return e;
    h->list_bytes += bytes;
    h->field[h->count++] = f;
    return ERR_OK;
}

static struct span text_at(const struct head *h, size_t offset, size_t len)
{
    return (struct span){h->text.data == NULL ? "" : h->text.data + offset, len};
}

static bool same_name(const struct head *h, const struct head_field *a, const struct head_field *b)
{
    return span_equal(text_at(h, a->name, a->name_len), text_at(h, b->name, b->name_len));
}

/* Appends to the text the values of all fields named as the one at `first`, and takes the later ones out. The
 * text has room reserved, so that nothing moves while it is copied onto its own end. */
static enum err join(struct head *h, size_t first)
{
    struct head_field *f = &h->field[first];
    size_t start = h->text.len, kept = first + 1;
    enum err e = buf_append(&h->text, h->text.data + f->value, f->value_len);

    for (size_t i = first + 1; i < h->count; i++) {
        struct head_field other = h->field[i];
        if (!same_name(h, f, &other)) {
            h->field[kept++] = other;
            continue;
        }
        if (e == ERR_OK)
            e = buf_append_str(&h->text, ", ");
        if (e == ERR_OK)
            e = buf_append(&h->text, h->text.data + other.value, other.value_len);
    }
    h->count = kept;
    f->value = start;
    f->value_len = h->text.len - start;
    return e;
}

enum err head_finish(struct head *h)
{
    if (buf_reserve(&h->text, h->list_bytes) == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < h->count; i++) {
        bool twice = false;
        for (size_t j = i + 1; j < h->count && !twice; j++)
            twice = same_name(h, &h->field[i], &h->field[j]);
        enum err e = twice ? join(h, i) : ERR_OK;
        if (e != ERR_OK)
            return e;
    }
    return ERR_OK;
}

static const struct head_field *find(const struct head *h, const char *name)
{
    for (size_t i = 0; i < h->count; i++)
        if (span_is(text_at(h, h->field[i].name, h->field[i].name_len), name))
            return &h->field[i];
    return NULL;
}

struct span head_value(const struct head *h, const char *name)
{
    const struct head_field *f = find(h, name);

    return f == NULL ? (struct span){"", 0} : text_at(h, f->value, f->value_len);
}

bool head_has(const struct head *h, const char *name)
{
    return find(h, name) != NULL;
}

struct span head_path(const struct head *h)
{
    struct span path, query;

    span_cut(head_value(h, ":path"), '?', &path, &query);
    return path;
}

struct span head_query(const struct head *h)
{
    struct span path, query;

    span_cut(head_value(h, ":path"), '?', &path, &query);
    return query;
}
