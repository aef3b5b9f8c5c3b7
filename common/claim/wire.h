/*
 * wire.h - what holds for every HTTP exchange of this program: checked addresses and no others, no redirects,
 * proxies, cookies or credentials of the environment; inside this room. Thread-safe.
 */
#ifndef CLAIM_WIRE_H
#define CLAIM_WIRE_H

#include <curl/curl.h>

#include "claim/peer.h"

void wire_init(void); /* libcurl, once; to be called before anything of it is used */
/* What a handle never does, whatever a server or the environment says. schemes: "https", "http,https". */
enum err wire_forbid(CURL *easy, const char *schemes);
/* "host:port:address,address" for CURLOPT_RESOLVE: curl asks no resolver, and knows no other addresses. The
 * caller owns *out. */
enum err wire_pin(const char *host, uint16_t port, const struct peer_addresses *addresses,
                  struct curl_slist **out);
/* From our own address, in place of what the system chooses; NULL does nothing. */
enum err wire_bind(CURL *easy, const char *bind_address);
/* A socket for CURLOPT_OPENSOCKETFUNCTION, or CURL_SOCKET_BAD for an address that was not checked. */
curl_socket_t wire_socket(const struct peer_addresses *addresses, uint16_t port, curlsocktype purpose,
                          const struct curl_sockaddr *address);
/* Appends a line; ERR_NOMEM leaves the list as it was. */
enum err wire_add(struct curl_slist **list, const char *line);
enum err wire_error(CURLcode code, bool asked); /* asked: the request has gone out */

#endif
