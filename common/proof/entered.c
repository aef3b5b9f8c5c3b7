/*
 * entered.c - reads from-clauses. What can stand in one under a stranger's hand are his HELO, his reverse
 * name and his ident answer; none of the four MTAs lets blanks in the latter two, or parentheses in any,
 * through. So words and comments are told apart for certain, and whatever stands where it should not makes
 * the field unreadable.
 *
 *     from HELO (NAME [192.0.2.1])                        Postfix; Sendmail, also with "(may be forged)"
 *     from HELO ([192.0.2.1])                             Sendmail
 *     from NAME ([192.0.2.1]:1025 helo=HELO ident=x)      Exim, port, helo and ident optional
 *     from [192.0.2.1] (port=1025 helo=HELO ident=x)      Exim, name unknown
 *     from NAME (HELO HELO) (ident@192.0.2.1)             qmail, HELO and ident optional
 *     (qmail 1234 invoked from network)                   qmail, above the one before
 */
#include "proof/entered.h"

#include <string.h>

#define COMMENTS_MAX 8 /* before "by" */
#define BLANKS " \t\r\n"

/* A word, or what stands between the outer parentheses of a comment. */
struct item {
    bool comment;
    struct span text;
};

static bool is_blank(char c)
{
    return c != '\0' && strchr(BLANKS, c) != NULL;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static void skip(struct span *s, size_t n)
{
    s->ptr += n;
    s->len -= n;
}

/* The length of a comment with its parentheses; 0 when it has no end. */
static size_t comment_length(struct span s)
{
    size_t depth = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '\\') /* no MTA writes one here */
            return 0;
        depth += s.ptr[i] == '(';
        depth -= s.ptr[i] == ')';
        if (depth == 0)
            return i + 1;
    }
    return 0;
}

/* Takes the next item off. False at the end, and where nothing well-formed is. */
static bool next_item(struct span *rest, struct item *out)
{
    while (rest->len > 0 && is_blank(rest->ptr[0]))
        skip(rest, 1);
    if (rest->len == 0)
        return false;
    size_t len = 0;
    out->comment = rest->ptr[0] == '(';
    if (out->comment) {
        len = comment_length(*rest);
        if (len == 0)
            return false;
        out->text = (struct span){rest->ptr + 1, len - 2};
    } else {
        for (; len < rest->len && !is_blank(rest->ptr[len]); len++)
            if (rest->ptr[len] <= ' ' || rest->ptr[len] > '~' || strchr("()\\\"<>;", rest->ptr[len]) != NULL)
                return false;
        out->text = (struct span){rest->ptr, len};
    }
    skip(rest, len);
    return rest->len == 0 || is_blank(rest->ptr[0]);
}

/* An address without anything around it. */
static bool read_address(struct span text, struct netaddr *out)
{
    struct netaddr a;
    if (netaddr_parse(text, &a) != ERR_OK)
        return false;
    *out = netaddr_unmapped(&a);
    return true;
}

/* "[192.0.2.1]", "[IPv6:2001:db8::1]", "[2001:db8::1]", each also with ":port" behind it */
static bool read_literal(struct span word, struct netaddr *out)
{
    struct span inside, port;
    if (word.len == 0 || word.ptr[0] != '[' ||
        !span_cut((struct span){word.ptr + 1, word.len - 1}, ']', &inside, &port))
        return false;
    for (size_t i = 0; i < port.len; i++)
        if (i == 0 ? port.ptr[0] != ':' || port.len == 1 : !is_digit(port.ptr[i]))
            return false;
    bool v6 = span_starts_nocase(inside, "IPv6:");
    if (v6)
        skip(&inside, 5);
    return read_address(inside, out) && (!v6 || memchr(inside.ptr, ':', inside.len) != NULL);
}

/* Exim's "port=1025 helo=HELO ident=x": all that is left of a comment. */
static bool read_exim(struct span rest, struct span *helo)
{
    static const char *const keys[] = {"port=", "helo=", "ident="};
    const size_t count = sizeof keys / sizeof *keys;
    struct item word;
    size_t words = 0;
    for (; next_item(&rest, &word); words++) {
        size_t key = 0;
        while (key < count && !span_starts_nocase(word.text, keys[key]))
            key++;
        if (word.comment || key == count)
            return false;
        if (key == 1)
            *helo = (struct span){word.text.ptr + 5, word.text.len - 5};
    }
    return words > 0 && rest.len == 0;
}

/* Nothing, or Sendmail's "(may be forged)" */
static bool is_rest_of_named(struct span rest)
{
    struct item forged;
    return rest.len == 0 || (next_item(&rest, &forged) && forged.comment &&
                             span_is(forged.text, "may be forged") && rest.len == 0);
}

