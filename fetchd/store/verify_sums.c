/*
 * verify_sums.c - what is counted beside the records: a payload's references, the store's counts, quotas.
 * Other words go on meanwhile, so a sum is only compared when it stayed the same while its parts were
 * counted, and is wrong when it is so twice.
 */
#include <stdlib.h>
#include <string.h>

#include "store/store_count.h"
#include "store/store_quota.h"
#include "store/ticket_state.h"
#include "store/verify_internal.h"

#define COUNTED_MAX ((size_t)4 << 30)

struct use {
    uint8_t id[SEAL_PAYLOAD_ID_BYTES];
    uint32_t references, noted; /* counted, and as its record says */
};

struct sums {
    struct store_counts counts;
    struct buf uses;  /* ids of payloads that are needed, once for each who does; sorted */
    struct buf wrong; /* struct use */
    struct buf quota; /* struct quota_use, sorted */
};

static void sums_init(struct sums *n)
{
    memset(n, 0, sizeof *n);
    buf_init(&n->uses, COUNTED_MAX);
    buf_init(&n->wrong, COUNTED_MAX);
    buf_init(&n->quota, COUNTED_MAX);
}

static void sums_free(struct sums *n)
{
    buf_free(&n->uses);
    buf_free(&n->wrong);
    buf_free(&n->quota);
}

/* ---- counting ------------------------------------------------------------------------------------------ */

static enum err count_ticket(struct verify *v, struct span key, struct span value, struct sums *n)
{
    struct ticket_record *r = v->r.ticket;
    bool ended;

    memset(r, 0, sizeof *r);
    if (key.len != TICKET_STORE_KEY_BYTES ||
        ticket_record_decode(value, (const uint8_t *)key.ptr, r) != ERR_OK)
        return ERR_OK; /* a finding of its own */
    ended = ticket_state_ended(r->t.state);
    n->counts.tickets[r->t.state]++;
    for (int kind = 0; kind < WORK_KIND_COUNT; kind++)
        n->counts.work += *ticket_record_due(r, (enum work_kind)kind) != 0;
    if ((ended && r->notify_due_s == 0 && r->plain_due_s == 0) || ticket_letter_lost(&r->t))
        return ERR_OK;
    return buf_append(&n->uses, r->t.payload_id, sizeof r->t.payload_id);
}

static enum err count_job(struct verify *v, struct span key, struct span value, struct sums *n)
{
    struct job_record *r = v->r.job;

    memset(r, 0, sizeof *r);
    if (key.len != JOB_ID_BYTES ||
        job_record_decode(v->s->keys, value, (const uint8_t *)key.ptr, r) != ERR_OK)
        return ERR_OK;
    n->counts.jobs[r->j.state]++;
    return r->j.kept && !job_state_ended(r->j.state)
               ? buf_append(&n->uses, r->j.payload_id, sizeof r->j.payload_id)
               : ERR_OK;
}

static enum err add_quota(struct sums *n, const char *name, bool domain, uint64_t bytes)
{
    struct quota_use u;

    memset(&u, 0, sizeof u);
    store_text(u.name, sizeof u.name, name);
    u.domain = domain;
    u.letters = 1;
    u.bytes = bytes;
    return buf_append(&n->quota, &u, sizeof u);
}

static int by_id(const void *a, const void *b)
{
    return memcmp(a, b, SEAL_PAYLOAD_ID_BYTES);
}

static uint32_t uses_of(const struct sums *n, const uint8_t id[SEAL_PAYLOAD_ID_BYTES])
{
    size_t count = n->uses.len / SEAL_PAYLOAD_ID_BYTES;
    const char *at = count == 0 ? NULL : bsearch(id, n->uses.data, count, SEAL_PAYLOAD_ID_BYTES, by_id);
    const char *first = n->uses.data, *last = first + n->uses.len;
    uint32_t found = 0;

    if (at == NULL)
        return 0;
    while (at > first && by_id(at - SEAL_PAYLOAD_ID_BYTES, id) == 0)
        at -= SEAL_PAYLOAD_ID_BYTES;
    for (; at < last && by_id(at, id) == 0; at += SEAL_PAYLOAD_ID_BYTES)
        found++;
    return found;
}

