/*
 * The Restante-Stub field: whatever comes is refused with a reason, or read; what was read is written, and
 * that reads back the same.
 *
 * covers: common/mail/stub.c
 */
#include <stdlib.h>
#include <string.h>

#include "mail/stub.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void write_and_read(const struct stub *s)
{
    struct stub again;
    struct buf field;
    struct span name, value;
    buf_init_secret(&field, 2 * STUB_VALUE_MAX);
    /* Only a value near the limit may be too long once it is folded our way. */
    if (stub_format(s, &field) == ERR_OK) {
        require(span_cut(span_bytes(field.data, field.len - 2), ':', &name, &value));
        require(stub_parse(value, &again, NULL) == ERR_OK);
        require(address_equal(&s->from, &again.from) && address_equal(&s->to, &again.to));
        require(memcmp(s->ka, again.ka, sizeof s->ka) == 0 && memcmp(s->kd, again.kd, sizeof s->kd) == 0);
        require(strcmp(s->url, again.url) == 0);
        require(s->size_bytes == again.size_bytes && s->expires_s == again.expires_s);
        stub_wipe(&again);
    }
    buf_free(&field);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct stub s;
    struct buf why;
    buf_init(&why, 1000);
    enum err e = stub_parse(span_bytes(data, size), &s, &why);
    require(e == ERR_OK || ((e == ERR_STUB_SYNTAX || e == ERR_BAD_BYTES) && why.len > 0));
    if (e == ERR_OK) {
        write_and_read(&s);
        stub_wipe(&s);
    }
    buf_free(&why);
    return 0;
}
