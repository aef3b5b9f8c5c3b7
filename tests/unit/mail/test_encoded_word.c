#include "unit.h"

#include <string.h>

#include "mail/encoded_word.h"

static void words_are_read(void **state)
{
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"", ""},
        {"plain  text = ? =? ", "plain  text = ? =? "},
        {"=?utf-8?q?caf=C3=a9_au?= lait", "caf\xc3\xa9 au lait"},
        {"=?UTF-8?B?w6k=?=", "\xc3\xa9"},
        {"=?UTF-8?b?w6k?=", "\xc3\xa9"},
        {"=?ISO-8859-1?Q?=E9=7f?=", "\xc3\xa9\x7f"},
        {"=?us-ascii*en?q?a?=", "a"},
        {"=?utf-8?q?a?= \t =?utf-8?q?b?=  c", "ab  c"},
        {"=?utf-8?q?a?= b =?utf-8?q?c?=", "a b c"},
        {"(=?utf-8?q?a?=)", "(a)"},
        {"=?utf-8?q?=C3?= =?utf-8?q?=A9?=", "\xc3\xa9"},
        {"=?utf-8?q?=00=1B?=", "\xef\xbf\xbd\x1b"},
        {"=?utf-8?q?"
         "?=",
         ""},
        /* what is none stays */
        {"=?utf-8?q?a b?=", "=?utf-8?q?a b?="},
        {"=?utf-8?q?=4?=", "=?utf-8?q?=4?="},
        {"=?utf-8?q?=GG?=", "=?utf-8?q?=GG?="},
        {"=?utf-8?b?w*k=?=", "=?utf-8?b?w*k=?="},
        {"=?utf-8?x?a?=", "=?utf-8?x?a?="},
        {"=?koi8-r?q?=C3?=", "=?koi8-r?q?=C3?="},
        {"=?utf-8?q?a?= =?koi8-r?q?=C3?=", "a =?koi8-r?q?=C3?="},
        {"=?utf-8?q?a", "=?utf-8?q?a"},
        {"=?utf-8?q?a?", "=?utf-8?q?a?"},
        {"==?utf-8?q?a?=", "=a"},
    };
    struct buf out;

    (void)state;
    buf_init(&out, 200);
    for (size_t i = 0; i < COUNT(rows); i++) {
        buf_clear(&out);
        assert_int_equal(encoded_word_decode(span_of(rows[i].text), &out), ERR_OK);
        if (strcmp(buf_cstr(&out), rows[i].want) != 0)
            fail_msg("%s: %s, not %s", rows[i].text, buf_cstr(&out), rows[i].want);
    }
    buf_free(&out);
}

static void what_is_written_is_read(void **state)
{
    static const char *const rows[] = {
        "caf\xc3\xa9", "=?utf-8?q?a?=",
        "\xf0\x9f\x93\xae \xf0\x9f\x93\xae \xf0\x9f\x93\xae \xf0\x9f\x93\xae and more of it"};
    struct buf word, out;

    (void)state;
    buf_init(&word, 1000);
    buf_init(&out, 1000);
    for (size_t i = 0; i < COUNT(rows); i++) {
        buf_clear(&word);
        buf_clear(&out);
        assert_int_equal(encoded_word_append(span_of(rows[i]), &word), ERR_OK);
        assert_int_equal(encoded_word_decode(buf_span(&word), &out), ERR_OK);
        assert_string_equal(buf_cstr(&out), rows[i]);
    }
    buf_free(&word);
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_read),
        cmocka_unit_test(what_is_written_is_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
