#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "local/correspondents.h"
#include "local/legacy.h"

/* The structs own their strings; the samples here are literals that nobody frees or changes. */
#pragma GCC diagnostic ignored "-Wdiscarded-qualifiers"
#pragma GCC diagnostic ignored "-Wwrite-strings"

#define ACCEPT                                                                                               \
    {                                                                                                        \
        VERDICT_ADMIT, REASON_LEGACY_ACCEPT, false, ""                                                       \
    }
#define KEEP                                                                                                 \
    {                                                                                                        \
        VERDICT_WAIT, REASON_LEGACY_ATTEMPT, false, ""                                                       \
    }
#define REJECT                                                                                               \
    {                                                                                                        \
        VERDICT_REFUSE, REASON_LEGACY_REJECT, false, "no"                                                    \
    }
#define DENY                                                                                                 \
    {                                                                                                        \
        VERDICT_DENY, REASON_DENIED, false, ""                                                               \
    }
#define DENY_ALOUD                                                                                           \
    {                                                                                                        \
        VERDICT_DENY, REASON_DENIED, true, "never"                                                           \
    }
#define PUT_OFF                                                                                              \
    {                                                                                                        \
        VERDICT_REFUSE, REASON_DNS_TEMPORARY, false, "x.test: later"                                         \
    }

static void all_recipients_words_make_one_answer(void **state)
{
    static const struct {
        const char *name;
        struct legacy_word word[4];
        size_t count;
        int smtp;
        const char *text, *verdicts; /* p k d */
    } cases[] = {
        {"one takes it", {ACCEPT}, 1, 0, "", "p"},
        {"one keeps it", {KEEP}, 1, 0, "", "k"},
        {"one refuses it", {REJECT}, 1, 550, "no", ""},
        {"one denies its sender in silence", {DENY}, 1, 0, "", "d"},
        {"one denies its sender aloud", {DENY_ALOUD}, 1, 550, "never", ""},
        {"all refuse it", {REJECT, DENY_ALOUD}, 2, 550, "no", ""},
        {"nobody takes it, and one says so", {DENY, REJECT}, 2, 550, "no", ""},
        {"who would refuse it keeps it when another takes it", {REJECT, ACCEPT}, 2, 0, "", "kp"},
        {"and when another keeps it", {REJECT, KEEP}, 2, 0, "", "kk"},
        {"a denied one is dropped when another takes it", {DENY_ALOUD, ACCEPT, DENY}, 3, 0, "", "dpd"},
        {"one that cannot be judged now puts it off", {ACCEPT, KEEP, PUT_OFF}, 3, 451, "x.test: later", ""},
        {"also when another refuses", {REJECT, PUT_OFF}, 2, 451, "x.test: later", ""},
        {"nobody", {ACCEPT}, 0, 0, "", ""},
    };
    static const char letters[] = {
        [API_VERDICT_PLAIN] = 'p', [API_VERDICT_KEEP] = 'k', [API_VERDICT_DROP] = 'd'};

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct api_plan_answer a;
        assert_int_equal(legacy_decide(cases[i].word, cases[i].count, &a), ERR_OK);
        if (a.refuse.smtp != cases[i].smtp || strcmp(a.refuse.text, cases[i].text) != 0)
            fail_msg("%s: %d %s", cases[i].name, a.refuse.smtp, a.refuse.text);
        assert_int_equal(a.kind, API_LEGACY);
        assert_int_equal(a.recipient_count, cases[i].count);
        bool kept = false;
        for (size_t k = 0; !a.refuse.smtp && k < cases[i].count; k++) {
            if (letters[a.verdict[k]] != cases[i].verdicts[k])
                fail_msg("%s: recipient %zu: %d", cases[i].name, k, a.verdict[k]);
            kept = kept || a.verdict[k] == API_VERDICT_KEEP;
        }
        assert_int_equal(a.want_body, kept);
        api_plan_answer_free(&a);
    }
}

static void a_message_is_kept_for_a_bounded_number(void **state)
{
    struct legacy_word word[LEGACY_KEPT_MAX + 2];
    struct api_plan_answer a;

    (void)state;
    for (size_t i = 0; i < COUNT(word); i++)
        word[i] = (struct legacy_word)KEEP;
    word[0] = (struct legacy_word)ACCEPT;
    assert_int_equal(legacy_decide(word, LEGACY_KEPT_MAX + 1, &a), ERR_OK);
    assert_int_equal(a.refuse.smtp, 0);
    api_plan_answer_free(&a);
    assert_int_equal(legacy_decide(word, LEGACY_KEPT_MAX + 2, &a), ERR_OK);
    assert_int_equal(a.refuse.smtp, 550);
    assert_false(a.want_body);
    api_plan_answer_free(&a);
}

static void messages_are_read(void **state)
{
    static const struct {
        const char *name, *sender;
        struct api_field field[2];
        size_t count;
        const char *author; /* "": none */
        bool null;
    } cases[] = {
        {"an ordinary one", "x@x.test", {{"From", " X <X@x.test>"}}, 1, "X@x.test", false},
        {"no author", "x@x.test", {{"Subject", " y"}}, 1, "", false},
        {"two authors", "x@x.test", {{"From", " a@x.test, b@x.test"}}, 1, "", false},
        {"two From fields", "x@x.test", {{"From", " a@x.test"}, {"from", " b@x.test"}}, 2, "", false},
        {"an address literal", "x@[192.0.2.1]", {{"From", " a@x.test"}}, 1, "a@x.test", true},
        {"null reverse-path", "", {{"Content-Type", " text/plain"}}, 1, "", true},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct api_plan request = {.envelope = {.domains = "b.test", .sender = cases[i].sender},
                                         .field_count = cases[i].count,
                                         .field = (struct api_field *)cases[i].field};
        struct legacy l;
        char author[ADDRESS_TEXT_MAX];
        print_message("  %s\n", cases[i].name);
        assert_int_equal(legacy_read(&request, &l), ERR_OK);
        address_text(&l.author, author);
        assert_string_equal(author, cases[i].author);
        assert_int_equal(l.sender.null, cases[i].null);
        legacy_free(&l);
    }
}

static void who_writes_to_somebody_wants_his_answer(void **state)
{
    static const struct {
        const char *sender;
        struct api_field field;
        bool fits;
    } cases[] = {
        {"a@a.test", {"From", " a@a.test"}, true},
        {"", {"From", " a@a.test"}, false},
        {"a@a.test", {"Auto-Submitted", " no"}, true},
        {"a@a.test", {"Auto-Submitted", " auto-replied"}, false},
        {"a@a.test", {"Precedence", " bulk"}, false},
        {"a@a.test", {"Precedence", " junk"}, false},
        {"a@a.test", {"Precedence", " urgent"}, true},
        {"a@a.test", {"List-Id", " <l.a.test>"}, false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct api_plan letter = {.envelope = {.sender = cases[i].sender},
                                        .field_count = 1,
                                        .field = (struct api_field *)&cases[i].field};
        if (correspondents_fit(&letter) != cases[i].fits)
            fail_msg("%s: %s", cases[i].field.name, cases[i].field.value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_recipients_words_make_one_answer),
        cmocka_unit_test(a_message_is_kept_for_a_bounded_number),
        cmocka_unit_test(messages_are_read),
        cmocka_unit_test(who_writes_to_somebody_wants_his_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
