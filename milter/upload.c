/*
 * upload.c - see upload.h. The two kinds differ in the path, the head and what the answer tells.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "base/kill.h"
#include "base/log.h"
#include "milter/reply.h"
#include "milter/upload.h"

static const struct {
    const char *name, *path;
} kinds[] = {[UPLOAD_DEPOSIT] = {"deposit", API_DEPOSIT_PATH}, [UPLOAD_KEEP] = {"keep", API_KEEP_PATH}};

void upload_init(struct upload *u)
{
    *u = (struct upload){0};
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

/* Whether recipient i is the first of those taken with its address. */
static bool is_first(const struct upload *u, const struct api_envelope *env, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (u->taken[k] && same_mailbox(env->recipient[k].address, env->recipient[i].address))
            return false;
    return true;
}

enum err upload_choose(struct upload *u, enum upload_kind kind, const struct message *m,
                       const struct api_plan_answer *answer, enum api_verdict verdict)
{
    const struct api_envelope *env = &m->plan.envelope;
    bool *taken = calloc(env->recipient_count + 1, sizeof *taken);
    if (!taken)
        return ERR_NOMEM;
    free(u->taken);
    u->kind = kind;
    u->taken = taken;
    u->taken_count = u->different_count = 0;
    for (size_t i = 0; i < env->recipient_count; i++) {
        taken[i] = answer->verdict[i] == verdict;
        if (!taken[i])
            continue;
        u->taken_count++;
        u->different_count += is_first(u, env, i);
    }
    return ERR_OK;
}

/* The head. It borrows all its text from the message: only the recipient list is made here. */
static enum err format_head(const struct upload *u, const struct message *m, struct buf *out)
{
    const struct api_envelope *env = &m->plan.envelope;
    struct api_recipient *recipient = calloc(u->different_count, sizeof *recipient);
    if (!recipient)
        return ERR_NOMEM;
    struct api_plan head = m->plan;
    head.envelope.recipient = recipient;
    head.envelope.recipient_count = 0;
    for (size_t i = 0; i < env->recipient_count; i++)
        if (u->taken[i] && is_first(u, env, i))
            recipient[head.envelope.recipient_count++] = env->recipient[i];
    const struct api_deposit deposit = {.envelope = head.envelope};
    enum err e = u->kind == UPLOAD_DEPOSIT ? api_deposit_format(&deposit, out) : api_plan_format(&head, out);
    free(recipient);
    return e;
}

bool upload_begin(struct upload *u, struct local_client *fetchd, const struct message *m,
                  struct api_reply *refusal)
{
    struct buf head;
    enum err e;

    buf_init(&head, API_HEAD_MAX);
    e = format_head(u, m, &head);
    if (!e)
        e = buf_append_char(&head, '\n');
    if (!e)
        e = local_upload_begin(fetchd, kinds[u->kind].path, &u->stream);
    if (!e)
        e = local_upload_write(u->stream, head.data, head.len, NULL, NULL);
    if (!e)
        e = local_upload_write(u->stream, m->header.data, m->header.len, NULL, NULL);
    if (!e)
        e = local_upload_write(u->stream, "\r\n", 2, NULL, NULL);
    buf_free(&head);
    if (e) {
        log_warning("%s: %s", kinds[u->kind].name, err_text(e));
        upload_abort(u);
        reply_unavailable(refusal);
        return false;
    }
    return true;
}

void upload_body(struct upload *u, const void *data, size_t len)
{
    if (!u->stream)
        return;
    KILL_POINT("milter-body-chunk");
    enum err e = local_upload_write(u->stream, data, len, NULL, NULL);
    if (e) {
        log_warning("%s: %s", kinds[u->kind].name, err_text(e));
        local_upload_abort(u->stream);
        u->stream = NULL;
    }
}

static bool read_tickets(struct upload *u, struct span json)
{
    struct api_deposit_answer answer = {0};
    bool understood =
        api_deposit_answer_parse(json, &answer) == ERR_OK && answer.ticket_count == u->different_count;

    if (understood) {
        /* Its first four digits are the epoch of the site's key, the same for all. */
        memcpy(u->first_ticket, answer.ticket[0] + 4, sizeof u->first_ticket - 1);
        u->first_ticket[sizeof u->first_ticket - 1] = '\0';
    }
    api_deposit_answer_free(&answer);
    return understood;
}

static bool read_kept(struct span json)
{
    struct api_reply said;
    return api_reply_parse(json, &said) == ERR_OK && said.smtp == 250;
}

bool upload_finish(struct upload *u, local_progress progress, void *arg, struct api_reply *refusal)
{
    struct local_upload *stream = u->stream;
    struct buf reply;
    int status = 0;
    bool durable = false;

    buf_init(&reply, API_HEAD_MAX);
    reply_unavailable(refusal);
    u->stream = NULL;
    if (!stream)
        goto out;
    enum err e = local_upload_finish(stream, progress, arg, &status, &reply);
    KILL_POINT("milter-deposit-answer");
    if (e) {
        log_warning("%s: %s", kinds[u->kind].name, err_text(e));
        goto out;
    }
    if (status != 201) {
        /* 400 says that the head was wrong, not the letter. */
        reply_from_answer(refusal, status, buf_span(&reply), status != 400);
        goto out;
    }
    /* The letter is durable. If the answer cannot be understood nobody knows for whom: the client tries
     * again. A deposit then gets the tickets that there are; a message may be kept twice. */
    durable = u->kind == UPLOAD_DEPOSIT ? read_tickets(u, buf_span(&reply)) : read_kept(buf_span(&reply));
    if (durable)
        refusal->smtp = 0;
    else
        log_error("%s: fetchd's answer is not understood", kinds[u->kind].name);
out:
    buf_free(&reply);
    return durable;
}

void upload_abort(struct upload *u)
{
    local_upload_abort(u->stream);
    free(u->taken);
    upload_init(u);
}
