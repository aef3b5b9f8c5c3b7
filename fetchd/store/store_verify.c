/*
 * store_verify.c - see verify.h. Payloads come first, then what refers to them, then the indexes
 * (verify_rows.c), which lose their rows to what was taken out, then the files (verify_files.c) and the sums
 * (verify_sums.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/kill.h"
#include "base/secret.h"
#include "store/file_copy.h"
#include "store/policy_record.h"
#include "store/restore_replay.h"
#include "store/store_handover.h"
#include "store/store_job.h"
#include "store/store_payload.h"
#include "store/store_letter.h"
#include "store/ticket_state.h"
#include "store/verify_internal.h"

#define EXTRA_MAX STORE_VALUE_MAX
#define PIECE 65536u
#define LOST_TEXT "the letter is missing from the sender's server, or damaged: it is lost"

static const struct engine_ops *ops(const struct change *c)
{
    return c->s->engine->ops;
}

/* ---- findings ------------------------------------------------------------------------------------------ */

bool verify_unreadable(enum err err)
{
    return err == ERR_STORE || err == ERR_STORE_FORMAT;
}

bool verify_problem(struct verify *v, const char *what, const char *text)
{
    if (v->problems == VERIFY_PROBLEMS_MAX)
        return false;
    v->problem[v->problems].what = what;
    v->problem[v->problems].text = text;
    v->problem[v->problems++].repaired = v->o->repair;
    return v->o->repair;
}

void verify_no_repair(struct verify *v)
{
    if (v->problems > 0)
        v->problem[v->problems - 1].repaired = false;
}

static void key_hex(const struct verify *v, char out[129])
{
    encode_hex(v->key, v->key_len < 64 ? v->key_len : 64, out);
}

/* A line of JSON: nothing in it needs an escape, since all of it is ours. */
void verify_note(const struct verify *v, const struct verify_finding *f)
{
    char path[4096], when[CLOCK_ISO_MAX];
    struct buf line;
    int fd;

    snprintf(path, sizeof path, "%s/findings.json", v->o->quarantine);
    clock_iso(v->now_s, when);
    buf_init(&line, 4096);
    if ((fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600)) >= 0 &&
        buf_printf(&line,
                   "{\"time\": \"%s\", \"what\": \"%s\", \"table\": \"%s\", \"key\": \"%s\", \"file\": "
                   "\"%s\", \"text\": \"%s\"}\n",
                   when, f->what, f->table, f->key, f->quarantine, f->text) == ERR_OK &&
        file_write_all(fd, line.data, line.len) == ERR_OK)
        fdatasync(fd);
    if (fd >= 0)
        close(fd);
    buf_free(&line);
}

void verify_begin(struct verify *v, enum engine_table table, struct span key)
{
    v->table = table;
    v->key_len = key.len;
    if (key.len > 0)
        memcpy(v->key, key.ptr, key.len);
    v->problems = 0;
    v->changed = false;
    v->quarantine[0] = '\0';
}

void verify_tell(struct verify *v, bool committed)
{
    for (size_t i = 0; i < v->problems; i++) {
        struct verify_finding f = {.what = v->problem[i].what,
                                   .table = engine_table_name(v->table),
                                   .text = v->problem[i].text,
                                   .repaired = committed && v->problem[i].repaired,
                                   .quarantine = committed ? v->quarantine : ""};

        key_hex(v, f.key);
        v->result->findings++;
        v->result->repaired += f.repaired;
        if (f.quarantine[0] != '\0')
            verify_note(v, &f);
        if (v->o->each != NULL)
            v->o->each(v->o->arg, &f);
    }
}

enum err verify_quarantine(struct verify *v, struct span bytes)
{
    char hex[129], path[4096 + 300];
    enum err err;
    int fd;

