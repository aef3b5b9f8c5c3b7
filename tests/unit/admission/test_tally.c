/* A tally's scores rise with what is counted and halve with time. */
#include "unit.h"

#include <stdio.h>

#include "admission/tally.h"

static void scores_rise_and_halve(void **state)
{
    struct tally *t;
    (void)state;
    assert_int_equal(tally_create(100, &t), ERR_OK);
    for (uint32_t i = 1; i <= 16; i++)
        assert_int_equal(tally_add(t, span_of("a"), 1, 1000), i);
    assert_int_equal(tally_add(t, span_of("b"), 0, 1000), 0);
    assert_int_equal(tally_add(t, span_of("a"), 0, 1050), 12);
    assert_int_equal(tally_add(t, span_of("a"), 0, 1100), 8);
    assert_int_equal(tally_add(t, span_of("a"), 0, 1200), 4);
    assert_int_equal(tally_add(t, span_of("a"), 1, 1200), 5);
    assert_int_equal(tally_add(t, span_of("a"), 0, 1000000), 0);
    assert_int_equal(tally_add(t, span_of("a"), 0, 500), 5); /* a clock put back forgets nothing */
    tally_free(t);
}

static void many_names_do_not_push_out_a_great_one(void **state)
{
    struct tally *t;
    char name[32];
    (void)state;
    assert_int_equal(tally_create(3600, &t), ERR_OK);
    tally_add(t, span_of("great"), 100, 0);
    for (int i = 0; i < 100000; i++) {
        snprintf(name, sizeof name, "small %d", i);
        tally_add(t, span_of(name), 1, 0);
    }
    assert_int_equal(tally_add(t, span_of("great"), 0, 0), 100);
    tally_free(t);
}

static void a_score_has_an_upper_bound(void **state)
{
    struct tally *t;
    (void)state;
    assert_int_equal(tally_create(3600, &t), ERR_OK);
    uint32_t first = tally_add(t, span_of("a"), UINT32_MAX, 0);
    assert_int_equal(tally_add(t, span_of("a"), UINT32_MAX, 0), first);
    tally_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scores_rise_and_halve),
        cmocka_unit_test(many_names_do_not_push_out_a_great_one),
        cmocka_unit_test(a_score_has_an_upper_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
