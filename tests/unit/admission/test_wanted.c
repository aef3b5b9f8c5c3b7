/*
 * test_wanted.c - whether a proven sender's message is wanted: what its recipient said, in order.
 */
#include "desk.h"

static void the_owner_decides_in_order(void **state)
{
    static const struct {
        const char *name;
        struct desk_message m;
        enum verdict verdict;
        enum reason reason;
    } cases[] = {
        {"allowed", {.sender = "friend@good.test"}, VERDICT_ADMIT, REASON_ALLOWED},
        {"allowed, in capitals", {.sender = "FRIEND@Good.Test"}, VERDICT_ADMIT, REASON_ALLOWED},
        {"allowed, in quotes", {.sender = "\"friend\"@good.test"}, VERDICT_ADMIT, REASON_ALLOWED},
        {"allowed, to a detail",
         {.sender = "friend@good.test", .recipient = "bob+any@b.test"},
         VERDICT_ADMIT,
         REASON_ALLOWED},
        {"allowed by another mailbox",
         {.sender = "friend@good.test", .recipient = "carol@b.test"},
         VERDICT_WAIT,
         REASON_STRANGER},
        {"somebody else in the friend's name",
         {.sender = "eve@proxied.test", .host = "trusted.proxy.test", .author = "friend@good.test"},
         VERDICT_WAIT,
         REASON_UNALIGNED},
        {"the time is over", {.sender = "past@good.test"}, VERDICT_WAIT, REASON_STRANGER},
        {"solved", {.sender = "solver@good.test"}, VERDICT_ADMIT, REASON_SOLVED},
        {"denied", {.sender = "foe@good.test"}, VERDICT_DENY, REASON_DENIED},
        {"denied, in quotes", {.sender = "\"f\\oe\"@GOOD.test"}, VERDICT_DENY, REASON_DENIED},
        {"denied as author alone",
         {.sender = "al@good.test", .author = "foe@good.test"},
         VERDICT_DENY,
         REASON_DENIED},
        {"denied as originator alone",
         {.sender = "foe@good.test", .author = "friend@good.test"},
         VERDICT_DENY,
         REASON_DENIED},
        {"denied, with a token",
         {.sender = "foe@good.test", .recipient = "bob+shop@b.test"},
         VERDICT_DENY,
         REASON_DENIED},
        {"a list",
         {.sender = "dev@good.test", .author = "x@other.test", .list_id = "dev.good.test"},
         VERDICT_ADMIT,
         REASON_LIST},
        {"the list's name from elsewhere",
         {.sender = "dev@proxied.test", .host = "trusted.proxy.test", .list_id = "dev.good.test"},
         VERDICT_WAIT,
         REASON_STRANGER},
        {"all below", {.sender = "al@mail.good.test"}, VERDICT_ADMIT, REASON_ALLOWED},
        {"a token", {.sender = "al@good.test", .recipient = "bob+shop@b.test"}, VERDICT_ADMIT, REASON_TOKEN},
        {"a token in capitals",
         {.sender = "al@good.test", .recipient = "Bob+SHOP@b.test"},
         VERDICT_ADMIT,
         REASON_TOKEN},
        {"a token bound to another",
         {.sender = "al@good.test", .recipient = "bob+bound@b.test"},
         VERDICT_WAIT,
         REASON_STRANGER},
        {"a token whose time is over",
         {.sender = "al@good.test", .recipient = "bob+old@b.test"},
         VERDICT_WAIT,
         REASON_STRANGER},
        {"a revoked token",
         {.sender = "al@good.test", .recipient = "bob+gone@b.test"},
         VERDICT_WAIT,
         REASON_STRANGER},
        {"somebody he wrote to", {.sender = "pen@good.test"}, VERDICT_ADMIT, REASON_CORRESPONDENT},
        {"somebody he wrote to, in another's name",
         {.sender = "pen@good.test", .author = "al@fail.test"},
         VERDICT_WAIT,
         REASON_UNALIGNED},
        {"in that name, from elsewhere",
         {.sender = "eve@proxied.test", .host = "trusted.proxy.test", .author = "pen@good.test"},
         VERDICT_WAIT,
         REASON_UNALIGNED},
        {"a stranger", {.sender = "al@good.test"}, VERDICT_WAIT, REASON_STRANGER},
        {"to the open mailbox",
         {.sender = "al@good.test", .recipient = "open@b.test"},
         VERDICT_ADMIT,
         REASON_OPEN},
        {"unaligned to it",
         {.sender = "al@good.test", .author = "x@y.test", .recipient = "open@b.test"},
         VERDICT_ADMIT,
         REASON_OPEN},
        {"to the challenging one",
         {.sender = "al@good.test", .recipient = "ask@b.test"},
         VERDICT_CHALLENGE,
         REASON_CHALLENGE},
        {"a list to it",
         {.sender = "al@good.test", .recipient = "ask@b.test", .bulk = true},
         VERDICT_WAIT,
         REASON_STRANGER},
        {"to a domain with another rule",
         {.sender = "al@good.test", .recipient = "x@d.test"},
         VERDICT_ADMIT,
         REASON_OPEN},
    };
    struct desk *b = *state;
    const struct desk_message shop = {.sender = "al@good.test", .recipient = "bob+shop@b.test"};
    struct facts f;

    desk_put_entry(b, "friend@good.test", "", false, false, NOW + 10);
    desk_put_entry(b, "past@good.test", "", false, false, NOW - 1);
    desk_put_entry(b, "solver@good.test", "", false, true, 0);
    desk_put_entry(b, "foe@good.test", "", true, false, 0);
    desk_put_entry(b, "<dev.good.test>", "good.test", false, false, 0);
    desk_put_entry(b, ".good.test", "", false, false, 0);
    desk_add_token(b, (struct token){.letters_max = 3}, "shop");
    desk_add_token(b, (struct token){.bound = "other.test", .bind = true}, "bound");
    desk_add_token(b, (struct token){.until_s = NOW - 1}, "old");
    desk_add_token(b, (struct token){.until_s = 0}, "gone");
    assert_int_equal(store_token_revoke(b->rig.s, "bob@b.test", "gone"), ERR_OK);
    assert_int_equal(store_correspondent_add(b->rig.s, "bob@b.test", "pen@good.test", NOW - 100, NOW + 100),
                     ERR_OK);
    desk_put_policy(b, "open@b.test", (struct policy){.rule = RULE_OPEN});
    desk_put_policy(b, "ask@b.test", (struct policy){.rule = RULE_CHALLENGE});
    desk_put_policy(b, "@d.test", (struct policy){.rule = RULE_OPEN});
    for (size_t i = 0; i < COUNT(cases); i++)
        desk_expect(b, cases[i].name, &cases[i].m, cases[i].verdict, cases[i].reason);
    desk_judge(b, &shop, &f);
    assert_string_equal(f.token, "shop");
    assert_string_equal(f.mailbox, "bob@b.test");
    assert_string_equal(f.organisation, "good.test");
    assert_true(f.verified && f.aligned);
    desk_put_policy(b, "bob@b.test", (struct policy){.correspondents = SWITCH_OFF, .denial = DENIAL_TOLD});
    desk_expect(b, "correspondents off", &(struct desk_message){.sender = "pen@good.test"}, VERDICT_WAIT,
                REASON_STRANGER);
    desk_judge(b, &(struct desk_message){.sender = "foe@good.test"}, &f);
    assert_true(f.tell_denied);
}

