/* Buckets fill by time, are taken from together or not at all, and are bounded in number. */
#include "unit.h"

#include <stdio.h>

#include "admission/rate.h"

static struct netaddr addr(const char *text)
{
    struct netaddr a;

    if (netaddr_parse(span_of(text), &a) != ERR_OK)
        fail_msg("%s", text);
    return a;
}

static struct rate *rate_of(struct rate_options o)
{
    struct rate *r;

    if (!o.buckets_max)
        o.buckets_max = 100;
    assert_int_equal(rate_create(&o, &r), ERR_OK);
    return r;
}

static enum reason take(struct rate *r, const char *client, const char *domain, const char *organisation,
                        const char *host, int64_t now_ms)
{
    struct netaddr a = {.family = 0};
    enum reason reason = REASON_NONE;

    if (client)
        a = addr(client);
    struct rate_subject s = {.client = &a, .domain = domain, .organisation = organisation, .host = host};
    bool taken = rate_take(r, &s, now_ms, &reason);
    assert_true(taken == (reason == REASON_NONE));
    return reason;
}

/* The last answer when more came than the organisation's chances from this network are. */
static enum reason take_past_chances(struct rate *r, const char *client, const char *domain,
                                     const char *organisation, const char *host, int64_t now_ms)
{
    for (int i = 0; i < RATE_CHANCES; i++)
        take(r, client, domain, organisation, host, now_ms);
    return take(r, client, domain, organisation, host, now_ms);
}

static void each_bucket_has_its_reason(void **state)
{
    static const struct {
        const char *name;
        struct rate_options options;
        enum reason want;
    } cases[] = {
        {"client", {.client_minute = 1}, REASON_RATE_CLIENT},
        {"domain", {.domain_minute = 1}, REASON_RATE_DOMAIN},
        {"organisation", {.organisation_minute = 1}, REASON_RATE_ORGANISATION},
        {"host", {.host_minute = 1}, REASON_RATE_HOST},
        {"no limit", {.client_minute = 0}, REASON_NONE},
        {"all", {.client_minute = 1, .domain_minute = 1, .host_minute = 1}, REASON_RATE_CLIENT},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct rate *r = rate_of(cases[i].options);
        assert_int_equal(take(r, "192.0.2.1", "m.a.test", "a.test", "pull.a.test", 1000), REASON_NONE);
        enum reason got = take_past_chances(r, "192.0.2.9", "m.a.test", "a.test", "pull.a.test", 1000);
        if (got != cases[i].want)
            fail_msg("%s: %s", cases[i].name, reason_code(got));
        assert_int_equal(take(r, "2001:db8::1", "b.test", "b.test", "pull.b.test", 1000), REASON_NONE);
        rate_free(r);
    }
}

static void buckets_fill_evenly_up_to_a_minute(void **state)
{
    struct rate *r = rate_of((struct rate_options){.domain_minute = 60});

    (void)state;
    for (int i = 0; i < 60; i++)
        assert_int_equal(take(r, NULL, "a.test", NULL, NULL, 5000), REASON_NONE);
    assert_int_equal(take(r, NULL, "a.test", NULL, NULL, 5999), REASON_RATE_DOMAIN);
    assert_int_equal(take(r, NULL, "a.test", NULL, NULL, 6000), REASON_NONE);
    assert_int_equal(take(r, NULL, "a.test", NULL, NULL, 6001), REASON_RATE_DOMAIN);
    for (int i = 0; i < 60; i++)
        assert_int_equal(take(r, NULL, "a.test", NULL, NULL, 900000), REASON_NONE);
    assert_int_equal(take(r, NULL, "a.test", NULL, NULL, 900000), REASON_RATE_DOMAIN);
    rate_free(r);
}

static void nothing_is_taken_when_one_is_empty(void **state)
{
    struct rate *r = rate_of((struct rate_options){.client_minute = 3, .domain_minute = 1});

    (void)state;
    assert_int_equal(take(r, "192.0.2.1", "a.test", NULL, NULL, 0), REASON_NONE);
    for (int i = 0; i < 10; i++)
        assert_int_equal(take(r, "192.0.2.1", "a.test", NULL, NULL, 0), REASON_RATE_DOMAIN);
    assert_int_equal(take(r, "192.0.2.1", "b.test", NULL, NULL, 0), REASON_NONE);
    assert_int_equal(take(r, "192.0.2.1", "c.test", NULL, NULL, 0), REASON_NONE);
    assert_int_equal(take(r, "192.0.2.1", "d.test", NULL, NULL, 0), REASON_RATE_CLIENT);
    rate_free(r);
}

