/*
 * attempt_ring.h - which rows of a mailbox's ring (attempt.h) a new one takes the place of.
 */
#ifndef STORE_ATTEMPT_RING_H
#define STORE_ATTEMPT_RING_H

#include "store/attempt.h"
#include "store/attempt_row.h"

#define ATTEMPT_EVICT_MAX 4 /* rows that one new row takes the place of, at most */

struct attempt_ring {
    bool own_place;      /* the one of `oldest` gives way, though there may be room */
    size_t oldest_count; /* that would give way, if there are too many; oldest first */
    struct attempt_ring_row {
        uint8_t row[ATTEMPT_ROW_BYTES];
        int64_t last_s;
    } oldest[ATTEMPT_EVICT_MAX];
};

/* As the ring was committed last, for the row `key` of these facts. Outside of changes: inside, all of it is
 * to be looked at again. Reads a few thousand rows at most. */
enum err attempt_ring_look(struct store *s, const struct record_key *key, const struct attempt *facts,
                           uint32_t rows_max, struct attempt_ring *out);

#endif
