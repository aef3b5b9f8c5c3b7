/* test_designation_lookup.c - what DNS may answer about a domain, and who is a designated puller. */
#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "dns/designation.h"
#include "responder.h"

#define R(text) (text), sizeof(text) - 1
#define ADDR(last) R("\xc0\x00\x02" last)

static const struct zone_row zone[] = {
    {"_restante.one.test", DNS_TXT, PLAIN, 300,
     R("\x3e"
       "v=restante1; h=pull.one.test; r=1; p=ip4:198.51.100.0/24; t=y;")},
    {"pull.one.test", DNS_A, PLAIN, 300, ADDR("\x01")},
    {"one.test", DNS_MX, PLAIN, 300, R("\0\x14\x03mx2\x03one\x04test\0")},
    {"one.test", DNS_MX, PLAIN, 300, R("\0\x0a\x03mx1\x03one\x04test\0")},
    {"mx1.one.test", DNS_A, PLAIN, 300, ADDR("\x02")},
    {"mx2.one.test", DNS_A, PLAIN, 300, ADDR("\x03")},
    {"_restante.two.test", DNS_TXT, PLAIN, 300,
     R("\x0f"
       "v=restante1;r=1")},
    {"_restante.two.test", DNS_TXT, PLAIN, 300,
     R("\x0b"
       "v=restante1")},
    {"_restante.other.test", DNS_TXT, PLAIN, 300,
     R("\x0a"
       "some words")},
    {"_restante.other.test", DNS_TXT, PLAIN, 300,
     R("\x0f"
       "v=restante1;r=1")},
    {"_restante.bad.test", DNS_TXT, PLAIN, 300,
     R("\x0f"
       "v=restante1;r;x")},
    {"_restante.none.test", DNS_TXT, NXDOMAIN, 0, R("")},
    {"_restante.empty.test", DNS_TXT, NODATA, 0, R("")},
    {"_restante.failed.test", DNS_TXT, SERVFAIL, 0, R("")},
    {"_restante.bogus.test", DNS_TXT, SERVFAIL_BOGUS, 0, R("")},
    /* no MX: the domain itself */
    {"plainhost.test", DNS_MX, NODATA, 0, R("")},
    {"plainhost.test", DNS_A, PLAIN, 300, ADDR("\x04")},
    /* takes no mail */
    {"nullmx.test", DNS_MX, PLAIN, 300, R("\0\0\0")},
    {"nullmx.test", DNS_A, PLAIN, 300, ADDR("\x05")},
    /* the designation cannot be had, the MX hosts can */
    {"failed.test", DNS_MX, PLAIN, 300, R("\0\x0a\x03mx1\x03one\x04test\0")},
    /* three MX hosts without an address come before the one that has */
    {"voids.test", DNS_MX, PLAIN, 300, R("\0\x01\x02v1\x04test\0")},
    {"voids.test", DNS_MX, PLAIN, 300, R("\0\x02\x02v2\x04test\0")},
    {"voids.test", DNS_MX, PLAIN, 300, R("\0\x03\x02v3\x04test\0")},
    {"voids.test", DNS_MX, PLAIN, 300, R("\0\x04\x03mx1\x03one\x04test\0")},
/* eleven MX hosts; the look-up of the last is not made */
#define MANY(n)                                                                                              \
    {                                                                                                        \
        "many.test", DNS_MX, PLAIN, 300, R("\0" n "\x03mx1\x03one\x04test\0")                                \
    }
    MANY("\x01"),
    MANY("\x02"),
    MANY("\x03"),
    MANY("\x04"),
    MANY("\x05"),
    MANY("\x06"),
    MANY("\x07"),
    MANY("\x08"),
    MANY("\x09"),
    MANY("\x0a"),
    {"many.test", DNS_MX, PLAIN, 300, R("\0\x63\x03mx2\x03one\x04test\0")},
    {NULL, 0, PLAIN, 0, NULL, 0},
};

static struct responder *server;
static struct resolver *resolver;

