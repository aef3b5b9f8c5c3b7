/*
 * Replies of an SMTP server, as a stream of bytes: reaches smtp_reply_parse alone.
 * covers: fetchd/mta/reply.c
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "mta/reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span rest = span_bytes(data, size);
    for (;;) {
        size_t used = 0;
        int code = 0;
        char enhanced[12];
        struct buf text;
        buf_init(&text, 512);
        enum err e = smtp_reply_parse(rest, &used, &code, enhanced, &text);
        if (used > rest.len || (e == ERR_OK && used > 0 && (code < 200 || code > 599)))
            abort();
        buf_free(&text);
        if (e != ERR_OK || used == 0)
            return 0;
        rest.ptr += used;
        rest.len -= used;
    }
}