static void forgeries_do_not_use_up_what_the_proven_come_in_by(void **state)
{
    struct rate *r =
        rate_of((struct rate_options){.domain_minute = 2, .organisation_minute = 2, .host_minute = 2});
    struct netaddr a = addr("192.0.2.1");
    const struct rate_subject own = {
        .client = &a, .domain = "m.a.test", .organisation = "a.test", .host = "pull.a.test"};
    char client[32];

    (void)state;
    rate_proven(r, &own, 0);
    for (int i = 0; i < 10; i++) {
        snprintf(client, sizeof client, "198.51.%d.1", i);
        take(r, client, "m.a.test", "a.test", "pull.a.test", 0);
        take(r, "192.0.2.1", "e.test", "e.test", "pull.a.test", 0);
    }
    assert_int_equal(take_past_chances(r, "198.51.99.1", "m.a.test", "a.test", "pull.a.test", 0),
                     REASON_RATE_DOMAIN);
    assert_int_equal(take(r, "192.0.2.9", "m.a.test", "a.test", "pull.a.test", 0), REASON_NONE);
    assert_int_equal(take(r, "192.0.2.9", "m.a.test", "a.test", "pull.a.test", 0), REASON_NONE);
    assert_int_equal(take(r, "192.0.2.9", "m.a.test", "a.test", "pull.a.test", 0), REASON_RATE_DOMAIN);
    assert_int_equal(take(r, "198.51.100.1", "m.a.test", "a.test", "pull.a.test", RATE_PROVEN_MS),
                     REASON_NONE);
    assert_int_equal(take(r, "192.0.2.9", "m.a.test", "a.test", "pull.a.test", RATE_PROVEN_MS), REASON_NONE);
    assert_int_equal(take_past_chances(r, "192.0.2.9", "m.a.test", "a.test", "pull.a.test", RATE_PROVEN_MS),
                     REASON_RATE_DOMAIN);
    rate_free(r);
}

