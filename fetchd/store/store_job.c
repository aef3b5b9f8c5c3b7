/*
 * store_job.c - pull jobs: what the receiving side has promised to call for. Looking at them is in
 * store_job_look.c.
 */
#include <stdlib.h>
#include <string.h>

#include "base/kill.h"
#include "base/log.h"
#include "base/secret.h"
#include "store/store_handover.h"
#include "store/store_job.h"
#include "store/store_policy.h"

static const struct {
    const char *name;
    bool ended;
    unsigned next; /* which states may follow */
} state_row[JOB_STATE_COUNT] = {
#define TO(state) (1U << JOB_##state)
    /* Acked without having been delivered here: the sender's site knows it as delivered (410 "acked"), also
     * when it is told that it is held. */
    [JOB_WAITING] = {"waiting", false, TO(DELIVERED) | TO(REFUSED) | TO(ACKED) | TO(FAILED)},
    [JOB_DELIVERED] = {"delivered", false, TO(ACKED) | TO(FAILED)},
    [JOB_REFUSED] = {"refused", false, TO(NACKED) | TO(FAILED)},
    /* A repeated stub: the sender has not heard the ack or nack. */
    [JOB_ACKED] = {"acked", true, TO(DELIVERED)},
    [JOB_NACKED] = {"nacked", true, TO(REFUSED)},
    [JOB_FAILED] = {"failed", true, 0},
    [JOB_HELD] = {"held", false, TO(WAITING) | TO(REFUSED) | TO(ACKED) | TO(FAILED)},
#undef TO
};

const char *job_state_name(enum job_state s)
{
    return (unsigned)s < JOB_STATE_COUNT ? state_row[s].name : "unknown";
}

bool job_state_ended(enum job_state s)
{
    return (unsigned)s < JOB_STATE_COUNT && state_row[s].ended;
}

bool job_state_may(enum job_state from, enum job_state to)
{
    return (unsigned)from < JOB_STATE_COUNT && (unsigned)to < JOB_STATE_COUNT &&
           (state_row[from].next & 1U << to) != 0;
}

/* ---- records ------------------------------------------------------------------------------------------- */

enum err change_job_get(struct change *c, const uint8_t id[JOB_ID_BYTES], struct job_record *r)
{
    enum err err = c->s->engine->ops->get(c->txn, TABLE_JOB, span_bytes(id, JOB_ID_BYTES), true, &c->value);

    secret_wipe(r, sizeof *r);
    return err == ERR_OK ? job_record_decode(c->s->keys, buf_span(&c->value), id, r) : err;
}

enum err change_job_put(struct change *c, struct job_record *r)
{
    enum err err;

    buf_clear(&c->value);
    err = job_record_encode(c->s->keys, r, &c->value);
    if (err == ERR_OK)
        err =
            c->s->engine->ops->put(c->txn, TABLE_JOB, span_bytes(r->j.id, JOB_ID_BYTES), buf_span(&c->value));
    return err;
}

static enum err put_key(struct change *c, enum engine_table table, const struct record_key *k)
{
    return c->s->engine->ops->put(c->txn, table, record_key_span(k), span_bytes(NULL, 0));
}

static enum err del_key(struct change *c, enum engine_table table, const struct record_key *k)
{
    return absent_is_fine(c->s->engine->ops->del(c->txn, table, record_key_span(k)));
}

enum err change_job_due(struct change *c, struct job_record *r, int64_t due_s)
{
    struct record_key k = record_key_time(r->j.due_s, r->j.id, JOB_ID_BYTES);
    enum err err = del_key(c, TABLE_JOB_DUE, &k);

    r->j.due_s = due_s;
    k = record_key_time(due_s, r->j.id, JOB_ID_BYTES);
    return err == ERR_OK ? put_key(c, TABLE_JOB_DUE, &k) : err;
}

int64_t job_held_due(const struct job *j, int64_t now_s, int64_t look_s)
{
    if (j->tell != JOB_TELL_NOTHING)
        return now_s;
    /* At the very second of its expiry it still waits. */
    return look_s != 0 && look_s <= j->expires_s ? look_s : j->expires_s + 1;
}

