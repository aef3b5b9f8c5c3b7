/*
 * admin.c - see admin.h.
 */
#include "local/admin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/secret.h"
#include "env/env.h"
#include "local/question.h"
#include "pool/pool.h"
#include "pull/pull.h"
#include "store/store.h"
#include "ticket/ticket.h"

static const char *ticket_name(int state)
{
    return ticket_state_name((enum ticket_state)state);
}

static const char *job_name(int state)
{
    return job_state_name((enum job_state)state);
}

/* ---- jobs */

/* Where it came from, without what opens it. */
static void add_link_host(struct rows *r, const struct job *j)
{
    struct ticket_url url;
    char text[TICKET_HOST_MAX + 8];

    if (!j->url[0] || ticket_url_parse(span_of(j->url), &url))
        return;
    snprintf(text, sizeof text, "%s:%u", url.host, url.port);
    rows_text(r, "link_host", text);
}

static void add_job(struct rows *r, const struct job *j)
{
    char id[ENCODE_HEX_LEN(sizeof j->id) + 1];

    encode_hex(j->id, sizeof j->id, id);
    rows_begin(r);
    rows_text(r, "id", id);
    rows_text(r, "state", job_state_name(j->state));
    rows_text(r, "sender", j->stub_from);
    rows_text(r, "recipient", j->recipient);
    rows_text(r, "from", j->author);
    rows_text(r, "message_id", j->message_id);
    rows_text(r, "queue_id", j->queue_id);
    rows_number(r, "letter_bytes", (int64_t)j->size_bytes);
    if (j->version)
        rows_number(r, "version", j->version);
    if (j->replaced)
        rows_text(r, "replaced", "yes");
    rows_time(r, "heard", j->heard_s);
    rows_time(r, "created", j->created_s);
    rows_time(r, "changed", j->changed_s);
    rows_time(r, "expires", j->expires_s);
    if (!job_state_ended(j->state))
        rows_time(r, "next", j->due_s);
    rows_number(r, "tries", j->tries);
    rows_text(r, "mailbox", j->mailbox);
    rows_text(r, "client", j->client_address);
    rows_text(r, "client_name", j->client_name);
    rows_text(r, "verified", j->verified);
    rows_text(r, "admission", j->admission);
    rows_text(r, "proof", j->proof);
    add_link_host(r, j);
    rows_text(r, "certificate_issuer", j->certificate_issuer);
    rows_text(r, "certificate_serial", j->certificate_serial);
    rows_text(r, "mta_queue_id", j->mta_queue_id);
    rows_text(r, "reason", j->reason);
    rows_text(r, "text", j->text);
}

/* Which jobs the asker may see: the store has them in no order of time. */
struct job_list {
    struct question *question;
    const char *id_prefix; /* NULL: any */
    struct job_entry {
        int64_t created_s;
        uint8_t id[sizeof((struct job *)NULL)->id];
    } * entry; /* owned */
    size_t count, room;
    enum err err;
};

static bool note_job(void *arg, const struct job *j)
{
    struct job_list *list = arg;
    char id[ENCODE_HEX_LEN(sizeof j->id) + 1];

    encode_hex(j->id, sizeof j->id, id);
    if (!access_to_job(&list->question->who, j) ||
        (list->id_prefix && strncmp(id, list->id_prefix, strlen(list->id_prefix)) != 0))
        return true;
    if (list->count == list->room) {
        size_t room = list->room ? list->room * 2 : 64;
        void *more = realloc(list->entry, room * sizeof *list->entry);
        if (!more) {
            list->err = ERR_NOMEM;
            return false;
        }
        list->entry = more;
        list->room = room;
    }
    list->entry[list->count].created_s = j->created_s;
    memcpy(list->entry[list->count++].id, j->id, sizeof j->id);
    return true;
}

static int newest_first(const void *a, const void *b)
{
    const struct job_entry *x = a, *y = b;

    if (x->created_s != y->created_s)
        return x->created_s > y->created_s ? -1 : 1;
    return memcmp(x->id, y->id, sizeof x->id);
}

static enum err list_jobs(const struct env *env, struct job_list *list, int state, size_t limit)
{
    struct job *j = malloc(sizeof *j);
    enum err e = j ? store_jobs(env->store, state, SIZE_MAX, note_job, list) : ERR_NOMEM;

    if (!e)
        e = list->err;
    if (!e && list->count)
        qsort(list->entry, list->count, sizeof *list->entry, newest_first);
    for (size_t i = 0; !e && i < list->count && i < limit; i++) {
        e = store_job_get(env->store, list->entry[i].id, j);
        if (!e)
            add_job(list->question->rows, j);
        else if (e == ERR_NOT_FOUND)
            e = ERR_OK; /* purged meanwhile */
    }
    if (j)
        secret_wipe(j, sizeof *j);
    free(j);
    free(list->entry);
    return e;
}

void admin_jobs(void *env, struct http_exchange *x)
{
    struct question q;
    struct job_list list = {.question = &q};

    question_open(&q, env, x);
    list.id_prefix = question_get(&q, "id");
    int state = question_state(&q, JOB_STATE_COUNT, job_name);
    size_t limit = question_limit(&q);
    if (question_rows(&q, "jobs"))
        q.err = list_jobs(q.env, &list, state, limit);
    question_close(&q);
}

/* ---- status */

static void add_status(struct question *q)
{
    struct store_counts counts;
    struct rows *r = q->rows;
    int64_t next_s;
    char key[64];

    if ((q->err = store_count(q->env->store, &counts)) || (q->err = store_work_next(q->env->store, &next_s)))
        return;
    rows_begin(r);
    rows_text(r, "version", RESTANTE_VERSION);
    rows_time(r, "now", clock_now_s());
    for (int i = 0; i < TICKET_STATE_COUNT; i++) {
        snprintf(key, sizeof key, "tickets_%s", ticket_name(i));
        rows_number(r, key, (int64_t)counts.tickets[i]);
    }
    for (int i = 0; i < JOB_STATE_COUNT; i++) {
        snprintf(key, sizeof key, "jobs_%s", job_name(i));
        rows_number(r, key, (int64_t)counts.jobs[i]);
    }
    rows_number(r, "outbox", (int64_t)counts.work);
    rows_time(r, "outbox_next", next_s == INT64_MAX ? 0 : next_s);
    rows_number(r, "payloads", (int64_t)counts.payloads);
    rows_number(r, "payload_bytes", (int64_t)counts.payload_bytes);
    rows_number(r, "disk_free_bytes", (int64_t)counts.disk_free_bytes);
    rows_number(r, "disk_total_bytes", (int64_t)counts.disk_total_bytes);
    rows_number(r, "pulls_under_way", puller_busy(q->env->puller));
    rows_number(r, "work_waiting", (int64_t)pool_waiting(q->env->work));
    rows_number(r, "lookups_waiting", (int64_t)pool_waiting(q->env->lookup));
}

void admin_status(void *env, struct http_exchange *x)
{
    struct question q;

    question_open(&q, env, x);
    if (!q.who.all)
        question_forbid(&q, "the status");
    if (question_rows(&q, "status"))
        add_status(&q);
    question_close(&q);
}
