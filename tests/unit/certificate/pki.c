#include "pki.h"

#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include <openssl/ocsp.h>
#include <openssl/x509v3.h>

static void must(int holds)
{
    if (holds <= 0)
        abort();
}

static EVP_PKEY *new_key(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    must(key != NULL);
    return key;
}

static ASN1_TIME *at(int64_t offset_s)
{
    ASN1_TIME *t = ASN1_TIME_set(NULL, (time_t)(NOW + offset_s));
    must(t != NULL);
    return t;
}

struct identity pki_issue(const struct identity *by, const char *common_name, int64_t start_s, int64_t end_s,
                          const struct extension *extensions)
{
    static long serial = 4096;
    struct identity made = {X509_new(), new_key()};
    const struct identity *issuer = by != NULL ? by : &made;
    X509_NAME *name = X509_NAME_new();
    ASN1_TIME *start = at(start_s), *end = at(end_s);
    X509V3_CTX context;
    must(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)common_name, -1, -1, 0));
    must(X509_set_version(made.certificate, X509_VERSION_3));
    must(ASN1_INTEGER_set(X509_get_serialNumber(made.certificate), ++serial));
    must(X509_set_subject_name(made.certificate, name));
    must(X509_set_issuer_name(made.certificate, by != NULL ? X509_get_subject_name(by->certificate) : name));
    must(X509_set1_notBefore(made.certificate, start) && X509_set1_notAfter(made.certificate, end));
    must(X509_set_pubkey(made.certificate, made.key));
    X509V3_set_ctx(&context, issuer->certificate, made.certificate, NULL, NULL, 0);
    for (; extensions != NULL && extensions->name != NULL; extensions++) {
        X509_EXTENSION *e = X509V3_EXT_conf(NULL, &context, extensions->name, extensions->value);
        must(e != NULL && X509_add_ext(made.certificate, e, -1));
        X509_EXTENSION_free(e);
    }
    must(X509_sign(made.certificate, issuer->key, EVP_sha256()));
    X509_NAME_free(name);
    ASN1_TIME_free(start);
    ASN1_TIME_free(end);
    return made;
}

struct identity pki_authority(const struct identity *by, const char *common_name)
{
    static const struct extension extensions[] = {{"basicConstraints", "critical,CA:TRUE"},
                                                  {"keyUsage", "critical,keyCertSign,cRLSign"},
                                                  {"subjectKeyIdentifier", "hash"},
                                                  {NULL, NULL}};
    return pki_issue(by, common_name, -100 * DAY, 1000 * DAY, extensions);
}

void pki_free(struct identity *i)
{
    X509_free(i->certificate);
    EVP_PKEY_free(i->key);
}

struct chain *pki_chain(struct span staple, size_t count, ...)
{
    STACK_OF(X509) *stack = sk_X509_new_null();
    struct chain *chain = NULL;
    va_list list;
    va_start(list, count);
    for (size_t i = 0; i < count; i++)
        must(sk_X509_push(stack, va_arg(list, const struct identity *)->certificate));
    va_end(list);
    must(chain_create(stack, staple, &chain) == ERR_OK);
    sk_X509_free(stack);
    return chain;
}

static struct buf der_of(const void *object, int (*encode)(const void *object, unsigned char **out))
{
    unsigned char *der = NULL;
    struct buf out;
    int len = encode(object, &der);
    must(len);
    buf_init(&out, 1 << 20);
    must(buf_append(&out, der, (size_t)len) == ERR_OK);
    OPENSSL_free(der);
    return out;
}

static int encode_crl(const void *list, unsigned char **out)
{
    return i2d_X509_CRL(list, out);
}

static int encode_ocsp(const void *response, unsigned char **out)
{
    return i2d_OCSP_RESPONSE(response, out);
}

struct buf pki_crl(const struct identity *by, const X509 *revoked, int64_t from_s, int64_t until_s,
                   const struct extension *extensions)
{
    X509_CRL *list = X509_CRL_new();
    ASN1_TIME *from = at(from_s), *until = until_s != NO_TIME ? at(until_s) : NULL;
    X509V3_CTX context;
    must(X509_CRL_set_version(list, X509_CRL_VERSION_2));
    must(X509_CRL_set_issuer_name(list, X509_get_subject_name(by->certificate)));
    must(X509_CRL_set1_lastUpdate(list, from));
    if (until != NULL)
        must(X509_CRL_set1_nextUpdate(list, until));
    if (revoked != NULL) {
        X509_REVOKED *entry = X509_REVOKED_new();
        must(X509_REVOKED_set_serialNumber(entry,
                                           (ASN1_INTEGER *)(uintptr_t)X509_get0_serialNumber(revoked)) &&
             X509_REVOKED_set_revocationDate(entry, from) && X509_CRL_add0_revoked(list, entry));
    }
    X509V3_set_ctx(&context, by->certificate, NULL, NULL, list, 0);
    for (; extensions != NULL && extensions->name != NULL; extensions++) {
        X509_EXTENSION *e = X509V3_EXT_conf(NULL, &context, extensions->name, extensions->value);
        must(e != NULL && X509_CRL_add_ext(list, e, -1));
        X509_EXTENSION_free(e);
    }
    must(X509_CRL_sort(list) && X509_CRL_sign(list, by->key, EVP_sha256()));
    struct buf der = der_of(list, encode_crl);
    X509_CRL_free(list);
    ASN1_TIME_free(from);
    ASN1_TIME_free(until);
    return der;
}

struct buf pki_ocsp(const struct identity *issuer, const X509 *certificate, int status, int64_t from_s,
                    int64_t until_s, const struct identity *signer)
{
    OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
    OCSP_CERTID *id = OCSP_cert_to_id(EVP_sha1(), certificate, issuer->certificate);
    ASN1_TIME *from = at(from_s), *until = until_s != NO_TIME ? at(until_s) : NULL;
    must(OCSP_basic_add1_status(basic, id, status, OCSP_REVOKED_STATUS_NOSTATUS,
                                status == V_OCSP_CERTSTATUS_REVOKED ? from : NULL, from, until) != NULL);
    must(OCSP_basic_sign(basic, signer->certificate, signer->key, EVP_sha256(), NULL, 0));
    OCSP_RESPONSE *response = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
    struct buf der = der_of(response, encode_ocsp);
    OCSP_RESPONSE_free(response);
    OCSP_BASICRESP_free(basic);
    OCSP_CERTID_free(id);
    ASN1_TIME_free(from);
    ASN1_TIME_free(until);
    return der;
}
