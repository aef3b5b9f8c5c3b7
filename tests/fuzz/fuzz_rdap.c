/*
 * A registry's answer about a domain.
 *
 * covers: fetchd/admission/rdap_json.c
 */
#include <stdlib.h>

#include "admission/rdap_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const int64_t now_s = 1795248000;
    int64_t at_s = -1;
    enum err err = rdap_registration(span_bytes(data, size), "a.test", now_s, &at_s);
    if (err == ERR_OK ? at_s < 0 || at_s > now_s + 86400 : at_s != -1)
        abort();
    if (rdap_date(span_bytes(data, size), &at_s) == ERR_OK && at_s < 0)
        abort();
    return 0;
}
