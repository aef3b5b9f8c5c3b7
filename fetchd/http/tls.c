/*
 * tls.c - the SSL_CTX of a listener and its keys for session tickets.
 *
 * A reload builds a whole new SSL_CTX and swaps it in; each SSL holds a reference on the one it was made
 * from.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "base/clock.h"
#include "base/secret.h"
#include "certificate/pem.h"
#include "http/tls.h"

/* A ticket is good for at most twice this long; what it protects is the forward secrecy of resumed sessions.
 */
#define TICKET_KEY_MS ((int64_t)6 * 3600 * 1000)
#define TICKET_LIFETIME_S 7200
/* TLS 1.2: only key agreement with forward secrecy and AEAD; 1.3 has nothing else. */
#define TLS12_SUITES "ECDHE+AESGCM:ECDHE+CHACHA20"

struct ticket_key {
    unsigned char name[16], cipher[32], mac[32];
    int64_t made_ms; /* monotonic; 0: there is none */
};

struct tls {
    char *certificate_file, *key_file, *ca_file;
    pthread_mutex_t lock;
    SSL_CTX *context;
    struct ticket_key ticket_key[2]; /* the newest first */
};

static int tls_index = -1; /* of the struct tls in an SSL_CTX */
static pthread_once_t tls_once = PTHREAD_ONCE_INIT;

static void tls_make_index(void)
{
    tls_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
}

/* ---- ALPN ---- */

/* Without the extension nothing of ours can be spoken: end it before any work is spent on the handshake. */
static int on_client_hello(SSL *ssl, int *alert, void *arg)
{
    const unsigned char *list = NULL;
    size_t len = 0;
    (void)arg;

    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_application_layer_protocol_negotiation, &list, &len) == 1)
        return SSL_CLIENT_HELLO_SUCCESS;
    *alert = SSL_AD_NO_APPLICATION_PROTOCOL;
    return SSL_CLIENT_HELLO_ERROR;
}

static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
                   unsigned in_len, void *arg)
{
    (void)ssl;
    (void)arg;
    for (unsigned at = 0; at < in_len && in[at] < in_len - at; at += 1U + in[at]) {
        if (in[at] == 2 && memcmp(in + at + 1, "h2", 2) == 0) {
            *out = in + at + 1;
            *out_len = 2;
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* ---- session tickets ---- */

static bool ticket_key_make(struct ticket_key *key)
{
    key->made_ms = clock_mono_ms();
    if (key->made_ms == 0)
        key->made_ms = 1;
    return RAND_bytes(key->name, sizeof key->name) == 1 && RAND_bytes(key->cipher, sizeof key->cipher) == 1 &&
           RAND_bytes(key->mac, sizeof key->mac) == 1;
}

/* The newest key, after a rotation if it is due. */
static bool ticket_key_newest(struct tls *t, struct ticket_key *out)
{
    bool ok = true;

    pthread_mutex_lock(&t->lock);
    struct ticket_key *newest = &t->ticket_key[0];
    if (newest->made_ms == 0 || clock_mono_ms() - newest->made_ms > TICKET_KEY_MS) {
        struct ticket_key fresh;
        ok = ticket_key_make(&fresh);
        if (ok) {
            t->ticket_key[1] = *newest;
            *newest = fresh;
        }
        secret_wipe(&fresh, sizeof fresh);
    }
    *out = *newest;
    pthread_mutex_unlock(&t->lock);
    return ok;
}

/* 0: unknown or too old, 1: the newest, 2: good, but to be renewed. */
static int ticket_key_find(struct tls *t, const unsigned char *name, struct ticket_key *out)
{
    int found = 0;

    pthread_mutex_lock(&t->lock);
    for (int i = 0; i < 2 && found == 0; i++) {
        const struct ticket_key *key = &t->ticket_key[i];
        if (key->made_ms == 0 || memcmp(key->name, name, sizeof key->name) != 0 ||
            clock_mono_ms() - key->made_ms > 2 * TICKET_KEY_MS)
            continue;
        *out = *key;
        found = i == 0 ? 1 : 2;
    }
    pthread_mutex_unlock(&t->lock);
    return found;
}

static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *mac, int encrypt)
{
    struct tls *t = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), tls_index);
    struct ticket_key key = {0};
    OSSL_PARAM params[3];
    int result = 1;

    if (encrypt) {
        if (!ticket_key_newest(t, &key) || RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) != 1)
            result = -1;
        else
            memcpy(name, key.name, sizeof key.name);
    } else {
        result = ticket_key_find(t, name, &key);
    }
    if (result > 0) {
        params[0] = OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key.mac, sizeof key.mac);
        params[1] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char[]){"SHA256"}, 0);
        params[2] = OSSL_PARAM_construct_end();
        int init = encrypt ? EVP_EncryptInit_ex2(cipher, EVP_aes_256_cbc(), key.cipher, iv, NULL)
                           : EVP_DecryptInit_ex2(cipher, EVP_aes_256_cbc(), key.cipher, iv, NULL);
        if (init != 1 || EVP_MAC_CTX_set_params(mac, params) != 1)
            result = -1;
    }
    secret_wipe(&key, sizeof key);
    return result;
}

