#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "table.h"

static const struct table_column columns[] = {
    {"SENDER", "sender", 12, false}, {"COUNT", "count", 0, false}, {"NAME", "name", 0, true}};

static char *printed(const struct rows *r, bool entry)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    assert_non_null(out);
    if (entry)
        table_print_entry(out, r, 0);
    else
        table_print(out, r, columns, COUNT(columns));
    fclose(out);
    return text;
}

static void lists_are_aligned_and_optional_columns_go(void **state)
{
    struct rows *r;
    char *text;

    (void)state;
    assert_int_equal(rows_create("list", &r), ERR_OK);
    rows_begin(r);
    rows_text(r, "sender", "somebody-with-a-long-name@a.test");
    rows_number(r, "count", 12);
    rows_begin(r);
    rows_text(r, "sender", "j\xc3\xbcrgen@a.de");
    text = printed(r, false);
    assert_string_equal(text, "SENDER        COUNT\nsomebody-wi~  12\nj\xc3\xbcrgen@a.de   -\n");
    free(text);
    rows_text(r, "name", "J");
    text = printed(r, false);
    assert_non_null(strstr(text, "SENDER        COUNT  NAME\n"));
    free(text);
    rows_free(r);
}

static void nothing_of_something_is_a_number(void **state)
{
    static const struct table_column both[] = {{"COUNT", "count", 0, false}, {"LOST", "lost", 0, true}};
    struct rows *r;
    char *text = NULL;
    size_t len = 0;

    (void)state;
    assert_int_equal(rows_create("list", &r), ERR_OK);
    rows_begin(r);
    rows_number(r, "count", 0);
    rows_number(r, "lost", 0);
    rows_begin(r);
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    table_print(out, r, both, COUNT(both));
    fclose(out);
    assert_string_equal(text, "COUNT\n0\n-\n");
    free(text);
    rows_free(r);
}

static void what_senders_chose_cannot_mislead(void **state)
{
    struct rows *r;
    char *text;

    (void)state;
    assert_int_equal(rows_create("list", &r), ERR_OK);
    rows_begin(r);
    rows_text(r, "name", "\x1b[2Jbob\r\nallowed \xe2\x80\xaemoc.knab\xc2\x9b");
    text = printed(r, true);
    assert_string_equal(text, "name  \\u{001B}[2Jbob\\u{000D}\\u{000A}allowed \\u{202E}moc.knab\\u{009B}\n");
    free(text);
    text = printed(r, false);
    assert_null(strchr(text, '\x1b'));
    assert_null(strstr(text, "\xe2\x80\xae"));
    free(text);
    rows_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_are_aligned_and_optional_columns_go),
        cmocka_unit_test(nothing_of_something_is_a_number),
        cmocka_unit_test(what_senders_chose_cannot_mislead),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
