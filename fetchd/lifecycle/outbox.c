/*
 * outbox.c - see outbox.h.
 */
#include "lifecycle/outbox.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/secret.h"
#include "lifecycle/announce.h"
#include "lifecycle/archive.h"
#include "lifecycle/lifecycle.h"
#include "lifecycle/renotify.h"
#include "lifecycle/story.h"
#include "mta/smtp.h"
#include "settings/settings.h"

#define DNS_BUDGET_MS 10000 /* nobody waits */
#define ASK_AGAIN_S 900     /* a domain of which nothing is known now */
#define COME_BACK_S 60

/* Up to a quarter more, at random. */
static int64_t jittered(int64_t wait_s)
{
    uint32_t dice = 0;

    if (secret_random(&dice, sizeof dice) == ERR_OK)
        wait_s += wait_s * (int64_t)(dice % 256) / 1024;
    return wait_s;
}

int64_t outbox_next_try(const struct env *env, uint32_t tries, int64_t now_s)
{
    int64_t wait = env->settings->outbox_retry_min_s;

    while (tries-- > 0 && wait < env->settings->outbox_retry_max_s)
        wait *= 2;
    if (wait > env->settings->outbox_retry_max_s)
        wait = env->settings->outbox_retry_max_s;
    return now_s + jittered(wait);
}

void outbox_put_off(const struct env *env, const struct work *work, enum err why, const char *what)
{
    log_error("%s was not sent: %s", what, err_text(why));
    enum err e =
        store_work_later(env->store, work, outbox_next_try(env, work->tries, clock_now_s()), err_text(why));

    if (e)
        log_error("an entry of the outbox stays as it was: %s", err_text(e));
}

ssize_t outbox_read(void *arg, void *out, size_t max)
{
    struct outbox_reading *r = arg;
    size_t len = r->from->len - r->offset;

    if (len > max)
        len = max;
    if (len)
        memcpy(out, r->from->data + r->offset, len);
    r->offset += len;
    return (ssize_t)len;
}

/* ---- the stub */

static void log_stub(const struct ticket *t, const struct work *work, const struct smtp_result *result,
                     const char *status, const char *text)
{
    struct log_line line;

    story_begin(&line, NULL, t);
    if (result->relay[0])
        log_line_str(&line, LOG_KEY_RELAY, result->relay);
    log_line_num(&line, LOG_KEY_ATTEMPTS, work->tries + 1);
    log_line_delay(&line, (clock_now_s() - t->created_s) * 1000);
    log_line_status(&line, status, text);
    log_line_end(&line, LOG_LEVEL_INFO);
}

static enum err try_later(const struct env *env, const struct work *work, const struct renotify *look,
                          const char *why)
{
    int64_t now_s = clock_now_s(), next_s = outbox_next_try(env, work->tries, now_s);

    if (look->next_s > now_s && look->next_s < next_s)
        next_s = look->next_s; /* the sender's warning is not put off with it */
    return store_work_later(env->store, work, next_s, why);
}

static enum err record(const struct env *env, const struct ticket *t, const struct work *work,
                       const struct renotify *look, const struct smtp_result *result)
{
    int64_t now_s = clock_now_s();
    char text[STORE_TEXT_MAX];

    smtp_result_text(result, text, sizeof text);
    if (result->err == ERR_OK) {
        log_stub(t, work, result, "stub-sent", text);
        return store_stub_sent(env->store, work, result->queue_id, look->next_s, now_s);
    }
    if (result->err == ERR_SMTP_PERMANENT) {
        log_stub(t, work, result, "stub-refused", text);
        return store_work_refused(env->store, work, result->enhanced[0] ? result->enhanced : "5.0.0", text,
                                  now_s);
    }
    log_stub(t, work, result, "stub-deferred", text);
    return try_later(env, work, look, text);
}

static enum err send_stub(const struct env *env, const struct ticket *t, const struct work *work,
                          const struct renotify *look)
{
    struct smtp_result result = {.err = ERR_OK};
    enum err e = announce_send(env, t, &result);

    return e ? e : record(env, t, work, look, &result);
}

/* ---- telling again */

static void log_way(const struct ticket *t, const char *status, const char *why)
{
    struct log_line line;

    story_begin(&line, NULL, t);
    log_line_str(&line, LOG_KEY_STATE, ticket_state_name(t->state));
    log_line_delay(&line, (clock_now_s() - t->created_s) * 1000);
    log_line_status(&line, status, why);
    log_line_end(&line, LOG_LEVEL_INFO);
}

/* The letter will go by plain SMTP: first the ticket is closed to claims, durably, so that it cannot be
 * collected as well. Dies fetchd between that and the letter's sending, WORK_PLAIN is due after its start. */
static enum err go_plain(const struct env *env, const struct ticket *t, const struct work *work,
                         const struct renotify *look, const char *why)
{
    struct ticket closed;
    enum err e = store_plain(env->store, t->key, why, clock_now_s(), &closed);

    if (e == ERR_OK)
        log_way(&closed, "plain-due", why);
    else if (e != ERR_HANDED_OVER && e != ERR_GONE && e != ERR_RESTORED)
        return e;
    /* Called for at this very moment, or ended: nothing is to be done, or its end has said so. */
    e = store_stub_wait(env->store, work, look->next_s);
    lifecycle_wake(env->lifecycle);
    return e;
}

static enum renotify_way way_of(const struct env *env, const struct ticket *t,
                                const struct discovery_answer *answer, enum route *route)
{
    struct address recipient;

    if (address_parse(span_of(t->recipient), &recipient))
        return RENOTIFY_LATER;
    *route = routes_find(env->routes, &recipient);
    return renotify_way(t, *route, answer);
}