bool job_hear(struct job *j, const struct job_heard *heard)
{
    bool news = false;

    if (heard->certificate_issuer != NULL && heard->certificate_issuer[0] != '\0') {
        const char *serial = heard->certificate_serial == NULL ? "" : heard->certificate_serial;

        news = strcmp(j->certificate_issuer, heard->certificate_issuer) != 0 ||
               strcmp(j->certificate_serial, serial) != 0;
        store_text(j->certificate_issuer, sizeof j->certificate_issuer, heard->certificate_issuer);
        store_text(j->certificate_serial, sizeof j->certificate_serial, serial);
    }
    if (heard->version == 0)
        return news;
    /* Before the first time only the stub's size is known, and that is what its recipient was shown. */
    if (heard->letter_bytes != j->size_bytes || (j->version != 0 && heard->version != j->version))
        news = j->replaced = true;
    news = news || heard->version != j->version;
    j->version = heard->version;
    j->size_bytes = heard->letter_bytes;
    j->heard_s = heard->at_s;
    return news;
}

enum err change_job_new(struct change *c, struct job_record *r, const struct job *j,
                        const uint8_t same[CRYPT_SHA256_BYTES], enum job_state state, int64_t due_s)
{
    struct record_key due;
    enum err err;

    secret_wipe(r, sizeof *r);
    r->j = *j;
    memcpy(r->j.id, same, sizeof r->j.id);
    memcpy(r->same, same, sizeof r->same);
    r->j.state = state;
    r->j.changed_s = r->j.created_s;
    r->j.tries = r->j.corrupt = 0;
    r->j.due_s = due_s;
    if (state == JOB_REFUSED)
        secret_wipe(r->j.kd, sizeof r->j.kd); /* nothing will be opened */
    due = record_key_time(due_s, r->j.id, JOB_ID_BYTES);
    c->counts.jobs[state]++;
    err = put_key(c, TABLE_JOB_DUE, &due);
    return err == ERR_OK ? change_job_put(c, r) : err;
}

/* Its entry in JOB_DUE or, ended, in TIMER. */
static enum err del_index(struct change *c, const struct job_record *r)
{
    struct record_key timer = record_key_timer(TIMER_PURGE_JOB, r->timer_s, r->j.id, JOB_ID_BYTES);
    struct record_key due = record_key_time(r->j.due_s, r->j.id, JOB_ID_BYTES);

    return job_state_ended(r->j.state) ? del_key(c, TABLE_TIMER, &timer) : del_key(c, TABLE_JOB_DUE, &due);
}

enum err change_job_enter(struct change *c, struct job_record *r, enum job_state to, int64_t now_s)
{
    struct record_key timer, due;
    enum err err;

    if (!job_state_may(r->j.state, to)) {
        log_error("store: a job may not go from %s to %s", job_state_name(r->j.state), job_state_name(to));
        return ERR_INTERNAL;
    }
    err = del_index(c, r);
    if (err == ERR_OK && r->j.state == JOB_HELD)
        err = change_attempt_leave(c, &r->j);
    c->counts.jobs[r->j.state]--;
    c->counts.jobs[to]++;
    r->j.state = to;
    r->j.changed_s = now_s;
    if (to != JOB_HELD)
        r->j.tell = JOB_TELL_NOTHING;
    /* Nothing is opened any more, unless a held letter is to be called for now. */
    if (to != JOB_WAITING)
        secret_wipe(r->j.kd, sizeof r->j.kd);
    if (job_state_ended(to)) {
        /* An ended job needs no authorisation either, and a kept message's letter is with the MTA or is not
         * wanted. */
        secret_wipe(r->j.ka, sizeof r->j.ka);
        r->timer_s = (r->j.expires_s > now_s ? r->j.expires_s : now_s) + c->s->tombstone_s;
        timer = record_key_timer(TIMER_PURGE_JOB, r->timer_s, r->j.id, JOB_ID_BYTES);
        if (err == ERR_OK && r->j.kept)
            err = change_payload_release(c, r->j.payload_id);
        return err == ERR_OK ? put_key(c, TABLE_TIMER, &timer) : err;
    }
    r->j.tries = 0;
    r->j.due_s = now_s;
    due = record_key_time(now_s, r->j.id, JOB_ID_BYTES);
    return err == ERR_OK ? put_key(c, TABLE_JOB_DUE, &due) : err;
}

