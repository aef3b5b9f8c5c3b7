/*
 * ticket.c - identifiers, keys, URLs and tags of tickets.
 *
 * Everything here is pure: what cannot have been made by this site is told from the site key alone, before
 * any store access.
 */
#include "ticket/ticket.h"

#include <stdio.h>
#include <string.h>

#include "base/encode.h"
#include "base/secret.h"
#include "seal/crypt.h"

#define TAG_MAC_BYTES 8
#define B64_ID_LEN ENCODE_B64_LEN(TICKET_A_BYTES)
#define HTTPS_PORT 443

static uint16_t epoch_of(const uint8_t a[TICKET_A_BYTES])
{
    return (uint16_t)(a[0] << 8 | a[1]);
}

enum err ticket_create(const struct site_keys *keys, struct ticket_keys *out)
{
    uint8_t a[TICKET_A_BYTES];
    uint16_t epoch = site_keys_current(keys);
    a[0] = (uint8_t)(epoch >> 8);
    a[1] = (uint8_t)epoch;
    enum err e = secret_random(a + 2, sizeof a - 2);
    return e == ERR_OK ? ticket_derive(keys, a, out) : e;
}

enum err ticket_derive(const struct site_keys *keys, const uint8_t a[TICKET_A_BYTES], struct ticket_keys *out)
{
    struct ticket_keys t;
    uint8_t b[32];
    struct span id = span_bytes(a, TICKET_A_BYTES);
    memcpy(t.a, a, TICKET_A_BYTES);
    enum err e = site_keys_derive(keys, epoch_of(a), SITEKEY_LABEL_PREFIX "b", id, b);
    if (e == ERR_OK)
        e = site_keys_derive(keys, epoch_of(a), SITEKEY_LABEL_PREFIX "ka", id, t.ka);
    if (e == ERR_OK)
        e = site_keys_derive(keys, epoch_of(a), SITEKEY_LABEL_PREFIX "kd", id, t.kd);
    if (e == ERR_OK) {
        memcpy(t.b, b, TICKET_B_BYTES);
        *out = t;
    }
    secret_wipe(b, sizeof b);
    ticket_wipe(&t);
    return e;
}

void ticket_wipe(struct ticket_keys *t)
{
    secret_wipe(t, sizeof *t);
}

enum err ticket_store_key(const uint8_t a[TICKET_A_BYTES], const uint8_t b[TICKET_B_BYTES],
                          uint8_t out[TICKET_STORE_KEY_BYTES])
{
    const struct span parts[] = {span_bytes(a, TICKET_A_BYTES), span_bytes(b, TICKET_B_BYTES)};
    return crypt_sha256v(parts, 2, out);
}

enum err ticket_ka_hash(const uint8_t ka[TICKET_KEY_BYTES], uint8_t out[32])
{
    return crypt_sha256(span_bytes(ka, TICKET_KEY_BYTES), out);
}

/* ---- URL ---- */

