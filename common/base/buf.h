/*
 * buf.h - byte ranges and growable buffers. Every growable buffer is born with its maximum.
 *
 * Nothing here is thread-safe; one buffer belongs to one thread at a time.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Borrowed bytes: pointer and length, not terminated. An empty span may have a NULL pointer. */
struct span {
    const char *ptr;
    size_t len;
};

#define SPAN_LITERAL(s) ((struct span){"" s, sizeof(s) - 1})
struct span span_of(const char *cstring); /* borrows; NULL gives the empty span */
struct span span_bytes(const void *data, size_t len);
bool span_equal(struct span a, struct span b);
bool span_equal_nocase(struct span a, struct span b); /* ASCII case only */
bool span_is(struct span a, const char *cstring);
bool span_is_nocase(struct span a, const char *cstring);
bool span_starts_nocase(struct span a, const char *prefix);
struct span span_trim(struct span s); /* blanks and tabs off both ends */
/* Splits at the first `sep`: *head is what stands before it, *rest what follows; without one, *head is all,
 * *rest is empty and the result is false. */
bool span_cut(struct span s, char sep, struct span *head, struct span *rest);
/* A copy with a terminating NUL; the caller owns it. NULL when out of memory or when the bytes contain NUL.
 */
char *span_dup(struct span s);
/* Decimal digits only, no sign, no blanks, no leading zero but "0" itself. False on anything else or above
 * max. */
bool span_to_u64(struct span s, uint64_t max, uint64_t *out);

/* A growable buffer. Always NUL-terminated beyond len when data is not NULL. */
struct buf {
    char *data;
    size_t len;
    size_t cap;
    size_t max;  /* bytes; growing past it is ERR_TOO_LARGE and leaves the buffer as it was */
    bool secret; /* wiped when it moves, shrinks or is freed */
};

void buf_init(struct buf *b, size_t max_bytes);
void buf_init_secret(struct buf *b, size_t max_bytes);
void buf_free(struct buf *b);  /* leaves an empty buffer with the same maximum */
void buf_clear(struct buf *b); /* length 0, keeps the memory (wiped if secret) */
enum err buf_append(struct buf *b, const void *data, size_t len);
enum err buf_append_str(struct buf *b, const char *cstring);
enum err buf_append_span(struct buf *b, struct span s);
enum err buf_append_char(struct buf *b, char c);
enum err buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
enum err buf_vprintf(struct buf *b, const char *format, va_list ap) __attribute__((format(printf, 2, 0)));
/* Makes room for `len` more bytes and returns where to write them; add them with buf_added. NULL on error. */
char *buf_reserve(struct buf *b, size_t len);
void buf_added(struct buf *b, size_t len);
void buf_consume(struct buf *b, size_t len); /* drops bytes from the front */
struct span buf_span(const struct buf *b);   /* borrows until the next change */
const char *buf_cstr(const struct buf *b);   /* "" when empty; borrows until the next change */
/* Takes the memory out of the buffer (NUL-terminated, the caller owns it) and leaves it empty. "" is
 * allocated too; NULL when out of memory. */
char *buf_take(struct buf *b);

#endif
