/*
 * admin_keys.c - see admin_keys.h.
 */
#include "local/admin_keys.h"

#include <stdlib.h>
#include <string.h>

#include "admission/challenge.h"
#include "base/clock.h"
#include "base/log.h"
#include "local/question.h"
#include "settings/settings.h"
#include "store/epochs.h"
#include "ticket/keyfile.h"

#define WHY_MAX 250  /* as in an answer */
#define SLACK_S 3600 /* what was begun under a key is committed by then */

enum err admin_keys_reload(const struct env *env, struct buf *why)
{
    struct site_keys *fresh = NULL;
    size_t count = 0;
    enum err e = keyfile_load(env->settings->site_keys_file, &fresh, why);

    if (!e)
        e = store_keys_reload(env->store, fresh, clock_now_s(), why);
    if (e)
        return e;
    log_info("site keys read again: epoch %u is the current one", site_keys_current(env->keys));
    if ((e = store_reseal(env->store, &count)))
        log_warning("contact attempts stay under older site keys for now: %s", err_text(e));
    else if (count)
        log_info("%zu rows of contact attempts sealed under the current site key", count);
    return ERR_OK; /* the keys are there, and the rest is done with the next call */
}

/* A challenge's link is made with the site key and kept by its sender: it ends with the contact attempt. */
static int64_t quiet_s(const struct env *env)
{
    int64_t life_s = env->settings->attempts_keep_s;

    return (life_s < CHALLENGE_TOKEN_LIFE_S ? life_s : CHALLENGE_TOKEN_LIFE_S) + SLACK_S;
}

static void add_epoch(struct question *q, const struct store_epoch *e, int64_t now_s)
{
    struct rows *r = q->rows;
    int64_t until_s = e->superseded_s ? e->superseded_s + quiet_s(q->env) : 0;

    rows_begin(r);
    rows_number(r, "epoch", e->epoch);
    rows_text(r, "state",
              e->retired_s                 ? "retired"
              : e->current                 ? "current"
              : e->used || until_s > now_s ? "in use"
                                           : "unused");
    rows_time(r, "since", e->since_s);
    if (!e->retired_s && until_s > now_s)
        rows_time(r, "until", until_s);
    rows_time(r, "retired", e->retired_s);
    rows_hex(r, "fingerprint", e->fingerprint, sizeof e->fingerprint);
}

static void add_keys(struct question *q)
{
    struct store_epoch *list = NULL;
    size_t count = 0;
    int64_t now_s = clock_now_s();

    if ((q->err = store_epochs(q->env->store, &list, &count)))
        return;
    for (size_t i = 0; i < count; i++)
        add_epoch(q, &list[i], now_s);
    free(list);
}

static void open_for_root(struct question *q, const struct env *env, struct http_exchange *x)
{
    question_open(q, env, x);
    if (!q->who.all)
        question_forbid(q, "the site keys");
}

void admin_keys_show(void *env, struct http_exchange *x)
{
    struct question q;

    open_for_root(&q, env, x);
    if (question_rows(&q, "keys"))
        add_keys(&q);
    question_close(&q);
}

void admin_keys_change(void *env, struct http_exchange *x)
{
    struct question q;
    struct buf why;
    size_t count;
    enum err e = ERR_OK;

    open_for_root(&q, env, x);
    buf_init(&why, WHY_MAX);
    const char *reload = question_get(&q, "reload");
    uint64_t retire = question_number(&q, "retire", 1, UINT16_MAX, 0);
    if ((reload != NULL) == (retire != 0) || (reload && strcmp(reload, "yes") != 0))
        question_fail(&q, ERR_SYNTAX, "either reload=yes, or retire with an epoch");
    if (!q.err && reload)
        e = admin_keys_reload(q.env, &why);
    /* What would be sealed anew keeps no key. */
    if (!q.err && retire && !(e = store_reseal(q.env->store, &count)))
        e = store_epoch_retire(q.env->store, (uint16_t)retire, quiet_s(q.env), clock_now_s(), &why);
    if (e)
        question_fail(&q, e, "%s", why.len ? buf_cstr(&why) : err_text(e));
    if (question_rows(&q, "keys"))
        add_keys(&q);
    question_close(&q);
    buf_free(&why);
}
