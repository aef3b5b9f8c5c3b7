#include "unit.h"

#include <string.h>

#include "local/plan.h"

/* The site: a.test enabled; it hosts old.test too; submission from 10.0.0.0/8. The table: b.test pull, p.test
 * plain. */
static char local_domain[1][ADDRESS_DOMAIN_MAX + 1] = {"old.test"};
static struct netprefix submission[1];
static struct site site = {.local_count = 1,
                           .local_domain = local_domain,
                           .submission_count = 1,
                           .submission = submission,
                           .link_port = 443};
static struct routes *routes;

static int set_up(void **state)
{
    struct buf why;

    (void)state;
    buf_init(&why, 100);
    return netprefix_parse(SPAN_LITERAL("10.0.0.0/8"), &submission[0]) ||
           routes_parse("domains", SPAN_LITERAL("b.test pull\np.test plain\n"), &routes, &why);
}

static int tear_down(void **state)
{
    (void)state;
    routes_free(routes);
    return 0;
}

struct message {
    const char *domains, *sender, *client, *auth;
    bool command_line;
    const char *recipient[4];
    const char *mailer[4];
    const char *field[3][2];
};

/* Literals go where the API owns its strings: nothing writes to them. */
static char *text(const char *literal)
{
    union {
        const char *in;
        char *out;
    } u = {.in = literal};
    return u.out;
}

static enum err sort(const struct message *m, struct plan *out)
{
    struct api_recipient recipient[4] = {{0}};
    struct api_field field[3] = {{0}};
    struct api_plan request = {.envelope = {.domains = text(m->domains),
                                            .sender = text(m->sender),
                                            .client_address = text(m->client),
                                            .auth = text(m->auth),
                                            .command_line = m->command_line,
                                            .recipient = recipient},
                               .field = field};

    for (size_t i = 0; i < 4 && m->recipient[i]; i++) {
        recipient[i] = (struct api_recipient){.address = text(m->recipient[i]), .mailer = text(m->mailer[i])};
        request.envelope.recipient_count++;
    }
    for (size_t i = 0; i < 3 && m->field[i][0]; i++) {
        field[i] = (struct api_field){text(m->field[i][0]), text(m->field[i][1])};
        request.field_count++;
    }
    return plan_sort(&site, routes, &request, out);
}

static void only_submissions_of_enabled_domains_are_letters(void **state)
{
    static const struct {
        const char *name;
        struct message message;
        enum api_kind want;
    } cases[] = {
        {"authenticated",
         {"a.test", "u@a.test", "192.0.2.1", "u", false, {"x@c.test"}, {0}, {{0}}},
         API_LETTER},
        {"submission network",
         {"a.test", "<u@A.Test>", "10.1.2.3", NULL, false, {"x@c.test"}, {0}, {{0}}},
         API_LETTER},
        {"sendmail(1)",
         {"x.test, a.test", "u@a.test", "127.0.0.1", NULL, true, {"x@c.test"}, {0}, {{0}}},
         API_LETTER},
        {"stranger who is relayed",
         {"a.test", "u@a.test", "192.0.2.1", NULL, false, {"x@c.test"}, {"smtp"}, {{0}}},
         API_NONE},
        {"empty login", {"a.test", "u@a.test", "192.0.2.1", "", false, {"x@c.test"}, {0}, {{0}}}, API_NONE},
        {"no domain enabled", {NULL, "u@a.test", "10.1.2.3", "u", false, {"x@c.test"}, {0}, {{0}}}, API_NONE},
        {"empty list", {"", "u@a.test", "10.1.2.3", "u", false, {"x@c.test"}, {0}, {{0}}}, API_NONE},
        {"another domain of the site",
         {"a.test", "u@old.test", "10.1.2.3", "u", false, {"x@c.test"}, {0}, {{0}}},
         API_NONE},
        {"a domain below the enabled one",
         {"a.test", "u@x.a.test", "10.1.2.3", "u", false, {"x@c.test"}, {0}, {{0}}},
         API_NONE},
        {"null reverse-path", {"a.test", "", "10.1.2.3", "u", false, {"x@c.test"}, {0}, {{0}}}, API_NONE},
        {"delivery report",
         {"a.test",
          "u@a.test",
          "10.1.2.3",
          "u",
          false,
          {"x@c.test"},
          {0},
          {{"content-type", " multipart/report; report-type=delivery-status; boundary=x"}}},
         API_NONE},
        {"a stub field from our own user is only a field",
         {"a.test", "u@a.test", "10.1.2.3", "u", false, {"x@c.test"}, {0}, {{"Restante-Stub", " v=1"}}},
         API_LETTER},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct plan plan;
        assert_int_equal(sort(&cases[i].message, &plan), ERR_OK);
        if (plan.kind != cases[i].want)
            fail_msg("%s: %d (%s)", cases[i].name, plan.kind, plan.reason ? plan.reason : "");
        assert_int_equal(plan.refuse.smtp, 0);
        plan_free(&plan);
    }
}

