/*
 * Text in HTTP fields: one spelling a text, both ways.
 *
 * covers: common/ticket/fieldtext.c
 */
#include <stdlib.h>
#include <string.h>

#include "ticket/fieldtext.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span in = span_bytes(data, size);
    struct buf text, field;
    buf_init(&text, 4 * size + 1);
    buf_init(&field, 4 * size + 1);
    if (fieldtext_decode(in, &text) == ERR_OK &&
        (fieldtext_encode(buf_span(&text), &field) != ERR_OK || !span_equal(buf_span(&field), in)))
        abort();
    buf_clear(&text);
    buf_clear(&field);
    if (fieldtext_encode(in, &field) == ERR_OK &&
        (fieldtext_decode(buf_span(&field), &text) != ERR_OK || !span_equal(buf_span(&text), in)))
        abort();
    buf_free(&text);
    buf_free(&field);
    return 0;
}
