/*
 * header.c - header fields, read as they stand. Line ends are CRLF; a bare LF counts as one too, since mail
 * systems downstream may take it for one.
 */
#include "mail/header.h"

#include <string.h>

static bool is_wsp(char c)
{
    return c == ' ' || c == '\t';
}

static bool is_space(char c)
{
    return is_wsp(c) || c == '\r' || c == '\n';
}

/* Octets of the lines that make up the field at the front of s. */
static size_t field_length(struct span s)
{
    size_t at = 0;
    while (at < s.len) {
        const char *lf = memchr(s.ptr + at, '\n', s.len - at);
        at = lf == NULL ? s.len : (size_t)(lf - s.ptr) + 1;
        if (at < s.len && !is_wsp(s.ptr[at]))
            break;
    }
    return at;
}

bool header_next(struct span *rest, struct header_field *out)
{
    size_t name = 0;
    while (name < rest->len && rest->ptr[name] > ' ' && rest->ptr[name] < 0x7f && rest->ptr[name] != ':')
        name++;
    size_t colon = name;
    while (colon < rest->len && is_wsp(rest->ptr[colon])) /* RFC 5322 4.5 */
        colon++;
    if (name == 0 || colon == rest->len || rest->ptr[colon] != ':')
        return false;
    size_t len = field_length(*rest), end = len;
    if (rest->ptr[end - 1] == '\n')
        end--;
    if (end < len && rest->ptr[end - 1] == '\r')
        end--;
    out->name = span_bytes(rest->ptr, name);
    out->value = span_bytes(rest->ptr + colon + 1, end - colon - 1);
    out->raw = span_bytes(rest->ptr, len);
    *rest = span_bytes(rest->ptr + len, rest->len - len);
    return true;
}

static struct span trim_space(struct span s)
{
    while (s.len > 0 && is_space(s.ptr[0]))
        s = span_bytes(s.ptr + 1, s.len - 1);
    while (s.len > 0 && is_space(s.ptr[s.len - 1]))
        s.len--;
    return s;
}

enum err header_unfold(struct span value, struct buf *out)
{
    value = trim_space(value);
    enum err e = ERR_OK;
    size_t from = 0;
    for (size_t i = 0; i < value.len && e == ERR_OK; i++) {
        size_t end = value.ptr[i] == '\n'                                                    ? 1
                     : value.ptr[i] == '\r' && value.len - i > 1 && value.ptr[i + 1] == '\n' ? 2
                                                                                             : 0;
        if (end == 0)
            continue;
        e = buf_append(out, value.ptr + from, i - from);
        from = i + end;
        i = from - 1;
    }
    return e == ERR_OK ? buf_append(out, value.ptr + from, value.len - from) : e;
}

/* ---- tokens of structured fields (RFC 5322 3.2) ---- */

/* Octets of the comment at the front of s, which begins with '('; 0 when it does not end. */
static size_t comment_length(struct span s)
{
    size_t depth = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '\\')
            i++;
        else if (s.ptr[i] == '(')
            depth++;
        else if (s.ptr[i] == ')' && --depth == 0)
            return i + 1;
    }
    return 0;
}

/* Octets of the quoted string at the front of s, with its quotes; 0 when it does not end. */
static size_t quoted_length(struct span s)
{
    for (size_t i = 1; i < s.len; i++) {
        if (s.ptr[i] == '\\')
            i++;
        else if (s.ptr[i] == '"')
            return i + 1;
    }
    return 0;
}

/* Comments and folding white space off the front; false when a comment does not end. */
static bool skip_cfws(struct span *s)
{
    while (s->len > 0 && (is_space(s->ptr[0]) || s->ptr[0] == '(')) {
        size_t len = s->ptr[0] == '(' ? comment_length(*s) : 1;
        if (len == 0)
            return false;
        *s = span_bytes(s->ptr + len, s->len - len);
    }
    return true;
}

/* ---- From ---- */

/* What has been read of one mailbox: the words outside comments, and what stands between < and >. */
struct mailbox {
    struct buf words;
    struct buf angle;
    bool has_angle;
    bool bad;
};

struct mailbox_list {
    struct mailbox now;
    struct address *out;
    size_t count;
};

static bool next_to(const struct buf *b, size_t at, const char *set)
{
    return (at > 0 && strchr(set, b->data[at - 1]) != NULL) ||
           (at + 1 < b->len && strchr(set, b->data[at + 1]) != NULL);
}

/* Blanks may stand around '@' and '.' of an address without <> (RFC 5322 4.4), nowhere else. */
static enum err join_words(const struct buf *words, struct buf *out)
{
    enum err e = ERR_OK;
    bool quoted = false;
    for (size_t i = 0; i < words->len && e == ERR_OK; i++) {
        char c = words->data[i];
        if (quoted && c == '\\' && i + 1 < words->len) {
            e = buf_append(out, words->data + i, 2);
            i++;
            continue;
        }
        if (c == '"')
            quoted = !quoted;
        if (c != ' ' || quoted)
            e = buf_append_char(out, c);
        else if (i > 0 && i + 1 < words->len && !next_to(words, i, "@."))
            return ERR_ADDRESS;
    }
    return e;
}

