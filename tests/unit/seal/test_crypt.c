/* test_crypt.c - the primitives against published vectors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/encode.h"
#include "seal/crypt.h"

static void assert_hex(const uint8_t *got, size_t len, const char *want)
{
    char hex[256];
    encode_hex(got, len, hex);
    assert_string_equal(hex, want);
}

static void sha256_of_abc_is_that_of_fips_180(void **state)
{
    (void)state;
    uint8_t sum[32];
    const struct span parts[] = {SPAN_LITERAL("a"), {NULL, 0}, SPAN_LITERAL("bc")};
    assert_int_equal(crypt_sha256v(parts, 3, sum), ERR_OK);
    assert_hex(sum, 32, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_int_equal(crypt_sha256((struct span){NULL, 0}, sum), ERR_OK);
    assert_hex(sum, 32, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void hmac_agrees_with_rfc_4231_case_2(void **state)
{
    (void)state;
    uint8_t sum[32];
    const struct span parts[] = {SPAN_LITERAL("what do ya want "), SPAN_LITERAL("for nothing?")};
    assert_int_equal(crypt_hmac_sha256((const uint8_t *)"Jefe", 4, parts, 2, sum), ERR_OK);
    assert_hex(sum, 32, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

static void hkdf_agrees_with_rfc_5869(void **state)
{
    (void)state;
    uint8_t key[22], salt[13], info[10], out[42];
    memset(key, 0x0b, sizeof key);
    for (uint8_t i = 0; i < sizeof salt; i++)
        salt[i] = i;
    for (uint8_t i = 0; i < sizeof info; i++)
        info[i] = (uint8_t)(0xf0 + i);
    assert_int_equal(crypt_hkdf(span_bytes(key, 22), span_bytes(salt, 13), span_bytes(info, 10), out, 42),
                     ERR_OK);
    assert_hex(out, 42,
               "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
    assert_int_equal(crypt_hkdf(span_bytes(key, 22), (struct span){0}, (struct span){0}, out, 42), ERR_OK);
    assert_hex(out, 42,
               "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
}

static void gcm_agrees_with_the_gcm_specification_case_14(void **state)
{
    (void)state;
    const uint8_t key[32] = {0}, nonce[12] = {0}, zero[16] = {0};
    uint8_t sealed[32], plain[16];
    assert_int_equal(crypt_gcm_seal(key, nonce, (struct span){0}, span_bytes(zero, 16), sealed), ERR_OK);
    assert_hex(sealed, 32, "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919");
    assert_int_equal(crypt_gcm_open(key, nonce, (struct span){0}, span_bytes(sealed, 32), plain), ERR_OK);
    assert_memory_equal(plain, zero, 16);
    assert_int_equal(crypt_gcm_seal(key, nonce, (struct span){0}, (struct span){0}, sealed), ERR_OK);
    assert_hex(sealed, 16, "530f8afbc74536b9a963b4f1c4cb738b");
    assert_int_equal(crypt_gcm_open(key, nonce, (struct span){0}, span_bytes(sealed, 16), plain), ERR_OK);
}

static void gcm_refuses_what_was_changed(void **state)
{
    (void)state;
    const uint8_t key[32] = {1}, nonce[12] = {2};
    uint8_t sealed[5 + 16], plain[5];
    assert_int_equal(crypt_gcm_seal(key, nonce, SPAN_LITERAL("place"), SPAN_LITERAL("hello"), sealed),
                     ERR_OK);
    assert_int_equal(crypt_gcm_open(key, nonce, SPAN_LITERAL("place"), span_bytes(sealed, 21), plain),
                     ERR_OK);
    assert_memory_equal(plain, "hello", 5);
    assert_int_equal(crypt_gcm_open(key, nonce, SPAN_LITERAL("other"), span_bytes(sealed, 21), plain),
                     ERR_SEAL_TAG);
    assert_int_equal(crypt_gcm_open(key, nonce, SPAN_LITERAL("place"), span_bytes(sealed, 15), plain),
                     ERR_SEAL_TAG);
    for (size_t i = 0; i < sizeof sealed; i++) {
        sealed[i] ^= 0x10;
        assert_int_equal(crypt_gcm_open(key, nonce, SPAN_LITERAL("place"), span_bytes(sealed, 21), plain),
                         ERR_SEAL_TAG);
        sealed[i] ^= 0x10;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256_of_abc_is_that_of_fips_180),
        cmocka_unit_test(hmac_agrees_with_rfc_4231_case_2),
        cmocka_unit_test(hkdf_agrees_with_rfc_5869),
        cmocka_unit_test(gcm_agrees_with_the_gcm_specification_case_14),
        cmocka_unit_test(gcm_refuses_what_was_changed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
