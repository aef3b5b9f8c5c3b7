/*
 * epochs.h - what the store knows of the site keys: an epoch is met once, with one key, and is never used
 * again for another. It is retired when nothing is left that its key could open; then the key may be
 * destroyed: marked retired, forgotten in memory, taken out of the file, in this order, so that a crash in
 * between leaves a key that nothing uses and that is not loaded again.
 *
 * Thread-safe, beside all other words.
 */
#ifndef STORE_EPOCHS_H
#define STORE_EPOCHS_H

#include "store/store.h"
#include "ticket/sitekey.h"

struct store_epoch {
    uint16_t epoch;
    uint8_t fingerprint[SITEKEY_FINGERPRINT_BYTES];
    int64_t since_s;      /* when the store met it */
    int64_t superseded_s; /* when the next key came; 0: none has, or it is retired */
    int64_t retired_s;    /* 0: it is not */
    bool current;         /* what is new is made with it */
    bool used;            /* current, or something that was made with it is still there */
};
/* All that were ever met, ascending. Reads through the store, page by page, until it knows what is used: the
 * caller's thread is busy for a while. The caller frees *out. */
enum err store_epochs(struct store *s, struct store_epoch **out, size_t *count);
/* *met: whether the store ever worked with this key of this epoch, retired or not. The store's errors. */
enum err store_epoch_met(struct store *s, uint16_t epoch,
                         const uint8_t fingerprint[SITEKEY_FINGERPRINT_BYTES], bool *met);

/*
 * Takes `fresh` and works with its keys from then on; DURABLE: what is new of them. ERR_CONFIG with *why
 * ("file:line: message"), and the keys stay as they were: another key for an epoch that is known, a retired
 * epoch as the current one, or a key missing that is not retired. A retired key that is still there is left
 * out.
 */
enum err store_keys_reload(struct store *s, struct site_keys *fresh, int64_t now_s, struct buf *why);

/* Records that may live on for ever under an older key, since they are written again and again (rows of
 * contact attempts), are sealed anew under the current one, each in a transaction of its own. *count: how
 * many were. DURABLE. */
enum err store_reseal(struct store *s, size_t *count);

/*
 * DURABLE: an epoch of which nothing is left is retired, and its key forgotten in memory. quiet_s: what was
 * made with it outside of the store lives at most so long after the next epoch came. Once more: ERR_OK.
 * ERR_NOT_FOUND; ERR_FORBIDDEN: the current one; ERR_BUSY: it is used; each with *why.
 */
enum err store_epoch_retire(struct store *s, uint16_t epoch, int64_t quiet_s, int64_t now_s, struct buf *why);

#endif
