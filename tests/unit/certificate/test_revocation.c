/* test_revocation.c - the verdict on a chain: answer, short life, list, in this order, for each certificate.
 */
#include "unit.h"

#include <openssl/ocsp.h>
#include <string.h>

#include "certificate/revocation.h"
#include "pki.h"

#define LEAF_URL "http://crl.test/leaf.crl"
#define ROOT_URL "http://crl.test/root.crl"

enum list { NOTHING, GOOD, REVOKED, STALE, FAILED };
enum answer { NONE, ANSWER_GOOD, ANSWER_REVOKED, ANSWER_STALE };

static const struct {
    const char *name;
    int64_t leaf_days;
    bool leaf_named, between_short;
    enum answer answer;
    enum list leaf, between; /* what lies in the cache */
    enum err hard, soft;
    size_t needed; /* with the hard rule */
    const char *detail;
} cases[] = {
    {"both_lists_here", 90, true, false, NONE, GOOD, GOOD, ERR_OK, ERR_OK, 0, ""},
    {"short_lives", 7, false, true, NONE, NOTHING, NOTHING, ERR_OK, ERR_OK, 0, ""},
    {"just_too_long", 8, false, true, NONE, NOTHING, NOTHING, ERR_REVOCATION_UNKNOWN, ERR_OK, 0,
     "names no CRL"},
    {"short_leaf_of_a_revoked_authority", 7, false, false, NONE, NOTHING, REVOKED, ERR_CERT_REVOKED,
     ERR_CERT_REVOKED, 0, "revoked (CRL, CN=Between"},
    {"revoked_leaf", 90, true, true, NONE, REVOKED, NOTHING, ERR_CERT_REVOKED, ERR_CERT_REVOKED, 0,
     "revoked (CRL, CN=leaf"},
    {"both_lists_to_be_fetched", 90, true, false, NONE, NOTHING, NOTHING, ERR_REVOCATION_UNKNOWN,
     ERR_REVOCATION_UNKNOWN, 2, NULL},
    {"one_list_to_be_fetched", 90, true, false, NONE, NOTHING, GOOD, ERR_REVOCATION_UNKNOWN,
     ERR_REVOCATION_UNKNOWN, 1, NULL},
    {"revoked_whatever_else_is_missing", 90, true, false, NONE, NOTHING, REVOKED, ERR_CERT_REVOKED,
     ERR_CERT_REVOKED, 0, "revoked"},
    {"nothing_is_fetched_where_it_would_not_help", 90, false, false, NONE, NOTHING, NOTHING,
     ERR_REVOCATION_UNKNOWN, ERR_REVOCATION_UNKNOWN, 0, "names no CRL"},
    {"list_not_to_be_had", 90, true, true, NONE, FAILED, NOTHING, ERR_REVOCATION_UNKNOWN, ERR_OK, 0,
     "no usable CRL: no connection"},
    {"stale_list", 90, true, true, NONE, STALE, NOTHING, ERR_REVOCATION_UNKNOWN, ERR_OK, 0, "stale"},
    {"a_good_answer_needs_no_list", 90, true, true, ANSWER_GOOD, FAILED, NOTHING, ERR_OK, ERR_OK, 0, ""},
    {"a_good_answer_says_nothing_of_the_authority", 90, true, false, ANSWER_GOOD, NOTHING, REVOKED,
     ERR_CERT_REVOKED, ERR_CERT_REVOKED, 0, "CN=Between"},
    {"a_revoking_answer_counts_for_short_lives_too", 7, false, true, ANSWER_REVOKED, NOTHING, NOTHING,
     ERR_CERT_REVOKED, ERR_CERT_REVOKED, 0, "revoked (OCSP, CN=leaf"},
    {"a_stale_answer_is_not_made_good_by_a_list", 90, true, true, ANSWER_STALE, GOOD, NOTHING,
     ERR_REVOCATION_UNKNOWN, ERR_OK, 0, "the OCSP answer is stale"},
};

static void put(struct crl_cache *cache, const char *url, enum list list, const struct identity *by,
                const X509 *certificate)
{
    struct buf der;
    if (list == NOTHING)
        return;
    if (list == FAILED) {
        crl_cache_put_failure(cache, url, "no connection", 0);
        return;
    }
    der = pki_crl(by, list == REVOKED ? certificate : NULL, list == STALE ? -2 * DAY : -1,
                  list == STALE ? -1 : DAY, NULL);
    crl_cache_put(cache, url, buf_span(&der), NOW, 0);
    buf_free(&der);
}

