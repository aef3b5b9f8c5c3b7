#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "local/notice.h"

#define NOW 1800000000LL
#define LETTER_MAX 100000

/* A stub as b.test would send it to alice@a.test. */
static struct stub good_stub(void)
{
    static const uint8_t a[TICKET_A_BYTES] = {0, 1, 2}, b[TICKET_B_BYTES] = {3};
    struct stub s = {.size_bytes = 5000, .expires_s = NOW + 1000};
    struct ticket_url url = {.host = "pull.b.test", .port = 443};

    memcpy(url.a, a, sizeof a);
    memcpy(url.b, b, sizeof b);
    assert_int_equal(ticket_url_format(&url, s.url), ERR_OK);
    assert_int_equal(address_parse(SPAN_LITERAL("bob@b.test"), &s.from), ERR_OK);
    assert_int_equal(address_parse(SPAN_LITERAL("alice@a.test"), &s.to), ERR_OK);
    memset(s.ka, 7, sizeof s.ka);
    memset(s.kd, 8, sizeof s.kd);
    return s;
}

/* The value of the field that says this. */
static char *value_of(const struct stub *s)
{
    struct buf field;

    buf_init(&field, 10000);
    assert_int_equal(stub_format(s, &field), ERR_OK);
    buf_consume(&field, strlen(STUB_FIELD_NAME) + 1);
    field.data[field.len - 2] = '\0'; /* CRLF */
    return buf_take(&field);
}

static enum err read_it(char *stub, const char *sender, const char *recipient, struct notice *out,
                        struct buf *why)
{
    char from[100], to[100];
    struct api_recipient recipients[1] = {{.address = to}};
    struct api_notice request = {.envelope = {.sender = from, .recipient_count = 1, .recipient = recipients},
                                 .stub = stub};

    strcpy(from, sender);
    strcpy(to, recipient);
    return notice_read(&request, LETTER_MAX, NOW, out, why);
}

static void a_stub_must_agree_with_its_envelope(void **state)
{
    static const struct {
        const char *name, *sender, *recipient;
        enum err want;
    } cases[] = {
        {"as sent", "restante+00ff@b.test", "alice@a.test", ERR_OK},
        {"domains in any case", "<restante+00ff@B.TEST>", "<alice@A.test>", ERR_OK},
        {"local part in another case", "restante+00ff@b.test", "Alice@a.test", ERR_OK},
        {"another reverse-path's domain", "restante+00ff@c.test", "alice@a.test", ERR_STUB_MISMATCH},
        {"a domain below", "restante+00ff@x.b.test", "alice@a.test", ERR_STUB_MISMATCH},
        {"null reverse-path", "", "alice@a.test", ERR_STUB_MISMATCH},
        {"another recipient", "restante+00ff@b.test", "carol@a.test", ERR_STUB_MISMATCH},
        {"another recipient's domain", "restante+00ff@b.test", "alice@b.test", ERR_STUB_MISMATCH},
        {"bad recipient", "restante+00ff@b.test", "alice", ERR_STUB_MISMATCH},
    };
    struct stub stub = good_stub();
    char *value = value_of(&stub);

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct notice n;
        struct buf why;
        buf_init(&why, 500);
        enum err e = read_it(value, cases[i].sender, cases[i].recipient, &n, &why);
        if (e != cases[i].want)
            fail_msg("%s: %s", cases[i].name, err_name(e));
        if (e) {
            assert_true(why.len > 0);
        } else {
            assert_string_equal(n.url.host, "pull.b.test");
            assert_int_equal(n.stub.size_bytes, 5000);
            notice_wipe(&n);
        }
        buf_free(&why);
    }
    free(value);
}

static void bad_stubs_say_why(void **state)
{
    static const struct {
        const char *name;
        enum { EXPIRED, LARGE, ADDRESS_HOST, CUT, RUBBISH, BARE_LF } how;
        enum err want;
    } cases[] = {
        {"expired", EXPIRED, ERR_STUB_EXPIRED},
        {"too large", LARGE, ERR_TOO_LARGE},
        {"address literal", ADDRESS_HOST, ERR_STUB_SYNTAX},
        {"cut", CUT, ERR_STUB_SYNTAX},
        {"rubbish", RUBBISH, ERR_STUB_SYNTAX},
        {"bare LF", BARE_LF, ERR_BAD_BYTES},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct notice n;
        struct buf why;
        struct stub stub = good_stub();
        if (cases[i].how == EXPIRED)
            stub.expires_s = NOW;
        if (cases[i].how == LARGE)
            stub.size_bytes = LETTER_MAX + 1;
        char *value = value_of(&stub);
        if (cases[i].how == CUT)
            value[strlen(value) / 2] = '\0';
        if (cases[i].how == RUBBISH)
            strcpy(value, " v=2; x");
        if (cases[i].how == BARE_LF)
            value[20] = '\n';
        char *host = strstr(value, "pull.b.test");
        if (cases[i].how == ADDRESS_HOST)
            memcpy(host, "192.0.2.100", 11);
        buf_init(&why, 500);
        enum err e = read_it(value, "restante+00ff@b.test", "alice@a.test", &n, &why);
        if (e != cases[i].want)
            fail_msg("%s: %s (%s)", cases[i].name, err_name(e), buf_cstr(&why));
        assert_true(why.len > 0);
        buf_free(&why);
        free(value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stub_must_agree_with_its_envelope),
        cmocka_unit_test(bad_stubs_say_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