/* ---- client certificates ---- */

/* A certificate that does not verify proves nothing, and that is all: the handshake goes on, and the verify
 * result tells. */
static int on_verify(X509_STORE_CTX *store, void *arg)
{
    X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(store);
    (void)arg;

    X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_SSL_SERVER);
    X509_VERIFY_PARAM_set_trust(param, X509_TRUST_SSL_SERVER);
    if (X509_verify_cert(store) != 1 && X509_STORE_CTX_get_error(store) == X509_V_OK)
        X509_STORE_CTX_set_error(store, X509_V_ERR_UNSPECIFIED);
    return 1;
}

struct chain *tls_client_chain(const SSL *ssl)
{
    struct chain *chain = NULL;

    if (SSL_get0_peer_certificate(ssl) == NULL || SSL_get_verify_result(ssl) != X509_V_OK ||
        chain_create(SSL_get0_verified_chain(ssl), span_of(NULL), &chain) != ERR_OK)
        return NULL;
    return chain;
}

/* A session with a client's certificate is not resumed: the ticket brings the certificate back, but not the
 * chain by which it was verified, and without that nobody can tell whether it was revoked meanwhile. */
static SSL_TICKET_RETURN on_ticket_read(SSL *ssl, SSL_SESSION *session, const unsigned char *name, size_t len,
                                        SSL_TICKET_STATUS status, void *arg)
{
    (void)ssl;
    (void)name;
    (void)len;
    (void)arg;
    bool use = (status == SSL_TICKET_SUCCESS || status == SSL_TICKET_SUCCESS_RENEW) &&
               SSL_SESSION_get0_peer(session) == NULL;
    if (!use)
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW;
}

/* ---- contexts ---- */

static enum err complain(struct buf *why, const char *what, const char *file)
{
    unsigned long first = ERR_peek_error();
    /* "No such file", "Permission denied": what comes above it in the queue says "system lib". */
    const char *reason = ERR_SYSTEM_ERROR(first) ? strerror(ERR_GET_REASON(first))
                                                 : ERR_reason_error_string(ERR_peek_last_error());

    if (why != NULL)
        buf_printf(why, "%s%s%s: %s", what, file == NULL ? "" : " ", file == NULL ? "" : file,
                   reason == NULL ? "OpenSSL gives no reason" : reason);
    ERR_clear_error();
    return ERR_CONFIG;
}

static enum err context_make(struct tls *t, SSL_CTX **out, struct buf *why)
{
    static const unsigned char session_context[] = "restante";
    SSL_CTX *c = SSL_CTX_new(TLS_server_method());
    enum err e = ERR_OK;

