/* test_header_filter.c - forged Authentication-Results go, every other byte stays, however the letter is cut.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mail/header.h"

#define OURS "mx.b.example"

static const struct {
    const char *name, *letter, *want; /* want NULL: unchanged */
} cases[] = {
    {"nothing to remove", "From: a\r\nSubject: b\r\n\r\nbody\r\n", NULL},
    {"ours goes", "A: 1\r\nAuthentication-Results: " OURS "; spf=pass\r\nB: 2\r\n\r\nbody",
     "A: 1\r\nB: 2\r\n\r\nbody"},
    {"folded, in any case",
     "aUthentication-results:\r\n\t"
     "MX.B.example;\r\n spf=pass\r\nB: 2\r\n\r\n",
     "B: 2\r\n\r\n"},
    {"blank ahead of the colon", "Authentication-Results : " OURS "\r\n\r\n", "\r\n"},
    {"comment ahead", "Authentication-Results: (x) " OURS "\r\n\r\n", "\r\n"},
    {"quoted", "Authentication-Results: \"" OURS "\"; none\r\n\r\n", "\r\n"},
    {"quoted with a backslash", "Authentication-Results: \"\\" OURS "\"; none\r\n\r\n", "\r\n"},
    {"unparsable, of others", "Authentication-Results: \"\\mx.c.example\"; x=" OURS "\r\n\r\n", NULL},
    {"of others", "Authentication-Results: mx.c.example; x=" OURS "\r\n\r\n", NULL},
    {"ours with something behind", "Authentication-Results: " OURS ".evil; none\r\n\r\n", NULL},
    {"two of ours", "Authentication-Results: " OURS "\r\nAuthentication-Results: " OURS "\r\n\r\nx", "\r\nx"},
    {"in the body", "A: 1\r\n\r\nAuthentication-Results: " OURS "\r\n", NULL},
    {"body at once", "\r\nAuthentication-Results: " OURS "\r\n", NULL},
    {"bare LF", "A: 1\nAuthentication-Results: " OURS "\n x\n\nbody", "A: 1\n\nbody"},
    {"last field without end", "A: 1\r\nAuthentication-Results: " OURS, "A: 1\r\n"},
    {"behind a line that is no field", "no field\r\nAuthentication-Results: " OURS "\r\n\r\n",
     "no field\r\n\r\n"},
    {"folded first line", " x\r\nAuthentication-Results: " OURS "\r\n\r\n", " x\r\n\r\n"},
    {"line of blanks inside", "Authentication-Results:\r\n \r\n " OURS "\r\n\r\nx", "\r\nx"},
    {"NUL and 8-bit stay", "A: \xff\r\nB: 2\r\n\r\n\xfe\r\n", NULL},
    {"empty", "", NULL},
};

static void filter_in_pieces(struct span letter, size_t piece, struct buf *out)
{
    struct header_filter *f = NULL;
    assert_int_equal(header_filter_create(OURS, &f), ERR_OK);
    for (size_t at = 0; at < letter.len; at += piece)
        assert_int_equal(header_filter_feed(f, letter.ptr + at,
                                            letter.len - at < piece ? letter.len - at : piece, false, out),
                         ERR_OK);
    assert_int_equal(header_filter_feed(f, NULL, 0, true, out), ERR_OK);
    header_filter_free(f);
}

static void only_fields_of_this_site_go(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (size_t piece = 1; piece < 100; piece += piece < 8 ? 1 : 30) {
            struct buf out;
            buf_init(&out, 10000);
            filter_in_pieces(span_of(cases[i].letter), piece, &out);
            const char *want = cases[i].want != NULL ? cases[i].want : cases[i].letter;
            if (strcmp(buf_cstr(&out), want) != 0)
                fail_msg("%s, in pieces of %zu: %s", cases[i].name, piece, buf_cstr(&out));
            buf_free(&out);
        }
    }
}

static void a_field_longer_than_memory_is_judged_by_its_beginning(void **state)
{
    (void)state;
    static const char *const heads[] = {
        "X: ", "Authentication-Results: " OURS "; x=", "Authentication-Results: mx.c.example; x="};
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        for (size_t piece = 1000; piece < 1000000; piece *= 9) {
            struct buf letter, out;
            size_t kept = strlen("A: 1\r\n") + strlen("B: 2\r\n\r\nbody");
            buf_init(&letter, 400000);
            buf_init(&out, 400000);
            assert_int_equal(buf_printf(&letter, "A: 1\r\n%s", heads[i]), ERR_OK);
            for (size_t n = 0; n < 3000; n++)
                assert_int_equal(buf_append_str(&letter, n % 2000 == 1999
                                                             ? "\r\n "
                                                             : "0123456789012345678901234567890123456789"),
                                 ERR_OK);
            assert_int_equal(buf_append_str(&letter, "\r\nB: 2\r\n\r\nbody"), ERR_OK);
            filter_in_pieces(buf_span(&letter), piece, &out);
            assert_int_equal(out.len, i == 1 ? kept : letter.len);
            assert_memory_equal(out.data + out.len - 12, letter.data + letter.len - 12, 12);
            buf_free(&letter);
            buf_free(&out);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_fields_of_this_site_go),
        cmocka_unit_test(a_field_longer_than_memory_is_judged_by_its_beginning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
