/* test_host.c - when a host is left alone, and which addresses may be called. */
#include "unit.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "claim/host.h"

static void a_host_is_one_name_and_port(void **state)
{
    (void)state;
    struct hosts *all = hosts_create();
    struct host *a = hosts_get(all, "a.example", 443, 0);
    assert_ptr_equal(hosts_get(all, "a.example", 443, 5), a);
    assert_ptr_not_equal(hosts_get(all, "a.example", 8443, 5), a);
    assert_ptr_not_equal(hosts_get(all, "b.example", 443, 5), a);
    hosts_free(all);
}

static void failures_in_a_row_open_the_circuit(void **state)
{
    (void)state;
    struct host h = {0};
    for (int i = 1; i < HOST_FAILURES_MAX; i++)
        host_failed(&h, 1000, 7);
    assert_false(host_is_open(&h, 1000));
    assert_int_equal(host_limit(&h, 16), 16);
    host_succeeded(&h);
    for (int i = 1; i < HOST_FAILURES_MAX; i++)
        host_failed(&h, 1000, 7);
    assert_false(host_is_open(&h, 1000));
    host_failed(&h, 1000, 7);
    assert_true(host_is_open(&h, 1000));
    assert_false(host_is_open(&h, h.open_until_mono_ms));
}

static void pauses_grow_with_each_trial_and_are_forgotten_by_success(void **state)
{
    (void)state;
    struct host h = {0};
    int64_t now = 1000, want = HOST_PAUSE_FIRST_MS;
    for (int i = 1; i < HOST_FAILURES_MAX; i++)
        host_failed(&h, now, 0);
    for (uint32_t i = 0; i < 14; i++) {
        host_failed(&h, now, i * 2654435761u);
        int64_t pause = h.open_until_mono_ms - now;
        assert_in_range(pause, want - want / 4, want + want / 4);
        now = h.open_until_mono_ms;
        assert_int_equal(host_limit(&h, 16), 1); /* on trial */
        want = want * 2 > HOST_PAUSE_MAX_MS ? HOST_PAUSE_MAX_MS : want * 2;
    }
    host_succeeded(&h);
    assert_int_equal(host_limit(&h, 16), 16);
}

static void failures_of_those_under_way_do_not_lengthen_the_pause(void **state)
{
    (void)state;
    struct host h = {0};
    for (int i = 0; i < HOST_FAILURES_MAX; i++)
        host_failed(&h, 1000, 0);
    int64_t until = h.open_until_mono_ms;
    for (int i = 0; i < 10; i++)
        host_failed(&h, 1001, 0);
    assert_int_equal(h.open_until_mono_ms, until);
}

static void a_stranger_is_left_alone_at_once(void **state)
{
    (void)state;
    struct host h = {0};
    host_leave_alone(&h, 1000, 3600000);
    assert_true(host_is_open(&h, 3600999));
    assert_false(host_is_open(&h, 3601000));
    host_leave_alone(&h, 1000, 10);
    assert_true(host_is_open(&h, 3600999));
}

static void only_idle_hosts_are_forgotten(void **state)
{
    (void)state;
    struct hosts *all = hosts_create();
    struct host *busy = hosts_get(all, "busy.example", 443, 0);
    struct host *left_alone = hosts_get(all, "alone.example", 443, 0);
    struct host *asked = hosts_get(all, "asked.example", 443, 0);
    hosts_get(all, "idle.example", 443, 0)->failures = 3;
    busy->running = 1;
    asked->looking_up = true;
    host_leave_alone(left_alone, 0, 3600000);
    hosts_sweep(all, 1000000);
    assert_ptr_equal(hosts_get(all, "busy.example", 443, 1000000), busy);
    assert_ptr_equal(hosts_get(all, "alone.example", 443, 1000000), left_alone);
    assert_ptr_equal(hosts_get(all, "asked.example", 443, 1000000), asked);
    assert_int_equal(hosts_get(all, "idle.example", 443, 1000000)->failures, 0);
    hosts_free(all);
}

