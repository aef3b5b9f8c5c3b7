/* test_seal.c - sealing and opening of payloads in pieces of all sizes, and of payloads that were changed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "seal/seal.h"

#define LETTER_MAX 400000

static uint8_t letter[LETTER_MAX];

struct payload {
    struct buf bytes;
    uint8_t dek[SEAL_DEK_BYTES];
    uint8_t digest[SEAL_DIGEST_BYTES];
};

static void seal_in_pieces(size_t len, size_t piece, struct payload *p)
{
    struct sealer *s = NULL;
    uint8_t header[SEAL_HEADER_BYTES] = {0};
    uint64_t letter_bytes = UINT64_MAX;
    buf_init(&p->bytes, LETTER_MAX + 1000);
    assert_int_equal(sealer_create(3, &s), ERR_OK);
    assert_int_equal(buf_append(&p->bytes, header, sizeof header), ERR_OK);
    for (size_t at = 0; at < len; at += piece)
        assert_int_equal(sealer_update(s, letter + at, len - at < piece ? len - at : piece, &p->bytes),
                         ERR_OK);
    assert_int_equal(sealer_finish(s, &p->bytes, header, p->digest, &letter_bytes), ERR_OK);
    memcpy(p->bytes.data, header, sizeof header);
    memcpy(p->dek, sealer_dek(s), SEAL_DEK_BYTES);
    assert_int_equal(letter_bytes, len);
    assert_int_equal(p->bytes.len, seal_sealed_size(len));
    sealer_free(s);
}

/* The first error, or that of the end. */
static enum err open_in_pieces(const struct payload *p, size_t len, uint64_t announced, size_t piece,
                               struct buf *out, uint8_t digest[SEAL_DIGEST_BYTES])
{
    struct opener *o = NULL;
    uint64_t letter_bytes;
    enum err e = opener_create(p->dek, announced, &o);
    for (size_t at = 0; at < len && e == ERR_OK; at += piece)
        e = opener_update(o, p->bytes.data + at, len - at < piece ? len - at : piece, out);
    if (e == ERR_OK)
        e = opener_finish(o, digest, &letter_bytes);
    else if (o != NULL)
        assert_int_equal(opener_finish(o, digest, &letter_bytes), e);
    opener_free(o);
    return e;
}

static const size_t lengths[] = {0,     1,     2,      15,     16,     17,     1000,   65519,  65520, 65535,
                                 65536, 65537, 131071, 131072, 131073, 196608, 200000, 399999, 400000};

static void a_letter_of_any_length_comes_back(void **state)
{
    (void)state;
    static const size_t pieces[] = {1, 7, 4096, 65535, 65536, 65537, 65552, 100000, LETTER_MAX + 1000};
    for (size_t l = 0; l < sizeof lengths / sizeof lengths[0]; l++) {
        for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
            if (pieces[i] < 100 && lengths[l] > 140000)
                continue;
            struct payload p;
            struct buf out;
            uint8_t digest[SEAL_DIGEST_BYTES], want[SEAL_DIGEST_BYTES];
            buf_init(&out, LETTER_MAX);
            seal_in_pieces(lengths[l], pieces[i], &p);
            size_t other = pieces[(i + 3) % (sizeof pieces / sizeof pieces[0])];
            assert_int_equal(
                open_in_pieces(&p, p.bytes.len, i % 2 == 0 ? p.bytes.len : UINT64_MAX, other, &out, digest),
                ERR_OK);
            assert_int_equal(out.len, lengths[l]);
            if (out.len > 0)
                assert_memory_equal(out.data, letter, out.len);
            assert_int_equal(crypt_sha256(span_bytes(letter, lengths[l]), want), ERR_OK);
            assert_memory_equal(digest, want, sizeof want);
            assert_memory_equal(p.digest, want, sizeof want);
            buf_free(&out);
            buf_free(&p.bytes);
        }
    }
}

static void the_header_tells_version_length_and_id(void **state)
{
    (void)state;
    struct payload p;
    struct seal_header h;
    struct opener *o = NULL;
    struct buf out;
    buf_init(&out, LETTER_MAX);
    seal_in_pieces(70000, 70000, &p);
    assert_int_equal(seal_header_parse(buf_span(&p.bytes), &h), ERR_OK);
    assert_int_equal(h.payload_version, 3);
    assert_int_equal(h.letter_bytes, 70000);
    assert_int_equal(opener_create(p.dek, p.bytes.len, &o), ERR_OK);
    assert_int_equal(opener_update(o, p.bytes.data, SEAL_HEADER_BYTES - 1, &out), ERR_OK);
    assert_null(opener_header(o));
    assert_int_equal(opener_update(o, p.bytes.data + SEAL_HEADER_BYTES - 1, 1, &out), ERR_OK);
    assert_int_equal(opener_header(o)->payload_version, h.payload_version);
    assert_int_equal(opener_header(o)->letter_bytes, h.letter_bytes);
    assert_memory_equal(opener_header(o)->payload_id, h.payload_id, sizeof h.payload_id);
    opener_free(o);
    assert_int_equal(seal_header_parse(span_bytes(p.bytes.data, SEAL_HEADER_BYTES - 1), &h), ERR_SEAL_FORMAT);
    buf_free(&out);
    buf_free(&p.bytes);
}

