/*
 * payload.c - claim, resume and HEAD: what hands a payload over, and what only tells of it.
 *
 * A claim's lease is durable before its answer begins; from then on the letter cannot be taken back, whether
 * or not the answer arrives.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/kill.h"
#include "base/secret.h"
#include "env/site.h"
#include "mail/dsn.h"
#include "public/public.h"
#include "public/visit.h"
#include "settings/settings.h"
#include "ticket/fields.h"
#include "ticket/fieldtext.h"

#define ETAG_MAX 48

/* ---- fields -------------------------------------------------------------------------------------------- */

/* Strong: the payload's id and version name these bytes and no others. */
static void etag_of(const struct ticket *t, char out[ETAG_MAX])
{
    char id[ENCODE_B64_LEN(SEAL_PAYLOAD_ID_BYTES) + 1];
    encode_b64url(t->payload_id, sizeof t->payload_id, id);
    snprintf(out, ETAG_MAX, "\"%s.%u\"", id, t->version);
}

static void number_field(struct http_exchange *x, const char *name, uint64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    http_set_field(x, name, text);
}

static enum err text_field(struct http_exchange *x, const char *name, const char *value)
{
    struct buf text;
    buf_init(&text, 4 * STORE_ADDRESS_MAX);
    enum err e = fieldtext_encode(span_of(value), &text);
    if (e == ERR_OK)
        http_set_field(x, name, buf_cstr(&text));
    buf_free(&text);
    return e;
}

/* RFC 9530: standard base64 between colons. The project's own alphabet is base64url, so translate. */
static void repr_digest(struct http_exchange *x, const uint8_t digest[32])
{
    char b64[ENCODE_B64_LEN(32) + 1], text[80];
    encode_b64url(digest, 32, b64);
    for (char *p = b64; *p; p++)
        *p = *p == '-' ? '+' : *p == '_' ? '/' : *p;
    snprintf(text, sizeof text, "sha-256=:%s=:", b64);
    http_set_field(x, FIELD_REPR_DIGEST, text);
}

void payload_facts(struct http_exchange *x, const struct ticket *t)
{
    number_field(x, FIELD_SIZE, t->letter_bytes);
    number_field(x, FIELD_VERSION, t->version);
    number_field(x, FIELD_EXPIRES, (uint64_t)t->expires_s);
}

/* In the one spelling that the protocol has; what a client wrote otherwise is no field. */
static void notify_field(struct http_exchange *x, const char *given)
{
    struct buf text;
    unsigned notify;
    if (!given[0] || dsn_notify_parse(span_of(given), &notify) != ERR_OK)
        return;
    buf_init(&text, 63);
    if (dsn_notify_format(notify, &text) == ERR_OK)
        http_set_field(x, FIELD_NOTIFY, buf_cstr(&text));
    buf_free(&text);
}

/* ---- bodies -------------------------------------------------------------------------------------------- */

/* Tells the leases when a body has gone out. */
struct sending {
    struct leases *leases;
    uint8_t key[TICKET_STORE_KEY_BYTES];
};

static void body_sent(void *arg, bool complete)
{
    struct sending *s = arg;
    (void)complete;
    leases_body_end(s->leases, s->key, clock_now_s());
    free(s);
}

struct range {
    bool partial;
    uint64_t first, last; /* inclusive */
};

/* RFC 9110 14.1.2, one range of bytes with a first position; any other form is ignored, as 14.2 allows. */
static enum err range_parse(struct span field, uint64_t size, struct range *out)
{
    struct span unit, set, first, last;
    uint64_t a, b = size - 1;
    *out = (struct range){false, 0, size - 1};
    if (!span_cut(field, '=', &unit, &set) || !span_is_nocase(unit, "bytes") ||
        !span_cut(set, '-', &first, &last) || span_to_u64(first, UINT64_MAX / 2, &a) != true ||
        (last.len > 0 && (!span_to_u64(last, UINT64_MAX / 2, &b) || b < a)))
        return ERR_OK;
    if (a >= size)
        return ERR_TOO_LARGE;
    *out = (struct range){true, a, b < size ? b : size - 1};
    return ERR_OK;
}

