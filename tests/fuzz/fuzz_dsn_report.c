/*
 * What comes to a stub's reverse-path: any message at all. What is kept of it is short and printable.
 *
 * covers: common/mail/dsn_report.c
 */
#include <stdlib.h>
#include <string.h>

#include "mail/dsn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require_printable(const char *text)
{
    for (; text != NULL && *text != '\0'; text++)
        if (*text < ' ' || *text > '~')
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dsn_report r;
    if (dsn_report_parse(span_bytes(data, size), &r) != ERR_OK)
        abort();
    require_printable(r.status);
    require_printable(r.diagnostic);
    require_printable(r.remote_mta);
    dsn_report_free(&r);
    return 0;
}
