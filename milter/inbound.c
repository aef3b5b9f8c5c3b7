/*
 * inbound.c - hands an inbound stub to fetchd.
 */
#include "base/err.h"
#include "base/kill.h"
#include "base/log.h"
#include "mail/stub.h"
#include "milter/inbound.h"
#include "milter/reply.h"

#define NOTICE_BYTES_MAX ((size_t)256 * 1024) /* a stub is 4 KiB; its From and Message-ID are short */

/* The local API's structs own their text; this one borrows it all from the message and is never freed. */
static struct api_notice borrow_notice(const struct message *m)
{
    return (struct api_notice){
        .envelope = m->plan.envelope,
        .stub = (char *)message_find(m, STUB_FIELD_NAME),
        .from = (char *)message_find(m, "From"),
        .message_id = (char *)message_find(m, "Message-ID"),
    };
}

enum inbound_fate inbound_notice(struct local_client *fetchd, const struct message *m,
                                 local_progress progress, void *arg, struct api_reply *refusal)
{
    const struct api_notice notice = borrow_notice(m);
    struct api_reply said = {0};
    struct buf request, answer;
    int status = 0;
    enum inbound_fate fate = INBOUND_REFUSED;
    enum err e;

    buf_init_secret(&request, NOTICE_BYTES_MAX);
    buf_init(&answer, NOTICE_BYTES_MAX);
    reply_unavailable(refusal);
    e = api_notice_format(&notice, &request);
    if (e == ERR_TOO_LARGE || e == ERR_SYNTAX || e == ERR_BAD_BYTES) {
        reply_set(refusal, 550, "5.6.0", "malformed stub");
        goto out;
    }
    if (!e)
        e = local_call(fetchd, "POST", API_NOTICE_PATH, buf_span(&request), progress, arg, &status, &answer);
    if (e) {
        log_warning("notice: %s", err_text(e));
        goto out;
    }
    KILL_POINT("milter-notice-answer");
    bool understood = status == 200 && api_reply_parse(buf_span(&answer), &said) == ERR_OK;
    if (understood && said.smtp == 250)
        fate = INBOUND_KEPT;
    else if (understood && said.smtp == 0)
        fate = INBOUND_PASSES;
    else
        reply_from_answer(refusal, status, buf_span(&answer), true);
out:
    buf_free(&answer);
    buf_free(&request);
    return fate;
}
