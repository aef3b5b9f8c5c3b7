/*
 * arrival.h - a letter that arrives over the local API behind a JSON head and '\n', sealed chunk by chunk
 * while it does (constant memory), into a payload of the store. One path for deposits, for replacements
 * (which come without a head), and for messages that are kept.
 *
 * Belongs to one thread at a time.
 */
#ifndef LOCAL_ARRIVAL_H
#define LOCAL_ARRIVAL_H

#include "env/env.h"
#include "local/letter.h"
#include "seal/seal.h"
#include "store/store.h"

struct arrival {
    int64_t began_mono_ms;
    bool head_read;
    struct buf head;               /* until it was read */
    struct sealer *sealer;         /* owned; has the DEK and the payload's id */
    struct store_payload *payload; /* owned; the caller gives it to the store and sets it NULL */
    struct letter_scan *scan;
    struct buf sealed;
    uint64_t letter_bytes;
    uint8_t digest[SEAL_DIGEST_BYTES]; /* SHA-256 of the letter, after arrival_finish */
};

void arrival_init(struct arrival *in);
void arrival_free(struct arrival *in); /* what was not taken by the store leaves nothing */

/* Takes bytes for the head from the piece; *used tells how many. *complete: in->head has all of it, the
 * caller reads it and calls arrival_begin. ERR_TOO_LARGE. */
enum err arrival_head(struct arrival *in, struct span piece, size_t *used, bool *complete);
/* The head was read: a payload of this version begins. */
enum err arrival_begin(const struct env *env, struct arrival *in, uint32_t version);
/* The letter's next bytes. ERR_TOO_LARGE above letter_max. */
enum err arrival_letter(const struct env *env, struct arrival *in, struct span piece);
/* The last chunk and the payload's header: it can be given to the store. reverse_path, facts: NULL when
 * nothing of the letter's header matters; then none is malformed. */
enum err arrival_finish(struct arrival *in, const struct address *reverse_path, struct letter_facts *facts);

#endif
