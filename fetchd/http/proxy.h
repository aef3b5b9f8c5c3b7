/*
 * proxy.h - the PROXY protocol, versions 1 and 2 (HAProxy's proxy-protocol.txt): who the client behind a
 * proxy is. Read from listed addresses only, where it is required. Thread-safe.
 */
#ifndef HTTP_PROXY_H
#define HTTP_PROXY_H

#include "base/netaddr.h"

#define PROXY_HEADER_MAX 1024 /* bytes, version 2 with its TLVs */

struct proxy_header {
    bool known; /* false: LOCAL, UNKNOWN or UNSPEC; the connection's own address counts */
    struct netaddr addr;
    uint16_t port;
};

/*
 * Looks at what was read so far. ERR_OK: the header is complete and *out is set. ERR_BUSY: `*want` more bytes
 * may be read, none of which can lie behind the header (what follows belongs to TLS). ERR_SYNTAX: no header,
 * or one that is not for TCP.
 */
enum err proxy_parse(const uint8_t *data, size_t len, struct proxy_header *out, size_t *want);

#endif
