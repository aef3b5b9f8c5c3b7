#include "unit.h"

#include <string.h>

#include "admission/entry.h"

#define LONG64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define LONG256 LONG64 LONG64 LONG64 LONG64

static void entries_are_read_as_owners_write_them(void **state)
{
    static const struct {
        const char *text;
        enum entry_kind kind;
        const char *value, *back;
    } cases[] = {
        {"Alice@A.Test", ENTRY_ADDRESS, "alice@a.test", "alice@a.test"},
        {"envelope:Alice@a.test", ENTRY_ENVELOPE, "alice@a.test", "envelope:alice@a.test"},
        {"A.test.", ENTRY_DOMAIN, "a.test", "a.test"},
        {".a.test", ENTRY_SUBDOMAINS, "a.test", ".a.test"},
        {"<Dev.Lists.test>", ENTRY_LIST, "dev.lists.test", "<dev.lists.test>"},
        {"list:dev.lists.test", ENTRY_LIST, "dev.lists.test", "<dev.lists.test>"},
        {"list:<dev.lists.test>", ENTRY_LIST, "dev.lists.test", "<dev.lists.test>"},
        {" <Alice@a.test> ", ENTRY_ADDRESS, "alice@a.test", "alice@a.test"},
        /* quotes are legal */
        {"\"alice\"@a.test", ENTRY_ADDRESS, "alice@a.test", "alice@a.test"},
        {"\"al ice\"@a.test", ENTRY_ADDRESS, "\"al ice\"@a.test", "\"al ice\"@a.test"},
        {"\"a@b\"@a.test", ENTRY_ADDRESS, "\"a@b\"@a.test", "\"a@b\"@a.test"},
        {"\"a(b)\"@a.test", ENTRY_ADDRESS, "\"a(b)\"@a.test", "\"a(b)\"@a.test"},
        /* + anywhere */
        {"+@a.test", ENTRY_ADDRESS, "+@a.test", "+@a.test"},
        {"++x+@a.test", ENTRY_ADDRESS, "++x+@a.test", "++x+@a.test"},
        /* UTF-8, and more than RFC 5321's 64 octets */
        {"b\xc3\xbc@b\xc3\xbc"
         "cher.test",
         ENTRY_ADDRESS, "b\xc3\xbc@xn--bcher-kva.test", "b\xc3\xbc@xn--bcher-kva.test"},
        {"b\xc3\xbc"
         "cher.test",
         ENTRY_DOMAIN, "xn--bcher-kva.test", "xn--bcher-kva.test"},
        {LONG64 "a@a.test", ENTRY_ADDRESS, LONG64 "a@a.test", LONG64 "a@a.test"},
        {LONG256 "@a.test", ENTRY_ADDRESS, LONG256 "@a.test", LONG256 "@a.test"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct entry e = {.kind = ENTRY_KIND_COUNT};
        char back[ENTRY_TEXT_MAX];
        struct buf why;
        buf_init(&why, 200);
        if (entry_parse(cases[i].text, &e, &why) != ERR_OK)
            fail_msg("%s: %s", cases[i].text, buf_cstr(&why));
        assert_int_equal(e.kind, cases[i].kind);
        assert_string_equal(e.value, cases[i].value);
        entry_text(&e, back);
        assert_string_equal(back, cases[i].back);
        buf_free(&why);
    }
}

static void what_is_no_entry_is_refused_with_a_reason(void **state)
{
    static const char *const cases[] = {
        "",
        "  ",
        "<>",
        "@",
        "@a.test",
        "alice@",
        "alice",
        "alice@[192.0.2.1]",
        "alice@192.0.2.1",
        "192.0.2.1",
        "[192.0.2.1]",
        "alice(comment)@a.test",
        "alice@a.test(comment)",
        "(comment)alice@a.test",
        "alice@(comment)a.test",
        "Alice <alice@a.test>",
        "<@route.test:alice@a.test>",
        "@route.test:alice@a.test",
        "alice@a.test, bob@a.test",
        "alice@a@a.test",
        "alice @a.test",
        "al\nice@a.test",
        "al\tice@a.test",
        "al\x01ice@a.test",
        "\"alice@a.test",
        "\"ali\"ce@a.test",
        "al\"i\"ce@a.test",
        "alice@a..test",
        "alice@-a.test",
        "alice@.a.test",
        "\xff@a.test",
        "b\xc3@a.test",
        LONG256 "a@a.test",
        LONG256 ".test",
        "..a.test",
        ".",
        "a b.test",
        "a/b.test",
        "envelope:",
        "envelope:a.test",
        "envelope:envelope:a@a.test",
        "list:",
        "list:dev",
        "<dev>",
        "<dev.lists.test",
        "dev.lists.test>",
        "<a.b><c.d>",
        "list:a.b c.d",
        "list:" LONG256 ".test",
        "*",
        "*@a.test.*",
        "*@a.test",
        "envelope:*@a.test",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct entry e = {.value = "untouched"};
        struct buf why;
        buf_init(&why, 200);
        if (entry_parse(cases[i], &e, &why) != ERR_SYNTAX || why.len == 0)
            fail_msg("%s: taken as %d %s", cases[i], e.kind, e.value);
        assert_string_equal(e.value, "untouched");
        buf_free(&why);
    }
}

static void entries_fit_senders(void **state)
{
    static const struct entry_subject aligned = {"ann@mail.a.test", "bounce@x.a.test", true, "dev.lists.test",
                                                 "x.a.test"},
                                      unaligned = {"ann@mail.a.test", "bounce@z.test", false, "", "z.test"},
                                      nobody = {NULL, NULL, false, NULL, NULL};
    static const struct {
        const char *name, *text, *domain;
        bool allow_aligned, allow_unaligned, deny_aligned, deny_unaligned;
    } cases[] = {
        {"the author", "ann@mail.a.test", "", true, false, true, true},
        {"the author, as envelope", "envelope:ann@mail.a.test", "", false, false, true, true},
        {"the originator, as author", "bounce@z.test", "", false, false, false, true},
        {"the originator", "envelope:bounce@z.test", "", false, true, false, true},
        {"the author's domain", "mail.a.test", "", true, false, true, true},
        {"the originator's domain", "z.test", "", false, false, false, true},
        {"the domain above", "a.test", "", false, false, false, false},
        {"all below", ".a.test", "", true, false, true, true},
        {"all below, which is not itself below", ".mail.a.test", "", false, false, false, false},
        {"all below another that ends alike", ".il.a.test", "", false, false, false, false},
        {"the list", "<dev.lists.test>", "x.a.test", true, false, true, false},
        {"the list, from below its domain", "<dev.lists.test>", "a.test", true, false, true, false},
        {"the list, from elsewhere", "<dev.lists.test>", "y.test", false, false, false, false},
        {"the list, wherever from", "<dev.lists.test>", "", false, false, true, false},
        {"somebody else", "anna@mail.a.test", "", false, false, false, false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct entry e = {.deny = false};
        struct buf why;
        buf_init(&why, 200);
        assert_int_equal(entry_parse(cases[i].text, &e, &why), ERR_OK);
        strcpy(e.domain, cases[i].domain);
        bool a = entry_matches(&e, &aligned), u = entry_matches(&e, &unaligned);
        assert_false(entry_matches(&e, &nobody));
        e.deny = true;
        bool da = entry_matches(&e, &aligned), du = entry_matches(&e, &unaligned);
        assert_false(entry_matches(&e, &nobody));
        if (a != cases[i].allow_aligned || u != cases[i].allow_unaligned || da != cases[i].deny_aligned ||
            du != cases[i].deny_unaligned)
            fail_msg("%s: %d %d %d %d", cases[i].name, a, u, da, du);
        buf_free(&why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_are_read_as_owners_write_them),
        cmocka_unit_test(what_is_no_entry_is_refused_with_a_reason),
        cmocka_unit_test(entries_fit_senders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
