/* pki.h - real certificates, revocation lists and OCSP answers, made by OpenSSL while the test runs. */
#ifndef PKI_H
#define PKI_H

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/buf.h"
#include "certificate/chain.h"

#define DAY ((int64_t)86400)
#define NOW ((int64_t)1800000000) /* whatever the clock says: all times are given */

struct identity {
    X509 *certificate;
    EVP_PKEY *key;
};
struct extension { /* as in openssl.cnf; a list ends with a NULL name */
    const char *name, *value;
};
/* by NULL: self-signed. Times relative to NOW. Serial numbers count up. */
struct identity pki_issue(const struct identity *by, const char *common_name, int64_t start_s, int64_t end_s,
                          const struct extension *extensions);
struct identity pki_authority(const struct identity *by, const char *common_name);
void pki_free(struct identity *i);
/* A verified chain of them, from the leaf up; with a staple or none. */
struct chain *pki_chain(struct span staple, size_t count, ...);

/* DER. revoked: NULL or a certificate. until_s NO_TIME: without nextUpdate. */
#define NO_TIME INT64_MIN
struct buf pki_crl(const struct identity *by, const X509 *revoked, int64_t from_s, int64_t until_s,
                   const struct extension *extensions);
/* DER. status: V_OCSP_CERTSTATUS_... signer: who signs; his certificate goes along. */
struct buf pki_ocsp(const struct identity *issuer, const X509 *certificate, int status, int64_t from_s,
                    int64_t until_s, const struct identity *signer);

#endif
