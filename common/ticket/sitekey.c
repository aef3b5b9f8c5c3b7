/*
 * sitekey.c - the site's own secrets in memory: held from the start to the end, replaced in one moment, never
 * written to the log.
 */
#include "ticket/sitekey.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "seal/crypt.h"

#define SEAL_NONCE_BYTES 16
#define SEAL_EPOCH_BYTES 2

/* Read by every request, for some microseconds; written once in weeks. */
struct site_keys {
    pthread_rwlock_t *lock; /* apart, so that a reader's struct is const */
    size_t count, room;
    struct site_key *key; /* epochs ascending */
    char *file;           /* NULL: from memory */
};

static enum err create_lock(pthread_rwlock_t **out)
{
    pthread_rwlockattr_t attributes;
    pthread_rwlock_t *lock = malloc(sizeof *lock);

    if (lock == NULL)
        return ERR_NOMEM;
    /* Readers come without a pause: they would keep a writer waiting for ever. None of them reads twice at
     * once. */
    pthread_rwlockattr_init(&attributes);
    (void)pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(lock, &attributes);
    pthread_rwlockattr_destroy(&attributes);
    *out = lock;
    return ERR_OK;
}

/* Everything but the lock. */
static void destroy_keys(struct site_keys *k)
{
    if (k->key != NULL)
        secret_wipe(k->key, k->room * sizeof *k->key);
    free(k->key);
    free(k->file);
}

void site_keys_free(struct site_keys *k)
{
    if (k == NULL)
        return;
    destroy_keys(k);
    if (k->lock != NULL)
        pthread_rwlock_destroy(k->lock);
    free(k->lock);
    free(k);
}

enum err site_keys_create(const struct site_key *key, size_t count, const char *file, struct site_keys **out)
{
    struct site_keys *k;
    enum err e;

    if (count == 0 || count > SITEKEY_EPOCHS_MAX)
        return ERR_CONFIG;
    for (size_t i = 0; i < count; i++)
        if (key[i].epoch == 0 || (i > 0 && key[i].epoch <= key[i - 1].epoch))
            return ERR_CONFIG;
    if ((k = calloc(1, sizeof *k)) == NULL)
        return ERR_NOMEM;
    k->count = k->room = count;
    k->key = calloc(count, sizeof *k->key);
    k->file = file == NULL ? NULL : strdup(file);
    e = k->key == NULL || (file != NULL && k->file == NULL) ? ERR_NOMEM : create_lock(&k->lock);
    if (e != ERR_OK) {
        site_keys_free(k);
        return e;
    }
    memcpy(k->key, key, count * sizeof *key);
    *out = k;
    return ERR_OK;
}

enum err site_keys_from_bytes(const uint16_t *epochs, const uint8_t (*keys)[SITEKEY_BYTES], size_t count,
                              struct site_keys **out)
{
    struct site_key *key = calloc(count + 1, sizeof *key);
    enum err e;

    if (key == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < count; i++) {
        key[i].epoch = epochs[i];
        memcpy(key[i].key, keys[i], SITEKEY_BYTES);
    }
    e = site_keys_create(key, count, NULL, out);
    secret_wipe(key, (count + 1) * sizeof *key);
    free(key);
    return e;
}

void site_keys_replace(struct site_keys *k, struct site_keys *with)
{
    struct site_keys old;

    pthread_rwlock_wrlock(k->lock);
    old = *k;
    k->count = with->count;
    k->room = with->room;
    k->key = with->key;
    k->file = with->file;
    pthread_rwlock_unlock(k->lock);
    destroy_keys(&old); /* whoever read them has let go of the lock */
    with->key = NULL;
    with->file = NULL;
    site_keys_free(with);
}

enum err site_keys_forget(struct site_keys *k, uint16_t epoch)
{
    enum err e = ERR_NOT_FOUND;

    pthread_rwlock_wrlock(k->lock);
    for (size_t i = 0; i < k->count && e == ERR_NOT_FOUND; i++) {
        if (k->key[i].epoch != epoch)
            continue;
        if (i + 1 == k->count) {
            e = ERR_FORBIDDEN;
            break;
        }
        memmove(&k->key[i], &k->key[i + 1], (k->count - i - 1) * sizeof *k->key);
        secret_wipe(&k->key[--k->count], sizeof *k->key);
        e = ERR_OK;
    }
    pthread_rwlock_unlock(k->lock);
    return e;
}

uint16_t site_keys_current(const struct site_keys *k)
{
    pthread_rwlock_rdlock(k->lock);
    uint16_t epoch = k->key[k->count - 1].epoch;
    pthread_rwlock_unlock(k->lock);
    return epoch;
}

/* The caller holds the lock. */
static const struct site_key *find(const struct site_keys *k, uint16_t epoch)
{
    for (size_t i = k->count; i-- > 0;) /* the newest are asked for most */
        if (k->key[i].epoch == epoch)
            return &k->key[i];
    return NULL;
}

/* The caller holds the lock. */
static enum err derive(const struct site_key *key, const char *label, struct span data, uint8_t out[32])
{
    const struct span parts[] = {span_bytes(label, strlen(label) + 1), data};

    return crypt_hmac_sha256(key->key, SITEKEY_BYTES, parts, 2, out);
}

