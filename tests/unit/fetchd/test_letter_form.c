/* What may stand in the place of a letter. */
#include "unit.h"

#include <string.h>

#include "local/letter.h"
#include "local/letter_form.h"

static enum err check(const char *letter, size_t len, size_t piece, struct letter_form *f, struct buf *why)
{
    struct letter_scan *scan;
    struct address reverse_path;

    *f = (struct letter_form){.bad = false};
    assert_int_equal(letter_scan_create(&scan), ERR_OK);
    for (size_t at = 0; at < len; at += piece) {
        const struct span part = {letter + at, len - at < piece ? len - at : piece};
        letter_form_feed(f, part);
        assert_int_equal(letter_scan_feed(scan, part.ptr, part.len), ERR_OK);
    }
    assert_int_equal(address_parse(SPAN_LITERAL("alice@a.test"), &reverse_path), ERR_OK);
    enum err e = letter_form_check(f, letter_scan_header(scan), &reverse_path, why);
    letter_scan_free(scan);
    return e;
}

static void what_is_no_letter_is_refused(void **state)
{
    static const struct {
        const char *letter;
        enum err want;
        const char *why; /* a part of the sentence */
    } rows[] = {
        {"From: alice@a.test\r\nSubject: x\r\n\r\nbody\r\n", ERR_OK, ""},
        {"From: alice@a.test\r\n\r\n", ERR_OK, ""},
        {"From: alice@a.test\r\n", ERR_OK, ""},
        {"FROM: alice@a.test\r\n\r\nBcc: in@the.body\r\n", ERR_OK, ""},
        {"Return-Path: <alice@A.test>\r\nFrom: x@a.test\r\n\r\n", ERR_OK, ""},
        {"", ERR_SYNTAX, "does not begin with a header"},
        {"hello\r\n", ERR_SYNTAX, "does not begin with a header"},
        {"\r\nFrom: alice@a.test\r\n\r\n", ERR_SYNTAX, "does not begin with a header"},
        {"From alice@a.test Sat Nov 21 10:00:00 2026\r\nFrom: alice@a.test\r\n\r\n", ERR_SYNTAX,
         "does not begin with a header"},
        {"From: alice@a.test\r\nno field\r\n\r\nbody\r\n", ERR_SYNTAX, "is no field"},
        {"Subject: x\r\n\r\nFrom: alice@a.test\r\n", ERR_SYNTAX, "no From"},
        {"From: alice@a.test\r\nbcc: carol@b.test\r\n\r\n", ERR_SYNTAX, "Bcc"},
        {"From: alice@a.test\r\nResent-Bcc: carol@b.test\r\n\r\n", ERR_SYNTAX, "Bcc"},
        {"From: alice@a.test\r\nRestante-Stub: v=1\r\n\r\n", ERR_SYNTAX, "stub"},
        {"From: alice@a.test\r\nFrom: eve@a.test\r\n\r\n", ERR_SYNTAX, "one address"},
        {"From: alice@a.test\r\nFrom : eve@a.test\r\n\r\n", ERR_SYNTAX, "one address"},
        {"From: alice@a.test, eve@a.test\r\n\r\n", ERR_SYNTAX, "one address"},
        {"From: them: eve@a.test, x@a.test;\r\nSender: alice@a.test\r\n\r\n", ERR_SYNTAX, "one address"},
        {"From: them:;\r\n\r\n", ERR_SYNTAX, "one address"},
        {"Return-Path: <eve@a.test>\r\nFrom: alice@a.test\r\n\r\n", ERR_SYNTAX, "Return-Path"},
        {"From: alice@a.test\r\nSubject: \xff\r\n\r\n", ERR_SYNTAX, "UTF-8"},
        {"From: alice@a.test\r\n\r\na\nb\r\n", ERR_BAD_BYTES, "line 3"},
        {"From: alice@a.test\r\n\r\na\rb\r\n", ERR_BAD_BYTES, "line 3"},
        {"From: alice@a.test\n\nbody\n", ERR_BAD_BYTES, "line 1"},
        {"From: alice@a.test\r\n\r\nbody\r", ERR_BAD_BYTES, "line 3"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        for (size_t piece = 1; piece < 20; piece++) {
            struct letter_form f;
            struct buf why;
            buf_init(&why, 250);
            assert_int_equal(check(rows[i].letter, strlen(rows[i].letter), piece, &f, &why), rows[i].want);
            if (!strstr(buf_cstr(&why), rows[i].why))
                fail_msg("%zu: %s", i, buf_cstr(&why));
            buf_free(&why);
        }
    }
}

static void eight_bits_are_noticed_where_they_stand(void **state)
{
    static const struct {
        const char *letter;
        bool header, body;
    } rows[] = {
        {"From: alice@a.test\r\n\r\nplain\r\n", false, false},
        {"From: \xc3\xa4 <alice@a.test>\r\n\r\nplain\r\n", true, false},
        {"From: alice@a.test\r\n\r\n\xc3\xa4\r\n", false, true},
        {"From: alice@a.test\r\n\r\n\xff\r\n", false, true},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct letter_form f;
        struct buf why;
        buf_init(&why, 250);
        assert_int_equal(check(rows[i].letter, strlen(rows[i].letter), 3, &f, &why), ERR_OK);
        assert_int_equal(f.header_8bit, rows[i].header);
        assert_int_equal(f.body_8bit, rows[i].body);
        buf_free(&why);
    }
}

static void a_nul_and_a_long_field_are_refused(void **state)
{
    static const char nul[] = "From: alice@a.test\r\n\r\na\0b\r\n";
    static char field[70000];
    struct letter_form f;
    struct buf why;

    (void)state;
    buf_init(&why, 250);
    assert_int_equal(check(nul, sizeof nul - 1, 7, &f, &why), ERR_BAD_BYTES);
    strcpy(field, "From: alice@a.test\r\nX: ");
    memset(field + strlen(field), 'x', 59000);
    strcat(field, "\r\n\r\n");
    buf_clear(&why);
    assert_int_equal(check(field, strlen(field), 4096, &f, &why), ERR_TOO_LARGE);
    buf_free(&why);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_letter_is_refused),
        cmocka_unit_test(eight_bits_are_noticed_where_they_stand),
        cmocka_unit_test(a_nul_and_a_long_field_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
