/*
 * retention.h - a letter's own word on how long it may wait to be called for: the header field
 *
 *     Restante-Retention: 7d
 *
 * a number of seconds, or with s, m, h, d or w, as in restante.conf. Pure; thread-safe.
 */
#ifndef MAIL_RETENTION_H
#define MAIL_RETENTION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

#define RETENTION_FIELD_NAME "Restante-Retention"

struct retention {   /* zeroed: the letter says nothing */
    int64_t asked_s; /* 0: nothing */
    bool unreadable; /* it has such a field that is no duration, or two of them */
};
/* A field of the letter's header; others than this one change nothing. */
void retention_field(struct retention *r, struct span name, struct span value);
/* Nothing was asked for, or what lies within the bounds. */
bool retention_fits(const struct retention *r, int64_t min_s, int64_t max_s);

#endif
