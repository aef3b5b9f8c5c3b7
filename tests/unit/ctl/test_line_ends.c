/* Letters in files as people edit them. */
#include "unit.h"

#include <string.h>

#include "line_ends.h"

static void files_get_the_line_ends_of_mail(void **state)
{
    static const struct {
        const char *in;
        size_t len;
        const char *out; /* NULL: refused */
        uint64_t lines;  /* whole ones before the mistake */
    } rows[] = {
        {"a: b\n\nc\n", 8, "a: b\r\n\r\nc\r\n", 3},
        {"a: b\r\n\r\nc\r\n", 11, "a: b\r\n\r\nc\r\n", 3},
        {"a: b\n\nc", 7, "a: b\r\n\r\nc\r\n", 2},
        {"a: b\r\n\r\nc", 9, "a: b\r\n\r\nc\r\n", 2},
        {"a", 1, "a\r\n", 0},
        {"", 0, "", 0},
        {"\n", 1, "\r\n", 1},
        {"\r\n", 2, "\r\n", 1},
        {"a\nb\r\nc\n", 7, NULL, 1},
        {"a\r\nb\nc\r\n", 8, NULL, 1},
        {"a\nb\rc\n", 6, NULL, 1},
        {"a\r\nb\rc\r\n", 8, NULL, 1},
        {"a\r\r\n", 4, NULL, 0},
        {"a\n\r", 3, NULL, 1},
        {"a\nb\0c\n", 6, NULL, 1},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        for (size_t piece = 1; piece <= rows[i].len + 1; piece++) {
            struct line_ends l = {.lines = 0};
            struct buf out;
            enum err e = ERR_OK;
            buf_init(&out, 100);
            for (size_t at = 0; at < rows[i].len && !e; at += piece)
                e = line_ends_feed(&l, rows[i].in + at, rows[i].len - at < piece ? rows[i].len - at : piece,
                                   &out);
            if (!e)
                e = line_ends_finish(&l, &out);
            assert_int_equal(e, rows[i].out ? ERR_OK : ERR_BAD_BYTES);
            assert_true(l.lines == rows[i].lines);
            if (rows[i].out)
                assert_string_equal(buf_cstr(&out), rows[i].out);
            buf_free(&out);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_get_the_line_ends_of_mail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
