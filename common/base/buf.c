#include "base/buf.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"

/* ASCII only: the locale has no say in what a protocol word is. */
static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

struct span span_of(const char *cstring)
{
    return cstring == NULL ? (struct span){NULL, 0} : (struct span){cstring, strlen(cstring)};
}

struct span span_bytes(const void *data, size_t len)
{
    return (struct span){data, len};
}

bool span_equal(struct span a, struct span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool span_equal_nocase(struct span a, struct span b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (lower(a.ptr[i]) != lower(b.ptr[i]))
            return false;
    return true;
}

bool span_is(struct span a, const char *cstring)
{
    return span_equal(a, span_of(cstring));
}

bool span_is_nocase(struct span a, const char *cstring)
{
    return span_equal_nocase(a, span_of(cstring));
}

bool span_starts_nocase(struct span a, const char *prefix)
{
    size_t len = strlen(prefix);
    return a.len >= len && span_equal_nocase((struct span){a.ptr, len}, (struct span){prefix, len});
}

struct span span_trim(struct span s)
{
    while (s.len > 0 && (s.ptr[0] == ' ' || s.ptr[0] == '\t')) {
        s.ptr++;
        s.len--;
    }
    while (s.len > 0 && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t'))
        s.len--;
    return s;
}

bool span_cut(struct span s, char sep, struct span *head, struct span *rest)
{
    const char *at = s.len > 0 ? memchr(s.ptr, sep, s.len) : NULL;
    if (at == NULL) {
        *head = s;
        *rest = (struct span){NULL, 0};
        return false;
    }
    size_t before = (size_t)(at - s.ptr);
    *head = (struct span){s.ptr, before};
    *rest = (struct span){at + 1, s.len - before - 1};
    return true;
}

char *span_dup(struct span s)
{
    if (s.len > 0 && memchr(s.ptr, '\0', s.len) != NULL)
        return NULL;
    char *copy = malloc(s.len + 1);
    if (copy == NULL)
        return NULL;
    if (s.len > 0)
        memcpy(copy, s.ptr, s.len);
    copy[s.len] = '\0';
    return copy;
}

bool span_to_u64(struct span s, uint64_t max, uint64_t *out)
{
    if (s.len == 0 || (s.len > 1 && s.ptr[0] == '0'))
        return false;
    uint64_t value = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
        uint64_t digit = (uint64_t)(s.ptr[i] - '0');
        if (value > (UINT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    if (value > max)
        return false;
    *out = value;
    return true;
}

void buf_init(struct buf *b, size_t max_bytes)
{
    *b = (struct buf){.max = max_bytes};
}

void buf_init_secret(struct buf *b, size_t max_bytes)
{
    *b = (struct buf){.max = max_bytes, .secret = true};
}

void buf_free(struct buf *b)
{
    if (b->secret && b->data != NULL)
        secret_wipe(b->data, b->cap);
    free(b->data);
    b->data = NULL;
    b->len = b->cap = 0;
}

void buf_clear(struct buf *b)
{
    if (b->data == NULL)
        return;
    if (b->secret)
        secret_wipe(b->data, b->cap);
    b->len = 0;
    b->data[0] = '\0';
}

/* Room for `len` more bytes and the NUL; cap counts the NUL too. */
static enum err grow(struct buf *b, size_t len)
{
    if (len > b->max || b->len > b->max - len)
        return ERR_TOO_LARGE;
    size_t need = b->len + len + 1;
    if (need == 0)
        return ERR_TOO_LARGE;
    if (need <= b->cap)
        return ERR_OK;
    size_t cap = b->cap < 64 ? 64 : b->cap <= SIZE_MAX / 2 ? b->cap * 2 : SIZE_MAX;
    if (cap < need)
        cap = need;
    if (b->max < SIZE_MAX && cap > b->max + 1)
        cap = b->max + 1;
    char *data;
    if (b->secret) { /* realloc would leave the old copy behind */
        data = malloc(cap);
        if (data == NULL)
            return ERR_NOMEM;
        if (b->data != NULL) {
            memcpy(data, b->data, b->len);
            secret_wipe(b->data, b->cap);
            free(b->data);
        }
    } else {
        data = realloc(b->data, cap);
        if (data == NULL)
            return ERR_NOMEM;
    }
    b->data = data;
    b->cap = cap;
    b->data[b->len] = '\0';
    return ERR_OK;
}

char *buf_reserve(struct buf *b, size_t len)
{
    return grow(b, len) == ERR_OK ? b->data + b->len : NULL;
}

void buf_added(struct buf *b, size_t len)
{
    assert(len < b->cap - b->len);
    b->len += len;
    b->data[b->len] = '\0';
}

enum err buf_append(struct buf *b, const void *data, size_t len)
{
    enum err e = grow(b, len);
    if (e != ERR_OK)
        return e;
    if (len > 0)
        memcpy(b->data + b->len, data, len);
    buf_added(b, len);
    return ERR_OK;
}

enum err buf_append_str(struct buf *b, const char *cstring)
{
    return buf_append(b, cstring, strlen(cstring));
}

enum err buf_append_span(struct buf *b, struct span s)
{
    return buf_append(b, s.ptr, s.len);
}

enum err buf_append_char(struct buf *b, char c)
{
    return buf_append(b, &c, 1);
}

enum err buf_vprintf(struct buf *b, const char *format, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int len = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (len < 0)
        return ERR_INTERNAL;
    char *at = NULL;
    enum err e = grow(b, (size_t)len);
    if (e != ERR_OK)
        return e;
    at = b->data + b->len;
    (void)vsnprintf(at, (size_t)len + 1, format, ap);
    buf_added(b, (size_t)len);
    return ERR_OK;
}

enum err buf_printf(struct buf *b, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    enum err e = buf_vprintf(b, format, ap);
    va_end(ap);
    return e;
}

void buf_consume(struct buf *b, size_t len)
{
    assert(len <= b->len);
    if (len == 0)
        return;
    size_t left = b->len - len;
    memmove(b->data, b->data + len, left);
    if (b->secret)
        secret_wipe(b->data + left, len);
    b->len = left;
    b->data[left] = '\0';
}

struct span buf_span(const struct buf *b)
{
    return (struct span){b->data, b->len};
}

const char *buf_cstr(const struct buf *b)
{
    return b->data == NULL ? "" : b->data;
}

char *buf_take(struct buf *b)
{
    if (b->data == NULL && grow(b, 0) != ERR_OK)
        return NULL;
    char *data = b->data;
    b->data = NULL;
    b->len = b->cap = 0;
    return data;
}