enum err change_job_forget(struct change *c, struct job_record *r)
{
    enum err err = del_index(c, r);

    if (err == ERR_OK && r->j.kept && !job_state_ended(r->j.state))
        err = change_payload_release(c, r->j.payload_id);
    if (err == ERR_OK)
        err = c->s->engine->ops->del(c->txn, TABLE_JOB, span_bytes(r->j.id, JOB_ID_BYTES));
    if (err == ERR_OK)
        c->counts.jobs[r->j.state]--;
    return err;
}

enum err change_job_purge(struct change *c, const uint8_t id[JOB_ID_BYTES], int64_t timer_s)
{
    struct job_record *r = calloc(1, sizeof *r);
    struct record_key k = record_key_timer(TIMER_PURGE_JOB, timer_s, id, JOB_ID_BYTES);
    const struct engine_ops *ops = c->s->engine->ops;
    enum err err;

    if (r == NULL)
        return ERR_NOMEM;
    err = ops->get(c->txn, TABLE_JOB, span_bytes(id, JOB_ID_BYTES), true, &c->value);
    if (err == ERR_OK)
        err = job_record_peek(buf_span(&c->value), r);
    if (err == ERR_OK && (!job_state_ended(r->j.state) || r->timer_s != timer_s))
        err = ERR_NOT_FOUND; /* revived meanwhile */
    if (err == ERR_OK)
        err = del_key(c, TABLE_TIMER, &k);
    if (err == ERR_OK)
        err = ops->del(c->txn, TABLE_JOB, span_bytes(id, JOB_ID_BYTES));
    if (err == ERR_OK) {
        c->counts.jobs[r->j.state]--;
        c->counts.removed++;
    }
    job_record_free(r);
    return err;
}

/* ---- one word on one job ------------------------------------------------------------------------------- */

struct job_word {
    const uint8_t *id;
    struct job_record *r;
    struct job *add;
    uint8_t same[32];
    enum job_added added;
    enum job_state state;
    int64_t time_s;
    bool untried, corrupt, released;
    const uint8_t *digest;
    uint64_t size_bytes;
    const char *queue_id, *reason, *text;
    const struct job_heard *heard;
};

/* Secrets lie in a word's record and nowhere else of it. */
static enum err word_run_by(enum err (*change)(struct store *, change_body, void *), struct store *s,
                            change_body body, struct job_word *w)
{
    enum err err;

    if ((w->r = calloc(1, sizeof *w->r)) == NULL)
        return ERR_NOMEM;
    err = change(s, body, w);
    job_record_free(w->r);
    w->r = NULL;
    if (err == ERR_OK || err == ERR_NOT_FOUND || err == ERR_GONE)
        grace_give_back(s->job_grace, span_bytes(w->id, JOB_ID_BYTES));
    return err;
}

static enum err word_run(struct store *s, change_body body, struct job_word *w)
{
    return word_run_by(store_change, s, body, w);
}

static bool has_digest(const struct job *j)
{
    static const uint8_t no_digest[sizeof j->digest];

    return memcmp(j->digest, no_digest, sizeof no_digest) != 0;
}

/* What makes a stub the same: URL, keys, sender, recipient, envelope recipient, author; each with its NUL.
 * Its job's id is the head of this: a stub that was altered on its way gets a job of its own and cannot stand
 * in the way of the genuine one. Which of them is right the link host decides at the claim. */
enum err job_same_hash(const struct job *j, uint8_t out[CRYPT_SHA256_BYTES])
{
    const struct span stub[] = {span_bytes(j->url, strlen(j->url) + 1),
                                span_bytes(j->ka, sizeof j->ka),
                                span_bytes(j->kd, sizeof j->kd),
                                span_bytes(j->stub_from, strlen(j->stub_from) + 1),
                                span_bytes(j->stub_to, strlen(j->stub_to) + 1),
                                span_bytes(j->recipient, strlen(j->recipient) + 1),
                                span_bytes(j->author, strlen(j->author) + 1)};
    /* A kept message has none of these. What came again after a lost 250 has the same bytes. */
    const struct span kept[] = {SPAN_LITERAL("kept\0"),
                                span_bytes(j->envelope_from, strlen(j->envelope_from) + 1),
                                span_bytes(j->recipient, strlen(j->recipient) + 1),
                                has_digest(j) ? span_bytes(j->digest, sizeof j->digest)
                                              : span_bytes(j->payload_id, sizeof j->payload_id)};