static void all_idle_hosts_are_forgotten_at_once(void **state)
{
    (void)state;
    struct hosts *all = hosts_create();
    char name[32];
    for (int i = 0; i < 300; i++) {
        snprintf(name, sizeof name, "h%d.example", i);
        hosts_get(all, name, 443, 0)->failures = 3;
    }
    hosts_sweep(all, 1000000);
    for (int i = 0; i < 300; i++) {
        snprintf(name, sizeof name, "h%d.example", i);
        assert_int_equal(hosts_get(all, name, 443, 1000000)->failures, 0);
    }
    hosts_free(all);
}

static void special_addresses_are_called_only_where_allowed(void **state)
{
    (void)state;
    static const struct {
        const char *address;
        bool plain, allowed; /* without and with 127.0.0.0/8 and fd00::/8 lifted */
    } cases[] = {
        {"8.8.8.8", true, true},       {"127.0.0.1", false, true},       {"127.8.9.1", false, true},
        {"10.0.0.1", false, false},    {"192.168.1.1", false, false},    {"169.254.169.254", false, false},
        {"100.64.0.1", false, false},  {"0.0.0.0", false, false},        {"255.255.255.255", false, false},
        {"224.0.0.1", false, false},   {"192.0.2.1", false, false},      {"::1", false, false},
        {"::", false, false},          {"fe80::1", false, false},        {"fd00::1", false, true},
        {"ff02::1", false, false},     {"64:ff9b::a00:1", false, false}, {"2002:a00:1::1", false, false},
        {"2001:db8::1", false, false}, {"2606:4700::1111", true, true},  {"::ffff:10.0.0.1", false, false},
    };
    static const struct netprefix lifted[] = {
        {{.byte = {[10] = 0xff, [11] = 0xff, [12] = 127}, .family = AF_INET}, 8},
        {{.byte = {[0] = 0xfd}, .family = AF_INET6}, 8},
    };
    const struct peer_policy strict = {0}, lax = {.allowed_special = lifted, .allowed_special_count = 2};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct netaddr a;
        assert_int_equal(netaddr_parse(span_of(cases[i].address), &a), ERR_OK);
        if (peer_allows(&strict, &a) != cases[i].plain || peer_allows(&lax, &a) != cases[i].allowed)
            fail_msg("%s", cases[i].address);
    }
}

static void a_socket_goes_only_to_a_checked_address_and_port(void **state)
{
    (void)state;
    static const struct {
        const char *address;
        uint16_t port;
        bool want;
    } cases[] = {{"8.8.8.8", 443, true},
                 {"8.8.8.8", 80, false},
                 {"8.8.4.4", 443, false},
                 {"2606:4700::1111", 443, true},
                 {"2606:4700::1112", 443, false}};
    struct peer_addresses list = {.count = 2};
    assert_int_equal(netaddr_parse(SPAN_LITERAL("8.8.8.8"), &list.addr[0]), ERR_OK);
    assert_int_equal(netaddr_parse(SPAN_LITERAL("2606:4700::1111"), &list.addr[1]), ERR_OK);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct netaddr a;
        struct sockaddr_storage ss;
        assert_int_equal(netaddr_parse(span_of(cases[i].address), &a), ERR_OK);
        netaddr_to_sockaddr(&a, cases[i].port, &ss);
        if (peer_is_checked(&list, (struct sockaddr *)&ss, 443) != cases[i].want)
            fail_msg("%s:%u", cases[i].address, cases[i].port);
    }
    const struct sockaddr local = {.sa_family = AF_UNIX};
    assert_false(peer_is_checked(&list, &local, 443));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_host_is_one_name_and_port),
        cmocka_unit_test(failures_in_a_row_open_the_circuit),
        cmocka_unit_test(pauses_grow_with_each_trial_and_are_forgotten_by_success),
        cmocka_unit_test(failures_of_those_under_way_do_not_lengthen_the_pause),
        cmocka_unit_test(a_stranger_is_left_alone_at_once),
        cmocka_unit_test(only_idle_hosts_are_forgotten),
        cmocka_unit_test(all_idle_hosts_are_forgotten_at_once),
        cmocka_unit_test(special_addresses_are_called_only_where_allowed),
        cmocka_unit_test(a_socket_goes_only_to_a_checked_address_and_port),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
