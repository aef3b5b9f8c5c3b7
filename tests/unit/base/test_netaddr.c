#include "unit.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/netaddr.h"

static struct netaddr addr(const char *text)
{
    struct netaddr a;
    if (netaddr_parse(span_of(text), &a) != ERR_OK)
        fail_msg("%s does not parse", text);
    return a;
}

static void addresses_have_one_strict_spelling(void **state)
{
    static const char *const bad[] = {"",
                                      "1.2.3",
                                      "1.2.3.4.5",
                                      "01.2.3.4",
                                      "1.2.3.04",
                                      "0x7f.0.0.1",
                                      "2130706433",
                                      "127.1",
                                      "1.2.3.256",
                                      " 1.2.3.4",
                                      "1.2.3.4 ",
                                      "::1%lo",
                                      "[::1]",
                                      "fe80::1%1",
                                      ":::",
                                      "1::2::3",
                                      "12345::",
                                      "1.2.3.4/24",
                                      "localhost",
                                      "1:2:3:4:5:6:7:8:9",
                                      "0000:0000:0000:0000:0000:ffff:255.255.255.2555"};
    static const struct {
        const char *in, *out;
        int family;
    } good[] = {{"192.0.2.7", "192.0.2.7", AF_INET},
                {"0.0.0.0", "0.0.0.0", AF_INET},
                {"2001:DB8:0:0::1", "2001:db8::1", AF_INET6},
                {"::", "::", AF_INET6},
                {"::ffff:1.2.3.4", "::ffff:1.2.3.4", AF_INET6}};
    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct netaddr a;
        if (netaddr_parse(span_of(bad[i]), &a) != ERR_SYNTAX)
            fail_msg("%s", bad[i]);
    }
    struct netaddr unused;
    assert_int_equal(netaddr_parse(SPAN_LITERAL("1.2.3.4\0"), &unused), ERR_SYNTAX);
    for (size_t i = 0; i < COUNT(good); i++) {
        char text[NETADDR_TEXT_MAX];
        struct netaddr a = addr(good[i].in);
        netaddr_text(&a, text);
        assert_string_equal(text, good[i].out);
        assert_int_equal(a.family, good[i].family);
    }
}

static void prefixes_contain_their_addresses(void **state)
{
    static const struct {
        const char *prefix, *in, *out;
    } rows[] = {
        {"192.0.2.0/24", "192.0.2.255", "192.0.3.0"},
        {"192.0.2.7", "192.0.2.7", "192.0.2.6"},
        {"192.0.2.128/25", "192.0.2.200", "192.0.2.127"},
        {"0.0.0.0/0", "255.255.255.255", "2001:db8::1"},
        {"2001:db8::/32", "2001:db8:ffff::", "2001:db9::"},
        {"2001:db8::/33", "2001:db8:7fff::", "2001:db8:8000::"},
        {"[::1]/128", "::1", "::2"},
        {"10.0.0.0/8", "::ffff:10.1.2.3", "::10.1.2.3"},
    };
    static const char *const bad[] = {"",
                                      "192.0.2.7/24",
                                      "192.0.2.0/33",
                                      "192.0.2.0/",
                                      "192.0.2.0/024",
                                      "192.0.2.0/x",
                                      "2001:db8::/129",
                                      "2001:db8::1/64",
                                      "[1.2.3.4]",
                                      "[::1/128",
                                      "::1]",
                                      "192.0.2.0/24/24",
                                      "/24"};
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct netprefix p;
        struct netaddr in = addr(rows[i].in), out = addr(rows[i].out);
        assert_int_equal(netprefix_parse(span_of(rows[i].prefix), &p), ERR_OK);
        assert_true(netprefix_contains(&p, &in));
        assert_false(netprefix_contains(&p, &out));
    }
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct netprefix p;
        if (netprefix_parse(span_of(bad[i]), &p) != ERR_SYNTAX)
            fail_msg("%s", bad[i]);
    }
}

static void socket_addresses_go_both_ways(void **state)
{
    static const char *const rows[] = {"192.0.2.7", "2001:db8::7"};
    struct sockaddr_storage ss;
    struct netaddr back;
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct netaddr a = addr(rows[i]);
        socklen_t len = netaddr_to_sockaddr(&a, 443, &ss);
        assert_int_equal(len, i == 0 ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
        assert_int_equal(netaddr_from_sockaddr((struct sockaddr *)&ss, &back), ERR_OK);
        assert_true(netaddr_equal(&a, &back));
        assert_int_equal(a.family, back.family);
    }
    struct netaddr mapped = addr("::ffff:192.0.2.7"), v4 = addr("192.0.2.7");
    (void)netaddr_to_sockaddr(&mapped, 1, &ss);
    assert_int_equal(ss.ss_family, AF_INET6);
    assert_int_equal(netaddr_from_sockaddr((struct sockaddr *)&ss, &back), ERR_OK);
    assert_int_equal(back.family, AF_INET);
    assert_true(netaddr_equal(&back, &v4));
    ss.ss_family = AF_UNIX;
    assert_int_equal(netaddr_from_sockaddr((struct sockaddr *)&ss, &back), ERR_SYNTAX);
}

