/* Bodies of answers, and what is said at a challenge's URL. */
#include "unit.h"

#include <string.h>

#include "admission/challenge_json.h"

/* {"algorithm":"SHA-256","challenge":"41e4...","number":12345,"salt":"0001...","signature":"6226...","took":17}
 */
#define PAYLOAD                                                                                              \
    "eyJhbGdvcml0aG0iOiJTSEEtMjU2IiwiY2hhbGxlbmdlIjoiNDFlNGY0MmJkOWY3MzM0YzY3ZmZkYmE5Mjc5Yzg3Y2VjYWEwNTk4M"  \
    "GNiZDIzODZlNWMxMWVjODI2Yjc0YjZkNyIsIm51bWJlciI6MTIzNDUsInNhbHQiOiIwMDAxMDIwMzA0MDUwNjA3MDgwOTBhMGIwYz"  \
    "BkMGUwZj9leHBpcmVzPTE4MDAwMDAwMDAmIiwic2lnbmF0dXJlIjoiNjIyNmFkMjMyZjhhNzUyZWI1MDg3MmUxODhlNTdmN2ZkNjN"  \
    "hM2NkODVhYmJmM2U2MzRiYTQ3YzBjM2IyNzEyOCIsInRvb2siOjE3fQ"

static void work_is_read(void **state)
{
    static const char *const rows[] = {
        "{\"altcha\": \"" PAYLOAD "==\"}",
        "{\"altcha\": \"" PAYLOAD "\", \"other\": [1]}",
        " \r\n{\"altcha\":\"" PAYLOAD "==\"}\n",
        "altcha=" PAYLOAD "%3D%3D",
        "altcha=" PAYLOAD "==",
        "submit=1&altcha=" PAYLOAD "&name=x+y",
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct challenge_answer a;
        assert_int_equal(challenge_answer_read(span_of(rows[i]), &a), ERR_OK);
        assert_true(a.is_work);
        assert_int_equal(a.work.number, 12345);
        assert_string_equal(a.work.salt, "000102030405060708090a0b0c0d0e0f?expires=1800000000&");
        assert_int_equal(strlen(a.work.challenge), ALTCHA_HEX_LEN);
        assert_int_equal(strlen(a.work.signature), ALTCHA_HEX_LEN);
    }
}

static void words_are_read(void **state)
{
    static const struct {
        const char *body, *want;
    } rows[] = {
        {"{\"answer\": \"New York\"}", "New York"},
        {"answer=New+York", "New York"},
        {"answer=K%C3%B6ln%2B", "K\xc3\xb6ln+"},
        {"answer=", ""},
        {"{\"answer\": \"\"}", ""},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct challenge_answer a;
        assert_int_equal(challenge_answer_read(span_of(rows[i].body), &a), ERR_OK);
        assert_false(a.is_work);
        assert_string_equal(a.text, rows[i].want);
    }
}

