/*
 * notify.c - see notify.h.
 */
#include "lifecycle/notify.h"

#include "base/clock.h"
#include "base/kill.h"
#include "base/log.h"
#include "env/site.h"
#include "lifecycle/outbox.h"
#include "lifecycle/story.h"
#include "mta/smtp.h"
#include "store/ticket_state.h"

/* ---- what to tell */

const char *notify_asked(const struct site *site, const char *sender_domain, const char *given)
{
    if (given && given[0])
        return given;
    return site_confirms(site, sender_domain) ? "SUCCESS,FAILURE,DELAY" : "";
}

/* The words for each end. Whether they are said is the store's table (ticket_wants_notice). Nothing in the
 * protocol tells whether a mailbox is read: what the other side confirms is that its mail system has the
 * letter, and that may well forward it. So an ack is "relayed", and nothing here says that it was read. */
static const struct notify_words words_of[TICKET_STATE_COUNT] = {
    [TICKET_DELIVERED] = {DSN_RELAYED, "2.0.0",
                          "Your letter was collected by the recipient's mail system, which confirmed that it "
                          "has it. This does not tell whether anybody has read it.",
                          NULL},
    [TICKET_REFUSED] = {DSN_FAILED, "5.0.0",
                        "Your letter was not delivered: the recipient's mail system refused it.", NULL},
    [TICKET_BOUNCED] = {DSN_FAILED, "5.0.0",
                        "Your letter was not delivered: the announcement that it lies ready for the "
                        "recipient came back.",
                        NULL},
    [TICKET_EXPIRED] = {DSN_FAILED, "5.4.7",
                        "Your letter was not delivered: the recipient's mail system did not call for it in "
                        "time.",
                        NULL},
    /* It was handed over, so it may well have arrived: never "not delivered". */
    [TICKET_UNCONFIRMED] = {DSN_RELAYED, "2.0.0",
                            "Your letter was collected by the recipient's mail system, which did not confirm "
                            "that it arrived.",
                            "Mail Collected, Arrival Not Confirmed"},
    /* Told only when our own MTA refused it. */
    [TICKET_PLAIN] = {DSN_FAILED, "5.0.0",
                      "Your letter was not delivered: it was to go to the recipient by ordinary mail in the "
                      "end, and was refused.",
                      NULL},
};

bool notify_decide(const struct ticket *t, struct notify_words *out)
{
    bool tell = t->state == TICKET_PLAIN ? ticket_asks(t, DSN_FAILURE) : ticket_wants_notice(t, t->state);

    if (tell)
        *out = words_of[t->state];
    return tell;
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

/* To the MTA. *returned: what went along; *broken: the letter that was to go along is damaged, and nothing
 * was sent. */
static enum err hand_over(const struct env *env, const struct ticket *t, const struct notify_words *words,
                          enum notify_return most, struct smtp_result *result, enum notify_return *returned,
                          bool *broken)
{
    struct notification *n = NULL;
    enum err e = notification_open(env, t, words, most, &n);

    if (e)
        return e;
    struct smtp_envelope envelope = {
        .sender = "", .recipient = t->sender, .notify = "NEVER", .body = "8BITMIME", .smtputf8 = t->smtputf8};
    KILL_POINT("notify-send-before");
    smtp_send(env->letters_in, &envelope, notification_read, n, result);
    KILL_POINT("notify-send-after");
    *returned = notification_returns(n);
    *broken = result->err && notification_broken(n);
    notification_close(n);
    return ERR_OK;
}

enum err notify_hand_over(const struct env *env, const struct ticket *t, const struct notify_words *words,
                          struct smtp_result *result)
{
    bool broken = false;
    enum notify_return returned = NOTIFY_LETTER;
    enum err e = hand_over(env, t, words, NOTIFY_LETTER, result, &returned, &broken);

    if (!e && broken) {
        log_error("a letter is damaged: its sender is told without it");
        return hand_over(env, t, words, NOTIFY_FACTS, result, &returned, &broken);
    }
    /* It may be refused for what goes along (its size, its content): that must not keep him from being told.
     */
    while (!e && result->err == ERR_SMTP_PERMANENT && returned > NOTIFY_FACTS)
        e = hand_over(env, t, words, returned - 1, result, &returned, &broken);
    return e;
}

static enum err send_notification(const struct env *env, const struct ticket *t, const struct work *work,
                                  const struct notify_words *words)
{
    struct smtp_result result = {.err = ERR_OK};
    enum err e = notify_hand_over(env, t, words, &result);

    return e ? e : notify_record(env, t, work, &result);
}

void notify_send(const struct env *env, const struct work *work)
{
    struct ticket t;
    struct notify_words words;
    enum err e = store_ticket_get(env->store, work->key, &t);

    if (e == ERR_NOT_FOUND || (!e && !notify_decide(&t, &words)))
        e = store_work_done(env->store, work, NULL, clock_now_s());
    else if (!e)
        e = send_notification(env, &t, work, &words);
    if (e)
        outbox_put_off(env, work, e, "a notification");
}