    if (v->o->quarantine == NULL)
        return ERR_CANCELLED;
    if (mkdir(v->o->quarantine, 0700) != 0 && errno != EEXIST)
        return err_from_errno(errno);
    key_hex(v, hex);
    snprintf(v->quarantine, sizeof v->quarantine, "%s.%s.%lld", engine_table_name(v->table), hex,
             (long long)v->now_s);
    snprintf(path, sizeof path, "%s/%s", v->o->quarantine, v->quarantine);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    err = fd < 0 ? err_from_errno(errno) : file_write_all(fd, bytes.ptr, bytes.len);
    if (err == ERR_OK && fsync(fd) != 0)
        err = err_from_errno(errno);
    if (fd >= 0)
        close(fd);
    /* What is taken out of the store must not be in neither after a power cut. */
    fd = err == ERR_OK ? open(v->o->quarantine, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (err == ERR_OK && (fd < 0 || fsync(fd) != 0))
        err = err_from_errno(errno);
    if (fd >= 0)
        close(fd);
    return err;
}

enum err verify_get(struct change *c, struct verify *v, enum engine_table table, struct span key)
{
    return ops(c)->get(c->txn, table, key, true, &v->extra);
}

enum err verify_take_out(struct change *c, struct verify *v)
{
    enum err err = verify_quarantine(v, buf_span(&v->value));

    if (err == ERR_CANCELLED) {
        verify_no_repair(v);
        return ERR_OK;
    }
    v->changed = true;
    return err == ERR_OK ? ops(c)->del(c->txn, v->table, span_bytes(v->key, v->key_len)) : err;
}

/* ---- one record ---------------------------------------------------------------------------------------- */

struct look {
    struct verify *v;
    verify_body body;
};

static enum err look(struct change *c, void *arg)
{
    const struct look *l = arg;
    struct verify *v = l->v;
    enum err err;

    v->problems = 0;
    v->changed = false;
    v->quarantine[0] = '\0';
    secret_wipe(v->r.any, VERIFY_RECORD_BYTES);
    err = ops(c)->get(c->txn, v->table, span_bytes(v->key, v->key_len), true, &v->value);
    if (err == ERR_OK)
        err = l->body(c, v);
    return err == ERR_OK && !v->changed ? ERR_CANCELLED : err; /* nothing to commit */
}

enum err verify_record(struct verify *v, enum engine_table table, struct span key, verify_body body)
{
    struct look l = {v, body};
    enum err err;

    if (key.len > sizeof v->key)
        return ERR_STORE;
    verify_begin(v, table, key);
    err = store_change_lazy(v->s, look, &l);
    if (err == ERR_NOT_FOUND) {
        v->problems = 0; /* it went meanwhile */
        err = ERR_OK;
    }
    verify_tell(v, err == ERR_OK && v->changed);
    return err == ERR_CANCELLED ? ERR_OK : err;
}

enum err verify_table(struct verify *v, enum engine_table table, verify_body body)
{
    struct record_key all = {.len = 0};
    struct span key, value;
    struct walk w;
    enum err err;