static void young_domains_wait(void **state)
{
    struct desk *b = *state;
    const struct desk_message open = {.sender = "al@good.test", .recipient = "open@b.test"},
                              ask = {.sender = "al@good.test", .recipient = "ask@b.test"},
                              friend = {.sender = "friend@good.test"};
    int64_t first_s;

    desk_put_policy(b, "open@b.test", (struct policy){.rule = RULE_OPEN});
    desk_put_policy(b, "ask@b.test", (struct policy){.rule = RULE_CHALLENGE});
    desk_put_entry(b, "friend@good.test", "", false, false, 0);
    b->settings.first_seen_min_s = 1000;
    desk_expect(b, "never seen", &open, VERDICT_WAIT, REASON_YOUNG);
    assert_int_equal(store_domain_seen(b->rig.s, "good.test", NOW - 999, &first_s), ERR_OK);
    desk_expect(b, "seen lately", &open, VERDICT_WAIT, REASON_YOUNG);
    desk_expect(b, "no challenge", &ask, VERDICT_WAIT, REASON_YOUNG);
    desk_expect(b, "but known", &friend, VERDICT_ADMIT, REASON_ALLOWED);
    b->settings.first_seen_min_s = 999;
    desk_expect(b, "old enough", &open, VERDICT_ADMIT, REASON_OPEN);
}

