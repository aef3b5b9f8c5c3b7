#include "certificate/staple.h"

#include <time.h>

#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/x509_vfy.h>

#include "certificate/when.h"

#define SKEW_S 300

/* OpenSSL goes from the signer to the issuer, and sees to his extended key usage. */
static bool signed_for(OCSP_BASICRESP *basic, X509 *issuer, int64_t now_s)
{
    bool good = false;
    X509_STORE *store = X509_STORE_new();
    STACK_OF(X509) *known = sk_X509_new_null();
    if (store != NULL && known != NULL && X509_STORE_add_cert(store, issuer) == 1 &&
        sk_X509_push(known, issuer) > 0) {
        X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
        X509_VERIFY_PARAM_set_time(X509_STORE_get0_param(store), (time_t)now_s);
        good = OCSP_basic_verify(basic, known, store, 0) == 1;
    }
    sk_X509_free(known);
    X509_STORE_free(store);
    ERR_clear_error();
    return good;
}

static bool speaks_of(OCSP_SINGLERESP *single, X509 *certificate, X509 *issuer)
{
    ASN1_OBJECT *algorithm = NULL;
    const OCSP_CERTID *id = OCSP_SINGLERESP_get0_id(single);
    if (id == NULL || OCSP_id_get0_info(NULL, &algorithm, NULL, NULL, (OCSP_CERTID *)(uintptr_t)id) != 1)
        return false;
    const EVP_MD *digest = EVP_get_digestbyobj(algorithm);
    OCSP_CERTID *ours = digest != NULL ? OCSP_cert_to_id(digest, certificate, issuer) : NULL;
    bool same = ours != NULL && OCSP_id_cmp(ours, id) == 0;
    OCSP_CERTID_free(ours);
    return same;
}

static enum staple judge_single(OCSP_SINGLERESP *single, int64_t now_s, int64_t *until_s, const char **why)
{
    ASN1_GENERALIZEDTIME *from = NULL, *until = NULL;
    int64_t from_s;
    int status = OCSP_single_get0_status(single, NULL, NULL, &from, &until);
    if (status == V_OCSP_CERTSTATUS_REVOKED)
        return STAPLE_REVOKED;
    *why = "the OCSP answer does not know the certificate";
    if (status != V_OCSP_CERTSTATUS_GOOD)
        return STAPLE_UNUSABLE;
    *why = "the OCSP answer is stale";
    if (!when_read(from, &from_s) || !when_read(until, until_s) || now_s < from_s - SKEW_S ||
        now_s > *until_s + SKEW_S)
        return STAPLE_UNUSABLE;
    return STAPLE_GOOD;
}

static enum staple judge_basic(OCSP_BASICRESP *basic, X509 *certificate, X509 *issuer, int64_t now_s,
                               int64_t *until_s, const char **why)
{
    *why = "the OCSP answer is not signed by the certificate's issuer";
    if (!signed_for(basic, issuer, now_s))
        return STAPLE_UNUSABLE;
    for (int i = 0; i < OCSP_resp_count(basic); i++) {
        OCSP_SINGLERESP *single = OCSP_resp_get0(basic, i);
        if (speaks_of(single, certificate, issuer))
            return judge_single(single, now_s, until_s, why);
    }
    *why = "the OCSP answer speaks of another certificate";
    return STAPLE_UNUSABLE;
}

enum staple staple_judge(struct span der, struct x509_st *certificate, struct x509_st *issuer, int64_t now_s,
                         int64_t *until_s, const char **why)
{
    const unsigned char *at = (const unsigned char *)der.ptr;
    enum staple staple = STAPLE_UNUSABLE;
    OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &at, (long)der.len);
    OCSP_BASICRESP *basic = NULL;
    *why = "the OCSP answer is malformed or none";
    if (response != NULL && OCSP_response_status(response) == OCSP_RESPONSE_STATUS_SUCCESSFUL)
        basic = OCSP_response_get1_basic(response);
    if (basic != NULL)
        staple = judge_basic(basic, certificate, issuer, now_s, until_s, why);
    OCSP_BASICRESP_free(basic);
    OCSP_RESPONSE_free(response);
    ERR_clear_error();
    return staple;
}
