/*
 * spf_macro.c - one reader of tokens serves both the check of a record's syntax, which comes first, and the
 * expansion.
 */
#include "proof/spf_macro.h"

#include <stdio.h>
#include <string.h>

#define LETTERS "slodiphvcrt"
#define LETTERS_EXPLANATION "crt" /* only in explain-strings and modifiers that nobody knows */
#define DELIMITERS ".-+,/_="
#define PARTS_MAX 128 /* more parts than any value has that a name can hold */
#define VALUE_MAX 1024

struct token {
    bool macro;         /* from a '%' */
    struct span text;   /* a literal, as it is to be written; empty for a letter */
    char letter;        /* lower case, or 0 */
    bool escaped;       /* the letter was upper case: URL-escape the value */
    bool reverse;       /* order of the parts */
    size_t parts;       /* how many from the right; 0: all */
    struct span delims; /* empty: "." */
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static void skip(struct span *s, size_t n)
{
    s->ptr += n;
    s->len -= n;
}

/* What stands between "%{" and "}". */
static bool read_braces(struct span inside, struct token *out)
{
    if (inside.len == 0 || !is_alpha(inside.ptr[0]) || strchr(LETTERS, lower(inside.ptr[0])) == NULL)
        return false;
    out->letter = lower(inside.ptr[0]);
    out->escaped = out->letter != inside.ptr[0];
    skip(&inside, 1);
    bool counted = false;
    for (; inside.len > 0 && is_digit(inside.ptr[0]); skip(&inside, 1)) {
        counted = true;
        if (out->parts <= PARTS_MAX)
            out->parts = out->parts * 10 + (size_t)(inside.ptr[0] - '0');
    }
    if (counted && out->parts == 0) /* RFC 7208 7.1: must not be zero */
        return false;
    if (inside.len > 0 && lower(inside.ptr[0]) == 'r') {
        out->reverse = true;
        skip(&inside, 1);
    }
    for (size_t i = 0; i < inside.len; i++)
        if (inside.ptr[i] == '\0' || strchr(DELIMITERS, inside.ptr[i]) == NULL)
            return false;
    out->delims = inside;
    return true;
}

/* Takes one token off a text that is not empty. False: malformed. */
static bool next_token(struct span *rest, struct token *out)
{
    static const struct {
        char sign;
        struct span text;
    } plain[] = {{'%', SPAN_LITERAL("%")}, {'_', SPAN_LITERAL(" ")}, {'-', SPAN_LITERAL("%20")}};
    struct span inside, after;
    *out = (struct token){.text = {rest->ptr, 0}};
    if (rest->ptr[0] != '%') {
        const char *percent = memchr(rest->ptr, '%', rest->len);
        out->text.len = percent != NULL ? (size_t)(percent - rest->ptr) : rest->len;
        skip(rest, out->text.len);
        return true;
    }
    out->macro = true;
    for (size_t i = 0; rest->len >= 2 && i < sizeof plain / sizeof *plain; i++) {
        if (rest->ptr[1] == plain[i].sign) {
            out->text = plain[i].text;
            skip(rest, 2);
            return true;
        }
    }
    if (rest->len < 2 || rest->ptr[1] != '{' ||
        !span_cut((struct span){rest->ptr + 2, rest->len - 2}, '}', &inside, &after) ||
        !read_braces(inside, out))
        return false;
    *rest = after;
    return true;
}

/* ( *alphanum ALPHA *alphanum ) / ( 1*alphanum "-" *( alphanum / "-" ) alphanum ) */
static bool is_top_label(struct span s)
{
    bool other_than_digit = false;
    for (size_t i = 0; i < s.len; i++) {
        if (!is_alpha(s.ptr[i]) && !is_digit(s.ptr[i]) && s.ptr[i] != '-')
            return false;
        other_than_digit = other_than_digit || !is_digit(s.ptr[i]);
    }
    return s.len > 0 && s.ptr[0] != '-' && s.ptr[s.len - 1] != '-' && other_than_digit;
}

/* "." toplabel [ "." ] at the end of the literal that ends a domain-spec */
static bool ends_with_top_label(struct span tail)
{
    if (tail.len > 0 && tail.ptr[tail.len - 1] == '.')
        tail.len--;
    size_t dot = tail.len;
    while (dot > 0 && tail.ptr[dot - 1] != '.')
        dot--;
    return dot > 0 && is_top_label((struct span){tail.ptr + dot, tail.len - dot});
}

bool spf_macro_valid(struct span text, enum spf_macro_use use)
{
    struct token token = {0};
    char lowest = use == SPF_MACRO_EXPLANATION ? ' ' : '!';
    if (use == SPF_MACRO_DOMAIN && text.len == 0)
        return false;
    for (struct span rest = text; rest.len > 0;) {
        if (!next_token(&rest, &token))
            return false;
        if (use == SPF_MACRO_DOMAIN && token.letter != 0 && strchr(LETTERS_EXPLANATION, token.letter) != NULL)
            return false;
        for (size_t i = 0; !token.macro && i < token.text.len; i++)
            if (token.text.ptr[i] < lowest || token.text.ptr[i] > '~')
                return false;
    }
    return use != SPF_MACRO_DOMAIN || token.macro || ends_with_top_label(token.text);
}

bool spf_macro_uses(struct span text, const char *letters)
{
    struct token token;
    while (text.len > 0 && next_token(&text, &token))
        if (token.letter != 0 && strchr(letters, token.letter) != NULL)
            return true;
    return false;
}

/* --- expansion */

/* %{i}: dotted quad, or the nibbles of an IPv6 address with dots between. */
static void dotted(const struct netaddr *client, char out[VALUE_MAX])
{
    if (client->family == AF_INET) {
        netaddr_text(client, out);
        return;
    }
    for (size_t i = 0; i < 16; i++)
        snprintf(out + i * 4, 5, "%X.%X.", client->byte[i] >> 4, client->byte[i] & 15u);
    out[63] = '\0';
}

/* The value of a letter; text that is made up here stands in scratch. NULL: longer than that. */
static const char *value_of(char letter, const struct spf_macro_values *v, char scratch[VALUE_MAX])
{
    switch (letter) {
    case 's':
        if (snprintf(scratch, VALUE_MAX, "%s@%s", v->local, v->sender_domain) >= VALUE_MAX)
            return NULL;
        return scratch;
    case 'l':
        return v->local;
    case 'o':
        return v->sender_domain;
    case 'd':
        return v->domain;
    case 'h':
        return v->helo;
    case 'p':
        return v->confirmed_name;
    case 'r':
        return v->receiver;
    case 'v':
        return v->client.family == AF_INET ? "in-addr" : "ip6";
    case 'i':
        dotted(&v->client, scratch);
        return scratch;
    case 'c':
        netaddr_text(&v->client, scratch);
        return scratch;
    default: /* t */
        snprintf(scratch, VALUE_MAX, "%lld", (long long)v->now_s);
        return scratch;
    }
}

static enum err append_value(struct span part, bool escaped, struct buf *out)
{
    enum err err = ERR_OK;
    if (!escaped)
        return buf_append_span(out, part);
    for (size_t i = 0; i < part.len && err == ERR_OK; i++) {
        char c = part.ptr[i];
        if (is_alpha(c) || is_digit(c) || (c != '\0' && strchr("-._~", c) != NULL))
            err = buf_append_char(out, c);
        else
            err = buf_printf(out, "%%%02X", (unsigned)(uint8_t)c);
    }
    return err;
}

/* Start and length of the next part at or behind *at; false behind the last. */
static bool next_part(struct span value, struct span delims, size_t *at, struct span *part)
{
    if (*at > value.len)
        return false;
    size_t end = *at;
    while (end < value.len && memchr(delims.ptr, value.ptr[end], delims.len) == NULL)
        end++;
    *part = (struct span){value.ptr + *at, end - *at};
    *at = end + 1;
    return true;
}

static enum err expand_letter(const struct token *t, const struct spf_macro_values *values, struct buf *out)
{
    char scratch[VALUE_MAX];
    const char *text = value_of(t->letter, values, scratch);
    struct span part, value = span_of(text);
    struct span delims = t->delims.len > 0 ? t->delims : SPAN_LITERAL(".");
    size_t count = 0, at = 0;
    if (text == NULL || value.len > VALUE_MAX) /* no name holds it, and counting parts has an end */
        return ERR_TOO_LARGE;
    if (t->parts == 0 && !t->reverse && t->delims.len == 0)
        return append_value(value, t->escaped, out);
    while (next_part(value, delims, &at, &part))
        count++;
    size_t taken = t->parts == 0 || t->parts > count ? count : t->parts;
    enum err err = ERR_OK;
    for (size_t n = 0; n < taken && err == ERR_OK; n++) {
        /* the rightmost ones: of the value as it stands, or, reversed, of its first parts */
        size_t wanted = t->reverse ? taken - 1 - n : count - taken + n;
        at = 0;
        for (size_t i = 0; i <= wanted; i++)
            (void)next_part(value, delims, &at, &part);
        if (n > 0)
            err = buf_append_char(out, '.');
        if (err == ERR_OK)
            err = append_value(part, t->escaped, out);
    }
    return err;
}

enum err spf_macro_expand(struct span text, const struct spf_macro_values *values, struct buf *out)
{
    enum err err = ERR_OK;
    struct token token;
    while (text.len > 0 && err == ERR_OK) {
        if (!next_token(&text, &token))
            return ERR_SYNTAX;
        err = token.letter != 0 ? expand_letter(&token, values, out) : buf_append_span(out, token.text);
    }
    return err;
}
