/*
 * stub.c - the Restante-Stub field: a tag list in the manner of DKIM (RFC 6376 3.2), but strict.
 */
#include "mail/stub.h"

#include <inttypes.h>
#include <string.h>

#include "base/encode.h"
#include "base/secret.h"

#define LINE_MAX_COLUMNS 77
#define SIZE_MAX_BYTES (UINT64_C(1) << 50)
#define EXPIRES_MAX_S UINT64_C(253402300799) /* the year 9999 */
#define KEY_LEN ENCODE_B64_LEN(STUB_KEY_BYTES)

static bool is_wsp(char c)
{
    return c == ' ' || c == '\t';
}

/* ---- reading ---- */

/* dkim-quoted-printable (RFC 6376 2.11): blanks are folding, not content. */
static bool decode_quoted(struct span in, struct buf *out)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < in.len; i++) {
        char c = in.ptr[i];
        if (is_wsp(c))
            continue;
        if (c == '=') {
            const char *high = in.len - i > 2 && in.ptr[i + 1] != '\0' ? strchr(digits, in.ptr[i + 1]) : NULL;
            const char *low = high != NULL && in.ptr[i + 2] != '\0' ? strchr(digits, in.ptr[i + 2]) : NULL;
            if (low == NULL)
                return false;
            c = (char)((high - digits) * 16 + (low - digits));
            i += 2;
        }
        if (buf_append_char(out, c) != ERR_OK)
            return false;
    }
    return true;
}

static const char *read_version(struct span value, struct stub *s)
{
    (void)s;
    return span_is(value, "1") ? NULL : "v is not 1";
}

static const char *read_url(struct span value, struct stub *s)
{
    if (value.len > STUB_URL_MAX || !span_starts_nocase(value, "https://") ||
        memcmp(value.ptr, "https", 5) != 0)
        return "u is not an https URL of at most 512 octets";
    for (size_t i = 0; i < value.len; i++)
        if (is_wsp(value.ptr[i]))
            return "u holds white space";
    memcpy(s->url, value.ptr, value.len);
    return NULL;
}

static const char *read_ka(struct span value, struct stub *s)
{
    return decode_b64url(value, s->ka, sizeof s->ka) == ERR_OK ? NULL : "a is not 32 octets in base64url";
}

static const char *read_kd(struct span value, struct stub *s)
{
    return decode_b64url(value, s->kd, sizeof s->kd) == ERR_OK ? NULL : "d is not 32 octets in base64url";
}

static bool read_address(struct span value, struct address *out)
{
    struct buf text;
    buf_init(&text, ADDRESS_TEXT_MAX);
    bool ok = decode_quoted(value, &text) && text.len > 0 && text.data[0] != '<' && text.data[0] != '@' &&
              address_parse(buf_span(&text), out) == ERR_OK && !out->null;
    buf_free(&text);
    return ok;
}

static const char *read_from(struct span value, struct stub *s)
{
    return read_address(value, &s->from) ? NULL : "f is not an address";
}

static const char *read_to(struct span value, struct stub *s)
{
    return read_address(value, &s->to) ? NULL : "t is not an address";
}

static const char *read_size(struct span value, struct stub *s)
{
    return span_to_u64(value, SIZE_MAX_BYTES, &s->size_bytes) ? NULL : "s is not a number up to 2^50";
}

static const char *read_expiry(struct span value, struct stub *s)
{
    uint64_t x;
    if (!span_to_u64(value, EXPIRES_MAX_S, &x))
        return "x is not a number of seconds up to the year 9999";
    s->expires_s = (int64_t)x;
    return NULL;
}

static const struct {
    char name;
    const char *(*read)(struct span value, struct stub *s); /* NULL, or what is wrong */
} tags[] = {
    {'v', read_version}, {'u', read_url}, {'a', read_ka},   {'d', read_kd},
    {'f', read_from},    {'t', read_to},  {'s', read_size}, {'x', read_expiry},
};
#define TAG_COUNT (sizeof tags / sizeof tags[0])

static enum err complain(struct buf *why, enum err e, const char *what)
{
    if (why != NULL)
        (void)buf_append_str(why, what);
    return e;
}

/* Takes the folding out (a CRLF ahead of a blank) and refuses every other control character. */
static enum err unfold(struct span value, struct buf *out, struct buf *why)
{
    enum err e = ERR_OK;
    for (size_t i = 0; i < value.len && e == ERR_OK; i++) {
        unsigned char c = (unsigned char)value.ptr[i];
        if (c == '\r' && value.len - i > 2 && value.ptr[i + 1] == '\n' && is_wsp(value.ptr[i + 2]))
            i++;
        else if ((c < 0x20 && c != '\t') || c == 0x7f)
            return complain(why, ERR_BAD_BYTES, "a control character, or a line end that is no folding");
        else if (c >= 0x80)
            return complain(why, ERR_STUB_SYNTAX, "an octet that is not ASCII");
        else
            e = buf_append_char(out, (char)c);
    }
    return e;
}

static enum err parse_tag(struct span item, unsigned *seen, struct stub *s, struct buf *why)
{
    struct span name, value;
    if (!span_cut(item, '=', &name, &value))
        return complain(why, ERR_STUB_SYNTAX, "a tag without '='");
    name = span_trim(name);
    for (size_t i = 0; i < TAG_COUNT; i++) {
        if (name.len != 1 || name.ptr[0] != tags[i].name)
            continue;
        if ((*seen & 1u << i) != 0)
            return complain(why, ERR_STUB_SYNTAX, "a tag given twice");
        if (*seen == 0 && i != 0)
            return complain(why, ERR_STUB_SYNTAX, "v is not the first tag");
        *seen |= 1u << i;
        const char *wrong = tags[i].read(span_trim(value), s);
        return wrong == NULL ? ERR_OK : complain(why, ERR_STUB_SYNTAX, wrong);
    }
    return complain(why, ERR_STUB_SYNTAX, "an unknown tag");
}

