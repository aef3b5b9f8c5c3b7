#include "unit.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "base/err.h"

static void every_row_is_complete_and_agrees_with_itself(void **state)
{
    (void)state;
    for (int e = 0; e < ERR_COUNT; e++) {
        const struct err_info *i = err_info((enum err)e);
        assert_true(strlen(i->name) > 0 && strlen(i->name) < 23);
        for (const char *c = i->name; *c != '\0'; c++)
            assert_true(islower((unsigned char)*c) || *c == '-');
        for (const char *c = i->text; *c != '\0'; c++)
            assert_true(isprint((unsigned char)*c));
        assert_true(strlen(i->text) > 0 && i->text[strlen(i->text) - 1] != '.');
        assert_int_equal(i->enhanced[0], '0' + i->smtp / 100);
        if (e != ERR_OK && e != ERR_CONFIG) /* a bad configuration stays bad, but the client may come again */
            assert_int_equal(i->temporary, i->smtp / 100 == 4);
        for (int other = 0; other < e; other++)
            assert_string_not_equal(i->name, err_name((enum err)other));
    }
}

static void names_are_lower_case_with_hyphens(void **state)
{
    (void)state;
    assert_string_equal(err_name(ERR_DISK_FULL), "disk-full");
    assert_string_equal(err_name(ERR_OK), "ok");
    assert_string_equal(err_text(ERR_TOO_LARGE), "too large");
    assert_true(err_temporary(ERR_STORE));
    assert_false(err_temporary(ERR_SYNTAX));
}

static void an_unknown_value_is_an_internal_error(void **state)
{
    (void)state;
    assert_string_equal(err_name((enum err)4711), "internal");
    assert_true(err_temporary((enum err) - 1));
}

static void a_full_disk_is_told_from_other_failures(void **state)
{
    (void)state;
    assert_int_equal(err_from_errno(ENOSPC), ERR_DISK_FULL);
    assert_int_equal(err_from_errno(EDQUOT), ERR_DISK_FULL);
    assert_int_equal(err_from_errno(EFBIG), ERR_DISK_FULL);
    assert_int_equal(err_from_errno(ENOMEM), ERR_NOMEM);
    assert_int_equal(err_from_errno(EIO), ERR_IO);
    assert_int_equal(err_from_errno(0), ERR_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_complete_and_agrees_with_itself),
        cmocka_unit_test(names_are_lower_case_with_hyphens),
        cmocka_unit_test(an_unknown_value_is_an_internal_error),
        cmocka_unit_test(a_full_disk_is_told_from_other_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
