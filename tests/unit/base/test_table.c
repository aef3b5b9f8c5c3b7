/* A bounded table forgets what was unused longest, and nothing else. */
#include "unit.h"

#include <string.h>

#include "base/table.h"

static int64_t *put(struct table *t, const char *name, bool *made)
{
    return table_put(t, name, strlen(name), made);
}

static int64_t *find(struct table *t, const char *name)
{
    return table_find(t, name, strlen(name));
}

static void values_are_found_by_name_and_begin_as_zero(void **state)
{
    struct table *t;
    bool made;

    (void)state;
    assert_int_equal(table_create(4, sizeof(int64_t), &t), ERR_OK);
    assert_null(find(t, "a"));
    int64_t *a = put(t, "a", &made);
    assert_true(made);
    assert_int_equal(*a, 0);
    *a = 7;
    *put(t, "", &made) = 8;
    *put(t, "a name of more than sixteen octets", NULL) = 9;
    assert_int_equal(*put(t, "a", &made), 7);
    assert_false(made);
    assert_int_equal(*find(t, ""), 8);
    assert_int_equal(*find(t, "a name of more than sixteen octets"), 9);
    assert_null(find(t, "a name of more than sixteen octetS"));
    assert_int_equal(table_count(t), 3);
    table_free(t);
}

static void the_longest_unused_gives_way(void **state)
{
    struct table *t;

    (void)state;
    assert_int_equal(table_create(3, sizeof(int64_t), &t), ERR_OK);
    put(t, "a", NULL);
    put(t, "b", NULL);
    put(t, "c", NULL);
    assert_non_null(find(t, "a"));
    put(t, "d", NULL);
    assert_null(find(t, "b"));
    assert_non_null(find(t, "c"));
    assert_non_null(find(t, "a"));
    assert_int_equal(table_count(t), 3);
    table_free(t);
}

static void removed_entries_are_used_again(void **state)
{
    struct table *t;

    (void)state;
    assert_int_equal(table_create(3, sizeof(int64_t), &t), ERR_OK);
    *put(t, "a", NULL) = 1;
    *put(t, "b", NULL) = 2;
    table_remove(t, "a", 1);
    table_remove(t, "nobody", 6);
    assert_null(find(t, "a"));
    assert_int_equal(*put(t, "c", NULL), 0);
    put(t, "d", NULL);
    assert_int_equal(*find(t, "b"), 2);
    assert_int_equal(table_count(t), 3);
    table_free(t);
}

static void many_names_pass_through_a_small_table(void **state)
{
    struct table *t;

    (void)state;
    assert_int_equal(table_create(1000, sizeof(int64_t), &t), ERR_OK);
    for (int64_t i = 0; i < 100000; i++) {
        *(int64_t *)table_put(t, &i, sizeof i, NULL) = i;
        if (i % 7 == 0)
            table_remove(t, &i, sizeof i);
    }
    assert_true(table_count(t) <= 1000);
    for (int64_t i = 99500; i < 100000; i++) {
        const int64_t *v = table_find(t, &i, sizeof i);
        if (i % 7 == 0)
            assert_null(v);
        else
            assert_true(v && *v == i);
    }
    table_free(t);
}

static void a_table_of_one_holds_the_last(void **state)
{
    struct table *t;

    (void)state;
    assert_int_equal(table_create(1, 1, &t), ERR_OK);
    put(t, "a", NULL);
    put(t, "b", NULL);
    assert_null(find(t, "a"));
    assert_non_null(find(t, "b"));
    table_free(t);
    table_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_found_by_name_and_begin_as_zero),
        cmocka_unit_test(the_longest_unused_gives_way),
        cmocka_unit_test(removed_entries_are_used_again),
        cmocka_unit_test(many_names_pass_through_a_small_table),
        cmocka_unit_test(a_table_of_one_holds_the_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
