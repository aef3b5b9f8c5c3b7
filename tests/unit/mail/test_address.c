/* test_address.c - addresses and domains as MTAs and people give them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "mail/address.h"

#define U_UMLAUT "\xc3\xbc"
#define U_BUECHER                                                                                            \
    "b\xc3\xbc"                                                                                              \
    "cher"

static const struct {
    const char *name, *text;
    const char *local, *domain; /* local NULL: refused */
} addresses[] = {
    {"plain", "bob@b.example", "bob", "b.example"},
    {"in angle brackets", "<bob@b.example>", "bob", "b.example"},
    {"domain in upper case", "Bob@B.Example", "Bob", "b.example"},
    {"final dot", "bob@b.example.", "bob", "b.example"},
    {"source route", "<@x.example,@y.example:bob@b.example>", "bob", "b.example"},
    {"detail", "bob+x@b.example", "bob+x", "b.example"},
    {"all atext", "!#$%&'*+-/=?^_`{|}~@b.example", "!#$%&'*+-/=?^_`{|}~", "b.example"},
    {"dots in odd places", "a..b.@b.example", "a..b.", "b.example"},
    {"quoted", "\"a b\"@b.example", "\"a b\"", "b.example"},
    {"quoted @", "\"a@b\"@b.example", "\"a@b\"", "b.example"},
    {"quoted pair", "\"a\\\"b\"@b.example", "\"a\\\"b\"", "b.example"},
    {"quoted and empty", "\"\"@b.example", "\"\"", "b.example"},
    {"one label", "bob@localhost", "bob", "localhost"},
    {"underscore", "bob@_x.b.example", "bob", "_x.b.example"},
    {"digits in a name", "bob@1.2.3.4.example", "bob", "1.2.3.4.example"},
    {"UTF-8 local part", "j\xc3\xbcrgen@b.example", "j\xc3\xbcrgen", "b.example"},
    {"U-label", "bob@" U_BUECHER ".example", "bob", "xn--bcher-kva.example"},
    {"U-label in upper case",
     "bob@B\xc3\x9c"
     "CHER.example",
     "bob", "xn--bcher-kva.example"},
    {"sharp s by IDNA 2008",
     "bob@stra\xc3\x9f"
     "e.example",
     "bob", "xn--strae-oqa.example"},
    {"A-label", "bob@XN--bcher-kva.example", "bob", "xn--bcher-kva.example"},
    {"ideographic full stop",
     "bob@b\xe3\x80\x82"
     "example",
     "bob", "b.example"},
    {"no domain", "bob", NULL, NULL},
    {"empty domain", "bob@", NULL, NULL},
    {"empty local part", "@b.example", NULL, NULL},
    {"route without address", "@x.example:", NULL, NULL},
    {"two @", "bob@x@b.example", NULL, NULL},
    {"blank", "bo b@b.example", NULL, NULL},
    {"blank behind", "bob@b.example ", NULL, NULL},
    {"half an angle bracket", "<bob@b.example", NULL, NULL},
    {"address literal", "bob@[192.0.2.1]", NULL, NULL},
    {"IPv6 literal", "bob@[IPv6:2001:db8::1]", NULL, NULL},
    {"numbers", "bob@192.0.2.1", NULL, NULL},
    {"one number", "bob@3221225985", NULL, NULL},
    {"hexadecimal", "bob@0x7f.1.0xff", NULL, NULL},
    {"full-width digits", "bob@\xef\xbc\x91\xef\xbc\x92.0.0.1", NULL, NULL},
    {"empty label", "bob@b..example", NULL, NULL},
    {"leading dot", "bob@.example", NULL, NULL},
    {"only a dot", "bob@.", NULL, NULL},
    {"hyphen first", "bob@-b.example", NULL, NULL},
    {"hyphen last", "bob@b-.example", NULL, NULL},
    {"bad character", "bob@b!.example", NULL, NULL},
    {"quote does not end", "\"bob@b.example", NULL, NULL},
    {"quoted pair does not end", "\"bob\\", NULL, NULL},
    {"control in quotes", "\"a\tb\"@b.example", NULL, NULL},
    {"escaped control in quotes", "\"a\\\nb\"@b.example", NULL, NULL},
    {"something behind the quotes", "\"a\"b@b.example", NULL, NULL},
    {"CR LF", "bob\r\n@b.example", NULL, NULL},
    {"not UTF-8", "j\xfcrgen@b.example", NULL, NULL},
    {"domain not UTF-8", "bob@b\xfc.example", NULL, NULL},
    {"not IDNA", "bob@\xe2\x98\x83.example", NULL, NULL},
    {"label of 64", "bob@abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijkl.example", NULL,
     NULL},
};

static void addresses_are_read_as_mail_systems_give_them(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++) {
        struct address a;
        enum err e = address_parse(span_of(addresses[i].text), &a);
        if (e != (addresses[i].local != NULL ? ERR_OK : ERR_ADDRESS))
            fail_msg("%s: %s", addresses[i].name, err_name(e));
        if (e != ERR_OK)
            continue;
        assert_string_equal(a.local, addresses[i].local);
        assert_string_equal(a.domain, addresses[i].domain);
        assert_false(a.null);
    }
    struct address a;
    assert_int_equal(address_parse(SPAN_LITERAL("bo\0b@b.example"), &a), ERR_ADDRESS);
    assert_int_equal(address_parse(SPAN_LITERAL("bob@b\0.example"), &a), ERR_ADDRESS);
    assert_int_equal(address_parse(SPAN_LITERAL("bob@\xc3\xbc\0.example"), &a), ERR_ADDRESS);
}