static enum err tell_again(const struct env *env, const struct ticket *t, const struct work *work,
                           const struct renotify *look, const struct discovery_answer *answer)
{
    enum route route = ROUTE_AUTO;

    switch (way_of(env, t, answer, &route)) {
    case RENOTIFY_STUB:
        return send_stub(env, t, work, look);
    case RENOTIFY_PLAIN:
        return go_plain(env, t, work, look,
                        route == ROUTE_PLAIN ? "the table of domains says plain"
                                             : "the recipient's domain no longer takes stubs");
    case RENOTIFY_LATER:
        break;
    }
    if (answer->remembered || answer->word == DISCOVERY_UNKNOWN) {
        log_way(t, "stub-deferred",
                "DNS failed: whether the recipient's domain still takes stubs is unknown");
        return store_stub_wait(env->store, work, clock_now_s() + jittered(ASK_AGAIN_S));
    }
    log_way(t, "stub-deferred",
            "the recipient's domain no longer takes stubs, and the letter may not go plain");
    return store_stub_wait(env->store, work, look->next_s);
}

/* ---- a look */

static enum err domain_of(const struct ticket *t, char out[ADDRESS_DOMAIN_MAX + 1])
{
    struct address recipient;
    enum err e = address_parse(span_of(t->recipient), &recipient);

    if (!e)
        snprintf(out, ADDRESS_DOMAIN_MAX + 1, "%s", recipient.domain);
    return e;
}

static void ask(const struct env *env, const char *domain, struct discovery_answer *out)
{
    discovery_ask(env, &domain, 1, clock_mono_ms() + DNS_BUDGET_MS, out);
}

void outbox_ask(const struct env *env, const struct work *work, struct discovery_answer *out)
{
    struct ticket t;
    char domain[ADDRESS_DOMAIN_MAX + 1];

    *out = (struct discovery_answer){.word = DISCOVERY_UNKNOWN};
    if (store_ticket_get(env->store, work->key, &t) == ERR_OK && domain_of(&t, domain) == ERR_OK)
        ask(env, domain, out);
}

void outbox_come_back(const struct env *env, const struct work *work)
{
    enum err e = store_stub_wait(env->store, work, clock_now_s() + jittered(COME_BACK_S));

    if (e)
        log_error("an entry of the outbox stays as it was: %s", err_text(e));
}

/* What is known without waiting, or was asked for; false: neither. */
static bool find_answer(const struct env *env, const struct ticket *t, const struct discovery_answer *given,
                        struct discovery_answer *out)
{
    char domain[ADDRESS_DOMAIN_MAX + 1];
    const char *name = domain;

    *out = (struct discovery_answer){.word = DISCOVERY_UNKNOWN};
    if (given)
        *out = *given;
    else if (domain_of(t, domain) == ERR_OK) {
        if (discovery_waits(env, &name, 1))
            return false;
        ask(env, domain, out);
    }
    return true;
}

static enum err act_on(const struct env *env, const struct ticket *t, const struct work *work,
                       const struct renotify *look, const struct discovery_answer *answer)
{
    switch (look->act) {
    case RENOTIFY_STOP:
        return store_stub_wait(env->store, work, 0);
    case RENOTIFY_WAIT:
        return store_stub_wait(env->store, work, look->next_s);
    case RENOTIFY_FIRST:
    case RENOTIFY_RECALL:
        return send_stub(env, t, work, look);
    case RENOTIFY_AGAIN:
        break;
    }
    return tell_again(env, t, work, look, answer);
}

/* Not of a letter that goes out plain at this very moment: it waits no longer. */
static enum err warn(const struct env *env, const struct ticket *t, const struct renotify *look,
                     const struct discovery_answer *answer)
{
    enum route route;

    if (look->act == RENOTIFY_AGAIN && way_of(env, t, answer, &route) == RENOTIFY_PLAIN)
        return ERR_OK;
    enum err e = store_delay_due(env->store, t->key, clock_now_s());

    lifecycle_wake(env->lifecycle);
    return e == ERR_GONE || e == ERR_LEASED || e == ERR_NOT_FOUND ? ERR_OK : e;
}

bool outbox_look(const struct env *env, const struct work *work, const struct discovery_answer *given)
{
    struct ticket t;
    struct renotify look;
    struct discovery_answer answer = {.word = DISCOVERY_UNKNOWN};
    const struct renotify_rules rules = {.schedule_s = env->settings->renotify_s,
                                         .count = env->settings->renotify_count,
                                         .held_fresh_s = env->settings->held_fresh_s,
                                         .delay_warning_s = env->settings->delay_warning_s,
                                         .lease_total_s = env->settings->lease_total_s};
    enum err e = store_ticket_get(env->store, work->key, &t);

    if (e == ERR_NOT_FOUND) {
        e = store_stub_wait(env->store, work, 0);
    } else if (!e) {
        enum err archive = archive_first(env, &t);
        renotify_look(&t, &rules, clock_now_s(), &look);
        if (!archive && look.act == RENOTIFY_AGAIN && !find_answer(env, &t, given, &answer))
            return false;
        if (look.warn)
            e = warn(env, &t, &look, &answer);
        if (!e)
            e = archive == ERR_UNARCHIVED ? try_later(env, work, &look, ARCHIVE_WAITS)
                : archive                 ? archive
                                          : act_on(env, &t, work, &look, &answer);
    }
    if (e)
        outbox_put_off(env, work, e, "a stub");
    return true;
}
