/*
 * The PROXY header as it arrives, in reads no longer than what was asked for: reaches proxy_parse alone.
 * covers: fetchd/http/proxy.c
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "http/proxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t len = 0, want = 0;
    enum err e = ERR_OK;
    struct proxy_header header;

    for (;;) {
        /* A copy of exactly this length, so that reading beyond it shows. */
        uint8_t *seen = malloc(len == 0 ? 1 : len);
        if (seen == NULL)
            return 0;
        memcpy(seen, data, len);
        e = proxy_parse(seen, len, &header, &want);
        free(seen);
        if (e != ERR_BUSY)
            break;
        if (want == 0 || len + want > PROXY_HEADER_MAX)
            abort();
        if (want > size - len)
            return 0;
        len += want;
    }
    if (e != ERR_OK && e != ERR_SYNTAX)
        abort();
    if (e == ERR_OK && header.known && header.addr.family != AF_INET && header.addr.family != AF_INET6)
        abort();
    return 0;
}
