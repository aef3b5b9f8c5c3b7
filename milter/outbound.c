/*
 * outbound.c - deposits an outbound letter with fetchd.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "base/kill.h"
#include "base/log.h"
#include "milter/outbound.h"
#include "milter/reply.h"

void outbound_init(struct outbound *o)
{
    *o = (struct outbound){0};
}

/* One mailbox written twice: a client may name a recipient twice, and shall not make two stubs for him by it.
 * Local parts to the letter, domains without case. */
static bool same_mailbox(const char *a, const char *b)
{
    const char *at_a = strrchr(a, '@'), *at_b = strrchr(b, '@');
    if (!at_a || !at_b)
        return strcmp(a, b) == 0;
    return at_a - a == at_b - b && memcmp(a, b, (size_t)(at_a - a)) == 0 && strcasecmp(at_a, at_b) == 0;
}

/* Whether recipient i is the first stub recipient with its address. */
static bool is_first(const struct outbound *o, const struct api_envelope *env, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (o->stubbed[k] && same_mailbox(env->recipient[k].address, env->recipient[i].address))
            return false;
    return true;
}

enum err outbound_choose(struct outbound *o, const struct message *m, const struct api_plan_answer *answer,
                         bool *any)
{
    const struct api_envelope *env = &m->plan.envelope;
    bool *stubbed = calloc(env->recipient_count + 1, sizeof *stubbed);
    if (!stubbed)
        return ERR_NOMEM;
    free(o->stubbed);
    o->stubbed = stubbed;
    o->stub_count = o->ticket_count = 0;
    for (size_t i = 0; i < env->recipient_count; i++) {
        stubbed[i] = answer->verdict[i] == API_VERDICT_STUB;
        if (!stubbed[i])
            continue;
        o->stub_count++;
        o->ticket_count += is_first(o, env, i);
    }
    *any = o->stub_count > 0;
    return ERR_OK;
}

/* The deposit's head. It borrows all its text from the message: only the recipient list is made here. */
static enum err format_head(const struct outbound *o, const struct message *m, struct buf *out)
{
    const struct api_envelope *env = &m->plan.envelope;
    struct api_recipient *recipient = calloc(o->ticket_count, sizeof *recipient);
    if (!recipient)
        return ERR_NOMEM;
    struct api_deposit d = {.envelope = *env};
    d.envelope.recipient = recipient;
    d.envelope.recipient_count = 0;
    for (size_t i = 0; i < env->recipient_count; i++)
        if (o->stubbed[i] && is_first(o, env, i))
            recipient[d.envelope.recipient_count++] = env->recipient[i];
    enum err e = api_deposit_format(&d, out);
    free(recipient);
    return e;
}

bool outbound_begin(struct outbound *o, struct local_client *fetchd, const struct message *m,
                    struct api_reply *refusal)
{
    struct buf head;
    enum err e;

    buf_init(&head, API_HEAD_MAX);
    e = format_head(o, m, &head);
    if (!e)
        e = buf_append_char(&head, '\n');
    if (!e)
        e = local_upload_begin(fetchd, API_DEPOSIT_PATH, &o->upload);
    if (!e)
        e = local_upload_write(o->upload, head.data, head.len, NULL, NULL);
    if (!e)
        e = local_upload_write(o->upload, m->header.data, m->header.len, NULL, NULL);
    if (!e)
        e = local_upload_write(o->upload, "\r\n", 2, NULL, NULL);
    buf_free(&head);
    if (e) {
        log_warning("deposit: %s", err_text(e));
        outbound_abort(o);
        reply_unavailable(refusal);
        return false;
    }
    return true;
}

void outbound_body(struct outbound *o, const void *data, size_t len)
{
    if (!o->upload)
        return;
    KILL_POINT("milter-body-chunk");
    enum err e = local_upload_write(o->upload, data, len, NULL, NULL);
    if (e) {
        log_warning("deposit: %s", err_text(e));
        local_upload_abort(o->upload);
        o->upload = NULL;
    }
}

bool outbound_finish(struct outbound *o, local_progress progress, void *arg, struct api_reply *refusal)
{
    struct local_upload *upload = o->upload;
    struct api_deposit_answer answer = {0};
    struct buf reply;
    int status = 0;
    bool durable = false;

    buf_init(&reply, API_HEAD_MAX);
    reply_unavailable(refusal);
    o->upload = NULL;
    if (!upload)
        goto out;
    enum err e = local_upload_finish(upload, progress, arg, &status, &reply);
    KILL_POINT("milter-deposit-answer");
    if (e) {
        log_warning("deposit: %s", err_text(e));
        goto out;
    }
    if (status != 201) {
        /* 400 says that the head was wrong, not the letter. */
        reply_from_answer(refusal, status, buf_span(&reply), status != 400);
        goto out;
    }
    /* The letter is durable. If the answer cannot be understood nobody knows for whom: the client tries
     * again, and gets the tickets that there are. */
    if (api_deposit_answer_parse(buf_span(&reply), &answer) != ERR_OK ||
        answer.ticket_count != o->ticket_count) {
        log_error("deposit: fetchd's answer is not understood");
        goto out;
    }
    /* Its first four digits are the epoch of the site's key, the same for all. */
    memcpy(o->first_ticket, answer.ticket[0] + 4, sizeof o->first_ticket - 1);
    o->first_ticket[sizeof o->first_ticket - 1] = '\0';
    refusal->smtp = 0;
    durable = true;
out:
    api_deposit_answer_free(&answer);
    buf_free(&reply);
    return durable;
}

void outbound_abort(struct outbound *o)
{
    local_upload_abort(o->upload);
    free(o->stubbed);
    outbound_init(o);
}