enum err stub_parse(struct span value, struct stub *out, struct buf *why)
{
    struct stub s = {0};
    struct buf text;
    unsigned seen = 0;
    if (value.len > STUB_VALUE_MAX)
        return complain(why, ERR_STUB_SYNTAX, "longer than 4096 octets");
    buf_init_secret(&text, STUB_VALUE_MAX);
    enum err e = unfold(value, &text, why);
    struct span rest = buf_span(&text), item;
    bool more = true;
    while (e == ERR_OK && more) {
        more = span_cut(rest, ';', &item, &rest);
        if (!more && span_trim(item).len == 0) /* the list may end in ';' */
            break;
        e = parse_tag(item, &seen, &s, why);
    }
    if (e == ERR_OK && seen != (1u << TAG_COUNT) - 1)
        e = complain(why, ERR_STUB_SYNTAX, "a tag is missing");
    if (e == ERR_OK)
        *out = s;
    buf_free(&text);
    stub_wipe(&s);
    return e;
}

void stub_wipe(struct stub *s)
{
    secret_wipe(s, sizeof *s);
}

/* ---- writing ---- */

struct folder {
    struct buf *out;
    size_t column;
};

/* A word that stands on one line, behind a blank or a fold. */
static enum err put_word(struct folder *f, const char *word)
{
    size_t len = strlen(word);
    bool fits = f->column + 1 + len <= LINE_MAX_COLUMNS;
    enum err e = buf_append_str(f->out, fits ? " " : "\r\n ");
    f->column = (fits ? f->column + 1 : 1) + len;
    return e == ERR_OK ? buf_append_str(f->out, word) : e;
}

/* An address tag; folded inside the value when it is longer than a line. */
static enum err put_address(struct folder *f, char tag, const struct address *a)
{
    char text[ADDRESS_TEXT_MAX], word[2 + 3 * ADDRESS_TEXT_MAX + 2];
    size_t len = 0;
    address_text(a, text);
    word[len++] = tag;
    word[len++] = '=';
    for (const char *c = text; *c != '\0'; c++) {
        static const char digits[] = "0123456789ABCDEF";
        unsigned char octet = (unsigned char)*c;
        if (octet > ' ' && octet < 0x7f && octet != ';' && octet != '=') {
            word[len++] = *c;
        } else {
            word[len++] = '=';
            word[len++] = digits[octet >> 4];
            word[len++] = digits[octet & 15];
        }
    }
    word[len++] = ';';
    word[len] = '\0';
    if (len < LINE_MAX_COLUMNS)
        return put_word(f, word);
    enum err e = buf_append_str(f->out, "\r\n ");
    f->column = 1;
    for (size_t i = 0, piece; i < len && e == ERR_OK; i += piece) {
        piece = i > 1 && word[i] == '=' ? 3 : 1;
        if (f->column + piece > LINE_MAX_COLUMNS) {
            e = buf_append_str(f->out, "\r\n ");
            f->column = 1;
        }
        if (e == ERR_OK)
            e = buf_append(f->out, word + i, piece);
        f->column += piece;
    }
    return e;
}

static enum err put_key(struct folder *f, char tag, const uint8_t key[STUB_KEY_BYTES])
{
    char word[2 + KEY_LEN + 2] = {tag, '='};
    encode_b64url(key, STUB_KEY_BYTES, word + 2);
    word[2 + KEY_LEN] = ';';
    word[2 + KEY_LEN + 1] = '\0';
    enum err e = put_word(f, word);
    secret_wipe(word, sizeof word);
    return e;
}

static enum err put_all(struct folder *f, const struct stub *s)
{
    struct buf word;
    buf_init(&word, STUB_URL_MAX + 64);
    enum err e = buf_append_str(f->out, STUB_FIELD_NAME ":");
    f->column = sizeof STUB_FIELD_NAME;
    if (e == ERR_OK)
        e = put_word(f, "v=1;");
    if (e == ERR_OK)
        e = buf_printf(&word, "u=%s;", s->url);
    if (e == ERR_OK)
        e = put_word(f, buf_cstr(&word));
    if (e == ERR_OK)
        e = put_key(f, 'a', s->ka);
    if (e == ERR_OK)
        e = put_key(f, 'd', s->kd);
    if (e == ERR_OK)
        e = put_address(f, 'f', &s->from);
    if (e == ERR_OK)
        e = put_address(f, 't', &s->to);
    buf_clear(&word);
    if (e == ERR_OK)
        e = buf_printf(&word, "s=%" PRIu64 "; x=%" PRId64, s->size_bytes, s->expires_s);
    if (e == ERR_OK)
        e = put_word(f, buf_cstr(&word));
    buf_free(&word);
    return e;
}

enum err stub_format(const struct stub *s, struct buf *out)
{
    struct buf field;
    struct stub again;
    buf_init_secret(&field, sizeof STUB_FIELD_NAME + STUB_VALUE_MAX);
    struct folder f = {.out = &field};
    enum err e = put_all(&f, s);
    if (e == ERR_OK) { /* what we would not read we do not write */
        e = stub_parse(span_bytes(field.data + sizeof STUB_FIELD_NAME, field.len - sizeof STUB_FIELD_NAME),
                       &again, NULL);
        e = e == ERR_BAD_BYTES ? ERR_STUB_SYNTAX : e;
    }
    if (e == ERR_OK) {
        stub_wipe(&again);
        e = buf_append_span(out, buf_span(&field));
    }
    if (e == ERR_OK)
        e = buf_append_str(out, "\r\n");
    buf_free(&field);
    return e;
}
