#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admission/reason.h"
#include "base/buf.h"

#define PAGE "docs/OPERATIONS.md"

static char *page(void)
{
    struct buf text;
    FILE *in = fopen(PAGE, "r");
    char piece[4096];
    size_t got;

    if (!in)
        fail_msg("%s cannot be read", PAGE);
    buf_init(&text, 1 << 20);
    while ((got = fread(piece, 1, sizeof piece, in)) > 0)
        assert_int_equal(buf_append(&text, piece, got), ERR_OK);
    fclose(in);
    return buf_take(&text);
}

/* Code, sentence and answer of each reason stand in the administrator's table as they stand in reason.h. */
static void every_code_is_in_the_documents(void **state)
{
    char *text = page(), row[300];

    (void)state;
    for (int r = 0; r < REASON_COUNT; r++) {
        snprintf(row, sizeof row, "\n| `%s` | %s |", reason_code((enum reason)r),
                 reason_text((enum reason)r));
        const char *found = strstr(text, row);
        if (!found) {
            fail_msg(PAGE " lacks the row:%s", row);
            continue;
        }
        const char *answer = found + strlen(row) + 1;
        const struct err_info *info = err_info(reason_err((enum reason)r));
        snprintf(row, sizeof row, "`%d %s` |\n", info->smtp, info->enhanced);
        if (answer[0] == '`' && strncmp(answer, row, strlen(row)) != 0)
            fail_msg(PAGE ": %s is refused with %s", reason_code((enum reason)r), row);
    }
    free(text);
}

static void the_documents_have_no_other_code(void **state)
{
    char *text = page(), *at = strstr(text, "### Reason codes"), *end = at ? strstr(at, "\n## ") : NULL;
    int rows = 0;

    (void)state;
    assert_non_null(end);
    while ((at = strstr(at, "\n| `")) && at < end) {
        rows++;
        at++;
    }
    assert_int_equal(rows, REASON_COUNT);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_is_in_the_documents),
        cmocka_unit_test(the_documents_have_no_other_code),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