static bool is_letter(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_letter_or_digit(char c)
{
    return is_letter(c) || (c >= '0' && c <= '9');
}

static bool is_label(struct span s)
{
    if (s.len == 0 || s.len > 63 || s.ptr[0] == '-' || s.ptr[s.len - 1] == '-')
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (!is_letter_or_digit(s.ptr[i]) && s.ptr[i] != '-')
            return false;
    return true;
}

/*
 * A name of at least two labels of lower-case letters, digits and '-', the last of which begins with a
 * letter. No spelling of an IP address passes: inet_aton, curl and browsers all want a last part that begins
 * with a digit
 * ("0x7f.1", "2130706433", "127.1", "0177.0.0.1"), or brackets.
 */
static bool is_host(struct span host)
{
    struct span label, rest = host;
    size_t labels = 0;
    bool more = true;
    if (host.len > TICKET_HOST_MAX)
        return false;
    while (more) {
        more = span_cut(rest, '.', &label, &rest);
        if (!is_label(label))
            return false;
        labels++;
    }
    return labels >= 2 && is_letter(label.ptr[0]);
}

static bool take_prefix(struct span *s, const char *prefix)
{
    size_t len = strlen(prefix);
    if (s->len < len || memcmp(s->ptr, prefix, len) != 0)
        return false;
    s->ptr += len;
    s->len -= len;
    return true;
}

static bool take_id(struct span *s, uint8_t out[TICKET_A_BYTES])
{
    if (s->len < B64_ID_LEN || decode_b64url(span_bytes(s->ptr, B64_ID_LEN), out, TICKET_A_BYTES) != ERR_OK)
        return false;
    s->ptr += B64_ID_LEN;
    s->len -= B64_ID_LEN;
    return true;
}

/* "/restante/1/<A>/<B>" off the front. */
static bool take_path(struct span *s, uint8_t a[TICKET_A_BYTES], uint8_t b[TICKET_B_BYTES])
{
    return take_prefix(s, TICKET_PATH_PREFIX) && take_id(s, a) && take_prefix(s, "/") && take_id(s, b);
}

enum err ticket_url_parse(struct span text, struct ticket_url *out)
{
    struct ticket_url u;
    uint64_t port = HTTPS_PORT;
    if (text.len > TICKET_URL_MAX || !take_prefix(&text, "https://"))
        return ERR_SYNTAX;
    const char *slash = text.len > 0 ? memchr(text.ptr, '/', text.len) : NULL;
    if (slash == NULL)
        return ERR_SYNTAX;
    struct span authority = span_bytes(text.ptr, (size_t)(slash - text.ptr)), host, digits;
    struct span path = span_bytes(slash, text.len - authority.len);
    if (span_cut(authority, ':', &host, &digits) &&
        (!span_to_u64(digits, UINT16_MAX, &port) || port == 0 || port == HTTPS_PORT))
        return ERR_SYNTAX;
    if (!is_host(host) || !take_path(&path, u.a, u.b) || path.len > 0)
        return ERR_SYNTAX;
    memcpy(u.host, host.ptr, host.len);
    memset(u.host + host.len, 0, sizeof u.host - host.len);
    u.port = (uint16_t)port;
    *out = u;
    return ERR_OK;
}

enum err ticket_url_format(const struct ticket_url *u, char out[TICKET_URL_MAX + 1])
{
    char a[B64_ID_LEN + 1], b[B64_ID_LEN + 1], port[8] = "";
    if (!is_host(span_of(u->host)) || u->port == 0)
        return ERR_SYNTAX;
    encode_b64url(u->a, TICKET_A_BYTES, a);
    encode_b64url(u->b, TICKET_B_BYTES, b);
    if (u->port != HTTPS_PORT)
        snprintf(port, sizeof port, ":%u", (unsigned)u->port);
    snprintf(out, TICKET_URL_MAX + 1, "https://%s%s" TICKET_PATH_PREFIX "%s/%s", u->host, port, a, b);
    return ERR_OK;
}

enum err ticket_path_parse(struct span path, uint8_t a[TICKET_A_BYTES], uint8_t b[TICKET_B_BYTES],
                           struct span *verb)
{
    static const char *const verbs[] = {"claim", "ack", "nack", "status"};
    uint8_t id[TICKET_A_BYTES], proof[TICKET_B_BYTES];
    if (!take_path(&path, id, proof))
        return ERR_SYNTAX;
    if (path.len > 0) {
        bool known = false;
        if (!take_prefix(&path, "/"))
            return ERR_SYNTAX;
        for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
            known = known || span_is(path, verbs[i]);
        if (!known)
            return ERR_SYNTAX;
    }
    memcpy(a, id, sizeof id);
    memcpy(b, proof, sizeof proof);
    *verb = path;
    return ERR_OK;
}

/* ---- tag ---- */

static enum err tag_mac(const struct site_keys *keys, const uint8_t a[TICKET_A_BYTES],
                        uint8_t out[TAG_MAC_BYTES])
{
    uint8_t sum[32];
    enum err e =
        site_keys_derive(keys, epoch_of(a), SITEKEY_LABEL_PREFIX "tag", span_bytes(a, TICKET_A_BYTES), sum);
    if (e == ERR_OK)
        memcpy(out, sum, TAG_MAC_BYTES);
    secret_wipe(sum, sizeof sum);
    return e;
}

enum err ticket_tag_format(const struct site_keys *keys, const uint8_t a[TICKET_A_BYTES],
                           char out[TICKET_TAG_LEN + 1])
{
    uint8_t mac[TAG_MAC_BYTES];
    enum err e = tag_mac(keys, a, mac);
    if (e != ERR_OK)
        return e;
    encode_hex(a, TICKET_A_BYTES, out);
    encode_hex(mac, sizeof mac, out + ENCODE_HEX_LEN(TICKET_A_BYTES));
    return ERR_OK;
}

enum err ticket_tag_parse(const struct site_keys *keys, struct span tag, uint8_t a[TICKET_A_BYTES])
{
    char lower[TICKET_TAG_LEN];
    uint8_t octet[TICKET_A_BYTES + TAG_MAC_BYTES], mac[TAG_MAC_BYTES];
    if (tag.len != TICKET_TAG_LEN)
        return ERR_SYNTAX;
    for (size_t i = 0; i < sizeof lower; i++) {
        char c = tag.ptr[i];
        lower[i] = c >= 'A' && c <= 'F' ? (char)(c - 'A' + 'a') : c;
    }
    enum err e = decode_hex(span_bytes(lower, sizeof lower), octet, sizeof octet);
    if (e == ERR_OK)
        e = tag_mac(keys, octet, mac);
    if (e == ERR_OK && !secret_equal(mac, octet + TICKET_A_BYTES, sizeof mac))
        e = ERR_NOT_FOUND;
    if (e == ERR_OK)
        memcpy(a, octet, TICKET_A_BYTES);
    return e;
}
