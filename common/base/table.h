/*
 * table.h - a table of bounded size by name that forgets what was unused longest: what is remembered of
 * strangers, of whom there may be any number. Names are kept as keyed digests of 128 bits, so that a long
 * name costs no more than a short one and nobody can aim at a slot. Every operation is O(1). Not thread-safe.
 */
#ifndef BASE_TABLE_H
#define BASE_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct table;
/* entries_max: 1 to 2^24, of value_bytes each (and 32 more). The memory is touched only as the table fills.
 */
enum err table_create(size_t entries_max, size_t value_bytes, struct table **out);
void table_free(struct table *t); /* NULL is fine */

/* The value, now the last that would be forgotten; NULL when there is none. Borrowed until the next call of
 * table_put or table_remove; aligned for int64_t. */
void *table_find(struct table *t, const void *name, size_t name_len);
/* The same, and a new one of zeros when there is none (*made then says so; made may be NULL): the longest
 * unused gives way. Never NULL. */
void *table_put(struct table *t, const void *name, size_t name_len, bool *made);
void table_remove(struct table *t, const void *name, size_t name_len);
size_t table_count(const struct table *t);

#endif
