/*
 * challenge_notice.c - see challenge_notice.h.
 */
#include "lifecycle/challenge_notice.h"

#include <string.h>

#include "base/clock.h"
#include "env/site.h"
#include "lifecycle/letterfile.h"
#include "lifecycle/outbox.h"
#include "lifecycle/sender_message.h"
#include "mail/address.h"
#include "mail/encoded_word.h"
#include "mail/fold.h"
#include "mail/header.h"
#include "mail/report.h"
#include "seal/crypt.h"
#include "settings/settings.h"
#include "store/policy.h"

#define SUBJECT_MAX 500 /* bytes of the letter's subject */

bool challenge_notice_wanted(const struct ticket *t)
{
    return t->state == TICKET_CHALLENGED && t->challenge_url[0] && !t->bulk &&
           !span_is_nocase(span_of(t->notify), "NEVER");
}

/* ---- the message */

static enum err append_subject(const struct ticket *t, const char *subject, struct buf *out)
{
    enum err e = buf_append_str(out, "Your letter is not delivered yet");

    if (e || !subject || !subject[0])
        return e;
    if ((e = buf_append_str(out, ": ")))
        return e;
    return t->smtputf8 || report_is_ascii(span_of(subject)) ? fold_clean(subject, out)
                                                            : encoded_word_append(span_of(subject), out);
}

static enum err put_reference(const struct ticket *t, const char *name, struct buf *out)
{
    struct buf value;
    enum err e;

    if (!t->message_id[0] || !report_is_ascii(span_of(t->message_id)))
        return ERR_OK;
    buf_init(&value, FOLD_FIELD_MAX);
    if (!(e = buf_append_char(&value, '<')) && !(e = fold_clean(t->message_id, &value)) &&
        !(e = buf_append_char(&value, '>')))
        e = report_field(out, name, &value);
    buf_free(&value);
    return e;
}

static enum err put_header(const struct ticket *t, const char *hostname, const char *subject, int64_t now_s,
                           struct buf *out)
{
    enum err e;
    struct buf value;

    buf_init(&value, FOLD_FIELD_MAX);
    if (!(e = append_subject(t, subject, &value)) &&
        !(e = sender_message_fields(t, t->sender, "challenge", &value, hostname, now_s, out)) &&
        !(e = put_reference(t, "In-Reply-To", out)))
        e = put_reference(t, "References", out);
    buf_free(&value);
    return e;
}

static enum err put_text(const struct ticket *t, const char *hostname, struct buf *out)
{
    enum err e;
    struct buf text;
    struct address recipient;
    char written[CLOCK_RFC5322_MAX], end[CLOCK_RFC5322_MAX];

    if ((e = address_parse(span_of(t->recipient), &recipient)))
        return e;
    clock_rfc5322(t->created_s, written);
    clock_rfc5322(t->expires_s, end);
    buf_init(&text, SENDER_MESSAGE_MAX);
    e = buf_printf(&text,
                   "Your letter was not delivered yet. Its recipient does not know you, and asks\n"
                   "those whom he does not know for a proof that they are no machine.\n"
                   "\n"
                   "Recipient: %s\n"
                   "Letter of: %s\n",
                   t->recipient, written);
    if (!e && t->message_id[0])
        e = buf_printf(&text, "Message-ID: <%s>\n", t->message_id);
    if (!e)
        e = buf_printf(&text,
                       "\n"
                       "Please open this page, which is at the recipient's mail site, and do what it says:\n"
                       "\n"
                       "%s\n"
                       "\n"
                       "Then this letter is delivered, and so are all that follow: you need not do it\n"
                       "again. If you do nothing, the letter waits until %s.\n"
                       "\n"
                       "The page is on a host that %s names as its own. Nobody but you was told of it:\n"
                       "this message is from your own mail system, %s.\n",
                       t->challenge_url, end, recipient.domain, hostname);
    if (!e)
        e = sender_message_text(&text, out);
    buf_free(&text);
    return e;
}

enum err challenge_notice_format(const struct ticket *t, const char *hostname, const char *subject,
                                 int64_t now_s, struct buf *out)
{
    enum err e = put_header(t, hostname, subject, now_s, out);

    return e ? e : put_text(t, hostname, out);
}

/* The letter's own Subject as it stands there, unfolded; left empty when there is none, it is very long, or
 * the letter cannot be read: the message goes without it. */
static void read_subject(const struct env *env, const struct ticket *t, struct buf *out)
{
    struct letterfile *letter;
    struct header_field field;
    struct buf header;

    if (letterfile_open(env->store, t, &letter))
        return;
    buf_init_secret(&header, LETTERFILE_HEADER_MAX);
    if (letterfile_header(letter, &header) == ERR_OK) {
        struct span rest = buf_span(&header);
        bool found = false;
        while (!found && header_next(&rest, &field))
            found = span_is_nocase(field.name, "Subject");
        if (found && header_unfold(field.value, out))
            buf_clear(out);
    }
    buf_free(&header);
    letterfile_close(letter);
}

/* ---- sending */

/* ERR_EXISTS: this sender was told of this recipient in the period. */
static enum err spend(const struct env *env, const struct ticket *t)
{
    uint8_t what[CRYPT_SHA256_BYTES];
    char pair[2 * STORE_ADDRESS_MAX + 1];
    int len = snprintf(pair, sizeof pair, "%s\n%s", t->sender, t->recipient);

    for (int i = 0; i < len; i++)
        pair[i] = pair[i] >= 'A' && pair[i] <= 'Z' ? (char)(pair[i] + 32) : pair[i];
    const struct span parts[] = {SPAN_LITERAL("challenge told "), span_of(pair)};
    enum err e = crypt_sha256v(parts, 2, what);
    return e ? e : store_spend(env->store, what, clock_now_s() + env->settings->challenge_period_s);
}

static enum err send_notice(const struct env *env, const struct ticket *t, const struct work *work)
{
    struct buf subject, message;
    enum err e = ERR_OK;

    buf_init(&subject, SUBJECT_MAX);
    buf_init(&message, SENDER_MESSAGE_MAX);
    read_subject(env, t, &subject);
    e = challenge_notice_format(t, env->site->hostname, buf_cstr(&subject), clock_now_s(), &message);
    /* Spent as late as can be, but before it is sent: a crash between here and the MTA's answer tells the
     * sender nothing in this period rather than the same twice. Later tries have spent it at the first. */
    if (!e && (e = spend(env, t)) == ERR_EXISTS && work->tries > 0)
        e = ERR_OK;
    if (!e)
        e = sender_message_send(env, t, t->sender, work, &message);
    else if (e == ERR_EXISTS)
        e = store_work_done(env->store, work, NULL, clock_now_s());
    buf_free(&message);
    buf_free(&subject);
    return e;
}

void challenge_notice_send(const struct env *env, const struct work *work)
{
    struct ticket t;
    enum err e = store_ticket_get(env->store, work->key, &t);

    if (e == ERR_NOT_FOUND || (!e && !challenge_notice_wanted(&t)))
        e = store_work_done(env->store, work, NULL, clock_now_s());
    else if (!e)
        e = send_notice(env, &t, work);
    if (e)
        outbox_put_off(env, work, e, "a message about a challenge");
}
