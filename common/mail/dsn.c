/*
 * dsn.c - delivery status notifications to our own senders, in the shape that Postfix gives them, and the
 * small grammars of RFC 3461.
 */
#include "mail/dsn.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/encode.h"
#include "mail/fold.h"
#include "mail/report.h"

/* ---- RFC 3461 parameters ---- */

static const struct {
    unsigned bit;
    const char *word;
} notify_words[] = {{DSN_SUCCESS, "SUCCESS"}, {DSN_FAILURE, "FAILURE"}, {DSN_DELAY, "DELAY"}};
#define NOTIFY_WORDS (sizeof notify_words / sizeof notify_words[0])

enum err dsn_notify_parse(struct span value, unsigned *out)
{
    unsigned notify = 0;
    struct span word;
    bool more = true;
    if (span_is_nocase(value, "NEVER")) {
        *out = DSN_NEVER;
        return ERR_OK;
    }
    while (more) {
        unsigned bit = 0;
        more = span_cut(value, ',', &word, &value);
        for (size_t i = 0; i < NOTIFY_WORDS; i++)
            bit |= span_is_nocase(word, notify_words[i].word) ? notify_words[i].bit : 0;
        if (bit == 0)
            return ERR_SYNTAX;
        notify |= bit;
    }
    *out = notify;
    return ERR_OK;
}

enum err dsn_notify_format(unsigned notify, struct buf *out)
{
    enum err e = ERR_OK;
    bool first = true;
    if ((notify & DSN_NEVER) != 0)
        return buf_append_str(out, "NEVER");
    for (size_t i = 0; i < NOTIFY_WORDS && e == ERR_OK; i++) {
        if ((notify & notify_words[i].bit) == 0)
            continue;
        e = buf_printf(out, "%s%s", first ? "" : ",", notify_words[i].word);
        first = false;
    }
    return e;
}

enum err dsn_ret_parse(struct span value, enum dsn_ret *out)
{
    if (span_is_nocase(value, "FULL"))
        *out = DSN_RET_FULL;
    else if (span_is_nocase(value, "HDRS"))
        *out = DSN_RET_HDRS;
    else
        return ERR_SYNTAX;
    return ERR_OK;
}

static bool is_xchar(unsigned char c)
{
    return c > ' ' && c < 0x7f && c != '+' && c != '=';
}

enum err dsn_xtext_encode(struct span in, struct buf *out)
{
    enum err e = ERR_OK;
    for (size_t i = 0; i < in.len && e == ERR_OK; i++) {
        unsigned char c = (unsigned char)in.ptr[i];
        e = is_xchar(c) ? buf_append_char(out, (char)c) : buf_printf(out, "+%02X", c);
    }
    return e;
}

enum err dsn_xtext_decode(struct span in, struct buf *out)
{
    static const char digits[] = "0123456789ABCDEF";
    enum err e = ERR_OK;
    for (size_t i = 0; i < in.len && e == ERR_OK; i++) {
        char c = in.ptr[i];
        if (c == '+') {
            const char *high = in.len - i > 2 && in.ptr[i + 1] != '\0' ? strchr(digits, in.ptr[i + 1]) : NULL;
            const char *low = high != NULL && in.ptr[i + 2] != '\0' ? strchr(digits, in.ptr[i + 2]) : NULL;
            if (low == NULL)
                return ERR_SYNTAX;
            c = (char)((high - digits) * 16 + (low - digits));
            i += 2;
        } else if (!is_xchar((unsigned char)c)) {
            return ERR_SYNTAX;
        }
        e = buf_append_char(out, c);
    }
    return e;
}