static void whole_messages_are_judged_too(void **state)
{
    struct desk *b = *state;
    const struct {
        const char *name;
        struct desk_message m;
        enum verdict verdict;
        enum reason reason;
    } cases[] = {
        {"accepted",
         {.sender = "al@fail.test", .recipient = "any@b.test"},
         VERDICT_ADMIT,
         REASON_LEGACY_ACCEPT},
        {"kept", {.sender = "al@good.test", .recipient = "keep@b.test"}, VERDICT_WAIT, REASON_LEGACY_ATTEMPT},
        {"refused", {.sender = "al@good.test"}, VERDICT_REFUSE, REASON_LEGACY_REJECT},
        {"what has no sender is kept",
         {.sender = "", .author = "daemon@x.test"},
         VERDICT_WAIT,
         REASON_LEGACY_ATTEMPT},
        {"a report",
         {.sender = "", .author = "daemon@x.test", .report = true},
         VERDICT_ADMIT,
         REASON_LEGACY_ACCEPT},
        {"a friend", {.sender = "friend@good.test"}, VERDICT_ADMIT, REASON_ALLOWED},
        {"a friend whom SPF does not prove",
         {.sender = "friend@fail.test"},
         VERDICT_REFUSE,
         REASON_LEGACY_REJECT},
        {"a friend, SPF not to be had", {.sender = "friend@temp.test"}, VERDICT_REFUSE, REASON_SPF_TEMPERROR},
        {"a foe, whoever sent it", {.sender = "foe@fail.test"}, VERDICT_DENY, REASON_DENIED},
        {"a token, proven or not",
         {.sender = "al@fail.test", .recipient = "bob+shop@b.test"},
         VERDICT_ADMIT,
         REASON_TOKEN},
        {"a token bound to a domain that is proven",
         {.sender = "al@good.test", .recipient = "bob+good@b.test"},
         VERDICT_ADMIT,
         REASON_TOKEN},
        {"one bound to a domain that is not",
         {.sender = "al@fail.test", .recipient = "bob+fail@b.test"},
         VERDICT_REFUSE,
         REASON_LEGACY_REJECT},
        {"one bound to a domain whose SPF is not to be had",
         {.sender = "al@temp.test", .recipient = "bob+bound@b.test"},
         VERDICT_REFUSE,
         REASON_SPF_TEMPERROR},
        {"a list",
         {.sender = "dev@good.test", .author = "x@y.test", .list_id = "dev.good.test"},
         VERDICT_ADMIT,
         REASON_LIST},
        {"a list that SPF does not prove",
         {.sender = "dev@fail.test", .list_id = "dev.fail.test"},
         VERDICT_REFUSE,
         REASON_LEGACY_REJECT},
        {"postmaster",
         {.sender = "al@fail.test", .recipient = "postmaster@b.test"},
         VERDICT_ADMIT,
         REASON_ROLE},
        {"somebody he wrote to", {.sender = "pen@good.test"}, VERDICT_ADMIT, REASON_CORRESPONDENT},
        {"the same, unproven", {.sender = "pen@fail.test"}, VERDICT_REFUSE, REASON_LEGACY_REJECT},
    };

    desk_put_policy(b, "bob@b.test", (struct policy){.legacy = LEGACY_REJECT});
    desk_put_policy(b, "keep@b.test", (struct policy){.legacy = LEGACY_ATTEMPT});
    desk_put_entry(b, "friend@good.test", "", false, false, 0);
    desk_put_entry(b, "friend@fail.test", "", false, false, 0);
    desk_put_entry(b, "friend@temp.test", "", false, false, 0);
    desk_put_entry(b, "foe@fail.test", "", true, false, 0);
    desk_put_entry(b, "<dev.good.test>", "good.test", false, false, 0);
    desk_put_entry(b, "<dev.fail.test>", "fail.test", false, false, 0);
    desk_add_token(b, (struct token){.until_s = 0}, "shop");
    desk_add_token(b, (struct token){.bound = "good.test", .bind = true}, "good");
    desk_add_token(b, (struct token){.bound = "fail.test", .bind = true}, "fail");
    desk_add_token(b, (struct token){.bind = true}, "bound");
    assert_int_equal(store_correspondent_add(b->rig.s, "bob@b.test", "pen@good.test", NOW, NOW + 9), ERR_OK);
    assert_int_equal(store_correspondent_add(b->rig.s, "bob@b.test", "pen@fail.test", NOW, NOW + 9), ERR_OK);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct desk_message m = cases[i].m;
        m.kind = FACTS_LEGACY;
        desk_expect(b, cases[i].name, &m, cases[i].verdict, cases[i].reason);
    }
    struct facts f;
    desk_judge(
        b, &(struct desk_message){.kind = FACTS_LEGACY, .sender = "al@good.test", .recipient = "keep@b.test"},
        &f);
    assert_true(f.verified && f.aligned);
    assert_string_equal(f.identity, "al@good.test");
    desk_judge(
        b, &(struct desk_message){.kind = FACTS_LEGACY, .sender = "al@fail.test", .recipient = "keep@b.test"},
        &f);
    assert_false(f.verified);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, desk_set_up, desk_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_owner_decides_in_order),
        TEST(young_domains_wait),
        TEST(whole_messages_are_judged_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
