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

#define GIVE_UP_TRIES 100
#define GIVE_UP_S (30 * 86400)

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

/* How far a letter got that was not confirmed, as far as this side knows. What the other side's rule is, and
 * whether anybody there has seen that the letter waits, it does not say. */
enum standing { NEVER_CALLED_FOR, HELD_AS_STRANGER, CHALLENGED, UNREACHABLE, COLLECTED, STANDING_COUNT };

static const struct {
    const char *status; /* of the warning (RFC 3463) */
    const char *waits, *expired;
} words_at[STANDING_COUNT] = {
    [NEVER_CALLED_FOR] =
        {"4.4.0",
         "Your letter was not delivered yet. It lies ready at your own mail system. Word of it was "
         "sent to the recipient's mail system, which has not called for it.\n"
         "You need not do anything: word is sent again from time to time.",
         "Your letter was not delivered: it lay ready at your own mail system, and the recipient's, "
         "to which word of it was sent again and again, never called for it."},
    [HELD_AS_STRANGER] = {"4.7.0",
                          "Your letter was not delivered yet. The recipient's mail system does not know you "
                          "as somebody who writes to this recipient, and lets the letter wait until it is "
                          "wanted.\n"
                          "You need not do anything, unless you can reach the recipient in another way.",
                          "Your letter was not delivered: the recipient's mail system did not know you as "
                          "somebody who writes to this recipient, and let the letter wait; nobody there "
                          "asked for it in time."},
    [CHALLENGED] = {"4.7.0",
                    "Your letter was not delivered yet. The recipient's mail system does not know you, and "
                    "asks for a proof that you are no machine. A message of its own has told you where to "
                    "give it.",
                    "Your letter was not delivered: the recipient's mail system did not know you, and asked "
                    "for a proof that you are no machine, which it did not get in time."},
    [UNREACHABLE] =
        {"4.4.1",
         "Your letter was not delivered yet: so far the recipient's mail system could not be told "
         "that it lies ready.\n"
         "You need not do anything: this is tried again.",
         "Your letter was not delivered: the recipient's mail system could not be told that it "
         "lay ready."},
    [COLLECTED] = {"4.4.2",
                   "Your letter was collected by the recipient's mail system, which has not confirmed yet "
                   "that it arrived. It may well have.\n"
                   "You need not do anything: it is asked again.",
                   NULL},
};

/* The last state that it was in alive. */
static enum ticket_state last_living(const struct ticket *t)
{
    struct ticket_event event;
    enum ticket_state last = t->state;

    if (!ticket_state_ended(t->state))
        return t->state;
    for (size_t i = 0; ticket_event_get(t, i, &event); i++) {
        if (event.what < TICKET_STATE_COUNT && !ticket_state_ended((enum ticket_state)event.what))
            last = (enum ticket_state)event.what;
    }
    return last;
}

static enum standing standing_of(const struct ticket *t)
{
    if (t->handed_over_s != 0)
        return COLLECTED;
    switch (last_living(t)) {
    case TICKET_HELD:
        return HELD_AS_STRANGER;
    case TICKET_CHALLENGED:
        return CHALLENGED;
    default:
        return t->stub_sent_s == 0 ? UNREACHABLE : NEVER_CALLED_FOR;
    }
}

bool notify_decide(const struct ticket *t, struct notify_words *out)
{
    bool tell = t->state == TICKET_PLAIN ? ticket_asks(t, DSN_FAILURE) : ticket_wants_notice(t, t->state);

    if (!tell)
        return false;
    *out = words_of[t->state];
    if (t->state == TICKET_EXPIRED)
        *out = (struct notify_words){DSN_FAILED, "5.4.7", words_at[standing_of(t)].expired, NULL};
    else if (t->state == TICKET_BOUNCED && ticket_letter_lost(t))
        *out = (struct notify_words){
            DSN_FAILED, "5.3.0",
            "Your letter was not delivered: this site's store was restored from a backup that does "
            "not have it, so that it is lost. Please send it again.",
            NULL};
    else if (t->state == TICKET_UNCONFIRMED && t->handed_over_s == 0)
        out->explanation =
            "Your letter lay ready for the recipient's mail system, and was perhaps collected: "
            "this site's store was restored from a backup since, so that it cannot tell.";
    else if (t->state == TICKET_UNCONFIRMED && t->several && t->remote_reason[0] != '\0')
        out->explanation =
            "Your letter was collected by more than one host of the recipient's mail system. One "
            "of them refused it, the other did not confirm that it arrived.";
    return true;
}

bool notify_decide_delay(const struct ticket *t, struct notify_words *out)
{
    if (ticket_state_ended(t->state) || t->state == TICKET_LEASED || !ticket_asks(t, DSN_DELAY))
        return false;
    enum standing standing = standing_of(t);
    *out = (struct notify_words){DSN_DELAYED, words_at[standing].status, words_at[standing].waits, NULL};
    if (t->perhaps && standing != COLLECTED)
        out->explanation =
            "Your letter lies ready for the recipient's mail system, and was perhaps collected: this site's "
            "store was restored from a backup since, so that it cannot tell.\n"
            "You need not do anything: it is asked again.";
    return true;
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

bool notify_gives_up(const struct ticket *t, const struct work *work, const struct smtp_result *result,
                     int64_t now_s)
{
    if (result->err == ERR_OK || result->err == ERR_SMTP_PERMANENT)
        return result->err != ERR_OK;
    return result->code != 0 && work->tries >= GIVE_UP_TRIES && now_s - t->changed_s >= GIVE_UP_S;
}

enum err notify_record(const struct env *env, const struct ticket *t, const struct work *work,
                       const struct smtp_result *result)
{
    char text[STORE_TEXT_MAX];

    if (result->err == ERR_OK || notify_gives_up(t, work, result, clock_now_s())) {
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

    bool tell =
        !e && (work->kind == WORK_DELAY ? notify_decide_delay(&t, &words) : notify_decide(&t, &words));
    if (e == ERR_NOT_FOUND || (!e && !tell))
        e = store_work_done(env->store, work, NULL, clock_now_s());
    else if (!e)
        e = send_notification(env, &t, work, &words);
    if (e)
        outbox_put_off(env, work, e, "a notification");
}
