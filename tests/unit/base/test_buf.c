#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

static void spans_compare_as_bytes_and_without_ascii_case(void **state)
{
    static const struct {
        const char *a, *b;
        bool equal, nocase;
    } rows[] = {
        {"", "", true, true},           {"a", "a", true, true},
        {"a", "A", false, true},        {"a", "b", false, false},
        {"ab", "a", false, false},      {"[", "{", false, false}, /* 0x20 apart, no letters */
        {"\xc4", "\xe4", false, false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_int_equal(span_equal(span_of(rows[i].a), span_of(rows[i].b)), rows[i].equal);
        assert_int_equal(span_is(span_of(rows[i].a), rows[i].b), rows[i].equal);
        assert_int_equal(span_is_nocase(span_of(rows[i].a), rows[i].b), rows[i].nocase);
    }
    assert_true(span_equal(span_of(NULL), SPAN_LITERAL("")));
    assert_true(span_equal_nocase(span_of(NULL), SPAN_LITERAL("")));
    assert_true(span_starts_nocase(SPAN_LITERAL("Restante-Stub: x"), "restante-stub:"));
    assert_false(span_starts_nocase(SPAN_LITERAL("Rest"), "restante"));
    assert_true(span_starts_nocase(span_of(NULL), ""));
}

static void trim_takes_blanks_and_tabs_only(void **state)
{
    (void)state;
    assert_true(span_is(span_trim(SPAN_LITERAL(" \t a b\t ")), "a b"));
    assert_true(span_is(span_trim(SPAN_LITERAL("\r\n")), "\r\n"));
    assert_true(span_is(span_trim(SPAN_LITERAL(" \t ")), ""));
    assert_true(span_is(span_trim(span_of(NULL)), ""));
}

static void cut_splits_at_the_first_separator(void **state)
{
    static const struct {
        const char *in, *head, *rest;
        bool found;
    } rows[] = {
        {"a=b=c", "a", "b=c", true}, {"=", "", "", true}, {"abc", "abc", "", false}, {"", "", "", false}};
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct span head, rest;
        assert_int_equal(span_cut(span_of(rows[i].in), '=', &head, &rest), rows[i].found);
        assert_true(span_is(head, rows[i].head));
        assert_true(span_is(rest, rows[i].rest));
    }
}

static void dup_refuses_nul(void **state)
{
    (void)state;
    assert_null(span_dup(SPAN_LITERAL("a\0b")));
    char *copy = span_dup((struct span){"abc", 2});
    assert_string_equal(copy, "ab");
    free(copy);
    copy = span_dup(span_of(NULL));
    assert_string_equal(copy, "");
    free(copy);
}

static void numbers_are_plain_decimal_within_bounds(void **state)
{
    static const struct {
        const char *in;
        uint64_t max;
        bool good;
        uint64_t want;
    } rows[] = {
        {"0", 9, true, 0},
        {"42", 42, true, 42},
        {"43", 42, false, 0},
        {"18446744073709551615", UINT64_MAX, true, UINT64_MAX},
        {"18446744073709551616", UINT64_MAX, false, 0},
        {"99999999999999999999999", UINT64_MAX, false, 0},
        {"", 9, false, 0},
        {"00", 9, false, 0},
        {"01", 9, false, 0},
        {"+1", 9, false, 0},
        {"-1", 9, false, 0},
        {" 1", 9, false, 0},
        {"1 ", 9, false, 0},
        {"0x1", 9, false, 0},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint64_t got = 77;
        assert_int_equal(span_to_u64(span_of(rows[i].in), rows[i].max, &got), rows[i].good);
        assert_true(got == (rows[i].good ? rows[i].want : 77));
    }
}

static void a_buffer_never_passes_its_maximum(void **state)
{
    struct buf b;
    (void)state;
    buf_init(&b, 5);
    assert_string_equal(buf_cstr(&b), "");
    assert_int_equal(buf_append_str(&b, "abc"), ERR_OK);
    assert_int_equal(buf_append_str(&b, "def"), ERR_TOO_LARGE);
    assert_int_equal(buf_printf(&b, "%d", 100), ERR_TOO_LARGE);
    assert_string_equal(buf_cstr(&b), "abc");
    assert_null(buf_reserve(&b, 3));
    assert_null(buf_reserve(&b, SIZE_MAX));
    char *at = buf_reserve(&b, 2);
    assert_non_null(at);
    memcpy(at, "de", 2);
    buf_added(&b, 2);
    assert_string_equal(buf_cstr(&b), "abcde");
    assert_int_equal(buf_append_char(&b, 'f'), ERR_TOO_LARGE);
    assert_int_equal(buf_append(&b, NULL, 0), ERR_OK);
    buf_free(&b);
    assert_int_equal(b.max, 5);
    buf_init(&b, 0);
    assert_int_equal(buf_append_str(&b, ""), ERR_OK);
    assert_int_equal(buf_append_str(&b, "x"), ERR_TOO_LARGE);
    buf_free(&b);
}

static void a_buffer_grows_and_gives_way_at_the_front(void **state)
{
    (void)state;
    for (int secret = 0; secret < 2; secret++) {
        struct buf b;
        buf_init(&b, 100000);
        b.secret = secret != 0;
        for (int i = 0; i < 10000; i++)
            assert_int_equal(buf_printf(&b, "%04d,", i), ERR_OK);
        assert_int_equal(b.len, 50000);
        buf_consume(&b, 0);
        buf_consume(&b, 49995);
        assert_string_equal(buf_cstr(&b), "9999,");
        assert_int_equal(buf_append_span(&b, SPAN_LITERAL("x\0y")), ERR_OK);
        assert_true(span_equal(buf_span(&b), SPAN_LITERAL("9999,x\0y")));
        buf_clear(&b);
        assert_string_equal(buf_cstr(&b), "");
        assert_true(b.cap >= 50000);
        buf_free(&b);
        buf_clear(&b);
        buf_free(&b);
    }
}

static void secret_bytes_are_wiped_when_they_go(void **state)
{
    struct buf b;
    (void)state;
    buf_init_secret(&b, 100);
    assert_int_equal(buf_append_str(&b, "top secret"), ERR_OK);
    buf_consume(&b, 4);
    assert_memory_equal(b.data, "secret\0\0\0\0", 10);
    buf_clear(&b);
    assert_memory_equal(b.data, "\0\0\0\0\0\0\0\0\0\0", 10);
    buf_free(&b);
}

static void take_gives_the_memory_away(void **state)
{
    struct buf b;
    (void)state;
    buf_init(&b, 10);
    char *s = buf_take(&b);
    assert_string_equal(s, "");
    free(s);
    assert_int_equal(buf_append_str(&b, "abc"), ERR_OK);
    s = buf_take(&b);
    assert_string_equal(s, "abc");
    free(s);
    assert_string_equal(buf_cstr(&b), "");
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans_compare_as_bytes_and_without_ascii_case),
        cmocka_unit_test(trim_takes_blanks_and_tabs_only),
        cmocka_unit_test(cut_splits_at_the_first_separator),
        cmocka_unit_test(dup_refuses_nul),
        cmocka_unit_test(numbers_are_plain_decimal_within_bounds),
        cmocka_unit_test(a_buffer_never_passes_its_maximum),
        cmocka_unit_test(a_buffer_grows_and_gives_way_at_the_front),
        cmocka_unit_test(secret_bytes_are_wiped_when_they_go),
        cmocka_unit_test(take_gives_the_memory_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
