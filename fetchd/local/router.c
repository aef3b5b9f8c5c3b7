/*
 * router.c - method and path to handler, body limit and pool.
 */
#include "local/router.h"

#include <unistd.h>

#include "local/admin.h"
#include "local/api.h"
#include "local/bounce.h"
#include "local/deposit.h"
#include "local/notice.h"
#include "local/planner.h"

#define NOTICE_MAX 65536    /* bytes: a stub field, a From field, an envelope of one */
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
    } else if (is(x, "POST", API_NOTICE_PATH)) {
        http_collect(x, NOTICE_MAX, notice_handle);
    } else if (is(x, "POST", API_BOUNCE_PATH)) {
        http_stream(x, STREAM_PIECE, bounce_handle);
    } else {
        http_answer(x, 404);
    }
}

void local_admin_router(void *env, struct http_exchange *x)
{
    (void)env;
    if (http_peer(x)->uid != 0 && http_peer(x)->uid != geteuid())
        http_answer(x, 403);
    else if (is(x, "GET", API_STATUS_PATH))
        http_collect(x, 0, admin_status);
    else if (is(x, "GET", API_TICKETS_PATH))
        http_collect(x, 0, admin_tickets);
    else if (is(x, "GET", API_JOBS_PATH))
        http_collect(x, 0, admin_jobs);
    else
        http_answer(x, 404);
}
