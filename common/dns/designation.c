/*
 * designation.c - the grammar of the "_restante" record, and which hosts it names. It is somebody else's
 * word: whatever is not in the grammar makes the whole record void.
 */
#include "dns/designation.h"

#include <stdlib.h>
#include <string.h>

#define TAGS_MAX 32 /* unknown ones are remembered only to find doubles */
#define HTTPS_PORT 443
#define VERSION "restante1"

/* --- the record's grammar */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* RFC 6376 2.8: FWS = [*WSP CRLF] 1*WSP. How many octets of it stand at the front of s. */
static size_t fws_len(struct span s)
{
    size_t at = 0;
    while (at < s.len && is_blank(s.ptr[at]))
        at++;
    if (at + 2 < s.len && s.ptr[at] == '\r' && s.ptr[at + 1] == '\n' && is_blank(s.ptr[at + 2])) {
        at += 3;
        while (at < s.len && is_blank(s.ptr[at]))
            at++;
    }
    return at;
}

static struct span skip(struct span s, size_t len)
{
    return (struct span){s.len > len ? s.ptr + len : s.ptr, s.len > len ? s.len - len : 0};
}

static struct span skip_fws(struct span s)
{
    return skip(s, fws_len(s));
}

/* tag-spec = [FWS] tag-name [FWS] "=" [FWS] tag-value [FWS]; value without the FWS around it. */
static bool read_tag(struct span spec, struct span *name, struct span *value)
{
    struct span s = skip_fws(spec);
    size_t len = 0;
    if (s.len == 0 || !is_alpha(s.ptr[0]))
        return false;
    while (len < s.len && (is_alpha(s.ptr[len]) || is_digit(s.ptr[len]) || s.ptr[len] == '_'))
        len++;
    *name = (struct span){s.ptr, len};
    s = skip_fws(skip(s, len));
    if (s.len == 0 || s.ptr[0] != '=')
        return false;
    s = skip_fws(skip(s, 1));
    size_t end = 0;
    for (size_t at = 0; at < s.len;) {
        size_t fws = fws_len(skip(s, at));
        at += fws;
        if (at == s.len)
            break;
        unsigned char c = (unsigned char)s.ptr[at];
        if (c < 0x21 || c > 0x7e) /* ';' cannot be here: it separates */
            return false;
        end = ++at;
    }
    *value = (struct span){s.ptr, end};
    return true;
}

static enum err bad(struct buf *why, const char *text, struct span what)
{
    if (why != NULL && buf_append_str(why, text) == ERR_OK && what.len > 0)
        buf_printf(why, " \"%.*s\"", (int)(what.len < 80 ? what.len : 80), what.ptr);
    return ERR_SYNTAX;
}

/* A name of at least two labels of letters, digits and inner '-', no address in any spelling: its last label
 * begins with a letter. out gets it in lower case. */
static bool read_host_name(struct span s, char out[DNS_NAME_MAX + 1])
{
    if (s.len == 0 || s.len > DNS_NAME_MAX)
        return false;
    size_t label = 0, labels = 1, last = 0;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (c == '.') {
            if (i == label || s.ptr[i - 1] == '-')
                return false;
            label = last = i + 1;
            labels++;
        } else if (!is_alpha(c) && !is_digit(c) && (c != '-' || i == label)) {
            return false;
        }
        if (i + 1 > label + 63)
            return false;
        out[i] = (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    }
    out[s.len] = '\0';
    return labels >= 2 && label < s.len && out[s.len - 1] != '-' && is_alpha(out[last]);
}

static bool is_inside(const char *host, const char *domain)
{
    size_t h = strlen(host), d = strlen(domain);
    if (d == 0 || h < d || !span_equal_nocase(span_of(host + h - d), span_of(domain)))
        return false;
    return h == d || host[h - d - 1] == '.';
}

static enum err read_hosts(struct span value, const char *domain, struct designation *d, struct buf *why)
{
    bool more = value.len > 0;
    while (more) {
        struct span item, name, port;
        more = span_cut(value, ',', &item, &value);
        item = span_trim(item);
        if (d->host_count == DESIGNATION_HOSTS_MAX)
            return bad(why, "more than 8 link hosts", (struct span){0});
        struct designation_host *h = &d->host[d->host_count];
        uint64_t number = HTTPS_PORT;
        if (span_cut(item, ':', &name, &port) && (!span_to_u64(port, UINT16_MAX, &number) || number == 0))
            return bad(why, "bad port in", item);
        if (!read_host_name(name, h->name))
            return bad(why, "no host name", item);
        h->port = (uint16_t)number;
        h->inside = is_inside(h->name, domain);
        d->host_count++;
    }
    return ERR_OK;
}