static void a_flooded_name_can_be_proven_for_the_first_time(void **state)
{
    struct rate *r = rate_of((struct rate_options){
        .client_minute = 20, .domain_minute = 2, .organisation_minute = 2, .host_minute = 2});
    struct netaddr a = addr("192.0.2.1");
    const struct rate_subject own = {
        .client = &a, .domain = "m.a.test", .organisation = "a.test", .host = "pull.a.test"};
    char client[32], domain[32];

    (void)state;
    for (int i = 0; i < 10; i++) {
        snprintf(client, sizeof client, "198.51.%d.1", i);
        enum reason last = take_past_chances(r, client, "m.a.test", "a.test", "pull.a.test", 0);
        assert_true(i == 0 || last == REASON_RATE_DOMAIN);
    }
    assert_int_equal(take(r, "192.0.2.1", "m.a.test", "a.test", "pull.a.test", 0), REASON_NONE);
    rate_proven(r, &own, 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(take(r, "192.0.2.1", "m.a.test", "a.test", "pull.a.test", 0), REASON_NONE);
    assert_int_equal(take(r, "192.0.2.1", "m.a.test", "a.test", "pull.a.test", 0), REASON_RATE_DOMAIN);
    for (int i = 0; i < RATE_CHANCES; i++) { /* not one more for each name below the organisation's */
        snprintf(domain, sizeof domain, "m%d.a.test", i);
        take(r, "198.51.99.1", domain, "a.test", "pull.a.test", 0);
    }
    assert_int_equal(take(r, "198.51.99.1", "x.a.test", "a.test", "pull.a.test", 0),
                     REASON_RATE_ORGANISATION);
    assert_int_equal(take(r, "198.51.99.1", "x.a.test", "a.test", "pull.a.test", 60000 / RATE_CHANCES),
                     REASON_NONE);
    for (int i = 0; i < 20; i++) { /* the client's own rate has no such way round it */
        snprintf(domain, sizeof domain, "d%d.test", i);
        assert_int_equal(take(r, "198.51.99.1", domain, domain, NULL, 120000), REASON_NONE);
    }
    assert_int_equal(take(r, "198.51.99.1", "x.a.test", "a.test", "pull.a.test", 120000), REASON_RATE_CLIENT);
    rate_free(r);
}

/* Proven is who gets more than his chances where others have left nothing. Of hosts with a rate of one more.
 */
static bool was_proven(struct rate *r, const char *organisation, const char *host)
{
    for (int i = 0; i <= RATE_CHANCES; i++)
        take(r, NULL, NULL, NULL, host, 0);
    return take_past_chances(r, "192.0.2.1", NULL, organisation, host, 0) == REASON_NONE;
}

static void one_organisation_does_not_push_out_the_proofs_of_others(void **state)
{
    struct rate *r = rate_of((struct rate_options){.host_minute = RATE_CHANCES + 1, .buckets_max = 1000});
    struct netaddr a = addr("192.0.2.1");
    char domain[32], host[32];
    struct rate_subject s = {
        .client = &a, .domain = "a.test", .organisation = "a.test", .host = "pull.a.test"};
    int noted = 0;

    (void)state;
    rate_proven(r, &s, 0);
    for (int i = 0; i < 2000; i++) {
        snprintf(domain, sizeof domain, "d%d.e.test", i);
        snprintf(host, sizeof host, "pull%d.e.test", i);
        s = (struct rate_subject){.client = &a, .domain = domain, .organisation = "e.test", .host = host};
        rate_proven(r, &s, 0);
    }
    for (int i = 0; i < 2000; i++) {
        snprintf(host, sizeof host, "pull%d.e.test", i);
        noted += was_proven(r, "e.test", host);
    }
    assert_int_equal(noted, RATE_PROOFS_MAX);
    assert_true(was_proven(r, "a.test", "pull.a.test"));
    assert_false(was_proven(r, "b.test", "pull.b.test"));
    rate_free(r);
}

static void ordinary_mail_does_not_use_up_the_rate_of_stubs(void **state)
{
    struct rate *r =
        rate_of((struct rate_options){.client_minute = 20, .domain_minute = 2, .organisation_minute = 2});
    struct netaddr a = addr("192.0.2.1");
    const struct rate_subject mail = {
        .client = &a, .domain = "a.test", .organisation = "a.test", .ordinary = true};
    enum reason reason = REASON_NONE;

    (void)state;
    const struct rate_subject stub = {
        .client = &a, .domain = "a.test", .organisation = "a.test", .host = "pull.a.test"};
    rate_proven(r, &stub, 0);
    for (int i = 0; i < 2; i++)
        assert_true(rate_take(r, &mail, 0, &reason));
    assert_false(rate_take(r, &mail, 0, &reason));
    assert_int_equal(reason, REASON_RATE_DOMAIN);
    for (int i = 0; i < 2; i++)
        assert_true(rate_take(r, &stub, 0, &reason));
    assert_false(rate_take(r, &stub, 0, &reason));
    assert_int_equal(reason, REASON_RATE_DOMAIN);
    rate_free(r);
}

static void many_subjects_push_out_the_longest_unused(void **state)
{
    struct rate *r = rate_of((struct rate_options){.domain_minute = 1, .buckets_max = 1000});
    char domain[32];

    (void)state;
    for (int i = 0; i < 20000; i++) {
        snprintf(domain, sizeof domain, "d%d.test", i);
        assert_int_equal(take(r, NULL, domain, NULL, NULL, 0), REASON_NONE);
    }
    assert_int_equal(take(r, NULL, "d19500.test", NULL, NULL, 0), REASON_RATE_DOMAIN);
    assert_int_equal(take(r, NULL, "d0.test", NULL, NULL, 0), REASON_NONE);
    rate_free(r);
}

static void guessing_is_told_by_network_and_mailbox_for_an_hour(void **state)
{
    struct rate *r = rate_of((struct rate_options){.client_minute = 0});
    struct netaddr a = addr("192.0.2.1"), same = addr("192.0.2.2"), other = addr("192.0.3.1");

    (void)state;
    for (int i = 0; i < RATE_GUESSES_MAX; i++) {
        assert_false(rate_guessing(r, &a, "bob@b.test", 10 + i));
        rate_guessed(r, &a, "bob@b.test", 10 + i);
    }
    assert_true(rate_guessing(r, &same, "bob@b.test", 1000));
    assert_false(rate_guessing(r, &same, "rob@b.test", 1000));
    assert_false(rate_guessing(r, &other, "bob@b.test", 1000));
    assert_false(rate_guessing(r, NULL, "bob@b.test", 1000));
    assert_true(rate_guessing(r, &a, "bob@b.test", RATE_GUESSES_MS + 9));
    assert_false(rate_guessing(r, &a, "bob@b.test", RATE_GUESSES_MS + 10));
    rate_guessed(r, &a, "bob@b.test", RATE_GUESSES_MS + 10);
    assert_false(rate_guessing(r, &a, "bob@b.test", RATE_GUESSES_MS + 11));
    rate_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_bucket_has_its_reason),
        cmocka_unit_test(buckets_fill_evenly_up_to_a_minute),
        cmocka_unit_test(nothing_is_taken_when_one_is_empty),
        cmocka_unit_test(forgeries_do_not_use_up_what_the_proven_come_in_by),
        cmocka_unit_test(a_flooded_name_can_be_proven_for_the_first_time),
        cmocka_unit_test(one_organisation_does_not_push_out_the_proofs_of_others),
        cmocka_unit_test(ordinary_mail_does_not_use_up_the_rate_of_stubs),
        cmocka_unit_test(many_subjects_push_out_the_longest_unused),
        cmocka_unit_test(guessing_is_told_by_network_and_mailbox_for_an_hour),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
