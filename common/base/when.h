/*
 * when.h - points in time as people write them (RFC 3339). Thread-safe.
 */
#ifndef BASE_WHEN_H
#define BASE_WHEN_H

#include <stdint.h>

#include "base/buf.h"

/*
 * UTC seconds of "2026-12-31T18:00:00Z" or "...+01:00" (a blank, t, z and fractions of a second as RFC 3339
 * 5.6 allows them), of "2026-12-31" (its end in UTC: what holds until a day holds on that day), or of "+30d"
 * (from now_s; s, m, h, d, w; at most 100 years). ERR_SYNTAX.
 */
enum err when_parse(struct span text, int64_t now_s, int64_t *out);

#endif
