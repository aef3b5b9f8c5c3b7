/*
 * deposit.c - one deposit is a small machine fed by the body's pieces: head, letter, commit. One path for one
 * recipient and for a thousand.
 */
#include "local/deposit.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/kill.h"
#include "base/log.h"
#include "env/env.h"
#include "env/text.h"
#include "lifecycle/lifecycle.h"
#include "lifecycle/story.h"
#include "local/answer.h"
#include "local/letter.h"
#include "mail/address.h"
#include "seal/seal.h"
#include "settings/settings.h"
#include "store/store.h"
#include "ticket/ticket.h"

#define STEP 65536u           /* bytes of a letter sealed at a time */
#define SEALED_MAX (4 * STEP) /* bytes that come out of a step */

struct deposit {
    int64_t began_mono_ms;
    bool head_read;
    struct buf head;
    struct api_deposit request;
    struct sealer *sealer;
    struct store_payload *payload;
    struct letter_scan *scan;
    struct buf sealed;
    uint64_t letter_bytes;
};

static void deposit_free(void *state)
{
    struct deposit *d = state;

    if (!d)
        return;
    store_payload_abort(d->payload);
    sealer_free(d->sealer);
    letter_scan_free(d->scan);
    api_deposit_free(&d->request);
    buf_free(&d->head);
    buf_free(&d->sealed);
    free(d);
}

static struct deposit *deposit_new(void)
{
    struct deposit *d = calloc(1, sizeof *d);

    if (!d)
        return NULL;
    d->began_mono_ms = clock_mono_ms();
    buf_init(&d->head, API_HEAD_MAX);
    buf_init(&d->sealed, SEALED_MAX);
    return d;
}

/* ---- the head */

static enum err begin_payload(const struct env *env, struct deposit *d)
{
    enum err e = sealer_create(1, &d->sealer);

    if (!e)
        e = letter_scan_create(&d->scan);
    if (!e)
        e = store_payload_begin(env->store, sealer_payload_id(d->sealer), &d->payload);
    if (!e) {
        /* The seal's header is known last; its place is kept free now. */
        static const uint8_t place[SEAL_HEADER_BYTES];
        e = store_payload_write(d->payload, place, sizeof place);
    }
    return e;
}

/* Takes bytes for the head from the piece; *used tells how many. */
static enum err take_head(const struct env *env, struct deposit *d, struct span piece, size_t *used)
{
    enum err e;
    const char *end = piece.len ? memchr(piece.ptr, '\n', piece.len) : NULL;
    size_t len = end ? (size_t)(end - piece.ptr) : piece.len;

    *used = end ? len + 1 : len;
    if ((e = buf_append(&d->head, piece.ptr, len)) || !end)
        return e;
    if ((e = api_deposit_parse(buf_span(&d->head), &d->request)))
        return e;
    buf_free(&d->head);
    d->head_read = true;
    if (d->request.envelope.recipient_count == 0)
        return ERR_SYNTAX;
    return begin_payload(env, d);
}

/* ---- the letter */

static enum err take_step(struct deposit *d, const char *data, size_t len)
{
    enum err e;

    buf_clear(&d->sealed);
    if ((e = letter_scan_feed(d->scan, data, len)) || (e = sealer_update(d->sealer, data, len, &d->sealed)))
        return e;
    return d->sealed.len ? store_payload_write(d->payload, d->sealed.data, d->sealed.len) : ERR_OK;
}

static enum err take_letter(const struct env *env, struct deposit *d, struct span piece)
{
    enum err e = ERR_OK;

    d->letter_bytes += piece.len;
    if (d->letter_bytes > (uint64_t)env->settings->letter_max_bytes)
        return ERR_TOO_LARGE;
    while (piece.len && !e) {
        size_t len = piece.len < STEP ? piece.len : STEP;
        e = take_step(d, piece.ptr, len);
        piece = (struct span){piece.ptr + len, piece.len - len};
    }
    return e;
}

/* ---- the commit */

static enum err set_address(char to[STORE_ADDRESS_MAX], const char *from)
{
    struct address address;
    char text[ADDRESS_TEXT_MAX];

    if (address_parse(span_of(from), &address) || address.null)
        return ERR_ADDRESS;
    address_text(&address, text);
    return text_set(to, STORE_ADDRESS_MAX, text);
}

static enum err fill_common(const struct env *env, const struct api_envelope *envelope,
                            const struct letter_facts *facts, struct ticket *t)
{
    enum err e;
    const char *owner = envelope->auth && envelope->auth[0] ? envelope->auth : NULL;

    t->created_s = t->changed_s = clock_now_s();
    t->expires_s = t->created_s + env->settings->retention_s;
    t->smtputf8 = envelope->smtputf8;
    t->bulk = facts->bulk;
    t->body_8bit = envelope->body && span_is_nocase(span_of(envelope->body), "8BITMIME");
    if ((e = set_address(t->sender, envelope->sender)) ||
        (e = TEXT_SET(t->owner, owner ? owner : t->sender)) || (e = TEXT_SET(t->from, facts->from)) ||
        (e = TEXT_SET(t->from_field, facts->from_field)) ||
        (e = TEXT_SET(t->message_id, facts->message_id)) || (e = TEXT_SET(t->list_id, facts->list_id)) ||
        (e = TEXT_SET(t->queue_id, envelope->queue_id)) || (e = TEXT_SET(t->ret, envelope->ret)) ||
        (e = TEXT_SET(t->envid, envelope->envid)))
        return e;
    return env->settings->stub_subject ? TEXT_SET(t->subject, facts->subject) : ERR_OK;
}

static enum err fill_recipient(const struct api_recipient *r, struct ticket *t)
{
    enum err e = set_address(t->recipient, r->address);