/* After all that may need one: it is compared at once. */
static enum err count_payload(struct verify *v, struct span key, struct span value, struct sums *n)
{
    struct quota_name name[QUOTA_NAMES_MAX];
    struct payload_record p;
    struct use u;
    size_t names;
    enum err err = ERR_OK;

    (void)v;
    memset(&p, 0, sizeof p);
    if (key.len != sizeof u.id || payload_record_decode(value, &p) != ERR_OK)
        return ERR_OK;
    n->counts.payloads++;
    n->counts.payload_bytes += p.size;
    memcpy(u.id, key.ptr, sizeof u.id);
    u.references = uses_of(n, u.id);
    u.noted = p.references;
    if (u.references != u.noted)
        err = buf_append(&n->wrong, &u, sizeof u);
    names = payload_record_names(&p, name);
    for (size_t i = 0; i < names && err == ERR_OK; i++)
        err = add_quota(n, name[i].name, name[i].domain, p.letter_bytes);
    return err;
}

static enum err count_attempt(struct verify *v, struct span key, struct span value, struct sums *n)
{
    (void)v;
    (void)key;
    (void)value;
    n->counts.attempts++;
    return ERR_OK;
}

static int by_name(const void *a, const void *b)
{
    const struct quota_use *x = a, *y = b;

    return x->domain != y->domain ? (int)x->domain - (int)y->domain : strcmp(x->name, y->name);
}

static void add_up(struct buf *quota)
{
    struct quota_use *u = (struct quota_use *)(void *)quota->data;
    size_t count = quota->len / sizeof *u, kept = 0;

    if (count > 1)
        qsort(u, count, sizeof *u, by_name);
    for (size_t i = 1; i < count; i++) {
        if (by_name(&u[kept], &u[i]) == 0) {
            u[kept].letters++;
            u[kept].bytes += u[i].bytes;
        } else {
            u[++kept] = u[i];
        }
    }
    quota->len = count == 0 ? 0 : (kept + 1) * sizeof *u;
}

static enum err count_all(struct verify *v, struct sums *n)
{
    static const struct {
        enum engine_table table;
        enum err (*count)(struct verify *v, struct span key, struct span value, struct sums *n);
    } row[] = {{TABLE_TICKET, count_ticket},
               {TABLE_JOB, count_job},
               {TABLE_PAYLOAD, count_payload},
               {TABLE_ATTEMPT, count_attempt}};
    struct record_key all = {.len = 0};
    enum err err = ERR_OK;

    for (size_t i = 0; i < sizeof row / sizeof *row && err == ERR_OK; i++) {
        struct span key, value;
        struct walk w;

        if (row[i].table == TABLE_PAYLOAD && n->uses.len > 0)
            qsort(n->uses.data, n->uses.len / SEAL_PAYLOAD_ID_BYTES, SEAL_PAYLOAD_ID_BYTES, by_id);
        walk_init(&w, v->s, row[i].table, all, all, false);
        while ((err = walk_next(&w, &key, &value)) == ERR_OK &&
               (err = row[i].count(v, key, value, n)) == ERR_OK)
            ;
        walk_free(&w);
        if (err == ERR_NOT_FOUND)
            err = ERR_OK;
    }
    add_up(&n->quota);
    return err;
}

/* ---- references ---------------------------------------------------------------------------------------- */

struct correction {
    struct verify *v;
    const struct use *use;
    const struct quota_use *quota;
    struct store_counts counts;
};

static enum err correct_references(struct change *c, struct verify *v)
{
    const struct use *u = (const struct use *)(const void *)v->extra.data;
    uint32_t counted = u->references, noted = u->noted;
    struct payload_record p;
    enum err err;

    memset(&p, 0, sizeof p);
    if (payload_record_decode(buf_span(&v->value), &p) != ERR_OK || p.references != noted)
        return ERR_NOT_FOUND; /* it changed meanwhile */
    if (counted == 0) {
        return verify_problem(v, "payload-unneeded", "a payload is there that nobody needs")
                   ? verify_payload_out(c, v, &p)
                   : ERR_OK;
    }
    if (!verify_problem(v, "references-wrong", "a payload is needed by more or fewer than it says"))
        return ERR_OK;
    p.references = counted;
    v->changed = true;
    buf_clear(&c->value);
    err = payload_record_encode(&p, &c->value);
    return err == ERR_OK ? c->s->engine->ops->put(c->txn, TABLE_PAYLOAD, span_bytes(v->key, v->key_len),
                                                  buf_span(&c->value))
                         : err;
}

