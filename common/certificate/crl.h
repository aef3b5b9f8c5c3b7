/*
 * crl.h - one certificate revocation list (RFC 5280 section 5): read, checked against its issuer, asked for a
 * certificate; and the addresses at which a certificate says that its list lies. No network. Thread-safe; a
 * list is shared by references.
 */
#ifndef CERTIFICATE_CRL_H
#define CERTIFICATE_CRL_H

#include "certificate/chain.h"

#define CRL_URL_MAX 255
#define CRL_URLS_MAX 3

/* Where a certificate's list is to be had; http and https alone. More of them are other ways to the same. */
struct crl_urls {
    size_t count;
    char url[CRL_URLS_MAX][CRL_URL_MAX + 1];
};
/* Points of a part of the reasons or of another issuer are left out; with none left count is 0. */
void crl_urls_of(struct x509_st *certificate, struct crl_urls *out);

struct crl;
/* DER. ERR_SYNTAX, ERR_NOMEM. Nothing of it is believed yet. */
enum err crl_parse(struct span der, struct crl **out);
struct crl *crl_ref(struct crl *l);
void crl_free(struct crl *l); /* gives a reference back */
size_t crl_bytes(const struct crl *l);
/* In force now: NULL, or why not (static): "stale" after nextUpdate, which must be there. */
const char *crl_not_in_force(const struct crl *l, int64_t now_s);

/*
 * Asks the list for a certificate: its issuer's own list (name, key usage, signature), complete (no delta, no
 * part of the reasons, not indirect), of certificates of this kind, and the one that the certificate names.
 * ERR_OK: not revoked; ERR_CERT_REVOKED; ERR_REVOCATION_UNKNOWN for a list that does not say, with *why
 * (static).
 */
enum err crl_judge(struct crl *l, struct x509_st *certificate, struct x509_st *issuer,
                   const struct crl_urls *urls, int64_t now_s, const char **why);

#endif
