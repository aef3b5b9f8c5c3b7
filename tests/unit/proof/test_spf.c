/*
 * test_spf.c - what the answers say besides their result, the cache, time, and sizes. What the results are is
 * the business of tests/rfc7208.
 */
#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "proof/spf.h"
#include "zone.h"

#define LARGE 10240

static char large[LARGE + 64], odd[LARGE + 64], expanding[LARGE + 64];

static const struct zone_line lines[] = {
    {"a.test", DNS_TXT, "v=spf1 include:inner.test mx:hosts.test -all exp=exp.test", PLAIN},
    {"inner.test", DNS_TXT, "v=spf1 ip4:192.0.2.1 -all", PLAIN},
    {"hosts.test", DNS_MX, "mx.hosts.test", PLAIN},
    {"mx.hosts.test", DNS_A, "192.0.2.2", PLAIN},
    {"exp.test", DNS_TXT, "%{i} may not", PLAIN},
    {"redirect.test", DNS_TXT, "v=spf1 redirect=A.Test", PLAIN},
    {"neutral.test", DNS_TXT, "v=spf1 ip4:192.0.2.9", PLAIN},
    {"none.test", DNS_TXT, "nothing of ours", PLAIN},
    {"failed.test", DNS_TXT, NULL, SERVFAIL},
    {"bogus.test", DNS_TXT, NULL, SERVFAIL_BOGUS},
    {"silent.test", DNS_TXT, NULL, SILENT},
    {"bogusexp.test", DNS_TXT, "v=spf1 -all exp=bogus.test", PLAIN},
    {"twice.test", DNS_TXT, "v=spf1 -all", PLAIN},
    {"twice.test", DNS_TXT, "v=spf1 +all", PLAIN},
    {"ptr.test", DNS_TXT, "v=spf1 ptr:hosts.test -all", PLAIN},
    {"p.test", DNS_TXT, "v=spf1 exists:%{p}.ok.test -all", PLAIN},
    {"pexp.test", DNS_TXT, "v=spf1 -all exp=ptext.test", PLAIN},
    {"ptext.test", DNS_TXT, "you are %{p}", PLAIN},
    {"5.2.0.192.in-addr.arpa", DNS_PTR, NULL, SERVFAIL},
    {"2.2.0.192.in-addr.arpa", DNS_PTR, "failed.hosts.test", PLAIN},
    {"2.2.0.192.in-addr.arpa", DNS_PTR, "mx.hosts.test", PLAIN},
    {"failed.hosts.test", DNS_A, NULL, SERVFAIL},
    {"mx.hosts.test.ok.test", DNS_A, "127.0.0.2", PLAIN},
    {"large.test", DNS_TXT, large, TRUNCATED},
    {"odd.test", DNS_TXT, odd, TRUNCATED},
    {"expanding.test", DNS_TXT, expanding, TRUNCATED},
    {"ip6.test", DNS_TXT, "v=spf1 ip6:2001:db8::/32 -all", PLAIN},
};

static void fill(char *out, const char *start, const char *piece, const char *end)
{
    size_t len = (size_t)sprintf(out, "%s", start);
    while (len < LARGE)
        len += (size_t)sprintf(out + len, "%s", piece);
    strcpy(out + len, end);
}

static int set_up(void **state)
{
    static struct zone z;
    fill(large, "v=spf1", " ip4:198.51.100.1", " ip4:192.0.2.1 -all");
    fill(odd, "v=spf1 +all", " ip4:198.51.100.1", " moo");
    fill(expanding, "v=spf1 exists:", "%{s}.", "example ?all");
    zone_start(&z, lines, COUNT(lines));
    *state = &z;
    return 0;
}

static int tear_down(void **state)
{
    zone_stop(*state);
    return 0;
}

static struct spf_question question(const char *domain, const char *client)
{
    struct spf_question q = {.helo = "helo.test", .local = "alice", .domain = domain, .explain = true};
    assert_int_equal(netaddr_parse(span_of(client), &q.client), ERR_OK);
    return q;
}

