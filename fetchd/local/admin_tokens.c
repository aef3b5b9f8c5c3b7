/*
 * admin_tokens.c - see admin_tokens.h.
 */
#include "local/admin_tokens.h"

#include <stdlib.h>
#include <string.h>

#include "admission/admission.h"
#include "base/clock.h"
#include "base/secret.h"
#include "env/env.h"
#include "local/question.h"
#include "settings/settings.h"

#define LETTERS_MAX 1000000000

/* 31 characters, 13 of them: 64.4 bits. */
static const char readable[] = "abcdefghjkmnpqrstuvwxyz23456789";
#define READABLE_COUNT (sizeof readable - 1)
static const char shape[] = "xxxx-xxxx-xxxxx";

static enum err random_character(char *out)
{
    uint8_t byte;
    enum err e;

    do {
        if ((e = secret_random(&byte, sizeof byte)))
            return e;
    } while (byte >= 256 / READABLE_COUNT * READABLE_COUNT); /* every one as likely as any other */
    *out = readable[byte % READABLE_COUNT];
    return ERR_OK;
}

enum err admin_token_random(char out[POLICY_TOKEN_MAX + 1])
{
    char text[sizeof shape];

    memcpy(text, shape, sizeof shape);
    for (size_t i = 0; text[i]; i++) {
        enum err e = text[i] == 'x' ? random_character(&text[i]) : ERR_OK;
        if (e)
            return e;
    }
    memcpy(out, text, sizeof text);
    return ERR_OK;
}

enum err admin_token_normal(const char *text, char out[POLICY_TOKEN_MAX + 1])
{
    char token[POLICY_TOKEN_MAX + 1];
    size_t len = strlen(text);

    if (len == 0 || len > POLICY_TOKEN_MAX)
        return ERR_SYNTAX;
    for (size_t i = 0; i <= len; i++) {
        char c = text[i];
        token[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
        c = token[i];
        if (i < len && !((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_'))
            return ERR_SYNTAX;
    }
    memcpy(out, token, len + 1);
    return ERR_OK;
}

/* ---- rows */

static const char *state_of(const struct token *t, int64_t now_s)
{
    return t->revoked                                            ? "revoked"
           : t->until_s && t->until_s < now_s                    ? "over"
           : t->letters_max && t->letters_used >= t->letters_max ? "used up"
                                                                 : "good";
}

static bool add_token(void *arg, const struct token *t)
{
    struct question *q = arg;
    struct rows *r = q->rows;
    char address[STORE_ADDRESS_MAX + POLICY_TOKEN_MAX + 2];
    const char *at = strrchr(t->mailbox, '@');

    snprintf(address, sizeof address, "%.*s%c%s%s", (int)(at - t->mailbox), t->mailbox,
             q->env->settings->recipient_delimiter[0] ? q->env->settings->recipient_delimiter[0] : '+',
             t->token, at);
    rows_begin(r);
    rows_text(r, "mailbox", t->mailbox);
    rows_text(r, "token", t->token);
    rows_text(r, "address", address);
    rows_text(r, "state", state_of(t, clock_now_s()));
    rows_number(r, "used", t->letters_used);
    if (t->letters_max)
        rows_number(r, "letters", t->letters_max);
    rows_text(r, "bind", t->bind ? "yes" : "no");
    rows_text(r, "bound", t->bound);
    rows_time(r, "created", t->created_s);
    rows_time(r, "until", t->until_s);
    rows_time(r, "last", t->used_s);
    rows_text(r, "note", t->note);
    return true;
}

void admin_tokens(void *env, struct http_exchange *x)
{
    struct question q;
    struct address address;
    char mailbox[ADDRESS_TEXT_MAX];

    question_open(&q, env, x);
    question_mailbox(&q, question_need(&q, "mailbox"), mailbox, &address);
    if (question_rows(&q, "tokens"))
        q.err = store_tokens(q.env->store, mailbox, add_token, &q);
    question_close(&q);
}

/* ---- adding */

static void read_token(struct question *q, struct token *t)
{
    struct address address;

    *t = (struct token){.created_s = clock_now_s()};
    question_mailbox(q, question_need(q, "mailbox"), t->mailbox, &address);
    const char *text = question_get(q, "token");
    t->until_s = question_until(q, t->created_s);
    t->letters_max = (uint32_t)question_number(q, "letters", 1, LETTERS_MAX, 0);
    t->bind = question_get(q, "bind") != NULL;
    question_text(q, "note", t->note, POLICY_NOTE_MAX);
    if (q->err)
        return;
    if (!q->env->settings->recipient_delimiter[0])
        question_fail(q, ERR_CONFIG, "recipient_delimiter is empty: no address can bear a token");
    else if (address.local[0] == '"' && t->mailbox[0] == '"')
        question_fail(q, ERR_ADDRESS, "%s: a quoted local part can bear no token", t->mailbox);
    else if (text && admin_token_normal(text, t->token))
        question_fail(q, ERR_SYNTAX, "%s: a token is 1 to %d letters, digits, '-' and '_'", text,
                      POLICY_TOKEN_MAX);
    else if (!text)
        q->err = admin_token_random(t->token);
}

void admin_token_add(void *env, struct http_exchange *x)
{
    struct question q;
    struct token t;

    question_open(&q, env, x);
    read_token(&q, &t);
    if (question_rows(&q, "tokens")) {
        enum err e = store_token_add(q.env->store, &t);
        if (e == ERR_EXISTS)
            question_fail(&q, e, "%s has, or had, a token %s", t.mailbox, t.token);
        else if (e)
            q.err = e;
        else
            question_log(&q, t.mailbox, "", "token-added", QUESTION_NO_LETTERS);
        if (!e)
            add_token(&q, &t);
    }
    question_close(&q);
}

/* A token as it was made, or the whole address that was given away. */
static void read_made(struct question *q, const char *mailbox, const char *text,
                      char token[POLICY_TOKEN_MAX + 1])
{
    struct address address;
    char owner[ADDRESS_TEXT_MAX], detail[POLICY_TOKEN_MAX + 1] = "";
    const char *name = text;

    if (q->err)
        return;
    if (strchr(text, '@') && address_parse(span_of(text), &address) == ERR_OK && !address.null) {
        admission_mailbox(q->env->admission, &address, owner, detail);
        if (strcmp(owner, mailbox) == 0)
            name = detail;
    }
    if (admin_token_normal(name, token))
        question_fail(q, ERR_SYNTAX, "%s is no token of %s", text, mailbox);
}

void admin_revoke(void *env, struct http_exchange *x)
{
    struct question q;
    struct address address;
    struct token *t = calloc(1, sizeof *t);
    char mailbox[ADDRESS_TEXT_MAX], token[POLICY_TOKEN_MAX + 1] = "";

    question_open(&q, env, x);
    if (!t)
        q.err = ERR_NOMEM;
    question_mailbox(&q, question_need(&q, "mailbox"), mailbox, &address);
    read_made(&q, mailbox, question_need(&q, "token"), token);
    if (t && question_rows(&q, "tokens")) {
        q.err = store_token_revoke(q.env->store, mailbox, token);
        if (!q.err)
            q.err = store_token_get(q.env->store, mailbox, token, t);
        if (!q.err) {
            question_log(&q, mailbox, "", "token-revoked", t->letters_used);
            add_token(&q, t);
        }
        if (q.err == ERR_NOT_FOUND)
            buf_printf(&q.why, "%s has no token %s", mailbox, token);
    }
    question_close(&q);
    free(t);
}
