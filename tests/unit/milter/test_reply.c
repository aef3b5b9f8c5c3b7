/* Which of fetchd's answers reach an SMTP client, and how they are written for libmilter. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "milter/reply.h"

static void answers(void **state)
{
    static const struct {
        const char *name;
        int status;
        const char *json;
        bool permanent_fine;
        int smtp;
        const char *enhanced;
    } table[] = {
        {"disk_full", 503, "{\"error\":\"disk-full\",\"smtp\":452,\"enhanced\":\"4.3.1\",\"text\":\"full\"}",
         true, 452, "4.3.1"},
        {"too_large", 413, "{\"error\":\"too-large\",\"smtp\":552,\"enhanced\":\"5.3.4\",\"text\":\"big\"}",
         true, 552, "5.3.4"},
        {"permanent_where_none_can_be", 500, "{\"smtp\":550,\"enhanced\":\"5.6.0\",\"text\":\"x\"}", false,
         451, "4.3.2"},
        {"temporary_is_always_fine", 503, "{\"smtp\":452,\"enhanced\":\"4.2.2\",\"text\":\"x\"}", false, 452,
         "4.2.2"},
        {"unknown_path", 404, "{\"smtp\":550,\"enhanced\":\"5.1.1\",\"text\":\"not found\"}", true, 451,
         "4.3.2"},
        {"wrong_method", 405, "{\"smtp\":550,\"enhanced\":\"5.1.1\",\"text\":\"x\"}", true, 451, "4.3.2"},
        {"success_that_is_none", 200, "{\"smtp\":250,\"enhanced\":\"2.0.0\",\"text\":\"ok\"}", true, 451,
         "4.3.2"},
        {"no_reply_in_it", 500, "{}", true, 451, "4.3.2"},
        {"no_json", 500, "<html>", true, 451, "4.3.2"},
        {"empty", 500, "", true, 451, "4.3.2"},
        {"classes_that_differ", 500, "{\"smtp\":550,\"enhanced\":\"4.6.0\",\"text\":\"x\"}", true, 451,
         "4.3.2"},
        {"without_enhanced_code", 500, "{\"smtp\":550,\"enhanced\":\"\",\"text\":\"x\"}", true, 451, "4.3.2"},
        {"code_of_no_reply", 500, "{\"smtp\":354,\"enhanced\":\"\",\"text\":\"x\"}", true, 451, "4.3.2"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct api_reply r = {0};
        print_message("  %s\n", table[i].name);
        reply_from_answer(&r, table[i].status, span_of(table[i].json), table[i].permanent_fine);
        assert_int_equal(r.smtp, table[i].smtp);
        assert_string_equal(r.enhanced, table[i].enhanced);
        assert_true(reply_is_refusal(&r));
    }
}

static void refusals(void **state)
{
    static const struct {
        int smtp;
        const char *enhanced;
        bool want;
    } table[] = {{550, "5.7.1", true},    {451, "4.123.456", true}, {550, "5.7", false},
                 {550, "5.7.", false},    {550, "5..1", false},     {550, ".7.1", false},
                 {550, "5.7.1.1", false}, {550, "5.7.1x", false},   {550, "5.1234.1", false},
                 {250, "2.0.0", false},   {600, "6.0.0", false},    {0, "", false}};

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct api_reply r = {.smtp = table[i].smtp};
        snprintf(r.enhanced, sizeof r.enhanced, "%s", table[i].enhanced);
        print_message("  %d %s\n", r.smtp, r.enhanced);
        assert_int_equal(reply_is_refusal(&r), table[i].want);
    }
}

static void text_for_libmilter(void **state)
{
    static const struct {
        const char *name, *text, *want;
    } table[] = {
        {"plain", "no such letter", "no such letter"},
        {"percent", "100% of %s", "100%% of %%s"},
        {"controls", "a\r\nb\tc\x7f", "a??b?c?"},
        {"empty", "", "refused"},
    };
    char out[REPLY_TEXT_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct api_reply r = {.smtp = 550};
        snprintf(r.text, sizeof r.text, "%s", table[i].text);
        print_message("  %s\n", table[i].name);
        reply_milter_text(&r, out);
        assert_string_equal(out, table[i].want);
    }
}

static void text_of_percents_fits(void **state)
{
    struct api_reply r = {.smtp = 550};
    char out[REPLY_TEXT_MAX];

    (void)state;
    memset(r.text, '%', sizeof r.text - 1);
    reply_milter_text(&r, out);
    assert_true(strlen(out) < REPLY_TEXT_MAX);
    assert_int_equal(strlen(out) % 2, 0);
}

static void long_text_is_cut(void **state)
{
    struct api_reply r;
    char long_text[1000];

    (void)state;
    memset(long_text, 'x', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    reply_set(&r, 552, "5.3.4", "%s", long_text);
    assert_int_equal(strlen(r.text), sizeof r.text - 1);
    assert_true(reply_is_refusal(&r));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers),
        cmocka_unit_test(refusals),
        cmocka_unit_test(text_for_libmilter),
        cmocka_unit_test(text_of_percents_fits),
        cmocka_unit_test(long_text_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
