/*
 * inbound.c - hands an inbound stub to fetchd.
 */
#include <stdlib.h>
#include <strings.h>

#include "base/err.h"
#include "base/kill.h"
#include "base/log.h"
#include "mail/stub.h"
#include "milter/inbound.h"
#include "milter/reply.h"

static const char *const notice_fields[] = {"Auto-Submitted", "List-Id", "Precedence", "Received", "Subject"};

static bool goes_with_a_notice(const char *name)
{
    for (size_t i = 0; i < sizeof notice_fields / sizeof *notice_fields; i++)
        if (strcasecmp(name, notice_fields[i]) == 0)
            return true;
    return false;
}

static char *find(const struct message *m, const char *name)
{
    return (char *)api_field_value(m->plan.field, m->plan.field_count, name);
}

/* The local API's structs own their text; this one borrows it all from the message: its list of fields alone
 * is to be freed. ERR_NOMEM. */
static enum err borrow_notice(const struct message *m, struct api_notice *out)
{
    *out = (struct api_notice){
        .envelope = m->plan.envelope,
        .stub = find(m, STUB_FIELD_NAME),
        .from = find(m, "From"),
        .message_id = find(m, "Message-ID"),
        .field = calloc(m->plan.field_count + 1, sizeof *out->field),
    };
    if (!out->field)
        return ERR_NOMEM;
    for (size_t i = 0; i < m->plan.field_count; i++)
        if (goes_with_a_notice(m->plan.field[i].name))
            out->field[out->field_count++] = m->plan.field[i];
    return ERR_OK;
}

enum inbound_fate inbound_notice(struct local_client *fetchd, const struct message *m,
                                 struct api_reply *refusal)
{
    struct api_notice notice;
    struct api_reply said = {0};
    struct buf request, answer;
    int status = 0;
    enum inbound_fate fate = INBOUND_REFUSED;
    enum err e;

    buf_init_secret(&request, API_NOTICE_MAX);
    buf_init(&answer, API_NOTICE_MAX);
    reply_unavailable(refusal);
    e = borrow_notice(m, &notice);
    if (!e)
        e = api_notice_format(&notice, &request);
    if (e == ERR_TOO_LARGE || e == ERR_SYNTAX || e == ERR_BAD_BYTES) {
        reply_set(refusal, 550, "5.6.0", "malformed stub");
        goto out;
    }
    if (!e)
        e = local_call(fetchd, "POST", API_NOTICE_PATH, buf_span(&request), NULL, NULL, &status, &answer);
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
    free(notice.field);
    buf_free(&answer);
    buf_free(&request);
    return fate;
}
