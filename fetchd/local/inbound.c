/*
 * inbound.c - see inbound.h.
 */
#include "local/inbound.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "env/text.h"
#include "mail/encoded_word.h"
#include "mail/header.h"
#include "settings/settings.h"

void inbound_facts(const struct api_envelope *envelope, const struct api_field *field, size_t count,
                   struct span *received, struct facts *out)
{
    if (!envelope->client_address || netaddr_parse(span_of(envelope->client_address), &out->client))
        out->client.family = 0;
    else
        out->client = netaddr_unmapped(&out->client);
    out->client_name = envelope->client_name;
    out->helo = envelope->helo;
    out->received = received;
    out->now_s = clock_now_s();
    for (size_t i = 0; i < count; i++) {
        struct span name = span_of(field[i].name), value = span_of(field[i].value);
        if (span_is_nocase(name, "Received") && out->received_count < API_RECEIVED_MAX)
            received[out->received_count++] = value;
        if (span_is_nocase(name, "List-Id") && !out->list_id[0])
            (void)header_list_id(value, out->list_id); /* one that is none changes nothing */
        if (span_is_nocase(name, "Content-Type") && !envelope->sender[0])
            out->report = out->report || header_is_report(value);
        out->bulk = out->bulk || header_says_bulk(name, value);
    }
}

void inbound_author(const char *from, struct address *out)
{
    if (!from || header_from_address(span_of(from), out) != ERR_OK)
        *out = (struct address){.null = true};
}

/* ---- what is kept */

/* Cut where a character begins. */
static void cut(const struct buf *from, char out[ATTEMPT_NAME_MAX])
{
    size_t len = from->len < ATTEMPT_NAME_MAX ? from->len : ATTEMPT_NAME_MAX - 1;

    while (len < from->len && len > 0 && ((unsigned char)from->data[len] & 0xc0) == 0x80)
        len--;
    if (len)
        memcpy(out, from->data, len);
    out[len] = '\0';
}

static void copy_unfolded(struct span value, char out[ATTEMPT_NAME_MAX])
{
    struct buf text, read;

    buf_init(&text, API_HEAD_MAX);
    buf_init(&read, 3 * API_HEAD_MAX);
    if (header_unfold(value, &text) == ERR_OK && encoded_word_decode(buf_span(&text), &read) == ERR_OK)
        cut(&read, out);
    buf_free(&text);
    buf_free(&read);
}

/* What stands before the address, out of its quotes. */
static void copy_display_name(const char *from, char out[ATTEMPT_NAME_MAX])
{
    const char *angle = strrchr(from, '<');
    struct span name = span_trim(span_bytes(from, angle ? (size_t)(angle - from) : 0));

    if (name.len >= 2 && name.ptr[0] == '"' && name.ptr[name.len - 1] == '"')
        name = span_bytes(name.ptr + 1, name.len - 2);
    copy_unfolded(name, out);
}

enum err inbound_attempt(const struct settings *s, const struct facts *f, enum reason reason,
                         const char *from, const char *subject, struct attempt *out)
{
    enum err e;

    *out = (struct attempt){.aligned = f->aligned, .legacy = f->kind == FACTS_LEGACY};
    if ((e = TEXT_SET(out->mailbox, f->mailbox)) || (e = TEXT_SET(out->sender, f->identity)) ||
        (e = TEXT_SET(out->author, f->author_key)))
        return e;
    if (s->attempts_text && from)
        copy_display_name(from, out->name);
    if (s->attempts_text && subject)
        copy_unfolded(span_of(subject), out->subject);
    TEXT_CUT(out->list_id, f->list_id);
    if (f->verified || f->kind == FACTS_STUB)
        TEXT_CUT(out->verified, f->sender.domain);
    if (out->verified[0])
        TEXT_CUT(out->organisation, f->organisation);
    TEXT_CUT(out->link_host, f->link_host);
    if (f->entered.family)
        netaddr_text(&f->entered, out->client_address);
    TEXT_CUT(out->client_name, f->entered_name[0] ? f->entered_name : f->relayed ? "" : f->client_name);
    TEXT_CUT(out->reason, reason_code(reason));
    return ERR_OK;
}
