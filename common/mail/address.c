/*
 * address.c - mail addresses and domain names, from the spelling that somebody gave to the one that is
 * compared.
 */
#include "mail/address.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <idn2.h>

#include "base/encode.h"

#define DOMAIN_MAX 253 /* octets; RFC 1035 2.3.4 less the root's and the first length octet */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c);
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool is_ascii(struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.ptr[i] >= 0x80)
            return false;
    return true;
}

/* ---- domains ---- */

static bool is_label(struct span s)
{
    if (s.len == 0 || s.len > 63 || s.ptr[0] == '-' || s.ptr[s.len - 1] == '-')
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (!is_letter_or_digit(s.ptr[i]) && s.ptr[i] != '-' && s.ptr[i] != '_')
            return false;
    return true;
}

/* What inet_aton(3) and URL parsers read as the last part of an address: digits, or 0x and hexadecimal
 * digits. */
static bool is_number(struct span s)
{
    size_t i = 0;
    bool hex = s.len >= 2 && s.ptr[0] == '0' && lower(s.ptr[1]) == 'x';
    for (i = hex ? 2 : 0; i < s.len; i++)
        if (!is_digit(s.ptr[i]) && !(hex && lower(s.ptr[i]) >= 'a' && lower(s.ptr[i]) <= 'f'))
            return false;
    return true;
}

static enum err check_domain(struct span name)
{
    struct span label, rest = name;
    bool more = true;
    if (name.len > DOMAIN_MAX)
        return ERR_ADDRESS;
    while (more) {
        more = span_cut(rest, '.', &label, &rest);
        if (!is_label(label))
            return ERR_ADDRESS;
    }
    return is_number(label) ? ERR_ADDRESS : ERR_OK;
}