/* "\x{FC}" as UTF-8; *used gets its length. */
static enum err decode_embedded(struct span in, size_t *used, struct buf *out)
{
    static const char digits[] = "0123456789ABCDEF0123456789abcdef";
    uint32_t c = 0;
    size_t i = 3;
    if (in.len < 6 || in.ptr[1] != 'x' || in.ptr[2] != '{')
        return ERR_SYNTAX;
    for (; i < in.len && in.ptr[i] != '}'; i++) {
        const char *digit = in.ptr[i] != '\0' ? strchr(digits, in.ptr[i]) : NULL;
        if (digit == NULL || i > 8)
            return ERR_SYNTAX;
        c = c << 4 | (uint32_t)((digit - digits) & 15);
    }
    if (i == in.len || i < 5 || c < ' ' || c == 0x7f || (c >= 0xd800 && c < 0xe000) || c > 0x10ffff)
        return ERR_SYNTAX;
    *used = i + 1;
    if (c < 0x80)
        return buf_append_char(out, (char)c);
    unsigned more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    enum err e = buf_append_char(out, (char)((0xff00u >> (more + 1) & 0xffu) | c >> 6 * more));
    while (e == ERR_OK && more-- > 0)
        e = buf_append_char(out, (char)(0x80u | (c >> 6 * more & 0x3fu)));
    return e;
}

/* utf-8-addr-xtext or utf-8-addr-unitext of RFC 6533 3. */
static enum err decode_utf8_address(struct span in, struct buf *out)
{
    enum err e = utf8_valid(in) ? ERR_OK : ERR_SYNTAX;
    for (size_t i = 0; i < in.len && e == ERR_OK;) {
        unsigned char c = (unsigned char)in.ptr[i];
        size_t used = 1;
        if (c == '\\')
            e = decode_embedded(span_bytes(in.ptr + i, in.len - i), &used, out);
        else
            e = c >= 0x80 || is_xchar(c) ? buf_append_char(out, (char)c) : ERR_SYNTAX;
        i += used;
    }
    return e;
}

enum err dsn_orcpt_decode(struct span in, struct buf *out)
{
    struct span type, address;
    if (!span_cut(in, ';', &type, &address) || type.len == 0 || address.len == 0)
        return ERR_SYNTAX;
    for (size_t i = 0; i < type.len; i++)
        if (!is_xchar((unsigned char)type.ptr[i]))
            return ERR_SYNTAX;
    enum err e = buf_append(out, type.ptr, type.len);
    if (e == ERR_OK)
        e = buf_append_char(out, ';');
    if (e == ERR_OK)
        e = span_is_nocase(type, "utf-8") ? decode_utf8_address(address, out)
                                          : dsn_xtext_decode(address, out);
    return e;
}

/* ---- writing ---- */

static const struct {
    const char *word, *subject, *status;
} actions[] = {
    [DSN_FAILED] = {"failed", "Undelivered Mail Returned to Sender", "5.0.0"},
    [DSN_DELAYED] = {"delayed", "Delayed Mail (still being retried)", "4.0.0"},
    [DSN_DELIVERED] = {"delivered", "Successful Mail Delivery Report", "2.0.0"},
    [DSN_RELAYED] = {"relayed", "Successful Mail Delivery Report", "2.0.0"},
};

/* class "." subject "." detail (RFC 3463 2), the class fitting the action. */
static bool is_status(const char *s, char class)
{
    unsigned part = 0;
    size_t digits = 0;
    for (; *s != '\0'; s++) {
        if (*s == '.' && digits > 0 && part < 2) {
            part++;
            digits = 0;
        } else if (*s < '0' || *s > '9' || ++digits > 3 || (part == 0 && (digits > 1 || *s != class))) {
            return false;
        }
    }
    return part == 2 && digits > 0;
}

/* One character off the front of well-formed UTF-8. */
static uint32_t take_character(const unsigned char **at)
{
    const unsigned char *s = *at;
    size_t len = s[0] < 0x80 ? 1 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    uint32_t c = len == 1 ? s[0] : s[0] & (0xffu >> (len + 1));
    for (size_t i = 1; i < len; i++)
        c = c << 6 | (s[i] & 0x3fu);
    *at = s + len;
    return c;
}

