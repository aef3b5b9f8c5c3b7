/*
 * archive.c - see archive.h.
 *
 * The copy's reverse-path is the sender's domain's postmaster: when the archive's mailbox bounces what the
 * MTA has taken, he hears of it, and the letter's sender never does.
 */
#include "lifecycle/archive.h"

#include <pthread.h>
#include <string.h>

#include "base/clock.h"
#include "base/kill.h"
#include "env/site.h"
#include "lifecycle/letterfile.h"
#include "lifecycle/story.h"
#include "mail/address.h"
#include "mta/smtp.h"

/* ---- one at a time of each letter */

/* A letter whose copy is under way; lives in the stack of the thread that sends it, until the last of those
 * who wait for it has looked at the outcome. */
struct turn {
    struct turn *next;
    const uint8_t *payload_id;
    unsigned waiting;
    bool over;
    enum err outcome;
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct turn *first;
} turns = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, NULL};

/* True: it is the caller's turn, until turn_end. False: another's was waited for, with this outcome. */
static bool turn_begin(struct turn *mine, enum err *outcome)
{
    struct turn *t;

    pthread_mutex_lock(&turns.lock);
    for (t = turns.first; t; t = t->next) {
        if (!t->over && memcmp(t->payload_id, mine->payload_id, SEAL_PAYLOAD_ID_BYTES) == 0)
            break;
    }
    if (t) {
        t->waiting++;
        while (!t->over)
            pthread_cond_wait(&turns.changed, &turns.lock);
        *outcome = t->outcome;
        t->waiting--;
        pthread_cond_broadcast(&turns.changed);
    } else {
        mine->next = turns.first;
        turns.first = mine;
    }
    pthread_mutex_unlock(&turns.lock);
    return !t;
}

static void turn_end(struct turn *mine, enum err outcome)
{
    pthread_mutex_lock(&turns.lock);
    mine->over = true;
    mine->outcome = outcome;
    pthread_cond_broadcast(&turns.changed);
    while (mine->waiting > 0)
        pthread_cond_wait(&turns.changed, &turns.lock);
    for (struct turn **at = &turns.first; *at; at = &(*at)->next) {
        if (*at == mine) {
            *at = mine->next;
            break;
        }
    }
    pthread_mutex_unlock(&turns.lock);
}

/* ---- the copy */

static ssize_t read_letter(void *arg, void *out, size_t max)
{
    return letterfile_read(arg, out, max);
}

static void log_copy(const struct env *env, const struct ticket *t, const struct smtp_result *result)
{
    char text[STORE_TEXT_MAX];
    struct log_line line;

    smtp_result_text(result, text, sizeof text);
    story_begin(&line, NULL, t);
    log_line_addr(&line, LOG_KEY_JOURNAL, env->site->archive);
    if (result->relay[0])
        log_line_str(&line, LOG_KEY_RELAY, result->relay);
    log_line_num(&line, LOG_KEY_SIZE, (int64_t)t->letter_bytes);
    log_line_status(&line, result->err ? "archive-deferred" : "archived", text);
    log_line_end(&line, result->err ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO);
}

/* Neither listener has our milter: the copy never becomes a stub itself. The one for letters has the site's
 * aliases and knows its own mailboxes alone; elsewhere the copy goes as stubs do. */
static enum err send_copy(const struct env *env, const struct ticket *t)
{
    struct letterfile *letter = NULL;
    struct address sender;
    char postmaster[ADDRESS_TEXT_MAX];
    struct smtp_result result = {.err = ERR_OK};
    enum err e = address_parse(span_of(t->sender), &sender);

    if (e || (e = letterfile_open(env->store, t, &letter)))
        return e;
    snprintf(postmaster, sizeof postmaster, "postmaster@%s", sender.domain);
    const struct smtp_envelope envelope = {.sender = postmaster,
                                           .recipient = env->site->archive,
                                           .notify = "FAILURE",
                                           .ret = "HDRS",
                                           .body = t->body_8bit ? "8BITMIME" : NULL,
                                           .smtputf8 = t->smtputf8,
                                           .size_bytes = t->letter_bytes};
    KILL_POINT("archive-send-before");
    smtp_send(env->site->archive_here ? env->letters_in : env->stubs_out, &envelope, read_letter, letter,
              &result);
    KILL_POINT("archive-send-after");
    letterfile_close(letter);
    log_copy(env, t, &result);
    return result.err ? ERR_UNARCHIVED : store_archived(env->store, t->key, t->payload_id, clock_now_s());
}

/* In the caller's turn: whoever had it before may have done it. */
static enum err copy_once(const struct env *env, const struct ticket *t)
{
    struct ticket now;
    enum err e = store_ticket_get(env->store, t->key, &now);

    if (e || now.archived || memcmp(now.payload_id, t->payload_id, sizeof now.payload_id) != 0)
        return e;
    return send_copy(env, &now);
}

/* What was handed over, or has ended otherwise, leaves no more. */
static bool leaves(const struct ticket *t)
{
    return t->state == TICKET_PLAIN || (!ticket_state_ended(t->state) && t->handed_over_s == 0);
}

enum err archive_first(const struct env *env, struct ticket *t)
{
    const struct ticket was = *t;
    struct turn mine = {.payload_id = was.payload_id};
    enum err e = ERR_OK;

    if (!env->site->archive[0] || t->archived || !leaves(t))
        return ERR_OK;
    if (turn_begin(&mine, &e)) {
        e = copy_once(env, &was);
        turn_end(&mine, e);
    }
    /* Closed to claims already, it was not marked; its copy is there all the same. */
    if (e == ERR_OK || e == ERR_GONE)
        e = store_ticket_get(env->store, was.key, t);
    if (e)
        return e;
    return t->archived || t->state == TICKET_PLAIN || !leaves(t) ? ERR_OK : ERR_UNARCHIVED; /* replaced */
}
