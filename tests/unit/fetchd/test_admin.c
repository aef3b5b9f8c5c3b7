#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "admission/admission.h"
#include "local/admin_policy.h"
#include "local/admin_tokens.h"
#include "settings/settings.h"

static void policies_are_words(void **state)
{
    static const struct {
        enum policy_part part;
        const char *word;
        enum err err;
    } cases[] = {
        {PART_RULE, "open", ERR_OK},         {PART_RULE, "known", ERR_OK},
        {PART_RULE, "challenge", ERR_OK},    {PART_RULE, "default", ERR_OK},
        {PART_RULE, "closed", ERR_SYNTAX},   {PART_RULE, "", ERR_SYNTAX},
        {PART_RULE, "Open", ERR_SYNTAX},     {PART_LEGACY, "attempt", ERR_OK},
        {PART_LEGACY, "open", ERR_SYNTAX},   {PART_MODE, "observe", ERR_OK},
        {PART_MODE, "enforce", ERR_OK},      {PART_DENIAL, "told", ERR_OK},
        {PART_CHALLENGE, "work", ERR_OK},    {PART_CHALLENGE, "question", ERR_OK},
        {PART_CORRESPONDENTS, "on", ERR_OK}, {PART_CORRESPONDENTS, "yes", ERR_SYNTAX},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct policy *p = calloc(1, sizeof *p);
        assert_non_null(p);
        assert_int_equal(policy_part_set(p, cases[i].part, cases[i].word), cases[i].err);
        assert_string_equal(policy_part_get(p, cases[i].part), cases[i].err ? "default" : cases[i].word);
        free(p);
    }
}

static void each_part_has_a_place_of_its_own(void **state)
{
    static struct policy p;
    char words[120];

    (void)state;
    assert_int_equal(policy_part_set(&p, PART_RULE, "challenge"), ERR_OK);
    assert_int_equal(policy_part_set(&p, PART_LEGACY, "reject"), ERR_OK);
    assert_int_equal(policy_part_set(&p, PART_MODE, "enforce"), ERR_OK);
    assert_int_equal(policy_part_set(&p, PART_DENIAL, "silent"), ERR_OK);
    assert_int_equal(policy_part_set(&p, PART_CHALLENGE, "question"), ERR_OK);
    assert_int_equal(policy_part_set(&p, PART_CORRESPONDENTS, "off"), ERR_OK);
    assert_int_equal(p.rule, RULE_CHALLENGE);
    assert_int_equal(p.legacy, LEGACY_REJECT);
    assert_int_equal(p.mode, MODE_ENFORCE);
    assert_int_equal(p.denial, DENIAL_SILENT);
    assert_int_equal(p.challenge, CHALLENGE_QUESTION);
    assert_int_equal(p.correspondents, SWITCH_OFF);
    policy_part_words(PART_RULE, words);
    assert_string_equal(words, "open | known | challenge | default");
}

static void a_site_has_a_word_for_everything(void **state)
{
    struct settings s = {.mode = 1, .admission = 1, .legacy = 0, .denial = 0, .correspondents = true};
    const struct policy p = admission_site_policy(&s);

    (void)state;
    assert_string_equal(policy_part_get(&p, PART_RULE), "known");
    assert_string_equal(policy_part_get(&p, PART_LEGACY), "accept");
    assert_string_equal(policy_part_get(&p, PART_MODE), "enforce");
    assert_string_equal(policy_part_get(&p, PART_DENIAL), "silent");
    assert_string_equal(policy_part_get(&p, PART_CHALLENGE), "work");
    assert_string_equal(policy_part_get(&p, PART_CORRESPONDENTS), "on");
}

static void tokens_are_readable_and_differ(void **state)
{
    char one[POLICY_TOKEN_MAX + 1], other[POLICY_TOKEN_MAX + 1], normal[POLICY_TOKEN_MAX + 1];

    (void)state;
    for (int i = 0; i < 100; i++) {
        assert_int_equal(admin_token_random(one), ERR_OK);
        assert_int_equal(admin_token_random(other), ERR_OK);
        assert_int_equal(strlen(one), 15);
        assert_true(one[4] == '-' && one[9] == '-');
        assert_null(strpbrk(one, "ilo01"));
        assert_string_not_equal(one, other);
        assert_int_equal(admin_token_normal(one, normal), ERR_OK);
        assert_string_equal(one, normal);
    }
}

static void what_is_no_token_is_refused(void **state)
{
    static const struct {
        const char *text, *want; /* NULL: refused */
    } cases[] = {
        {"shop", "shop"},
        {"Shop_2-x", "shop_2-x"},
        {"1234567890123456789012345678901234567890123456789012345678901234",
         "1234567890123456789012345678901234567890123456789012345678901234"},
        {"12345678901234567890123456789012345678901234567890123456789012345", NULL},
        {"", NULL},
        {"a b", NULL},
        {"a+b", NULL},
        {"a.b", NULL},
        {"a@b", NULL},
        {"sh\xc3\xb6p", NULL},
        {"a\"b", NULL},
    };
    char out[POLICY_TOKEN_MAX + 1];

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        enum err e = admin_token_normal(cases[i].text, out);
        assert_int_equal(e, cases[i].want ? ERR_OK : ERR_SYNTAX);
        if (cases[i].want)
            assert_string_equal(out, cases[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(policies_are_words),
        cmocka_unit_test(each_part_has_a_place_of_its_own),
        cmocka_unit_test(a_site_has_a_word_for_everything),
        cmocka_unit_test(tokens_are_readable_and_differ),
        cmocka_unit_test(what_is_no_token_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