    return j->kept ? crypt_sha256v(kept, sizeof kept / sizeof *kept, out)
                   : crypt_sha256v(stub, sizeof stub / sizeof *stub, out);
}

enum err change_job_revive(struct change *c, struct job_record *r, const struct job *again)
{
    enum err err;

    /* A kept message has nobody who waits for an ack, and what another puller of this domain delivered is not
     * ours to ack: there is no digest. */
    if (r->j.kept || (r->j.state != JOB_ACKED && r->j.state != JOB_NACKED) ||
        (r->j.state == JOB_ACKED && !has_digest(&r->j)))
        return ERR_OK;
    err = change_job_enter(c, r, r->j.state == JOB_ACKED ? JOB_DELIVERED : JOB_REFUSED, again->created_s);
    memcpy(r->j.ka, again->ka, sizeof r->j.ka);
    return err == ERR_OK ? change_job_put(c, r) : err;
}

/* The token that admits it, if one does, counts once for each letter. */
static enum err use_token(struct change *c, const struct job *j, enum job_state state)
{
    enum err err;

    if (j->token[0] == '\0' || state != JOB_WAITING)
        return ERR_OK;
    err = change_token_use(c, j->mailbox, j->token, j->organisation, j->created_s);
    return err == ERR_NOT_FOUND ? ERR_FORBIDDEN : err;
}

/* What was held is admitted by now, or denied: by an entry or token that came meanwhile. */
static enum err release(struct change *c, struct job_record *r, const struct job *again, enum job_state state)
{
    enum err err = use_token(c, again, state);

    if (err == ERR_OK)
        err = change_job_enter(c, r, state, again->created_s);
    if (err != ERR_OK)
        return err;
    store_text(r->j.admission, sizeof r->j.admission, again->admission);
    store_text(r->j.proof, sizeof r->j.proof, again->proof);
    store_text(r->j.token, sizeof r->j.token, again->token);
    store_text(r->j.reason, sizeof r->j.reason, again->reason);
    store_text(r->j.text, sizeof r->j.text, again->text);
    return change_job_put(c, r);
}

static enum err job_add(struct change *c, void *arg)
{
    struct job_word *w = arg;
    struct job_record *r = w->r;
    enum job_state state = w->add->state == JOB_REFUSED ? JOB_REFUSED : JOB_WAITING;
    enum err err = change_job_get(c, w->id, r);

    w->released = false;
    if (err == ERR_OK) {
        w->added = job_state_ended(r->j.state) ? JOB_KNOWN_ENDED : JOB_KNOWN;
        w->state = r->j.state;
        if (w->added == JOB_KNOWN_ENDED) {
            err = change_job_revive(c, r, w->add);
        } else if (r->j.state == JOB_HELD) {
            w->state = state;
            w->released = true;
            err = release(c, r, w->add, state);
        }
    } else if (err == ERR_NOT_FOUND) {
        w->added = JOB_NEW;
        w->state = state;
        err = use_token(c, w->add, state);
        if (err == ERR_OK)
            err = change_job_new(c, r, w->add, w->same, state, w->add->due_s);
    }
    if (err == ERR_OK)
        KILL_POINT("job-add-commit-before");
    return err;
}

enum err store_job_id(const struct job *j, uint8_t out[16])
{
    uint8_t same[CRYPT_SHA256_BYTES];
    enum err err = job_same_hash(j, same);

    if (err == ERR_OK)
        memcpy(out, same, JOB_ID_BYTES);
    return err;
}

enum err store_job_add(struct store *s, struct job *j, enum job_added *added)
{
    struct job_word w = {.add = j};
    enum err err = job_same_hash(j, w.same);