static enum err compare_references(struct verify *v, const struct sums *first, const struct sums *again)
{
    const struct use *a = (const struct use *)(const void *)first->wrong.data;
    const struct use *b = (const struct use *)(const void *)again->wrong.data;
    size_t a_count = first->wrong.len / sizeof *a, b_count = again->wrong.len / sizeof *b;
    enum err err = ERR_OK;

    for (size_t i = 0, j = 0; i < a_count && err == ERR_OK; i++) {
        while (j < b_count && by_id(b[j].id, a[i].id) < 0)
            j++;
        if (j == b_count || memcmp(&a[i], &b[j], sizeof a[i]) != 0)
            continue;
        buf_clear(&v->extra);
        if ((err = buf_append(&v->extra, &a[i], sizeof a[i])) == ERR_OK)
            err = verify_payload(v, a[i].id, correct_references);
    }
    return err;
}

/* ---- quotas and counts --------------------------------------------------------------------------------- */

static void tell_sum(struct verify *v, const char *table, const char *name, const char *text, bool repaired)
{
    struct verify_finding f = {
        .what = "sum-wrong", .table = table, .text = text, .repaired = repaired, .quarantine = ""};

    store_text(f.key, sizeof f.key, name);
    v->result->findings++;
    v->result->repaired += repaired;
    if (v->o->each != NULL)
        v->o->each(v->o->arg, &f);
}

struct wrong_quota {
    struct quota_use counted, noted;
    bool can_be_read; /* what is noted */
};

static enum err correct_quota(struct change *c, void *arg)
{
    const struct wrong_quota *w = arg;

    return change_quota_correct(c, w->can_be_read ? &w->noted : NULL, &w->counted);
}

/* Those that differ go to `wrong`, of struct wrong_quota. */
static enum err compare_quota(struct verify *v, const struct quota_use *counted, struct buf *wrong)
{
    struct wrong_quota w = {.counted = *counted};
    enum err err = store_quota(v->s, counted->name, &w.noted);

    w.can_be_read = err == ERR_OK;
    if (w.can_be_read && w.noted.letters == counted->letters && w.noted.bytes == counted->bytes)
        return ERR_OK;
    return err == ERR_OK || err == ERR_STORE ? buf_append(wrong, &w, sizeof w) : err;
}

static enum err tell_quotas(struct verify *v, const struct buf *wrong)
{
    struct wrong_quota *w = (struct wrong_quota *)(void *)wrong->data;
    enum err err = ERR_OK;

    for (size_t i = 0; i < wrong->len / sizeof *w && err == ERR_OK; i++) {
        err = v->o->repair ? store_change_lazy(v->s, correct_quota, &w[i]) : ERR_OK;
        if (err == ERR_NOT_FOUND) { /* it changed meanwhile */
            v->result->sums = false;
            err = ERR_OK;
            continue;
        }
        tell_sum(v, "quota", w[i].counted.name, "how much of the store somebody uses is not what lies here",
                 v->o->repair && err == ERR_OK);
    }
    return err;
}

struct names {
    struct buf name; /* struct quota_use */
    const struct sums *n;
    enum err err;
};

/* Rows of those who have nothing here. */
static bool note_unused(void *arg, const struct quota_use *u)
{
    struct names *names = arg;
    size_t count = names->n->quota.len / sizeof *u;
    struct quota_use none = *u;

    none.letters = none.bytes = 0;
    if (count == 0 || bsearch(u, names->n->quota.data, count, sizeof *u, by_name) == NULL)
        names->err = buf_append(&names->name, &none, sizeof none);
    return names->err == ERR_OK;
}