static enum err end_mailbox(struct mailbox_list *l)
{
    struct buf joined;
    struct address a;
    enum err e = ERR_OK;
    struct mailbox *m = &l->now;
    bool empty = !m->has_angle && span_trim(buf_span(&m->words)).len == 0;
    buf_init(&joined, ADDRESS_TEXT_MAX);
    if (!empty) {
        e = m->bad ? ERR_ADDRESS : join_words(m->has_angle ? &m->angle : &m->words, &joined);
        if (e == ERR_OK)
            e = address_parse(buf_span(&joined), &a);
        if (e == ERR_TOO_LARGE || (e == ERR_OK && a.null))
            e = ERR_ADDRESS;
        if (e == ERR_OK && ++l->count > 1)
            e = ERR_ADDRESS;
        if (e == ERR_OK)
            *l->out = a;
    }
    buf_clear(&m->words);
    buf_clear(&m->angle);
    m->has_angle = m->bad = false;
    buf_free(&joined);
    return e;
}

/* A piece of the present mailbox, inside or outside its <>. */
static enum err add_piece(struct mailbox *m, bool in_angle, struct span piece)
{
    if (m->has_angle && !in_angle && piece.ptr[0] != ' ')
        m->bad = true; /* something behind the > */
    return buf_append_span(in_angle ? &m->angle : &m->words, piece);
}

static enum err blank(struct mailbox *m, bool in_angle)
{
    struct buf *b = in_angle ? &m->angle : &m->words;
    return b->len > 0 && b->data[b->len - 1] == ' ' ? ERR_OK : add_piece(m, in_angle, SPAN_LITERAL(" "));
}

static enum err read_mailboxes(struct span value, struct mailbox_list *l)
{
    bool in_angle = false, in_group = false;
    enum err e = ERR_OK;
    for (size_t i = 0, step; i < value.len && e == ERR_OK; i += step) {
        struct span rest = span_bytes(value.ptr + i, value.len - i);
        char c = rest.ptr[0];
        step = 1;
        if (is_space(c)) {
            e = blank(&l->now, in_angle);
        } else if (c == '(') {
            step = comment_length(rest);
            e = step > 0 ? blank(&l->now, in_angle) : ERR_ADDRESS;
        } else if (c == '"') {
            step = quoted_length(rest);
            e = step > 0 ? add_piece(&l->now, in_angle, span_bytes(rest.ptr, step)) : ERR_ADDRESS;
        } else if (c == '<') {
            e = l->now.has_angle ? ERR_ADDRESS : ERR_OK;
            in_angle = l->now.has_angle = true;
        } else if (c == '>') {
            e = in_angle ? ERR_OK : ERR_ADDRESS;
            in_angle = false;
        } else if (c == ',' && !in_angle) {
            e = end_mailbox(l);
        } else if (c == ':' && !in_angle) {
            e = in_group || l->now.has_angle ? ERR_ADDRESS : ERR_OK; /* the words were the group's name */
            in_group = true;
            buf_clear(&l->now.words);
        } else if (c == ';' && !in_angle) {
            e = in_group ? end_mailbox(l) : ERR_ADDRESS;
            in_group = false;
        } else {
            e = add_piece(&l->now, in_angle, span_bytes(rest.ptr, 1));
        }
    }
    if (e == ERR_OK && in_angle)
        e = ERR_ADDRESS;
    return e == ERR_OK ? end_mailbox(l) : e;
}

enum err header_from_address(struct span value, struct address *out)
{
    struct address a = {0};
    struct mailbox_list l = {.out = &a};
    buf_init(&l.now.words, HEADER_FIELD_MAX);
    buf_init(&l.now.angle, HEADER_FIELD_MAX);
    enum err e = read_mailboxes(value, &l);
    if (e == ERR_TOO_LARGE || (e == ERR_OK && l.count != 1))
        e = ERR_ADDRESS;
    if (e == ERR_OK)
        *out = a;
    buf_free(&l.now.words);
    buf_free(&l.now.angle);
    return e;
}

/* ---- other fields ---- */

enum err header_message_id(struct span value, struct span *out)
{
    if (!skip_cfws(&value) || value.len < 3 || value.ptr[0] != '<')
        return ERR_SYNTAX;
    size_t len = 1;
    while (len < value.len && value.ptr[len] != '>') {
        char c = value.ptr[len];
        if ((unsigned char)c <= ' ' || c == 0x7f || c == '<')
            return ERR_SYNTAX;
        len++;
    }
    if (len == 1 || len == value.len)
        return ERR_SYNTAX;
    *out = span_bytes(value.ptr + 1, len - 1);
    return ERR_OK;
}