static const struct {
    const char *what, *domain, *client;
    enum spf_result result;
    const char *decided, *term, *why, *explanation;
    enum err cause;
    bool incomplete;
} answers[] = {
    {"a pass names the term", "a.test", "192.0.2.2", SPF_PASS, "a.test", "mx:hosts.test", "", "", ERR_OK,
     false},
    {"an include is named where it stands", "a.test", "192.0.2.1", SPF_PASS, "a.test", "include:inner.test",
     "", "", ERR_OK, false},
    {"a fail is explained", "a.test", "192.0.2.3", SPF_FAIL, "a.test", "-all", "", "192.0.2.3 may not",
     ERR_OK, false},
    {"the domain redirected to is named", "redirect.test", "192.0.2.3", SPF_FAIL, "a.test", "-all", "",
     "192.0.2.3 may not", ERR_OK, false},
    {"nothing matches", "neutral.test", "192.0.2.1", SPF_NEUTRAL, "neutral.test", "", "", "", ERR_OK, false},
    {"no SPF record", "none.test", "192.0.2.1", SPF_NONE, "none.test", "", "", "", ERR_OK, false},
    {"no domain", "a", "192.0.2.1", SPF_NONE, "", "", "", "", ERR_OK, false},
    {"a failure", "failed.test", "192.0.2.1", SPF_TEMPERROR, "failed.test", "", "a look-up failed", "",
     ERR_DNS_TEMPORARY, false},
    {"a failure of validation", "bogus.test", "192.0.2.1", SPF_TEMPERROR, "bogus.test", "",
     "a look-up failed", "", ERR_DNS_BOGUS, false},
    {"a failing explanation", "bogusexp.test", "192.0.2.1", SPF_FAIL, "bogusexp.test", "-all", "", "", ERR_OK,
     false},
    {"two records", "twice.test", "192.0.2.1", SPF_PERMERROR, "twice.test", "", "more than one SPF record",
     "", ERR_OK, false},
    {"reverse names that cannot be had are passed over", "ptr.test", "192.0.2.5", SPF_FAIL, "ptr.test",
     "-all", "", "", ERR_OK, true},
    {"a reverse name that fails does not hide another", "ptr.test", "192.0.2.2", SPF_PASS, "ptr.test",
     "ptr:hosts.test", "", "", ERR_OK, true},
    {"the same for the macro", "p.test", "192.0.2.2", SPF_PASS, "p.test", "exists:%{p}.ok.test", "", "",
     ERR_OK, true},
    {"an explanation is not what a result hangs on", "pexp.test", "192.0.2.5", SPF_FAIL, "pexp.test", "-all",
     "", "you are unknown", ERR_OK, false},
    {"a record of 10 KB", "large.test", "192.0.2.1", SPF_PASS, "large.test", "ip4:192.0.2.1", "", "", ERR_OK,
     false},
    {"a record of 10 KB with an error at its end", "odd.test", "192.0.2.1", SPF_PERMERROR, "odd.test", "moo",
     "malformed term", "", ERR_OK, false},
    {"a name without end", "expanding.test", "192.0.2.1", SPF_NEUTRAL, "expanding.test", "?all", "", "",
     ERR_OK, false},
    {"an IPv6 client", "ip6.test", "2001:db8::1", SPF_PASS, "ip6.test", "ip6:2001:db8::/32", "", "", ERR_OK,
     false},
    {"an IPv4-mapped client is one of IPv4", "a.test", "::ffff:192.0.2.2", SPF_PASS, "a.test",
     "mx:hosts.test", "", "", ERR_OK, false},
};

