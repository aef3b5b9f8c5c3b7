#include "unit.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"
#include "child.h"

static char got[20000];

/* What stands behind "<time> test: " of the only line; fails on anything else. */
static const char *text_of_one_line(void)
{
    const char *end = strchr(got, '\n');
    assert_non_null(end);
    assert_int_equal(end[1], '\0');
    assert_true(strlen(got) > 31);
    assert_memory_equal(got + 23, "Z test: ", 8);
    assert_memory_equal(got + 10, "T", 1);
    return got + 31;
}

static void hostile(void)
{
    log_open("test", LOG_LEVEL_INFO);
    log_debug("not wanted");
    log_warning("said \"%s\"", "a\r\nNov 21 fake: line\x1b[2J\xc3\xa9\\");
}

static void text_from_outside_cannot_make_a_line(void **state)
{
    (void)state;
    assert_int_equal(child_run(hostile, got, sizeof got), 0);
    assert_string_equal(text_of_one_line(),
                        "warning: said \"a\\x0d\\x0aNov 21 fake: line\\x1b[2J\\xc3\\xa9\\\\\"\n");
}

static void summary(void)
{
    struct log_line l;
    log_open("test", LOG_LEVEL_INFO);
    log_line_begin(&l, "4bXyz");
    log_line_str(&l, LOG_KEY_TICKET, "9f31c2a0");
    log_line_addr(&l, LOG_KEY_FROM, "a@a.test");
    log_line_addr(&l, LOG_KEY_TO, "\"x> to=<y\"@b.test");
    log_line_num(&l, LOG_KEY_SIZE, 81234);
    log_line_str(&l, LOG_KEY_REASON, "no \"such\" user");
    log_line_str(&l, LOG_KEY_HOST, "");
    log_line_delay(&l, 1299);
    log_line_status(&l, "delivered", "250 2.0.0 Ok: queued as 4bXzz");
    log_line_end(&l, LOG_LEVEL_INFO);
}

static void a_summary_line_reads_like_postfix(void **state)
{
    (void)state;
    assert_int_equal(child_run(summary, got, sizeof got), 0);
    assert_string_equal(
        text_of_one_line(),
        "4bXyz: ticket=9f31c2a0 from=<a@a.test> to=<\"x\\x3e\\x20to=\\x3cy\"@b.test> size=81234 "
        "reason=\"no \\x22such\\x22 user\" host=\"\" delay=1.2 status=delivered "
        "(250 2.0.0 Ok: queued as 4bXzz)\n");
}

static void long_ones(void)
{
    static char text[9000];
    struct log_line l;
    memset(text, '\n', sizeof text - 1);
    log_open("test", LOG_LEVEL_DEBUG);
    log_line_begin(&l, NULL);
    log_line_str(&l, LOG_KEY_REASON, text);
    log_line_delay(&l, -5);
    log_line_status(&l, "x", NULL);
    log_line_end(&l, LOG_LEVEL_DEBUG);
}

static void what_is_too_long_is_cut_and_says_so(void **state)
{
    (void)state;
    assert_int_equal(child_run(long_ones, got, sizeof got), 0);
    const char *text = text_of_one_line();
    assert_true(strlen(got) < 4096);
    assert_memory_equal(text, "debug: -: reason=\\x0a\\x0a", 24);
    assert_string_equal(text + strlen(text) - 4, "...\n");
}

static void to_the_journal(void)
{
    struct stat st;
    char stream[64];
    (void)fstat(STDERR_FILENO, &st);
    (void)snprintf(stream, sizeof stream, "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
    (void)setenv("JOURNAL_STREAM", stream, 1);
    log_open("test", LOG_LEVEL_DEBUG);
    log_error("a %d", 1);
    log_warning("b");
    log_info("c");
    log_debug("d");
}

static void elsewhere(void)
{
    (void)setenv("JOURNAL_STREAM", "1:1", 1);
    log_open("test", LOG_LEVEL_ERROR);
    log_warning("b");
    log_error("a");
}

static void the_journal_gets_priorities_and_only_the_journal(void **state)
{
    (void)state;
    assert_int_equal(child_run(to_the_journal, got, sizeof got), 0);
    assert_string_equal(got, "<3>error: a 1\n<4>warning: b\n<6>c\n<7>debug: d\n");
    assert_int_equal(child_run(elsewhere, got, sizeof got), 0);
    assert_string_equal(text_of_one_line(), "error: a\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_from_outside_cannot_make_a_line),
        cmocka_unit_test(a_summary_line_reads_like_postfix),
        cmocka_unit_test(what_is_too_long_is_cut_and_says_so),
        cmocka_unit_test(the_journal_gets_priorities_and_only_the_journal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
