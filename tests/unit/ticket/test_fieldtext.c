/* test_fieldtext.c - text with any UTF-8 in HTTP fields. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ticket/fieldtext.h"

static const struct {
    const char *text, *field;
} both_ways[] = {
    {"", ""},
    {"alice@a.example", "alice@a.example"},
    {"a+b=c~d-e_f@x.example", "a+b=c~d-e_f@x.example"},
    {"550 5.1.1 <bob@b.example>: no", "550%205.1.1%20%3Cbob@b.example%3E%3A%20no"},
    {"j\xc3\xbcrgen@\xc3\xbc.example", "j%C3%BCrgen@%C3%BC.example"},
    {"100%", "100%25"},
    {"\"a b\"@x", "%22a%20b%22@x"},
};

static void text_and_field_agree_both_ways(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof both_ways / sizeof both_ways[0]; i++) {
        struct buf b;
        buf_init(&b, 1000);
        assert_int_equal(fieldtext_encode(span_of(both_ways[i].text), &b), ERR_OK);
        assert_string_equal(buf_cstr(&b), both_ways[i].field);
        buf_clear(&b);
        assert_int_equal(fieldtext_decode(span_of(both_ways[i].field), &b), ERR_OK);
        assert_string_equal(buf_cstr(&b), both_ways[i].text);
        buf_free(&b);
    }
}

static const struct {
    const char *name;
    struct span field;
    enum err want;
} refused[] = {
    {"blank", SPAN_LITERAL("a b"), ERR_SYNTAX},
    {"lower case digit", SPAN_LITERAL("%c3%BC"), ERR_SYNTAX},
    {"needless escape", SPAN_LITERAL("%41"), ERR_SYNTAX},
    {"needless escape of a dot", SPAN_LITERAL("%2E"), ERR_SYNTAX},
    {"cut escape", SPAN_LITERAL("a%2"), ERR_SYNTAX},
    {"lone percent", SPAN_LITERAL("%"), ERR_SYNTAX},
    {"no digit", SPAN_LITERAL("%G0"), ERR_SYNTAX},
    {"no second digit", SPAN_LITERAL("%2 x"), ERR_SYNTAX},
    {"raw octet above 0x7f", SPAN_LITERAL("\xc3\xbc"), ERR_SYNTAX},
    {"raw NUL", SPAN_LITERAL("a\0b"), ERR_SYNTAX},
    {"NUL", SPAN_LITERAL("a%00"), ERR_BAD_BYTES},
    {"CR", SPAN_LITERAL("a%0D%0A"), ERR_BAD_BYTES},
    {"DEL", SPAN_LITERAL("%7F"), ERR_BAD_BYTES},
    {"half a character", SPAN_LITERAL("%C3"), ERR_BAD_BYTES},
    {"surrogate", SPAN_LITERAL("%ED%A0%80"), ERR_BAD_BYTES},
};

static void other_spellings_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct buf b;
        buf_init(&b, 1000);
        assert_int_equal(buf_append_str(&b, "kept"), ERR_OK);
        if (fieldtext_decode(refused[i].field, &b) != refused[i].want)
            fail_msg("%s", refused[i].name);
        assert_string_equal(buf_cstr(&b), "kept");
        buf_free(&b);
    }
}

static void text_that_is_no_text_is_not_encoded(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 8);
    assert_int_equal(fieldtext_encode(SPAN_LITERAL("a\nb"), &b), ERR_BAD_BYTES);
    assert_int_equal(fieldtext_encode(SPAN_LITERAL("\xff"), &b), ERR_BAD_BYTES);
    assert_int_equal(fieldtext_encode(SPAN_LITERAL("far too long"), &b), ERR_TOO_LARGE);
    assert_int_equal(b.len, 0);
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_and_field_agree_both_ways),
        cmocka_unit_test(other_spellings_are_refused),
        cmocka_unit_test(text_that_is_no_text_is_not_encoded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
