/* when.h - times in certificates as seconds; inside this room. Pure, thread-safe. */
#ifndef CERTIFICATE_WHEN_H
#define CERTIFICATE_WHEN_H

#include <stdbool.h>
#include <stdint.h>

struct asn1_string_st; /* OpenSSL's ASN1_TIME, ASN1_GENERALIZEDTIME */

/* False for NULL and for what is no time. */
bool when_read(const struct asn1_string_st *time, int64_t *utc_s);

#endif
