/*
 * router.c - method and path to handler, body limit and pool.
 */
#include "local/router.h"

#include "env/env.h"
#include "local/admin.h"
#include "local/admin_keys.h"
#include "local/admin_policy.h"
#include "local/admin_quota.h"
#include "local/admin_recall.h"
#include "local/admin_senders.h"
#include "local/admin_store.h"
#include "local/admin_tickets.h"
#include "local/admin_tokens.h"
#include "local/api.h"
#include "local/bounce.h"
#include "local/complain.h"
#include "local/deposit.h"
#include "local/explain.h"
#include "local/keep.h"
#include "local/notice.h"
#include "local/planner.h"
#include "local/replace.h"

#define STREAM_PIECE 65536u /* bytes to gather before a handler is called again */

static bool is(const struct http_exchange *x, const char *method, const char *path)
{
    return span_is(http_path(x), path) && span_is(http_method(x), method);
}

void local_deposit_router(void *env, struct http_exchange *x)
{
    (void)env;
    if (is(x, "POST", API_PLAN_PATH)) {
        http_collect(x, API_HEAD_MAX, planner_handle);
    } else if (is(x, "POST", API_DEPOSIT_PATH)) {
        http_stream(x, STREAM_PIECE, deposit_handle);
    } else if (is(x, "POST", API_KEEP_PATH)) {
        http_stream(x, STREAM_PIECE, keep_handle);
    } else if (is(x, "POST", API_NOTICE_PATH)) {
        http_collect(x, API_NOTICE_MAX, notice_handle);
    } else if (is(x, "POST", API_BOUNCE_PATH)) {
        http_stream(x, STREAM_PIECE, bounce_handle);
    } else {
        http_answer(x, 404);
    }
}

/* Who may is asked by the handlers: it depends on whose mailbox it is. */
static const struct {
    const char *method, *path;
    http_handler handler;
    size_t body_max;
    bool waits; /* on DNS, on the MTA, or on a look through the store */
} admin_calls[] = {
    /* clang-format off */
    {"GET", API_STATUS_PATH, admin_status, 0, false},
    {"GET", API_TICKETS_PATH, admin_tickets, 0, false},
    {"GET", API_TICKET_PATH, admin_ticket, 0, false},
    {"POST", API_RETRACT_PATH, admin_retract, 0, false},
    {"POST", API_HOLD_PATH, admin_hold, 0, false},
    {"GET", API_QUOTA_PATH, admin_quota, 0, false},
    {"GET", API_JOBS_PATH, admin_jobs, 0, false},
    {"GET", API_ATTEMPTS_PATH, admin_attempts, 0, false},
    {"GET", API_RULES_PATH, admin_rules, 0, false},
    {"POST", API_ALLOW_PATH, admin_allow, 0, false},
    {"POST", API_DENY_PATH, admin_deny, 0, false},
    {"POST", API_FORGET_PATH, admin_forget, 0, false},
    {"GET", API_POLICY_PATH, admin_policy_show, 0, false},
    {"POST", API_POLICY_PATH, admin_policy_set, 0, false},
    {"GET", API_TOKENS_PATH, admin_tokens, 0, false},
    {"POST", API_TOKENS_PATH, admin_token_add, 0, false},
    {"POST", API_REVOKE_PATH, admin_revoke, 0, false},
    {"POST", API_BACKUP_PATH, admin_backup, 0, false},
    {"POST", API_CHECK_PATH, admin_check, 0, false},
    {"POST", API_EXPLAIN_PATH, explain_handle, API_HEAD_MAX, true},
    {"GET", API_KEYS_PATH, admin_keys_show, 0, true},
    {"POST", API_KEYS_PATH, admin_keys_change, 0, true},
    {"GET", API_COMPLAIN_PATH, complain_show, 0, true},
    {"POST", API_COMPLAIN_PATH, complain_send, 0, true},
    /* clang-format on */
};

void local_admin_router(void *env_, struct http_exchange *x)
{
    const struct env *env = env_;

    if (is(x, "POST", API_REPLACE_PATH)) {
        http_stream(x, STREAM_PIECE, replace_handle);
        return;
    }
    for (size_t i = 0; i < sizeof admin_calls / sizeof admin_calls[0]; i++) {
        if (!is(x, admin_calls[i].method, admin_calls[i].path))
            continue;
        if (admin_calls[i].waits)
            http_use_pool(x, env->lookup);
        http_collect(x, admin_calls[i].body_max, admin_calls[i].handler);
        return;
    }
    http_answer(x, 404);
}