static void malformed_bodies_are_refused(void **state)
{
    /* the payloads: base64 of {"algorithm":"SHA-1"...}, of a number that is none, of an array, of nothing */
    static const char *const rows[] = {
        "",
        "   ",
        "{",
        "{}",
        "[]",
        "null",
        "{\"altcha\": 1}",
        "{\"altcha\": \"\"}",
        "{\"altcha\": \"!!!!\"}",
        "{\"altcha\": \"e30=\"}",
        "{\"altcha\": \"W10=\"}",
        "{\"altcha\": \"" PAYLOAD "\", \"altcha\": \"" PAYLOAD "\"}",
        "{\"altcha\": \"" PAYLOAD "\", \"answer\": \"x\"}",
        "{\"altcha\": \"" PAYLOAD "====\"}",
        "{\"answer\": null}",
        "{\"answer\": \"a\\u0000b\"}",
        "answer=%ff",
        "answer=%0a",
        "answer=%4",
        "altcha=" PAYLOAD "&answer=x",
        "ALTCHA=" PAYLOAD,
        "--boundary\r\nContent-Disposition: form-data; name=\"answer\"\r\n\r\nx\r\n",
        /* {"algorithm":"SHA-512","challenge":"aa","number":1,"salt":"b","signature":"cc"} */
        "{\"altcha\": "
        "\"eyJhbGdvcml0aG0iOiJTSEEtNTEyIiwiY2hhbGxlbmdlIjoiYWEiLCJudW1iZXIiOjEsInNhbHQiOiJiIiwic2"
        "lnbmF0dXJlIjoiY2MifQ==\"}",
        /* the same with SHA-256 and "number":-1, then 1.5, then 9007199254740993 */
        "{\"altcha\": "
        "\"eyJhbGdvcml0aG0iOiJTSEEtMjU2IiwiY2hhbGxlbmdlIjoiYWEiLCJudW1iZXIiOi0xLCJzYWx0IjoiYiIsIn"
        "NpZ25hdHVyZSI6ImNjIn0=\"}",
        "{\"altcha\": "
        "\"eyJhbGdvcml0aG0iOiJTSEEtMjU2IiwiY2hhbGxlbmdlIjoiYWEiLCJudW1iZXIiOjEuNSwic2FsdCI6ImIiLCJ"
        "zaWduYXR1cmUiOiJjYyJ9\"}",
        "{\"altcha\": "
        "\"eyJhbGdvcml0aG0iOiJTSEEtMjU2IiwiY2hhbGxlbmdlIjoiYWEiLCJudW1iZXIiOjkwMDcxOTkyNTQ3NDA5OTM"
        "sInNhbHQiOiJiIiwic2lnbmF0dXJlIjoiY2MifQ==\"}",
    };
    char large[CHALLENGE_BODY_MAX + 2], deep[CHALLENGE_BODY_MAX];
    struct challenge_answer a = {.text = "as it was"};
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_int_equal(challenge_answer_read(span_of(rows[i]), &a), ERR_SYNTAX);
    memset(large, 'a', sizeof large);
    memcpy(large, "answer=", 7);
    assert_int_equal(challenge_answer_read(span_bytes(large, CHALLENGE_BODY_MAX + 1), &a), ERR_TOO_LARGE);
    assert_int_equal(challenge_answer_read(span_bytes(large, CHALLENGE_BODY_MAX), &a), ERR_SYNTAX);
    memset(deep, '[', sizeof deep);
    memcpy(deep, "{\"a\":", 5);
    assert_int_equal(challenge_answer_read(span_bytes(deep, sizeof deep), &a), ERR_SYNTAX);
    assert_string_equal(a.text, "as it was");
}

static void what_is_said_is_json(void **state)
{
    struct altcha c = {.salt = "ab?expires=1&", .challenge = "cc", .signature = "dd", .number = 100000};
    struct buf out;
    (void)state;
    buf_init(&out, 4096);
    assert_int_equal(challenge_work_format(&c, &out), ERR_OK);
    assert_string_equal(buf_cstr(&out),
                        "{\"algorithm\":\"SHA-256\",\"challenge\":\"cc\",\"maxnumber\":100000,"
                        "\"salt\":\"ab?expires=1&\",\"signature\":\"dd\"}");
    buf_clear(&out);
    assert_int_equal(challenge_question_format("What \"is\" it\n?", &out), ERR_OK);
    assert_string_equal(buf_cstr(&out), "{\"kind\":\"question\",\"question\":\"What \\\"is\\\" it\\n?\"}");
    buf_clear(&out);
    assert_int_equal(challenge_error_format("rate", "slowly", &out), ERR_OK);
    assert_string_equal(buf_cstr(&out), "{\"error\":\"rate\",\"text\":\"slowly\"}");
    buf_clear(&out);
    assert_int_equal(challenge_solved_format(&out), ERR_OK);
    assert_string_equal(buf_cstr(&out), "{\"solved\":true}");
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(work_is_read),
        cmocka_unit_test(words_are_read),
        cmocka_unit_test(malformed_bodies_are_refused),
        cmocka_unit_test(what_is_said_is_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
