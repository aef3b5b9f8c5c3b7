/*
 * archive.c - see archive.h.
 *
 * On top of the copy stands the envelope, a field for each address, since the letter itself need not say whom
 * it is for (Bcc), nor who sent it; an MTA would cut one field that names a thousand.
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
#include "lifecycle/outbox.h"
#include "lifecycle/story.h"
#include "mail/address.h"
#include "mta/smtp.h"

#define ENVELOPE_MAX (16u << 20) /* bytes: tens of thousands of recipients */

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

struct copy {
    struct buf envelope; /* header fields */
    struct outbox_reading reading;
    struct letterfile *letter;
};

static enum err add_recipient(void *arg, const char *recipient)
{
    return buf_printf(arg, ARCHIVE_TO ": <%s>\r\n", recipient);
}

static enum err copy_open(const struct env *env, const struct ticket *t, struct copy *out)
{
    enum err e;

    *out = (struct copy){.reading = {.from = &out->envelope}};
    buf_init(&out->envelope, ENVELOPE_MAX);
    if (!(e = buf_printf(&out->envelope, ARCHIVE_FROM ": <%s>\r\n", t->sender)) &&
        !(e = store_letter_recipients(env->store, t, add_recipient, &out->envelope)))
        e = letterfile_open(env->store, t, &out->letter);
    return e;
}

static void copy_close(struct copy *c)
{
    letterfile_close(c->letter);
    buf_free(&c->envelope);
}

static ssize_t copy_read(void *arg, void *out, size_t max)
{
    struct copy *c = arg;
    ssize_t got = outbox_read(&c->reading, out, max);

    return got ? got : letterfile_read(c->letter, out, max);
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
    struct copy copy;
    struct address sender;
    char postmaster[ADDRESS_TEXT_MAX];
    struct smtp_result result = {.err = ERR_OK};
    enum err e = address_parse(span_of(t->sender), &sender);

    if (e)
        return e;
    if ((e = copy_open(env, t, &copy))) {
        copy_close(&copy);
        return e;
    }
    snprintf(postmaster, sizeof postmaster, "postmaster@%s", sender.domain);
    const struct smtp_envelope envelope = {.sender = postmaster,
                                           .recipient = env->site->archive,
                                           .notify = "FAILURE",
                                           .ret = "HDRS",
                                           .body = t->body_8bit ? "8BITMIME" : NULL,
                                           .smtputf8 = t->smtputf8,
                                           .size_bytes = copy.envelope.len + t->letter_bytes};
    KILL_POINT("archive-send-before");
    smtp_send(env->site->archive_here ? env->letters_in : env->stubs_out, &envelope, copy_read, &copy,
              &result);
    KILL_POINT("archive-send-after");
    copy_close(&copy);
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
    if (e == ERR_OK || e == ERR_GONE)
        e = store_ticket_get(env->store, was.key, t);
    if (e)
        return e;
    return t->archived || !leaves(t) ? ERR_OK : ERR_UNARCHIVED; /* replaced */
}
