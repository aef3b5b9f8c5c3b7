/*
 * retention.c - see retention.h.
 */
#include "mail/retention.h"

#include "base/config.h"
#include "mail/header.h"

#define VALUE_MAX 128 /* bytes, unfolded */

void retention_field(struct retention *r, struct span name, struct span value)
{
    struct buf text;
    int64_t asked_s = 0;

    if (!span_is_nocase(name, RETENTION_FIELD_NAME))
        return;
    buf_init(&text, VALUE_MAX);
    bool read = header_unfold(value, &text) == ERR_OK && config_duration(buf_span(&text), &asked_s);
    buf_free(&text);
    if (!read || asked_s == 0 || r->asked_s != 0)
        r->unreadable = true;
    else
        r->asked_s = asked_s;
}

bool retention_fits(const struct retention *r, int64_t min_s, int64_t max_s)
{
    return !r->unreadable && (r->asked_s == 0 || (r->asked_s >= min_s && r->asked_s <= max_s));
}
