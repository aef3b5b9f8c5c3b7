/* test_answer.c - heads of answers: each field in its one form, once. */
#include "unit.h"

#include <string.h>

#include "claim/answer.h"

#define OK "HTTP/2 200 \r\nrestante: 1\r\n"
#define WRAP_48 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

static enum err read_head(struct answer *a, const char *text)
{
    struct span rest = span_of(text), line;
    memset(a, 0, sizeof *a);
    while (span_cut(rest, '\n', &line, &rest)) {
        enum err err = answer_line(a, line);
        if (err != ERR_OK)
            return err;
    }
    return ERR_OK;
}

static const struct {
    const char *name, *head;
    unsigned have, bad;
} cases[] = {
    {"nothing but the status", "HTTP/2 200 \r\n\r\n", 0, 0},
    {"Restante: 1", OK "\r\n", ANSWER_RESTANTE, 0},
    {"names have no case", "HTTP/2 200\r\nReStAnTe:1\r\n\r\n", ANSWER_RESTANTE, 0},
    {"another version is not ours", "HTTP/2 200\r\nrestante: 2\r\n\r\n", 0, ANSWER_RESTANTE},
    {"twice counts as none", OK "restante: 1\r\n\r\n", ANSWER_RESTANTE, ANSWER_RESTANTE},
    {"a wrap of 48 octets", OK "restante-wrap: " WRAP_48 "\r\n\r\n", ANSWER_RESTANTE | ANSWER_WRAP, 0},
    {"a wrap of 47 is none", OK "restante-wrap: AAAA\r\n\r\n", ANSWER_RESTANTE, ANSWER_WRAP},
    {"a size", OK "restante-size: 0\r\n\r\n", ANSWER_RESTANTE | ANSWER_SIZE, 0},
    {"a size with a leading zero", OK "restante-size: 01\r\n\r\n", ANSWER_RESTANTE, ANSWER_SIZE},
    {"a negative size", OK "restante-size: -1\r\n\r\n", ANSWER_RESTANTE, ANSWER_SIZE},
    {"version 0", OK "restante-version: 0\r\n\r\n", ANSWER_RESTANTE, ANSWER_VERSION},
    {"a version above 32 bits", OK "restante-version: 4294967296\r\n\r\n", ANSWER_RESTANTE, ANSWER_VERSION},
    {"a strong tag", OK "etag: \"a-1\"\r\n\r\n", ANSWER_RESTANTE | ANSWER_ETAG, 0},
    {"a weak tag", OK "etag: W/\"a\"\r\n\r\n", ANSWER_RESTANTE, ANSWER_ETAG},
    {"a tag without quotes", OK "etag: a\r\n\r\n", ANSWER_RESTANTE, ANSWER_ETAG},
    {"a range", OK "content-range: bytes 5-9/10\r\n\r\n", ANSWER_RESTANTE | ANSWER_CONTENT_RANGE, 0},
    {"a range beyond its size", OK "content-range: bytes 5-10/10\r\n\r\n", ANSWER_RESTANTE,
     ANSWER_CONTENT_RANGE},
    {"a range that runs backwards", OK "content-range: bytes 6-5/10\r\n\r\n", ANSWER_RESTANTE,
     ANSWER_CONTENT_RANGE},
    {"a range of unknown size", OK "content-range: bytes 5-9/*\r\n\r\n", ANSWER_RESTANTE,
     ANSWER_CONTENT_RANGE},
    {"a range in other units", OK "content-range: lines 5-9/10\r\n\r\n", ANSWER_RESTANTE,
     ANSWER_CONTENT_RANGE},
    {"NOTIFY", OK "restante-notify: SUCCESS,DELAY\r\n\r\n", ANSWER_RESTANTE | ANSWER_NOTIFY, 0},
    {"NOTIFY of one word twice", OK "restante-notify: DELAY,DELAY\r\n\r\n", ANSWER_RESTANTE, ANSWER_NOTIFY},
    {"NEVER with others", OK "restante-notify: NEVER,DELAY\r\n\r\n", ANSWER_RESTANTE, ANSWER_NOTIFY},
    {"a date in Retry-After", OK "retry-after: Sat, 21 Nov 2026 04:08:44 GMT\r\n\r\n", ANSWER_RESTANTE,
     ANSWER_RETRY_AFTER},
    {"a reason in capitals", OK "restante-reason: ACKED\r\n\r\n", ANSWER_RESTANTE, ANSWER_REASON},
    {"a reason longer than 31", OK "restante-reason: abcdefghijklmnopqrstuvwxyz012345\r\n\r\n",
     ANSWER_RESTANTE, ANSWER_REASON},
    {"no coding", OK "content-encoding: identity\r\n\r\n", ANSWER_RESTANTE | ANSWER_ENCODING, 0},
    {"a coding", OK "content-encoding: gzip\r\n\r\n", ANSWER_RESTANTE, ANSWER_ENCODING},
    {"an interim answer is forgotten", "HTTP/2 103 \r\nrestante: 1\r\netag: \"x\"\r\n\r\nHTTP/2 200 \r\n\r\n",
     0, 0},
    {"trailers are not the head", "HTTP/2 200 \r\n\r\nrestante: 1\r\n", 0, 0},
    {"unknown fields are ignored", OK "x-y: z\r\n\r\n", ANSWER_RESTANTE, 0},
};

