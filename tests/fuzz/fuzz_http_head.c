/*
 * A request's fields, one a line as "name value", above what nghttp2 checks: reaches head_add, head_finish
 * and the look-ups alone. covers: fetchd/http/head.c
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "http/head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct head *h, struct span name)
{
    char *text = span_dup(name);

    if (text == NULL)
        return;
    struct span value = head_value(h, text);
    if (!head_has(h, text) || value.ptr == NULL)
        abort();
    for (size_t i = 0; i < value.len; i++) /* all of it is readable */
        if (value.ptr[i] == '\n')
            abort();
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span rest = span_bytes(data, size), line, name, value;
    struct head h;
    enum err e = ERR_OK;
    bool more = true;

    head_init(&h, 2048);
    while (more && e == ERR_OK) {
        more = span_cut(rest, '\n', &line, &rest);
        span_cut(line, ' ', &name, &value);
        e = head_add(&h, name, value);
    }
    if (head_finish(&h) != ERR_OK)
        abort();
    for (size_t i = 0; i < h.count; i++)
        check(&h, (struct span){h.text.data + h.field[i].name, h.field[i].name_len});
    struct span path = head_path(&h), query = head_query(&h), whole = head_value(&h, ":path");
    if (path.len + query.len > whole.len || (path.len > 0 && memchr(path.ptr, '?', path.len) != NULL))
        abort();
    head_free(&h);
    return 0;
}