/* A-labels of a name with U-labels; the caller frees *out with idn2_free. */
static enum err to_ascii(struct span text, char **out)
{
    uint8_t *ascii = NULL;
    char *copy = span_dup(text);
    if (copy == NULL)
        return memchr(text.ptr, '\0', text.len) != NULL ? ERR_ADDRESS : ERR_NOMEM;
    int rc = idn2_lookup_u8((const uint8_t *)copy, &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
    free(copy);
    if (rc == IDN2_MALLOC)
        return ERR_NOMEM;
    if (rc != IDN2_OK)
        return ERR_ADDRESS;
    *out = (char *)ascii;
    return ERR_OK;
}

enum err domain_normalise(struct span text, char out[ADDRESS_DOMAIN_MAX + 1])
{
    char *ascii = NULL;
    struct span name = text;
    enum err e = ERR_OK;
    if (text.len == 0 || text.len > ADDRESS_DOMAIN_MAX)
        return ERR_ADDRESS;
    if (!is_ascii(text)) {
        e = utf8_valid(text) ? to_ascii(text, &ascii) : ERR_ADDRESS;
        if (e != ERR_OK)
            return e;
        name = span_of(ascii);
    }
    if (name.len > 1 && name.ptr[name.len - 1] == '.')
        name.len--;
    e = check_domain(name);
    if (e == ERR_OK) {
        for (size_t i = 0; i < name.len; i++)
            out[i] = lower(name.ptr[i]);
        out[name.len] = '\0';
    }
    idn2_free(ascii);
    return e;
}

/* ---- addresses ---- */

static bool is_atext(char c)
{
    return is_letter_or_digit(c) || (unsigned char)c >= 0x80 ||
           (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

/* Dots may stand anywhere, as mail systems take them ("a..b@", "a.@"): refusing those would stop mail that
 * flows. */
static size_t dot_string_length(struct span s)
{
    size_t i = 0;
    while (i < s.len && (is_atext(s.ptr[i]) || s.ptr[i] == '.'))
        i++;
    return i;
}

/* With its quotes; 0 when it does not end or holds a control character. */
static size_t quoted_string_length(struct span s)
{
    for (size_t i = 1; i < s.len; i++) {
        if (s.ptr[i] == '"')
            return i + 1;
        if (s.ptr[i] == '\\')
            i++;
        if (i == s.len || (unsigned char)s.ptr[i] < 0x20 || s.ptr[i] == 0x7f)
            return 0;
    }
    return 0;
}

/* "@one,@two:user@domain" -> "user@domain" (RFC 5321 appendix C: to be ignored). */
static struct span drop_source_route(struct span s)
{
    struct span route, rest;
    if (s.len > 0 && s.ptr[0] == '@' && span_cut(s, ':', &route, &rest))
        return rest;
    return s;
}

enum err address_parse(struct span text, struct address *out)
{
    struct address a = {0};
    if (text.len >= 2 && text.ptr[0] == '<' && text.ptr[text.len - 1] == '>')
        text = span_bytes(text.ptr + 1, text.len - 2);
    if (text.len == 0) {
        a.null = true;
        *out = a;
        return ERR_OK;
    }
    text = drop_source_route(text);
    size_t local = text.len > 0 && text.ptr[0] == '"' ? quoted_string_length(text) : dot_string_length(text);
    if (local == 0 || local > ADDRESS_LOCAL_MAX || local == text.len || text.ptr[local] != '@' ||
        !utf8_valid(span_bytes(text.ptr, local)))
        return ERR_ADDRESS;
    struct span domain = span_bytes(text.ptr + local + 1, text.len - local - 1);
    enum err e = domain_normalise(domain, a.domain);
    if (e != ERR_OK)
        return e;
    memcpy(a.local, text.ptr, local);
    memcpy(a.given_domain, domain.ptr, domain.len);
    a.utf8 = !is_ascii(text);
    *out = a;
    return ERR_OK;
}

void address_text(const struct address *a, char out[ADDRESS_TEXT_MAX])
{
    snprintf(out, ADDRESS_TEXT_MAX, a->null ? "" : "%s@%s", a->local, a->domain);
}

void address_text_given(const struct address *a, char out[ADDRESS_TEXT_MAX])
{
    snprintf(out, ADDRESS_TEXT_MAX, a->null ? "" : "%s@%s", a->local, a->given_domain);
}

bool address_equal(const struct address *a, const struct address *b)
{
    return a->null == b->null && strcmp(a->local, b->local) == 0 && strcmp(a->domain, b->domain) == 0;
}

bool address_equal_nocase(const struct address *a, const struct address *b)
{
    return a->null == b->null && span_equal_nocase(span_of(a->local), span_of(b->local)) &&
           strcmp(a->domain, b->domain) == 0;
}

/* What a quoted local part says, when it can be said without quotes; else false. */
static bool unquote(const char *local, char out[ADDRESS_LOCAL_MAX + 1])
{
    size_t len = 0, end = strlen(local);
    if (end < 3 || local[0] != '"')
        return false;
    for (size_t i = 1; i + 1 < end; i++) {
        if (local[i] == '\\')
            i++;
        out[len++] = local[i];
    }
    out[len] = '\0';
    return dot_string_length(span_bytes(out, len)) == len;
}

void address_key(const struct address *a, char out[ADDRESS_TEXT_MAX])
{
    char bare[ADDRESS_LOCAL_MAX + 1];
    snprintf(out, ADDRESS_TEXT_MAX, a->null ? "" : "%s@%s", unquote(a->local, bare) ? bare : a->local,
             a->domain);
    for (char *p = out; *p; p++)
        *p = lower(*p);
}

void address_detail(const struct address *a, char separator, struct span *user, struct span *detail)
{
    struct span local = span_of(a->local);
    const char *at =
        local.len > 0 && a->local[0] != '"' ? memchr(a->local + 1, separator, local.len - 1) : NULL;
    if (separator == '\0' || at == NULL) {
        *user = local;
        *detail = span_bytes(local.ptr + local.len, 0);
        return;
    }
    *user = span_bytes(local.ptr, (size_t)(at - a->local));
    *detail = span_bytes(at + 1, local.len - user->len - 1);
}
