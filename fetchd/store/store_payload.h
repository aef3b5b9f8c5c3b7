/*
 * store_payload.h - a payload while it is written, as store_deposit takes it over.
 */
#ifndef STORE_STORE_PAYLOAD_H
#define STORE_STORE_PAYLOAD_H

#include "store/store_internal.h"

/* Kept in memory until it outgrows what a record may hold, then in the engine's blob. */
struct store_payload {
    struct store *s;
    uint8_t id[SEAL_PAYLOAD_ID_BYTES];
    struct buf bytes;         /* while blob is NULL */
    struct engine_blob *blob; /* owned */
    uint64_t size;
};
/* SHA-256 over all that was written. */
enum err store_payload_digest(struct store_payload *p, uint8_t out[CRYPT_SHA256_BYTES]);
/* ERR_DISK_FULL below the disk floor. */
enum err store_disk_floor(struct store *s);

#endif
