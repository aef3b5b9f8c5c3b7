/*
 * room.h - whether the disk has room for a letter before it is called for: a claim whose answer cannot be
 * stored is a hand-over that came to nothing. Inside this room. Thread-safe.
 */
#ifndef PULL_ROOM_H
#define PULL_ROOM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct room;
/* directory: where letters are spooled, on a file system of which reserve_bytes shall stay free; copied. */
enum err room_create(const char *directory, int64_t reserve_bytes, struct room **out);
void room_free(struct room *r); /* NULL is fine */

/* Sets so much aside, until room_give, beside what is set aside for others (a small letter is judged by what
 * is free alone). False: there is no room, which the log says once in a while. */
bool room_take(struct room *r, uint64_t bytes);
void room_give(struct room *r, uint64_t bytes);

#endif