static void stubs_are_recognised_and_bad_ones_refused(void **state)
{
    static const struct {
        const char *name;
        struct message message;
        enum api_kind want;
        int refused;
    } cases[] = {
        {"a stub",
         {"a.test",
          "r@b.test",
          "192.0.2.1",
          NULL,
          false,
          {"u@a.test"},
          {0},
          {{"Restante-Stub", " v=1; u=..."}}},
         API_STUB,
         0},
        {"whatever stands in it",
         {"a.test", "r@b.test", "192.0.2.1", NULL, false, {"u@a.test"}, {0}, {{"restante-stub", " rubbish"}}},
         API_STUB,
         0},
        {"from the null reverse-path",
         {"a.test", "", "192.0.2.1", NULL, false, {"u@a.test"}, {0}, {{"Restante-Stub", " v=1"}}},
         API_STUB,
         0},
        {"two fields",
         {"a.test",
          "r@b.test",
          "192.0.2.1",
          NULL,
          false,
          {"u@a.test"},
          {0},
          {{"Restante-Stub", " v=1"}, {"Restante-Stub", " v=1"}}},
         API_STUB,
         550},
        {"two recipients",
         {"a.test",
          "r@b.test",
          "192.0.2.1",
          NULL,
          false,
          {"u@a.test", "v@a.test"},
          {0},
          {{"Restante-Stub", " v=1"}}},
         API_STUB,
         550},
        {"to a domain that is not enabled",
         {"a.test", "r@b.test", "192.0.2.1", NULL, false, {"u@old.test"}, {0}, {{"Restante-Stub", " v=1"}}},
         API_NONE,
         0},
        {"no field",
         {"a.test", "r@b.test", "192.0.2.1", NULL, false, {"u@a.test"}, {0}, {{"From", " v=1"}}},
         API_LEGACY,
         0},
        {"no field, from the null reverse-path",
         {"a.test", "", "192.0.2.1", NULL, false, {"x@c.test", "u@a.test"}, {0}, {{0}}},
         API_LEGACY,
         0},
        {"no field, in our name from outside",
         {"a.test", "u@a.test", "192.0.2.1", NULL, false, {"u@a.test"}, {0}, {{0}}},
         API_LEGACY,
         0},
        {"no field, to a domain that is not enabled",
         {"a.test", "r@b.test", "192.0.2.1", NULL, false, {"u@old.test"}, {0}, {{0}}},
         API_NONE,
         0},
        {"no field, from a submission network",
         {"a.test", "r@b.test", "10.1.2.3", NULL, false, {"u@a.test"}, {0}, {{0}}},
         API_NONE,
         0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct plan plan;
        assert_int_equal(sort(&cases[i].message, &plan), ERR_OK);
        if (plan.kind != cases[i].want || plan.refuse.smtp != cases[i].refused)
            fail_msg("%s: %d %d", cases[i].name, plan.kind, plan.refuse.smtp);
        plan_free(&plan);
    }
}

static struct message to_one(const char *recipient, const char *mailer)
{
    return (struct message){"a.test", "u@a.test", "10.0.0.1", NULL, false, {recipient}, {mailer}, {{0}}};
}

static void each_recipient_is_sorted_by_mailer_own_domains_and_table(void **state)
{
    static const struct {
        const char *recipient, *mailer;
        enum plan_want want;
    } cases[] = {
        {"x@c.test", NULL, PLAN_WANT_AUTO},        {"<x@c.test>", "smtp", PLAN_WANT_AUTO},
        {"x@c.test", "relay", PLAN_WANT_AUTO},     {"x@c.test", "esmtp", PLAN_WANT_AUTO},
        {"x@c.test", "SMTP", PLAN_WANT_AUTO},      {"x@c.test", "local", PLAN_WANT_PLAIN},
        {"x@c.test", "virtual", PLAN_WANT_PLAIN},  {"x@c.test", "lmtp", PLAN_WANT_PLAIN},
        {"x@c.test", "restante", PLAN_WANT_PLAIN}, {"x@b.test", "smtp", PLAN_WANT_PULL},
        {"x@b.test", "virtual", PLAN_WANT_PLAIN},  {"x@p.test", NULL, PLAN_WANT_PLAIN},
        {"x@a.test", NULL, PLAN_WANT_PLAIN},       {"x@a.test", "smtp", PLAN_WANT_PLAIN},
        {"x@old.test", "relay", PLAN_WANT_PLAIN},  {"x@[192.0.2.1]", "smtp", PLAN_WANT_PLAIN},
        {"postmaster", NULL, PLAN_WANT_PLAIN},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct plan plan;
        struct message m = to_one(cases[i].recipient, cases[i].mailer);
        assert_int_equal(sort(&m, &plan), ERR_OK);
        assert_int_equal(plan.kind, API_LETTER);
        if (plan.recipient[0].want != cases[i].want)
            fail_msg("%s %s", cases[i].recipient, cases[i].mailer ? cases[i].mailer : "-");
        assert_int_equal(plan.domain_count, cases[i].want == PLAN_WANT_PLAIN ? 0 : 1);
        plan_free(&plan);
    }
}

static void each_domain_is_asked_once(void **state)
{
    const struct message m = {"a.test", "u@a.test", "10.0.0.1",
                              NULL,     false,      {"x@d.test", "y@C.test", "z@d.TEST", "w@c.test"},
                              {0},      {{0}}};
    struct plan plan;

    (void)state;
    assert_int_equal(sort(&m, &plan), ERR_OK);
    assert_int_equal(plan.domain_count, 2);
    assert_string_equal(plan.domain[0], "c.test");
    assert_string_equal(plan.domain[1], "d.test");
    assert_int_equal(plan.recipient[0].domain, 1);
    assert_int_equal(plan.recipient[1].domain, 0);
    assert_int_equal(plan.recipient[2].domain, 1);
    assert_int_equal(plan.recipient[3].domain, 0);
    plan_free(&plan);
}

static void the_answers_decide(void **state)
{
    static const struct {
        const char *recipient;
        enum discovery_word word;
        bool disk_low;
        enum api_verdict want;
        int refused;
    } cases[] = {
        {"x@c.test", DISCOVERY_YES, false, API_VERDICT_STUB, 0},
        {"x@c.test", DISCOVERY_NO, false, API_VERDICT_PLAIN, 0},
        {"x@c.test", DISCOVERY_UNKNOWN, false, API_VERDICT_PLAIN, 0},
        {"x@c.test", DISCOVERY_TESTING, false, API_VERDICT_PLAIN, 0},
        {"x@c.test", DISCOVERY_YES, true, API_VERDICT_PLAIN, 0},
        {"x@b.test", DISCOVERY_YES, false, API_VERDICT_STUB, 0},
        {"x@b.test", DISCOVERY_TESTING, false, API_VERDICT_STUB, 0},
        {"x@b.test", DISCOVERY_NO, false, API_VERDICT_STUB, 451},
        {"x@b.test", DISCOVERY_UNKNOWN, false, API_VERDICT_STUB, 451},
        {"x@b.test", DISCOVERY_YES, true, API_VERDICT_STUB, 452},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct plan plan;
        struct api_plan_answer answer;
        struct message m = to_one(cases[i].recipient, "smtp");
        const struct discovery_answer word = {cases[i].word, false};
        assert_int_equal(sort(&m, &plan), ERR_OK);
        assert_int_equal(plan_decide(&plan, &word, cases[i].disk_low, &answer), ERR_OK);
        if (answer.refuse.smtp != cases[i].refused ||
            (!cases[i].refused &&
             (answer.verdict[0] != cases[i].want || answer.want_body != (cases[i].want == API_VERDICT_STUB))))
            fail_msg("case %zu: %d %d", i, answer.verdict[0], answer.refuse.smtp);
        if (cases[i].refused == 451)
            assert_string_equal(answer.refuse.enhanced, "4.4.3");
        api_plan_answer_free(&answer);
        plan_free(&plan);
    }
}

static void a_mixed_message_is_told_apart_recipient_by_recipient(void **state)
{
    const struct message m = {"a.test", "u@a.test", "10.0.0.1",
                              NULL,     false,      {"x@c.test", "y@a.test", "z@d.test", "w@p.test"},
                              {0},      {{0}}};
    const struct discovery_answer words[] = {{DISCOVERY_NO, false}, {DISCOVERY_YES, false}};
    static const enum api_verdict want[] = {API_VERDICT_PLAIN, API_VERDICT_PLAIN, API_VERDICT_STUB,
                                            API_VERDICT_PLAIN};
    struct plan plan;
    struct api_plan_answer answer;

    (void)state;
    assert_int_equal(sort(&m, &plan), ERR_OK);
    assert_int_equal(plan_decide(&plan, words, false, &answer), ERR_OK);
    assert_int_equal(answer.recipient_count, 4);
    assert_memory_equal(answer.verdict, want, sizeof want);
    assert_true(answer.want_body);
    api_plan_answer_free(&answer);
    plan_free(&plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_submissions_of_enabled_domains_are_letters),
        cmocka_unit_test(stubs_are_recognised_and_bad_ones_refused),
        cmocka_unit_test(each_recipient_is_sorted_by_mailer_own_domains_and_table),
        cmocka_unit_test(each_domain_is_asked_once),
        cmocka_unit_test(the_answers_decide),
        cmocka_unit_test(a_mixed_message_is_told_apart_recipient_by_recipient),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
