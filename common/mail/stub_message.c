/*
 * stub_message.c - the small message that carries a stub. From is the letter's, so that people and filters
 * see who writes; nothing in it may break out of its field.
 */
#include "mail/stub.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "mail/encoded_word.h"
#include "mail/fold.h"
#include "mail/header.h"

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
    buf_init(&name, FOLD_FIELD_MAX);
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
    buf_init(&given, FOLD_FIELD_MAX);
    buf_init(&from, FOLD_FIELD_MAX);
    enum err e = fold_clean(m->from_field != NULL ? m->from_field : "", &given);
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
    if (e == ERR_OK)
        e = fold_field(out, "From", buf_span(&from));
    if (e == ERR_TOO_LARGE) { /* a word over 998 octets */
        if (parsed == ERR_OK)
            address_text(&a, path);
        e = fold_field(out, "From", span_of(path));
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
    buf_init(&given, FOLD_FIELD_MAX);
    buf_init(&subject, FOLD_FIELD_MAX);
    enum err e = fold_clean(m->subject, &given);
    if (e == ERR_OK)
        e = m->smtputf8 || is_ascii(buf_span(&given)) ? buf_append_span(&subject, buf_span(&given))
                                                      : encoded_word_append(buf_span(&given), &subject);
    if (e == ERR_OK)
        e = fold_field(out, "Subject", buf_span(&subject));
    if (e == ERR_TOO_LARGE) /* no blank in a thousand octets: people miss nothing */
        e = ERR_OK;
    buf_free(&given);
    buf_free(&subject);
    return e;
}

static enum err put_bulk(const struct stub_message *m, struct buf *out)
{
    char field[HEADER_LIST_ID_MAX + 3], id[HEADER_LIST_ID_MAX + 1];
    enum err e = ERR_OK;
    if (m->list_id != NULL && m->list_id[0] != '\0') {
        int len = snprintf(field, sizeof field, "<%s>", m->list_id);
        if ((size_t)len >= sizeof field || header_list_id(span_of(field), id) != ERR_OK ||
            strcmp(id, m->list_id) != 0)
            return ERR_STUB_SYNTAX;
        e = fold_field(out, "List-Id", span_of(field));
    }
    return e == ERR_OK && m->bulk ? buf_append_str(out, "Precedence: bulk\r\n") : e;
}

static bool is_message_id(const char *id)
{
    size_t len = strlen(id);
    for (const char *c = id; *c != '\0'; c++)
        if ((unsigned char)*c <= ' ' || (unsigned char)*c >= 0x7f || *c == '<' || *c == '>')
            return false;
    return len > 0 && len < FOLD_LINE_MAX - 20;
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
        e = put_bulk(m, out);
    if (e == ERR_OK)
        e = buf_append_str(out, "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n");
    if (e == ERR_OK)
        e = stub_format(m->stub, out);
    if (e == ERR_OK)
        e = buf_append_str(out, "\r\n");
    return e == ERR_OK ? buf_append_str(out, explanation) : e;
}