    if (!e)
        e = TEXT_SET(t->notify, r->notify);
    if (!e)
        e = TEXT_SET(t->orcpt, r->orcpt);
    return e;
}

static void log_tickets(const struct deposit *d, const struct store_deposit *s)
{
    for (size_t i = 0; i < s->count; i++) {
        struct log_line line;
        const struct ticket *t = &s->item[i].ticket;
        story_begin(&line, d->request.envelope.queue_id, t);
        log_line_str(&line, LOG_KEY_MESSAGE_ID, t->message_id);
        log_line_num(&line, LOG_KEY_SIZE, (int64_t)t->letter_bytes);
        log_line_num(&line, LOG_KEY_NRCPT, (int64_t)s->count);
        log_line_delay(&line, clock_mono_ms() - d->began_mono_ms);
        log_line_status(&line, "deposited",
                        s->item[i].existing ? "the same letter again, the existing ticket" : "");
        log_line_end(&line, LOG_LEVEL_INFO);
    }
}

static enum err format_answer(const struct store_deposit *s, struct buf *json)
{
    struct api_deposit_answer answer = {.ticket_count = s->count};

    if (!(answer.ticket = calloc(s->count + 1, sizeof *answer.ticket)))
        return ERR_NOMEM;
    for (size_t i = 0; i < s->count; i++)
        encode_hex(s->item[i].ticket.a, TICKET_A_BYTES, answer.ticket[i]);
    enum err e = api_deposit_answer_format(&answer, json);
    free(answer.ticket);
    return e;
}

/* The payload's last chunk and its header, then everything in one durable commit. After an error nothing
 * remains. */
static enum err commit(const struct env *env, struct deposit *d, struct buf *json)
{
    enum err e;
    struct letter_facts facts;
    struct address reverse_path;
    uint8_t header[SEAL_HEADER_BYTES], digest[SEAL_DIGEST_BYTES];
    const struct api_envelope *envelope = &d->request.envelope;
    struct store_deposit s = {.version = 1, .count = envelope->recipient_count};
    struct ticket_keys *keys = calloc(s.count, sizeof *keys);

    s.item = calloc(s.count, sizeof *s.item);
    if (!keys || !s.item) {
        e = ERR_NOMEM;
        goto out;
    }
    buf_clear(&d->sealed);
    if ((e = address_parse(span_of(envelope->sender), &reverse_path)) ||
        (e = letter_scan_finish(d->scan, &reverse_path, &facts)) ||
        (e = sealer_finish(d->sealer, &d->sealed, header, digest, &s.letter_bytes)) ||
        (e = store_payload_write(d->payload, d->sealed.data, d->sealed.len)) ||
        (e = store_payload_patch(d->payload, header, sizeof header)))
        goto out;
    if ((e = fill_common(env, envelope, &facts, &s.item[0].ticket)))
        goto out;
    for (size_t i = 0; i < s.count; i++) {
        if (i > 0) {
            s.item[i].ticket = s.item[0].ticket;
            s.item[i].ticket.notify[0] = s.item[i].ticket.orcpt[0] = '\0';
        }
        if ((e = fill_recipient(&envelope->recipient[i], &s.item[i].ticket)) ||
            (e = ticket_create(env->keys, &keys[i])))
            goto out;
        memcpy(s.item[i].ticket.a, keys[i].a, TICKET_A_BYTES);
        s.item[i].keys = &keys[i];
    }
    s.payload = d->payload;
    s.dek = sealer_dek(d->sealer);
    s.digest = digest;
    s.body_digest = facts.body_digest;
    d->payload = NULL;
    if ((e = store_deposit(env->store, &s)))
        goto out;
    log_tickets(d, &s);
    lifecycle_deposited(env->lifecycle);
    e = format_answer(&s, json);
out:
    if (keys) {
        for (size_t i = 0; i < s.count; i++)
            ticket_wipe(&keys[i]);
    }
    free(keys);
    free(s.item);
    return e;
}

static void log_refused(const struct deposit *d, enum err e)
{
    struct log_line line;

    log_line_begin(&line, d->request.envelope.queue_id);
    if (d->request.envelope.sender)
        log_line_addr(&line, LOG_KEY_FROM, d->request.envelope.sender);
    log_line_num(&line, LOG_KEY_SIZE, (int64_t)d->letter_bytes);
    log_line_delay(&line, clock_mono_ms() - d->began_mono_ms);
    log_line_status(&line, err_temporary(e) ? "deferred" : "refused", err_text(e));
    log_line_end(&line, err_temporary(e) ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO);
}

void deposit_handle(void *env_, struct http_exchange *x)
{
    const struct env *env = env_;
    enum err e = ERR_OK;
    struct buf json;
    struct deposit *d = http_state(x);

    if (!d) {
        if (!(d = deposit_new())) {
            answer_error(x, ERR_NOMEM, NULL);
            return;
        }
        http_set_state(x, d, deposit_free);
    }
    struct span piece = http_body(x);
    bool ended = http_body_ended(x);
    size_t all = piece.len, used;
    if (!e && !d->head_read && piece.len) {
        e = take_head(env, d, piece, &used);
        piece = (struct span){piece.ptr + used, piece.len - used};
    }
    if (!e && d->head_read)
        e = take_letter(env, d, piece);
    http_body_consume(x, all);
    if (!e && !ended)
        return;
    buf_init(&json, API_HEAD_MAX);
    if (!e)
        e = d->head_read ? commit(env, d, &json) : ERR_SYNTAX;
    if (e) {
        buf_free(&json);
        log_refused(d, e);
        answer_error(x, e, NULL);
        return;
    }
    KILL_POINT("deposit-answer-before");
    answer_json(x, 201, &json);
}
