/*
 * test_admission.c - the ways through the table of checks: observing, replaying, waiting, rates.
 */
#include "desk.h"

#include <stdio.h>
#include <string.h>

static void observing_refuses_nothing(void **state)
{
    static const struct {
        const char *name;
        struct desk_message m;
        enum verdict verdict;
        enum reason reason;
        enum verdict would;
    } cases[] = {
        {"SPF", {.sender = "al@fail.test"}, VERDICT_ADMIT, REASON_SPF_FAIL, VERDICT_REFUSE},
        {"a stranger", {.sender = "al@good.test"}, VERDICT_ADMIT, REASON_STRANGER, VERDICT_WAIT},
        {"a foe", {.sender = "foe@good.test"}, VERDICT_ADMIT, REASON_DENIED, VERDICT_DENY},
        {"not designated",
         {.sender = "al@good.test", .host = "x.test"},
         VERDICT_PASS,
         REASON_NOT_DESIGNATED,
         VERDICT_REFUSE},
        {"SPF, not designated",
         {.sender = "al@undesignated.test", .client = "192.0.2.2"},
         VERDICT_PASS,
         REASON_NO_DESIGNATION,
         VERDICT_REFUSE},
        {"designation away", {.sender = "al@nodns.test"}, VERDICT_REFUSE, REASON_DNS_TEMPORARY, VERDICT_NEXT},
        {"a message",
         {.kind = FACTS_LEGACY, .sender = "al@good.test"},
         VERDICT_ADMIT,
         REASON_LEGACY_REJECT,
         VERDICT_REFUSE},
        {"a friend", {.sender = "friend@good.test"}, VERDICT_ADMIT, REASON_ALLOWED, VERDICT_NEXT},
    };
    struct desk *b = *state;

    desk_put_policy(b, "@b.test", (struct policy){.mode = MODE_OBSERVE, .legacy = LEGACY_REJECT});
    desk_put_entry(b, "foe@good.test", "", true, false, 0);
    desk_put_entry(b, "friend@good.test", "", false, false, 0);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct facts f;
        desk_expect(b, cases[i].name, &cases[i].m, cases[i].verdict, cases[i].reason);
        desk_judge(b, &cases[i].m, &f);
        assert_int_equal(f.observed, cases[i].would != VERDICT_NEXT);
        assert_int_equal(f.overruled.verdict, cases[i].would);
    }
    desk_put_policy(b, "@b.test", (struct policy){.mode = MODE_ENFORCE});
    desk_expect(b, "enforced", &cases[0].m, VERDICT_REFUSE, REASON_SPF_FAIL);
}

static void cached_answers_alone_never_wait(void **state)
{
    struct desk *b = *state;
    const struct desk_message m = {.sender = "al@good.test"};
    char host[256];
    struct facts f;
    struct finding found;

    desk_fill(&m, host, &f);
    f.deadline_mono_ms = DNS_CACHED_ONLY;
    assert_int_equal(admission_judge(b->env.admission, &f, NULL, NULL, &found), ERR_OK);
    assert_int_equal(found.verdict, VERDICT_LATER);
    assert_int_equal(responder_queries(b->zone.server), 0);
    assert_int_equal(desk_judge(b, &m, &f).reason, REASON_STRANGER);
    unsigned asked = responder_queries(b->zone.server);
    desk_fill(&m, host, &f);
    f.deadline_mono_ms = DNS_CACHED_ONLY;
    assert_int_equal(admission_judge(b->env.admission, &f, NULL, NULL, &found), ERR_OK);
    assert_int_equal(found.reason, REASON_STRANGER);
    assert_int_equal(responder_queries(b->zone.server), asked);
}

static void note(void *arg, const struct check *c, const struct finding *found)
{
    char *told = arg;

    snprintf(told + strlen(told), 500 - strlen(told), "%s=%s ", c->name, verdict_name(found->verdict));
}

