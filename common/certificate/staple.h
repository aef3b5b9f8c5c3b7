/*
 * staple.h - an OCSP answer that a server sent with its certificate (RFC 6960, RFC 6066 section 8). Pure,
 * thread-safe.
 */
#ifndef CERTIFICATE_STAPLE_H
#define CERTIFICATE_STAPLE_H

#include "certificate/chain.h"

enum staple {
    STAPLE_GOOD,
    STAPLE_REVOKED,
    STAPLE_UNUSABLE /* malformed, of somebody else, wrongly signed, "unknown", or not of today */
};
/* Signed by the issuer, or by a responder whom the issuer named for that (extended key usage OCSPSigning).
 * *why (static) says what is wrong; *until_s, with STAPLE_GOOD, its nextUpdate. */
enum staple staple_judge(struct span der, struct x509_st *certificate, struct x509_st *issuer, int64_t now_s,
                         int64_t *until_s, const char **why);

#endif
