/*
 * peer.c - a stub names a host; what is connected to is decided here. Addresses are looked up once and
 * checked, and only these are handed to the HTTPS client, which asks again for each socket.
 */
#include "claim/peer.h"

#include <ifaddrs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

static bool is_own(const struct netaddr *a)
{
    struct ifaddrs *list = NULL;
    bool own = false;
    if (getifaddrs(&list) != 0)
        return true; /* not known: better not called than ourselves called */
    for (const struct ifaddrs *i = list; i != NULL && !own; i = i->ifa_next) {
        struct netaddr mine;
        own = i->ifa_addr != NULL && netaddr_from_sockaddr(i->ifa_addr, &mine) == ERR_OK &&
              netaddr_equal(&mine, a);
    }
    freeifaddrs(list);
    return own;
}

bool peer_allows(const struct peer_policy *p, const struct netaddr *a)
{
    for (size_t i = 0; i < p->allowed_special_count; i++)
        if (netprefix_contains(&p->allowed_special[i], a))
            return true;
    return !netaddr_is_special(a) && !is_own(a);
}

/* What one look-up of a host's addresses came to. */
struct gathered {
    struct peer_addresses kept;
    size_t dropped;
    enum err failed;
};

static void gather(const struct peer_policy *p, const struct dns_answer *a, struct gathered *g)
{
    for (size_t i = 0; i < a->count; i++) {
        if (g->kept.count == PEER_ADDRESSES_MAX)
            return;
        if (peer_allows(p, &a->record[i].addr))
            g->kept.addr[g->kept.count++] = a->record[i].addr;
        else
            g->dropped++;
    }
}

enum err peer_resolve(const struct peer_policy *p, struct resolver *r, const char *host,
                      int64_t deadline_mono_ms, struct peer_addresses *out)
{
    static const struct {
        enum dns_type type;
        int family;
    } families[] = {{DNS_AAAA, AF_INET6}, {DNS_A, AF_INET}};
    struct gathered g = {0};
    for (size_t i = 0; i < 2; i++) {
        struct dns_answer *a = NULL;
        if (p->family != AF_UNSPEC && p->family != families[i].family)
            continue;
        enum err err = resolver_query(r, host, families[i].type, deadline_mono_ms, &a);
        if (err == ERR_OK)
            gather(p, a, &g);
        else if (g.failed == ERR_OK)
            g.failed = err;
        dns_answer_free(a);
    }
    if (g.kept.count > 0) {
        *out = g.kept;
        return ERR_OK;
    }
    if (g.failed != ERR_OK)
        return g.failed;
    return g.dropped > 0 ? ERR_ADDRESS_SPECIAL : ERR_CONNECT;
}

bool peer_is_checked(const struct peer_addresses *list, const struct sockaddr *sa, uint16_t port)
{
    struct netaddr a;
    uint16_t at = sa->sa_family == AF_INET ? ntohs(((const struct sockaddr_in *)(const void *)sa)->sin_port)
                  : sa->sa_family == AF_INET6
                      ? ntohs(((const struct sockaddr_in6 *)(const void *)sa)->sin6_port)
                      : 0;
    if (at != port || netaddr_from_sockaddr(sa, &a) != ERR_OK)
        return false;
    for (size_t i = 0; i < list->count; i++)
        if (netaddr_equal(&list->addr[i], &a))
            return true;
    return false;
}

static void describe_certificate(X509 *certificate, struct claim_outcome *out)
{
    BIO *memory = BIO_new(BIO_s_mem());
    if (memory != NULL &&
        X509_NAME_print_ex(memory, X509_get_issuer_name(certificate), 0, XN_FLAG_RFC2253) >= 0) {
        int n = BIO_read(memory, out->certificate_issuer, (int)sizeof out->certificate_issuer - 1);
        out->certificate_issuer[n > 0 ? n : 0] = '\0';
    }
    BIO_free(memory);
    BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), NULL);
    char *hex = number != NULL ? BN_bn2hex(number) : NULL;
    if (hex != NULL)
        snprintf(out->certificate_serial, sizeof out->certificate_serial, "%s", hex);
    OPENSSL_free(hex);
    BN_free(number);
}

/* The chain was verified in the handshake (path, dates, name); this only makes sure that it was. */
static enum err judge_certificate(SSL *ssl, struct claim_outcome *out)
{
    X509 *certificate = SSL_get0_peer_certificate(ssl);
    if (certificate == NULL || SSL_get_verify_result(ssl) != X509_V_OK)
        return ERR_TLS;
    describe_certificate(certificate, out);
    return ERR_OK;
}

/* Without "h2" libcurl would go on in HTTP/1.1, and send the key to a server that is none of ours. */
static bool speaks_http2(SSL *ssl)
{
    const unsigned char *protocol = NULL;
    unsigned len = 0;
    SSL_get0_alpn_selected(ssl, &protocol, &len);
    return len == 2 && memcmp(protocol, "h2", 2) == 0;
}

enum err peer_judge(const struct peer_policy *p, CURL *easy, const char *address, struct claim_outcome *out)
{
    struct curl_tlssessioninfo *session = NULL;
    struct netaddr peer;
    if (netaddr_parse(span_of(address), &peer) != ERR_OK || !peer_allows(p, &peer))
        return ERR_ADDRESS_SPECIAL;
    out->peer = peer;
    if (curl_easy_getinfo(easy, CURLINFO_TLS_SSL_PTR, &session) != CURLE_OK || session == NULL ||
        session->backend != CURLSSLBACKEND_OPENSSL || session->internals == NULL)
        return ERR_TLS;
    SSL *ssl = session->internals;
    snprintf(out->tls, sizeof out->tls, "%s %s", SSL_get_version(ssl), SSL_get_cipher_name(ssl));
    enum err err = judge_certificate(ssl, out);
    if (err != ERR_OK)
        return err;
    return speaks_http2(ssl) ? ERR_OK : ERR_NOT_RESTANTE;
}