    walk_init(&w, v->s, table, all, all, false);
    while ((err = walk_next(&w, &key, &value)) == ERR_OK) {
        v->result->rows++;
        if ((err = verify_record(v, table, key, body)) != ERR_OK)
            break;
    }
    walk_free(&w);
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

/* ---- payloads ------------------------------------------------------------------------------------------ */

/* Whether it says something about the letter, and not about the machine: of memory, descriptors, rights or a
 * disk that does not answer no letter is to die. */
static bool tells_of_damage(enum err err)
{
    return verify_unreadable(err) || err == ERR_SEAL_FORMAT || err == ERR_SEAL_LENGTH ||
           err == ERR_SEAL_COMMITMENT || err == ERR_SEAL_TAG || err == ERR_SEAL_TRUNCATED ||
           err == ERR_SEAL_TRAILING || err == ERR_SEAL_WRAP;
}

static enum err open_bytes(struct verify *v, const uint8_t id[SEAL_PAYLOAD_ID_BYTES],
                           const uint8_t dek[SEAL_DEK_BYTES], const struct store_body *body)
{
    uint8_t digest[SEAL_DIGEST_BYTES];
    struct opener *opener = NULL;
    struct buf clear;
    uint64_t letter_bytes, limit = v->o->deep ? body->size : SEAL_HEADER_BYTES;
    enum err err = opener_create(dek, body->size, &opener);

    buf_init_secret(&clear, 4 * PIECE + SEAL_CHUNK_BYTES);
    for (uint64_t at = 0; err == ERR_OK && at < limit;) {
        char piece[PIECE];
        size_t len = limit - at < PIECE ? (size_t)(limit - at) : PIECE;

        if (body->fd < 0)
            memcpy(piece, body->bytes.data + at, len);
        else if (pread(body->fd, piece, len, (off_t)at) != (ssize_t)len)
            err = ERR_IO;
        if (err == ERR_OK)
            err = opener_update(opener, piece, len, &clear);
        buf_clear(&clear);
        at += len;
    }
    if (err == ERR_OK && memcmp(opener_header(opener)->payload_id, id, SEAL_PAYLOAD_ID_BYTES) != 0)
        err = ERR_SEAL_FORMAT;
    if (err == ERR_OK && v->o->deep)
        err = opener_finish(opener, digest, &letter_bytes);
    opener_free(opener);
    buf_free(&clear);
    return err;
}

/* ERR_OK, also when it has gone: *damaged says how they are. They never change, so no transaction is needed.
 * Another error: it cannot be told. */
static enum err look_at_bytes(struct verify *v, const uint8_t id[SEAL_PAYLOAD_ID_BYTES], bool *damaged)
{
    uint8_t dek[SEAL_DEK_BYTES];
    struct store_body body = {.fd = -1};
    enum err err = store_payload_open_dek(v->s, id, dek);

    if (err == ERR_OK)
        err = store_payload_open(v->s, id, &body);
    if (err == ERR_OK) {
        err = open_bytes(v, id, dek, &body);
        store_body_close(&body);
    }
    secret_wipe(dek, sizeof dek);
    *damaged = tells_of_damage(err);
    return *damaged || err == ERR_NOT_FOUND ? ERR_OK : err;
}

/* Nobody can say how they are, nor keep them anywhere else: the letter stays as it is. */
static enum err payload_unreadable(struct change *c, struct verify *v)
{
    (void)c;
    verify_problem(v, "payload-unreadable", "a letter cannot be read from the disk");
    verify_no_repair(v);
    return ERR_OK;
}

/* One payload; its blob is opened before the transaction, which knows of rows alone. */
enum err verify_payload(struct verify *v, const uint8_t id[SEAL_PAYLOAD_ID_BYTES], verify_body body)
{
    uint64_t size;
    enum err err = v->s->engine->ops->blob_open(v->s->engine, id, &v->blob_fd, &size);

    if (err != ERR_OK)
        v->blob_fd = -1;
    v->blob_unread = err == ERR_IO;
    err = verify_record(v, TABLE_PAYLOAD, span_bytes(id, SEAL_PAYLOAD_ID_BYTES), body);
    if (v->blob_fd >= 0)
        close(v->blob_fd);
    v->blob_fd = -1;
    v->blob_unread = false;
    return err;
}

enum err verify_quarantine_bytes(struct verify *v)
{
    struct buf all;
    enum err err;
    ssize_t n = v->blob_fd < 0 ? 0 : 1;
    off_t at = 0;

    if (v->blob_unread)
        return ERR_CANCELLED;
    buf_init(&all, (size_t)1 << 32);
    err = buf_append_span(&all, buf_span(&v->value));
    if (err == ERR_OK)
        err = buf_append_span(&all, buf_span(&v->extra));
    while (err == ERR_OK && n > 0) {
        char *room = buf_reserve(&all, PIECE);

        n = room == NULL ? -1 : pread(v->blob_fd, room, PIECE, at);
        if (n < 0) {
            err = room == NULL ? ERR_NOMEM : ERR_CANCELLED;
        } else {
            buf_added(&all, (size_t)n);
            at += n;
        }
    }
    if (err == ERR_OK)
        err = verify_quarantine(v, buf_span(&all));
    buf_free(&all);
    return err;
}

enum err verify_payload_out(struct change *c, struct verify *v, struct payload_record *p)
{
    struct span key = span_bytes(v->key, v->key_len);
    enum err err = ERR_OK;