/* Sends the sealed bytes of v->body, or a range of them. Answers in every case. */
static void answer_body(struct visit *v, const struct ticket *t, const struct range *range)
{
    struct store_body *body = &v->body;
    int status = range->partial ? 206 : 200;
    uint64_t length = range->last - range->first + 1;
    struct sending *s = malloc(sizeof *s);
    enum err e = s ? leases_body_begin(v->env->public->leases, t->key) : ERR_NOMEM;
    if (e != ERR_OK) {
        free(s);
        visit_refuse(v, e, 0);
        return;
    }
    s->leases = v->env->public->leases;
    memcpy(s->key, t->key, sizeof s->key);
    http_on_sent(v->x, body_sent, s);
    if (range->partial) {
        char text[80];
        snprintf(text, sizeof text, "bytes %llu-%llu/%llu", (unsigned long long)range->first,
                 (unsigned long long)range->last, (unsigned long long)body->size);
        http_set_field(v->x, FIELD_CONTENT_RANGE, text);
    }
    KILL_POINT("claim-answer-before");
    if (body->fd >= 0) {
        int fd = body->fd;
        body->fd = -1;
        http_answer_file(v->x, status, fd, range->first, length);
    } else {
        buf_consume(&body->bytes, (size_t)range->first);
        body->bytes.len = (size_t)length;
        http_answer_bytes(v->x, status, &body->bytes);
    }
    KILL_POINT("claim-answer-after");
}

/* ---- the requests -------------------------------------------------------------------------------------- */

static void claim_init(const struct visit *v, struct store_claim *c)
{
    const struct settings *s = v->env->settings;
    *c = (struct store_claim){
        .now_s = v->now_s,
        .lease_s = s->lease_s,
        .lease_total_s = s->lease_total_s,
        .bodies_max = (uint32_t)s->lease_bodies_max,
        .archive_first = v->env->site->archive[0] != '\0',
        .live_until_s = leases_live_until(v->env->public->leases, v->key, v->now_s),
    };
    memcpy(c->key, v->key, sizeof c->key);
    snprintf(c->holder, sizeof c->holder, "%s", v->client);
}

static void refuse_claim(struct visit *v, enum err e, const struct store_claimed *claimed)
{
    if (e == ERR_GONE)
        visit_gone(v, &claimed->ticket);
    else
        visit_refuse(v, e, claimed->retry_after_s);
}

bool payload_claim(struct visit *v)
{
    struct store_claim c;
    struct buf sender, recipient, from;

    claim_init(v, &c);
    buf_init(&sender, STORE_ADDRESS_MAX - 1);
    buf_init(&recipient, STORE_ADDRESS_MAX - 1);
    buf_init(&from, STORE_ADDRESS_MAX - 1);
    enum err e = visit_bytes_field(v, FIELD_LEASE, c.lease_token, sizeof c.lease_token);
    if (e == ERR_OK)
        e = visit_text_field(v, FIELD_SENDER, &sender);
    if (e == ERR_OK)
        e = visit_text_field(v, FIELD_RECIPIENT, &recipient);
    if (e == ERR_OK)
        e = visit_text_field(v, FIELD_FROM, &from);
    if (e != ERR_OK) {
        visit_refuse(v, e == ERR_TOO_LARGE ? ERR_CLAIM_MISMATCH : ERR_SYNTAX, 0);
    } else {
        c.sender = buf_cstr(&sender);
        c.recipient = buf_cstr(&recipient);
        c.from = buf_cstr(&from);
        v->said = store_claim_begin(v->env->store, &c, &v->claimed);
        /* Reading may wait for the disk, as the second half may not. */
        if (v->said == ERR_OK)
            v->said = store_body_open(v->env->store, &v->claimed.ticket, &v->body);
    }
    buf_free(&sender);
    buf_free(&recipient);
    buf_free(&from);
    return e == ERR_OK;
}

