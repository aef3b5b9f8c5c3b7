/* test_crl.c - revocation lists: where they lie, when they count, and what is remembered of them. */
#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "certificate/crl_cache.h"
#include "pki.h"

#define URL "http://crl.test/1.crl"

static const struct {
    const char *name, *value;
    size_t count;
    const char *first;
} points[] = {
    {"one_address", "URI:http://crl.test/1.crl", 1, "http://crl.test/1.crl"},
    {"https_in_any_case", "URI:HTTPS://crl.test/1.crl", 1, "HTTPS://crl.test/1.crl"},
    {"ldap_is_left_out", "URI:ldap://crl.test/cn=1,URI:http://crl.test/2.crl", 1, "http://crl.test/2.crl"},
    {"at_most_three", "URI:http://a.test/,URI:http://b.test/,URI:http://c.test/,URI:http://d.test/", 3,
     "http://a.test/"},
    {"no_other_scheme", "URI:file:///etc/passwd,DNS:crl.test", 0, NULL},
};

static void addresses_of_lists_are_read(void **state)
{
    (void)state;
    struct identity ca = pki_authority(NULL, "Test CA");
    for (size_t i = 0; i < COUNT(points); i++) {
        struct crl_urls urls;
        struct identity leaf =
            pki_issue(&ca, "leaf", 0, DAY,
                      (struct extension[]){{"crlDistributionPoints", points[i].value}, {NULL, NULL}});
        crl_urls_of(leaf.certificate, &urls);
        if (urls.count != points[i].count)
            print_error("%s\n", points[i].name);
        assert_int_equal(urls.count, points[i].count);
        if (urls.count > 0)
            assert_string_equal(urls.url[0], points[i].first);
        pki_free(&leaf);
    }
    pki_free(&ca);
}

enum by { ISSUER, NAMESAKE, STRANGER };
static const struct {
    const char *name;
    enum by by;
    bool revoked;
    int64_t from_s, until_s;
    struct extension extension;
    enum err want;
} cases[] = {
    {"not_on_it", ISSUER, false, -DAY, DAY, {NULL, NULL}, ERR_OK},
    {"on_it", ISSUER, true, -DAY, DAY, {NULL, NULL}, ERR_CERT_REVOKED},
    {"stale", ISSUER, true, -2 * DAY, -1, {NULL, NULL}, ERR_REVOCATION_UNKNOWN},
    {"of_the_future", ISSUER, false, DAY, 2 * DAY, {NULL, NULL}, ERR_REVOCATION_UNKNOWN},
    {"without_an_end", ISSUER, false, -DAY, NO_TIME, {NULL, NULL}, ERR_REVOCATION_UNKNOWN},
    {"of_a_namesake", NAMESAKE, false, -DAY, DAY, {NULL, NULL}, ERR_REVOCATION_UNKNOWN},
    {"of_a_stranger", STRANGER, false, -DAY, DAY, {NULL, NULL}, ERR_REVOCATION_UNKNOWN},
    {"a_delta", ISSUER, false, -DAY, DAY, {"deltaCRL", "critical,DER:02:01:01"}, ERR_REVOCATION_UNKNOWN},
    {"the_part_that_is_named",
     ISSUER,
     false,
     -DAY,
     DAY,
     {"issuingDistributionPoint",
      "critical,DER:30:1b:a0:19:a0:17:86:15:68:74:74:70:3a:2f:2f:63:72:6c:2e:74:65:73:74:2f:31:2e:63:72:6c"},
     ERR_OK},
    {"another_part",
     ISSUER,
     false,
     -DAY,
     DAY,
     {"issuingDistributionPoint",
      "critical,DER:30:1b:a0:19:a0:17:86:15:68:74:74:70:3a:2f:2f:63:72:6c:2e:74:65:73:74:2f:32:2e:63:72:6c"},
     ERR_REVOCATION_UNKNOWN},
    {"of_authorities_alone",
     ISSUER,
     false,
     -DAY,
     DAY,
     {"issuingDistributionPoint", "critical,DER:30:03:82:01:ff"},
     ERR_REVOCATION_UNKNOWN},
    {"of_servers_alone",
     ISSUER,
     true,
     -DAY,
     DAY,
     {"issuingDistributionPoint", "critical,DER:30:03:81:01:ff"},
     ERR_CERT_REVOKED},
    {"of_some_reasons",
     ISSUER,
     false,
     -DAY,
     DAY,
     {"issuingDistributionPoint", "critical,DER:30:04:83:02:03:08"},
     ERR_REVOCATION_UNKNOWN},
    {"indirect",
     ISSUER,
     false,
     -DAY,
     DAY,
     {"issuingDistributionPoint", "critical,DER:30:03:84:01:ff"},
     ERR_REVOCATION_UNKNOWN},
    {"with_a_critical_extension_that_nobody_knows",
     ISSUER,
     false,
     -DAY,
     DAY,
     {"1.2.3.4", "critical,DER:05:00"},
     ERR_REVOCATION_UNKNOWN},
    {"with_another_that_is_not_critical", ISSUER, false, -DAY, DAY, {"1.2.3.4", "DER:05:00"}, ERR_OK},
};

