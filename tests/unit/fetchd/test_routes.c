#include "unit.h"

#include <stdlib.h>
#include <unistd.h>

#include "route/routes.h"

static struct address address(const char *text)
{
    struct address a;

    if (address_parse(span_of(text), &a) != ERR_OK)
        fail_msg("%s", text);
    return a;
}

static const char table[] = "# partners\n"
                            "a.test            pull\n"
                            "  .a.test\tplain\r\n"
                            "deep.x.a.test     auto # as DNS says\n"
                            "Bob@B.test        pull\n"
                            "b.test            plain\n"
                            "\n"
                            ".test             pull\n"
                            "b\xc3\xbc"
                            "cher.example pull\n"
                            "last.example plain";

static void the_most_telling_pattern_wins(void **state)
{
    static const struct {
        const char *recipient;
        enum route want;
    } cases[] = {
        {"x@a.test", ROUTE_PULL},
        {"x@A.TEST", ROUTE_PULL},
        {"x@y.a.test", ROUTE_PLAIN},
        {"x@z.y.a.test", ROUTE_PLAIN},
        {"x@deep.x.a.test", ROUTE_AUTO},
        {"x@q.deep.x.a.test", ROUTE_PLAIN},
        {"bob@b.test", ROUTE_PULL},
        {"BOB@b.test", ROUTE_PULL},
        {"carol@b.test", ROUTE_PLAIN},
        {"bob+x@b.test", ROUTE_PLAIN},
        {"x@c.test", ROUTE_PULL},
        {"x@xa.test", ROUTE_PULL},
        {"x@c.example", ROUTE_AUTO},
        {"x@last.example", ROUTE_PLAIN},
        {"x@b\xc3\xbc"
         "cher.example",
         ROUTE_PULL},
        {"x@xn--bcher-kva.example", ROUTE_PULL},
    };
    struct routes *r = NULL;
    struct buf why;

    (void)state;
    buf_init(&why, 1000);
    assert_int_equal(routes_parse("domains", span_of(table), &r, &why), ERR_OK);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct address a = address(cases[i].recipient);
        if (routes_find(r, &a) != cases[i].want)
            fail_msg("%s", cases[i].recipient);
    }
    routes_free(r);
    buf_free(&why);
}

static void a_dot_is_everybody_else(void **state)
{
    static const struct {
        const char *recipient;
        enum route want;
    } cases[] = {
        {"x@c.example", ROUTE_PLAIN},
        {"x@b.test", ROUTE_PLAIN},
        {"x@a.test", ROUTE_AUTO},
        {"x@y.b.test", ROUTE_PULL},
    };
    struct routes *r = NULL;
    struct buf why;

    (void)state;
    buf_init(&why, 1000);
    assert_int_equal(routes_parse("domains", span_of(". plain\na.test auto\n.b.test pull\n"), &r, &why),
                     ERR_OK);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct address a = address(cases[i].recipient);
        assert_int_equal(routes_find(r, &a), cases[i].want);
    }
    routes_free(r);
    buf_free(&why);
}

static void errors_name_file_and_line(void **state)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"a.test pull\nb.test maybe\n", "domains:2: must be pull, plain or auto: maybe"},
        {"a.test\n", "domains:1: must be pull, plain or auto: "},
        {"a.test # pull\n", "domains:1: must be pull, plain or auto: "},
        {"a.test pull extra\n", "domains:1: must be pull, plain or auto: pull extra"},
        {"# x\n\n@a.test pull\n", "domains:3: no user@domain, domain or .domain: @a.test"},
        {"a..test pull\n", "domains:1: no user@domain, domain or .domain: a..test"},
        {".. pull\n", "domains:1: no user@domain, domain or .domain: .."},
        {". plain\n. auto\n", "domains:2: . stands in line 1 already"},
        {"b.test pull\na.test pull\nB.TEST plain\n", "domains:3: b.test stands in line 1 already"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct routes *r = NULL;
        struct buf why;
        buf_init(&why, 1000);
        assert_int_equal(routes_parse("domains", span_of(cases[i].text), &r, &why), ERR_CONFIG);
        assert_string_equal(buf_cstr(&why), cases[i].want);
        assert_null(r);
        buf_free(&why);
    }
}

static void a_missing_file_is_an_empty_table(void **state)
{
    struct routes *r = NULL;
    struct buf why;
    struct address a = address("x@a.test");

    (void)state;
    buf_init(&why, 1000);
    assert_int_equal(routes_load("/nonexistent/domains", &r, &why), ERR_OK);
    assert_int_equal(routes_find(r, &a), ROUTE_AUTO);
    routes_free(r);
    assert_int_equal(routes_load("/", &r, &why), ERR_IO);
    buf_free(&why);
}

static void a_reload_changes_all_or_nothing(void **state)
{
    struct routes *r = NULL;
    struct buf why;
    struct address a = address("x@a.test");
    char path[] = "/tmp/routes.XXXXXX";
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    buf_init(&why, 1000);
    assert_int_equal(routes_parse("domains", span_of("a.test pull"), &r, &why), ERR_OK);
    assert_int_equal(write(fd, "a.test plain\n", 13), 13);
    assert_int_equal(routes_reload(r, path, &why), ERR_OK);
    assert_int_equal(routes_find(r, &a), ROUTE_PLAIN);
    assert_int_equal(write(fd, "a.test never\n", 13), 13);
    assert_int_equal(routes_reload(r, path, &why), ERR_CONFIG);
    assert_int_equal(routes_find(r, &a), ROUTE_PLAIN);
    routes_free(r);
    buf_free(&why);
    close(fd);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_most_telling_pattern_wins),   cmocka_unit_test(a_dot_is_everybody_else),
        cmocka_unit_test(errors_name_file_and_line),       cmocka_unit_test(a_missing_file_is_an_empty_table),
        cmocka_unit_test(a_reload_changes_all_or_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
