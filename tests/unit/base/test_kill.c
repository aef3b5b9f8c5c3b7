#include "unit.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>

#include "base/kill.h"
#include "child.h"

static void walk(void)
{
    for (int i = 0; i < 3; i++) {
        KILL_POINT("test-loop");
        (void)!write(STDERR_FILENO, "x", 1);
    }
    KILL_POINT("test-end");
    KILL_POINT("test-loop");
    (void)!write(STDERR_FILENO, "end", 3);
}

static void *in_thread(void *arg)
{
    KILL_POINT("test-thread");
    return arg;
}

static void walk_in_threads(void)
{
    for (int i = 0; i < 4; i++) {
        pthread_t t;
        if (pthread_create(&t, NULL, in_thread, NULL) == 0)
            (void)pthread_join(t, NULL);
        (void)!write(STDERR_FILENO, "x", 1);
    }
}

static void the_named_pass_kills(void **state)
{
    static const struct {
        const char *kill;
        void (*run)(void);
        const char *wrote;
        bool dies;
    } rows[] = {
        {"test-loop:1", walk, "", true},        {"test-loop:3", walk, "xx", true},
        {"test-loop:4", walk, "xxx", true}, /* two places of one name count together */
        {"test-loop:5", walk, "xxxend", false}, {"test-loop:0", walk, "xxxend", false},
        {"test-loop", walk, "xxxend", false},   {"test-end:1", walk, "xxx", true},
        {"other:1", walk, "xxxend", false},     {"test-thread:3", walk_in_threads, "xx", true},
    };
    char got[100];
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        (void)setenv("RESTANTE_KILL", rows[i].kill, 1);
        int status = child_run(rows[i].run, got, sizeof got);
#ifdef RESTANTE_TESTING
        assert_string_equal(got, rows[i].wrote);
        assert_int_equal(WIFSIGNALED(status), rows[i].dies);
        if (rows[i].dies)
            assert_int_equal(WTERMSIG(status), SIGKILL);
#else
        assert_int_equal(status, 0);
#endif
    }
    (void)unsetenv("RESTANTE_KILL");
}

static void the_points_are_listed_once_and_sorted(void **state)
{
    char text[200] = "";
    (void)state;
    FILE *f = fmemopen(text, sizeof text, "w");
    assert_non_null(f);
    kill_points_print(f);
    (void)fclose(f);
#ifdef RESTANTE_TESTING
    assert_string_equal(text, "test-end\ntest-loop\ntest-thread\n");
#else
    assert_string_equal(text, "");
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_named_pass_kills),
        cmocka_unit_test(the_points_are_listed_once_and_sorted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
