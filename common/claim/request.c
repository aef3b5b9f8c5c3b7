/*
 * request.c - what a request carries: everything is in fields, there are no bodies.
 */
#include "claim/request.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/encode.h"
#include "base/secret.h"
#include "ticket/fields.h"
#include "ticket/fieldtext.h"

#define LINE_MAX_BYTES 4096

struct writer {
    struct buf line;
    enum err (*add)(void *arg, const char *line);
    void *arg;
    enum err err;
};

static void put(struct writer *w, const char *name, const char *value)
{
    buf_clear(&w->line);
    for (const char *c = value; *c != '\0'; c++)
        if (*c < 0x20 || *c > 0x7e)
            w->err = ERR_BAD_BYTES;
    if (w->err == ERR_OK)
        w->err = buf_printf(&w->line, "%s: %s", name, value);
    if (w->err == ERR_OK)
        w->err = w->add(w->arg, buf_cstr(&w->line));
}

static void put_text(struct writer *w, const char *name, struct span text)
{
    buf_clear(&w->line);
    if (w->err == ERR_OK)
        w->err = buf_printf(&w->line, "%s: ", name);
    if (w->err == ERR_OK)
        w->err = fieldtext_encode(text, &w->line);
    if (w->err == ERR_OK)
        w->err = w->add(w->arg, buf_cstr(&w->line));
}

static void put_lease(struct writer *w, const struct claim_request *r)
{
    char text[ENCODE_B64_LEN(CLAIM_LEASE_BYTES) + 1];
    encode_b64url(r->lease, sizeof r->lease, text);
    put(w, FIELD_LEASE, text);
}

static void put_authorization(struct writer *w, const struct claim_request *r)
{
    char key[ENCODE_B64_LEN(TICKET_KEY_BYTES) + 1];
    encode_b64url(r->ka, sizeof r->ka, key);
    buf_clear(&w->line);
    if (w->err == ERR_OK)
        w->err = buf_printf(&w->line, "%s: %s %s", FIELD_AUTHORIZATION, FIELD_AUTHORIZATION_SCHEME, key);
    if (w->err == ERR_OK)
        w->err = w->add(w->arg, buf_cstr(&w->line));
    secret_wipe(key, sizeof key);
}

static void put_digest(struct writer *w, const struct claim_request *r)
{
    char text[ENCODE_B64_LEN(SEAL_DIGEST_BYTES) + 1];
    encode_b64url(r->digest, sizeof r->digest, text);
    put(w, FIELD_DIGEST, text);
}

/* A reply of our MTA can be longer than the field, or hold what no field may: it is for people, so it is cut
 * and cleaned rather than refused. */
static void put_reply_text(struct writer *w, const char *reply)
{
    char text[NACK_TEXT_MAX + 1];
    size_t len = strnlen(reply, NACK_TEXT_MAX);
    memcpy(text, reply, len);
    while (len > 0 && ((unsigned char)reply[len] & 0xc0) == 0x80) /* not in the middle of a character */
        len--;
    bool utf8 = utf8_valid(span_bytes(text, len));
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < 0x20 || c == 0x7f)
            text[i] = ' ';
        else if (c >= 0x80 && !utf8)
            text[i] = '?';
    }
    put_text(w, FIELD_TEXT, span_bytes(text, len));
}

static void put_status(struct writer *w, const struct claim_request *r)
{
    const char *status = r->reason != NULL ? r->reason : "";
    put(w, FIELD_STATUS, status);
    if (strcmp(status, FIELD_STATUS_CHALLENGE) == 0)
        put(w, FIELD_CHALLENGE, r->text != NULL ? r->text : "");
}

enum err request_fields(const struct claim_request *r, const struct request_resume *resume,
                        enum err (*add)(void *arg, const char *line), void *arg)
{
    struct writer w = {.add = add, .arg = arg};
    char range[40];
    buf_init_secret(&w.line, LINE_MAX_BYTES);
    put_authorization(&w, r);
    if (resume != NULL) {
        snprintf(range, sizeof range, "bytes=%" PRIu64 "-", resume->offset);
        put_lease(&w, r);
        put(&w, FIELD_RANGE, range);
        put(&w, FIELD_IF_RANGE, resume->etag);
    } else if (r->verb == CLAIM_CLAIM) {
        put_lease(&w, r);
        put_text(&w, FIELD_SENDER, span_of(r->sender));
        put_text(&w, FIELD_RECIPIENT, span_of(r->recipient));
        if (r->from != NULL && r->from[0] != '\0')
            put_text(&w, FIELD_FROM, span_of(r->from));
    } else if (r->verb == CLAIM_ACK) {
        put_digest(&w, r);
    } else if (r->verb == CLAIM_NACK) {
        put_lease(&w, r);
        put(&w, FIELD_REASON, r->reason != NULL ? r->reason : "");
        if (r->text != NULL && r->text[0] != '\0')
            put_reply_text(&w, r->text);
    } else if (r->verb == CLAIM_STATUS) {
        put_status(&w, r);
    }
    buf_free(&w.line);
    return w.err;
}

const char *request_method(enum claim_verb verb, bool resuming)
{
    if (resuming)
        return "GET";
    return verb == CLAIM_HEAD ? "HEAD" : "POST";
}

const char *request_verb(enum claim_verb verb, bool resuming)
{
    if (resuming)
        return "";
    switch (verb) {
    case CLAIM_CLAIM:
        return VERB_CLAIM;
    case CLAIM_ACK:
        return VERB_ACK;
    case CLAIM_NACK:
        return VERB_NACK;
    case CLAIM_STATUS:
        return VERB_STATUS;
    case CLAIM_HEAD:
        break;
    }
    return "";
}
