/* test_rdns.c - forward-confirmed reverse DNS, and what MX records say. */
#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "proof/mx.h"
#include "proof/rdns.h"
#include "zone.h"

static const struct zone_line lines[] = {
    {"1.2.0.192.in-addr.arpa", DNS_PTR, "Mail.A.test", PLAIN},
    {"mail.a.test", DNS_A, "192.0.2.1", PLAIN},
    {"2.2.0.192.in-addr.arpa", DNS_PTR, "wrong.test", PLAIN},
    {"2.2.0.192.in-addr.arpa", DNS_PTR, "none.test", PLAIN},
    {"2.2.0.192.in-addr.arpa", DNS_PTR, "two.test", PLAIN},
    {"wrong.test", DNS_A, "192.0.2.9", PLAIN},
    {"two.test", DNS_A, "192.0.2.8", PLAIN},
    {"two.test", DNS_A, "192.0.2.2", PLAIN},
    {"3.2.0.192.in-addr.arpa", DNS_PTR, "wrong.test", PLAIN},
    {"3.2.0.192.in-addr.arpa", DNS_PTR, "none.test", PLAIN},
    {"4.2.0.192.in-addr.arpa", DNS_PTR, NULL, NODATA},
    {"5.2.0.192.in-addr.arpa", DNS_PTR, NULL, SERVFAIL},
    {"6.2.0.192.in-addr.arpa", DNS_PTR, "failed.test", PLAIN},
    {"6.2.0.192.in-addr.arpa", DNS_PTR, "wrong.test", PLAIN},
    {"failed.test", DNS_A, NULL, SERVFAIL},
    {"7.2.0.192.in-addr.arpa", DNS_PTR, "failed.test", PLAIN},
    {"7.2.0.192.in-addr.arpa", DNS_PTR, "seven.test", PLAIN},
    {"seven.test", DNS_A, "192.0.2.7", PLAIN},
    {"8.2.0.192.in-addr.arpa", DNS_PTR, NULL, SERVFAIL_BOGUS},
    {"9.2.0.192.in-addr.arpa", DNS_PTR, "bogus.test", PLAIN},
    {"bogus.test", DNS_A, NULL, SERVFAIL_BOGUS},
    /* the name that would be confirmed is the eleventh */
    {"10.2.0.192.in-addr.arpa", DNS_PTR, "n0.test", PLAIN},
    {"10.2.0.192.in-addr.arpa", DNS_PTR, "n1.test", PLAIN},
    {"10.2.0.192.in-addr.arpa", DNS_PTR, "n2.test", PLAIN},
    {"10.2.0.192.in-addr.arpa", DNS_PTR, "n3.test", PLAIN},
    {"10.2.0.192.in-addr.arpa", DNS_PTR, "n4.test", PLAIN},
    {"10.2.0.192.in-addr.arpa", DNS_PTR, "n5.test", PLAIN},
    {"10.2.0.192.in-addr.arpa", DNS_PTR, "n6.test", PLAIN},
    {"10.2.0.192.in-addr.arpa", DNS_PTR, "n7.test", PLAIN},
    {"10.2.0.192.in-addr.arpa", DNS_PTR, "n8.test", PLAIN},
    {"10.2.0.192.in-addr.arpa", DNS_PTR, "n9.test", PLAIN},
    {"10.2.0.192.in-addr.arpa", DNS_PTR, "ten.test", PLAIN},
    {"ten.test", DNS_A, "192.0.2.10", PLAIN},
    {"11.2.0.192.in-addr.arpa", DNS_PTR, "", PLAIN},
    {"12.2.0.192.in-addr.arpa", DNS_PTR, "a b.test", PLAIN},
    {"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", DNS_PTR, "six.test", PLAIN},
    {"six.test", DNS_AAAA, "2001:db8::1", PLAIN},
    {"2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", DNS_PTR, "four.test", PLAIN},
    {"four.test", DNS_A, "192.0.2.1", PLAIN},

    {"one.test", DNS_MX, "mx.one.test", PLAIN},
    {"null.test", DNS_MX, "", PLAIN},
    {"both.test", DNS_MX, "", PLAIN},
    {"both.test", DNS_MX, "mx.one.test", PLAIN},
    {"nomx.test", DNS_MX, NULL, NODATA},
    {"failed.test", DNS_MX, NULL, SERVFAIL},
    {"bogus.test", DNS_MX, NULL, SERVFAIL_BOGUS},
    {"address.test", DNS_MX, "192.0.2.1", PLAIN},
    {"odd.test", DNS_MX, "a b.test", PLAIN},
};

static int set_up(void **state)
{
    static struct zone z;
    zone_start(&z, lines, COUNT(lines));
    *state = &z;
    return 0;
}

static int tear_down(void **state)
{
    zone_stop(*state);
    return 0;
}