static void answers_say_what_decided(void **state)
{
    struct zone *z = *state;
    for (size_t i = 0; i < COUNT(answers); i++) {
        struct spf_question q = question(answers[i].domain, answers[i].client);
        struct spf_answer a;
        assert_int_equal(spf_check(z->resolver, &q, clock_mono_ms() + 5000, &a), ERR_OK);
        if (a.result != answers[i].result || strcmp(a.domain, answers[i].decided) != 0 ||
            strcmp(a.term, answers[i].term) != 0 || strcmp(a.why, answers[i].why) != 0 ||
            strcmp(a.explanation, answers[i].explanation) != 0 || a.cause != answers[i].cause ||
            a.complete == answers[i].incomplete)
            fail_msg("%s: %s, domain %s, term %s, why %s, explanation %s, cause %s, complete %d",
                     answers[i].what, spf_result_text(a.result), a.domain, a.term, a.why, a.explanation,
                     err_name(a.cause), a.complete);
    }
}

static void the_cache_alone_gives_the_same_answer(void **state)
{
    struct zone *z = *state;
    struct spf_question q = question("a.test", "192.0.2.2");
    struct spf_answer a = {.result = 99};
    assert_int_equal(spf_check(z->resolver, &q, DNS_CACHED_ONLY, &a), ERR_WOULD_WAIT);
    assert_int_equal(a.result, 99);
    assert_int_equal(responder_queries(z->server), 0);
    assert_int_equal(spf_check(z->resolver, &q, clock_mono_ms() + 5000, &a), ERR_OK);
    assert_int_equal(spf_check(z->resolver, &q, DNS_CACHED_ONLY, &a), ERR_OK);
    assert_int_equal(a.result, SPF_PASS);
    q = question("a.test", "192.0.2.3"); /* another client: the explanation is not kept yet */
    assert_int_equal(spf_check(z->resolver, &q, DNS_CACHED_ONLY, &a), ERR_WOULD_WAIT);
    q.explain = false;
    assert_int_equal(spf_check(z->resolver, &q, DNS_CACHED_ONLY, &a), ERR_OK);
    assert_int_equal(a.result, SPF_FAIL);
    assert_string_equal(a.explanation, "");
    q = question("ptr.test", "192.0.2.2"); /* reverse names are no exception */
    assert_int_equal(spf_check(z->resolver, &q, DNS_CACHED_ONLY, &a), ERR_WOULD_WAIT);
}

static void silence_ends_with_the_deadline(void **state)
{
    struct zone *z = *state;
    struct spf_question q = question("silent.test", "192.0.2.2");
    struct spf_answer a;
    int64_t deadline = clock_mono_ms() + 200;
    assert_int_equal(spf_check(z->resolver, &q, deadline, &a), ERR_OK);
    assert_int_equal(a.result, SPF_TEMPERROR);
    assert_int_equal(a.cause, ERR_DNS_TEMPORARY);
    q = question("ptr.test", "192.0.2.5"); /* with the time up, a reverse name that failed decides nothing */
    assert_int_equal(spf_check(z->resolver, &q, clock_mono_ms() + 5000, &a), ERR_OK);
    assert_int_equal(a.result, SPF_FAIL);
    assert_int_equal(spf_check(z->resolver, &q, clock_mono_ms() - 1, &a), ERR_OK);
    assert_int_equal(a.result, SPF_TEMPERROR);
}

static void what_may_be_missing_may_be_missing(void **state)
{
    struct zone *z = *state;
    struct spf_question q = {.client = {.family = AF_INET6}};
    struct spf_answer a;
    assert_int_equal(spf_check(z->resolver, &q, clock_mono_ms() + 5000, &a), ERR_OK);
    assert_int_equal(a.result, SPF_NONE);
    q.helo = "ip6.test";
    q.client.byte[0] = 0x20;
    q.client.byte[1] = 0x01;
    q.client.byte[2] = 0x0d;
    q.client.byte[3] = 0xb8;
    assert_int_equal(spf_check(z->resolver, &q, clock_mono_ms() + 5000, &a), ERR_OK);
    assert_int_equal(a.result, SPF_PASS);
    assert_string_equal(a.domain, "ip6.test");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(answers_say_what_decided, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_cache_alone_gives_the_same_answer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(silence_ends_with_the_deadline, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_may_be_missing_may_be_missing, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
