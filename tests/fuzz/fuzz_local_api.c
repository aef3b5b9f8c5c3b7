/*
 * The local API's JSON; the first byte chooses the document. What parses must come back from being formatted.
 * covers: common/local/api.c
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "local/api.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ROUND_TRIP(what)                                                                                     \
    do {                                                                                                     \
        struct api_##what first, again;                                                                      \
        if (api_##what##_parse(json, &first) != ERR_OK)                                                      \
            break;                                                                                           \
        if (api_##what##_format(&first, &out) != ERR_OK ||                                                   \
            api_##what##_parse(buf_span(&out), &again) != ERR_OK)                                            \
            abort();                                                                                         \
        api_##what##_free(&first);                                                                           \
        api_##what##_free(&again);                                                                           \
    } while (0)

/* Error answers: any text that came along goes out as a reply that parses. */
static void error_answer(struct span text, struct buf *out)
{
    char *said = span_dup(text);
    struct api_reply reply;

    if (said == NULL)
        return;
    if (api_error_format(ERR_DISK_FULL, said, out) != ERR_OK ||
        api_reply_parse(buf_span(out), &reply) != ERR_OK)
        abort();
    free(said);
}

/* Bytes in an envelope's text: those that no JSON carries are refused, the others come back. */
static void envelope_text(struct span text, struct buf *out)
{
    char *said = span_dup(text);
    struct api_recipient recipient = {.address = said};
    struct api_deposit d = {
        .envelope = {.sender = said, .helo = said, .recipient_count = 1, .recipient = &recipient}};
    struct api_deposit again;

    if (said == NULL)
        return;
    enum err e = api_deposit_format(&d, out);
    if (e == ERR_OK ? api_deposit_parse(buf_span(out), &again) != ERR_OK : e != ERR_ADDRESS)
        abort();
    if (e == ERR_OK)
        api_deposit_free(&again);
    d.envelope.sender = recipient.address = NULL;
    if (api_deposit_format(&d, out) != ERR_INTERNAL)
        abort();
    free(said);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span json = span_bytes(data + 1, size == 0 ? 0 : size - 1);
    struct api_reply reply;
    struct buf out;

    if (size == 0)
        return 0;
    buf_init(&out, (size_t)2 * API_HEAD_MAX);
    switch (data[0]) {
    case 'p':
        ROUND_TRIP(plan);
        break;
    case 'P':
        ROUND_TRIP(plan_answer);
        break;
    case 'd':
        ROUND_TRIP(deposit);
        break;
    case 'D':
        ROUND_TRIP(deposit_answer);
        break;
    case 'n':
        ROUND_TRIP(notice);
        break;
    case 'r':
        if (api_reply_parse(json, &reply) == ERR_OK && api_reply_format(&reply, &out) != ERR_OK)
            abort();
        break;
    case 'e':
        error_answer(json, &out);
        break;
    default:
        envelope_text(json, &out);
        break;
    }
    buf_free(&out);
    return 0;
}
