/*
 * stub_message.c - the small message that carries a stub. From is the letter's, so that people and filters
 * see who writes; nothing in it may break out of its field.
 */
#include "mail/stub.h"

#include <string.h>

#include "base/clock.h"
#include "mail/encoded_word.h"
#include "mail/header.h"

#define LINE_MAX_COLUMNS 77
#define LINE_MAX_OCTETS 998 /* RFC 5322 2.1.1 */
#define FIELD_MAX_OCTETS 8192

static const char explanation[] =
    "This message stands for a letter that waits at its sender's mail server.\r\n"
    "\r\n"
    "Your mail server should have called for it and delivered the letter instead\r\n"
    "of this message. It did not: either it does not know the protocol (Restante),\r\n"
    "or this message was forwarded past the server that does. Nothing is lost. The\r\n"
    "letter is kept for some days, then its sender is told that nobody called for\r\n"
    "it. You may show this to whoever runs your mail, or ask the sender to send\r\n"
    "the letter in another way.\r\n";

static bool is_ascii(struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.ptr[i] >= 0x80)
            return false;
    return true;
}

/* One line of text: control characters become blanks, ends are trimmed. */
static enum err clean(const char *text, struct buf *out)
{
    enum err e = ERR_OK;
    struct span s = span_trim(span_of(text));
    for (size_t i = 0; i < s.len && e == ERR_OK; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        e = buf_append_char(out, c < 0x20 || c == 0x7f ? ' ' : (char)c);
    }
    return e;
}

/* Appends a field, folded at its blanks; false when some line would still be too long (nothing is appended).
 */
static bool put_folded(struct buf *out, const char *name, struct span value, enum err *e)
{
    struct buf field;
    buf_init(&field, FIELD_MAX_OCTETS * 2);
    *e = buf_printf(&field, "%s:", name);
    size_t column = field.len, longest = 0;
    while (*e == ERR_OK && value.len > 0) {
        size_t blanks = 0, len;
        while (blanks < value.len && value.ptr[blanks] == ' ')
            blanks++;
        for (len = blanks; len < value.len && value.ptr[len] != ' '; len++)
            ;
        bool first = column == strlen(name) + 1;
        if (first && blanks == 0)
            *e = buf_append_char(&field, ' ');
        else if (!first && column + len > LINE_MAX_COLUMNS && blanks < len) {
            *e = buf_append_str(&field, "\r\n");
            column = 0;
        }
        if (*e == ERR_OK)
            *e = buf_append(&field, value.ptr, len);
        column += len + (first && blanks == 0 ? 1 : 0);
        longest = column > longest ? column : longest;
        value = span_bytes(value.ptr + len, value.len - len);
    }
    bool fits = longest <= LINE_MAX_OCTETS;
    if (*e == ERR_OK && fits)
        *e = buf_append_span(out, buf_span(&field));
    if (*e == ERR_OK && fits)
        *e = buf_append_str(out, "\r\n");
    buf_free(&field);
    return fits || *e != ERR_OK;
}

/* The display name ahead of '<', out of its quotes; empty when there is none. */
static enum err display_name(struct span from, struct buf *out)
{
    enum err e = ERR_OK;
    bool quoted = false;
    for (size_t i = 0; i < from.len && e == ERR_OK; i++) {
        char c = from.ptr[i];
        if (c == '<' && !quoted)
            return ERR_OK;
        if (quoted && c == '\\' && i + 1 < from.len)
            e = buf_append_char(out, from.ptr[++i]);
        else if (c == '"')
            quoted = !quoted;
        else
            e = buf_append_char(out, c);
    }
    buf_clear(out);
    return e;
}

/* From in ASCII: the name as encoded words. */
static enum err encode_from(struct span from, const struct address *a, struct buf *out)
{
    struct buf name;
    char text[ADDRESS_TEXT_MAX];
    address_text(a, text);
    buf_init(&name, FIELD_MAX_OCTETS);
    enum err e = display_name(from, &name);
    struct span words = span_trim(buf_span(&name));
    if (e == ERR_OK && words.len > 0)
        e = encoded_word_append(words, out);
    if (e == ERR_OK)
        e = buf_printf(out, words.len > 0 ? " <%s>" : "%s", text);
    buf_free(&name);
    return e;
}

