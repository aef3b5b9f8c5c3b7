/*
 * handshake.h - TLS as the client wants it, set up in OpenSSL behind curl's back: a stapled OCSP answer is
 * asked for, DANE decides where there are records, no renegotiation, and what was shown is remembered also
 * when it was refused; inside this room. Belongs to the client's thread.
 */
#ifndef CLAIM_HANDSHAKE_H
#define CLAIM_HANDSHAKE_H

#include <openssl/ssl.h>

#include "claim/claim.h"
#include "claim/tlsa.h"

struct chain;     /* certificate/chain.h */
struct handshake; /* shared by references: a transfer, and its connection, which may live longer */
struct handshake *handshake_create(const char *host, const struct tlsa_set *tlsa); /* NULL: out of memory */
void handshake_release(struct handshake *h);
/* Sets up the context of one connection, which takes a reference. */
enum err handshake_attach(struct handshake *h, SSL_CTX *context);
/* The one of a connection; NULL when there is none. Borrowed. */
const struct handshake *handshake_of(const SSL *ssl);

/* The verified chain of a connection after its handshake, made at the first call; borrowed while the
 * connection stands. ERR_NOMEM, ERR_TLS. */
enum err handshake_chain(SSL *ssl, struct chain **out);
/* The records that it was verified by. */
const struct tlsa_set *handshake_tlsa(const struct handshake *h);
/* Fills the certificate's fields as far as one was shown. */
void handshake_describe(const struct handshake *h, struct claim_outcome *out);
/* A certificate was shown and there was no match with the records. */
bool handshake_failed_dane(const struct handshake *h);

#endif
