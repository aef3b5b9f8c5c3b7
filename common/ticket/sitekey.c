/*
 * sitekey.c - the site's own secrets: read once at start, held until the end, never written to the log.
 */
#include "ticket/sitekey.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/encode.h"
#include "base/secret.h"
#include "seal/crypt.h"

#define KEYS_MAX 4096                /* epochs in one file */
#define FILE_MAX_BYTES (1024 * 1024) /* comments and all */
#define SEAL_NONCE_BYTES 16
#define SEAL_EPOCH_BYTES 2

struct site_key {
    uint16_t epoch;
    uint8_t key[SITEKEY_BYTES];
};

struct site_keys {
    size_t count, room;
    struct site_key *key; /* epochs ascending */
};

static enum err keys_create(size_t count, struct site_keys **out)
{
    struct site_keys *k = calloc(1, sizeof *k);
    if (k == NULL)
        return ERR_NOMEM;
    k->key = calloc(count, sizeof *k->key);
    if (k->key == NULL) {
        free(k);
        return ERR_NOMEM;
    }
    k->room = count;
    *out = k;
    return ERR_OK;
}

void site_keys_free(struct site_keys *k)
{
    if (k == NULL)
        return;
    secret_wipe(k->key, k->room * sizeof *k->key);
    free(k->key);
    free(k);
}

enum err site_keys_from_bytes(const uint16_t *epochs, const uint8_t (*keys)[SITEKEY_BYTES], size_t count,
                              struct site_keys **out)
{
    struct site_keys *k = NULL;
    if (count == 0)
        return ERR_CONFIG;
    for (size_t i = 0; i < count; i++)
        if (epochs[i] == 0 || (i > 0 && epochs[i] <= epochs[i - 1]))
            return ERR_CONFIG;
    enum err e = keys_create(count, &k);
    if (e != ERR_OK)
        return e;
    for (k->count = 0; k->count < count; k->count++) {
        k->key[k->count].epoch = epochs[k->count];
        memcpy(k->key[k->count].key, keys[k->count], SITEKEY_BYTES);
    }
    *out = k;
    return ERR_OK;
}

/* "epoch hex64" -> *out; a static text says what is wrong, NULL nothing. */
static const char *parse_line(struct span line, uint16_t above, struct site_key *out)
{
    struct span epoch, hex;
    uint64_t value = 0;
    for (size_t i = 0; i < line.len; i++)
        if (line.ptr[i] == '\t')
            return "a tab; write one blank between epoch and key";
    if (!span_cut(line, ' ', &epoch, &hex))
        return "expected an epoch, a blank, and a key of 64 hexadecimal digits";
    if (!span_to_u64(epoch, UINT16_MAX, &value) || value == 0)
        return "the epoch is not a number from 1 to 65535";
    if (value <= above)
        return "epochs must ascend, each once";
    if (decode_hex(span_trim(hex), out->key, SITEKEY_BYTES) != ERR_OK)
        return "the key is not 64 lower-case hexadecimal digits";
    out->epoch = (uint16_t)value;
    return NULL;
}

static enum err complain(struct buf *why, const char *path, size_t line, const char *what)
{
    if (why != NULL)
        (void)buf_printf(why, "%s:%zu: %s", path, line, what);
    return ERR_CONFIG;
}

static enum err parse_file(const char *path, struct span text, struct site_keys *k, struct buf *why)
{
    uint16_t last = 0;
    size_t line_number = 0;
    struct span line;
    while (text.len > 0) {
        (void)span_cut(text, '\n', &line, &text);
        line_number++;
        line = span_trim(line);
        if (line.len == 0 || line.ptr[0] == '#')
            continue;
        if (k->count == KEYS_MAX)
            return complain(why, path, line_number, "too many keys");
        const char *wrong = parse_line(line, last, &k->key[k->count]);
        if (wrong != NULL)
            return complain(why, path, line_number, wrong);
        last = k->key[k->count++].epoch;
    }
    return k->count > 0 ? ERR_OK : complain(why, path, line_number, "no key");
}

static enum err read_all(int fd, struct buf *text)
{
    for (;;) {
        char *to = buf_reserve(text, 4096);
        if (to == NULL)
            return text->max - text->len < 4096 ? ERR_TOO_LARGE : ERR_NOMEM;
        ssize_t n = read(fd, to, 4096);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_from_errno(errno);
        if (n == 0)
            return ERR_OK;
        buf_added(text, (size_t)n);
    }
}

