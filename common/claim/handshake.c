#include "claim/handshake.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "certificate/chain.h"

struct handshake {
    int references;
    char host[TICKET_HOST_MAX + 1];
    struct tlsa_set tlsa;
    bool ready; /* OpenSSL has the records; else nothing verifies */
    int verify_error;
    char issuer[CERTIFICATE_NAME_MAX], serial[CERTIFICATE_SERIAL_MAX];
};

static int context_index = -1; /* of the struct handshake in an SSL_CTX */
static int chain_index = -1;   /* of the struct chain in an SSL */
static pthread_once_t once = PTHREAD_ONCE_INIT;

struct handshake *handshake_create(const char *host, const struct tlsa_set *tlsa)
{
    struct handshake *h = calloc(1, sizeof *h);
    if (h == NULL)
        return NULL;
    h->references = 1;
    h->tlsa = *tlsa;
    snprintf(h->host, sizeof h->host, "%s", host);
    return h;
}

void handshake_release(struct handshake *h)
{
    if (h != NULL && --h->references == 0)
        free(h);
}

static void on_context_free(void *parent, void *h, CRYPTO_EX_DATA *data, int index, long argl, void *argp)
{
    (void)parent;
    (void)data;
    (void)index;
    (void)argl;
    (void)argp;
    handshake_release(h);
}

static void on_ssl_free(void *parent, void *chain, CRYPTO_EX_DATA *data, int index, long argl, void *argp)
{
    (void)parent;
    (void)data;
    (void)index;
    (void)argl;
    (void)argp;
    chain_free(chain);
}

static void make_indices(void)
{
    chain_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, on_ssl_free);
    context_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, on_context_free);
}

/* The host's name is checked by OpenSSL then, where the record is of an authority; a record of the host's own
 * key says all there is to say (RFC 7671 5.1). */
static bool enable_dane(SSL *ssl, const struct handshake *h)
{
    if (SSL_dane_enable(ssl, h->host) != 1)
        return false;
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    SSL_dane_set_flags(ssl, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
    for (size_t i = 0; i < h->tlsa.count; i++)
        if (SSL_dane_tlsa_add(ssl, h->tlsa.record[i].usage, 1, 1, h->tlsa.record[i].digest,
                              sizeof h->tlsa.record[i].digest) != 1)
            return false;
    return true;
}

/* Records belong to the SSL, which curl does not show before its handshake begins. */
static void on_info(const SSL *ssl, int where, int result)
{
    struct handshake *h = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), context_index);
    (void)result;
    /* It begins once: renegotiation is off. TLS 1.3 calls its later messages a handshake too. */
    if ((where & SSL_CB_HANDSHAKE_START) != 0 && h->tlsa.count > 0 && SSL_in_before(ssl) == 1)
        h->ready = enable_dane((SSL *)(uintptr_t)ssl, h);
}

static int on_verify(X509_STORE_CTX *store, void *arg)
{
    struct handshake *h = arg;
    X509 *shown = X509_STORE_CTX_get0_cert(store);
    if (shown != NULL) {
        certificate_issuer(shown, h->issuer);
        certificate_serial(shown, h->serial);
    }
    if (h->tlsa.count > 0 && !h->ready) {
        X509_STORE_CTX_set_error(store, X509_V_ERR_UNSPECIFIED);
        return 0;
    }
    int good = X509_verify_cert(store);
    h->verify_error = X509_STORE_CTX_get_error(store);
    return good;
}

enum err handshake_attach(struct handshake *h, SSL_CTX *context)
{
    pthread_once(&once, make_indices);
    if (context_index < 0 || chain_index < 0 || SSL_CTX_set_ex_data(context, context_index, h) != 1)
        return ERR_NOMEM;
    h->references++;
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_cert_verify_callback(context, on_verify, h);
    if (SSL_CTX_set_tlsext_status_type(context, TLSEXT_STATUSTYPE_ocsp) != 1)
        return ERR_INTERNAL;
    if (h->tlsa.count == 0)
        return ERR_OK;
    SSL_CTX_set_info_callback(context, on_info);
    return SSL_CTX_dane_enable(context) == 1 ? ERR_OK : ERR_INTERNAL;
}

const struct handshake *handshake_of(const SSL *ssl)
{
    return context_index < 0 ? NULL : SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), context_index);
}

enum err handshake_chain(SSL *ssl, struct chain **out)
{
    const unsigned char *staple = NULL;
    struct chain *chain = SSL_get_ex_data(ssl, chain_index);
    if (chain == NULL) {
        long len = SSL_get_tlsext_status_ocsp_resp(ssl, &staple);
        enum err err =
            chain_create(SSL_get0_verified_chain(ssl), span_bytes(staple, len > 0 ? (size_t)len : 0), &chain);
        if (err != ERR_OK)
            return err;
        if (SSL_set_ex_data(ssl, chain_index, chain) != 1) {
            chain_free(chain);
            return ERR_NOMEM;
        }
    }
    *out = chain;
    return ERR_OK;
}

const struct tlsa_set *handshake_tlsa(const struct handshake *h)
{
    return &h->tlsa;
}

void handshake_describe(const struct handshake *h, struct claim_outcome *out)
{
    snprintf(out->certificate_issuer, sizeof out->certificate_issuer, "%s", h->issuer);
    snprintf(out->certificate_serial, sizeof out->certificate_serial, "%s", h->serial);
}

bool handshake_failed_dane(const struct handshake *h)
{
    return h->tlsa.count > 0 && h->verify_error == X509_V_ERR_DANE_NO_MATCH;
}
