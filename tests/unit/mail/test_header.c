/* test_header.c - header fields as they occur. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "mail/header.h"

static void a_header_is_walked_field_by_field_up_to_the_empty_line(void **state)
{
    (void)state;
    static const char text[] =
        "From: a@b\r\nSubject:\r\n folded\r\n\tagain\r\nX : y\r\nEmpty:\r\nLf: 1\nLast: z\r\n\r\nNot: this";
    static const struct {
        const char *name, *value;
    } want[] = {{"From", " a@b"}, {"Subject", "\r\n folded\r\n\tagain"},
                {"X", " y"},      {"Empty", ""},
                {"Lf", " 1"},     {"Last", " z"}};
    struct span rest = span_of(text);
    struct header_field f;
    size_t raw = 0;
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        assert_true(header_next(&rest, &f));
        assert_true(span_is(f.name, want[i].name));
        assert_true(span_is(f.value, want[i].value));
        raw += f.raw.len;
    }
    assert_false(header_next(&rest, &f));
    assert_ptr_equal(rest.ptr, text + raw);
    static const char *const none[] = {"",     "\r\n",   "no field\r\n", ": empty name\r\n", " folded\r\n",
                                       "name", "\x7f: x"};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        rest = span_of(none[i]);
        assert_false(header_next(&rest, &f));
    }
    rest = SPAN_LITERAL("Cut: here");
    assert_true(header_next(&rest, &f));
    assert_true(span_is(f.value, " here"));
    assert_int_equal(rest.len, 0);
}

static const struct {
    const char *value, *want;
} unfolded[] = {
    {" a", "a"},       {" a\r\n b ", "a b"}, {"\r\n\ta\r\n\t b\r\n", "a\t b"}, {"", ""}, {" \r\n ", ""},
    {" a\n b", "a b"}, {" a\rb", "a\rb"},
};

static void values_are_unfolded_and_trimmed(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof unfolded / sizeof unfolded[0]; i++) {
        struct buf b;
        buf_init(&b, 100);
        assert_int_equal(header_unfold(span_of(unfolded[i].value), &b), ERR_OK);
        assert_string_equal(buf_cstr(&b), unfolded[i].want);
        buf_free(&b);
    }
    struct buf small;
    buf_init(&small, 2);
    assert_int_equal(header_unfold(SPAN_LITERAL("abc"), &small), ERR_TOO_LARGE);
    buf_free(&small);
}

static const struct {
    const char *value, *want; /* NULL: refused */
} from[] = {
    {" alice@a.example", "alice@a.example"},
    {" <alice@a.example>", "alice@a.example"},
    {" Alice <alice@a.example>", "alice@a.example"},
    {" Alice\r\n A. <alice@a.example>\r\n", "alice@a.example"},
    {" \"Alice, Dr.\" <alice@A.example>", "alice@a.example"},
    {" \"bob@b.example\" <alice@a.example>", "alice@a.example"},
    {" bob@b.example <alice@a.example>", "alice@a.example"},
    {" \"a \\\" <bob@b.example>\" <alice@a.example>", "alice@a.example"},
    {" alice@a.example (Alice)", "alice@a.example"},
    {" (Alice (of A)) alice@a.example", "alice@a.example"},
    {" (\\) alice) alice@a.example", "alice@a.example"},
    {" alice (x) @ (y) a . example", "alice@a.example"},
    {" < alice @ a.example >", "alice@a.example"},
    {" \"a b\"@a.example", "\"a b\"@a.example"},
    {" \"a\\\"b\"@a.example", "\"a\\\"b\"@a.example"},
    {" <@x.example:alice@a.example>", "alice@a.example"},
    {" Group: alice@a.example;", "alice@a.example"},
    {" Group: Alice <alice@a.example>, ;", "alice@a.example"},
    {" , alice@a.example,", "alice@a.example"},
    {" =?utf-8?q?J=C3=BCrgen?= <j@a.example>", "j@a.example"},
    {" J\xfcrgen <j@a.example>", "j@a.example"},
    {" J\xc3\xbcrgen <j\xc3\xbc@b\xc3\xbc"
     "cher.example>",
     "j\xc3\xbc@xn--bcher-kva.example"},
    {"", NULL},
    {" undisclosed:;", NULL},
    {" Alice", NULL},
    {" <>", NULL},
    {" alice@a.example, bob@b.example", NULL},
    {" a: alice@a.example, bob@b.example;", NULL},
    {" <alice@a.example> <bob@b.example>", NULL},
    {" <alice@a.example> bob", NULL},
    {" <alice@a.example>; bob@b.example", NULL},
    {" Alice alice@a.example", NULL},
    {" alice@a.example bob@b.example", NULL},
    {" Alice <alice@a.example", NULL},
    {" alice@a.example>", NULL},
    {" \"Alice <alice@a.example>", NULL},
    {" (Alice <alice@a.example>", NULL},
    {" alice@[192.0.2.1]", NULL},
    {" a: b: alice@a.example;", NULL},
    {" <alice@a.example>: x;", NULL},
    {" alice@a.example\r\n\x01", NULL},
};

