/*
 * quota_notice.c - see quota_notice.h.
 */
#include "lifecycle/quota_notice.h"

#include <inttypes.h>

#include "base/clock.h"
#include "env/site.h"
#include "lifecycle/limits.h"
#include "lifecycle/outbox.h"
#include "lifecycle/sender_message.h"
#include "mail/address.h"
#include "mail/fold.h"
#include "settings/settings.h"

static bool is_address(const char *text)
{
    struct address address;

    return address_parse(span_of(text), &address) == ERR_OK && !address.null;
}

const char *quota_notice_to(const struct ticket *t)
{
    if (is_address(t->owner))
        return t->owner;
    return t->bulk || !is_address(t->sender) ? NULL : t->sender;
}

/* ---- the message */

static enum err put_use(uint64_t have, int64_t limit, uint64_t unit, const char *name, struct buf *out)
{
    if (limit <= 0)
        return ERR_OK;
    return buf_printf(out, "%s: %" PRIu64 " of %" PRId64 "\n", name, have / unit, limit / (int64_t)unit);
}

static enum err put_text(const struct quota_use *use, const struct quota_limits *limits, const char *hostname,
                         struct buf *text)
{
    enum err e =
        buf_printf(text, "Your letters lie at your own mail system until their recipients collect them.\n"
                         "Those that lie there now take up most of the room that you have:\n"
                         "\n");

    if (!e)
        e = put_use(use->letters, limits->owner_letters, 1, "Letters", text);
    if (!e)
        e = put_use(use->bytes, limits->owner_bytes, 1024, "Kilobytes", text);
    if (!e)
        e = buf_printf(text,
                       "\n"
                       "When it is used up, further letters are not accepted for the time being, and\n"
                       "your mail program keeps them. Each letter that is collected, expires, or is\n"
                       "taken back makes room again. You need not do anything now, and you are not\n"
                       "told again until there was more room meanwhile.\n"
                       "\n"
                       "This message is from your mail system, %s.\n",
                       hostname);
    return e;
}

enum err quota_notice_format(const struct ticket *t, const struct quota_use *use,
                             const struct quota_limits *limits, const char *hostname, int64_t now_s,
                             struct buf *out)
{
    enum err e;
    struct buf subject, text;
    const char *to = quota_notice_to(t);

    if (!to)
        return ERR_ADDRESS;
    buf_init(&subject, FOLD_FIELD_MAX);
    buf_init(&text, SENDER_MESSAGE_MAX);
    if (!(e = buf_append_str(&subject, "Letters that wait take up most of your room")) &&
        !(e = sender_message_fields(t, to, "quota", &subject, hostname, now_s, out)) &&
        !(e = put_text(use, limits, hostname, &text)))
        e = sender_message_text(&text, out);
    buf_free(&text);
    buf_free(&subject);
    return e;
}

/* ---- sending */

static enum err send_notice(const struct env *env, const struct ticket *t, const struct quota_use *use,
                            const struct work *work)
{
    struct buf message;
    struct quota_limits limits;

    limits_of(env->settings, &limits);
    buf_init(&message, SENDER_MESSAGE_MAX);
    enum err e = quota_notice_format(t, use, &limits, env->site->hostname, clock_now_s(), &message);
    if (!e)
        e = sender_message_send(env, t, quota_notice_to(t), work, &message);
    buf_free(&message);
    return e;
}

void quota_notice_send(const struct env *env, const struct work *work)
{
    struct ticket t;
    struct quota_use use = {.warned_s = 0};
    enum err e = store_ticket_get(env->store, work->key, &t);

    if (!e)
        e = store_quota(env->store, t.owner, &use);
    /* Less again meanwhile: there is nothing to warn of, and the next time counts as the first. */
    if (e == ERR_NOT_FOUND || (!e && (!use.warned_s || !quota_notice_to(&t))))
        e = store_work_done(env->store, work, NULL, clock_now_s());
    else if (!e)
        e = send_notice(env, &t, &use, work);
    if (e)
        outbox_put_off(env, work, e, "a message about a quota");
}
