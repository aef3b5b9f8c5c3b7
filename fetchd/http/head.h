/*
 * head.h - the head of a request: its fields in one block of memory, bounded, found by name. Knows nothing of
 * nghttp2, which has already checked that names are lower-case tokens and values hold no CR, LF or NUL
 * (RFC 9113 8.2.1). A struct head belongs to one thread at a time.
 */
#ifndef HTTP_HEAD_H
#define HTTP_HEAD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

struct head_field {
    size_t name, name_len, value, value_len; /* offsets into text */
};
struct head {
    struct buf text;
    struct head_field *field;
    size_t count, room;
    size_t list_bytes, list_max; /* as SETTINGS_MAX_HEADER_LIST_SIZE counts: name, value and 32 a field */
};

void head_init(struct head *h, size_t list_max_bytes);
void head_free(struct head *h);
/* ERR_TOO_LARGE when the list outgrows its maximum. Pseudo-header fields are fields too (":path"). */
enum err head_add(struct head *h, struct span name, struct span value);
/* All fields are there: joins those that came twice by ", " (RFC 9110 5.3), in the place of the first. The
 * spans given out from now on stay until head_free. */
enum err head_finish(struct head *h);
/* The value; empty when absent. */
struct span head_value(const struct head *h, const char *name);
bool head_has(const struct head *h, const char *name);
/* ":path" up to, and after, the first '?'. */
struct span head_path(const struct head *h);
struct span head_query(const struct head *h);

#endif
