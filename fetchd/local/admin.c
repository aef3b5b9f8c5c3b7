/*
 * admin.c - see admin.h.
 */
#include "local/admin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/encode.h"
#include "env/env.h"
#include "local/answer.h"
#include "local/rows.h"
#include "pool/pool.h"
#include "pull/pull.h"
#include "store/store.h"

#define LIMIT_DEFAULT 1000
#define LIMIT_MAX 100000
#define JSON_MAX (256 * 1024 * 1024)
#define PARAMETER_MAX 2048

/* ---- the query */

/* Decoded parameters; absent ones are NULL. */
struct question {
    struct buf text[8];
    size_t count;
    enum err err;
};

static void question_init(struct question *q)
{
    *q = (struct question){.err = ERR_OK};
}

static void question_free(struct question *q)
{
    for (size_t i = 0; i < q->count; i++)
        buf_free(&q->text[i]);
}

static const char *ask(struct question *q, const struct http_exchange *x, const char *name)
{
    struct buf *b = &q->text[q->count++];

    buf_init(b, PARAMETER_MAX);
    enum err e = query_get(http_query(x), name, b);
    if (e && e != ERR_NOT_FOUND)
        q->err = e;
    return e ? NULL : buf_cstr(b);
}

static size_t ask_limit(struct question *q, const struct http_exchange *x)
{
    uint64_t limit = LIMIT_DEFAULT;
    const char *text = ask(q, x, "limit");

    if (text && !span_to_u64(span_of(text), LIMIT_MAX, &limit))
        q->err = ERR_SYNTAX;
    return (size_t)limit;
}

/* The index of a state's name; -1 when not asked for. */
static int ask_state(struct question *q, const struct http_exchange *x, int count, const char *(*name)(int))
{
    const char *text = ask(q, x, "state");

    if (!text)
        return -1;
    for (int i = 0; i < count; i++) {
        if (strcmp(name(i), text) == 0)
            return i;
    }
    q->err = ERR_SYNTAX;
    return -1;
}

static const char *ticket_name(int state)
{
    return ticket_state_name((enum ticket_state)state);
}

static const char *job_name(int state)
{
    return job_state_name((enum job_state)state);
}

/* ---- rows */

static void set_hex(struct rows *r, const char *key, const uint8_t *bytes, size_t len)
{
    char hex[ENCODE_HEX_LEN(64) + 1];

    encode_hex(bytes, len, hex);
    rows_text(r, key, hex);
}

static void set_time(struct rows *r, const char *key, int64_t utc_s)
{
    char text[CLOCK_ISO_MAX];

    if (utc_s == 0)
        return;
    clock_iso(utc_s, text);
    rows_text(r, key, text);
}

static bool add_ticket(void *arg, const struct ticket *t)
{
    struct rows *r = arg;

    rows_begin(r);
    set_hex(r, "id", t->a, sizeof t->a);
    rows_text(r, "state", ticket_state_name(t->state));
    rows_text(r, "owner", t->owner);
    rows_text(r, "sender", t->sender);
    rows_text(r, "recipient", t->recipient);
    rows_text(r, "from", t->from);
    rows_text(r, "message_id", t->message_id);
    rows_text(r, "queue_id", t->queue_id);
    rows_number(r, "letter_bytes", (int64_t)t->letter_bytes);
    rows_number(r, "version", t->version);
    set_time(r, "created", t->created_s);
    set_time(r, "changed", t->changed_s);
    set_time(r, "expires", t->expires_s);
    set_time(r, "stub_sent", t->stub_sent_s);
    rows_text(r, "stub_queue_id", t->stub_queue_id);
    rows_number(r, "stub_tries", t->stub_tries);
    set_time(r, "handed_over", t->handed_over_s);
    rows_text(r, "lease_holder", t->lease_holder);
    set_time(r, "lease_until", t->lease_until_s);
    rows_number(r, "lapses", t->lapses);
    rows_number(r, "bodies", t->bodies);
    rows_text(r, "notify", t->notify);
    rows_text(r, "reason", t->remote_reason);
    rows_text(r, "text", t->remote_text);
    return true;
}

struct job_list {
    struct rows *rows;
    const char *id_prefix; /* NULL: any */
};

