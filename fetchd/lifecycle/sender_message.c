/*
 * sender_message.c - see sender_message.h.
 */
#include "lifecycle/sender_message.h"

#include "base/encode.h"
#include "lifecycle/notify.h"
#include "lifecycle/outbox.h"
#include "mail/address.h"
#include "mail/fold.h"
#include "mail/report.h"
#include "mta/smtp.h"

enum err sender_message_fields(const struct ticket *t, const char *to, const char *kind,
                               const struct buf *subject, const char *hostname, int64_t now_s,
                               struct buf *out)
{
    enum err e;
    struct buf value;
    struct address address;
    char hex[ENCODE_HEX_LEN(TICKET_A_BYTES) + 1];

    if ((e = address_parse(span_of(to), &address)))
        return e;
    encode_hex(t->a, sizeof t->a, hex);
    buf_init(&value, FOLD_FIELD_MAX);
    if (!(e = buf_printf(out, "From: Mail Delivery System <MAILER-DAEMON@%s>\r\n", address.domain)) &&
        !(e = report_field(out, "Subject", subject)) && !(e = fold_clean(to, &value)) &&
        !(e = fold_field(out, "To", buf_span(&value))) && !(e = report_date(out, "Date", now_s)))
        e = buf_printf(out, "Message-ID: <restante-%s.%s@%s>\r\n", kind, hex, hostname);
    buf_free(&value);
    return e;
}

enum err sender_message_text(const struct buf *text, struct buf *out)
{
    enum err e = buf_append_str(out, "Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
                                     "Content-Type: text/plain; charset=utf-8\r\n"
                                     "Content-Transfer-Encoding: 8bit\r\n\r\n");

    return e ? e : report_text(buf_cstr(text), out);
}

enum err sender_message_send(const struct env *env, const struct ticket *t, const char *to,
                             const struct work *work, const struct buf *message)
{
    struct smtp_result result = {.err = ERR_OK};
    struct outbox_reading reading = {.from = message};
    struct smtp_envelope envelope = {.sender = "",
                                     .recipient = to,
                                     .notify = "NEVER",
                                     .body = "8BITMIME",
                                     .smtputf8 = t->smtputf8,
                                     .size_bytes = message->len};

    smtp_send(env->letters_in, &envelope, outbox_read, &reading, &result);
    return notify_record(env, t, work, &result);
}
