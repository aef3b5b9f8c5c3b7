/*
 * members.h - JSON objects and structs by tables: one row names a member, its place in the struct, its type
 * and its bound. Private to this folder; jansson is known here and in the files that include this.
 * Thread-safe.
 */
#ifndef LOCAL_MEMBERS_H
#define LOCAL_MEMBERS_H

#include <stddef.h>

#include <jansson.h>

#include "base/buf.h"

/* How a member looks in C and in JSON. */
enum member_type {
    MEMBER_TEXT,    /* char *; a JSON string. Bytes that no JSON string can carry are an error */
    MEMBER_ADDRESS, /* the same; the error is ERR_ADDRESS */
    MEMBER_LOSSY,   /* char *; informational text of the client's, unfit bytes become '?' */
    MEMBER_RAW,     /* char *; any bytes but NUL, base64url */
    MEMBER_FLAG,    /* bool; absent means false */
    MEMBER_PORT,    /* int, 0..65535; absent means 0 */
    MEMBER_SIZE     /* uint64_t; absent means 0 */
};

struct member {
    const char *name;
    size_t offset;
    enum member_type type;
    size_t max; /* bytes of text */
    bool required;
};

#define M(container, field, type, max, required)                                                             \
    {                                                                                                        \
#field, offsetof(struct container, field), type, max, required                                       \
    }

/* Strings that are NULL and numbers that are 0 are left out. The errors are those of api.h. */
enum err members_to_json(const struct member *m, size_t count, const void *from, json_t *object);
/* Counts in *seen the members of the object that the rows name, so that the caller can tell whether others
 * are there. On an error, what was read so far stays in the struct for its _free function. */
enum err members_from_json(const struct member *m, size_t count, json_t *object, void *into, size_t *seen);
void members_free(const struct member *m, size_t count, void *of);

/* Arrays of structs of `size` bytes; no unknown members. When reading, *first and *length are kept true at
 * every step, so that the struct can be freed after an error. */
enum err members_array_to_json(const struct member *m, size_t count, const void *first, size_t size,
                               size_t length, json_t *object, const char *name);
enum err members_array_from_json(const struct member *m, size_t count, json_t *array, size_t size, size_t max,
                                 void **first, size_t *length);

/* Appends the object as one line without a line break, as the head of a deposit needs it, if so_far is
 * ERR_OK; the result is so_far otherwise. Takes the object; on an error the buffer is as it was. */
enum err document_write(json_t *object, enum err so_far, struct buf *out);
/* An object of at most API_HEAD_MAX bytes without duplicate names; the caller owns it. */
enum err document_read(struct span json, json_t **out);

#endif
