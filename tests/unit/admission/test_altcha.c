/* A proof of work is made and verified as ALTCHA has it; vectors by sha256sum and openssl dgst -hmac. */
#include "unit.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "admission/altcha.h"
#include "base/encode.h"
#include "seal/crypt.h"

#define SALT "000102030405060708090a0b0c0d0e0f?expires=1800000000&"
#define END 1800000000

static uint8_t key[ALTCHA_KEY_BYTES], other_key[ALTCHA_KEY_BYTES];

static int set_up(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof key; i++)
        key[i] = (uint8_t)i;
    return 0;
}

static void vectors(void **state)
{
    static const struct {
        uint64_t number;
        const char *challenge, *signature;
    } rows[] = {{0, "51cc1e7fa59ac88456842e6c42972b1bae32af6cd2af4cdeed54b7936ffbcf84",
                 "dab925e176a50c88c9e0f1a28c8ab98762bac8196d4a5145ad3992112318c232"},
                {12345, "41e4f42bd9f7334c67ffdba9279c87cecaa05980cbd2386e5c11ec826b74b6d7",
                 "6226ad232f8a752eb50872e188e57f7fd63a3cd85abbf3e634ba47c0c3b27128"}};
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct altcha a;
        int64_t expires;
        assert_int_equal(altcha_compute(key, SALT, rows[i].number, &a), ERR_OK);
        assert_string_equal(a.challenge, rows[i].challenge);
        assert_string_equal(a.signature, rows[i].signature);
        assert_int_equal(altcha_verify(key, &a, END, &expires), ERR_OK);
        assert_int_equal(expires, END);
    }
}

/* What somebody changes in an answer that is right. */
static void change_nothing(struct altcha *a)
{
    (void)a;
}
static void change_number(struct altcha *a)
{
    a->number++;
}
static void change_challenge(struct altcha *a)
{
    a->challenge[0] = '5';
}
static void change_signature(struct altcha *a)
{
    a->signature[63] = a->signature[63] == '0' ? '1' : '0';
}
static void cut_signature(struct altcha *a)
{
    a->signature[62] = '\0';
}
static void move_end(struct altcha *a)
{
    strcpy(a->salt, "000102030405060708090a0b0c0d0e0f?expires=1900000000&");
}
/* The same hash: the digits of the number become digits of the end. */
static void splice(struct altcha *a)
{
    strcpy(a->salt, SALT "123");
    a->number = 45;
}
static void lose_salt(struct altcha *a)
{
    a->salt[0] = '\0';
}

static void answers_are_judged(void **state)
{
    static const struct {
        void (*change)(struct altcha *a);
        bool other_key;
        int64_t now_s;
        enum err want;
    } rows[] = {
        {change_nothing, false, 0, ERR_OK},
        {change_nothing, false, END + 1, ERR_GONE},
        {change_nothing, true, 0, ERR_FORBIDDEN},
        {change_number, false, 0, ERR_ANSWER},
        {change_challenge, false, 0, ERR_FORBIDDEN},
        {change_signature, false, 0, ERR_FORBIDDEN},
        {cut_signature, false, 0, ERR_FORBIDDEN},
        {move_end, false, 0, ERR_ANSWER},
        {splice, false, 0, ERR_ANSWER},
        {lose_salt, false, 0, ERR_ANSWER},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct altcha a;
        int64_t expires = -1;
        assert_int_equal(altcha_compute(key, SALT, 12345, &a), ERR_OK);
        rows[i].change(&a);
        assert_int_equal(altcha_verify(rows[i].other_key ? other_key : key, &a, rows[i].now_s, &expires),
                         rows[i].want);
        assert_int_equal(expires, rows[i].want == ERR_OK ? END : -1);
    }
}

/* A salt of another form is none, even if whoever has the key had signed it. */
static void salts_of_other_forms_are_refused(void **state)
{
    static const char *const rows[] = {
        "",
        "000102030405060708090a0b0c0d0e0f",
        "000102030405060708090a0b0c0d0e0f?expires=1800000000",
        "000102030405060708090a0b0c0d0e0f?expires=&",
        "000102030405060708090a0b0c0d0e0f?expires=18x&",
        "000102030405060708090a0b0c0d0e0f?expires=-1&",
        "000102030405060708090a0b0c0d0e0f?expires=01800000000&",
        "000102030405060708090a0b0c0d0e0f?expires=1800000000&&",
        "000102030405060708090a0b0c0d0e0f?expires=1800000000&x=1&",
        "0001?expires=1800000000&",
        "000102030405060708090A0B0C0D0E0F?expires=1800000000&",
        "000102030405060708090a0b0c0d0e0f?expires=99999999999999999999&",
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct altcha a;
        int64_t expires;
        assert_int_equal(altcha_compute(key, rows[i], 1, &a), ERR_OK);
        assert_int_equal(altcha_verify(key, &a, 0, &expires), ERR_ANSWER);
    }
}

/* As the widget does it. */
static void a_made_challenge_is_solved_by_trying(void **state)
{
    struct altcha made, again, answer;
    int64_t expires;
    uint64_t n = 0;
    (void)state;
    assert_int_equal(altcha_make(key, 200, END, &made), ERR_OK);
    assert_int_equal(altcha_make(key, 200, END, &again), ERR_OK);
    assert_string_not_equal(made.salt, again.salt);
    assert_int_equal(made.number, 200);
    for (; n <= 200; n++) {
        char text[200], hex[ALTCHA_HEX_LEN + 1];
        uint8_t sum[CRYPT_SHA256_BYTES];
        int len = snprintf(text, sizeof text, "%s%" PRIu64, made.salt, n);
        assert_int_equal(crypt_sha256(span_bytes(text, (size_t)len), sum), ERR_OK);
        encode_hex(sum, sizeof sum, hex);
        if (strcmp(hex, made.challenge) == 0)
            break;
    }
    assert_true(n <= 200);
    answer = made;
    answer.number = n;
    assert_int_equal(altcha_verify(key, &answer, END - 1, &expires), ERR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors),
        cmocka_unit_test(answers_are_judged),
        cmocka_unit_test(salts_of_other_forms_are_refused),
        cmocka_unit_test(a_made_challenge_is_solved_by_trying),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