/* What cannot be parsed keeps its shape, and loses what is not ASCII. */
static void mask(struct buf *text)
{
    for (size_t i = 0; i < text->len; i++)
        if ((unsigned char)text->data[i] >= 0x80)
            text->data[i] = '?';
}

static enum err put_from(const struct stub_message *m, struct buf *out)
{
    struct buf given, from;
    struct address a;
    char path[ADDRESS_TEXT_MAX];
    address_text(&m->stub->from, path);
    buf_init(&given, FIELD_MAX_OCTETS);
    buf_init(&from, FIELD_MAX_OCTETS);
    enum err e = clean(m->from_field != NULL ? m->from_field : "", &given);
    enum err parsed = header_from_address(buf_span(&given), &a);
    if (e == ERR_OK &&
        (m->smtputf8 || is_ascii(buf_span(&given)) || (parsed == ERR_OK && !is_ascii(span_of(a.local)))))
        e = buf_append_span(&from, buf_span(&given));
    else if (e == ERR_OK && parsed == ERR_OK)
        e = encode_from(buf_span(&given), &a, &from);
    else if (e == ERR_OK && (e = buf_append_span(&from, buf_span(&given))) == ERR_OK)
        mask(&from);
    if (e == ERR_OK && from.len == 0)
        e = buf_append_str(&from, path);
    if (e == ERR_OK &&
        !put_folded(out, "From", buf_span(&from), &e)) { /* a line over 998 octets: the bare address */
        if (parsed == ERR_OK)
            address_text(&a, path);
        put_folded(out, "From", span_of(path), &e);
    }
    buf_free(&given);
    buf_free(&from);
    return e;
}

static enum err put_subject(const struct stub_message *m, struct buf *out)
{
    struct buf given, subject;
    if (m->subject == NULL)
        return ERR_OK;
    buf_init(&given, FIELD_MAX_OCTETS);
    buf_init(&subject, FIELD_MAX_OCTETS);
    enum err e = clean(m->subject, &given);
    if (e == ERR_OK)
        e = m->smtputf8 || is_ascii(buf_span(&given)) ? buf_append_span(&subject, buf_span(&given))
                                                      : encoded_word_append(buf_span(&given), &subject);
    if (e == ERR_OK && !put_folded(out, "Subject", buf_span(&subject), &e))
        e = ERR_OK; /* no blank in a thousand octets: people miss nothing */
    buf_free(&given);
    buf_free(&subject);
    return e;
}

static bool is_message_id(const char *id)
{
    size_t len = strlen(id);
    for (const char *c = id; *c != '\0'; c++)
        if ((unsigned char)*c <= ' ' || (unsigned char)*c >= 0x7f || *c == '<' || *c == '>')
            return false;
    return len > 0 && len < LINE_MAX_OCTETS - 20;
}

enum err stub_message_format(const struct stub_message *m, struct buf *out)
{
    char to[ADDRESS_TEXT_MAX], date[CLOCK_RFC5322_MAX];
    if (!is_message_id(m->message_id))
        return ERR_STUB_SYNTAX;
    address_text(&m->stub->to, to);
    clock_rfc5322(m->date_s, date);
    enum err e = put_from(m, out);
    if (e == ERR_OK)
        e = buf_printf(out, "To: %s\r\nDate: %s\r\nMessage-ID: <%s>\r\n", to, date, m->message_id);
    if (e == ERR_OK)
        e = put_subject(m, out);
    if (e == ERR_OK)
        e = buf_append_str(out, "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n");
    if (e == ERR_OK)
        e = stub_format(m->stub, out);
    if (e == ERR_OK)
        e = buf_append_str(out, "\r\n");
    return e == ERR_OK ? buf_append_str(out, explanation) : e;
}
