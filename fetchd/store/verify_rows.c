/*
 * verify_rows.c - rows of indexes whose records are not there, or say something else. They go; what a record
 * needs was put there before, when it was looked at.
 */
#include <string.h>

#include "store/policy_record.h"
#include "store/store_letter.h"
#include "store/ticket_state.h"
#include "store/verify_internal.h"

static const struct engine_ops *ops(const struct change *c)
{
    return c->s->engine->ops;
}

/* An index row holds nothing that is not elsewhere. */
static enum err drop_row(struct change *c, struct verify *v, const char *text)
{
    if (!verify_problem(v, "index-stale", text))
        return ERR_OK;
    v->changed = true;
    return ops(c)->del(c->txn, v->table, span_bytes(v->key, v->key_len));
}

/* The ticket that a row speaks of; *there false: none that can be read. */
static enum err ticket_of(struct change *c, struct verify *v, const uint8_t key[TICKET_STORE_KEY_BYTES],
                          bool *there)
{
    enum err err = change_ticket_get(c, key, v->r.ticket);

    *there = err == ERR_OK;
    return err == ERR_NOT_FOUND || verify_unreadable(err) ? ERR_OK : err;
}

static enum err job_of(struct change *c, struct verify *v, const uint8_t id[JOB_ID_BYTES], bool *there)
{
    enum err err = verify_get(c, v, TABLE_JOB, span_bytes(id, JOB_ID_BYTES));

    *there = err == ERR_OK && job_record_peek(buf_span(&v->extra), v->r.job) == ERR_OK;
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

static enum err created_row(struct change *c, struct verify *v)
{
    uint8_t key[TICKET_STORE_KEY_BYTES];
    int64_t created_s;
    bool there = false;
    enum err err = ERR_OK;

    if (record_key_time_parse(span_bytes(v->key, v->key_len), sizeof key, &created_s, key))
        err = ticket_of(c, v, key, &there);
    if (err != ERR_OK || (there && v->r.ticket->t.created_s == created_s))
        return err;
    return drop_row(c, v, "the list has a ticket that is not there");
}

static enum err work_row(struct change *c, struct verify *v)
{
    struct work w;
    bool there = false;
    enum err err = ERR_OK;

    memset(&w, 0, sizeof w);
    if (record_key_work_parse(span_bytes(v->key, v->key_len), &w))
        err = ticket_of(c, v, w.key, &there);
    if (err != ERR_OK || (there && *ticket_record_due(v->r.ticket, w.kind) == w.due_s))
        return err;
    return drop_row(c, v, "the outbox has an entry that no ticket knows");
}

static enum err ticket_timer(struct change *c, struct verify *v, enum timer_kind kind)
{
    uint8_t key[TICKET_STORE_KEY_BYTES];
    int64_t timer_s;
    bool there = false;
    enum err err = ERR_OK;

    if (record_key_timer_parse(span_bytes(v->key, v->key_len), sizeof key, &timer_s, key))
        err = ticket_of(c, v, key, &there);
    if (err != ERR_OK || (there && v->r.ticket->timer_s == timer_s &&
                          ticket_state_ended(v->r.ticket->t.state) == (kind == TIMER_PURGE_TICKET)))
        return err;
    return drop_row(c, v, "a timer is no ticket's");
}

static enum err job_timer(struct change *c, struct verify *v)
{
    uint8_t id[JOB_ID_BYTES];
    int64_t timer_s;
    bool there = false;
    enum err err = ERR_OK;

    if (record_key_timer_parse(span_bytes(v->key, v->key_len), sizeof id, &timer_s, id))
        err = job_of(c, v, id, &there);
    if (err != ERR_OK || (there && v->r.job->timer_s == timer_s && job_state_ended(v->r.job->j.state)))
        return err;
    return drop_row(c, v, "a timer is no job's");
}

static enum err policy_timer(struct change *c, struct verify *v, enum engine_table table)
{
    uint8_t id[SPENT_KEY_BYTES];
    int64_t timer_s;
    enum err err = ERR_NOT_FOUND;

