#include "certificate/crl.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "certificate/when.h"

#define SKEW_S 300

struct crl {
    X509_CRL *list;
    size_t bytes;
    pthread_mutex_t lock; /* for what follows */
    int references;
    bool verified; /* by the issuer whose certificate has this digest: large lists are hashed once */
    uint8_t issuer[32];
};

/* --- where it lies */

static void add_url(const ASN1_IA5STRING *text, struct crl_urls *out)
{
    struct span s = span_bytes(ASN1_STRING_get0_data(text), (size_t)ASN1_STRING_length(text));
    if (out->count == CRL_URLS_MAX || s.len > CRL_URL_MAX ||
        (!span_starts_nocase(s, "http://") && !span_starts_nocase(s, "https://")))
        return;
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] <= ' ' || s.ptr[i] > '~')
            return;
    memcpy(out->url[out->count], s.ptr, s.len);
    out->url[out->count++][s.len] = '\0';
}

static void add_point(const DIST_POINT *point, struct crl_urls *out)
{
    if (point->reasons != NULL || point->CRLissuer != NULL || point->distpoint == NULL ||
        point->distpoint->type != 0)
        return;
    const GENERAL_NAMES *names = point->distpoint->name.fullname;
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type == GEN_URI)
            add_url(name->d.uniformResourceIdentifier, out);
    }
}

void crl_urls_of(struct x509_st *certificate, struct crl_urls *out)
{
    CRL_DIST_POINTS *points = X509_get_ext_d2i(certificate, NID_crl_distribution_points, NULL, NULL);
    out->count = 0;
    for (int i = 0; i < sk_DIST_POINT_num(points); i++)
        add_point(sk_DIST_POINT_value(points, i), out);
    CRL_DIST_POINTS_free(points);
    ERR_clear_error();
}

/* --- life */

enum err crl_parse(struct span der, struct crl **out)
{
    const unsigned char *at = (const unsigned char *)der.ptr;
    X509_CRL *list = der.len > 0 ? d2i_X509_CRL(NULL, &at, (long)der.len) : NULL;
    ERR_clear_error();
    if (list == NULL || (const char *)at != der.ptr + der.len) {
        X509_CRL_free(list);
        return ERR_SYNTAX;
    }
    struct crl *l = calloc(1, sizeof *l);
    if (l == NULL) {
        X509_CRL_free(list);
        return ERR_NOMEM;
    }
    l->list = list;
    l->bytes = der.len;
    l->references = 1;
    pthread_mutex_init(&l->lock, NULL);
    *out = l;
    return ERR_OK;
}

struct crl *crl_ref(struct crl *l)
{
    pthread_mutex_lock(&l->lock);
    l->references++;
    pthread_mutex_unlock(&l->lock);
    return l;
}

void crl_free(struct crl *l)
{
    if (l == NULL)
        return;
    pthread_mutex_lock(&l->lock);
    int left = --l->references;
    pthread_mutex_unlock(&l->lock);
    if (left > 0)
        return;
    X509_CRL_free(l->list);
    pthread_mutex_destroy(&l->lock);
    free(l);
}

size_t crl_bytes(const struct crl *l)
{
    return l->bytes;
}

const char *crl_not_in_force(const struct crl *l, int64_t now_s)
{
    int64_t from_s, until_s;
    if (!when_read(X509_CRL_get0_lastUpdate(l->list), &from_s) || now_s < from_s - SKEW_S)
        return "of the future";
    if (!when_read(X509_CRL_get0_nextUpdate(l->list), &until_s) || now_s >= until_s)
        return "stale";
    return NULL;
}

/* --- what it says */

static bool signed_by(struct crl *l, X509 *issuer)
{
    uint8_t digest[32];
    if (X509_digest(issuer, EVP_sha256(), digest, NULL) != 1)
        return false;
    pthread_mutex_lock(&l->lock);
    bool known = l->verified && memcmp(l->issuer, digest, sizeof digest) == 0;
    pthread_mutex_unlock(&l->lock);
    if (known)
        return true;
    if (X509_NAME_cmp(X509_CRL_get_issuer(l->list), X509_get_subject_name(issuer)) != 0 ||
        (X509_get_key_usage(issuer) & X509v3_KU_CRL_SIGN) == 0 ||
        X509_CRL_verify(l->list, X509_get0_pubkey(issuer)) != 1)
        return false;
    pthread_mutex_lock(&l->lock);
    l->verified = true;
    memcpy(l->issuer, digest, sizeof digest);
    pthread_mutex_unlock(&l->lock);
    return true;
}

/* A critical extension that we do not know changes what the list means (RFC 5280 5.2). A delta's indicator is
 * critical too. */
static bool is_understood(const X509_CRL *list)
{
    for (int i = 0; i < X509_CRL_get_ext_count(list); i++) {
        X509_EXTENSION *e = X509_CRL_get_ext(list, i);
        int nid = OBJ_obj2nid(X509_EXTENSION_get_object(e));
        if (nid == NID_delta_crl ||
            (X509_EXTENSION_get_critical(e) != 0 && nid != NID_issuing_distribution_point))
            return false;
    }
    return true;
}

/* A list in parts names the part; another part of the same issuer would show nothing (RFC 5280 6.3.3 b). */
static bool names_point(const DIST_POINT_NAME *point, const struct crl_urls *urls)
{
    if (point == NULL)
        return true;
    if (point->type != 0)
        return false;
    for (int i = 0; i < sk_GENERAL_NAME_num(point->name.fullname); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(point->name.fullname, i);
        if (name->type != GEN_URI)
            continue;
        const ASN1_IA5STRING *text = name->d.uniformResourceIdentifier;
        struct span uri = span_bytes(ASN1_STRING_get0_data(text), (size_t)ASN1_STRING_length(text));
        for (size_t k = 0; k < urls->count; k++)
            if (span_is(uri, urls->url[k]))
                return true;
    }
    return false;
}

static bool covers(const X509_CRL *list, X509 *certificate, const struct crl_urls *urls)
{
    int critical = -1;
    bool ca = X509_check_ca(certificate) != 0;
    ISSUING_DIST_POINT *part = X509_CRL_get_ext_d2i(list, NID_issuing_distribution_point, &critical, NULL);
    if (part == NULL)
        return critical == -1; /* no such field; else there are two, or it is malformed */
    bool yes = names_point(part->distpoint, urls) && part->onlysomereasons == NULL &&
               part->indirectCRL <= 0 && part->onlyattr <= 0 && (part->onlyuser <= 0 || !ca) &&
               (part->onlyCA <= 0 || ca);
    ISSUING_DIST_POINT_free(part);
    return yes;
}

enum err crl_judge(struct crl *l, struct x509_st *certificate, struct x509_st *issuer,
                   const struct crl_urls *urls, int64_t now_s, const char **why)
{
    X509_REVOKED *entry = NULL;
    enum err err = ERR_REVOCATION_UNKNOWN;
    *why = crl_not_in_force(l, now_s);
    if (*why != NULL)
        return err;
    if (!signed_by(l, issuer))
        *why = "not signed by the certificate's issuer";
    else if (!is_understood(l->list) || !covers(l->list, certificate, urls))
        *why = "not a list for this certificate";
    else
        err = X509_CRL_get0_by_cert(l->list, &entry, certificate) == 1 ? ERR_CERT_REVOKED : ERR_OK;
    ERR_clear_error();
    return err;
}