static void a_replay_asks_all_and_counts_nothing(void **state)
{
    struct desk *b = *state;
    const struct desk_message m = {.sender = "al@fail.test", .client = "192.0.2.2"};
    char host[256], told[500] = "";
    struct facts f;
    struct finding found;

    b->settings.rate_client = 1;
    for (int i = 0; i < 5; i++) {
        told[0] = '\0';
        desk_fill(&m, host, &f);
        f.replay = true;
        assert_int_equal(admission_judge(b->env.admission, &f, note, told, &found), ERR_OK);
        assert_int_equal(found.reason, REASON_SPF_FAIL);
    }
    assert_string_equal(
        told, "rate=next form=next mx=next spf=refuse rdns=refuse designation=next age=next alignment=next "
              "role=next denied=next allowed=next token=next correspondent=next rule=wait ");
}

static void what_comes_too_fast_is_put_off(void **state)
{
    struct desk *b = *state;
    struct buf why;
    const struct desk_message m = {.sender = "al@good.test"};

    buf_init(&why, 100);
    admission_free(b->env.admission);
    b->settings.rate_client = 2;
    assert_int_equal(admission_create(&b->env, &b->env.admission, &why), ERR_OK);
    desk_expect(b, "first", &m, VERDICT_WAIT, REASON_STRANGER);
    desk_expect(b, "second", &m, VERDICT_WAIT, REASON_STRANGER);
    desk_expect(b, "third", &m, VERDICT_REFUSE, REASON_RATE_CLIENT);
    assert_true(err_temporary(reason_err(REASON_RATE_CLIENT)));
}

static void what_would_be_kept_too_fast_is_put_off(void **state)
{
    struct desk *b = *state;
    struct buf why;
    const struct desk_message proven = {.kind = FACTS_LEGACY, .sender = "al@good.test"},
                              forged = {
                                  .kind = FACTS_LEGACY, .sender = "al@good.test", .client = "198.51.200.2"};

    buf_init(&why, 100);
    admission_free(b->env.admission);
    b->settings.rate_domain = 2;
    b->settings.rate_client = 3;
    desk_put_policy(b, "bob@b.test", (struct policy){.legacy = LEGACY_ATTEMPT});
    assert_int_equal(admission_create(&b->env, &b->env.admission, &why), ERR_OK);
    for (int i = 0; i < 3; i++)
        desk_expect(b, "forged", &forged, VERDICT_WAIT, REASON_LEGACY_ATTEMPT);
    desk_expect(b, "one forged too many", &forged, VERDICT_REFUSE, REASON_RATE_CLIENT);
    for (int i = 0; i < 2; i++)
        desk_expect(b, "proven", &proven, VERDICT_WAIT, REASON_LEGACY_ATTEMPT);
    desk_expect(b, "one too many", &proven, VERDICT_REFUSE, REASON_RATE_DOMAIN);
    desk_put_policy(b, "bob@b.test", (struct policy){.legacy = LEGACY_ACCEPT});
    desk_expect(b, "what is not kept", &proven, VERDICT_ADMIT, REASON_LEGACY_ACCEPT);
}

/* One client after another, through one relay. */
static enum reason relayed(struct desk *b, const char *client, const char *recipient)
{
    char host[256], text[200];
    struct facts f;
    struct finding found;
    const struct desk_message m = {
        .sender = "al@good.test", .recipient = recipient, .client = "198.51.100.7"};

    snprintf(text, sizeof text,
             " from mx.good.test (mx.good.test [%s])\r\n\tby relay.b.test (Postfix) with ESMTP", client);
    struct span received = span_of(text);
    desk_fill(&m, host, &f);
    f.received = &received;
    f.received_count = 1;
    assert_int_equal(admission_judge(b->env.admission, &f, NULL, NULL, &found), ERR_OK);
    return found.reason;
}