void payload_claimed(struct visit *v)
{
    const struct ticket *t = &v->claimed.ticket;
    char etag[ETAG_MAX], wrap[ENCODE_B64_LEN(SEAL_WRAP_BYTES) + 1], url_path[TICKET_URL_MAX + 1];

    KILL_POINT("claim-commit-after");
    if (v->said != ERR_OK) {
        if (v->said == ERR_CLAIM_MISMATCH)
            visit_log(v, &v->ticket, "rejected", err_text(v->said));
        refuse_claim(v, v->said, &v->claimed);
        return;
    }
    encode_b64url(v->claimed.wrap, sizeof v->claimed.wrap, wrap);
    etag_of(t, etag);
    struct span path = http_path(v->x);
    snprintf(url_path, sizeof url_path, "%.*s", (int)(path.len - strlen("/claim")), path.ptr);
    http_set_field(v->x, FIELD_WRAP, wrap);
    secret_wipe(wrap, sizeof wrap);
    http_set_field(v->x, FIELD_ETAG, etag);
    http_set_field(v->x, FIELD_CONTENT_LOCATION, url_path);
    http_set_field(v->x, "content-type", FIELD_CONTENT_TYPE_SEALED);
    payload_facts(v->x, t);
    repr_digest(v->x, t->sealed_digest);
    notify_field(v->x, t->notify);
    if (text_field(v->x, FIELD_SENDER, t->sender) != ERR_OK ||
        text_field(v->x, FIELD_RECIPIENT, t->recipient) != ERR_OK) {
        visit_refuse(v, ERR_NOMEM, 0);
        return;
    }
    visit_log(v, t, v->claimed.renewed ? "leased-again" : "leased", "collected");
    answer_body(v, t, &(struct range){false, 0, t->sealed_bytes - 1});
}

void payload_resume(struct visit *v)
{
    struct store_claim c;
    struct store_claimed claimed = {0};
    char etag[ETAG_MAX];
    struct range range;

    claim_init(v, &c);
    if (visit_bytes_field(v, FIELD_LEASE, c.lease_token, sizeof c.lease_token) != ERR_OK) {
        visit_refuse(v, ERR_SYNTAX, 0);
        return;
    }
    enum err e = store_resume(v->env->store, &c, &claimed);
    secret_wipe(claimed.wrap, sizeof claimed.wrap);
    if (e != ERR_OK) {
        refuse_claim(v, e, &claimed);
        return;
    }
    const struct ticket *t = &claimed.ticket;
    etag_of(t, etag);
    http_set_field(v->x, FIELD_ETAG, etag);
    http_set_field(v->x, "accept-ranges", "bytes");
    http_set_field(v->x, "content-type", FIELD_CONTENT_TYPE_SEALED);
    payload_facts(v->x, t);
    range = (struct range){false, 0, t->sealed_bytes - 1};
    /* RFC 9110 13.1.5: another representation than the one that the caller has begun is sent whole. */
    if (!http_has_field(v->x, FIELD_IF_RANGE) || span_is(http_field(v->x, FIELD_IF_RANGE), etag))
        e = range_parse(http_field(v->x, FIELD_RANGE), t->sealed_bytes, &range);
    if (e != ERR_OK) {
        char text[48];
        snprintf(text, sizeof text, "bytes */%llu", (unsigned long long)t->sealed_bytes);
        http_set_field(v->x, FIELD_CONTENT_RANGE, text);
        http_answer(v->x, 416);
        return;
    }
    e = store_body_open(v->env->store, t, &v->body);
    if (e == ERR_OK)
        answer_body(v, t, &range);
    else
        visit_refuse(v, e, 0);
}

void payload_head(struct visit *v)
{
    if (ticket_state_ended(v->ticket.state)) {
        visit_gone(v, &v->ticket);
        return;
    }
    payload_facts(v->x, &v->ticket);
    http_answer(v->x, 204);
}
