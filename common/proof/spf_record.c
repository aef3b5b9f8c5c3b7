/*
 * spf_record.c - a record is read twice: once to find any syntax error before anything is looked up
 * (RFC 7208 4.6), and again term by term while it is evaluated. So a record of any length needs no memory.
 */
#include "proof/spf_record.h"

#include <string.h>

#include "proof/spf_macro.h"

#define VERSION "v=spf1"
#define BITS_V4 32
#define BITS_V6 128

static const char *const mechanisms[SPF_MECHANISMS] = {"all", "include", "a",   "mx",
                                                       "ptr", "ip4",     "ip6", "exists"};

static bool is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

bool spf_record_is_candidate(struct span text)
{
    const size_t len = sizeof VERSION - 1;
    return span_starts_nocase(text, VERSION) && (text.len == len || text.ptr[len] == ' ');
}

/* Takes the next term off; terms are separated by blanks alone. */
static bool next_text(struct span *terms, struct span *out)
{
    while (terms->len > 0 && terms->ptr[0] == ' ') {
        terms->ptr++;
        terms->len--;
    }
    if (terms->len == 0)
        return false;
    struct span rest;
    (void)span_cut(*terms, ' ', out, &rest);
    terms->ptr += out->len;
    terms->len -= out->len;
    return true;
}

/* name "=", with name = ALPHA *( ALPHA / DIGIT / "-" / "_" / "." ) */
static bool split_modifier(struct span text, struct span *name, struct span *value)
{
    if (!span_cut(text, '=', name, value) || name->len == 0 || !is_alpha(name->ptr[0]))
        return false;
    for (size_t i = 0; i < name->len; i++) {
        char c = name->ptr[i];
        if (!is_alpha(c) && !is_digit(c) && c != '-' && c != '_' && c != '.')
            return false;
    }
    return true;
}

/* Takes a prefix length ("/24", or "//64" with two slashes) off the end, if there is one. False: one that is
 * out of range. */
static bool cut_length(struct span *s, size_t slashes, unsigned max, unsigned *bits)
{
    size_t at = s->len;
    uint64_t number;
    while (at > 0 && is_digit(s->ptr[at - 1]))
        at--;
    if (at == s->len || at < slashes || memcmp(s->ptr + at - slashes, "//", slashes) != 0)
        return true;
    if (!span_to_u64((struct span){s->ptr + at, s->len - at}, max, &number))
        return false;
    *bits = (unsigned)number;
    s->len = at - slashes;
    return true;
}

/* [ ":" domain-spec ] [ "/" bits ] [ "//" bits ] */
static bool read_dual(struct span argument, struct spf_term *out)
{
    if (!cut_length(&argument, 2, BITS_V6, &out->bits_v6) ||
        !cut_length(&argument, 1, BITS_V4, &out->bits_v4))
        return false;
    if (argument.len == 0)
        return true;
    out->domain = (struct span){argument.ptr + 1, argument.len - 1};
    return argument.ptr[0] == ':' && spf_macro_valid(out->domain, SPF_MACRO_DOMAIN);
}

/* ":" network [ "/" bits ] */
static bool read_network(struct span argument, int family, unsigned *bits, struct netaddr *network)
{
    struct span text, size;
    uint64_t number;
    if (argument.len == 0 || argument.ptr[0] != ':')
        return false;
    bool sized = span_cut((struct span){argument.ptr + 1, argument.len - 1}, '/', &text, &size);
    if (netaddr_parse(text, network) != ERR_OK || network->family != family)
        return false;
    if (!sized)
        return true;
    if (!span_to_u64(size, *bits, &number))
        return false;
    *bits = (unsigned)number;
    return true;
}

/* What follows the name of a mechanism: "", ":..." or "/...". */
static bool read_argument(struct span argument, struct spf_term *out)
{
    switch (out->mechanism) {
    case SPF_ALL:
        return argument.len == 0;
    case SPF_A:
    case SPF_MX:
        return read_dual(argument, out);
    case SPF_IP4:
        return read_network(argument, AF_INET, &out->bits_v4, &out->network);
    case SPF_IP6:
        return read_network(argument, AF_INET6, &out->bits_v6, &out->network);
    case SPF_PTR:
        if (argument.len == 0)
            return true;
        break;
    default:
        break;
    }
    if (argument.len == 0 || argument.ptr[0] != ':')
        return false;
    out->domain = (struct span){argument.ptr + 1, argument.len - 1};
    return spf_macro_valid(out->domain, SPF_MACRO_DOMAIN);
}

/* [ qualifier ] mechanism */
static bool read_directive(struct span text, struct spf_term *out)
{
    static const char signs[] = "+-~?";
    static const enum spf_result results[] = {SPF_PASS, SPF_FAIL, SPF_SOFTFAIL, SPF_NEUTRAL};
    *out = (struct spf_term){.text = text, .result = SPF_PASS, .bits_v4 = BITS_V4, .bits_v6 = BITS_V6};
    const char *sign = text.len > 0 && text.ptr[0] != '\0' ? strchr(signs, text.ptr[0]) : NULL;
    if (sign != NULL) {
        out->result = results[sign - signs];
        text.ptr++;
        text.len--;
    }
    size_t len = 0;
    while (len < text.len && text.ptr[len] != ':' && text.ptr[len] != '/')
        len++;
    for (size_t i = 0; i < SPF_MECHANISMS; i++) {
        if (span_is_nocase((struct span){text.ptr, len}, mechanisms[i])) {
            out->mechanism = (enum spf_mechanism)i;
            return read_argument((struct span){text.ptr + len, text.len - len}, out);
        }
    }
    return false;
}

/* A known modifier may stand once. */
static bool read_known(struct span value, struct span *out)
{
    if (out->len > 0 || !spf_macro_valid(value, SPF_MACRO_DOMAIN))
        return false;
    *out = value;
    return true;
}

static bool read_term(struct span text, struct spf_record *out)
{
    struct span name, value;
    struct spf_term term;
    if (!split_modifier(text, &name, &value))
        return read_directive(text, &term);
    if (span_is_nocase(name, "redirect"))
        return read_known(value, &out->redirect);
    if (span_is_nocase(name, "exp"))
        return read_known(value, &out->exp);
    return spf_macro_valid(value, SPF_MACRO_MODIFIER);
}

enum err spf_record_parse(struct span text, struct spf_record *out, struct span *bad)
{
    const size_t len = sizeof VERSION - 1;
    struct spf_record record = {.terms = {text.ptr + len, text.len - len}};
    struct span term;
    for (struct span rest = record.terms; next_text(&rest, &term);) {
        if (!read_term(term, &record)) {
            *bad = term;
            return ERR_SYNTAX;
        }
    }
    *out = record;
    return ERR_OK;
}

bool spf_record_next(struct span *terms, struct spf_term *out)
{
    struct span text, name, value;
    while (next_text(terms, &text))
        if (!split_modifier(text, &name, &value))
            return read_directive(text, out);
    return false;
}
