/*
 * test_proven.c - who a message is from: what each check of the sender's domain makes of it.
 */
#include "desk.h"

static void a_stub_needs_a_proven_domain(void **state)
{
    static const struct {
        const char *name;
        struct desk_message m;
        enum verdict verdict;
        enum reason reason;
    } cases[] = {
        {"all in order", {.sender = "al@good.test"}, VERDICT_WAIT, REASON_STRANGER},
        {"no MX", {.sender = "al@nomx.test"}, VERDICT_REFUSE, REASON_NO_MX},
        {"null MX", {.sender = "al@nullmx.test"}, VERDICT_REFUSE, REASON_NULL_MX},
        {"no such domain", {.sender = "al@nowhere.test"}, VERDICT_REFUSE, REASON_NO_DOMAIN},
        {"MX not to be had", {.sender = "al@mxfails.test"}, VERDICT_REFUSE, REASON_DNS_TEMPORARY},
        {"bogus MX", {.sender = "al@bogus.test"}, VERDICT_REFUSE, REASON_DNS_BOGUS},
        {"SPF neutral", {.sender = "al@neutral.test"}, VERDICT_REFUSE, REASON_SPF_NEUTRAL},
        {"SPF softfail", {.sender = "al@soft.test"}, VERDICT_REFUSE, REASON_SPF_SOFTFAIL},
        {"SPF fail", {.sender = "al@fail.test"}, VERDICT_REFUSE, REASON_SPF_FAIL},
        {"no SPF", {.sender = "al@nospf.test"}, VERDICT_REFUSE, REASON_SPF_NONE},
        {"SPF in error", {.sender = "al@bad.test"}, VERDICT_REFUSE, REASON_SPF_PERMERROR},
        {"two SPF records", {.sender = "al@twospf.test"}, VERDICT_REFUSE, REASON_SPF_PERMERROR},
        {"SPF not to be had", {.sender = "al@temp.test"}, VERDICT_REFUSE, REASON_SPF_TEMPERROR},
        {"bogus SPF", {.sender = "al@bogusspf.test"}, VERDICT_REFUSE, REASON_DNS_BOGUS},
        {"client not known", {.sender = "al@good.test", .client = ""}, VERDICT_REFUSE, REASON_SPF_FAIL},
        {"no reverse DNS",
         {.sender = "al@good.test", .client = "192.0.2.2"},
         VERDICT_REFUSE,
         REASON_RDNS_NONE},
        {"unconfirmed",
         {.sender = "al@good.test", .client = "192.0.2.3"},
         VERDICT_REFUSE,
         REASON_RDNS_UNCONFIRMED},
        {"reverse DNS away",
         {.sender = "al@good.test", .client = "192.0.2.4"},
         VERDICT_REFUSE,
         REASON_RDNS_TEMPERROR},
        {"no designation", {.sender = "al@undesignated.test"}, VERDICT_REFUSE, REASON_NO_DESIGNATION},
        {"another host",
         {.sender = "al@good.test", .host = "pull.fail.test"},
         VERDICT_REFUSE,
         REASON_NOT_DESIGNATED},
        {"designation away", {.sender = "al@nodns.test"}, VERDICT_REFUSE, REASON_DNS_TEMPORARY},
        {"a proxy that is trusted",
         {.sender = "al@proxied.test", .host = "trusted.proxy.test"},
         VERDICT_WAIT,
         REASON_STRANGER},
        {"a proxy that is not",
         {.sender = "al@proxied.test", .host = "other.proxy.test"},
         VERDICT_REFUSE,
         REASON_NOT_DESIGNATED},
        {"testing, SPF fails, designated", {.sender = "al@testing.test"}, VERDICT_WAIT, REASON_UNVERIFIED},
        {"testing, another host",
         {.sender = "al@testing.test", .host = "x.test"},
         VERDICT_PASS,
         REASON_TESTING},
        {"From elsewhere",
         {.sender = "al@good.test", .author = "al@fail.test"},
         VERDICT_WAIT,
         REASON_UNALIGNED},
        {"From below", {.sender = "al@good.test", .author = "al@x.good.test"}, VERDICT_WAIT, REASON_STRANGER},
        {"postmaster",
         {.sender = "al@good.test", .recipient = "Postmaster@b.test"},
         VERDICT_ADMIT,
         REASON_ROLE},
        {"abuse+x", {.sender = "al@good.test", .recipient = "abuse+x@b.test"}, VERDICT_ADMIT, REASON_ROLE},
    };

    for (size_t i = 0; i < COUNT(cases); i++)
        desk_expect(*state, cases[i].name, &cases[i].m, cases[i].verdict, cases[i].reason);
}

static void each_proof_has_its_switch(void **state)
{
    struct desk *b = *state;
    const struct {
        bool *flag;
        struct desk_message m;
        enum reason reason;
    } cases[] = {
        {&b->settings.require_mx,
         {.sender = "al@undesignated.test", .host = "x.test"},
         REASON_NO_DESIGNATION},
        {&b->settings.require_spf, {.sender = "al@fail.test"}, REASON_STRANGER},
        {&b->settings.require_reverse_dns,
         {.sender = "al@good.test", .client = "192.0.2.2"},
         REASON_STRANGER},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct facts f;
        *cases[i].flag = false;
        assert_int_equal(desk_judge(b, &cases[i].m, &f).reason, cases[i].reason);
        *cases[i].flag = true;
    }
}

static void mail_through_a_relay_is_judged_by_where_it_entered(void **state)
{
    static const struct {
        const char *name, *received;
        enum reason reason;
        bool skipped;
    } cases[] = {
        {"from the domain's own host",
         " from mx.good.test (mx.good.test [192.0.2.1])\r\n\tby relay.b.test (Postfix) with ESMTP id "
         "4bX\r\n\tfor "
         "<bob@b.test>; Sat, 21 Nov 2026 10:00:00 +0000",
         REASON_STRANGER, false},
        {"from a stranger's",
         " from mx.good.test (unknown [203.0.113.9])\r\n\tby relay.b.test (Postfix) with ESMTP id "
         "4bX\r\n\tfor "
         "<bob@b.test>; Sat, 21 Nov 2026 10:00:00 +0000",
         REASON_SPF_FAIL, false},
        {"not told", " by relay.b.test; Sat, 21 Nov 2026 10:00:00 +0000", REASON_UNVERIFIED, true},
    };
    struct desk *b = *state;
    const struct desk_message m = {.sender = "al@good.test", .client = "198.51.100.7"};

    for (size_t i = 0; i < COUNT(cases); i++) {
        char host[256];
        struct facts f;
        struct finding found;
        struct span received = span_of(cases[i].received);
        desk_fill(&m, host, &f);
        f.received = &received;
        f.received_count = 1;
        assert_int_equal(admission_judge(b->env.admission, &f, NULL, NULL, &found), ERR_OK);
        if (found.reason != cases[i].reason || f.client_skipped != cases[i].skipped || !f.relayed)
            fail_msg("%s: %s %s", cases[i].name, reason_code(found.reason), found.text);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, desk_set_up, desk_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_stub_needs_a_proven_domain),
        TEST(each_proof_has_its_switch),
        TEST(mail_through_a_relay_is_judged_by_where_it_entered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