static void chains_are_judged(void **state)
{
    (void)state;
    static const struct extension named_leaf[] = {{"crlDistributionPoints", "URI:" LEAF_URL}, {NULL, NULL}},
                                  named_between[] = {{"basicConstraints", "critical,CA:TRUE"},
                                                     {"keyUsage", "critical,keyCertSign,cRLSign"},
                                                     {"crlDistributionPoints", "URI:" ROOT_URL},
                                                     {NULL, NULL}};
    struct identity root = pki_authority(NULL, "Root");
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct identity between =
            pki_issue(&root, "Between", 0, (cases[i].between_short ? 7 : 900) * DAY, named_between);
        struct identity leaf =
            pki_issue(&between, "leaf", 0, cases[i].leaf_days * DAY, cases[i].leaf_named ? named_leaf : NULL);
        struct buf staple = {0};
        if (cases[i].answer != NONE)
            staple = pki_ocsp(&between, leaf.certificate,
                              cases[i].answer == ANSWER_REVOKED ? V_OCSP_CERTSTATUS_REVOKED
                                                                : V_OCSP_CERTSTATUS_GOOD,
                              -9 * DAY, cases[i].answer == ANSWER_STALE ? -DAY : DAY, &between);
        struct chain *chain = pki_chain(buf_span(&staple), 3, &leaf, &between, &root);
        for (int hard = 0; hard < 2; hard++) {
            struct crl_cache *cache = NULL;
            struct revocation_verdict v;
            const struct revocation_rules rules = {.hard = hard != 0, .short_lifetime_s = 7 * DAY};
            assert_int_equal(crl_cache_create(8, 1 << 20, &cache), ERR_OK);
            put(cache, LEAF_URL, cases[i].leaf, &between, leaf.certificate);
            put(cache, ROOT_URL, cases[i].between, &root, between.certificate);
            enum err got = revocation_judge(&rules, cache, chain, NOW, 1, &v);
            if (got != (hard ? cases[i].hard : cases[i].soft))
                print_error("%s (%s): %s, %s\n", cases[i].name, hard ? "hard" : "soft", err_name(got),
                            v.detail);
            assert_int_equal(got, hard ? cases[i].hard : cases[i].soft);
            if (hard) {
                assert_int_equal(v.needed_count, cases[i].needed);
                if (cases[i].detail != NULL && strstr(v.detail, cases[i].detail) == NULL)
                    fail_msg("%s: %s", cases[i].name, v.detail);
            }
            crl_cache_free(cache);
        }
        chain_free(chain);
        buf_free(&staple);
        pki_free(&leaf);
        pki_free(&between);
    }
    pki_free(&root);
}

static void a_list_is_not_fetched_on_anybodys_word(void **state)
{
    (void)state;
    struct identity root = pki_authority(NULL, "Root");
    struct identity leaf =
        pki_issue(&root, "leaf", 0, 90 * DAY,
                  (struct extension[]){{"crlDistributionPoints", "URI:" LEAF_URL}, {NULL, NULL}});
    struct chain *chain = pki_chain(span_of(""), 2, &leaf, &root);
    struct crl_cache *cache = NULL;
    struct revocation_verdict v;
    struct revocation_rules rules = {.hard = true, .short_lifetime_s = 7 * DAY, .not_to_be_fetched = true};
    assert_int_equal(crl_cache_create(1, 1000, &cache), ERR_OK);
    assert_int_equal(revocation_judge(&rules, cache, chain, NOW, 1, &v), ERR_REVOCATION_UNKNOWN);
    assert_int_equal(v.needed_count, 0);
    assert_non_null(strstr(v.detail, "not fetched"));
    rules.hard = false;
    assert_int_equal(revocation_judge(&rules, cache, chain, NOW, 1, &v), ERR_OK);
    assert_int_equal(v.needed_count, 0);
    crl_cache_free(cache);
    chain_free(chain);
    pki_free(&leaf);
    pki_free(&root);
}

static void an_anchor_alone_is_trusted(void **state)
{
    (void)state;
    struct identity root = pki_authority(NULL, "Root");
    struct chain *chain = pki_chain(span_of(""), 1, &root);
    struct revocation_verdict v;
    const struct revocation_rules rules = {.hard = true};
    struct crl_cache *cache = NULL;
    assert_int_equal(crl_cache_create(1, 1000, &cache), ERR_OK);
    assert_int_equal(revocation_judge(&rules, cache, chain, NOW, 1, &v), ERR_OK);
    crl_cache_free(cache);
    chain_free(chain);
    pki_free(&root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chains_are_judged),
        cmocka_unit_test(a_list_is_not_fetched_on_anybodys_word),
        cmocka_unit_test(an_anchor_alone_is_trusted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
