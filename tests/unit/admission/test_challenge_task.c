/* What a challenge asks for: work that grows with recent use and is good once, or one of the owner's answers.
 */
#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "admission/challenge.h"
#include "env/env.h"
#include "settings/settings.h"
#include "store/store.h"
#include "ticket/sitekey.h"

#define NOW 1800000000LL

static struct env env;
static struct settings settings = {.challenge_work = 50, .challenge_work_max = 400, .challenge_life_s = 3600};

static int set_up(void **state)
{
    static const uint16_t epoch = 1;
    static const uint8_t key[1][SITEKEY_BYTES] = {{7}};
    const struct store_options options = {.engine = STORE_MEMORY, .dedupe_s = 86400, .tombstone_s = 86400};
    struct site_keys *keys;
    struct buf why;
    (void)state;
    buf_init(&why, 200);
    if (site_keys_from_bytes(&epoch, key, 1, &keys) != ERR_OK ||
        store_open(&options, keys, &env.store, &why) != ERR_OK || challenge_create(&env.challenge) != ERR_OK)
        return -1;
    env.keys = keys;
    env.settings = &settings;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    challenge_free(env.challenge);
    store_close(env.store);
    site_keys_free((struct site_keys *)env.keys);
    return 0;
}

static void work_doubles_up_to_its_maximum(void **state)
{
    static const struct {
        uint64_t base, max;
        uint32_t recent;
        uint64_t want;
    } rows[] = {
        {100000, 3200000, 0, 100000},  {100000, 3200000, 7, 100000},   {100000, 3200000, 8, 200000},
        {100000, 3200000, 16, 400000}, {100000, 3200000, 40, 3200000}, {100000, 3200000, UINT32_MAX, 3200000},
        {100000, 300000, 100, 300000}, {100000, 100000, 100, 100000},  {100000, 1, 100, 100000},
        {1, (uint64_t)1 << 60, 8, 2},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_int_equal(challenge_work_of(rows[i].base, rows[i].max, rows[i].recent), rows[i].want);
}

static void answers_are_compared_folded(void **state)
{
    static const struct {
        const char *answers, *given;
        bool want;
    } rows[] = {
        {"New York", "new york", true},
        {"New York", "  NEW \t YORK\r\n", true},
        {"New York", "newyork", false},
        {"New York", "New Yor", false},
        {"New York", "New Yorks", false},
        {"  two  \nThree\n", "three", true},
        {"  two  \nThree\n", "TWO", true},
        {"two\r\nthree\r\n", "two", true},
        {"two\n\nthree", "", false},
        {"two\n\nthree", "   ", false},
        {"two\nthree", "two\nthree", false},
        {"K\xc3\xb6ln", "k\xc3\x96LN", true},
        {"\xd0\x9c\xd0\xbe\xd1\x81\xd0\xba\xd0\xb2\xd0\xb0",
         "\xd0\xbc\xd0\xbe\xd1\x81\xd0\xba\xd0\xb2\xd0\xb0", true},
        {"a\xc2\xa0"
         "b",
         "A b", true},
        {"K\xc3\xb6ln", "K\xf6ln", false},
        {"", "", false},
        {"", "x", false},
        {"\n", " ", false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        if (challenge_answer_matches(rows[i].answers, rows[i].given) != rows[i].want)
            fail_msg("%s / %s", rows[i].answers, rows[i].given);
}

static void a_question_without_question_or_answer_is_work(void **state)
{
    static const struct {
        enum policy_challenge kind;
        const char *question, *answers;
        bool want;
    } rows[] = {
        {CHALLENGE_QUESTION, "Who?", "me", true}, {CHALLENGE_QUESTION, "", "me", false},
        {CHALLENGE_QUESTION, "Who?", "", false},  {CHALLENGE_QUESTION, "Who?", " \n ", false},
        {CHALLENGE_WORK, "Who?", "me", false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct policy p = {.challenge = rows[i].kind};
        strcpy(p.question, rows[i].question);
        strcpy(p.answers, rows[i].answers);
        assert_int_equal(challenge_asks_question(&p), rows[i].want);
    }
}

struct row {
    struct challenge_token token;
    char text[CHALLENGE_TOKEN_MAX + 1];
    struct attempt attempt;
};

static void make_row(const char *sender, const char *verified, struct row *r)
{
    char text[CHALLENGE_TOKEN_MAX + 1];
    memset(r, 0, sizeof *r);
    r->token.expires_s = NOW + 86400;
    strcpy(r->token.mailbox, "bob@b.test");
    strcpy(r->token.sender, sender);
    strcpy(r->attempt.verified, verified);
    snprintf(r->attempt.link_host, sizeof r->attempt.link_host, "pull.%s", verified);
    assert_int_equal(challenge_token_make(env.keys, &r->token, text), ERR_OK);
    strcpy(r->text, text);
    assert_int_equal(challenge_token_read(env.keys, span_of(text), NOW, &r->token), ERR_OK);
}

static void solve(struct altcha *c)
{
    static const uint8_t any[ALTCHA_KEY_BYTES];
    for (uint64_t n = 0, max = c->number; n <= max; n++) {
        struct altcha tried;
        assert_int_equal(altcha_compute(any, c->salt, n, &tried), ERR_OK);
        if (strcmp(tried.challenge, c->challenge) == 0) {
            c->number = n;
            return;
        }
    }
    fail_msg("not to be solved");
}

static void work_is_good_once_and_for_one_row(void **state)
{
    struct row alice, eve;
    struct altcha c;
    (void)state;
    make_row("alice@a.test", "a.test", &alice);
    make_row("eve@a.test", "a.test", &eve);
    assert_int_equal(challenge_work_begin(&env, span_of(alice.text), &alice.token, &alice.attempt, NOW, &c),
                     ERR_OK);
    assert_int_equal(c.number, 50);
    solve(&c);
    assert_int_equal(challenge_work_check(&env, span_of(eve.text), &eve.token, &eve.attempt, &c, NOW),
                     ERR_FORBIDDEN);
    assert_int_equal(
        challenge_work_check(&env, span_of(alice.text), &alice.token, &alice.attempt, &c, NOW + 3601),
        ERR_GONE);
    assert_int_equal(challenge_work_check(&env, span_of(alice.text), &alice.token, &alice.attempt, &c, NOW),
                     ERR_OK);
    assert_int_equal(challenge_work_check(&env, span_of(alice.text), &alice.token, &alice.attempt, &c, NOW),
                     ERR_EXISTS);
}

static void work_grows_with_an_organisation_and_a_host(void **state)
{
    struct row r;
    struct altcha c;
    (void)state;
    for (int i = 0; i < 8; i++) {
        char domain[32];
        snprintf(domain, sizeof domain, "n%d.flood.test", i);
        make_row("x@flood.test", domain, &r);
        assert_int_equal(challenge_work_begin(&env, span_of(r.text), &r.token, &r.attempt, NOW, &c), ERR_OK);
        assert_int_equal(c.number, 50);
    }
    make_row("y@flood.test", "flood.test", &r);
    assert_int_equal(challenge_work_begin(&env, span_of(r.text), &r.token, &r.attempt, NOW, &c), ERR_OK);
    assert_int_equal(c.number, 100);
    make_row("z@quiet.test", "quiet.test", &r);
    strcpy(r.attempt.link_host, "pull.flood.test");
    assert_int_equal(challenge_work_begin(&env, span_of(r.text), &r.token, &r.attempt, NOW, &c), ERR_OK);
    assert_int_equal(c.number, 50);
    make_row("y@flood.test", "flood.test", &r);
    assert_int_equal(challenge_work_begin(&env, span_of(r.text), &r.token, &r.attempt, NOW + 86400, &c),
                     ERR_OK);
    assert_int_equal(c.number, 50);
}

static void few_wrong_answers_are_borne(void **state)
{
    struct row alice, eve;
    struct policy p = {.challenge = CHALLENGE_QUESTION, .question = "Who?", .answers = "me"};
    (void)state;
    make_row("alice@q.test", "q.test", &alice);
    make_row("eve@q.test", "q.test", &eve);
    for (int i = 0; i < 5; i++)
        assert_int_equal(challenge_question_check(&env, &alice.token, &p, "you", NOW), ERR_ANSWER);
    assert_int_equal(challenge_question_check(&env, &alice.token, &p, "me", NOW), ERR_RATE);
    assert_int_equal(challenge_question_check(&env, &eve.token, &p, "ME", NOW), ERR_OK);
    assert_int_equal(challenge_question_check(&env, &alice.token, &p, "me", NOW + 3600), ERR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(work_doubles_up_to_its_maximum),
        cmocka_unit_test(answers_are_compared_folded),
        cmocka_unit_test(a_question_without_question_or_answer_is_work),
        cmocka_unit_test(work_is_good_once_and_for_one_row),
        cmocka_unit_test(work_grows_with_an_organisation_and_a_host),
        cmocka_unit_test(few_wrong_answers_are_borne),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