static void from_gives_its_one_address(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof from / sizeof from[0]; i++) {
        struct address a;
        char text[ADDRESS_TEXT_MAX];
        enum err e = header_from_address(span_of(from[i].value), &a);
        if (e != (from[i].want != NULL ? ERR_OK : ERR_ADDRESS))
            fail_msg("%s: %s", from[i].value, err_name(e));
        if (e != ERR_OK)
            continue;
        address_text(&a, text);
        assert_string_equal(text, from[i].want);
    }
    static char huge[HEADER_FIELD_MAX + 10];
    memset(huge, 'x', sizeof huge);
    struct address a;
    assert_int_equal(header_from_address(span_bytes(huge, sizeof huge), &a), ERR_ADDRESS);
    assert_int_equal(header_from_address(span_bytes(huge, 2000), &a), ERR_ADDRESS);
}

static const struct {
    const char *value, *want;
} ids[] = {
    {" <x@a.example>", "x@a.example"},
    {"\r\n <x>\r\n", "x"},
    {" (c) <x> (d)", "x"},
    {" x@a.example", NULL},
    {" <>", NULL},
    {" <x", NULL},
    {" <x y>", NULL},
    {" <x\r\n y>", NULL},
    {" <<x>", NULL},
    {"", NULL},
    {" (c <x>", NULL},
    {" <x\x7f>", NULL},
};

static void message_ids_are_found_without_their_brackets(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        struct span id;
        enum err e = header_message_id(span_of(ids[i].value), &id);
        if (e != (ids[i].want != NULL ? ERR_OK : ERR_SYNTAX))
            fail_msg("%s: %s", ids[i].value, err_name(e));
        if (e == ERR_OK)
            assert_true(span_is(id, ids[i].want));
    }
}

static const struct {
    const char *value;
    bool want;
} types[] = {
    {" multipart/report; report-type=delivery-status", true},
    {" Multipart / (x) REPORT", true},
    {"\r\n multipart/report\r\n", true},
    {" multipart/reports", false},
    {" multipart/mixed; x=multipart/report", false},
    {" text/plain", false},
    {" multipart", false},
    {" multipart report", false},
    {"", false},
    {" (x multipart/report", false},
};

static void reports_are_known_by_their_media_type(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (header_is_report(span_of(types[i].value)) != types[i].want)
            fail_msg("%s", types[i].value);
}

static const struct {
    const char *value, *want;
} servers[] = {
    {" mx.b.example; spf=pass", "mx.b.example"},
    {" (x) mx.b.example 1; none", "mx.b.example"},
    {" \"mx.b.example\"; none", "mx.b.example"},
    {"\r\n mx.b.example(v);", "mx.b.example"},
    {"mx", "mx"},
    {"", NULL},
    {" ;", NULL},
    {" \"\";", NULL},
    {" \"m\\x\";", NULL},
    {" \"mx", NULL},
    {" (x", NULL},
};

static void authentication_results_name_their_server(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof servers / sizeof servers[0]; i++) {
        struct span id;
        enum err e = header_authserv_id(span_of(servers[i].value), &id);
        if (e != (servers[i].want != NULL ? ERR_OK : ERR_SYNTAX))
            fail_msg("%s: %s", servers[i].value, err_name(e));
        if (e == ERR_OK)
            assert_true(span_is(id, servers[i].want));
    }
}

static void a_list_id_is_what_stands_last_in_angle_brackets(void **state)
{
    static const struct {
        const char *value, *id; /* NULL: none */
    } cases[] = {
        {" List Header Mailing List <list-header.nisto.com>", "list-header.nisto.com"},
        {" <Commonspace-Users.List-Id.Within.COM>", "commonspace-users.list-id.within.com"},
        {" \"a <b.c> d\"\r\n <dev.lists.test> ", "dev.lists.test"},
        {" dev.lists.test", NULL},
        {" <dev>", NULL},
        {" <>", NULL},
        {" <.dev.test>", NULL},
        {" <dev..test>", NULL},
        {" <dev.test.>", NULL},
        {" <dev lists.test>", NULL},
        {" <dev@lists.test>", NULL},
        {" dev.lists.test>", NULL},
        {" <dev.lists.test> (comment)", NULL},
        {"", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char id[HEADER_LIST_ID_MAX + 1] = "";
        enum err e = header_list_id(span_of(cases[i].value), id);
        if ((e == ERR_OK) != (cases[i].id != NULL) || (cases[i].id && strcmp(id, cases[i].id) != 0))
            fail_msg("%s: %s %s", cases[i].value, err_name(e), id);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_id_is_what_stands_last_in_angle_brackets),
        cmocka_unit_test(a_header_is_walked_field_by_field_up_to_the_empty_line),
        cmocka_unit_test(values_are_unfolded_and_trimmed),
        cmocka_unit_test(from_gives_its_one_address),
        cmocka_unit_test(message_ids_are_found_without_their_brackets),
        cmocka_unit_test(reports_are_known_by_their_media_type),
        cmocka_unit_test(authentication_results_name_their_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
