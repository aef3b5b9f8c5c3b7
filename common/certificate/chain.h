/*
 * chain.h - the certificates by which a peer was verified, from his own to the trust anchor, with the OCSP
 * answer that came with them. No network, no judgement. Thread-safe.
 */
#ifndef CERTIFICATE_CHAIN_H
#define CERTIFICATE_CHAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

#define CERTIFICATE_NAME_MAX 256
#define CERTIFICATE_SERIAL_MAX 64

struct stack_st_X509; /* OpenSSL's STACK_OF(X509) */
struct x509_st;       /* and X509 */

struct chain;
/* References on the certificates of a verified chain (the peer's first) and a copy of the staple (may be
 * empty). ERR_NOMEM; ERR_TLS for an empty chain. */
enum err chain_create(const struct stack_st_X509 *verified, struct span staple, struct chain **out);
void chain_free(struct chain *c);

size_t chain_length(const struct chain *c);
/* Borrowed; 0 is the peer's own, the last is the trust anchor. */
struct x509_st *chain_certificate(const struct chain *c, size_t i);
struct span chain_staple(const struct chain *c);
/* Until when its answer was found to be good, so that a connection's requests need not verify it again and
 * again; 0: not yet. */
int64_t chain_staple_good_until_s(const struct chain *c);
void chain_note_staple_good(struct chain *c, int64_t until_s);
/* host is among the DNS names of the peer's own certificate (RFC 6125; the subject is not looked at). */
bool chain_names_host(const struct chain *c, const char *host);

/* Names as in RFC 2253, cut where they do not fit; "" when they cannot be told. */
void certificate_subject(struct x509_st *certificate, char out[CERTIFICATE_NAME_MAX]);
void certificate_issuer(struct x509_st *certificate, char out[CERTIFICATE_NAME_MAX]);
/* Upper-case hexadecimal. */
void certificate_serial(struct x509_st *certificate, char out[CERTIFICATE_SERIAL_MAX]);
/* From notBefore to notAfter; INT64_MAX when they cannot be read. */
int64_t certificate_lifetime_s(struct x509_st *certificate);

#endif
