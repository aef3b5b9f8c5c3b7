/*
 * announce.c - see announce.h.
 */
#include "lifecycle/announce.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/kill.h"
#include "env/site.h"
#include "env/text.h"
#include "lifecycle/outbox.h"
#include "mail/address.h"
#include "mail/dsn.h"
#include "mail/stub.h"
#include "mta/smtp.h"
#include "ticket/ticket.h"

#define STUB_MESSAGE_MAX 65536 /* bytes */

/* ---- the message */

static enum err fill_stub(const struct env *env, const struct ticket *t, struct stub *out)
{
    enum err e;
    struct ticket_keys keys;
    struct ticket_url url = {.port = env->site->link_port};

    *out = (struct stub){.size_bytes = t->letter_bytes, .expires_s = t->expires_s};
    if ((e = ticket_derive(env->keys, t->a, &keys)))
        return e;
    memcpy(url.a, keys.a, sizeof url.a);
    memcpy(url.b, keys.b, sizeof url.b);
    memcpy(out->ka, keys.ka, sizeof out->ka);
    memcpy(out->kd, keys.kd, sizeof out->kd);
    ticket_wipe(&keys);
    if ((e = TEXT_SET(url.host, env->site->link_host)) || (e = ticket_url_format(&url, out->url)) ||
        (e = address_parse(span_of(t->sender), &out->from)) ||
        (e = address_parse(span_of(t->recipient), &out->to)))
        stub_wipe(out);
    return e;
}

/* A Message-ID of its own, the same for each sending of this stub. */
static void stub_message_id(const struct ticket *t, const char *domain, char *out, size_t room)
{
    char hex[ENCODE_HEX_LEN(TICKET_A_BYTES) + 1];

    encode_hex(t->a, sizeof t->a, hex);
    snprintf(out, room, "restante-stub.%s.%u@%s", hex, t->version, domain);
}

static enum err format_message(const struct env *env, const struct ticket *t, struct buf *out)
{
    struct stub stub;
    char message_id[ADDRESS_DOMAIN_MAX + 80];
    enum err e = fill_stub(env, t, &stub);

    if (e)
        return e;
    stub_message_id(t, stub.from.domain, message_id, sizeof message_id);
    struct stub_message m = {.stub = &stub,
                             .from_field = t->from_field,
                             .message_id = message_id,
                             .subject = t->subject[0] ? t->subject : NULL,
                             .list_id = t->list_id,
                             .bulk = t->bulk,
                             .date_s = clock_now_s(),
                             .smtputf8 = t->smtputf8};
    e = stub_message_format(&m, out);
    stub_wipe(&stub);
    return e;
}

/* ---- the envelope */

struct stub_envelope {
    char sender[ADDRESS_TEXT_MAX];
    char orcpt[STORE_PARAM_MAX];
};

static enum err reverse_path(const struct env *env, const struct ticket *t, char out[ADDRESS_TEXT_MAX])
{
    char tag[TICKET_TAG_LEN + 1];
    struct address sender;
    enum err e = address_parse(span_of(t->sender), &sender);

    if (!e && !(e = ticket_tag_format(env->keys, t->a, tag)))
        snprintf(out, ADDRESS_TEXT_MAX, "restante+%s@%s", tag, sender.domain);
    return e;
}

static bool is_ascii(struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        if ((unsigned char)s.ptr[i] >= 0x80)
            return false;
    }
    return true;
}

/* The ORCPT that the sender gave, else the recipient (RFC 3461 4.2), so that bounces can be told apart. */
static enum err original_recipient(const struct ticket *t, char out[STORE_PARAM_MAX])
{
    struct buf text;

    if (t->orcpt[0])
        return text_set(out, STORE_PARAM_MAX, t->orcpt);
    if (!is_ascii(span_of(t->recipient)))
        return ERR_OK; /* its utf-8 form (RFC 6533) is no xtext; without one the MTA takes the recipient */
    buf_init(&text, STORE_PARAM_MAX - 1);
    enum err e = buf_append_str(&text, "rfc822;");
    if (!e)
        e = dsn_xtext_encode(span_of(t->recipient), &text);
    if (!e)
        e = text_set(out, STORE_PARAM_MAX, buf_cstr(&text));
    buf_free(&text);
    return e == ERR_TOO_LARGE ? ERR_OK : e;
}

/* ---- sending */

static enum err hand_over(const struct env *env, const struct ticket *t, const struct buf *message,
                          struct smtp_result *result)
{
    enum err e;
    struct stub_envelope own = {.orcpt = ""};
    struct outbox_reading reading = {.from = message};

    if ((e = reverse_path(env, t, own.sender)) || (e = original_recipient(t, own.orcpt)))
        return e;
    bool ascii = is_ascii(buf_span(message));
    bool ascii_envelope = is_ascii(span_of(t->recipient)) && is_ascii(span_of(own.orcpt));
    struct smtp_envelope envelope = {.sender = own.sender,
                                     .recipient = t->recipient,
                                     .notify = "FAILURE",
                                     .orcpt = own.orcpt[0] ? own.orcpt : NULL,
                                     .ret = t->ret[0] ? t->ret : NULL,
                                     .envid = t->envid[0] ? t->envid : NULL,
                                     .body = ascii ? NULL : "8BITMIME",
                                     .smtputf8 = t->smtputf8 && (!ascii || !ascii_envelope),
                                     .size_bytes = message->len};
    KILL_POINT("stub-send-before");
    smtp_send(env->stubs_out, &envelope, outbox_read, &reading, result);
    KILL_POINT("stub-send-after");
    return ERR_OK;
}

enum err announce_send(const struct env *env, const struct ticket *t, struct smtp_result *result)
{
    struct buf message;

    buf_init_secret(&message, STUB_MESSAGE_MAX); /* it carries the keys */
    enum err e = format_message(env, t, &message);
    if (!e)
        e = hand_over(env, t, &message, result);
    buf_free(&message);
    return e;
}