static void the_null_path_is_known(void **state)
{
    (void)state;
    struct address a, b;
    char text[ADDRESS_TEXT_MAX];
    assert_int_equal(address_parse(SPAN_LITERAL("<>"), &a), ERR_OK);
    assert_true(a.null);
    assert_int_equal(address_parse((struct span){0}, &b), ERR_OK);
    assert_true(b.null);
    assert_true(address_equal(&a, &b));
    address_text(&a, text);
    assert_string_equal(text, "");
    address_text_given(&a, text);
    assert_string_equal(text, "");
}

static void parts_of_the_longest_length_fit_and_longer_ones_do_not(void **state)
{
    (void)state;
    char text[1000], out[ADDRESS_TEXT_MAX];
    struct address a;
    memset(text, 'x', ADDRESS_LOCAL_MAX);
    text[ADDRESS_LOCAL_MAX] = '@';
    char *domain = text + ADDRESS_LOCAL_MAX + 1;
    for (size_t i = 0; i < 253; i++)
        domain[i] = i % 2 == 0 ? 'b' : '.';
    domain[253] = '\0';
    assert_int_equal(address_parse(span_of(text), &a), ERR_OK);
    address_text(&a, out);
    assert_string_equal(out, text);
    strcat(text, ".b");
    assert_int_equal(address_parse(span_of(text), &a), ERR_ADDRESS);
    strcat(text, "bbb");
    assert_int_equal(address_parse(span_of(text), &a), ERR_ADDRESS);
    memset(text, 'x', ADDRESS_LOCAL_MAX + 1);
    strcpy(text + ADDRESS_LOCAL_MAX + 1, "@b.example");
    assert_int_equal(address_parse(span_of(text), &a), ERR_ADDRESS);
}

static void addresses_are_compared_by_the_domain_as_a_labels(void **state)
{
    (void)state;
    struct address a, b, c;
    char text[ADDRESS_TEXT_MAX];
    assert_int_equal(address_parse(SPAN_LITERAL("bob@" U_BUECHER ".Example"), &a), ERR_OK);
    assert_int_equal(address_parse(SPAN_LITERAL("bob@XN--BCHER-KVA.example"), &b), ERR_OK);
    assert_int_equal(address_parse(SPAN_LITERAL("BOB@xn--bcher-kva.example"), &c), ERR_OK);
    assert_true(address_equal(&a, &b));
    assert_false(address_equal(&a, &c));
    assert_true(address_equal_nocase(&a, &c));
    assert_true(a.utf8);
    assert_false(b.utf8);
    address_text(&a, text);
    assert_string_equal(text, "bob@xn--bcher-kva.example");
    address_text_given(&a, text);
    assert_string_equal(text, "bob@" U_BUECHER ".Example");
}

static const struct {
    const char *address, *user, *detail;
} details[] = {
    {"bob+x@b.example", "bob", "x"}, {"bob@b.example", "bob", ""}, {"bob+x+y@b.example", "bob", "x+y"},
    {"bob+@b.example", "bob", ""},   {"+x@b.example", "+x", ""},   {"\"bob+x\"@b.example", "\"bob+x\"", ""},
};

static void the_detail_is_split_off_at_the_first_separator(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof details / sizeof details[0]; i++) {
        struct address a;
        struct span user, detail;
        assert_int_equal(address_parse(span_of(details[i].address), &a), ERR_OK);
        address_detail(&a, '+', &user, &detail);
        assert_true(span_is(user, details[i].user));
        assert_true(span_is(detail, details[i].detail));
        address_detail(&a, '\0', &user, &detail);
        assert_true(span_is(user, a.local));
    }
}

static const struct {
    const char *address, *key;
} keys[] = {
    {"Bob@B.Example", "bob@b.example"},
    {"<bob@b.example>", "bob@b.example"},
    {"\"Bob\"@b.example", "bob@b.example"},
    {"\"b\\ob.x\"@b.example", "bob.x@b.example"},
    {"\"bob smith\"@b.example", "\"bob smith\"@b.example"},
    {"\"a@x\"@b.example", "\"a@x\"@b.example"},
    {"\"\"@b.example", "\"\"@b.example"},
    {"B" U_UMLAUT "b@" U_BUECHER ".example", "b" U_UMLAUT "b@xn--bcher-kva.example"},
    {"", ""},
};

static void spellings_of_one_address_have_one_key(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        struct address a;
        char key[ADDRESS_TEXT_MAX];
        assert_int_equal(address_parse(span_of(keys[i].address), &a), ERR_OK);
        address_key(&a, key);
        assert_string_equal(key, keys[i].key);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spellings_of_one_address_have_one_key),
        cmocka_unit_test(addresses_are_read_as_mail_systems_give_them),
        cmocka_unit_test(the_null_path_is_known),
        cmocka_unit_test(parts_of_the_longest_length_fit_and_longer_ones_do_not),
        cmocka_unit_test(addresses_are_compared_by_the_domain_as_a_labels),
        cmocka_unit_test(the_detail_is_split_off_at_the_first_separator),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
