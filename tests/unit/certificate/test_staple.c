/* test_staple.c - OCSP answers that come with a certificate. */
#include "unit.h"

#include <openssl/ocsp.h>

#include "certificate/staple.h"
#include "pki.h"

enum signer { ISSUER, DELEGATE, FELLOW, STRANGER, OLD_DELEGATE };

static const struct {
    const char *name;
    int status;
    int64_t from_s, until_s;
    enum signer signer;
    bool of_another;
    enum staple want;
} cases[] = {
    {"good_by_the_issuer", V_OCSP_CERTSTATUS_GOOD, -DAY, DAY, ISSUER, false, STAPLE_GOOD},
    {"good_by_whom_the_issuer_named", V_OCSP_CERTSTATUS_GOOD, -DAY, DAY, DELEGATE, false, STAPLE_GOOD},
    {"revoked", V_OCSP_CERTSTATUS_REVOKED, -DAY, DAY, ISSUER, false, STAPLE_REVOKED},
    {"unknown", V_OCSP_CERTSTATUS_UNKNOWN, -DAY, DAY, ISSUER, false, STAPLE_UNUSABLE},
    {"of_yesterday", V_OCSP_CERTSTATUS_GOOD, -3 * DAY, -DAY, ISSUER, false, STAPLE_UNUSABLE},
    {"of_tomorrow", V_OCSP_CERTSTATUS_GOOD, DAY, 2 * DAY, ISSUER, false, STAPLE_UNUSABLE},
    {"without_an_end", V_OCSP_CERTSTATUS_GOOD, -DAY, NO_TIME, ISSUER, false, STAPLE_UNUSABLE},
    {"by_a_fellow_certificate", V_OCSP_CERTSTATUS_GOOD, -DAY, DAY, FELLOW, false, STAPLE_UNUSABLE},
    {"by_another_authority", V_OCSP_CERTSTATUS_GOOD, -DAY, DAY, STRANGER, false, STAPLE_UNUSABLE},
    {"by_a_delegate_whose_time_is_over", V_OCSP_CERTSTATUS_GOOD, -DAY, DAY, OLD_DELEGATE, false,
     STAPLE_UNUSABLE},
    {"of_another_certificate", V_OCSP_CERTSTATUS_GOOD, -DAY, DAY, ISSUER, true, STAPLE_UNUSABLE},
};

static void answers_are_judged(void **state)
{
    (void)state;
    static const struct extension responder[] = {{"extendedKeyUsage", "OCSPSigning"}, {NULL, NULL}},
                                  server[] = {{"extendedKeyUsage", "serverAuth"}, {NULL, NULL}};
    struct identity ca = pki_authority(NULL, "Test CA"), stranger = pki_authority(NULL, "Other CA");
    struct identity leaf = pki_issue(&ca, "leaf", -DAY, 90 * DAY, server),
                    other = pki_issue(&ca, "other", -DAY, 90 * DAY, server),
                    delegate = pki_issue(&ca, "responder", -DAY, DAY, responder),
                    old = pki_issue(&ca, "responder", -9 * DAY, -DAY, responder);
    const struct identity *signers[] = {&ca, &delegate, &other, &stranger, &old};
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *why = NULL;
        int64_t until_s = 0;
        struct buf der = pki_ocsp(&ca, (cases[i].of_another ? &other : &leaf)->certificate, cases[i].status,
                                  cases[i].from_s, cases[i].until_s, signers[cases[i].signer]);
        enum staple got = staple_judge(buf_span(&der), leaf.certificate, ca.certificate, NOW, &until_s, &why);
        if (got != cases[i].want)
            print_error("%s: %d, %s\n", cases[i].name, (int)got, why);
        assert_int_equal(got, cases[i].want);
        if (got == STAPLE_GOOD)
            assert_int_equal(until_s, NOW + cases[i].until_s);
        for (size_t cut = 0; cut < der.len; cut += 13)
            assert_int_equal(staple_judge(span_bytes(der.data, cut), leaf.certificate, ca.certificate, NOW,
                                          &until_s, &why),
                             STAPLE_UNUSABLE);
        buf_free(&der);
    }
    pki_free(&old);
    pki_free(&delegate);
    pki_free(&other);
    pki_free(&leaf);
    pki_free(&stranger);
    pki_free(&ca);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(answers_are_judged)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