static const struct {
    const char *what, *address;
    enum err err;
    enum rdns_result result;
    const char *name;
} addresses[] = {
    {"a name that leads back", "192.0.2.1", ERR_OK, RDNS_PASS, "mail.a.test"},
    {"the IPv4-mapped form of the address", "::ffff:192.0.2.1", ERR_OK, RDNS_PASS, "mail.a.test"},
    {"one of several names, one of several addresses", "192.0.2.2", ERR_OK, RDNS_PASS, "two.test"},
    {"names that lead elsewhere or nowhere", "192.0.2.3", ERR_OK, RDNS_FAIL, "wrong.test"},
    {"no PTR record", "192.0.2.4", ERR_OK, RDNS_NONE, ""},
    {"no such reverse name", "192.0.2.40", ERR_OK, RDNS_NONE, ""},
    {"the reverse look-up fails", "192.0.2.5", ERR_DNS_TEMPORARY, 0, NULL},
    {"a forward look-up that could have confirmed fails", "192.0.2.6", ERR_DNS_TEMPORARY, 0, NULL},
    {"a failure does not hide another name that leads back", "192.0.2.7", ERR_OK, RDNS_PASS, "seven.test"},
    {"a reverse answer that does not validate", "192.0.2.8", ERR_DNS_BOGUS, 0, NULL},
    {"a forward answer that does not validate", "192.0.2.9", ERR_DNS_BOGUS, 0, NULL},
    {"an eleventh name is not looked at", "192.0.2.10", ERR_OK, RDNS_FAIL, "n0.test"},
    {"the root is no name", "192.0.2.11", ERR_OK, RDNS_NONE, ""},
    {"a name with a blank is no name", "192.0.2.12", ERR_OK, RDNS_NONE, ""},
    {"an IPv6 address", "2001:db8::1", ERR_OK, RDNS_PASS, "six.test"},
    {"a name with IPv4 addresses alone does not prove an IPv6 one", "2001:db8::2", ERR_OK, RDNS_FAIL,
     "four.test"},
};

static enum err check(struct zone *z, const char *text, int64_t deadline_mono_ms, struct rdns_answer *out)
{
    struct netaddr address;
    assert_int_equal(netaddr_parse(span_of(text), &address), ERR_OK);
    return rdns_check(z->resolver, &address, deadline_mono_ms, out);
}

static void names_of_addresses_are_confirmed(void **state)
{
    for (size_t i = 0; i < COUNT(addresses); i++) {
        struct rdns_answer a = {.name = "unset"};
        enum err err = check(*state, addresses[i].address, clock_mono_ms() + 5000, &a);
        if (err != addresses[i].err)
            fail_msg("%s: %s", addresses[i].what, err_name(err));
        if (err == ERR_OK && (a.result != addresses[i].result || strcmp(a.name, addresses[i].name) != 0))
            fail_msg("%s: %s, %s", addresses[i].what, rdns_result_text(a.result), a.name);
    }
}

static void nothing_is_asked_where_the_cache_must_do(void **state)
{
    struct zone *z = *state;
    struct rdns_answer a;
    unsigned before = responder_queries(z->server);
    assert_int_equal(check(z, "192.0.2.99", DNS_CACHED_ONLY, &a), ERR_WOULD_WAIT);
    assert_int_equal(responder_queries(z->server), before);
    assert_int_equal(check(z, "192.0.2.1", clock_mono_ms() + 5000, &a), ERR_OK);
    before = responder_queries(z->server);
    assert_int_equal(check(z, "192.0.2.1", DNS_CACHED_ONLY, &a), ERR_OK);
    assert_int_equal(a.result, RDNS_PASS);
    assert_int_equal(responder_queries(z->server), before);
}

static const struct {
    const char *what, *domain;
    enum err err;
    enum mx_state state;
} domains[] = {
    {"a host", "one.test", ERR_OK, MX_PRESENT},
    {"a null MX", "null.test", ERR_OK, MX_NULL},
    {"a host beside a null MX", "both.test", ERR_OK, MX_PRESENT},
    {"no MX", "nomx.test", ERR_OK, MX_NONE},
    {"no such domain", "nowhere.test", ERR_OK, MX_NO_DOMAIN},
    {"an address in place of a host", "address.test", ERR_OK, MX_NONE},
    {"a host with a blank", "odd.test", ERR_OK, MX_NONE},
    {"the look-up fails", "failed.test", ERR_DNS_TEMPORARY, 0},
    {"the answer does not validate", "bogus.test", ERR_DNS_BOGUS, 0},
    {"an address literal", "[192.0.2.1]", ERR_ADDRESS, 0},
    {"an address literal of IPv6", "[IPv6:2001:db8::1]", ERR_ADDRESS, 0},
    {"a bare address", "192.0.2.1", ERR_ADDRESS, 0},
    {"nothing", "", ERR_ADDRESS, 0},
};

static void domains_take_mail_or_not(void **state)
{
    struct zone *z = *state;
    enum mx_state got = 99;
    for (size_t i = 0; i < COUNT(domains); i++) {
        enum err err = mx_check(z->resolver, domains[i].domain, clock_mono_ms() + 5000, &got);
        if (err != domains[i].err || (err == ERR_OK && got != domains[i].state))
            fail_msg("%s: %s, %d", domains[i].what, err_name(err), got);
    }
    assert_int_equal(mx_check(z->resolver, "other.test", DNS_CACHED_ONLY, &got), ERR_WOULD_WAIT);
    assert_int_equal(mx_check(z->resolver, "null.test", DNS_CACHED_ONLY, &got), ERR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_addresses_are_confirmed),
        cmocka_unit_test(nothing_is_asked_where_the_cache_must_do),
        cmocka_unit_test(domains_take_mail_or_not),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
