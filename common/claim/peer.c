/*
 * peer.c - a stub names a host; what is connected to is decided here. Addresses are looked up once and
 * checked, and only these are handed to the HTTPS client, which asks again for each socket.
 */
#include "claim/peer.h"

#include <ifaddrs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/ssl.h>

#include "claim/handshake.h"

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
    bool insecure;
    enum err failed;
};

static void gather(const struct peer_policy *p, const struct dns_answer *a, struct gathered *g)
{
    g->insecure = g->insecure || !a->secure;
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
                      int64_t deadline_mono_ms, struct peer_addresses *out, bool *secure)
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
        if (secure != NULL)
            *secure = !g.insecure;
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

/* Path, dates and name were verified in the handshake, or the record of DANE; this makes sure that they were.
 */
static bool was_verified(struct peer_gate *g, SSL *ssl)
{
    const struct handshake *h = handshake_of(ssl);
    if (h == NULL || SSL_get0_peer_certificate(ssl) == NULL || SSL_get_verify_result(ssl) != X509_V_OK)
        return false;
    g->outdated = !tlsa_equal(handshake_tlsa(h), g->tlsa);
    return g->tlsa->count == 0 || g->outdated || SSL_get0_dane_authority(ssl, NULL, NULL) >= 0;
}

/* DNS itself names this very key: whom its issuer trusts says nothing more (RFC 7671 5.1). */
static bool is_named_by_dns(SSL *ssl, const struct tlsa_set *tlsa)
{
    uint8_t usage = 0;
    return tlsa->count > 0 && SSL_get0_dane_tlsa(ssl, &usage, NULL, NULL, NULL, NULL) == 0 &&
           usage == TLSA_KEY;
}

/* A domain that names its own authority in DNS could name any host for its lists too, and so make us call
 * whom it likes. Most name one that is trusted anyway. */
static bool is_of_trusted_authority(SSL *ssl, const struct tlsa_set *tlsa)
{
    if (tlsa->count == 0)
        return true; /* the handshake has seen to it */
    X509_STORE_CTX *c = X509_STORE_CTX_new();
    bool yes = c != NULL &&
               X509_STORE_CTX_init(c, SSL_CTX_get_cert_store(SSL_get_SSL_CTX(ssl)),
                                   SSL_get0_peer_certificate(ssl), SSL_get_peer_cert_chain(ssl)) == 1 &&
               X509_STORE_CTX_set_default(c, "ssl_server") == 1 && X509_verify_cert(c) == 1;
    X509_STORE_CTX_free(c);
    return yes;
}

static enum err judge_certificate(struct peer_gate *g, SSL *ssl, struct claim_outcome *out)
{
    struct chain *chain = NULL;
    if (!was_verified(g, ssl))
        return ERR_TLS;
    enum err err = handshake_chain(ssl, &chain);
    if (err != ERR_OK)
        return err;
    certificate_issuer(chain_certificate(chain, 0), out->certificate_issuer);
    certificate_serial(chain_certificate(chain, 0), out->certificate_serial);
    if (g->outdated)
        return ERR_DANE;
    if (is_named_by_dns(ssl, g->tlsa))
        return ERR_OK;
    return trust_judge(g->trust, chain, is_of_trusted_authority(ssl, g->tlsa), &g->revocation);
}

/* Without "h2" libcurl would go on in HTTP/1.1, and send the key to a server that is none of ours. */
static bool speaks_http2(SSL *ssl)
{
    const unsigned char *protocol = NULL;
    unsigned len = 0;
    SSL_get0_alpn_selected(ssl, &protocol, &len);
    return len == 2 && memcmp(protocol, "h2", 2) == 0;
}

enum err peer_judge(struct peer_gate *g, CURL *easy, const char *address, struct claim_outcome *out)
{
    struct curl_tlssessioninfo *session = NULL;
    struct netaddr peer;
    g->outdated = false;
    g->revocation = (struct revocation_verdict){.needed_count = 0};
    if (netaddr_parse(span_of(address), &peer) != ERR_OK || !peer_allows(g->policy, &peer))
        return ERR_ADDRESS_SPECIAL;
    out->peer = peer;
    if (curl_easy_getinfo(easy, CURLINFO_TLS_SSL_PTR, &session) != CURLE_OK || session == NULL ||
        session->backend != CURLSSLBACKEND_OPENSSL || session->internals == NULL)
        return ERR_TLS;
    SSL *ssl = session->internals;
    snprintf(out->tls, sizeof out->tls, "%s %s", SSL_get_version(ssl), SSL_get_cipher_name(ssl));
    enum err err = judge_certificate(g, ssl, out);
    if (err != ERR_OK)
        return err;
    return speaks_http2(ssl) ? ERR_OK : ERR_NOT_RESTANTE;
}
