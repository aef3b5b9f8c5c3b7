/* How long a lease lives on account of its bodies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "public/leases.h"

static const uint8_t one[TICKET_STORE_KEY_BYTES] = {1}, two[TICKET_STORE_KEY_BYTES] = {1, 0, 2};

static void lease_lives_while_its_body_is_sent_and_300_s_after(void **state)
{
    struct leases *l;
    (void)state;
    assert_int_equal(leases_create(300, &l), ERR_OK);
    assert_int_equal(leases_live_until(l, one, 1000), 0);
    assert_int_equal(leases_body_begin(l, one), ERR_OK);
    assert_int_equal(leases_live_until(l, one, 1000), 1300);
    assert_int_equal(leases_live_until(l, one, 5000), 5300);
    leases_body_end(l, one, 6000);
    assert_int_equal(leases_live_until(l, one, 6100), 6300);
    assert_int_equal(leases_live_until(l, two, 6100), 0);
    leases_free(l);
}

static void two_bodies_need_two_ends(void **state)
{
    struct leases *l;
    (void)state;
    assert_int_equal(leases_create(300, &l), ERR_OK);
    assert_int_equal(leases_body_begin(l, one), ERR_OK);
    assert_int_equal(leases_body_begin(l, one), ERR_OK);
    leases_body_end(l, one, 2000);
    assert_int_equal(leases_live_until(l, one, 9000), 9300);
    leases_body_end(l, one, 9000);
    assert_int_equal(leases_live_until(l, one, 9100), 9300);
    leases_free(l);
}

static void entries_are_swept_after_their_time(void **state)
{
    struct leases *l;
    (void)state;
    assert_int_equal(leases_create(300, &l), ERR_OK);
    assert_int_equal(leases_body_begin(l, one), ERR_OK);
    leases_body_end(l, one, 1000);
    /* Another ticket of the same bucket comes and goes much later. */
    assert_int_equal(leases_body_begin(l, two), ERR_OK);
    leases_body_end(l, two, 9000);
    assert_int_equal(leases_live_until(l, one, 9000), 0);
    leases_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lease_lives_while_its_body_is_sent_and_300_s_after),
        cmocka_unit_test(two_bodies_need_two_ends),
        cmocka_unit_test(entries_are_swept_after_their_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