    if (err != ERR_OK)
        return err;
    w.id = w.same;
    if ((w.r = calloc(1, sizeof *w.r)) == NULL)
        return ERR_NOMEM;
    err = store_change(s, job_add, &w);
    job_record_free(w.r);
    KILL_POINT("job-add-commit-after");
    if (err == ERR_OK) {
        if (w.released) /* it may be in hand to be told of, and is due to be claimed now */
            grace_give_back(s->job_grace, span_bytes(w.id, JOB_ID_BYTES));
        memcpy(j->id, w.same, sizeof j->id);
        j->state = w.state;
        *added = w.added;
    }
    return err;
}

static enum err job_later(struct change *c, void *arg)
{
    struct job_word *w = arg;
    enum err err = change_job_get(c, w->id, w->r);

    if (err == ERR_OK && job_state_ended(w->r->j.state))
        err = ERR_GONE;
    if (err == ERR_OK)
        err = change_job_due(c, w->r, w->time_s);
    if (err != ERR_OK)
        return err;
    w->r->j.tries += !w->untried;
    w->r->j.corrupt += w->corrupt;
    /* The MTA's words are for the sender, however long it takes to say them. */
    if (w->text != NULL && w->r->j.state != JOB_REFUSED && w->r->j.state != JOB_DELIVERED)
        store_text(w->r->j.text, sizeof w->r->j.text, w->text);
    err = change_job_put(c, w->r);
    if (err == ERR_OK)
        KILL_POINT("job-later-commit-before");
    return err;
}

enum err store_job_later(struct store *s, const uint8_t id[JOB_ID_BYTES], int64_t due_s, bool corrupt,
                         const char *why)
{
    struct job_word w = {.id = id, .time_s = due_s, .corrupt = corrupt, .text = why};
    enum err err = word_run(s, job_later, &w);

    KILL_POINT("job-later-commit-after");
    return err;
}

enum err store_job_put_off(struct store *s, const uint8_t id[JOB_ID_BYTES], int64_t due_s, const char *why)
{
    struct job_word w = {.id = id, .time_s = due_s, .untried = true, .text = why};

    return word_run_by(store_change_lazy, s, job_later, &w);
}

static enum err job_delivered(struct change *c, void *arg)
{
    struct job_word *w = arg;
    struct job *j = &w->r->j;
    enum err err = change_job_get(c, w->id, w->r);

    if (err != ERR_OK || j->state == JOB_DELIVERED || j->state == JOB_ACKED)
        return err;
    if (job_state_ended(j->state))
        return ERR_GONE;
    if ((err = change_job_enter(c, w->r, JOB_DELIVERED, w->time_s)) != ERR_OK)
        return err;
    memcpy(j->digest, w->digest, sizeof j->digest);
    j->size_bytes = w->size_bytes;
    store_text(j->mta_queue_id, sizeof j->mta_queue_id, w->queue_id);
    store_text(j->text, sizeof j->text, w->text);
    err = change_job_put(c, w->r);
    if (err == ERR_OK)
        err = change_note_job(c, HANDOVER_JOB_DELIVERED, j, w->time_s);
    if (err == ERR_OK)
        KILL_POINT("job-delivered-commit-before");
    return err;
}

enum err store_job_delivered(struct store *s, const uint8_t id[JOB_ID_BYTES], const uint8_t digest[32],
                             uint64_t size_bytes, const char *mta_queue_id, const char *text, int64_t now_s)
{
    struct job_word w = {.id = id,
                         .digest = digest,
                         .size_bytes = size_bytes,
                         .queue_id = mta_queue_id,
                         .text = text,
                         .time_s = now_s};
    enum err err = word_run(s, job_delivered, &w);

    KILL_POINT("job-delivered-commit-after");
    return err;
}

static enum err job_refused(struct change *c, void *arg)
{
    struct job_word *w = arg;
    struct job *j = &w->r->j;
    enum err err = change_job_get(c, w->id, w->r);

