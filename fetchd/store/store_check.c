/*
 * store_check.c - what happens once at opening: the format, the records' versions and the site keys are
 * compared with what the store was made with, and the counts are read. However much the store holds, a few
 * records say all that; only for a store of format 1, which kept no counts, all are looked at (and for a key
 * that the file lacks: epochs.c).
 */
#include <stdlib.h>
#include <string.h>

#include "base/kill.h"
#include "base/log.h"
#include "store/policy_record.h"
#include "store/store_count.h"
#include "store/store_letter.h"

#define FORMAT_VERSION 2 /* 2: counts and quotas are kept in records; a program of format 1 would not */
#define FORMAT_KEY "format"
#define RECORDS_KEY "records" /* the highest records_version() that wrote to this store */

struct check {
    struct store *s;
    struct buf *why;
    uint64_t format; /* 0: new */
    struct store_counts counts;
    struct ticket_record ticket;
    struct payload_record payload;
    struct job_record job;
    struct attempt_record attempt;
    union {
        struct policy_record policy;
        struct entry entry;
        struct correspondent_record correspondent;
        struct token token;
        struct spent_record spent;
    } policy;
    enum engine_table table; /* that is being read */
    size_t damaged;
};

/* ---- format -------------------------------------------------------------------------------------------- */

static enum err put_number(struct change *c, struct span key, uint64_t value)
{
    uint8_t be[8];

    codec_put_be64(be, value);
    return c->s->engine->ops->put(c->txn, TABLE_META, key, span_bytes(be, sizeof be));
}

/* 0 when there is none. */
static enum err read_number(struct check *k, struct span key, uint64_t *out)
{
    struct buf value;
    enum err err;

    buf_init(&value, STORE_VALUE_MAX);
    err = store_read(k->s, TABLE_META, key, &value);
    *out = err == ERR_OK && value.len == 8 ? codec_get_be64((const uint8_t *)value.data) : 0;
    if (err == ERR_OK && *out == 0) {
        buf_printf(k->why, "the store's record \"%.*s\" is damaged", (int)key.len, key.ptr);
        err = ERR_STORE;
    }
    buf_free(&value);
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

static enum err check_format(struct check *k)
{
    enum err err = read_number(k, SPAN_LITERAL(FORMAT_KEY), &k->format);

    if (err == ERR_OK && k->format > FORMAT_VERSION) {
        buf_printf(k->why, "the store has format %llu; this version of Restante reads formats up to %d",
                   (unsigned long long)k->format, FORMAT_VERSION);
        err = ERR_STORE_FORMAT;
    }
    return err;
}

static enum err put_records_version(struct change *c, void *arg)
{
    (void)arg;
    return put_number(c, SPAN_LITERAL(RECORDS_KEY), records_version());
}

/* Noted before the first record of it can be written: who opens the store then need not look for one. */
static enum err check_records_version(struct check *k)
{
    uint64_t have;
    enum err err = read_number(k, SPAN_LITERAL(RECORDS_KEY), &have);

    if (err != ERR_OK || have == records_version())
        return err;
    if (have > records_version()) {
        buf_append_str(k->why, "the store's records are of a later version of Restante");
        return ERR_STORE_FORMAT;
    }
    return store_change(k->s, put_records_version, NULL);
}

/* ---- repairs ------------------------------------------------------------------------------------------- */

/* With an empty table of timers nothing would ever end, and nobody would be told. */
static enum err check_no_repair(struct check *k)
{
    struct buf value;
    enum err err;

    buf_init(&value, STORE_VALUE_MAX);
    err = store_read(k->s, TABLE_META, SPAN_LITERAL(ENGINE_REPAIRING_KEY), &value);
    buf_free(&value);
    if (err != ERR_OK || k->s->repair)
        return absent_is_fine(err);
    buf_append_str(k->why, "a repair was broken off before all tables were full again: restantectl check "
                           "--repair makes them anew, while restante-fetchd does not run");
    return ERR_STORE;
}

static enum err take_mark(struct change *c, void *arg)
{
    (void)arg;
    return absent_is_fine(c->s->engine->ops->del(c->txn, TABLE_META, SPAN_LITERAL(ENGINE_REPAIRING_KEY)));
}

enum err store_check_repaired(struct store *s)
{
    return store_change(s, take_mark, NULL);
}

/* ---- counting ------------------------------------------------------------------------------------------ */

static enum err count_ticket(struct check *k, struct span key, struct span value)
{
    struct store_counts *n = &k->counts;
    enum err err;

    if (key.len != TICKET_STORE_KEY_BYTES)
        return ERR_STORE;
    memset(&k->ticket, 0, sizeof k->ticket);
    err = ticket_record_decode(value, (const uint8_t *)key.ptr, &k->ticket);
    if (err == ERR_OK) {
        n->tickets[k->ticket.t.state]++;
        for (int kind = 0; kind < WORK_KIND_COUNT; kind++)
            n->work += *ticket_record_due(&k->ticket, (enum work_kind)kind) != 0;
    }
    return err;
}

static enum err count_payload(struct check *k, struct span key, struct span value)
{
    struct store_counts *n = &k->counts;
    enum err err;