static void any_flipped_bit_is_found_and_no_byte_of_its_chunk_released(void **state)
{
    (void)state;
    struct payload p;
    seal_in_pieces(65536 + 40, 9999, &p);
    for (size_t at = 0; at < p.bytes.len; at += at < 300 || at > 65552 + 90 ? 1 : 911) {
        struct buf out;
        uint8_t digest[SEAL_DIGEST_BYTES];
        buf_init(&out, LETTER_MAX);
        p.bytes.data[at] = (char)(p.bytes.data[at] ^ 1 << at % 8);
        enum err e = open_in_pieces(&p, p.bytes.len, p.bytes.len, 30000, &out, digest);
        enum err want = at < 12               ? ERR_SEAL_FORMAT
                        : at >= 96            ? ERR_SEAL_TAG
                        : at >= 16 && at < 24 ? ERR_SEAL_LENGTH
                                              : ERR_SEAL_COMMITMENT;
        if (e != want && !(e == ERR_SEAL_FORMAT && want == ERR_SEAL_LENGTH))
            fail_msg("octet %zu: %s, not %s", at, err_name(e), err_name(want));
        assert_int_equal(out.len, at < SEAL_HEADER_BYTES + 65552 ? 0 : 65536);
        p.bytes.data[at] = (char)(p.bytes.data[at] ^ 1 << at % 8);
        buf_free(&out);
    }
    buf_free(&p.bytes);
}

static void a_cut_payload_is_truncated(void **state)
{
    (void)state;
    static const size_t cuts[] = {0, 1, 95, 96, 97, 111, 65647, 65648, 65649, 65663, 65664, 65665, 65700};
    struct payload p;
    seal_in_pieces(65536 + 40, 9999, &p);
    for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++) {
        struct buf out;
        uint8_t digest[SEAL_DIGEST_BYTES];
        buf_init(&out, LETTER_MAX);
        assert_int_equal(open_in_pieces(&p, cuts[i], UINT64_MAX, 30000, &out, digest), ERR_SEAL_TRUNCATED);
        assert_true(out.len <= cuts[i]);
        buf_free(&out);
    }
    buf_free(&p.bytes);
}

static void what_follows_the_last_chunk_is_refused(void **state)
{
    (void)state;
    for (size_t l = 0; l < sizeof lengths / sizeof lengths[0]; l++) {
        struct payload p;
        struct buf out;
        uint8_t digest[SEAL_DIGEST_BYTES];
        buf_init(&out, LETTER_MAX);
        seal_in_pieces(lengths[l], 65536, &p);
        assert_int_equal(buf_append_char(&p.bytes, 'x'), ERR_OK);
        assert_int_equal(open_in_pieces(&p, p.bytes.len, UINT64_MAX, 50000, &out, digest), ERR_SEAL_TRAILING);
        assert_int_equal(open_in_pieces(&p, p.bytes.len, p.bytes.len, 50000, &out, digest), ERR_SEAL_LENGTH);
        buf_free(&out);
        buf_free(&p.bytes);
    }
}

static void chunks_that_change_places_are_refused(void **state)
{
    (void)state;
    struct payload p;
    struct buf out;
    uint8_t digest[SEAL_DIGEST_BYTES], kept[65552];
    buf_init(&out, LETTER_MAX);
    seal_in_pieces(3 * 65536, 65536, &p);
    char *chunks = p.bytes.data + SEAL_HEADER_BYTES;
    memcpy(kept, chunks, sizeof kept);
    memcpy(chunks, chunks + sizeof kept, sizeof kept);
    memcpy(chunks + sizeof kept, kept, sizeof kept);
    assert_int_equal(open_in_pieces(&p, p.bytes.len, UINT64_MAX, 50000, &out, digest), ERR_SEAL_TAG);
    assert_int_equal(out.len, 0);
    buf_free(&out);
    buf_free(&p.bytes);
}

