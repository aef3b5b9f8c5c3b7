#include "unit.h"

#include <string.h>

#include "local/rows.h"

static void count_member(void *arg, const char *key, const char *value)
{
    (void)key;
    *(size_t *)arg += strlen(value);
}

static void rows_come_back_as_written(void **state)
{
    struct rows *r;
    struct buf json;
    size_t total = 0;

    (void)state;
    buf_init(&json, 100000);
    assert_int_equal(rows_create("tickets", &r), ERR_OK);
    rows_begin(r);
    rows_text(r, "id", "0001ab");
    rows_text(r, "empty", "");
    rows_text(r, "none", NULL);
    rows_text(r, "bytes", "a\xff\n");
    rows_begin(r);
    rows_text(r, "id", "b\xc3\xbc");
    rows_number(r, "size", 1LL << 40);
    assert_int_equal(rows_format(r, &json), ERR_OK);
    rows_free(r);
    assert_int_equal(rows_parse(buf_span(&json), "jobs", &r), ERR_SYNTAX);
    assert_int_equal(rows_parse(buf_span(&json), "tickets", &r), ERR_OK);
    assert_int_equal(rows_count(r), 2);
    assert_string_equal(rows_get_text(r, 0, "id"), "0001ab");
    assert_string_equal(rows_get_text(r, 0, "empty"), "");
    assert_string_equal(rows_get_text(r, 0, "bytes"), "a\\xff\\x0a");
    assert_string_equal(rows_get_text(r, 1, "id"), "b\xc3\xbc");
    assert_true(rows_get_number(r, 1, "size") == 1LL << 40);
    rows_each(r, 1, count_member, &total);
    assert_int_equal(total, 3 + 13);
    rows_free(r);
    buf_free(&json);
    assert_int_equal(rows_parse(SPAN_LITERAL("[]"), "tickets", &r), ERR_SYNTAX);
    assert_int_equal(rows_parse(SPAN_LITERAL(""), "tickets", &r), ERR_SYNTAX);
}

static void an_answer_may_have_several_lists(void **state)
{
    struct rows *r;
    struct buf json;

    (void)state;
    buf_init(&json, 1000);
    assert_int_equal(rows_create("ticket", &r), ERR_OK);
    rows_begin(r);
    rows_text(r, "id", "1");
    rows_list(r, "events");
    rows_begin(r);
    rows_text(r, "event", "waiting");
    rows_begin(r);
    rows_text(r, "event", "leased");
    assert_int_equal(rows_format(r, &json), ERR_OK);
    rows_free(r);
    assert_int_equal(rows_parse(buf_span(&json), "ticket", &r), ERR_OK);
    assert_int_equal(rows_count(r), 1);
    assert_string_equal(rows_get_text(r, 0, "id"), "1");
    rows_free(r);
    assert_int_equal(rows_parse(buf_span(&json), "events", &r), ERR_OK);
    assert_int_equal(rows_count(r), 2);
    assert_string_equal(rows_get_text(r, 1, "event"), "leased");
    rows_free(r);
    buf_free(&json);
}

static void a_row_must_be_begun(void **state)
{
    struct rows *r;
    struct buf json;

    (void)state;
    buf_init(&json, 1000);
    assert_int_equal(rows_create("x", &r), ERR_OK);
    rows_text(r, "id", "1");
    assert_int_not_equal(rows_format(r, &json), ERR_OK);
    rows_free(r);
    buf_free(&json);
}

static void queries_carry_any_text(void **state)
{
    static const char *const values[] = {"", "a@b.test", "a&b=c?d%20 +", "b\xc3\xbc", "#/"};
    struct buf path, value;

    (void)state;
    buf_init(&path, 1000);
    buf_init(&value, 1000);
    buf_append_str(&path, "/1/tickets");
    query_add(&path, "none", NULL);
    static const char *const names[] = {"a", "ab", "b", "c", "d"};
    for (size_t i = 0; i < COUNT(values); i++)
        assert_int_equal(query_add(&path, names[i], values[i]), ERR_OK);
    const char *query = strchr(buf_cstr(&path), '?') + 1;
    assert_null(strchr(query, '?'));
    for (size_t i = 0; i < COUNT(values); i++) {
        buf_clear(&value);
        assert_int_equal(query_get(span_of(query), names[i], &value), ERR_OK);
        assert_string_equal(buf_cstr(&value), values[i]);
    }
    assert_int_equal(query_get(span_of(query), "none", &value), ERR_NOT_FOUND);
    assert_int_equal(query_get(SPAN_LITERAL("a=%4"), "a", &value), ERR_SYNTAX);
    assert_int_equal(query_get(SPAN_LITERAL("a=%zz"), "a", &value), ERR_SYNTAX);
    assert_int_equal(query_get(SPAN_LITERAL("a=%0a"), "a", &value), ERR_SYNTAX);
    assert_int_equal(query_get(SPAN_LITERAL(""), "a", &value), ERR_NOT_FOUND);
    buf_free(&path);
    buf_free(&value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_come_back_as_written),
        cmocka_unit_test(an_answer_may_have_several_lists),
        cmocka_unit_test(a_row_must_be_begun),
        cmocka_unit_test(queries_carry_any_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
