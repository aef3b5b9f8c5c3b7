/* Wrong keys are counted by network and minute. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "public/throttle.h"

static struct netaddr addr(const char *text)
{
    struct netaddr a;
    assert_int_equal(netaddr_parse(span_of(text), &a), ERR_OK);
    return a;
}

static void network_is_closed_after_its_wrong_keys_and_opens_with_the_minute(void **state)
{
    struct throttle *t;
    int64_t wait = 0;
    struct netaddr a = addr("192.0.2.7"), same = addr("192.0.2.200"), other = addr("198.51.100.1");
    (void)state;
    assert_int_equal(throttle_create(3, &t), ERR_OK);
    for (int i = 0; i < 3; i++) {
        assert_false(throttle_closed(t, &a, 6010, &wait));
        throttle_count(t, &a, 6010);
    }
    assert_true(throttle_closed(t, &a, 6011, &wait));
    assert_int_equal(wait, 49);
    assert_true(throttle_closed(t, &same, 6011, &wait));
    assert_false(throttle_closed(t, &other, 6011, &wait));
    assert_false(throttle_closed(t, &a, 6060, &wait));
    throttle_free(t);
}

static void ipv6_networks_are_48_bits(void **state)
{
    struct throttle *t;
    int64_t wait = 0;
    struct netaddr a = addr("2001:db8:1:2::3"), same = addr("2001:db8:1:ffff::1"),
                   other = addr("2001:db8:2::1");
    (void)state;
    assert_int_equal(throttle_create(1, &t), ERR_OK);
    throttle_count(t, &a, 60);
    assert_true(throttle_closed(t, &same, 61, &wait));
    assert_false(throttle_closed(t, &other, 61, &wait));
    throttle_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(network_is_closed_after_its_wrong_keys_and_opens_with_the_minute),
        cmocka_unit_test(ipv6_networks_are_48_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