enum err site_keys_derive(const struct site_keys *k, uint16_t epoch, const char *label, struct span data,
                          uint8_t out[32])
{
    pthread_rwlock_rdlock(k->lock);
    const struct site_key *key = find(k, epoch);
    enum err e = key == NULL ? ERR_NOT_FOUND : derive(key, label, data, out);
    pthread_rwlock_unlock(k->lock);
    return e;
}

bool site_keys_info(const struct site_keys *k, size_t i, struct site_key_info *out)
{
    uint8_t sum[32] = {0};

    pthread_rwlock_rdlock(k->lock);
    bool there = i < k->count;
    if (there) {
        const struct site_key *key = &k->key[i];
        *out = (struct site_key_info){.epoch = key->epoch, .line = key->line, .since_s = key->since_s};
        (void)derive(key, SITEKEY_LABEL_PREFIX "fingerprint", (struct span){0}, sum);
    }
    pthread_rwlock_unlock(k->lock);
    if (there)
        memcpy(out->fingerprint, sum, SITEKEY_FINGERPRINT_BYTES);
    return there;
}

bool site_keys_has(const struct site_keys *k, uint16_t epoch)
{
    pthread_rwlock_rdlock(k->lock);
    bool has = find(k, epoch) != NULL;
    pthread_rwlock_unlock(k->lock);
    return has;
}

void site_keys_place(const struct site_keys *k, uint16_t epoch, struct buf *out)
{
    pthread_rwlock_rdlock(k->lock);
    const struct site_key *key = find(k, epoch);
    if (k->file != NULL && key != NULL)
        (void)buf_printf(out, "%s:%u: ", k->file, key->line);
    else if (k->file != NULL)
        (void)buf_printf(out, "%s: ", k->file);
    pthread_rwlock_unlock(k->lock);
}

/* ---- records ---- */

/* A key for one record: with a nonce of 16 random octets no key is ever used twice, so GCM's own can be zero.
 */
static enum err record_key(const struct site_keys *k, uint16_t epoch, const char *label, const uint8_t *nonce,
                           uint8_t out[CRYPT_KEY_BYTES])
{
    char full[sizeof SITEKEY_LABEL_PREFIX "seal/" + SITEKEY_LABEL_MAX];
    int n = snprintf(full, sizeof full, SITEKEY_LABEL_PREFIX "seal/%s", label);
    if (n < 0 || (size_t)n >= sizeof full)
        return ERR_INTERNAL;
    return site_keys_derive(k, epoch, full, span_bytes(nonce, SEAL_NONCE_BYTES), out);
}

enum err site_seal(const struct site_keys *k, const char *label, struct span aad, struct span plain,
                   struct buf *out)
{
    static const uint8_t zero[CRYPT_NONCE_BYTES];
    uint16_t epoch = site_keys_current(k);
    uint8_t key[CRYPT_KEY_BYTES];
    if (plain.len > SIZE_MAX - SITE_SEAL_OVERHEAD)
        return ERR_TOO_LARGE;
    uint8_t *to = (uint8_t *)buf_reserve(out, plain.len + SITE_SEAL_OVERHEAD);
    if (to == NULL)
        return plain.len + SITE_SEAL_OVERHEAD > out->max - out->len ? ERR_TOO_LARGE : ERR_NOMEM;
    to[0] = (uint8_t)(epoch >> 8);
    to[1] = (uint8_t)epoch;
    enum err e = secret_random(to + SEAL_EPOCH_BYTES, SEAL_NONCE_BYTES);
    if (e == ERR_OK)
        e = record_key(k, epoch, label, to + SEAL_EPOCH_BYTES, key);
    if (e == ERR_OK)
        e = crypt_gcm_seal(key, zero, aad, plain, to + SEAL_EPOCH_BYTES + SEAL_NONCE_BYTES);
    if (e == ERR_OK)
        buf_added(out, plain.len + SITE_SEAL_OVERHEAD);
    secret_wipe(key, sizeof key);
    return e;
}

enum err site_open(const struct site_keys *k, const char *label, struct span aad, struct span sealed,
                   struct buf *out)
{
    static const uint8_t zero[CRYPT_NONCE_BYTES];
    const uint8_t *from = (const uint8_t *)sealed.ptr;
    uint8_t key[CRYPT_KEY_BYTES], nothing[1];
    if (sealed.len < SITE_SEAL_OVERHEAD)
        return ERR_SEAL_FORMAT;
    size_t plain = sealed.len - SITE_SEAL_OVERHEAD;
    uint16_t epoch = (uint16_t)(from[0] << 8 | from[1]);
    uint8_t *to = plain > 0 ? (uint8_t *)buf_reserve(out, plain) : nothing;
    if (to == NULL)
        return plain > out->max - out->len ? ERR_TOO_LARGE : ERR_NOMEM;
    enum err e = record_key(k, epoch, label, from + SEAL_EPOCH_BYTES, key);
    if (e == ERR_OK)
        e = crypt_gcm_open(key, zero, aad,
                           span_bytes(from + SEAL_EPOCH_BYTES + SEAL_NONCE_BYTES, plain + CRYPT_TAG_BYTES),
                           to);
    if (e == ERR_OK && plain > 0)
        buf_added(out, plain);
    secret_wipe(key, sizeof key);
    return e;
}