static enum err read_prefixes(struct span value, struct designation *d, struct buf *why)
{
    bool more = value.len > 0;
    while (more) {
        struct span item;
        more = span_cut(value, ',', &item, &value);
        item = span_trim(item);
        if (d->prefix_count == DESIGNATION_PREFIXES_MAX)
            return bad(why, "more than 32 prefixes", (struct span){0});
        struct netprefix *p = &d->prefix[d->prefix_count];
        int family = span_starts_nocase(item, "ip4:")   ? AF_INET
                     : span_starts_nocase(item, "ip6:") ? AF_INET6
                                                        : AF_UNSPEC;
        if (family == AF_UNSPEC || netprefix_parse(skip(item, 4), p) != ERR_OK || p->addr.family != family)
            return bad(why, "no ip4: or ip6: prefix", item);
        d->prefix_count++;
    }
    return ERR_OK;
}

static enum err read_complaints(struct span value, struct designation *d, struct buf *why)
{
    if (value.len == 0)
        return ERR_OK;
    if (value.len >= sizeof d->complaints || memchr(value.ptr, '@', value.len) == NULL ||
        memchr(value.ptr, ' ', value.len) != NULL || memchr(value.ptr, '\t', value.len) != NULL)
        return bad(why, "no address for complaints", value);
    memcpy(d->complaints, value.ptr, value.len);
    d->complaints[value.len] = '\0';
    return ERR_OK;
}

/* t= is a list of flags separated by colons (as in RFC 6376 3.6.1); "y" is the one we know. */
static bool has_flag_y(struct span value)
{
    bool more = true;
    while (more) {
        struct span flag;
        more = span_cut(value, ':', &flag, &value);
        if (span_is(span_trim(flag), "y"))
            return true;
    }
    return false;
}

static enum err read_value(struct span name, struct span value, const char *domain, struct designation *d,
                           struct buf *why)
{
    if (span_is(name, "h"))
        return read_hosts(value, domain, d, why);
    if (span_is(name, "p"))
        return read_prefixes(value, d, why);
    if (span_is(name, "a"))
        return read_complaints(value, d, why);
    if (span_is(name, "r"))
        d->takes_stubs = span_is(value, "1");
    if (span_is(name, "t"))
        d->testing = has_flag_y(value);
    return ERR_OK;
}

enum err designation_parse(struct span record, const char *domain, struct designation *out, struct buf *why)
{
    struct designation d = {.present = true};
    struct span seen[TAGS_MAX], rest = record;
    size_t count = 0;
    bool more = true;
    if (record.len > DESIGNATION_RECORD_MAX)
        return bad(why, "record too long", (struct span){0});
    while (more) {
        struct span spec, name, value;
        more = span_cut(rest, ';', &spec, &rest);
        if (!more && count > 0 && skip_fws(spec).len == 0)
            break; /* a final ";" */
        if (!read_tag(spec, &name, &value))
            return bad(why, "malformed tag", (struct span){0});
        if (count == 0 && !(span_is(name, "v") && span_is(value, VERSION)))
            return bad(why, "does not begin with v=" VERSION, (struct span){0});
        for (size_t i = 0; i < count; i++)
            if (span_equal(seen[i], name))
                return bad(why, "tag given twice:", name);
        if (count == TAGS_MAX)
            return bad(why, "too many tags", (struct span){0});
        seen[count++] = name;
        enum err err = read_value(name, value, domain, &d, why);
        if (err != ERR_OK)
            return err;
    }
    *out = d;
    return ERR_OK;
}

bool designation_is_candidate(struct span record)
{
    struct span spec, rest, name, value;
    span_cut(record, ';', &spec, &rest);
    return read_tag(spec, &name, &value) && span_is(name, "v") && span_is(value, VERSION);
}

bool designation_has_host(const struct designation *d, const char *host, uint16_t port,
                          const char *const *trusted_proxies, size_t trusted_count)
{
    for (size_t i = 0; d->present && i < d->host_count; i++) {
        const struct designation_host *h = &d->host[i];
        if (h->port != port || !span_equal_nocase(span_of(h->name), span_of(host)))
            continue;
        if (h->inside)
            return true;
        for (size_t j = 0; j < trusted_count; j++)
            if (span_equal_nocase(span_of(trusted_proxies[j]), span_of(h->name)))
                return true;
    }
    return false;
}