    buf_clear(&v->extra);
    if (!p->in_blob && (err = verify_get(c, v, TABLE_SEALED, key)) != ERR_OK && err != ERR_NOT_FOUND)
        return err;
    if ((err = verify_quarantine_bytes(v)) == ERR_CANCELLED) {
        verify_no_repair(v);
        return ERR_OK;
    }
    v->changed = true;
    p->references = 1; /* all of them */
    buf_clear(&c->value);
    if (err == ERR_OK)
        err = payload_record_encode(p, &c->value);
    if (err == ERR_OK)
        err = ops(c)->put(c->txn, TABLE_PAYLOAD, key, buf_span(&c->value));
    return err == ERR_OK ? change_payload_release(c, v->key) : err;
}

/* Its tickets find out when they are looked at. */
static enum err payload_bytes(struct change *c, struct verify *v)
{
    struct payload_record p;

    memset(&p, 0, sizeof p);
    if (payload_record_decode(buf_span(&v->value), &p) != ERR_OK)
        return ERR_NOT_FOUND;
    return verify_problem(v, "payload-damaged", "a letter is missing, or does not open")
               ? verify_payload_out(c, v, &p)
               : ERR_OK;
}

static enum err payload_record(struct change *c, struct verify *v)
{
    struct payload_record p;

    memset(&p, 0, sizeof p);
    v->result->records++;
    if (v->key_len == SEAL_PAYLOAD_ID_BYTES && payload_record_decode(buf_span(&v->value), &p) == ERR_OK)
        return ERR_OK;
    return verify_problem(v, "record-damaged", "a payload's record cannot be read") ? verify_take_out(c, v)
                                                                                    : ERR_OK;
}

static enum err verify_payloads(struct verify *v)
{
    struct record_key all = {.len = 0};
    struct span key, value;
    struct walk w;
    enum err err;

    walk_init(&w, v->s, TABLE_PAYLOAD, all, all, false);
    while ((err = walk_next(&w, &key, &value)) == ERR_OK) {
        uint8_t id[SEAL_PAYLOAD_ID_BYTES];
        bool damaged = false;

        v->result->rows++;
        if ((err = verify_record(v, TABLE_PAYLOAD, key, payload_record)) != ERR_OK)
            break;
        if (key.len != sizeof id || v->problems > 0)
            continue;
        memcpy(id, key.ptr, sizeof id);
        if ((err = look_at_bytes(v, id, &damaged)) == ERR_OK && damaged)
            err = verify_payload(v, id, payload_bytes);
        else if (err == ERR_IO) /* one bad sector is not to keep all others from being looked at */
            err = verify_record(v, TABLE_PAYLOAD, span_bytes(id, sizeof id), payload_unreadable);
        if (err != ERR_OK)
            break;
    }
    walk_free(&w);
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

/* ---- tickets ------------------------------------------------------------------------------------------- */

/* A row that belongs to the record: with exactly this value. */
static enum err need_row(struct change *c, struct verify *v, enum engine_table table, struct span key,
                         struct span value, const char *text)
{
    enum err err = verify_get(c, v, table, key);

    if (err == ERR_OK && span_equal(buf_span(&v->extra), value))
        return ERR_OK;
    if (err != ERR_OK && err != ERR_NOT_FOUND)
        return err;
    if (!verify_problem(v, "index-missing", text))
        return ERR_OK;
    v->changed = true;
    return ops(c)->put(c->txn, table, key, value);
}

static enum err ticket_rows(struct change *c, struct verify *v, const struct ticket_record *r)
{
    const struct span nothing = span_bytes(NULL, 0);
    bool ended = ticket_state_ended(r->t.state);
    struct record_key k = record_key_time(r->t.created_s, r->t.key, sizeof r->t.key);
    enum err err = need_row(c, v, TABLE_CREATED, record_key_span(&k), span_bytes(r->t.a, sizeof r->t.a),
                            "a ticket is not in the list");