enum err site_keys_load(const char *path, struct site_keys **out, struct buf *why)
{
    struct site_keys *k = NULL;
    struct buf text;
    struct stat st;
    enum err e;
    buf_init_secret(&text, FILE_MAX_BYTES);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) != 0) {
        e = err_from_errno(errno);
        if (why != NULL)
            (void)buf_printf(why, "%s: %s", path, strerror(errno));
        goto out;
    }
    e = ERR_CONFIG;
    if (!S_ISREG(st.st_mode)) {
        complain(why, path, 0, "not a regular file");
        goto out;
    }
    if ((st.st_mode & 077) != 0) {
        complain(why, path, 0, "others may read or write this file; make its mode 0400");
        goto out;
    }
    e = read_all(fd, &text);
    if (e == ERR_TOO_LARGE)
        e = complain(why, path, 0, "file too large");
    if (e == ERR_OK)
        e = keys_create(KEYS_MAX, &k);
    if (e == ERR_OK)
        e = parse_file(path, buf_span(&text), k, why);
    if (e == ERR_OK) {
        *out = k;
        k = NULL;
    }
out:
    site_keys_free(k);
    buf_free(&text);
    if (fd >= 0)
        close(fd);
    return e;
}

enum err site_keys_create_file(const char *path)
{
    uint8_t key[SITEKEY_BYTES];
    char hex[ENCODE_HEX_LEN(SITEKEY_BYTES) + 1];
    struct buf text;
    buf_init_secret(&text, 4096);
    int fd = -1;
    bool made = false;
    enum err e = secret_random(key, sizeof key);
    if (e != ERR_OK)
        goto out;
    encode_hex(key, sizeof key, hex);
    e = buf_printf(&text,
                   "# Site keys of Restante: \"epoch key\", epochs ascending, the last is in use.\n"
                   "# Whoever reads this file can read every letter in the store. Keep a copy apart from the "
                   "store's.\n1 %s\n",
                   hex);
    if (e != ERR_OK)
        goto out;
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0400);
    if (fd < 0) {
        e = errno == EEXIST ? ERR_EXISTS : err_from_errno(errno);
        goto out;
    }
    made = true;
    ssize_t n = write(fd, text.data, text.len);
    if (n < 0 || fsync(fd) != 0)
        e = err_from_errno(errno);
    else if ((size_t)n != text.len)
        e = ERR_DISK_FULL;
out:
    if (fd >= 0 && close(fd) != 0 && e == ERR_OK)
        e = err_from_errno(errno);
    if (made && e != ERR_OK)
        (void)unlink(path);
    buf_free(&text);
    secret_wipe(key, sizeof key);
    secret_wipe(hex, sizeof hex);
    return e;
}

uint16_t site_keys_current(const struct site_keys *k)
{
    return k->key[k->count - 1].epoch;
}

size_t site_keys_count(const struct site_keys *k)
{
    return k->count;
}

static const struct site_key *find(const struct site_keys *k, uint16_t epoch)
{
    for (size_t i = k->count; i-- > 0;) /* the newest are asked for most */
        if (k->key[i].epoch == epoch)
            return &k->key[i];
    return NULL;
}

enum err site_keys_derive(const struct site_keys *k, uint16_t epoch, const char *label, struct span data,
                          uint8_t out[32])
{
    const struct site_key *key = find(k, epoch);
    if (key == NULL)
        return ERR_NOT_FOUND;
    const struct span parts[] = {span_bytes(label, strlen(label) + 1), data};
    return crypt_hmac_sha256(key->key, SITEKEY_BYTES, parts, 2, out);
}

void site_keys_fingerprint(const struct site_keys *k, size_t i, uint16_t *epoch,
                           uint8_t out[SITEKEY_FINGERPRINT_BYTES])
{
    uint8_t sum[32] = {0};
    *epoch = k->key[i].epoch;
    (void)site_keys_derive(k, *epoch, SITEKEY_LABEL_PREFIX "fingerprint", (struct span){0}, sum);
    memcpy(out, sum, SITEKEY_FINGERPRINT_BYTES);
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
