/*
 * seal.h - sealing of payloads (docs/PROTOCOL.md, "Sealed payload") and wrapping of their keys.
 *
 * One random data encryption key (DEK) a payload; HKDF-SHA-256 of it to a cipher key and a key commitment;
 * chunks of SEAL_CHUNK_BYTES of AES-256-GCM with nonce = 11-byte big-endian counter, 1-byte last flag
 * (STREAM). The header stands first; since a letter is sealed while it arrives, its length is known last: the
 * cipher key is bound to the header's fields but the length, and the commitment to the whole header with the
 * length. The writer therefore puts the header in place at the end (seal_finish), before the payload is
 * committed.
 *
 * Objects belong to one thread at a time (they may move between threads).
 */
#ifndef SEAL_SEAL_H
#define SEAL_SEAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "seal/crypt.h"

#define SEAL_CHUNK_BYTES 65536
#define SEAL_PAYLOAD_ID_BYTES 16
#define SEAL_DEK_BYTES 32
#define SEAL_SALT_BYTES 24
#define SEAL_HEADER_BYTES 96                /* the layout stands in PROTOCOL.md and at the top of seal.c */
#define SEAL_LETTER_MAX (UINT64_C(1) << 50) /* bytes */
#define SEAL_DIGEST_BYTES 32
#define SEAL_WRAP_BYTES (SEAL_DEK_BYTES + CRYPT_TAG_BYTES)
/* The sealed size of a letter: header, then the chunks with their tags; an empty letter is one empty last
 * chunk. */
uint64_t seal_sealed_size(uint64_t letter_bytes);

/* Writing. */
struct sealer;
/* payload_version counts from 1; a replacement gets the next. Draws the DEK, the payload id and the salt at
 * random. */
enum err sealer_create(uint32_t payload_version, struct sealer **out);
/* The same with given values, for test vectors alone: sealing two letters with the same ones gives both away.
 */
struct seal_secrets {
    uint8_t dek[SEAL_DEK_BYTES];
    uint8_t payload_id[SEAL_PAYLOAD_ID_BYTES];
    uint8_t salt[SEAL_SALT_BYTES];
};
enum err sealer_create_with(uint32_t payload_version, const struct seal_secrets *secrets,
                            struct sealer **out);
void sealer_free(struct sealer *s);                       /* wipes */
const uint8_t *sealer_payload_id(const struct sealer *s); /* SEAL_PAYLOAD_ID_BYTES; borrows */
const uint8_t *sealer_dek(const struct sealer *s);        /* SEAL_DEK_BYTES; secret; borrows */
/* Appends sealed chunks that became complete to out: at most len + SEAL_CHUNK_BYTES bytes and a tag a chunk.
 * ERR_TOO_LARGE when out cannot hold them or the letter exceeds SEAL_LETTER_MAX. After an error the sealer
 * gives the same error for ever. */
enum err sealer_update(struct sealer *s, const void *letter, size_t len, struct buf *out);
/* Appends the last chunk to out; header gets the final header; digest the SHA-256 of the letter. */
enum err sealer_finish(struct sealer *s, struct buf *out, uint8_t header[SEAL_HEADER_BYTES],
                       uint8_t digest[SEAL_DIGEST_BYTES], uint64_t *letter_bytes);

/* Reading: no byte is released before its tag is verified; the commitment is checked before any chunk. */
struct opener;
struct seal_header {
    uint32_t payload_version;
    uint64_t letter_bytes;
    uint8_t payload_id[SEAL_PAYLOAD_ID_BYTES];
};
/* Reads only the header's fields (no key): ERR_SEAL_FORMAT. */
enum err seal_header_parse(struct span header, struct seal_header *out);
/* sealed_bytes: the whole payload's size as announced, or UINT64_MAX when unknown. ERR_SEAL_LENGTH when no
 * letter has that sealed size. */
enum err opener_create(const uint8_t dek[SEAL_DEK_BYTES], uint64_t sealed_bytes, struct opener **out);
void opener_free(struct opener *o);
/* Feed sealed bytes in order, in pieces of any size; verified letter bytes are appended to out. After an
 * error the opener gives the same error for ever. */
enum err opener_update(struct opener *o, const void *sealed, size_t len, struct buf *out);
/* Last flag seen and nothing trailing, else ERR_SEAL_TRUNCATED / _TRAILING. digest: SHA-256 of the letter. */
enum err opener_finish(struct opener *o, uint8_t digest[SEAL_DIGEST_BYTES], uint64_t *letter_bytes);
/* After the header was seen. */
const struct seal_header *opener_header(const struct opener *o);

/*
 * Key wrap for one ticket: W = HKDF(Kd, salt = A, info = label | payload id | version); AES-256-GCM under W,
 * zero nonce (W is used once: a replacement has another payload id and version). wrap_open: ERR_SEAL_WRAP.
 */
enum err wrap_seal(const uint8_t kd[32], const uint8_t a[16], const uint8_t payload_id[SEAL_PAYLOAD_ID_BYTES],
                   uint32_t payload_version, const uint8_t dek[SEAL_DEK_BYTES],
                   uint8_t wrap[SEAL_WRAP_BYTES]);
enum err wrap_open(const uint8_t kd[32], const uint8_t a[16], const uint8_t payload_id[SEAL_PAYLOAD_ID_BYTES],
                   uint32_t payload_version, const uint8_t wrap[SEAL_WRAP_BYTES],
                   uint8_t dek[SEAL_DEK_BYTES]);

#endif
