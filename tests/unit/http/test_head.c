/* A request's fields: found by name, joined when they came twice, bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/head.h"

static void has(const struct head *h, const char *name, const char *want)
{
    struct span value = head_value(h, name);

    if (value.len != strlen(want) || memcmp(value.ptr, want, value.len) != 0)
        fail_msg("%s is \"%.*s\", not \"%s\"", name, (int)value.len, value.ptr, want);
}

static void add(struct head *h, const char *name, const char *value)
{
    assert_int_equal(head_add(h, span_of(name), span_of(value)), ERR_OK);
}

static void fields_are_found_and_joined(void **state)
{
    struct head h;
    (void)state;

    head_init(&h, 4096);
    add(&h, ":method", "GET");
    add(&h, ":path", "/a/b?c=d?e");
    add(&h, "x", "1");
    add(&h, "y", "");
    add(&h, "x", "2");
    add(&h, "z", "only");
    add(&h, "x", "");
    add(&h, "y", "last");
    assert_int_equal(head_finish(&h), ERR_OK);
    has(&h, ":method", "GET");
    has(&h, "x", "1, 2, ");
    has(&h, "y", ", last");
    has(&h, "z", "only");
    has(&h, "none", "");
    assert_true(head_has(&h, "y"));
    assert_false(head_has(&h, "none"));
    assert_true(span_is(head_path(&h), "/a/b"));
    assert_true(span_is(head_query(&h), "c=d?e"));
    head_free(&h);
}

static void a_path_without_a_query_has_an_empty_one(void **state)
{
    static const struct {
        const char *given, *path, *query;
    } rows[] = {{"/", "/", ""}, {"/?", "/", ""}, {"?x", "", "x"}, {"", "", ""}, {"*", "*", ""}};
    (void)state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct head h;
        head_init(&h, 4096);
        add(&h, ":path", rows[i].given);
        assert_int_equal(head_finish(&h), ERR_OK);
        assert_true(span_is(head_path(&h), rows[i].path));
        assert_true(span_is(head_query(&h), rows[i].query));
        head_free(&h);
    }
}

static void a_list_over_its_bound_is_refused(void **state)
{
    struct head h;
    (void)state;

    head_init(&h, 100);
    add(&h, "abcd", "123456789012345678901234567890"); /* 34 + 32 */
    assert_int_equal(head_add(&h, SPAN_LITERAL("ab"), SPAN_LITERAL("1")), ERR_TOO_LARGE);
    add(&h, "a", "1");
    assert_int_equal(head_add(&h, SPAN_LITERAL(""), SPAN_LITERAL("")), ERR_TOO_LARGE);
    assert_int_equal(head_finish(&h), ERR_OK);
    has(&h, "a", "1");
    head_free(&h);
}

static void the_fullest_list_of_doubles_still_joins(void **state)
{
    struct head h;
    size_t n = 0;
    (void)state;

    head_init(&h, 16384);
    while (head_add(&h, SPAN_LITERAL("x"), SPAN_LITERAL("y")) == ERR_OK)
        n++;
    assert_int_equal(n, 16384 / 34);
    assert_int_equal(head_finish(&h), ERR_OK);
    assert_int_equal(head_value(&h, "x").len, 3 * n - 2);
    head_free(&h);

    head_init(&h, 16384); /* pairs, each to be joined */
    for (n = 0;; n++) {
        char name[24];
        snprintf(name, sizeof name, "%zu", n / 2);
        if (head_add(&h, span_of(name), SPAN_LITERAL("value")) != ERR_OK)
            break;
    }
    assert_int_equal(head_finish(&h), ERR_OK);
    has(&h, "0", "value, value");
    has(&h, "100", "value, value");
    head_free(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_are_found_and_joined),
        cmocka_unit_test(a_path_without_a_query_has_an_empty_one),
        cmocka_unit_test(a_list_over_its_bound_is_refused),
        cmocka_unit_test(the_fullest_list_of_doubles_still_joins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