    k = record_key_timer(ended ? TIMER_PURGE_TICKET : TIMER_EXPIRE, r->timer_s, r->t.key, sizeof r->t.key);
    if (err == ERR_OK)
        err = need_row(c, v, TABLE_TIMER, record_key_span(&k), nothing, "a ticket has no timer");
    for (int kind = 0; kind < WORK_KIND_COUNT && err == ERR_OK; kind++) {
        int64_t due_s = *ticket_record_due((struct ticket_record *)(uintptr_t)r, (enum work_kind)kind);

        k = record_key_work(due_s, r->t.key, (enum work_kind)kind);
        if (due_s != 0)
            err = need_row(c, v, TABLE_WORK_DUE, record_key_span(&k), nothing,
                           "work on a ticket is not in the outbox");
    }
    if (err == ERR_OK)
        err = change_letter_missing(c, r);
    if (err == ERR_NOT_FOUND &&
        verify_problem(v, "index-missing", "a letter would not be found by its Message-ID, or come again")) {
        v->changed = true;
        return change_letter_put(c, r);
    }
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

static enum err make_wrap(struct change *c, struct verify *v, const struct ticket_keys *keys,
                          const struct ticket *t, const uint8_t dek[SEAL_DEK_BYTES])
{
    uint8_t wrap[SEAL_WRAP_BYTES];
    enum err err = wrap_seal(keys->kd, keys->a, t->payload_id, t->version, dek, wrap);

    v->changed = true;
    if (err == ERR_OK)
        err =
            ops(c)->put(c->txn, TABLE_WRAP, span_bytes(t->key, sizeof t->key), span_bytes(wrap, sizeof wrap));
    secret_wipe(wrap, sizeof wrap);
    return err;
}

/* A living ticket's wrap gives the payload's key to whoever has the ticket's. */
static enum err ticket_wrap(struct change *c, struct verify *v, const struct ticket *t,
                            const struct payload_record *p)
{
    uint8_t dek[SEAL_DEK_BYTES], wrapped[SEAL_DEK_BYTES];
    struct ticket_keys keys;
    enum err err = ticket_derive(c->s->keys, t->a, &keys), opened;

    if (err != ERR_OK) {
        verify_problem(v, "site-key", "a ticket's site key is missing");
        verify_no_repair(v);
        return ERR_OK;
    }
    err = payload_record_open_dek(c->s->keys, t->payload_id, p, dek);
    if (err == ERR_OK)
        err = verify_get(c, v, TABLE_WRAP, span_bytes(t->key, sizeof t->key));
    opened =
        err == ERR_OK && v->extra.len == SEAL_WRAP_BYTES
            ? wrap_open(keys.kd, keys.a, t->payload_id, t->version, (const uint8_t *)v->extra.data, wrapped)
            : ERR_SEAL_WRAP;
    if (err == ERR_NOT_FOUND)
        err = ERR_OK;
    if (err == ERR_OK && (opened != ERR_OK || memcmp(dek, wrapped, sizeof dek) != 0) &&
        verify_problem(v, "wrap-damaged", "a ticket's wrapped key is missing or wrong"))
        err = make_wrap(c, v, &keys, t, dek);
    secret_wipe(dek, sizeof dek);
    secret_wipe(wrapped, sizeof wrapped);
    ticket_wipe(&keys);
    return verify_unreadable(err) ? ERR_OK : err; /* the payload's own finding */
}

static enum err ticket_payload(struct change *c, struct verify *v, struct ticket_record *r)
{
    bool ended = ticket_state_ended(r->t.state);
    struct payload_record p;
    enum err err;

    if ((ended && r->notify_due_s == 0 && r->plain_due_s == 0) || (ended && ticket_letter_lost(&r->t)))
        return ERR_OK;
    err = change_payload_get(c, r->t.payload_id, &p);
    if (err == ERR_OK)
        return ended ? ERR_OK : ticket_wrap(c, v, &r->t, &p);
    if (err != ERR_NOT_FOUND && !verify_unreadable(err))
        return err;
    if (!verify_problem(v, "payload-missing", "a ticket's letter is not there"))
        return ERR_OK;
    v->changed = true;
    err = change_letter_lost(c, r, LOST_TEXT, v->now_s);
    return err == ERR_OK ? change_ticket_put(c, r) : err;
}

static enum err ticket_sealed(struct change *c, struct verify *v, struct ticket_record *r)
{
    enum err err = ticket_record_open(c->s->keys, r);

