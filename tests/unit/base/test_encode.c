#include "unit.h"

#include <string.h>

#include "base/encode.h"

static void hex_goes_both_ways(void **state)
{
    const uint8_t bytes[] = {0x00, 0x9f, 0xff};
    uint8_t back[3];
    char text[ENCODE_HEX_LEN(3) + 1];
    (void)state;
    encode_hex(bytes, 3, text);
    assert_string_equal(text, "009fff");
    assert_int_equal(decode_hex(span_of(text), back, 3), ERR_OK);
    assert_memory_equal(back, bytes, 3);
}

static void bad_hex_is_refused_and_changes_nothing(void **state)
{
    static const char *const rows[] = {"", "009f", "009fff0", "009FFF", "009fxg", "009f f", "009fffff"};
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint8_t out[3] = {7, 7, 7};
        assert_int_equal(decode_hex(span_of(rows[i]), out, 3), ERR_SYNTAX);
        assert_memory_equal(out, "\7\7\7", 3);
    }
}

static void base64url_vectors_of_rfc_4648(void **state)
{
    static const struct {
        const char *bytes, *text;
    } rows[] = {{"", ""},           {"f", "Zg"},          {"fo", "Zm8"},          {"foo", "Zm9v"},
                {"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"}, {"\xfb\xff\xfe", "-__-"}};
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char text[16];
        uint8_t back[8];
        size_t len = strlen(rows[i].bytes);
        encode_b64url((const uint8_t *)rows[i].bytes, len, text);
        assert_string_equal(text, rows[i].text);
        assert_int_equal(strlen(text), ENCODE_B64_LEN(len));
        assert_int_equal(decode_b64url(span_of(text), back, len), ERR_OK);
        assert_memory_equal(back, rows[i].bytes, len);
    }
}

static void every_value_has_one_base64url_spelling(void **state)
{
    static const struct {
        const char *text;
        size_t len;
    } rows[] = {{"Zh", 1}, {"Zm9", 2},  {"Zg==", 1}, {"Zg", 2},   {"Z", 1}, {"Z", 0},
                {"Z+", 1}, {"Zm9/", 3}, {"Zm 9", 3}, {"Zm9v", 2}, {"", 1}};
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint8_t out[4] = {7, 7, 7, 7};
        assert_int_equal(decode_b64url(span_of(rows[i].text), out, rows[i].len), ERR_SYNTAX);
        assert_memory_equal(out, "\7\7\7\7", 4);
    }
}

static void what_a_terminal_could_take_amiss_is_escaped(void **state)
{
    struct buf b;
    (void)state;
    buf_init(&b, 40);
    assert_int_equal(encode_printable(&b, SPAN_LITERAL("a b\\\n\0\x7f\xc3\xa9~")), ERR_OK);
    assert_string_equal(buf_cstr(&b), "a b\\\\\\x0a\\x00\\x7f\\xc3\\xa9~");
    size_t len = b.len;
    assert_int_equal(encode_printable(&b, SPAN_LITERAL("0123456789\n\n\n")), ERR_TOO_LARGE);
    assert_int_equal(b.len, len);
    assert_int_equal(strlen(buf_cstr(&b)), len);
    buf_free(&b);
}

static void utf8_is_what_rfc_3629_says(void **state)
{
    static const struct {
        const char *name, *text;
        bool valid;
    } rows[] = {
        {"ascii", "abc", true},
        {"two", "\xc2\x80", true},
        {"three", "\xe2\x82\xac", true},
        {"four", "\xf0\x9f\x93\xae", true},
        {"last", "\xf4\x8f\xbf\xbf", true},
        {"past_the_last", "\xf4\x90\x80\x80", false},
        {"over_long_two", "\xc0\xaf", false},
        {"over_long_three", "\xe0\x80\xaf", false},
        {"over_long_four", "\xf0\x8f\xbf\xbf", false},
        {"surrogate", "\xed\xa0\x80", false},
        {"before_surrogates", "\xed\x9f\xbf", true},
        {"bare_continuation", "\x80", false},
        {"cut_short", "\xe2\x82", false},
        {"latin1", "caf\xe9", false},
        {"ff", "\xff", false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        if (utf8_valid(span_of(rows[i].text)) != rows[i].valid)
            fail_msg("%s", rows[i].name);
    assert_true(utf8_valid(span_of(NULL)));
}

static void what_could_mislead_a_reader_is_shown(void **state)
{
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"", ""},
        {"plain \\ text", "plain \\ text"},
        {"caf\xc3\xa9 \xf0\x9f\x93\xae", "caf\xc3\xa9 \xf0\x9f\x93\xae"},
        {"a\tb\r\nc\x1b[2J\x7f", "a\\u{0009}b\\u{000D}\\u{000A}c\\u{001B}[2J\\u{007F}"},
        {"\xc2\x9b"
         "31m",
         "\\u{009B}31m"},
        {"\xc2\xa0", "\xc2\xa0"},
        {"pay\xe2\x80\xae"
         "lap",
         "pay\\u{202E}lap"},
        {"\xe2\x80\xaa\xe2\x80\xab\xe2\x80\xac\xe2\x80\xad", "\\u{202A}\\u{202B}\\u{202C}\\u{202D}"},
        {"\xe2\x81\xa6\xe2\x81\xa7\xe2\x81\xa8\xe2\x81\xa9", "\\u{2066}\\u{2067}\\u{2068}\\u{2069}"},
        {"\xe2\x80\x8e\xe2\x80\x8f\xd8\x9c", "\\u{200E}\\u{200F}\\u{061C}"},
        {"\xe2\x80\xa8\xe2\x80\xa9", "\\u{2028}\\u{2029}"},
        {"bob\xe2\x80\x8b@a.test\xef\xbb\xbf\xe2\x81\xa0\xc2\xad",
         "bob\\u{200B}@a.test\\u{FEFF}\\u{2060}\\u{00AD}"},
        {"\xf3\xa0\x81\xa1", "\\u{E0061}"},
        {"\xff caf\xe9", "\\xFF caf\\xE9"},
        {"\xe2\x80", "\\xE2\\x80"},
    };
    struct buf out;

    (void)state;
    buf_init(&out, 1024);
    for (size_t i = 0; i < COUNT(rows); i++) {
        buf_clear(&out);
        assert_int_equal(encode_visible(&out, span_of(rows[i].text)), ERR_OK);
        assert_string_equal(buf_cstr(&out), rows[i].want);
    }
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hex_goes_both_ways),
        cmocka_unit_test(bad_hex_is_refused_and_changes_nothing),
        cmocka_unit_test(base64url_vectors_of_rfc_4648),
        cmocka_unit_test(every_value_has_one_base64url_spelling),
        cmocka_unit_test(what_a_terminal_could_take_amiss_is_escaped),
        cmocka_unit_test(what_could_mislead_a_reader_is_shown),
        cmocka_unit_test(utf8_is_what_rfc_3629_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
