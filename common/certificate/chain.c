#include "certificate/chain.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

struct chain {
    STACK_OF(X509) * certificates;
    char *staple;
    size_t staple_len;
    _Atomic int64_t staple_good_until_s;
};

enum err chain_create(const struct stack_st_X509 *verified, struct span staple, struct chain **out)
{
    if (verified == NULL || sk_X509_num(verified) < 1)
        return ERR_TLS;
    struct chain *c = calloc(1, sizeof *c);
    if (c == NULL)
        return ERR_NOMEM;
    c->certificates = X509_chain_up_ref((STACK_OF(X509) *)(uintptr_t)verified); /* it only reads */
    c->staple = malloc(staple.len + 1);
    if (c->certificates == NULL || c->staple == NULL) {
        chain_free(c);
        return ERR_NOMEM;
    }
    if (staple.len > 0)
        memcpy(c->staple, staple.ptr, staple.len);
    c->staple_len = staple.len;
    *out = c;
    return ERR_OK;
}

void chain_free(struct chain *c)
{
    if (c == NULL)
        return;
    sk_X509_pop_free(c->certificates, X509_free);
    free(c->staple);
    free(c);
}

size_t chain_length(const struct chain *c)
{
    return (size_t)sk_X509_num(c->certificates);
}

struct x509_st *chain_certificate(const struct chain *c, size_t i)
{
    return sk_X509_value(c->certificates, (int)i);
}

struct span chain_staple(const struct chain *c)
{
    return span_bytes(c->staple, c->staple_len);
}

int64_t chain_staple_good_until_s(const struct chain *c)
{
    return atomic_load(&c->staple_good_until_s);
}

void chain_note_staple_good(struct chain *c, int64_t until_s)
{
    atomic_store(&c->staple_good_until_s, until_s);
}

bool chain_names_host(const struct chain *c, const char *host)
{
    return X509_check_host(chain_certificate(c, 0), host, 0,
                           X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS,
                           NULL) == 1;
}

static void name_text(const X509_NAME *name, char out[CERTIFICATE_NAME_MAX])
{
    BIO *memory = BIO_new(BIO_s_mem());
    out[0] = '\0';
    if (memory != NULL && X509_NAME_print_ex(memory, name, 0, XN_FLAG_RFC2253) >= 0) {
        int n = BIO_read(memory, out, CERTIFICATE_NAME_MAX - 1);
        out[n > 0 ? n : 0] = '\0';
    }
    BIO_free(memory);
}

void certificate_subject(struct x509_st *certificate, char out[CERTIFICATE_NAME_MAX])
{
    name_text(X509_get_subject_name(certificate), out);
}

void certificate_issuer(struct x509_st *certificate, char out[CERTIFICATE_NAME_MAX])
{
    name_text(X509_get_issuer_name(certificate), out);
}

void certificate_serial(struct x509_st *certificate, char out[CERTIFICATE_SERIAL_MAX])
{
    BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), NULL);
    char *hex = number != NULL ? BN_bn2hex(number) : NULL;
    snprintf(out, CERTIFICATE_SERIAL_MAX, "%s", hex != NULL ? hex : "");
    OPENSSL_free(hex);
    BN_free(number);
}

int64_t certificate_lifetime_s(struct x509_st *certificate)
{
    int days = 0, seconds = 0;
    if (ASN1_TIME_diff(&days, &seconds, X509_get0_notBefore(certificate), X509_get0_notAfter(certificate)) !=
        1)
        return INT64_MAX;
    return (int64_t)days * 86400 + seconds;
}