    if (err != ERR_STORE)
        return err;
    if (!verify_problem(v, "sealed-damaged",
                        "a ticket's From and Subject do not open: its stub goes without them"))
        return ERR_OK;
    if ((err = verify_quarantine(v, buf_span(&v->value))) == ERR_CANCELLED) {
        verify_no_repair(v);
        return ERR_OK;
    }
    v->changed = true;
    store_text(r->t.from_field, sizeof r->t.from_field, r->t.from);
    r->t.subject[0] = '\0';
    if (err == ERR_OK)
        err = ticket_record_seal(c->s->keys, r);
    return err == ERR_OK ? change_ticket_put(c, r) : err;
}

static enum err verify_ticket(struct change *c, struct verify *v)
{
    struct ticket_record *r = v->r.ticket;
    enum err err;

    v->result->records++;
    if (v->key_len != TICKET_STORE_KEY_BYTES ||
        ticket_record_decode(buf_span(&v->value), v->key, r) != ERR_OK)
        return verify_problem(v, "record-damaged", "a ticket cannot be read") ? verify_take_out(c, v)
                                                                              : ERR_OK;
    err = ticket_sealed(c, v, r);
    if (err == ERR_OK)
        err = ticket_rows(c, v, r);
    return err == ERR_OK ? ticket_payload(c, v, r) : err;
}

/* ---- jobs, attempts, policies -------------------------------------------------------------------------- */

static enum err verify_job(struct change *c, struct verify *v)
{
    struct job_record *r = v->r.job;
    struct payload_record p;
    struct record_key k;
    enum err err;

    v->result->records++;
    if (v->key_len != JOB_ID_BYTES || job_record_decode(c->s->keys, buf_span(&v->value), v->key, r) != ERR_OK)
        return verify_problem(v, "record-damaged", "a job cannot be read or does not open")
                   ? verify_take_out(c, v)
                   : ERR_OK;
    if (job_state_ended(r->j.state)) {
        k = record_key_timer(TIMER_PURGE_JOB, r->timer_s, r->j.id, JOB_ID_BYTES);
        return need_row(c, v, TABLE_TIMER, record_key_span(&k), span_bytes(NULL, 0),
                        "a job that ended has no timer");
    }
    k = record_key_time(r->j.due_s, r->j.id, JOB_ID_BYTES);
    err = need_row(c, v, TABLE_JOB_DUE, record_key_span(&k), span_bytes(NULL, 0), "a job is never due");
    if (err != ERR_OK || !r->j.kept)
        return err;
    err = change_payload_get(c, r->j.payload_id, &p);
    if (err != ERR_NOT_FOUND && !verify_unreadable(err))
        return err;
    if (!verify_problem(v, "payload-missing", "a kept message's letter is not there: its job ends"))
        return ERR_OK;
    v->changed = true;
    err = change_job_enter(c, r, JOB_FAILED, v->now_s);
    store_text(r->j.text, sizeof r->j.text, "the letter is missing from the store, or damaged");
    return err == ERR_OK ? change_job_put(c, r) : err;
}

static enum err verify_attempt(struct change *c, struct verify *v)
{
    struct attempt_record *r = v->r.attempt;
    bool changed = false;
    size_t at = 0;
    enum err err;

