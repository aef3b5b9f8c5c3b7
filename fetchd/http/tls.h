/*
 * tls.h - server contexts of OpenSSL: TLS 1.2 with AEAD suites and 1.3, ALPN "h2" or nothing, optional client
 * certificates, session tickets under keys that rotate. Thread-safe.
 */
#ifndef HTTP_TLS_H
#define HTTP_TLS_H

#include <openssl/ssl.h>

#include "base/buf.h"
#include "certificate/chain.h"

struct tls;

/* ca_file: client certificates are asked for and judged by it (purpose sslserver: public CAs no longer issue
 * clientAuth); NULL: not asked for. Strings are copied. `why` gets a sentence on error; it may be NULL. */
enum err tls_create(const char *certificate_file, const char *key_file, const char *ca_file, struct tls **out,
                    struct buf *why);
void tls_free(struct tls *t);
/* Reads the files again; on error what was loaded stays. Connections under way keep what they began with. */
enum err tls_reload(struct tls *t, struct buf *why);
/* A new connection's state, to be freed by SSL_free; NULL when out of memory. */
SSL *tls_accept(struct tls *t);
/* "h2" was agreed on. A client that offers other protocols only has got an alert before. */
bool tls_is_h2(const SSL *ssl);
/* The client's certificates if it showed some that verify, else NULL; the caller owns it. Whether they are
 * revoked is not known yet. */
struct chain *tls_client_chain(const SSL *ssl);

#endif
