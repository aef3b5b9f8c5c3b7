/*
 * planner.c - see planner.h.
 */
#include "local/planner.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/kill.h"
#include "base/log.h"
#include "env/env.h"
#include "local/answer.h"
#include "local/correspondents.h"
#include "local/legacy.h"
#include "local/plan.h"
#include "mail/retention.h"
#include "settings/settings.h"
#include "store/store.h"

#define DNS_BUDGET_MS 5000 /* for all domains of a message together: SMTP waits */

/* Below the floor automatic mail goes plain: the rest of the disk is for what may not. */
static bool disk_is_low(const struct env *env)
{
    struct store_counts counts;

    return store_count(env->store, &counts) == ERR_OK &&
           counts.disk_free_bytes / 100 <
               counts.disk_total_bytes / 10000 * (uint64_t)env->settings->disk_floor_percent;
}

static bool some_auto(const struct plan *plan, size_t domain)
{
    for (size_t i = 0; i < plan->recipient_count; i++) {
        if (plan->recipient[i].want == PLAN_WANT_AUTO && plan->recipient[i].domain == domain)
            return true;
    }
    return false;
}

static void log_domain(const char *queue_id, const char *domain, const char *status, const char *detail)
{
    struct log_line line;

    log_line_begin(&line, queue_id);
    log_line_str(&line, LOG_KEY_DOMAIN, domain);
    log_line_status(&line, status, detail);
    log_line_end(&line, LOG_LEVEL_WARNING);
}

/* Whenever DNS or the disk, and not the domain, decided that mail goes plain. */
static void log_unusual(const struct plan *plan, const struct discovery_answer *answer, bool disk_low,
                        const char *queue_id)
{
    for (size_t i = 0; i < plan->domain_count; i++) {
        if (answer[i].remembered)
            log_domain(queue_id, plan->domain[i], answer[i].word == DISCOVERY_YES ? "stub" : "plain",
                       "DNS failed: the last known answer");
        else if (answer[i].word == DISCOVERY_UNKNOWN && some_auto(plan, i))
            log_domain(queue_id, plan->domain[i], "plain", "DNS failed, and nothing is known of the domain");
        else if (disk_low && answer[i].word == DISCOVERY_YES && some_auto(plan, i))
            log_domain(queue_id, plan->domain[i], "plain", "the disk is below disk_floor_percent");
    }
}

static void log_refused(const struct api_envelope *envelope, const struct api_reply *reply)
{
    struct log_line line;

    log_line_begin(&line, envelope->queue_id);
    log_line_addr(&line, LOG_KEY_FROM, envelope->sender);
    if (envelope->recipient_count)
        log_line_addr(&line, LOG_KEY_TO, envelope->recipient[0].address);
    log_line_num(&line, LOG_KEY_NRCPT, (int64_t)envelope->recipient_count);
    log_line_status(&line, reply->smtp / 100 == 4 ? "deferred" : "refused", reply->text);
    log_line_end(&line, LOG_LEVEL_INFO);
}

/* A letter that asks for a time of its own to wait is told at once when it cannot have it: later nobody
 * would look at the field again. */
static void refuse_unkept(const struct env *env, const struct api_plan *request, struct api_plan_answer *out)
{
    struct retention retention = {.asked_s = 0};
    const int64_t min_s = env->settings->min_retention_s, max_s = env->settings->max_retention_s;
    char text[sizeof out->refuse.text], shortest[CONFIG_DURATION_MAX], longest[CONFIG_DURATION_MAX];

    for (size_t i = 0; i < request->field_count; i++)
        retention_field(&retention, span_of(request->field[i].name), span_of(request->field[i].value));
    if (retention_fits(&retention, min_s, max_s))
        return;
    config_duration_text(min_s, shortest);
    config_duration_text(max_s, longest);
    snprintf(text, sizeof text, "%s must be one time such as 12h or 7d, from %s to %s", RETENTION_FIELD_NAME,
             shortest, longest);
    api_reply_of_error(ERR_RETENTION, text, &out->refuse);
}

/* The second step, with what DNS says. */
static enum err decide(const struct env *env, const struct api_plan *request, const struct plan *plan,
                       struct api_plan_answer *out)
{
    const char *queue_id = request->envelope.queue_id;
    struct discovery_answer *answer = calloc(plan->domain_count + 1, sizeof *answer);

    if (!answer)
        return ERR_NOMEM;
    bool disk_low = plan->domain_count && disk_is_low(env);
    discovery_ask(env, (const char *const *)plan->domain, plan->domain_count, clock_mono_ms() + DNS_BUDGET_MS,
                  answer);
    enum err e = plan_decide(plan, answer, disk_low, out);
    if (!e && out->want_body && !out->refuse.smtp)
        refuse_unkept(env, request, out);
    if (!e)
        log_unusual(plan, answer, disk_low, queue_id);
    free(answer);
    return e;
}

/* ERR_WOULD_WAIT: DNS must be waited for, and may not be here. */
static enum err find_answer(const struct env *env, const struct api_plan *request, const struct plan *plan,
                            bool may_wait, struct api_plan_answer *out)
{
    if (plan->kind == API_LEGACY)
        return legacy_plan(env, request, may_wait, out);
    if (!may_wait && discovery_waits(env, (const char *const *)plan->domain, plan->domain_count))
        return ERR_WOULD_WAIT;
    return decide(env, request, plan, out);
}

static void answer_plan(const struct env *env, struct http_exchange *x, const struct api_plan *request,
                        const struct plan *plan, const struct api_plan_answer *answer)
{
    struct buf json;

    if (answer->refuse.smtp)
        log_refused(&request->envelope, &answer->refuse);
    else if (plan->reason)
        log_debug("%s: not for us: %s", request->envelope.queue_id ? request->envelope.queue_id : "-",
                  plan->reason);
    buf_init(&json, API_HEAD_MAX);
    enum err e = api_plan_answer_format(answer, &json);
    if (e) {
        buf_free(&json);
        answer_error(x, e, NULL);
        return;
    }
    KILL_POINT("plan-answer-before");
    answer_json(x, 200, &json);
    /* Nobody waits for this. */
    if (plan->kind == API_LETTER && !answer->refuse.smtp)
        correspondents_note(env, request);
}

/* On env->lookup or, for mail from outside, on env->notices. */
static void planner_handle_waiting(void *env, struct http_exchange *x);

static void answer_or_move(const struct env *env, struct http_exchange *x, bool may_wait)
{
    struct api_plan request;
    struct api_plan_answer answer;
    struct plan plan;
    enum err e = api_plan_parse(http_body(x), &request);

    if (e) {
        answer_error(x, e, NULL);
        return;
    }
    if (!(e = plan_sort(env->site, env->routes, &request, &plan))) {
        e = find_answer(env, &request, &plan, may_wait, &answer);
        if (!e) {
            answer_plan(env, x, &request, &plan, &answer);
            api_plan_answer_free(&answer);
        } else if (e == ERR_WOULD_WAIT) {
            http_move(x, plan.kind == API_LEGACY ? env->notices : env->lookup, planner_handle_waiting);
        }
        plan_free(&plan);
    }
    if (e && e != ERR_WOULD_WAIT)
        answer_error(x, e, NULL);
    api_plan_free(&request);
}

static void planner_handle_waiting(void *env, struct http_exchange *x)
{
    answer_or_move(env, x, true);
}

void planner_handle(void *env, struct http_exchange *x)
{
    answer_or_move(env, x, false);
}