static void special_purpose_addresses_are_known(void **state)
{
    static const char *const special[] = {"0.0.0.0",
                                          "0.255.255.255",
                                          "10.0.0.1",
                                          "10.255.255.255",
                                          "100.64.0.1",
                                          "100.127.255.255",
                                          "127.0.0.1",
                                          "127.255.255.254",
                                          "169.254.169.254",
                                          "172.16.0.1",
                                          "172.31.255.255",
                                          "192.0.0.1",
                                          "192.0.0.170",
                                          "192.0.2.1",
                                          "192.31.196.1",
                                          "192.52.193.1",
                                          "192.88.99.1",
                                          "192.168.0.1",
                                          "192.168.255.255",
                                          "192.175.48.1",
                                          "198.18.0.1",
                                          "198.19.255.255",
                                          "198.51.100.1",
                                          "203.0.113.1",
                                          "224.0.0.1",
                                          "239.255.255.255",
                                          "240.0.0.1",
                                          "255.255.255.255",
                                          "::",
                                          "::1",
                                          "::7f00:1",
                                          "::127.0.0.1",
                                          "::8.8.8.8",
                                          "::ffff:127.0.0.1",
                                          "::ffff:8.8.8.8",
                                          "::ffff:0:8.8.8.8",
                                          "64:ff9b::127.0.0.1",
                                          "64:ff9b::10.0.0.1",
                                          "64:ff9b::a9fe:a9fe",
                                          "64:ff9b:1::1",
                                          "64:ff9b:0:0:1::8.8.8.8",
                                          "100::1",
                                          "100:0:0:1::1",
                                          "200::1",
                                          "1fff::1",
                                          "2001::1",
                                          "2001:0:5ef5:79fd::1",
                                          "2001:1::1",
                                          "2001:2::1",
                                          "2001:3::1",
                                          "2001:4:112::1",
                                          "2001:10::1",
                                          "2001:20::1",
                                          "2001:30::1",
                                          "2001:1ff::1",
                                          "2001:db8::1",
                                          "2002:7f00:1::1",
                                          "2002:808:808::1",
                                          "2620:4f:8000::1",
                                          "3fff::1",
                                          "3fff:fff::1",
                                          "4000::1",
                                          "5f00::1",
                                          "fc00::1",
                                          "fd12:3456::1",
                                          "fe80::1",
                                          "fec0::1",
                                          "ff02::1"};
    static const char *const ordinary[] = {
        "1.1.1.1",         "9.255.255.255",   "11.0.0.0",        "100.63.255.255", "100.128.0.0",
        "126.255.255.255", "128.0.0.1",       "169.253.255.255", "172.15.255.255", "172.32.0.0",
        "192.0.1.0",       "192.167.255.255", "192.169.0.0",     "198.17.255.255", "198.20.0.0",
        "223.255.255.255", "2001:200::1",     "2001:db7::1",     "2001:db9::1",    "2003::1",
        "2620:4f:7fff::1", "2a00:1450::1",    "3ffe::1",         "3fff:1000::1",   "64:ff9b::8.8.8.8"};
    (void)state;
    for (size_t i = 0; i < COUNT(special); i++) {
        struct netaddr a = addr(special[i]);
        if (!netaddr_is_special(&a))
            fail_msg("%s passes", special[i]);
    }
    for (size_t i = 0; i < COUNT(ordinary); i++) {
        struct netaddr a = addr(ordinary[i]);
        if (netaddr_is_special(&a))
            fail_msg("%s is refused", ordinary[i]);
    }
}

static void host_and_port_split(void **state)
{
    static const struct {
        const char *in;
        uint16_t fallback;
        const char *host; /* NULL: refused */
        uint16_t port;
    } rows[] = {
        {"mx.a.test:25", 0, "mx.a.test", 25},
        {"mx.a.test", 25, "mx.a.test", 25},
        {"mx.a.test", 0, NULL, 0},
        {":443", 0, "", 443},
        {"[::1]:25", 0, "::1", 25},
        {"[2001:db8::1]", 443, "2001:db8::1", 443},
        {"127.0.0.1:65535", 0, "127.0.0.1", 65535},
        {"", 25, NULL, 0},
        {"a:", 25, NULL, 0},
        {"a:0", 25, NULL, 0},
        {"a:65536", 25, NULL, 0},
        {"a:025", 25, NULL, 0},
        {"a:25x", 25, NULL, 0},
        {"::1", 25, NULL, 0},
        {"::1:25", 0, NULL, 0},
        {"[::1", 25, NULL, 0},
        {"[::1]x", 25, NULL, 0},
        {"[127.0.0.1]:25", 0, NULL, 0},
        {"[]:25", 0, NULL, 0},
        {"a b:25", 0, NULL, 0},
        {"a@b:25", 0, NULL, 0},
        {"a/b:25", 0, NULL, 0},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char *host = NULL;
        uint16_t port = 0;
        enum err e = netaddr_split_host_port(span_of(rows[i].in), rows[i].fallback, &host, &port);
        if ((e == ERR_OK) != (rows[i].host != NULL))
            fail_msg("%s: %s", rows[i].in, err_text(e));
        if (e == ERR_OK) {
            assert_string_equal(host, rows[i].host);
            assert_int_equal(port, rows[i].port);
        }
        free(host);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_have_one_strict_spelling),
        cmocka_unit_test(prefixes_contain_their_addresses),
        cmocka_unit_test(socket_addresses_go_both_ways),
        cmocka_unit_test(special_purpose_addresses_are_known),
        cmocka_unit_test(host_and_port_split),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