    v->result->records++;
    if (attempt_record_decode(buf_span(&v->value), r) != ERR_OK ||
        attempt_record_open(c->s->keys, span_bytes(v->key, v->key_len), r) != ERR_OK)
        return verify_problem(v, "record-damaged",
                              "a row of contact attempts cannot be read or does not open")
                   ? verify_take_out(c, v)
                   : ERR_OK;
    while (at < r->jobs.len) {
        err = verify_get(c, v, TABLE_JOB, span_bytes(r->jobs.data + at, JOB_ID_BYTES));
        if (err != ERR_OK && err != ERR_NOT_FOUND)
            return err;
        if (err == ERR_OK ||
            !verify_problem(v, "job-missing", "a letter that waits as a contact attempt has no job")) {
            at += JOB_ID_BYTES;
            continue;
        }
        r->jobs.len = (uint16_t)(r->jobs.len - JOB_ID_BYTES);
        memmove(r->jobs.data + at, r->jobs.data + at + JOB_ID_BYTES, r->jobs.len - at);
        changed = true;
    }
    if (!changed)
        return ERR_OK;
    v->changed = true;
    buf_clear(&v->extra);
    err = attempt_record_encode(r, &v->extra);
    return err == ERR_OK
               ? ops(c)->put(c->txn, TABLE_ATTEMPT, span_bytes(v->key, v->key_len), buf_span(&v->extra))
               : err;
}

union policy_any {
    struct policy_record policy;
    struct entry entry;
    struct correspondent_record correspondent;
    struct token token;
    struct seen_record seen;
    struct spent_record spent;
};

/* What is forgotten at its time. */
static enum err policy_rows(struct change *c, struct verify *v, const union policy_any *r)
{
    bool spent = v->table == TABLE_SPENT;
    struct record_key k;

    if ((!spent && v->table != TABLE_CORRESPONDENT) || v->key_len != SPENT_KEY_BYTES)
        return ERR_OK;
    k = record_key_timer(spent ? TIMER_PURGE_SPENT : TIMER_PURGE_CORRESPONDENT,
                         spent ? r->spent.expires_s : r->correspondent.until_s, v->key, v->key_len);
    return need_row(c, v, TABLE_TIMER, record_key_span(&k), span_bytes(NULL, 0),
                    "what is to be forgotten has no timer");
}

static enum err verify_policy(struct change *c, struct verify *v)
{
    union policy_any any;

    v->result->records++;
    memset(&any, 0, sizeof any);
    if (policy_record_decode(v->table, buf_span(&v->value), &any) == ERR_OK)
        return policy_rows(c, v, &any);
    return verify_problem(v, "record-damaged", "what an owner or the site decided cannot be read")
               ? verify_take_out(c, v)
               : ERR_OK;
}

enum err store_verify(struct store *s, const struct verify_options *o, struct verify_result *out)
{
    static const struct {
        enum engine_table table;
        verify_body body;
    } row[] = {
        {TABLE_TICKET, verify_ticket}, {TABLE_JOB, verify_job},      {TABLE_ATTEMPT, verify_attempt},
        {TABLE_POLICY, verify_policy}, {TABLE_ENTRY, verify_policy}, {TABLE_CORRESPONDENT, verify_policy},
        {TABLE_TOKEN, verify_policy},  {TABLE_SEEN, verify_policy},  {TABLE_SPENT, verify_policy}};
    struct verify *v = calloc(1, sizeof *v);
    enum err err = ERR_NOMEM, flushed;

    memset(out, 0, sizeof *out);
    if (v == NULL || (v->r.any = calloc(1, VERIFY_RECORD_BYTES)) == NULL)
        goto out;
    v->s = s;
    v->o = o;
    v->result = out;
    v->now_s = clock_now_s();
    v->blob_fd = -1;
    buf_init_secret(&v->value, STORE_VALUE_MAX);
    buf_init_secret(&v->extra, EXTRA_MAX);
    err = verify_payloads(v);
    KILL_POINT("check-payloads-after");
    for (size_t i = 0; i < sizeof row / sizeof *row && err == ERR_OK; i++)
        err = verify_table(v, row[i].table, row[i].body);
    if (err == ERR_OK)
        err = verify_indexes(v);
    if (err == ERR_OK)
        err = verify_files(v);
    if (err == ERR_OK)
        err = verify_sums(v);
    if (err == ERR_OK && o->repair && out->sums)
        err = store_check_repaired(s);
    /* Repairs are no answers, but they are said to be done. */
    if (o->repair && (flushed = store_flush(s)) != ERR_OK && err == ERR_OK)
        err = flushed;
    secret_wipe(v->r.any, VERIFY_RECORD_BYTES);
    buf_free(&v->value);
    buf_free(&v->extra);
out:
    if (v != NULL)
        free(v->r.any);
    free(v);
    return err;
}
