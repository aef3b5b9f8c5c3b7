#include "unit.h"

#include <stdio.h>

#include "local/gate.h"

static struct netaddr addr(const char *text)
{
    struct netaddr a;

    if (netaddr_parse(span_of(text), &a) != ERR_OK)
        fail_msg("%s", text);
    return a;
}

static void a_network_and_a_domain_have_two_places_each(void **state)
{
    struct gate *g;
    int place[4];
    struct netaddr v4[] = {addr("192.0.2.1"), addr("192.0.2.200"), addr("192.0.3.1")};
    struct netaddr v6[] = {addr("2001:db8:1:1::1"), addr("2001:db8:1:2::1"), addr("2001:db8:2::1")};

    (void)state;
    assert_int_equal(gate_create(&g), ERR_OK);
    assert_int_equal(gate_enter(g, &v4[0], "a.test", &place[0]), ERR_OK);
    assert_int_equal(gate_enter(g, &v4[1], "b.test", &place[1]), ERR_OK);
    assert_int_equal(gate_enter(g, &v4[0], "c.test", &place[2]), ERR_BUSY);
    assert_int_equal(gate_enter(g, &v4[2], "a.test", &place[2]), ERR_OK);
    assert_int_equal(gate_enter(g, &v6[0], "a.test", &place[3]), ERR_BUSY);
    gate_leave(g, place[0]);
    assert_int_equal(gate_enter(g, &v6[0], "a.test", &place[0]), ERR_OK);
    assert_int_equal(gate_enter(g, &v6[1], "d.test", &place[3]), ERR_OK);
    int more;
    assert_int_equal(gate_enter(g, &v6[1], "e.test", &more), ERR_BUSY);
    assert_int_equal(gate_enter(g, &v6[2], "e.test", &more), ERR_OK);
    gate_free(g);
}

static void there_are_thirty_two_places(void **state)
{
    struct gate *g;
    int place[GATE_PLACES], more;
    const struct netaddr nobody = {.family = 0};
    char domain[32];

    (void)state;
    assert_int_equal(gate_create(&g), ERR_OK);
    for (int i = 0; i < GATE_PLACES; i++) {
        snprintf(domain, sizeof domain, "d%d.test", i);
        assert_int_equal(gate_enter(g, &nobody, domain, &place[i]), ERR_OK);
    }
    assert_int_equal(gate_enter(g, &nobody, "more.test", &more), ERR_BUSY);
    gate_leave(g, place[7]);
    assert_int_equal(gate_enter(g, &nobody, "more.test", &more), ERR_OK);
    gate_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_network_and_a_domain_have_two_places_each),
        cmocka_unit_test(there_are_thirty_two_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