    ERR_clear_error();
    if (c == NULL)
        return ERR_NOMEM;
    SSL_CTX_set_ex_data(c, tls_index, t);
    SSL_CTX_set_default_passwd_cb(c, pem_no_passphrase);
    SSL_CTX_set_options(c, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                               SSL_OP_PRIORITIZE_CHACHA | SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                            SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(c, 1);
    SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_timeout(c, TICKET_LIFETIME_S);
    SSL_CTX_set_num_tickets(c, 1);
    SSL_CTX_set_client_hello_cb(c, on_client_hello, NULL);
    SSL_CTX_set_alpn_select_cb(c, on_alpn, NULL);
    if (SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION) != 1 ||
        SSL_CTX_set_cipher_list(c, TLS12_SUITES) != 1 ||
        SSL_CTX_set_session_id_context(c, session_context, sizeof session_context - 1) != 1 ||
        SSL_CTX_set_tlsext_ticket_key_evp_cb(c, on_ticket) != 1 ||
        SSL_CTX_set_session_ticket_cb(c, NULL, on_ticket_read, NULL) != 1)
        e = complain(why, "TLS set-up", NULL);
    else if (SSL_CTX_use_certificate_chain_file(c, t->certificate_file) != 1)
        e = complain(why, "certificate", t->certificate_file);
    else if (SSL_CTX_use_PrivateKey_file(c, t->key_file, SSL_FILETYPE_PEM) != 1)
        e = complain(why, "key", t->key_file);
    else if (SSL_CTX_check_private_key(c) != 1)
        e = complain(why, "key and certificate do not belong together:", t->key_file);
    else if (t->ca_file != NULL && SSL_CTX_load_verify_file(c, t->ca_file) != 1)
        e = complain(why, "client CA file", t->ca_file);
    if (e != ERR_OK) {
        SSL_CTX_free(c);
        return e;
    }
    if (t->ca_file != NULL) {
        SSL_CTX_set_verify(c, SSL_VERIFY_PEER, NULL);
        SSL_CTX_set_cert_verify_callback(c, on_verify, NULL);
    }
    *out = c;
    return ERR_OK;
}

enum err tls_create(const char *certificate_file, const char *key_file, const char *ca_file, struct tls **out,
                    struct buf *why)
{
    struct tls *t = calloc(1, sizeof *t);
    enum err e = ERR_NOMEM;

    pthread_once(&tls_once, tls_make_index);
    if (t == NULL || tls_index < 0)
        goto out;
    pthread_mutex_init(&t->lock, NULL);
    t->certificate_file = strdup(certificate_file);
    t->key_file = strdup(key_file);
    t->ca_file = ca_file == NULL ? NULL : strdup(ca_file);
    if (t->certificate_file == NULL || t->key_file == NULL || (ca_file != NULL && t->ca_file == NULL))
        goto out;
    e = context_make(t, &t->context, why);
    if (e != ERR_OK)
        goto out;
    *out = t;
    t = NULL;
out:
    tls_free(t);
    return e;
}

void tls_free(struct tls *t)
{
    if (t == NULL)
        return;
    SSL_CTX_free(t->context);
    secret_wipe(t->ticket_key, sizeof t->ticket_key);
    pthread_mutex_destroy(&t->lock);
    free(t->certificate_file);
    free(t->key_file);
    free(t->ca_file);
    free(t);
}

enum err tls_reload(struct tls *t, struct buf *why)
{
    SSL_CTX *fresh = NULL, *old = NULL;
    enum err e = context_make(t, &fresh, why);

    if (e != ERR_OK)
        return e;
    pthread_mutex_lock(&t->lock);
    old = t->context;
    t->context = fresh;
    /* Sessions end with what they were begun under. */
    secret_wipe(t->ticket_key, sizeof t->ticket_key);
    pthread_mutex_unlock(&t->lock);
    SSL_CTX_free(old);
    return ERR_OK;
}

SSL *tls_accept(struct tls *t)
{
    pthread_mutex_lock(&t->lock);
    SSL *ssl = SSL_new(t->context);
    pthread_mutex_unlock(&t->lock);
    if (ssl != NULL)
        SSL_set_accept_state(ssl);
    return ssl;
}

bool tls_is_h2(const SSL *ssl)
{
    const unsigned char *name = NULL;
    unsigned len = 0;

    SSL_get0_alpn_selected(ssl, &name, &len);
    return len == 2 && memcmp(name, "h2", 2) == 0;
}
