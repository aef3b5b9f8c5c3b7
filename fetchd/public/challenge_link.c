/*
 * challenge_link.c - see challenge_link.h.
 */
#include "public/challenge_link.h"

#include <stdlib.h>
#include <string.h>

#include "base/netaddr.h"

#define SCHEME "https://"

static bool is_visible(struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] <= 0x20 || s.ptr[i] >= 0x7f)
            return false;
    return true;
}

/* What stands before the path, the query or the fragment. */
static struct span authority_of(struct span text)
{
    size_t from = strlen(SCHEME), to = from;
    while (to < text.len && !strchr("/?#", text.ptr[to]))
        to++;
    return span_bytes(text.ptr + from, to - from);
}

enum err challenge_link_parse(struct span text, struct challenge_link *out)
{
    struct challenge_link link = {.port = 443};
    struct netaddr literal;
    char *host = NULL;
    if (text.len > CHALLENGE_LINK_MAX || !span_starts_nocase(text, SCHEME) || !is_visible(text))
        return ERR_SYNTAX;
    /* '@' and '%' would end up in the host part, and are in no host name. */
    enum err e = memchr(text.ptr, '\\', text.len)
                     ? ERR_FORBIDDEN
                     : netaddr_split_host_port(authority_of(text), 443, &host, &link.port);
    if (e == ERR_OK && (netaddr_parse(span_of(host), &literal) == ERR_OK ||
                        domain_normalise(span_of(host), link.host) != ERR_OK))
        e = ERR_FORBIDDEN;
    free(host);
    if (e != ERR_OK)
        return e == ERR_NOMEM ? e : ERR_FORBIDDEN;
    memcpy(link.url, text.ptr, text.len);
    *out = link;
    return ERR_OK;
}