static bool is_list_id(struct span s)
{
    bool dot = false;
    if (s.len == 0 || s.len > HEADER_LIST_ID_MAX)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (c == '.' && (i == 0 || i + 1 == s.len || s.ptr[i - 1] == '.'))
            return false;
        if ((unsigned char)c <= ' ' || (unsigned char)c >= 0x7f || strchr("()<>@,;:\\\"[]", c) != NULL)
            return false;
        dot = dot || c == '.';
    }
    return dot;
}

enum err header_list_id(struct span value, char out[HEADER_LIST_ID_MAX + 1])
{
    /* The phrase before it may hold anything; the identifier is what stands last. */
    struct span id = trim_space(value);
    if (id.len < 3 || id.ptr[id.len - 1] != '>')
        return ERR_SYNTAX;
    size_t from = id.len - 1;
    while (from > 0 && id.ptr[from - 1] != '<')
        from--;
    id = span_bytes(id.ptr + from, id.len - 1 - from);
    if (from == 0 || !is_list_id(id))
        return ERR_SYNTAX;
    for (size_t i = 0; i < id.len; i++)
        out[i] = id.ptr[i] >= 'A' && id.ptr[i] <= 'Z' ? (char)(id.ptr[i] - 'A' + 'a') : id.ptr[i];
    out[id.len] = '\0';
    return ERR_OK;
}

/* A token of RFC 2045 5.1 off the front. */
static struct span take_token(struct span *s)
{
    size_t len = 0;
    while (len < s->len && (unsigned char)s->ptr[len] > ' ' && s->ptr[len] != 0x7f &&
           strchr("()<>@,;:\\\"/[]?=", s->ptr[len]) == NULL)
        len++;
    struct span token = span_bytes(s->ptr, len);
    *s = span_bytes(s->ptr + len, s->len - len);
    return token;
}

bool header_says_bulk(struct span name, struct span value)
{
    if (span_starts_nocase(name, "List-"))
        return true;
    bool precedence = span_is_nocase(name, "Precedence");
    if ((!precedence && !span_is_nocase(name, "Auto-Submitted")) || !skip_cfws(&value))
        return false;
    struct span word = take_token(&value);
    if (!precedence)
        return word.len > 0 && !span_is_nocase(word, "no");
    return span_is_nocase(word, "bulk") || span_is_nocase(word, "list") || span_is_nocase(word, "junk");
}

bool header_is_report(struct span value)
{
    if (!skip_cfws(&value) || !span_is_nocase(take_token(&value), "multipart") || !skip_cfws(&value) ||
        value.len == 0 || value.ptr[0] != '/')
        return false;
    value = span_bytes(value.ptr + 1, value.len - 1);
    return skip_cfws(&value) && span_is_nocase(take_token(&value), "report");
}

/* "type/subtype" off the front; false when it is none. */
static bool skip_media_type(struct span *s)
{
    if (!skip_cfws(s) || take_token(s).len == 0 || !skip_cfws(s) || s->len == 0 || s->ptr[0] != '/')
        return false;
    *s = span_bytes(s->ptr + 1, s->len - 1);
    return skip_cfws(s) && take_token(s).len > 0;
}

static bool take_char(struct span *s, char c)
{
    if (!skip_cfws(s) || s->len == 0 || s->ptr[0] != c)
        return false;
    *s = span_bytes(s->ptr + 1, s->len - 1);
    return skip_cfws(s);
}

enum err header_parameter(struct span value, const char *name, struct buf *out)
{
    if (!skip_media_type(&value))
        return ERR_NOT_FOUND;
    while (take_char(&value, ';')) {
        struct span key = take_token(&value), text;
        if (key.len == 0 || !take_char(&value, '='))
            return ERR_NOT_FOUND;
        size_t quoted = value.len > 0 && value.ptr[0] == '"' ? quoted_length(value) : 0;
        if (quoted > 0) {
            text = span_bytes(value.ptr + 1, quoted - 2);
            value = span_bytes(value.ptr + quoted, value.len - quoted);
        } else {
            text = take_token(&value);
        }
        if (!span_is_nocase(key, name))
            continue;
        enum err e = text.len > 0 ? ERR_OK : ERR_NOT_FOUND;
        for (size_t i = 0; i < text.len && e == ERR_OK; i++) {
            i += quoted > 0 && text.ptr[i] == '\\' && text.len - i > 1 ? 1 : 0;
            e = buf_append_char(out, text.ptr[i]);
        }
        return e;
    }
    return ERR_NOT_FOUND;
}

enum err header_authserv_id(struct span value, struct span *out)
{
    if (!skip_cfws(&value) || value.len == 0)
        return ERR_SYNTAX;
    if (value.ptr[0] != '"') {
        struct span token = take_token(&value);
        if (token.len == 0)
            return ERR_SYNTAX;
        *out = token;
        return ERR_OK;
    }
    size_t len = quoted_length(value);
    if (len <= 2 || memchr(value.ptr, '\\', len) != NULL)
        return ERR_SYNTAX;
    *out = span_bytes(value.ptr + 1, len - 2);
    return ERR_OK;
}
