/*
 * answer.c - see answer.h.
 */
#include "local/answer.h"

#include <stdio.h>

#define ANSWER_MAX 4096

void answer_json(struct http_exchange *x, int status, struct buf *json)
{
    http_set_field(x, "content-type", "application/json");
    http_answer_bytes(x, status, json);
}

void answer_error(struct http_exchange *x, enum err e, const char *text)
{
    struct buf json;

    buf_init(&json, ANSWER_MAX);
    if (api_error_format(e, text, &json)) {
        buf_free(&json);
        http_answer(x, err_info(ERR_NOMEM)->http);
        return;
    }
    answer_json(x, err_info(e)->http, &json);
}

void answer_reply(struct http_exchange *x, const struct api_reply *reply)
{
    struct buf json;

    buf_init(&json, ANSWER_MAX);
    if (api_reply_format(reply, &json)) {
        buf_free(&json);
        answer_error(x, ERR_NOMEM, NULL);
        return;
    }
    answer_json(x, 200, &json);
}

struct api_reply answer_reply_of(enum err e, const char *text)
{
    const struct err_info *info = err_info(e);
    struct api_reply reply = {.smtp = info->smtp};

    snprintf(reply.enhanced, sizeof reply.enhanced, "%s", info->enhanced);
    snprintf(reply.text, sizeof reply.text, "%s", text ? text : info->text);
    return reply;
}