static void clients_behind_a_relay_do_not_share_its_rate(void **state)
{
    struct desk *b = *state;
    struct buf why;

    desk_add_token(b, (struct token){.until_s = 0}, "shop");
    for (int i = 0; i < 12; i++)
        relayed(b, "192.0.2.1", "bob+wrong@b.test");
    assert_int_equal(relayed(b, "192.0.2.1", "bob+shop@b.test"), REASON_STRANGER);
    assert_int_equal(relayed(b, "192.0.3.1", "bob+wrong@b.test"), REASON_SPF_FAIL);
    b->settings.require_spf = b->settings.require_reverse_dns = false;
    assert_int_equal(relayed(b, "192.0.3.1", "bob+shop@b.test"), REASON_TOKEN);
    b->settings.rate_client = 2;
    buf_init(&why, 100);
    admission_free(b->env.admission);
    assert_int_equal(admission_create(&b->env, &b->env.admission, &why), ERR_OK);
    for (int i = 0; i < 2; i++)
        assert_int_equal(relayed(b, "192.0.2.1", "bob@b.test"), REASON_STRANGER);
    assert_int_equal(relayed(b, "192.0.2.1", "bob@b.test"), REASON_RATE_CLIENT);
    assert_int_equal(relayed(b, "192.0.3.1", "bob@b.test"), REASON_STRANGER);
}

static void a_message_that_used_a_token_up_may_come_again(void **state)
{
    struct desk *b = *state;
    static const uint8_t letter[32] = {1}, another[32] = {2};
    const struct desk_message m = {
        .kind = FACTS_LEGACY, .sender = "al@fail.test", .recipient = "bob+once@b.test"};
    struct facts f;
    struct finding found;
    char host[256];

    desk_put_policy(b, "bob@b.test", (struct policy){.legacy = LEGACY_REJECT});
    desk_add_token(b, (struct token){.letters_max = 1}, "once");
    for (int i = 0; i < 4; i++) {
        desk_fill(&m, host, &f);
        f.letter = i < 2 ? letter : another;
        assert_int_equal(admission_judge(b->env.admission, &f, NULL, NULL, &found), ERR_OK);
        assert_int_equal(found.reason, i < 2 ? REASON_TOKEN : REASON_LEGACY_REJECT);
        if (i < 2)
            assert_int_equal(store_token_use(b->rig.s, f.mailbox, f.token, f.organisation, letter, NOW),
                             ERR_OK);
    }
    assert_int_equal(store_token_revoke(b->rig.s, "bob@b.test", "once"), ERR_OK);
    desk_fill(&m, host, &f);
    f.letter = letter;
    assert_int_equal(admission_judge(b->env.admission, &f, NULL, NULL, &found), ERR_OK);
    assert_int_equal(found.reason, REASON_LEGACY_REJECT);
}

static void a_testing_domain_gets_no_further_than_with_ordinary_mail(void **state)
{
    struct desk *b = *state;
    const struct desk_message m = {.sender = "al@testing.test", .host = "x.test"},
                              foe = {.sender = "foe@testing.test", .host = "x.test"};

    desk_put_entry(b, "foe@testing.test", "", true, false, 0);
    desk_expect(b, "where ordinary mail is taken", &m, VERDICT_PASS, REASON_TESTING);
    desk_expect(b, "but not from him", &foe, VERDICT_REFUSE, REASON_SPF_FAIL);
    desk_put_policy(b, "bob@b.test", (struct policy){.legacy = LEGACY_REJECT});
    desk_expect(b, "where it is not", &m, VERDICT_REFUSE, REASON_SPF_FAIL);
    desk_put_policy(b, "bob@b.test", (struct policy){.legacy = LEGACY_ATTEMPT});
    desk_expect(b, "where it waits", &m, VERDICT_REFUSE, REASON_SPF_FAIL);
}

static void tokens_guessed_at_speed_meet_silence(void **state)
{
    struct desk *b = *state;
    const struct desk_message wrong = {.sender = "al@good.test", .recipient = "bob+wrong@b.test"},
                              right = {.sender = "al@good.test", .recipient = "bob+shop@b.test"};

    desk_add_token(b, (struct token){.until_s = 0}, "shop");
    desk_expect(b, "right", &right, VERDICT_ADMIT, REASON_TOKEN);
    for (int i = 0; i < 10; i++)
        desk_expect(b, "wrong", &wrong, VERDICT_WAIT, REASON_STRANGER);
    desk_expect(b, "right, too late", &right, VERDICT_WAIT, REASON_STRANGER);
}

