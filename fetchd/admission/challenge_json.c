/*
 * challenge_json.c - see challenge_json.h.
 */
#include "admission/challenge_json.h"

#include <string.h>

#include <jansson.h>

#include "base/encode.h"
#include "local/rows.h"

/* ---- reading ------------------------------------------------------------------------------------------- */

/* Base64 (RFC 4648 4), padded or not, appended. */
static enum err base64_decode(struct span in, struct buf *out)
{
    char text[CHALLENGE_BODY_MAX];
    for (int i = 0; i < 2 && in.len > 0 && in.ptr[in.len - 1] == '='; i++)
        in.len--;
    if (in.len == 0 || in.len > sizeof text)
        return ERR_SYNTAX;
    for (size_t i = 0; i < in.len; i++) {
        char c = in.ptr[i];
        text[i] = c == '+' ? '-' : c == '/' ? '_' : c == '-' || c == '_' ? '!' : c;
    }
    size_t len = in.len * 6 / 8;
    uint8_t *to = (uint8_t *)buf_reserve(out, len);
    if (to == NULL)
        return ERR_NOMEM;
    enum err e = decode_b64url(span_bytes(text, in.len), to, len);
    if (e == ERR_OK)
        buf_added(out, len);
    return e;
}

/* NULL when absent, no string, or longer than max bytes. Borrowed from the object. */
static const char *text_of(const json_t *object, const char *name, size_t max)
{
    const json_t *value = json_object_get(object, name);
    return json_is_string(value) && json_string_length(value) <= max ? json_string_value(value) : NULL;
}

static enum err read_work(const json_t *object, struct altcha *out)
{
    const char *algorithm = text_of(object, "algorithm", sizeof ALTCHA_ALGORITHM);
    const char *challenge = text_of(object, "challenge", sizeof out->challenge - 1);
    const char *salt = text_of(object, "salt", sizeof out->salt - 1);
    const char *signature = text_of(object, "signature", sizeof out->signature - 1);
    const json_t *number = json_object_get(object, "number");
    if (!algorithm || !challenge || !salt || !signature || strcmp(algorithm, ALTCHA_ALGORITHM) != 0 ||
        !json_is_integer(number) || json_integer_value(number) < 0 ||
        (uint64_t)json_integer_value(number) > ALTCHA_NUMBER_MAX)
        return ERR_SYNTAX;
    strcpy(out->challenge, challenge);
    strcpy(out->salt, salt);
    strcpy(out->signature, signature);
    out->number = (uint64_t)json_integer_value(number);
    return ERR_OK;
}

static json_t *load(struct span text)
{
    return json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES, NULL);
}

static enum err read_payload(struct span base64, struct challenge_answer *out)
{
    struct buf json;
    buf_init(&json, CHALLENGE_BODY_MAX);
    enum err e = base64_decode(base64, &json);
    if (e == ERR_OK) {
        json_t *object = load(buf_span(&json));
        out->is_work = true;
        e = json_is_object(object) ? read_work(object, &out->work) : ERR_SYNTAX;
        json_decref(object);
    }
    buf_free(&json);
    return e;
}

static enum err read_text(struct span text, struct challenge_answer *out)
{
    if (text.len >= sizeof out->text || !utf8_valid(text) ||
        (text.len > 0 && memchr(text.ptr, '\0', text.len)))
        return ERR_SYNTAX;
    if (text.len > 0)
        memcpy(out->text, text.ptr, text.len);
    out->text[text.len] = '\0';
    return ERR_OK;
}

static enum err read_json(struct span body, struct challenge_answer *out)
{
    json_t *object = load(body);
    const char *payload = text_of(object, "altcha", CHALLENGE_BODY_MAX);
    const char *text = text_of(object, "answer", sizeof out->text - 1);
    enum err e = ERR_SYNTAX;
    if (payload && !text)
        e = read_payload(span_of(payload), out);
    else if (text && !payload)
        e = read_text(span_of(text), out);
    json_decref(object);
    return e;
}

static enum err read_form(struct span body, struct challenge_answer *out)
{
    struct buf form, payload, text;
    buf_init(&form, CHALLENGE_BODY_MAX);
    buf_init(&payload, CHALLENGE_BODY_MAX);
    buf_init(&text, CHALLENGE_BODY_MAX);
    enum err e = buf_append_span(&form, body), has_payload = ERR_NOT_FOUND, has_text = ERR_NOT_FOUND;
    for (size_t i = 0; e == ERR_OK && i < form.len; i++)
        if (form.data[i] == '+')
            form.data[i] = ' ';
    if (e == ERR_OK) {
        has_payload = query_get(buf_span(&form), "altcha", &payload);
        has_text = query_get(buf_span(&form), "answer", &text);
        e = ERR_SYNTAX;
    }
    if (has_payload == ERR_OK && has_text == ERR_NOT_FOUND)
        e = read_payload(buf_span(&payload), out);
    else if (has_text == ERR_OK && has_payload == ERR_NOT_FOUND)
        e = read_text(buf_span(&text), out);
    buf_free(&text);
    buf_free(&payload);
    buf_free(&form);
    return e;
}

enum err challenge_answer_read(struct span body, struct challenge_answer *out)
{
    struct challenge_answer a = {.is_work = false};
    if (body.len > CHALLENGE_BODY_MAX)
        return ERR_TOO_LARGE;
    size_t blank = 0;
    while (blank < body.len && strchr(" \t\r\n", body.ptr[blank]))
        blank++;
    bool json = blank < body.len && body.ptr[blank] == '{';
    enum err e = json ? read_json(body, &a) : read_form(body, &a);
    if (e == ERR_OK)
        *out = a;
    return e;
}

/* ---- writing ------------------------------------------------------------------------------------------- */

static int append(const char *text, size_t len, void *out)
{
    return buf_append(out, text, len) == ERR_OK ? 0 : -1;
}

/* Takes the object; NULL: out of memory. */
static enum err write(json_t *object, struct buf *out)
{
    int failed = object ? json_dump_callback(object, append, out, JSON_COMPACT) : -1;
    json_decref(object);
    return failed ? ERR_NOMEM : ERR_OK;
}

enum err challenge_work_format(const struct altcha *c, struct buf *out)
{
    return write(json_pack("{s:s, s:s, s:I, s:s, s:s}", "algorithm", ALTCHA_ALGORITHM, "challenge",
                           c->challenge, "maxnumber", (json_int_t)c->number, "salt", c->salt, "signature",
                           c->signature),
                 out);
}

enum err challenge_question_format(const char *question, struct buf *out)
{
    return write(json_pack("{s:s, s:s}", "kind", "question", "question", question), out);
}

enum err challenge_solved_format(struct buf *out)
{
    return write(json_pack("{s:b}", "solved", 1), out);
}

enum err challenge_error_format(const char *name, const char *text, struct buf *out)
{
    return write(json_pack("{s:s, s:s}", "error", name, "text", text), out);
}