/* utf-8-addr-xtext of RFC 6533 3: an address in ASCII. */
static enum err append_address_xtext(const char *address, struct buf *out)
{
    enum err e = ERR_OK;
    const unsigned char *at = (const unsigned char *)address;
    while (*at != '\0' && e == ERR_OK) {
        uint32_t c = take_character(&at);
        if (c > ' ' && c < 0x7f && c != '+' && c != '=' && c != '\\')
            e = buf_append_char(out, (char)c);
        else
            e = buf_printf(out, "\\x{%02" PRIX32 "}", c);
    }
    return e;
}

/* "name: type; text" */
static enum err put_typed(struct buf *out, const char *name, const char *type, const char *text)
{
    struct buf value;
    buf_init(&value, FOLD_FIELD_MAX);
    enum err e = type != NULL ? buf_printf(&value, "%s; ", type) : ERR_OK;
    if (e == ERR_OK)
        e = fold_clean(text, &value);
    for (size_t i = 0; i < value.len; i++)
        if ((unsigned char)value.data[i] >= 0x80)
            value.data[i] = '?';
    if (e == ERR_OK)
        e = report_field(out, name, &value);
    buf_free(&value);
    return e == ERR_TOO_LARGE ? ERR_OK : e;
}

/* Final-Recipient, Original-Recipient: in the type that the address needs. */
static enum err put_recipient(const struct dsn *d, struct buf *out, const char *name, const char *type,
                              const char *address)
{
    struct buf value;
    if (report_is_ascii(span_of(address)))
        return put_typed(out, name, type, address);
    if (!utf8_valid(span_of(address)))
        return put_typed(out, name, type, address);
    buf_init(&value, FOLD_FIELD_MAX);
    enum err e = buf_append_str(&value, "utf-8; ");
    if (e == ERR_OK)
        e = d->smtputf8 ? fold_clean(address, &value) : append_address_xtext(address, &value);
    if (e == ERR_OK)
        e = report_field(out, name, &value);
    buf_free(&value);
    return e == ERR_TOO_LARGE ? ERR_OK : e;
}

/* "rfc822;bob@b.example" as the sender gave it. */
static enum err put_original_recipient(const struct dsn *d, struct buf *out)
{
    char type[32];
    const char *semicolon = strchr(d->orcpt, ';');
    size_t len = semicolon != NULL ? (size_t)(semicolon - d->orcpt) : 0;
    if (len == 0 || len >= sizeof type)
        return ERR_OK;
    memcpy(type, d->orcpt, len);
    type[len] = '\0';
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)type[i] <= ' ' || (unsigned char)type[i] >= 0x7f)
            return ERR_OK;
    return put_recipient(d, out, "Original-Recipient", type, semicolon + 1 + strspn(semicolon + 1, " "));
}

static enum err put_header(const struct dsn *d, const char *boundary, struct buf *out)
{
    struct buf value;
    buf_init(&value, FOLD_FIELD_MAX);
    enum err e = buf_printf(out, "From: Mail Delivery System <MAILER-DAEMON@%s>\r\nSubject: %s\r\n",
                            d->from_domain, d->subject != NULL ? d->subject : actions[d->action].subject);
    if (e == ERR_OK)
        e = fold_clean(d->to, &value);
    if (e == ERR_OK)
        e = fold_field(out, "To", buf_span(&value));
    if (e == ERR_OK)
        e = report_date(out, "Date", d->date_s);
    if (e == ERR_OK)
        e = buf_printf(out, "Message-ID: <%s>\r\n", d->message_id);
    buf_clear(&value);
    if (e == ERR_OK && d->original_message_id != NULL && report_is_ascii(span_of(d->original_message_id))) {
        e = buf_append_char(&value, '<');
        if (e == ERR_OK)
            e = fold_clean(d->original_message_id, &value);
        if (e == ERR_OK)
            e = buf_append_char(&value, '>');
        e = e == ERR_OK ? report_field(out, "References", &value) : e == ERR_TOO_LARGE ? ERR_OK : e;
    }
    if (e == ERR_OK)
        e = buf_printf(out,
                       "Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
                       "Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"%s\"\r\n"
                       "Content-Transfer-Encoding: 8bit\r\n\r\n",
                       boundary);
    buf_free(&value);
    return e;
}

