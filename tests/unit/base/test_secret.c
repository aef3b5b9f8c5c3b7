#include "unit.h"

#include <signal.h>
#include <string.h>

#include "base/secret.h"
#include "child.h"

static void random_bytes_and_comparison(void **state)
{
    unsigned char a[64] = {0}, b[64] = {0};
    (void)state;
    assert_true(secret_equal(a, b, sizeof a));
    assert_true(secret_equal(NULL, NULL, 0));
    assert_int_equal(secret_random(a, sizeof a), ERR_OK);
    assert_int_equal(secret_random(b, sizeof b), ERR_OK);
    assert_false(secret_equal(a, b, sizeof a));
    memcpy(b, a, sizeof b);
    b[63] ^= 1;
    assert_false(secret_equal(a, b, sizeof a));
    assert_true(secret_equal(a, b, 63));
    secret_wipe(a, sizeof a);
    memset(b, 0, sizeof b);
    assert_memory_equal(a, b, sizeof a);
    secret_wipe(NULL, 0);
}

static void die_without_core(void)
{
    if (secret_forbid_cores() == ERR_OK)
        (void)raise(SIGQUIT);
}

static void no_core_is_left(void **state)
{
    char got[10];
    (void)state;
    int status = child_run(die_without_core, got, sizeof got);
    assert_true(WIFSIGNALED(status));
    assert_false(WCOREDUMP(status));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_bytes_and_comparison),
        cmocka_unit_test(no_core_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
