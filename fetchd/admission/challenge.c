/*
 * challenge.c - see challenge.h.
 *
 * A token is a record sealed under the site key: expiry (8, big-endian) | mailbox | NUL | sender.
 */
#include "admission/challenge.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/encode.h"
#include "env/env.h"
#include "env/site.h"
#include "env/text.h"
#include "ticket/sitekey.h"

#define LABEL "challenge"
#define SEALED_MAX 360 /* bytes: CHALLENGE_TOKEN_MAX in base64url */

enum err challenge_token_make(const struct site_keys *keys, const struct challenge_token *t,
                              char out[CHALLENGE_TOKEN_MAX + 1])
{
    struct buf plain, sealed;
    buf_init(&plain, SEALED_MAX - SITE_SEAL_OVERHEAD);
    buf_init(&sealed, SEALED_MAX);
    enum err e = ERR_OK;
    for (int shift = 56; e == ERR_OK && shift >= 0; shift -= 8)
        e = buf_append_char(&plain, (char)((uint64_t)t->expires_s >> shift & 0xff));
    if (e == ERR_OK)
        e = buf_append(&plain, t->mailbox, strlen(t->mailbox) + 1);
    if (e == ERR_OK)
        e = buf_append_str(&plain, t->sender);
    if (e == ERR_OK)
        e = site_seal(keys, LABEL, SPAN_LITERAL(CHALLENGE_PATH_PREFIX), buf_span(&plain), &sealed);
    if (e == ERR_OK)
        encode_b64url((const uint8_t *)sealed.data, sealed.len, out);
    buf_free(&sealed);
    buf_free(&plain);
    return e;
}

static enum err fill(struct span plain, struct challenge_token *out)
{
    struct span mailbox, sender;
    uint64_t expires = 0;
    if (plain.len < 8)
        return ERR_NOT_FOUND;
    for (size_t i = 0; i < 8; i++)
        expires = expires << 8 | (uint8_t)plain.ptr[i];
    plain = span_bytes(plain.ptr + 8, plain.len - 8);
    if (!span_cut(plain, '\0', &mailbox, &sender) || mailbox.len >= sizeof out->mailbox ||
        sender.len >= sizeof out->sender)
        return ERR_NOT_FOUND;
    out->expires_s = (int64_t)expires;
    snprintf(out->mailbox, sizeof out->mailbox, "%.*s", (int)mailbox.len, mailbox.ptr);
    snprintf(out->sender, sizeof out->sender, "%.*s", (int)sender.len, sender.ptr);
    return ERR_OK;
}

enum err challenge_token_read(const struct site_keys *keys, struct span text, int64_t now_s,
                              struct challenge_token *out)
{
    uint8_t sealed[SEALED_MAX];
    struct challenge_token t = {0};
    struct buf plain;
    size_t len = text.len * 6 / 8;
    if (text.len > CHALLENGE_TOKEN_MAX || len <= SITE_SEAL_OVERHEAD ||
        decode_b64url(text, sealed, len) != ERR_OK)
        return ERR_NOT_FOUND;
    buf_init(&plain, SEALED_MAX);
    enum err e = site_open(keys, LABEL, SPAN_LITERAL(CHALLENGE_PATH_PREFIX), span_bytes(sealed, len), &plain);
    if (e == ERR_OK)
        e = fill(buf_span(&plain), &t);
    buf_free(&plain);
    if (e != ERR_OK)
        return e == ERR_NOMEM || e == ERR_INTERNAL ? e : ERR_NOT_FOUND;
    if (now_s > t.expires_s)
        return ERR_GONE;
    t.epoch = (uint16_t)(sealed[0] << 8 | sealed[1]);
    *out = t;
    return ERR_OK;
}

enum err challenge_url_make(const struct env *env, const struct attempt *a, char out[CHALLENGE_URL_SIZE])
{
    struct challenge_token t = {.expires_s = clock_now_s() + CHALLENGE_TOKEN_LIFE_S};
    char text[CHALLENGE_TOKEN_MAX + 1], port[8] = "", url[CHALLENGE_URL_SIZE];
    enum err e;
    if ((e = TEXT_SET(t.mailbox, a->mailbox)) || (e = TEXT_SET(t.sender, a->sender)) ||
        (e = challenge_token_make(env->keys, &t, text)))
        return e;
    if (env->site->link_port != 443)
        snprintf(port, sizeof port, ":%u", env->site->link_port);
    int len = snprintf(url, sizeof url, "https://%s%s" CHALLENGE_PATH_PREFIX "%s", env->site->link_host, port,
                       text);
    if (len < 0 || (size_t)len >= sizeof url)
        return ERR_TOO_LARGE;
    memcpy(out, url, (size_t)len + 1);
    return ERR_OK;
}