static void a_size_that_no_letter_has_is_refused_at_once(void **state)
{
    (void)state;
    static const uint64_t wrong[] = {0, 96, 111, 65648 + 1, 65648 + 16, UINT64_MAX - 1, (UINT64_C(1) << 51)};
    const uint8_t dek[SEAL_DEK_BYTES] = {0};
    struct opener *o = NULL;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(opener_create(dek, wrong[i], &o), ERR_SEAL_LENGTH);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        assert_int_equal(opener_create(dek, seal_sealed_size(lengths[i]), &o), ERR_OK);
        opener_free(o);
    }
}

static void an_error_stays(void **state)
{
    (void)state;
    struct payload p;
    struct buf out, small;
    struct opener *o = NULL;
    struct sealer *s = NULL;
    uint8_t header[SEAL_HEADER_BYTES], digest[SEAL_DIGEST_BYTES];
    uint64_t len;
    buf_init(&out, LETTER_MAX);
    buf_init(&small, 1000);
    seal_in_pieces(65537, 65536, &p);
    p.dek[0] ^= 1;
    assert_int_equal(opener_create(p.dek, UINT64_MAX, &o), ERR_OK);
    assert_int_equal(opener_update(o, p.bytes.data, p.bytes.len, &out), ERR_SEAL_COMMITMENT);
    assert_int_equal(opener_update(o, p.bytes.data, 0, &out), ERR_SEAL_COMMITMENT);
    assert_int_equal(opener_finish(o, digest, &len), ERR_SEAL_COMMITMENT);
    assert_null(opener_header(o));
    opener_free(o);
    p.dek[0] ^= 1;
    assert_int_equal(opener_create(p.dek, UINT64_MAX, &o), ERR_OK);
    assert_int_equal(opener_update(o, p.bytes.data, p.bytes.len, &small), ERR_TOO_LARGE);
    assert_int_equal(opener_update(o, p.bytes.data, 1, &out), ERR_TOO_LARGE);
    opener_free(o);
    assert_int_equal(sealer_create(1, &s), ERR_OK);
    assert_int_equal(sealer_update(s, letter, 70000, &small), ERR_TOO_LARGE);
    assert_int_equal(sealer_update(s, letter, 1, &out), ERR_TOO_LARGE);
    assert_int_equal(sealer_finish(s, &out, header, digest, &len), ERR_TOO_LARGE);
    sealer_free(s);
    assert_int_equal(sealer_create(1, &s), ERR_OK);
    assert_int_equal(sealer_finish(s, &out, header, digest, &len), ERR_OK);
    assert_int_equal(sealer_update(s, letter, 1, &out), ERR_INTERNAL);
    assert_int_equal(sealer_finish(s, &out, header, digest, &len), ERR_INTERNAL);
    sealer_free(s);
    assert_int_equal(sealer_create(0, &s), ERR_INTERNAL);
    opener_free(NULL);
    sealer_free(NULL);
    buf_free(&out);
    buf_free(&p.bytes);
}

static void a_wrap_opens_with_its_ticket_payload_and_version_alone(void **state)
{
    (void)state;
    uint8_t kd[32] = {1}, a[16] = {2}, id[16] = {3}, dek[32] = {4}, wrap[SEAL_WRAP_BYTES], got[32];
    assert_int_equal(wrap_seal(kd, a, id, 1, dek, wrap), ERR_OK);
    assert_int_equal(wrap_open(kd, a, id, 1, wrap, got), ERR_OK);
    assert_memory_equal(got, dek, 32);
    assert_int_equal(wrap_open(kd, a, id, 2, wrap, got), ERR_SEAL_WRAP);
    uint8_t *const changed[] = {&kd[31], &a[15], &id[0], &wrap[0], &wrap[47]};
    for (size_t i = 0; i < sizeof changed / sizeof changed[0]; i++) {
        *changed[i] ^= 0x80;
        assert_int_equal(wrap_open(kd, a, id, 1, wrap, got), ERR_SEAL_WRAP);
        *changed[i] ^= 0x80;
    }
}

int main(void)
{
    for (size_t i = 0; i < sizeof letter; i++)
        letter[i] = (uint8_t)(i * 31 + i / 251);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_letter_of_any_length_comes_back),
        cmocka_unit_test(the_header_tells_version_length_and_id),
        cmocka_unit_test(any_flipped_bit_is_found_and_no_byte_of_its_chunk_released),
        cmocka_unit_test(a_cut_payload_is_truncated),
        cmocka_unit_test(what_follows_the_last_chunk_is_refused),
        cmocka_unit_test(chunks_that_change_places_are_refused),
        cmocka_unit_test(a_size_that_no_letter_has_is_refused_at_once),
        cmocka_unit_test(an_error_stays),
        cmocka_unit_test(a_wrap_opens_with_its_ticket_payload_and_version_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