    if (record_key_timer_parse(span_bytes(v->key, v->key_len), sizeof id, &timer_s, id))
        err = verify_get(c, v, table, span_bytes(id, sizeof id));
    return err == ERR_NOT_FOUND ? drop_row(c, v, "a timer is of something that is not there") : err;
}

static enum err timer_row(struct change *c, struct verify *v)
{
    switch (v->key_len > 0 ? v->key[0] : 0) {
    case TIMER_EXPIRE:
    case TIMER_PURGE_TICKET:
        return ticket_timer(c, v, (enum timer_kind)v->key[0]);
    case TIMER_PURGE_JOB:
        return job_timer(c, v);
    case TIMER_PURGE_SPENT:
        return policy_timer(c, v, TABLE_SPENT);
    case TIMER_PURGE_CORRESPONDENT:
        return policy_timer(c, v, TABLE_CORRESPONDENT);
    default:
        return drop_row(c, v, "a timer of no known kind");
    }
}

static enum err job_due_row(struct change *c, struct verify *v)
{
    uint8_t id[JOB_ID_BYTES];
    int64_t due_s;
    bool there = false;
    enum err err = ERR_OK;

    if (record_key_time_parse(span_bytes(v->key, v->key_len), sizeof id, &due_s, id))
        err = job_of(c, v, id, &there);
    if (err != ERR_OK || (there && v->r.job->j.due_s == due_s && !job_state_ended(v->r.job->j.state)))
        return err;
    return drop_row(c, v, "a job is due that is not there");
}

/* A key that nobody is to have any more. */
static enum err wrap_row(struct change *c, struct verify *v)
{
    bool there = false;
    enum err err = v->key_len == TICKET_STORE_KEY_BYTES ? ticket_of(c, v, v->key, &there) : ERR_OK;

    if (err != ERR_OK || (there && !ticket_state_ended(v->r.ticket->t.state)))
        return err;
    return there ? drop_row(c, v, "a ticket that ended has its wrapped key still")
           : verify_problem(v, "wrap-orphan", "a wrapped key is no ticket's") ? verify_take_out(c, v)
                                                                              : ERR_OK;
}

static enum err dedupe_row(struct change *c, struct verify *v)
{
    struct dedupe_record d;
    bool there = false;
    enum err err = ERR_OK;

    memset(&d, 0, sizeof d);
    if (dedupe_record_decode(buf_span(&v->value), &d) == ERR_OK)
        err = ticket_of(c, v, d.key, &there);
    return err != ERR_OK || there ? err : drop_row(c, v, "a letter is known whose ticket is not there");
}

static enum err letter_row(struct change *c, struct verify *v)
{
    struct span row = span_bytes(v->key, v->key_len);
    uint8_t key[TICKET_STORE_KEY_BYTES];
    bool there = false;
    enum err err = ERR_OK;

    if (letter_row_ticket(row, buf_span(&v->value), key))
        err = ticket_of(c, v, key, &there);
    if (err != ERR_OK || (there && letter_row_is_of(row, buf_span(&v->value), v->r.ticket)))
        return err;
    return drop_row(c, v, "a letter is known that its ticket does not know");
}

static enum err sealed_row(struct change *c, struct verify *v)
{
    enum err err = verify_get(c, v, TABLE_PAYLOAD, span_bytes(v->key, v->key_len));

    if (err != ERR_NOT_FOUND)
        return err;
    return verify_problem(v, "payload-orphan", "sealed bytes are no payload's") ? verify_take_out(c, v)
                                                                                : ERR_OK;
}

enum err verify_indexes(struct verify *v)
{
    static const struct {
        enum engine_table table;
        verify_body body;
    } row[] = {{TABLE_CREATED, created_row}, {TABLE_WORK_DUE, work_row}, {TABLE_TIMER, timer_row},
               {TABLE_JOB_DUE, job_due_row}, {TABLE_WRAP, wrap_row},     {TABLE_DEDUPE, dedupe_row},
               {TABLE_SEALED, sealed_row},   {TABLE_LETTER, letter_row}};
    enum err err = ERR_OK;

    for (size_t i = 0; i < sizeof row / sizeof *row && err == ERR_OK; i++)
        err = verify_table(v, row[i].table, row[i].body);
    return err;
}
