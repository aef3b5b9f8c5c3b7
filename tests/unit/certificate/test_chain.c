/* test_chain.c - what is read from certificates. */
#include "unit.h"

#include <string.h>

#include "pki.h"

static void names_and_numbers_are_told(void **state)
{
    (void)state;
    struct identity ca = pki_authority(NULL, "Test CA");
    struct identity leaf =
        pki_issue(&ca, "x\nFrom: y", 0, 7 * DAY,
                  (struct extension[]){{"subjectAltName", "DNS:pull.a.test"}, {NULL, NULL}});
    char text[CERTIFICATE_NAME_MAX], serial[CERTIFICATE_SERIAL_MAX];
    certificate_issuer(leaf.certificate, text);
    assert_string_equal(text, "CN=Test CA");
    certificate_subject(leaf.certificate, text);
    assert_null(strchr(text, '\n'));
    certificate_serial(leaf.certificate, serial);
    assert_true(strlen(serial) >= 4);
    assert_int_equal(certificate_lifetime_s(leaf.certificate), 7 * DAY);
    struct chain *chain = pki_chain(SPAN_LITERAL("staple"), 2, &leaf, &ca);
    pki_free(&leaf);
    assert_int_equal(chain_length(chain), 2);
    assert_true(chain_names_host(chain, "PULL.a.test"));
    assert_false(chain_names_host(chain, "a.test"));
    assert_true(span_is(chain_staple(chain), "staple"));
    chain_free(chain);
    pki_free(&ca);
}

static void an_empty_chain_is_none(void **state)
{
    (void)state;
    struct chain *chain = NULL;
    STACK_OF(X509) *empty = sk_X509_new_null();
    assert_int_equal(chain_create(empty, span_of(""), &chain), ERR_TLS);
    assert_int_equal(chain_create(NULL, span_of(""), &chain), ERR_TLS);
    sk_X509_free(empty);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_numbers_are_told),
        cmocka_unit_test(an_empty_chain_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