    if (err != ERR_OK || j->state == JOB_REFUSED || j->state == JOB_NACKED)
        return err;
    if (job_state_ended(j->state))
        return ERR_GONE;
    if ((err = change_job_enter(c, w->r, JOB_REFUSED, w->time_s)) != ERR_OK)
        return err;
    store_text(j->reason, sizeof j->reason, w->reason);
    store_text(j->text, sizeof j->text, w->text);
    err = change_job_put(c, w->r);
    if (err == ERR_OK)
        err = change_note_job(c, HANDOVER_JOB_REFUSED, j, w->time_s);
    if (err == ERR_OK)
        KILL_POINT("job-refused-commit-before");
    return err;
}

enum err store_job_refused(struct store *s, const uint8_t id[JOB_ID_BYTES], const char *reason,
                           const char *text, int64_t now_s)
{
    struct job_word w = {.id = id, .reason = reason, .text = text, .time_s = now_s};
    enum err err = word_run(s, job_refused, &w);

    KILL_POINT("job-refused-commit-after");
    return err;
}

static enum err job_end(struct change *c, void *arg)
{
    struct job_word *w = arg;
    struct job *j = &w->r->j;
    enum err err = change_job_get(c, w->id, w->r);

    if (err != ERR_OK || j->state == w->state)
        return err;
    if (job_state_ended(j->state))
        return ERR_GONE;
    if ((err = change_job_enter(c, w->r, w->state, w->time_s)) != ERR_OK)
        return err;
    if (w->state == JOB_FAILED)
        store_text(j->reason, sizeof j->reason, w->text);
    if (w->text != NULL && w->text[0] != '\0')
        store_text(j->text, sizeof j->text, w->text);
    err = change_job_put(c, w->r);
    if (err == ERR_OK)
        err = change_note_job(c, HANDOVER_JOB_ENDED, j, w->time_s);
    if (err == ERR_OK)
        KILL_POINT("job-end-commit-before");
    return err;
}

enum err store_job_end(struct store *s, const uint8_t id[JOB_ID_BYTES], enum job_state state, const char *why,
                       int64_t now_s)
{
    struct job_word w = {.id = id, .state = state, .text = why, .time_s = now_s};
    enum err err = job_state_ended(state) ? word_run(s, job_end, &w) : ERR_INTERNAL;

    KILL_POINT("job-end-commit-after");
    return err;
}

static enum err job_gone(struct change *c, void *arg)
{
    struct job_word *w = arg;
    struct job *j = &w->r->j;
    enum err err = change_job_get(c, w->id, w->r);
    bool held = err == ERR_OK && j->state == JOB_HELD;

    if (err == ERR_OK && job_state_ended(j->state))
        err = ERR_GONE;
    if (err == ERR_OK)
        err = change_job_enter(c, w->r, w->state, w->time_s);
    if (err != ERR_OK)
        return err;
    store_text(j->reason, sizeof j->reason, w->reason);
    store_text(j->text, sizeof j->text, w->text);
    err = change_job_put(c, w->r);
    if (err == ERR_OK && held)
        err = change_attempt_empty(c, j);
    if (err == ERR_OK)
        KILL_POINT("job-gone-commit-before");
    return err;
}

enum err store_job_gone(struct store *s, const uint8_t id[JOB_ID_BYTES], enum job_state state,
                        const char *reason, const char *text, int64_t now_s)
{
    struct job_word w = {.id = id, .state = state, .reason = reason, .text = text, .time_s = now_s};
    enum err err = job_state_ended(state) ? word_run(s, job_gone, &w) : ERR_INTERNAL;

    KILL_POINT("job-gone-commit-after");
    return err;
}

static enum err job_called(struct change *c, void *arg)
{
    struct job_word *w = arg;
    enum err err = change_job_get(c, w->id, w->r);

    return err == ERR_OK && job_hear(&w->r->j, w->heard) ? change_job_put(c, w->r) : err;
}

enum err store_job_called(struct store *s, const uint8_t id[JOB_ID_BYTES], const struct job_heard *heard)
{
    struct job_word w = {.id = id, .heard = heard};
    enum err err;

    if ((w.r = calloc(1, sizeof *w.r)) == NULL)
        return ERR_NOMEM;
    err = store_change_lazy(s, job_called, &w);
    job_record_free(w.r);
    return err;
}
