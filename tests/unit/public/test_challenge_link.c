/* Which URLs of challenges have a host that may be compared with a designation. */
#include "unit.h"

#include <string.h>

#include "public/challenge_link.h"

static void links_have_a_host_and_port(void **state)
{
    static const struct {
        const char *text, *host;
        uint16_t port;
    } rows[] = {
        {"https://pull.b.test/restante/challenge/1/abc", "pull.b.test", 443},
        {"https://pull.b.test", "pull.b.test", 443},
        {"https://pull.b.test:8443/x", "pull.b.test", 8443},
        {"HTTPS://PULL.B.TEST/x", "pull.b.test", 443},
        {"https://pull.b.test?x=@evil.test", "pull.b.test", 443},
        {"https://pull.b.test/@evil.test", "pull.b.test", 443},
        {"https://pull.b.test#x", "pull.b.test", 443},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct challenge_link link;
        assert_int_equal(challenge_link_parse(span_of(rows[i].text), &link), ERR_OK);
        assert_string_equal(link.url, rows[i].text);
        assert_string_equal(link.host, rows[i].host);
        assert_int_equal(link.port, rows[i].port);
    }
}

static void other_forms_are_refused(void **state)
{
    static const struct {
        const char *text;
        enum err want;
    } rows[] = {
        {"", ERR_SYNTAX},
        {"http://pull.b.test/", ERR_SYNTAX},
        {"//pull.b.test/", ERR_SYNTAX},
        {"javascript:alert(1)", ERR_SYNTAX},
        {"https://pull.b.test/a b", ERR_SYNTAX},
        {"https://pull.b.test/\xc3\xa9", ERR_SYNTAX},
        {"https://pull.b.test/\n", ERR_SYNTAX},
        {"https://", ERR_FORBIDDEN},
        {"https:///x", ERR_FORBIDDEN},
        {"https://user@pull.b.test/", ERR_FORBIDDEN},
        {"https://pull.b.test:443@evil.test/", ERR_FORBIDDEN},
        {"https://pull.b.test\\@evil.test/", ERR_FORBIDDEN},
        {"https://192.0.2.1/", ERR_FORBIDDEN},
        {"https://[2001:db8::1]/", ERR_FORBIDDEN},
        {"https://pull.b.test:0/", ERR_FORBIDDEN},
        {"https://pull.b.test:65536/", ERR_FORBIDDEN},
        {"https://pull%2eb.test/", ERR_FORBIDDEN},
    };
    char longest[CHALLENGE_LINK_MAX + 2];
    struct challenge_link link;
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_int_equal(challenge_link_parse(span_of(rows[i].text), &link), rows[i].want);
    memset(longest, 'a', sizeof longest);
    memcpy(longest, "https://b.test/", 15);
    assert_int_equal(challenge_link_parse(span_bytes(longest, CHALLENGE_LINK_MAX), &link), ERR_OK);
    assert_int_equal(challenge_link_parse(span_bytes(longest, CHALLENGE_LINK_MAX + 1), &link), ERR_SYNTAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(links_have_a_host_and_port),
        cmocka_unit_test(other_forms_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
