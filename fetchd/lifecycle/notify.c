/*
 * notify.c - see notify.h.
 */
#include "lifecycle/notify.h"

#include "base/clock.h"
#include "base/kill.h"
#include "base/log.h"
#include "lifecycle/outbox.h"
#include "lifecycle/story.h"
#include "mta/smtp.h"

/* ---- what to tell */

/* RFC 3461 4.1: NOTIFY absent means failures are told. */
static bool asked(const struct ticket *t, unsigned what)
{
    unsigned notify = 0;

    if (t->notify[0] && dsn_notify_parse(span_of(t->notify), &notify))
        notify = 0;
    return notify ? (notify & what) != 0 : what != DSN_SUCCESS;
}

bool notify_decide(const struct ticket *t, struct notify_words *out)
{
    switch (t->state) {
    case TICKET_DELIVERED:
        *out =
            (struct notify_words){DSN_DELIVERED, "2.0.0",
                                  "Your letter was collected and delivered to the recipient's mail system."};
        return asked(t, DSN_SUCCESS);
    case TICKET_REFUSED:
        *out = (struct notify_words){
            DSN_FAILED, "5.0.0", "Your letter was not delivered: the recipient's mail system refused it."};
        return asked(t, DSN_FAILURE);
    case TICKET_BOUNCED:
        *out = (struct notify_words){DSN_FAILED, "5.0.0",
                                     "Your letter was not delivered: the announcement that it lies ready for "
                                     "the recipient came back."};
        return asked(t, DSN_FAILURE);
    case TICKET_EXPIRED:
        *out = (struct notify_words){
            DSN_FAILED, "5.4.7",
            "Your letter was not delivered: the recipient's mail system did not call for it in time."};
        return asked(t, DSN_FAILURE);
    case TICKET_UNCONFIRMED:
        /* It was handed over, so it may well have arrived: never "not delivered". */
        *out = (struct notify_words){
            DSN_RELAYED, "2.0.0",
            "Your letter was collected by the recipient's mail system, which did not confirm "
            "that it arrived."};
        return asked(t, DSN_FAILURE);
    default:
        return false;
    }
}

/* ---- sending */

static void log_notification(const struct ticket *t, const struct work *work,
                             const struct smtp_result *result, const char *status)
{
    char text[STORE_TEXT_MAX];
    struct log_line line;

    story_begin(&line, NULL, t);
    log_line_str(&line, LOG_KEY_STATE, ticket_state_name(t->state));
    if (result->relay[0])
        log_line_str(&line, LOG_KEY_RELAY, result->relay);
    log_line_num(&line, LOG_KEY_ATTEMPTS, work->tries + 1);
    log_line_delay(&line, (clock_now_s() - t->created_s) * 1000);
    smtp_result_text(result, text, sizeof text);
    log_line_status(&line, status, text);
    log_line_end(&line, LOG_LEVEL_INFO);
}

enum err notify_record(const struct env *env, const struct ticket *t, const struct work *work,
                       const struct smtp_result *result)
{
    char text[STORE_TEXT_MAX];

    if (result->err == ERR_OK || result->err == ERR_SMTP_PERMANENT) {
        /* A refused notification has nobody left to be told about. */
        log_notification(t, work, result, result->err ? "notice-refused" : "notified");
        return store_work_done(env->store, work, result->queue_id, clock_now_s());
    }
    log_notification(t, work, result, "notice-deferred");
    smtp_result_text(result, text, sizeof text);
    return store_work_later(env->store, work, outbox_next_try(env, work->tries, clock_now_s()), text);
}

/* To the MTA. *broken: the letter that was to go along is damaged, and nothing was sent. */
static enum err hand_over(const struct env *env, const struct ticket *t, const struct notify_words *words,
                          bool letter, struct smtp_result *result, bool *broken)
{
    struct notification *n = NULL;
    enum err e = notification_open(env, t, words, letter, &n);

    if (e)
        return e;
    struct smtp_envelope envelope = {
        .sender = "", .recipient = t->sender, .notify = "NEVER", .body = "8BITMIME", .smtputf8 = t->smtputf8};
    KILL_POINT("notify-send-before");
    smtp_send(env->letters_in, &envelope, notification_read, n, result);
    KILL_POINT("notify-send-after");
    *broken = result->err && notification_broken(n);
    notification_close(n);
    return ERR_OK;
}

static enum err send_notification(const struct env *env, const struct ticket *t, const struct work *work,
                                  const struct notify_words *words)
{
    struct smtp_result result = {.err = ERR_OK};
    bool broken = false;
    enum err e = hand_over(env, t, words, true, &result, &broken);

    if (!e && broken) {
        log_error("a letter is damaged: its sender is told without it");
        e = hand_over(env, t, words, false, &result, &broken);
    }
    return e ? e : notify_record(env, t, work, &result);
}

void notify_send(const struct env *env, const struct work *work)
{
    struct ticket t;
    struct notify_words words;
    enum err e = store_ticket_get(env->store, work->key, &t);

    if (e == ERR_NOT_FOUND || (!e && !notify_decide(&t, &words)))
        e = store_work_done(env->store, work, "", clock_now_s());
    else if (!e)
        e = send_notification(env, &t, work, &words);
    if (e)
        outbox_put_off(env, work, e, "a notification");
}