/* "NAME [address] (may be forged)" or "[address] helo=HELO": what Postfix, Sendmail and Exim put into the
 * first comment. */
static bool read_named(struct span comment, struct span *helo, struct netaddr *out)
{
    struct item word;
    if (!next_item(&comment, &word) || word.comment)
        return false;
    if (read_literal(word.text, out))
        return is_rest_of_named(comment) || read_exim(comment, helo);
    return memchr(word.text.ptr, '=', word.text.len) == NULL &&
           memchr(word.text.ptr, '[', word.text.len) == NULL && next_item(&comment, &word) && !word.comment &&
           read_literal(word.text, out) && is_rest_of_named(comment);
}

/* qmail's "192.0.2.1" or "ident@192.0.2.1" */
static bool read_bare(struct span comment, struct netaddr *out)
{
    size_t at = comment.len;
    while (at > 0 && comment.ptr[at - 1] != '@')
        at--;
    for (size_t i = 0; i < at; i++)
        if (comment.ptr[i] <= ' ' || strchr("()[]", comment.ptr[i]) != NULL)
            return false;
    return read_address((struct span){comment.ptr + at, comment.len - at}, out);
}

/* qmail's "HELO HELO" */
static bool read_greeting(struct span comment, struct span *helo)
{
    struct item verb, name;
    if (!next_item(&comment, &verb) || verb.comment || !next_item(&comment, &name) || name.comment ||
        comment.len > 0)
        return false;
    *helo = name.text;
    return span_is(verb.text, "HELO") || span_is(verb.text, "EHLO") || span_is(verb.text, "LHLO");
}

/* One clause: the word behind "from" and the comments up to "by". */
static bool read_client(struct span host, const struct span *comment, size_t count, struct span *helo,
                        struct netaddr *out)
{
    size_t used = 1;
    struct netaddr literal;
    struct span said = {0};
    *helo = host;
    if (count == 0)
        return false;
    if (read_literal(host, &literal) && read_exim(comment[0], &said)) {
        *out = literal;
        *helo = said;
    } else if (count > 1 && read_greeting(comment[0], &said) && read_bare(comment[1], out)) {
        used = 2;
        *helo = said;
    } else if (!read_bare(comment[0], out) && !read_named(comment[0], helo, out)) {
        return false;
    }
    for (; used < count; used++) /* on TLS, on authentication; a second address would be one too many */
        if (memchr(comment[used].ptr, '[', comment[used].len) != NULL || read_bare(comment[used], &literal))
            return false;
    return true;
}

/* "(qmail 1234 invoked from network)": the field below is by the same host. */
static bool is_qmail_mark(struct span value)
{
    struct span text = value, date;
    while (text.len > 0 && is_blank(text.ptr[0]))
        skip(&text, 1);
    if (!span_starts_nocase(text, "(qmail "))
        return false;
    skip(&text, 7);
    size_t digits = 0;
    while (digits < text.len && is_digit(text.ptr[digits]))
        digits++;
    skip(&text, digits);
    return digits > 0 && span_cut(text, ';', &text, &date) && span_is(text, " invoked from network)");
}

static bool read_field(struct span value, struct span *helo, struct netaddr *out)
{
    struct span comments[COMMENTS_MAX], host;
    struct item item;
    size_t count = 0;
    if (!next_item(&value, &item) || item.comment || !span_is_nocase(item.text, "from") ||
        !next_item(&value, &item) || item.comment)
        return false;
    host = item.text;
    for (;;) {
        if (!next_item(&value, &item))
            return false;
        if (!item.comment)
            break;
        if (count == COMMENTS_MAX)
            return false;
        comments[count++] = item.text;
    }
    return span_is_nocase(item.text, "by") && read_client(host, comments, count, helo, out);
}

static void copy_helo(char *out, struct span helo)
{
    size_t len = helo.len <= ENTERED_HELO_MAX ? helo.len : 0;
    if (len > 0)
        memcpy(out, helo.ptr, len);
    out[len] = '\0';
}

bool entered_is_trusted(const struct netaddr *address, const struct netprefix *trusted, size_t trusted_count)
{
    for (size_t i = 0; i < trusted_count; i++)
        if (netprefix_contains(&trusted[i], address))
            return true;
    return false;
}

bool entered_find(const struct span *received, size_t count, const struct netprefix *trusted,
                  size_t trusted_count, struct entered *out)
{
    struct span helo;
    struct netaddr client;
    for (size_t i = 0; i < count; i++) {
        if (is_qmail_mark(received[i]))
            continue;
        if (!read_field(received[i], &helo, &client))
            return false;
        if (entered_is_trusted(&client, trusted, trusted_count))
            continue;
        out->client = client;
        out->field = i;
        copy_helo(out->helo, helo);
        return true;
    }
    return false;
}
