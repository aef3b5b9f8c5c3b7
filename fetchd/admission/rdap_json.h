/*
 * rdap_json.h - a registry's answer about a domain (RFC 9083), of which one date is wanted. Pure,
 * thread-safe.
 */
#ifndef ADMISSION_RDAP_JSON_H
#define ADMISSION_RDAP_JSON_H

#include "base/buf.h"

/* RFC 3339 section 5.6, from 1970 on; a leap second counts as the second before it. ERR_SYNTAX. */
enum err rdap_date(struct span text, int64_t *utc_s);
/*
 * The latest event of the action "registration" in a domain object about this domain (A-labels, lower case).
 * ERR_NOT_FOUND when there is none; ERR_SYNTAX for what is no such object, speaks of another domain, or names
 * a date that is none or lies in the future.
 */
enum err rdap_registration(struct span json, const char *domain, int64_t now_s, int64_t *registered_s);

#endif