static enum err put_message_fields(const struct dsn *d, const char *boundary, struct buf *out)
{
    enum err e = buf_printf(out,
                            "\r\n--%s\r\nContent-Description: Delivery report\r\n"
                            "Content-Type: message/%sdelivery-status\r\n%s\r\n",
                            boundary, d->smtputf8 ? "global-" : "",
                            d->smtputf8 ? "Content-Transfer-Encoding: 8bit\r\n" : "");
    if (e == ERR_OK)
        e = put_typed(out, "Reporting-MTA", "dns", d->reporting_mta);
    if (e == ERR_OK && d->envid != NULL)
        e = put_typed(out, "Original-Envelope-Id", NULL, d->envid);
    return e == ERR_OK ? report_date(out, "Arrival-Date", d->arrival_s) : e;
}

/* "550 5.1.1 no such user": what an SMTP server says (RFC 3464 2.3.6 wants the type to be true). */
static bool is_reply(const char *s)
{
    return s[0] >= '2' && s[0] <= '5' && strspn(s, "0123456789") == 3 && (s[3] == ' ' || s[3] == '-');
}

static enum err put_times(const struct dsn *d, struct buf *out)
{
    enum err e = d->last_attempt_s != 0 ? report_date(out, "Last-Attempt-Date", d->last_attempt_s) : ERR_OK;
    if (e == ERR_OK && d->retry_until_s != 0)
        e = report_date(out, "Will-Retry-Until", d->retry_until_s);
    return e;
}

static enum err put_recipient_fields(const struct dsn *d, struct buf *out)
{
    const char *usual = actions[d->action].status;
    enum err e = buf_append_str(out, "\r\n");
    if (e == ERR_OK)
        e = put_recipient(d, out, "Final-Recipient", "rfc822", d->final_recipient);
    if (e == ERR_OK && d->orcpt != NULL)
        e = put_original_recipient(d, out);
    if (e == ERR_OK)
        e = buf_printf(out, "Action: %s\r\nStatus: %s\r\n", actions[d->action].word,
                       is_status(d->status, usual[0]) ? d->status : usual);
    if (e == ERR_OK && d->remote_mta != NULL)
        e = put_typed(out, "Remote-MTA", "dns", d->remote_mta);
    if (e == ERR_OK && d->diagnostic != NULL)
        e = put_typed(out, "Diagnostic-Code", is_reply(d->diagnostic) ? "smtp" : "x-restante", d->diagnostic);
    return e == ERR_OK ? put_times(d, out) : e;
}

static enum err put_original_head(const struct dsn *d, bool full, const char *boundary, struct buf *out)
{
    const char *type = full ? (d->smtputf8 ? "message/global" : "message/rfc822")
                            : (d->smtputf8 ? "message/global-headers" : "text/rfc822-headers");
    return buf_printf(out,
                      "\r\n--%s\r\nContent-Description: %s\r\nContent-Type: %s\r\n"
                      "Content-Transfer-Encoding: 8bit\r\n\r\n",
                      boundary, full ? "Undelivered Message" : "Message Headers", type);
}

enum err dsn_begin(const struct dsn *d, bool full, char boundary[80], struct buf *out)
{
    enum err e = report_boundary(boundary);
    if (e != ERR_OK)
        return e;
    e = put_header(d, boundary, out);
    if (e == ERR_OK)
        e = report_explanation(boundary, d->explanation, out);
    if (e == ERR_OK)
        e = put_message_fields(d, boundary, out);
    if (e == ERR_OK)
        e = put_recipient_fields(d, out);
    return e == ERR_OK ? put_original_head(d, full, boundary, out) : e;
}

enum err dsn_end(const char *boundary, struct buf *out)
{
    return buf_printf(out, "\r\n--%s--\r\n", boundary);
}
