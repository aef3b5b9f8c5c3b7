#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "local/letter.h"

static void read_letter(const char *data, size_t len, size_t piece, struct letter_facts *out)
{
    struct letter_scan *s;
    struct address reverse_path;

    assert_int_equal(letter_scan_create(&s), ERR_OK);
    for (size_t at = 0; at < len; at += piece)
        assert_int_equal(letter_scan_feed(s, data + at, len - at < piece ? len - at : piece), ERR_OK);
    assert_int_equal(address_parse(SPAN_LITERAL("rev@a.test"), &reverse_path), ERR_OK);
    assert_int_equal(letter_scan_finish(s, &reverse_path, out), ERR_OK);
    letter_scan_free(s);
}

static void facts_do_not_depend_on_the_pieces(void **state)
{
    static const struct {
        const char *letter, *from, *from_field, *message_id, *subject, *body;
    } cases[] = {
        {"From: Alice <alice@A.test>\r\nSubject: a\r\n b\r\nMessage-Id: <1@a.test>\r\n\r\nbody\r\n",
         "alice@a.test", "Alice <alice@A.test>", "1@a.test", "a b", "body\r\n"},
        {"From: a@a.test, b@a.test\r\n\r\n", "rev@a.test", "<rev@a.test>", "", "", ""},
        {"Subject: x\r\r\n y\r\nFrom: a@a.test\r\n\r\n\r\n\r\n", "a@a.test", "a@a.test", "", "x y",
         "\r\n\r\n"},
        {"From: one@a.test\r\nFrom: two@a.test\r\nSender: s@a.test", "s@a.test", "<s@a.test>", "", "", ""},
        {"\r\nFrom: in@the.body\r\n", "rev@a.test", "<rev@a.test>", "", "", "From: in@the.body\r\n"},
        {"", "rev@a.test", "<rev@a.test>", "", "", ""},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        size_t len = strlen(cases[i].letter);
        uint8_t want[CRYPT_SHA256_BYTES];
        assert_int_equal(crypt_sha256(span_of(cases[i].body), want), ERR_OK);
        for (size_t piece = 1; piece <= len + 1; piece++) {
            struct letter_facts got;
            read_letter(cases[i].letter, len, piece, &got);
            assert_string_equal(got.from, cases[i].from);
            assert_string_equal(got.from_field, cases[i].from_field);
            assert_string_equal(got.message_id, cases[i].message_id);
            if (!strchr(cases[i].letter, '\r') || !strstr(cases[i].letter, "\r\r"))
                assert_string_equal(got.subject, cases[i].subject);
            assert_memory_equal(got.body_digest, want, sizeof want);
        }
    }
}

static void what_it_asks_for_itself_is_told(void **state)
{
    static const char letter[] = "From: a@a.test\r\nRestante-Retention:\r\n 2d\r\n\r\n"
                                 "Restante-Retention: in the body\r\n";
    struct letter_facts got;

    (void)state;
    read_letter(letter, sizeof letter - 1, 5, &got);
    assert_int_equal(got.retention.asked_s, 2 * 86400);
    assert_false(got.retention.unreadable);
}

static void lists_and_bulk_are_told(void **state)
{
    static const struct {
        const char *header, *list_id;
        bool bulk;
    } cases[] = {
        {"From: a@a.test\r\n", "", false},
        {"List-Id: Developers <Dev.Lists.test>\r\n", "dev.lists.test", true},
        {"List-ID:\r\n \"<x.y>\"\r\n <dev.lists.test>\r\nList-Id: <other.test>\r\n", "dev.lists.test", true},
        {"List-Id: nonsense\r\n", "", true},
        {"List-Unsubscribe: <mailto:a@a.test>\r\n", "", true},
        {"Precedence: (very) Bulk\r\n", "", true},
        {"precedence: list\r\n", "", true},
        {"Precedence: junk\r\n", "", true},
        {"Precedence: first-class\r\n", "", false},
        {"Auto-Submitted: no\r\n", "", false},
        {"Auto-Submitted: No (really)\r\n", "", false},
        {"Auto-Submitted: auto-replied; owner-email=\"a@a.test\"\r\n", "", true},
        {"Auto-Submitted:\r\n", "", false},
        {"\r\nPrecedence: bulk\r\n", "", false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct letter_facts got;
        read_letter(cases[i].header, strlen(cases[i].header), 7, &got);
        assert_string_equal(got.list_id, cases[i].list_id);
        if (got.bulk != cases[i].bulk)
            fail_msg("%s", cases[i].header);
    }
}

static void texts_are_bounded_and_free_of_control_characters(void **state)
{
    enum { LONG = 200000 };
    struct letter_facts got;
    char *letter = malloc(LONG + 200);
    int len = snprintf(letter, LONG + 200, "Subject: \x01\x7f");

    (void)state;
    memset(letter + len, 'x', LONG);
    len += LONG;
    len += snprintf(letter + len, 100, "\r\nFrom: \"");
    read_letter(letter, (size_t)len, 4096, &got);
    assert_string_equal(got.from, "rev@a.test");
    for (size_t i = 0; i < strlen(got.subject); i++)
        assert_true(got.subject[i] >= ' ' && got.subject[i] != 0x7f);
    assert_true(strlen(got.subject) < sizeof got.subject);
    free(letter);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(facts_do_not_depend_on_the_pieces),
        cmocka_unit_test(what_it_asks_for_itself_is_told),
        cmocka_unit_test(lists_and_bulk_are_told),
        cmocka_unit_test(texts_are_bounded_and_free_of_control_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
