#include "certificate/when.h"

#include <time.h>

#include <openssl/asn1.h>

bool when_read(const struct asn1_string_st *time, int64_t *utc_s)
{
    struct tm parts;
    if (time == NULL || ASN1_TIME_to_tm(time, &parts) != 1)
        return false;
    *utc_s = (int64_t)timegm(&parts);
    return true;
}
