/*
 * admin_quota.c - see admin_quota.h.
 */
#include "local/admin_quota.h"

#include <string.h>

#include "env/env.h"
#include "lifecycle/limits.h"
#include "local/question.h"

struct list {
    struct rows *rows;
    struct quota_limits limits, kept_limits;
};

static bool is_kept(const struct quota_use *u)
{
    return strncmp(u->name, QUOTA_KEPT, strlen(QUOTA_KEPT)) == 0 ||
           strncmp(u->name, QUOTA_KEPT_ALL, strlen(QUOTA_KEPT_ALL)) == 0;
}

static int64_t percent(uint64_t have, int64_t limit)
{
    return limit > 0 ? (int64_t)((double)have * 100 / (double)limit) : 0;
}

void admin_quota_row(struct rows *r, const struct quota_use *u, const struct quota_limits *l)
{
    int64_t bytes_max = quota_share(u->name, u->domain ? l->domain_bytes : l->owner_bytes);
    int64_t letters_max = u->domain ? l->domain_letters : l->owner_letters;
    int64_t of_bytes = percent(u->bytes, bytes_max), of_letters = percent(u->letters, letters_max);

    rows_begin(r);
    rows_text(r, "name", u->name);
    rows_text(r, "kind", is_kept(u) ? "kept" : u->domain ? "domain" : "sender");
    rows_number(r, "bytes", (int64_t)u->bytes);
    if (bytes_max)
        rows_number(r, "bytes_limit", bytes_max);
    rows_number(r, "letters", (int64_t)u->letters);
    if (letters_max)
        rows_number(r, "letters_limit", letters_max);
    if (bytes_max || letters_max)
        rows_number(r, "percent", of_bytes > of_letters ? of_bytes : of_letters);
    rows_time(r, "warned", u->warned_s);
}

static bool add_use(void *arg, const struct quota_use *u)
{
    struct list *list = arg;

    admin_quota_row(list->rows, u, is_kept(u) ? &list->kept_limits : &list->limits);
    return true;
}

static void add_name(struct question *q, struct list *list, const char *name)
{
    struct quota_use u;

    if (!q->err && !(q->err = store_quota(q->env->store, name, &u)))
        add_use(list, &u);
}

static bool is_his(const struct access *who, const char *name)
{
    return who->all || span_is_nocase(span_of(name), who->login) ||
           span_is_nocase(span_of(name), who->mailbox);
}

void admin_quota(void *env, struct http_exchange *x)
{
    struct question q;
    struct list list;

    question_open(&q, env, x);
    limits_of(q.env->settings, &list.limits);
    limits_of_kept(q.env->settings, &list.kept_limits);
    const char *name = question_get(&q, "name");
    size_t limit = question_limit(&q);
    if (name && !name[0])
        question_fail(&q, ERR_SYNTAX, "name: an empty one");
    else if (name && !q.err && !is_his(&q.who, name))
        question_forbid(&q, name);
    if (question_rows(&q, "quota")) {
        list.rows = q.rows;
        if (name) {
            add_name(&q, &list, name);
        } else if (q.who.all) {
            q.err = store_quotas(q.env->store, limit, add_use, &list);
        } else {
            add_name(&q, &list, q.who.mailbox);
            add_name(&q, &list, q.who.login);
        }
    }
    question_close(&q);
}
