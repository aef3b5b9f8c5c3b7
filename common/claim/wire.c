#include "claim/wire.h"

#include <pthread.h>
#include <stdio.h>

#define SET(option, value)                                                                                   \
    do {                                                                                                     \
        if (curl_easy_setopt(easy, option, value) != CURLE_OK)                                               \
            return ERR_INTERNAL;                                                                             \
    } while (0)

static void init_curl(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

void wire_init(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, init_curl);
}

enum err wire_forbid(CURL *easy, const char *schemes)
{
    SET(CURLOPT_PROTOCOLS_STR, schemes);
    SET(CURLOPT_REDIR_PROTOCOLS_STR, schemes);
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_PROXY, "");
    SET(CURLOPT_NOPROXY, "*");
    SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    SET(CURLOPT_HTTP09_ALLOWED, 0L);
    SET(CURLOPT_HTTP_CONTENT_DECODING, 0L);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_VERBOSE, 0L);
    SET(CURLOPT_USERAGENT, "restante/" RESTANTE_VERSION);
    return ERR_OK;
}

enum err wire_add(struct curl_slist **list, const char *line)
{
    struct curl_slist *grown = curl_slist_append(*list, line);
    if (grown == NULL)
        return ERR_NOMEM;
    *list = grown;
    return ERR_OK;
}

enum err wire_pin(const char *host, uint16_t port, const struct peer_addresses *addresses,
                  struct curl_slist **out)
{
    struct buf entry;
    char text[NETADDR_TEXT_MAX];
    buf_init(&entry, 2048);
    enum err err = buf_printf(&entry, "%s:%u:", host, port);
    for (size_t i = 0; i < addresses->count && err == ERR_OK; i++) {
        bool v6 = addresses->addr[i].family == AF_INET6;
        netaddr_text(&addresses->addr[i], text);
        err = buf_printf(&entry, "%s%s%s%s", i > 0 ? "," : "", v6 ? "[" : "", text, v6 ? "]" : "");
    }
    if (err == ERR_OK)
        err = wire_add(out, buf_cstr(&entry));
    buf_free(&entry);
    return err;
}

enum err wire_bind(CURL *easy, const char *bind_address)
{
    char interface[NETADDR_TEXT_MAX + 8];
    if (bind_address == NULL)
        return ERR_OK;
    snprintf(interface, sizeof interface, "host!%s", bind_address);
    SET(CURLOPT_INTERFACE, interface);
    return ERR_OK;
}

curl_socket_t wire_socket(const struct peer_addresses *addresses, uint16_t port, curlsocktype purpose,
                          const struct curl_sockaddr *address)
{
    if (purpose != CURLSOCKTYPE_IPCXN || !peer_is_checked(addresses, &address->addr, port))
        return CURL_SOCKET_BAD;
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

enum err wire_error(CURLcode code, bool asked)
{
    switch (code) {
    case CURLE_OK:
        return ERR_OK;
    case CURLE_OUT_OF_MEMORY:
        return ERR_NOMEM;
    case CURLE_OPERATION_TIMEDOUT:
        return asked ? ERR_TIMEOUT : ERR_CONNECT;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CLIENTCERT:
        return ERR_TLS;
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_BAD_CONTENT_ENCODING:
        return ERR_HTTP;
    default:
        return ERR_CONNECT;
    }
}
