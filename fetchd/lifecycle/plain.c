/*
 * plain.c - see plain.h.
 */
#include "lifecycle/plain.h"

#include "base/clock.h"
#include "base/kill.h"
#include "base/log.h"
#include "lifecycle/archive.h"
#include "lifecycle/letterfile.h"
#include "lifecycle/outbox.h"
#include "lifecycle/story.h"
#include "mta/smtp.h"

#define DAMAGED_TRIES 4 /* the disk may have failed for a moment */

/* An smtp_read of the letter that remembers why it ended. */
struct reading {
    struct letterfile *letter;
    bool broken;
};

static ssize_t read_letter(void *arg, void *out, size_t max)
{
    struct reading *r = arg;
    ssize_t got = letterfile_read(r->letter, out, max);

    r->broken = r->broken || got < 0;
    return got;
}

static const char *given(const char *parameter)
{
    return parameter[0] ? parameter : NULL;
}

static void hand_over(const struct env *env, const struct ticket *t, struct reading *reading,
                      struct smtp_result *result)
{
    const struct smtp_envelope envelope = {.sender = t->sender,
                                           .recipient = t->recipient,
                                           .notify = given(t->notify),
                                           .orcpt = given(t->orcpt),
                                           .ret = given(t->ret),
                                           .envid = given(t->envid),
                                           .body = t->body_8bit ? "8BITMIME" : NULL,
                                           .smtputf8 = t->smtputf8,
                                           .size_bytes = t->letter_bytes};

    KILL_POINT("plain-send-before");
    smtp_send(env->stubs_out, &envelope, read_letter, reading, result);
    KILL_POINT("plain-send-after");
}

static void log_plain(const struct ticket *t, const struct work *work, const struct smtp_result *result,
                      const char *status, const char *text)
{
    struct log_line line;

    story_begin(&line, NULL, t);
    if (result->relay[0])
        log_line_str(&line, LOG_KEY_RELAY, result->relay);
    log_line_num(&line, LOG_KEY_ATTEMPTS, work->tries + 1);
    log_line_num(&line, LOG_KEY_SIZE, (int64_t)t->letter_bytes);
    log_line_delay(&line, (clock_now_s() - t->created_s) * 1000);
    log_line_status(&line, status, text);
    log_line_end(&line, LOG_LEVEL_INFO);
}

/* For good: its sender is told. */
static enum err give_up(const struct env *env, const struct ticket *t, const struct work *work,
                        const struct smtp_result *result, const char *status, const char *text)
{
    log_plain(t, work, result, "plain-refused", text);
    return store_work_refused(env->store, work, status, text, clock_now_s());
}

static enum err record(const struct env *env, const struct ticket *t, const struct work *work,
                       const struct smtp_result *result, bool damaged)
{
    int64_t now_s = clock_now_s();
    char text[STORE_TEXT_MAX];

    smtp_result_text(result, text, sizeof text);
    if (result->err == ERR_OK) {
        log_plain(t, work, result, "plain-sent", text);
        return store_work_done(env->store, work, result->queue_id, now_s);
    }
    if (result->err == ERR_SMTP_PERMANENT)
        return give_up(env, t, work, result, result->enhanced[0] ? result->enhanced : "5.0.0", text);
    if (damaged && work->tries + 1 >= DAMAGED_TRIES)
        return give_up(env, t, work, result, "5.3.0", "the letter as it was stored here is damaged");
    if (now_s >= t->expires_s)
        return give_up(env, t, work, result, "5.4.7", text);
    log_plain(t, work, result, "plain-deferred", damaged ? "the letter cannot be read" : text);
    return store_work_later(env->store, work, outbox_next_try(env, work->tries, now_s), text);
}

static enum err send_letter(const struct env *env, const struct ticket *t, const struct work *work)
{
    struct smtp_result result = {.err = ERR_SMTP_TEMPORARY};
    struct reading reading = {.letter = NULL};
    enum err e = letterfile_open(env->store, t, &reading.letter);

    if (e == ERR_OK)
        hand_over(env, t, &reading, &result);
    else if (e == ERR_NOMEM || e == ERR_DISK_FULL || e == ERR_IO)
        return e; /* ERR_STORE says too that its payload is not what its record says */
    else
        log_error("a letter that is to go plain cannot be read: %s", err_text(e));
    letterfile_close(reading.letter);
    return record(env, t, work, &result, e != ERR_OK || reading.broken);
}

/* Nothing leaves without the archive's copy. Its sender is told when there never was one, or will be none. */
static enum err unarchived(const struct env *env, const struct ticket *t, const struct work *work, enum err e)
{
    const struct smtp_result none = {.err = e};

    if (e == ERR_STORE)
        return record(env, t, work, &none, true);
    return clock_now_s() >= t->expires_s ? give_up(env, t, work, &none, "5.4.7", ARCHIVE_WAITS) : e;
}

void plain_send(const struct env *env, const struct work *work)
{
    struct ticket t;
    enum err e = store_ticket_get(env->store, work->key, &t);

    if (e == ERR_NOT_FOUND || (!e && t.state != TICKET_PLAIN)) {
        e = store_work_done(env->store, work, NULL, clock_now_s());
    } else if (!e) {
        e = archive_first(env, &t);
        e = e ? unarchived(env, &t, work, e) : send_letter(env, &t, work);
    }
    if (e)
        outbox_put_off(env, work, e, "a letter by plain SMTP");
}
