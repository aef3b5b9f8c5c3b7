/*
 * rows.h - lists in the local API's answers (tickets, jobs, status) as JSON: {"tickets": [{"id": "...",
 * "size": 1}]}, and the query strings that ask for them. Written by fetchd, read by restantectl. A struct
 * rows belongs to one thread at a time.
 */
#ifndef LOCAL_ROWS_H
#define LOCAL_ROWS_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct rows;

/* An empty list called name. The caller owns *out. */
enum err rows_create(const char *name, struct rows **out);
enum err rows_parse(struct span json, const char *name, struct rows **out); /* ERR_SYNTAX, ERR_NOMEM */
void rows_free(struct rows *r);
/* Writing: the rows that follow are those of another list in the same answer. */
void rows_list(struct rows *r, const char *name);

/* Writing. After an error the list is unusable, and rows_format tells: no need to look at each call. Text
 * that is not UTF-8 is shown with \xHH. */
void rows_begin(struct rows *r);
void rows_text(struct rows *r, const char *key, const char *value); /* value NULL or "": left out */
void rows_number(struct rows *r, const char *key, int64_t value);
void rows_time(struct rows *r, const char *key, int64_t utc_s); /* "2026-11-21T04:08:44Z"; 0: left out */
void rows_hex(struct rows *r, const char *key, const uint8_t *bytes, size_t len); /* at most 64 */
/* With a final newline. Nothing but ASCII: a terminal shows it as it is. */
enum err rows_format(const struct rows *r, struct buf *out);

/* Reading. Strings borrow from the list. */
size_t rows_count(const struct rows *r);
const char *rows_get_text(const struct rows *r, size_t row, const char *key); /* "" when absent */
int64_t rows_get_number(const struct rows *r, size_t row, const char *key);   /* 0 when absent */
bool rows_has_number(const struct rows *r, size_t row, const char *key);
/* Every member of a row, in the order in which it was written. Numbers are given as text. */
void rows_each(const struct rows *r, size_t row, void (*each)(void *arg, const char *key, const char *value),
               void *arg);

/* Appends "name=value" with what RFC 3986 does not leave alone percent-encoded, '?' or '&' in front. Nothing
 * for a NULL value. out starts with the path. */
enum err query_add(struct buf *out, const char *name, const char *value);
/* The decoded value of a name. ERR_NOT_FOUND; ERR_SYNTAX for a bad escape, a control character. */
enum err query_get(struct span query, const char *name, struct buf *out);

#endif
