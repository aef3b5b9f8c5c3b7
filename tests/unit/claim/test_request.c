/* test_request.c - the fields of each request. */
#include "unit.h"

#include <string.h>

#include "claim/request.h"

#define KEY "authorization: Restante AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"
#define LEASE "restante-lease: AAAAAAAAAAAAAAAAAAAAAA\n"
#define LONG_REPLY                                                                                           \
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"       \
    "0123456789abcdef0123456789abcdef"
#define LONG_HALF LONG_REPLY LONG_REPLY LONG_REPLY /* 384 */

static enum err collect(void *arg, const char *line)
{
    strcat(arg, line);
    strcat(arg, "\n");
    return ERR_OK;
}

static const struct {
    const char *name;
    struct claim_request request;
    const char *want; /* NULL: err */
    enum err err;
} cases[] = {
    {"a claim",
     {.verb = CLAIM_CLAIM, .sender = "a@a.example", .recipient = "b c@b.example", .from = "A@a.example"},
     KEY LEASE
     "restante-sender: a@a.example\nrestante-recipient: b%20c@b.example\nrestante-from: A@a.example\n",
     ERR_OK},
    {"a claim without From",
     {.verb = CLAIM_CLAIM, .sender = "a@a.example", .recipient = "b@b.example"},
     KEY LEASE "restante-sender: a@a.example\nrestante-recipient: b@b.example\n",
     ERR_OK},
    {"a line end cannot be said",
     {.verb = CLAIM_CLAIM, .sender = "a@a.example\r\nx: y", .recipient = "b@b.example"},
     NULL,
     ERR_BAD_BYTES},
    {"an ack",
     {.verb = CLAIM_ACK},
     KEY "restante-digest: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n",
     ERR_OK},
    {"a nack with a reply of several lines",
     {.verb = CLAIM_NACK, .reason = "mta-refused", .text = "550 5.1.1 no\r\nsuch"},
     KEY LEASE "restante-reason: mta-refused\nrestante-text: 550%205.1.1%20no%20%20such\n",
     ERR_OK},
    {"a nack with octets that are no UTF-8",
     {.verb = CLAIM_NACK, .reason = "mta-refused", .text = "550 \xff!"},
     KEY LEASE "restante-reason: mta-refused\nrestante-text: 550%20%3F%21\n",
     ERR_OK},
    {"a nack with UTF-8",
     {.verb = CLAIM_NACK, .reason = "denied", .text = "\xc3\xa4"},
     KEY LEASE "restante-reason: denied\nrestante-text: %C3%A4\n",
     ERR_OK},
    {"a nack without text",
     {.verb = CLAIM_NACK, .reason = "denied"},
     KEY LEASE "restante-reason: denied\n",
     ERR_OK},
    {"a reason with a line end", {.verb = CLAIM_NACK, .reason = "a\r\nb: c"}, NULL, ERR_BAD_BYTES},
    {"held", {.verb = CLAIM_STATUS, .reason = "held"}, KEY "restante-status: held\n", ERR_OK},
    {"a challenge",
     {.verb = CLAIM_STATUS, .reason = "challenge", .text = "https://b.example/x"},
     KEY "restante-status: challenge\nrestante-challenge: https://b.example/x\n",
     ERR_OK},
    {"a question", {.verb = CLAIM_HEAD}, KEY, ERR_OK},
};

static void fields_are_those_of_the_protocol(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        char got[4096] = "";
        enum err err = request_fields(&cases[i].request, NULL, collect, got);
        if (err != cases[i].err || (err == ERR_OK && strcmp(got, cases[i].want) != 0))
            fail_msg("%s: %s\n%s", cases[i].name, err_name(err), got);
    }
}

static void a_long_reply_is_cut_between_characters(void **state)
{
    (void)state;
    static const char text[] =
        LONG_HALF "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789"
                  "abcdef0123456789abcdef0123456789abcdef01234567890123\xc3\xa4";
    const struct claim_request r = {.verb = CLAIM_NACK, .reason = "x", .text = text};
    char got[4096] = "";
    assert_int_equal(strlen(text), 512); /* the limit, 511, would part the last character */
    assert_int_equal(request_fields(&r, NULL, collect, got), ERR_OK);
    const char *field = strstr(got, "restante-text: ");
    assert_non_null(field);
    assert_int_equal(strlen(field), strlen("restante-text: ") + 510 + 1);
}

static void a_resumed_body_is_asked_for_by_range(void **state)
{
    (void)state;
    const struct claim_request r = {.verb = CLAIM_CLAIM, .sender = "a@a.example", .recipient = "b@b.example"};
    const struct request_resume resume = {.offset = 70000, .etag = "\"e\""};
    char got[4096] = "";
    assert_int_equal(request_fields(&r, &resume, collect, got), ERR_OK);
    assert_string_equal(got, KEY LEASE "range: bytes=70000-\nif-range: \"e\"\n");
    assert_string_equal(request_method(CLAIM_CLAIM, true), "GET");
    assert_string_equal(request_verb(CLAIM_CLAIM, true), "");
}

static void methods_and_paths(void **state)
{
    (void)state;
    static const struct {
        enum claim_verb verb;
        const char *method, *path;
    } want[] = {{CLAIM_CLAIM, "POST", "claim"},
                {CLAIM_ACK, "POST", "ack"},
                {CLAIM_NACK, "POST", "nack"},
                {CLAIM_STATUS, "POST", "status"},
                {CLAIM_HEAD, "HEAD", ""}};
    for (size_t i = 0; i < COUNT(want); i++) {
        assert_string_equal(request_method(want[i].verb, false), want[i].method);
        assert_string_equal(request_verb(want[i].verb, false), want[i].path);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_are_those_of_the_protocol),
        cmocka_unit_test(a_long_reply_is_cut_between_characters),
        cmocka_unit_test(a_resumed_body_is_asked_for_by_range),
        cmocka_unit_test(methods_and_paths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