static int set_up(void **state)
{
    char where[32];
    (void)state;
    server = responder_start(zone);
    snprintf(where, sizeof where, "127.0.0.1:%u", responder_port(server));
    const struct resolver_options o = {
        .server = where, .timeout_ms = 200, .cache_max = 1000, .ttl_max_s = 86400, .negative_ttl_max_s = 300};
    return resolver_create(&o, &resolver) == ERR_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    resolver_free(resolver);
    responder_stop(server);
    return 0;
}

static int64_t soon(void)
{
    return clock_mono_ms() + 5000;
}

static void records_are_looked_up(void **state)
{
    (void)state;
    static const struct {
        const char *domain;
        enum err err;
        bool present;
    } cases[] = {
        {"one.test", ERR_OK, true},
        {"two.test", ERR_OK, false},
        {"other.test", ERR_OK, true},
        {"bad.test", ERR_OK, false},
        {"none.test", ERR_OK, false},
        {"empty.test", ERR_OK, false},
        {"failed.test", ERR_DNS_TEMPORARY, false},
        {"bogus.test", ERR_DNS_BOGUS, false},
        {"no domain", ERR_OK, false},
        {"", ERR_OK, false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct designation d = {.present = !cases[i].present};
        enum err err = designation_lookup(resolver, cases[i].domain, soon(), &d);
        if (err != cases[i].err || (err == ERR_OK && d.present != cases[i].present))
            fail_msg("%s: %s present=%d", cases[i].domain, err_name(err), d.present);
    }
}

static void what_the_record_says_is_known(void **state)
{
    (void)state;
    struct designation d;
    assert_int_equal(designation_lookup(resolver, "one.test", soon(), &d), ERR_OK);
    assert_true(d.secure && d.takes_stubs && d.testing);
    assert_int_equal(d.host_count, 1);
    assert_true(d.host[0].inside);
    assert_in_range(d.ttl_s, 1, 300);
}

static void pullers_are_told_by_their_address(void **state)
{
    (void)state;
    static const struct {
        const char *what, *domain, *from;
        enum err err;
        bool want;
    } cases[] = {
        {"a prefix of p=", "one.test", "198.51.100.200", ERR_OK, true},
        {"a link host", "one.test", "192.0.2.1", ERR_OK, true},
        {"an MX host", "one.test", "192.0.2.2", ERR_OK, true},
        {"another MX host", "one.test", "192.0.2.3", ERR_OK, true},
        {"somebody else", "one.test", "192.0.2.9", ERR_OK, false},
        {"the domain itself without MX", "plainhost.test", "192.0.2.4", ERR_OK, true},
        {"not the domain itself with a null MX", "nullmx.test", "192.0.2.5", ERR_OK, false},
        {"an MX host though the designation failed", "failed.test", "192.0.2.2", ERR_OK, true},
        {"unknown while the designation fails", "failed.test", "192.0.2.9", ERR_DNS_TEMPORARY, false},
        {"two names without an address are borne, not three", "voids.test", "192.0.2.2", ERR_OK, false},
        {"ten look-ups are made", "many.test", "192.0.2.2", ERR_OK, true},
        {"and no more", "many.test", "192.0.2.3", ERR_OK, false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct netaddr from;
        bool got = !cases[i].want;
        assert_int_equal(netaddr_parse(span_of(cases[i].from), &from), ERR_OK);
        enum err err = designation_is_puller(resolver, cases[i].domain, &from, soon(), &got);
        if (err != cases[i].err || (err == ERR_OK && got != cases[i].want))
            fail_msg("%s: %s %d", cases[i].what, err_name(err), got);
    }
}

static bool collect(void *arg, const char *name)
{
    strcat(arg, name);
    strcat(arg, " ");
    return strcmp(name, "mx1.one.test") == 0;
}

static void names_of_pullers_are_given_in_order(void **state)
{
    (void)state;
    char names[512] = "";
    bool found = false;
    assert_int_equal(designation_puller_names(resolver, "one.test", soon(), collect, names, &found), ERR_OK);
    assert_true(found);
    assert_string_equal(names, "pull.one.test mx1.one.test ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_are_looked_up),
        cmocka_unit_test(what_the_record_says_is_known),
        cmocka_unit_test(pullers_are_told_by_their_address),
        cmocka_unit_test(names_of_pullers_are_given_in_order),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