static void lists_are_judged(void **state)
{
    (void)state;
    struct identity ca = pki_authority(NULL, "Test CA"), namesake = pki_authority(NULL, "Test CA"),
                    stranger = pki_authority(NULL, "Other CA");
    const struct identity *by[] = {&ca, &namesake, &stranger};
    struct identity leaf =
        pki_issue(&ca, "leaf", -DAY, 90 * DAY,
                  (struct extension[]){{"crlDistributionPoints", "URI:" URL}, {NULL, NULL}});
    struct crl_urls urls;
    crl_urls_of(leaf.certificate, &urls);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct crl *list = NULL;
        const char *why = NULL;
        const struct extension extensions[] = {cases[i].extension, {NULL, NULL}};
        struct buf der = pki_crl(by[cases[i].by], cases[i].revoked ? leaf.certificate : ca.certificate,
                                 cases[i].from_s, cases[i].until_s, extensions);
        assert_int_equal(crl_parse(buf_span(&der), &list), ERR_OK);
        for (int again = 0; again < 2; again++) { /* what was verified once is remembered */
            enum err got = crl_judge(list, leaf.certificate, ca.certificate, &urls, NOW, &why);
            if (got != cases[i].want)
                print_error("%s: %s (%s)\n", cases[i].name, err_name(got), why != NULL ? why : "");
            assert_int_equal(got, cases[i].want);
        }
        if (cases[i].by == ISSUER) /* what one issuer signed is not another's of the same name */
            assert_int_equal(crl_judge(list, leaf.certificate, namesake.certificate, &urls, NOW, &why),
                             ERR_REVOCATION_UNKNOWN);
        crl_free(list);
        buf_free(&der);
    }
    pki_free(&leaf);
    pki_free(&stranger);
    pki_free(&namesake);
    pki_free(&ca);
}

static void what_is_no_list_is_refused(void **state)
{
    (void)state;
    struct identity ca = pki_authority(NULL, "Test CA");
    struct crl *list = NULL;
    struct buf der = pki_crl(&ca, NULL, -DAY, DAY, NULL);
    for (size_t cut = 0; cut < der.len; cut += 7)
        assert_int_equal(crl_parse(span_bytes(der.data, cut), &list), ERR_SYNTAX);
    assert_int_equal(buf_append_str(&der, "x"), ERR_OK);
    assert_int_equal(crl_parse(buf_span(&der), &list), ERR_SYNTAX);
    buf_free(&der);
    pki_free(&ca);
}

static void lists_are_remembered_until_their_next_update(void **state)
{
    (void)state;
    struct crl_cache *cache = NULL;
    struct crl *list = NULL;
    char why[CRL_WHY_MAX];
    struct identity ca = pki_authority(NULL, "Test CA");
    struct buf der = pki_crl(&ca, NULL, -DAY, DAY, NULL);
    assert_int_equal(crl_cache_create(3, der.len * 2, &cache), ERR_OK);
    assert_int_equal(crl_cache_get(cache, URL, NOW, 0, &list, why), CRL_UNKNOWN);
    crl_cache_put(cache, URL, buf_span(&der), NOW, 0);
    assert_int_equal(crl_cache_get(cache, URL, NOW + DAY - 1, 0, &list, why), CRL_HERE);
    crl_free(list);
    assert_int_equal(crl_cache_get(cache, URL, NOW + DAY, 0, &list, why), CRL_UNKNOWN);
    /* one that is stale when it comes, and one that is none, are failures for a while */
    crl_cache_put(cache, URL, buf_span(&der), NOW + DAY, 0);
    assert_int_equal(crl_cache_get(cache, URL, NOW, CRL_FAILURE_MS - 1, &list, why), CRL_FAILED);
    assert_string_equal(why, "stale");
    assert_int_equal(crl_cache_get(cache, URL, NOW, CRL_FAILURE_MS, &list, why), CRL_UNKNOWN);
    crl_cache_put_failure(cache, URL, "no connection", 0);
    assert_int_equal(crl_cache_get(cache, URL, NOW, 1, &list, why), CRL_FAILED);
    assert_string_equal(why, "no connection");
    /* two fit; the third pushes out what was not used for longest */
    crl_cache_put(cache, "http://a.test/", buf_span(&der), NOW, 0);
    crl_cache_put(cache, "http://b.test/", buf_span(&der), NOW, 0);
    assert_int_equal(crl_cache_get(cache, "http://a.test/", NOW, 0, &list, why), CRL_HERE);
    crl_free(list);
    crl_cache_put(cache, "http://c.test/", buf_span(&der), NOW, 0);
    assert_int_equal(crl_cache_get(cache, "http://b.test/", NOW, 0, &list, why), CRL_UNKNOWN);
    assert_int_equal(crl_cache_get(cache, "http://a.test/", NOW, 0, &list, why), CRL_HERE);
    crl_cache_free(cache);
    assert_int_equal(crl_bytes(list), der.len); /* the reference outlives the cache */
    crl_free(list);
    buf_free(&der);
    pki_free(&ca);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_of_lists_are_read),
        cmocka_unit_test(lists_are_judged),
        cmocka_unit_test(what_is_no_list_is_refused),
        cmocka_unit_test(lists_are_remembered_until_their_next_update),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
