/*
 * A sealed payload from a stranger. The input is one of two things, told by its first octet:
 *
 *   0  sealed octets, opened as they are under a known key
 *   n  a letter (the rest repeated to some chunks), sealed, then changed by the input: it opens only
 * unchanged
 *
 * No octet may come out that was not sealed.
 *
 * covers: common/seal/seal.c
 */
#include <stdlib.h>
#include <string.h>

#include "seal/seal.h"

#define LETTER_MAX 200000

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct seal_secrets secrets = {{1}, {2}, {3}};

static void require(bool holds)
{
    if (!holds)
        abort();
}

/* Wraps; and a sealer with secrets of its own. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static const uint8_t kd[32] = {1}, a[16] = {2}, id[SEAL_PAYLOAD_ID_BYTES] = {3};
    uint8_t wrap[SEAL_WRAP_BYTES], dek[SEAL_DEK_BYTES];
    struct sealer *s = NULL;
    (void)argc;
    (void)argv;
    require(sealer_create(0, &s) == ERR_INTERNAL && sealer_create(1, &s) == ERR_OK);
    require(wrap_seal(kd, a, sealer_payload_id(s), 1, sealer_dek(s), wrap) == ERR_OK);
    require(wrap_open(kd, a, sealer_payload_id(s), 1, wrap, dek) == ERR_OK);
    require(memcmp(dek, sealer_dek(s), sizeof dek) == 0);
    require(wrap_open(kd, a, id, 1, wrap, dek) == ERR_SEAL_WRAP);
    sealer_free(s);
    sealer_free(NULL);
    opener_free(NULL);
    return 0;
}

static enum err open_all(struct span sealed, uint64_t announced, size_t piece, struct buf *out)
{
    struct opener *o = NULL;
    struct seal_header header;
    uint8_t digest[SEAL_DIGEST_BYTES];
    uint64_t len = 0;
    enum err parsed = seal_header_parse(sealed, &header);
    enum err e = opener_create(secrets.dek, announced, &o);
    for (size_t at = 0; at < sealed.len && e == ERR_OK; at += piece)
        e = opener_update(o, sealed.ptr + at, sealed.len - at < piece ? sealed.len - at : piece, out);
    if (e == ERR_OK)
        e = opener_finish(o, digest, &len);
    if (e == ERR_OK) {
        require(parsed == ERR_OK && len == out->len && len == header.letter_bytes);
        require(opener_header(o)->letter_bytes == len && seal_sealed_size(len) == sealed.len);
        require(opener_finish(o, digest, &len) != ERR_OK);
    }
    opener_free(o);
    return e;
}

static void seal_letter(struct span letter, size_t piece, struct buf *sealed)
{
    struct sealer *s = NULL;
    uint8_t header[SEAL_HEADER_BYTES] = {0}, digest[SEAL_DIGEST_BYTES];
    uint64_t len;
    require(sealer_create_with(1, &secrets, &s) == ERR_OK);
    require(buf_append(sealed, header, sizeof header) == ERR_OK);
    for (size_t at = 0; at < letter.len; at += piece)
        require(sealer_update(s, letter.ptr + at, letter.len - at < piece ? letter.len - at : piece,
                              sealed) == ERR_OK);
    require(sealer_finish(s, sealed, header, digest, &len) == ERR_OK && len == letter.len);
    require(sealer_update(s, "x", 1, sealed) != ERR_OK);
    memcpy(sealed->data, header, sizeof header);
    sealer_free(s);
}

/* size 16 bits: length of the letter in units of 4 octets; 24 bits: where to change; 8 bits: how. */
static void seal_change_open(const uint8_t *data, size_t size)
{
    static uint8_t letter[LETTER_MAX];
    struct buf sealed, out;
    if (size < 6)
        return;
    size_t len = ((size_t)data[0] << 8 | data[1]) * 4 % LETTER_MAX;
    size_t at = (size_t)data[2] << 16 | (size_t)data[3] << 8 | data[4], piece = 1 + (size_t)data[5] * 400;
    for (size_t i = 0; i < len; i++)
        letter[i] = data[i % size];
    buf_init(&sealed, LETTER_MAX + 1000);
    buf_init(&out, LETTER_MAX);
    seal_letter(span_bytes(letter, len), piece, &sealed);
    uint64_t announced = size % 2 == 0 ? sealed.len : UINT64_MAX;
    bool changed = size > 6;
    if (changed && data[6] == 0)
        sealed.len = at < sealed.len ? at : 0;
    else if (changed && at < sealed.len)
        sealed.data[at] = (char)(sealed.data[at] ^ data[6]);
    else if (changed)
        require(buf_append_char(&sealed, 'x') == ERR_OK);
    enum err e = open_all(buf_span(&sealed), announced, 70000 - piece % 70000 + 1, &out);
    require((e == ERR_OK) == !changed);
    require(out.len <= len && (out.len == 0 || memcmp(out.data, letter, out.len) == 0));
    buf_free(&sealed);
    buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf out;
    if (size == 0)
        return 0;
    if (data[0] != 0) {
        seal_change_open(data + 1, size - 1);
        return 0;
    }
    buf_init(&out, LETTER_MAX);
    (void)open_all(span_bytes(data + 1, size - 1), size % 2 == 0 ? size - 1 : UINT64_MAX, 1 + size / 3, &out);
    buf_free(&out);
    return 0;
}