static void mailboxes_are_found_below_their_details(void **state)
{
    static const struct {
        const char *recipient, *mailbox, *detail;
    } cases[] = {
        {"bob@b.test", "bob@b.test", ""},
        {"Bob+Shop@B.Test", "bob@b.test", "shop"},
        {"bob+a-b_1@b.test", "bob@b.test", "a-b_1"},
        {"bob+x+y@b.test", "bob@b.test", ""},
        {"bob+@b.test", "bob@b.test", ""},
        {"+x@b.test", "+x@b.test", ""},
        {"++x@b.test", "+@b.test", "x"},
        {"\"bob+x\"@b.test", "bob@b.test", "x"},
        {"\"bob smith+x\"@b.test", "\"bob smith+x\"@b.test", ""},
        {"\"+\"@b.test", "+@b.test", ""},
        {"bob+\xc3\xbc@b.test", "bob@b.test", ""},
        {"b\xc3\xbc+x@b.test", "b\xc3\xbc@b.test", "x"},
        {"bob+aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@b.test", "bob@b.test",
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
        {"bob+aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@b.test", "bob@b.test", ""},
        {"mailer-daemon+x@b.test", "mailer-daemon@b.test", "x"},
    };
    struct desk *b = *state;

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct address a;
        char mailbox[ADDRESS_TEXT_MAX], detail[POLICY_TOKEN_MAX + 1];
        desk_address(cases[i].recipient, &a);
        admission_mailbox(b->env.admission, &a, mailbox, detail);
        assert_string_equal(mailbox, cases[i].mailbox);
        assert_string_equal(detail, cases[i].detail);
    }
    struct address a;
    char mailbox[ADDRESS_TEXT_MAX], detail[POLICY_TOKEN_MAX + 1];
    b->settings.recipient_delimiter = (char *)"-+";
    desk_address("bob-x+y@b.test", &a);
    admission_mailbox(b->env.admission, &a, mailbox, detail);
    assert_string_equal(mailbox, "bob@b.test");
    desk_address("mailer-daemon@b.test", &a);
    admission_mailbox(b->env.admission, &a, mailbox, detail);
    assert_string_equal(mailbox, "mailer-daemon@b.test");
    b->settings.recipient_delimiter = (char *)"";
    desk_address("bob+x@b.test", &a);
    admission_mailbox(b->env.admission, &a, mailbox, detail);
    assert_string_equal(mailbox, "bob+x@b.test");
}

static void what_was_proven_is_written_down(void **state)
{
    struct facts f;
    char proof[256];

    desk_judge(*state, &(struct desk_message){.sender = "al@good.test"}, &f);
    admission_proof(&f, proof);
    assert_string_equal(proof, "spf=pass smtp.mailfrom=good.test; iprev=pass policy.iprev=192.0.2.1");
    f.spf[0] = '\0';
    assert_int_equal(netaddr_parse(SPAN_LITERAL("2001:db8::1"), &f.entered), ERR_OK);
    admission_proof(&f, proof);
    assert_string_equal(proof, "iprev=pass policy.iprev=\"2001:db8::1\"");
    f.iprev[0] = '\0';
    admission_proof(&f, proof);
    assert_string_equal(proof, "");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, desk_set_up, desk_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(observing_refuses_nothing),
        TEST(cached_answers_alone_never_wait),
        TEST(a_replay_asks_all_and_counts_nothing),
        TEST(what_comes_too_fast_is_put_off),
        TEST(what_would_be_kept_too_fast_is_put_off),
        TEST(clients_behind_a_relay_do_not_share_its_rate),
        TEST(a_message_that_used_a_token_up_may_come_again),
        TEST(a_testing_domain_gets_no_further_than_with_ordinary_mail),
        TEST(tokens_guessed_at_speed_meet_silence),
        TEST(mailboxes_are_found_below_their_details),
        TEST(what_was_proven_is_written_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