static void fields_are_read_in_their_one_form(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct answer a;
        enum err err = read_head(&a, cases[i].head);
        if (err != ERR_OK || a.have != cases[i].have || a.bad != cases[i].bad || !a.complete)
            fail_msg("%s: %s have %x bad %x", cases[i].name, err_name(err), a.have, a.bad);
        assert_int_equal(answer_has(&a, ANSWER_RESTANTE),
                         (cases[i].have & ~cases[i].bad & ANSWER_RESTANTE) != 0);
    }
}

static void values_are_kept(void **state)
{
    (void)state;
    struct answer a;
    assert_int_equal(read_head(&a,
                               "HTTP/2 206 \r\nrestante-sender: a%2Fb@a.example\r\nrestante-size: 81234\r\n"
                               "restante-version: 3\r\nrestante-expires: 1797811200\r\netag: \"e\"\r\n"
                               "content-range: bytes 7-9/10\r\nretry-after: 99999999999\r\n\r\n"),
                     ERR_OK);
    assert_int_equal(a.status, 206);
    assert_string_equal(a.sender, "a/b@a.example");
    assert_int_equal(a.size, 81234);
    assert_int_equal(a.version, 3);
    assert_int_equal(a.expires_s, 1797811200);
    assert_string_equal(a.etag, "\"e\"");
    assert_int_equal(a.range_start, 7);
    assert_int_equal(a.range_size, 10);
    assert_int_equal(a.retry_after_s, ANSWER_RETRY_AFTER_MAX_S);
}

static void what_is_no_head_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *name, *head;
    } bad[] = {{"a field before the status", "restante: 1\r\n"},
               {"a status that is no number", "HTTP/2 abc\r\n"},
               {"a status of two digits", "HTTP/2 99\r\n"},
               {"a status below 100", "HTTP/2 099\r\n"},
               {"a line without a colon", "HTTP/2 200\r\nnothing\r\n"},
               {"a field after an interim answer", "HTTP/2 100\r\n\r\nrestante: 1\r\n"}};
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct answer a;
        if (read_head(&a, bad[i].head) != ERR_HTTP)
            fail_msg("%s", bad[i].name);
    }
}

static void a_head_is_bounded_over_all_interim_answers(void **state)
{
    (void)state;
    struct answer a = {0};
    enum err err = ERR_OK;
    size_t lines = 0;
    while (err == ERR_OK && lines < ANSWER_BYTES_MAX) {
        err = answer_line(&a, span_of(lines % 2 == 0 ? "HTTP/2 103 \r\n" : "\r\n"));
        lines++;
    }
    assert_int_equal(err, ERR_TOO_LARGE);
    assert_in_range(a.bytes, ANSWER_BYTES_MAX - 16, ANSWER_BYTES_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_are_read_in_their_one_form),
        cmocka_unit_test(values_are_kept),
        cmocka_unit_test(what_is_no_head_is_refused),
        cmocka_unit_test(a_head_is_bounded_over_all_interim_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