    if (key.len != SEAL_PAYLOAD_ID_BYTES)
        return ERR_STORE;
    memset(&k->payload, 0, sizeof k->payload);
    err = payload_record_decode(value, &k->payload);
    if (err == ERR_OK) {
        n->payloads++;
        n->payload_bytes += k->payload.size;
    }
    return err;
}

static enum err count_job(struct check *k, struct span key, struct span value)
{
    enum err err;

    if (key.len != sizeof k->job.j.id)
        return ERR_STORE;
    memset(&k->job, 0, sizeof k->job);
    err = job_record_peek(value, &k->job);
    if (err == ERR_OK) {
        k->counts.jobs[k->job.j.state]++;
    }
    return err;
}

static enum err count_attempt(struct check *k, struct span key, struct span value)
{
    enum err err;

    (void)key;
    memset(&k->attempt, 0, sizeof k->attempt);
    err = attempt_record_decode(value, &k->attempt);
    if (err == ERR_OK) {
        k->counts.attempts++;
    }
    return err;
}

/* Nothing is counted of these: whether this version reads them is all that is asked. */
static enum err check_policy(struct check *k, struct span key, struct span value)
{
    memset(&k->policy, 0, sizeof k->policy);
    (void)key;
    return policy_record_decode(k->table, value, &k->policy);
}

static enum err count_table(struct check *k, enum engine_table table,
                            enum err (*count)(struct check *k, struct span key, struct span value))
{
    struct record_key all = {.len = 0};
    struct walk w;
    struct span key, value;
    enum err err;

    k->table = table;
    walk_init(&w, k->s, table, all, all, false);
    while ((err = walk_next(&w, &key, &value)) == ERR_OK) {
        enum err counted = count(k, key, value);

        if (counted == ERR_STORE_FORMAT) {
            buf_printf(k->why, "a record of table %s is of a later version", engine_table_name(table));
            err = counted;
            break;
        }
        /* One damaged record must not keep all the others from their readers. */
        if (counted != ERR_OK)
            k->damaged++;
    }
    walk_free(&w);
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

static enum err look_at_all(struct check *k)
{
    static const struct {
        enum engine_table table;
        enum err (*count)(struct check *k, struct span key, struct span value);
    } row[] = {{TABLE_TICKET, count_ticket},   {TABLE_PAYLOAD, count_payload}, {TABLE_JOB, count_job},
               {TABLE_ATTEMPT, count_attempt}, {TABLE_POLICY, check_policy},   {TABLE_ENTRY, check_policy},
               {TABLE_TOKEN, check_policy}};
    enum err err = ERR_OK;

    for (size_t i = 0; i < sizeof row / sizeof *row && err == ERR_OK; i++)
        err = count_table(k, row[i].table, row[i].count);
    if (err == ERR_OK && k->damaged > 0)
        log_error("store: %zu damaged records", k->damaged);
    return err;
}

static enum err begin_counting(struct change *c, void *arg)
{
    const struct check *k = arg;
    enum err err = change_counts_create(c, &k->counts);

    if (err == ERR_OK)
        KILL_POINT("counts-commit-before");
    return err == ERR_OK ? put_number(c, SPAN_LITERAL(FORMAT_KEY), FORMAT_VERSION) : err;
}

enum err store_check(struct store *s, struct buf *why)
{
    struct check *k = calloc(1, sizeof *k);
    enum err err;

    if (k == NULL)
        return ERR_NOMEM;
    k->s = s;
    k->why = why;
    if ((err = check_format(k)) != ERR_OK || (err = check_no_repair(k)) != ERR_OK ||
        (err = check_records_version(k)) != ERR_OK || (err = epochs_check(s, why)) != ERR_OK)
        goto out;
    if (k->format < FORMAT_VERSION && (err = look_at_all(k)) != ERR_OK)
        goto out;
    if (k->format < FORMAT_VERSION && (err = store_change(s, begin_counting, k)) != ERR_OK)
        goto out;
    err = store_counts_read(s, &s->counts);
    if (err == ERR_STORE && s->repair && k->format == FORMAT_VERSION) {
        err = look_at_all(k);
        if (err == ERR_OK)
            err = store_change(s, begin_counting, k);
        if (err == ERR_OK)
            err = store_counts_read(s, &s->counts);
    }
    if (err == ERR_OK && (err = store_letter_open(s)) != ERR_OK)
        goto out;
    if (err != ERR_OK)
        buf_append_str(why, "the store's counts are missing or damaged");
out:
    if (err != ERR_OK && why->len == 0)
        buf_append_str(why, err_text(err));
    free(k);
    return err;
}
