/*
 * store_payload.h - a payload while it is written, as store_deposit and store_attempt_keep take it over.
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
    bool keeping; /* in store.keeping, until store_payload_abort */
};
/* SHA-256 over all that was written. */
enum err store_payload_digest(struct store_payload *p, uint8_t out[CRYPT_SHA256_BYTES]);
/* Its record; to be made before store_payload_keep. */
enum err store_payload_record(const struct store_payload *p, const uint8_t dek[SEAL_DEK_BYTES],
                              int64_t created_s, struct payload_record *out);
/* The bytes are on disk under their name before any record speaks of them. */
enum err store_payload_keep(struct store_payload *p);
/* After a change that did not take a kept one, or an error: nobody needs the blob, unless its record is there
 * after all (committed, and then the flush failed). When that cannot be told now, the sweeper can later. */
void store_payload_unneeded(struct store *s, const uint8_t id[SEAL_PAYLOAD_ID_BYTES]);
enum err store_payload_open(struct store *s, const uint8_t id[SEAL_PAYLOAD_ID_BYTES], struct store_body *out);
enum err store_payload_open_dek(struct store *s, const uint8_t id[SEAL_PAYLOAD_ID_BYTES],
                                uint8_t dek[SEAL_DEK_BYTES]);
/* ERR_DISK_FULL below the disk floor. */
enum err store_disk_floor(struct store *s);

#endif