static bool counts_equal(const struct store_counts *a, const struct store_counts *b)
{
    return memcmp(a->tickets, b->tickets, sizeof a->tickets) == 0 &&
           memcmp(a->jobs, b->jobs, sizeof a->jobs) == 0 && a->payloads == b->payloads &&
           a->payload_bytes == b->payload_bytes && a->work == b->work && a->attempts == b->attempts;
}

/* counts: as they were when it was counted. A word said since then changes them together with the quotas. */
static enum err compare_quotas(struct verify *v, const struct sums *n, const struct store_counts *counts)
{
    const struct quota_use *u = (const struct quota_use *)(const void *)n->quota.data;
    struct names names = {.n = n, .err = ERR_OK};
    struct store_counts now;
    struct buf wrong;
    enum err err;

    buf_init(&names.name, COUNTED_MAX);
    buf_init(&wrong, COUNTED_MAX);
    err = store_quotas(v->s, SIZE_MAX, note_unused, &names);
    if (err == ERR_OK)
        err = names.err;
    for (size_t i = 0; i < n->quota.len / sizeof *u && err == ERR_OK; i++)
        err = compare_quota(v, &u[i], &wrong);
    u = (const struct quota_use *)(const void *)names.name.data;
    for (size_t i = 0; i < names.name.len / sizeof *u && err == ERR_OK; i++)
        err = compare_quota(v, &u[i], &wrong);
    if (err == ERR_OK && wrong.len > 0 && (err = store_counts_read(v->s, &now)) == ERR_OK) {
        v->result->sums = counts_equal(&now, counts);
        if (v->result->sums)
            err = tell_quotas(v, &wrong);
    }
    buf_free(&wrong);
    buf_free(&names.name);
    return err;
}

/* The difference is a change like any other. */
static enum err correct_counts(struct change *c, void *arg)
{
    c->counts = ((const struct correction *)arg)->counts;
    return ERR_OK;
}

static enum err compare_counts(struct verify *v, const struct store_counts *noted,
                               const struct store_counts *counted)
{
    struct correction x = {.v = v};
    enum err err = ERR_OK;

    if (counts_equal(noted, counted))
        return ERR_OK;
    for (int i = 0; i < TICKET_STATE_COUNT; i++)
        x.counts.tickets[i] = counted->tickets[i] - noted->tickets[i];
    for (int i = 0; i < JOB_STATE_COUNT; i++)
        x.counts.jobs[i] = counted->jobs[i] - noted->jobs[i];
    x.counts.payloads = counted->payloads - noted->payloads;
    x.counts.payload_bytes = counted->payload_bytes - noted->payload_bytes;
    x.counts.work = counted->work - noted->work;
    x.counts.attempts = counted->attempts - noted->attempts;
    if (v->o->repair)
        err = store_change_lazy(v->s, correct_counts, &x);
    tell_sum(v, "tally", "counts", "how much there is of everything is not what was counted",
             v->o->repair && err == ERR_OK);
    return err;
}

enum err verify_sums(struct verify *v)
{
    struct store_counts before, after;
    struct sums first, again;
    enum err err;

    sums_init(&first);
    sums_init(&again);
    err = count_all(v, &first);
    if (err == ERR_OK)
        err = store_counts_read(v->s, &before);
    if (err == ERR_OK)
        err = count_all(v, &again);
    if (err == ERR_OK)
        err = store_counts_read(v->s, &after);
    if (err == ERR_OK)
        err = compare_references(v, &first, &again);
    v->result->sums =
        err == ERR_OK && counts_equal(&before, &after) && counts_equal(&first.counts, &again.counts);
    if (v->result->sums && v->o->repair && v->result->repaired > 0) {
        /* References that were put right took payloads away: count once more. */
        sums_free(&again);
        sums_init(&again);
        err = store_counts_read(v->s, &before);
        if (err == ERR_OK)
            err = count_all(v, &again);
        if (err == ERR_OK)
            err = store_counts_read(v->s, &after);
        v->result->sums = err == ERR_OK && counts_equal(&before, &after);
    }
    if (err == ERR_OK && v->result->sums)
        err = compare_quotas(v, &again, &after);
    if (err == ERR_OK && v->result->sums)
        err = compare_counts(v, &after, &again.counts);
    sums_free(&first);
    sums_free(&again);
    return err;
}