static bool add_job(void *arg, const struct job *j)
{
    struct job_list *list = arg;
    struct rows *r = list->rows;
    char id[ENCODE_HEX_LEN(sizeof j->id) + 1];

    encode_hex(j->id, sizeof j->id, id);
    if (list->id_prefix && strncmp(id, list->id_prefix, strlen(list->id_prefix)) != 0)
        return true;
    rows_begin(r);
    rows_text(r, "id", id);
    rows_text(r, "state", job_state_name(j->state));
    rows_text(r, "sender", j->stub_from);
    rows_text(r, "recipient", j->recipient);
    rows_text(r, "from", j->author);
    rows_text(r, "message_id", j->message_id);
    rows_text(r, "queue_id", j->queue_id);
    rows_number(r, "letter_bytes", (int64_t)j->size_bytes);
    set_time(r, "created", j->created_s);
    set_time(r, "changed", j->changed_s);
    set_time(r, "expires", j->expires_s);
    if (!job_state_ended(j->state))
        set_time(r, "next", j->due_s);
    rows_number(r, "tries", j->tries);
    rows_text(r, "client", j->client_address);
    rows_text(r, "mta_queue_id", j->mta_queue_id);
    rows_text(r, "reason", j->reason);
    rows_text(r, "text", j->text);
    return true;
}

static void answer_rows(struct http_exchange *x, enum err e, struct rows *r)
{
    struct buf json;

    buf_init(&json, JSON_MAX);
    if (!e)
        e = rows_format(r, &json);
    rows_free(r);
    if (e) {
        buf_free(&json);
        answer_error(x, e, NULL);
    } else {
        answer_json(x, 200, &json);
    }
}

void admin_tickets(void *env_, struct http_exchange *x)
{
    const struct env *env = env_;
    struct rows *r = NULL;
    struct question q;

    question_init(&q);
    struct store_filter filter = {.sender = ask(&q, x, "sender"),
                                  .recipient = ask(&q, x, "recipient"),
                                  .queue_id = ask(&q, x, "queue_id"),
                                  .message_id = ask(&q, x, "message_id"),
                                  .id_prefix = ask(&q, x, "id"),
                                  .state = ask_state(&q, x, TICKET_STATE_COUNT, ticket_name)};
    size_t limit = ask_limit(&q, x);
    enum err e = q.err ? q.err : rows_create("tickets", &r);
    if (!e)
        e = store_tickets(env->store, &filter, limit, add_ticket, r);
    question_free(&q);
    answer_rows(x, e, r);
}

void admin_jobs(void *env_, struct http_exchange *x)
{
    const struct env *env = env_;
    struct question q;
    struct job_list list = {.rows = NULL};

    question_init(&q);
    list.id_prefix = ask(&q, x, "id");
    int state = ask_state(&q, x, JOB_STATE_COUNT, job_name);
    size_t limit = ask_limit(&q, x);
    enum err e = q.err ? q.err : rows_create("jobs", &list.rows);
    if (!e)
        e = store_jobs(env->store, state, limit, add_job, &list);
    question_free(&q);
    answer_rows(x, e, list.rows);
}

void admin_status(void *env_, struct http_exchange *x)
{
    const struct env *env = env_;
    struct store_counts counts;
    struct rows *r = NULL;
    char key[64];
    enum err e = store_count(env->store, &counts);

    if (!e && !(e = rows_create("status", &r))) {
        rows_begin(r);
        rows_text(r, "version", RESTANTE_VERSION);
        set_time(r, "now", clock_now_s());
        for (int i = 0; i < TICKET_STATE_COUNT; i++) {
            snprintf(key, sizeof key, "tickets_%s", ticket_name(i));
            rows_number(r, key, (int64_t)counts.tickets[i]);
        }
        for (int i = 0; i < JOB_STATE_COUNT; i++) {
            snprintf(key, sizeof key, "jobs_%s", job_name(i));
            rows_number(r, key, (int64_t)counts.jobs[i]);
        }
        rows_number(r, "outbox", (int64_t)counts.work);
        rows_number(r, "payloads", (int64_t)counts.payloads);
        rows_number(r, "payload_bytes", (int64_t)counts.payload_bytes);
        rows_number(r, "disk_free_bytes", (int64_t)counts.disk_free_bytes);
        rows_number(r, "disk_total_bytes", (int64_t)counts.disk_total_bytes);
        rows_number(r, "pulls_under_way", puller_busy(env->puller));
        rows_number(r, "work_waiting", (int64_t)pool_waiting(env->work));
        rows_number(r, "lookups_waiting", (int64_t)pool_waiting(env->lookup));
    }
    answer_rows(x, e, r);
}
