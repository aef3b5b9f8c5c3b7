/*
 * store_attempt.c - the words of attempt.h that change something: held jobs and the rows that count them.
 *
 * A held job names its row (mailbox, attempt) and the row names its jobs; both change in one commit. A
 * transaction cannot scan: which rows a new one takes the place of is looked up before it, looked at again
 * inside, and when others were faster, all begins anew. Looking is in store_attempt_look.c.
 */
#include "store/attempt.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/kill.h"
#include "base/log.h"
#include "base/secret.h"
#include "mail/address.h"
#include "store/attempt_ring.h"
#include "store/attempt_row.h"
#include "store/store_job.h"
#include "store/store_payload.h"
#include "store/store_quota.h"

#define LOOKS_MAX 50

/* A job of a row that gives way: as if its stub had never come, so that the same stub, when its sender sends
 * it again, is an attempt anew; and a flood leaves nothing behind. */
static enum err forget_job(struct change *c, const uint8_t id[JOB_ID_BYTES], struct job_record *r)
{
    enum err err = change_job_get(c, id, r);

    if (err == ERR_OK && r->j.state == JOB_HELD)
        err = change_job_forget(c, r);
    return err == ERR_NOT_FOUND || err == ERR_STORE ? ERR_OK : err;
}

/* ---- a word -------------------------------------------------------------------------------------------- */

struct attempt_word {
    /* add and keep */
    const struct attempt *facts;
    struct job *add;
    uint8_t same[CRYPT_SHA256_BYTES];
    const struct store_payload *payload; /* keep */
    struct payload_record payload_record;
    const struct quota_limits *limits;
    bool much; /* the mailbox has much by now */
    uint32_t rows_max;
    struct attempt_ring ring; /* the mailbox's */
    int looks;
    bool look_again;
    enum job_added added;
    enum job_state state;
    /* all */
    struct record_key key;          /* the row's */
    struct job_record *r;           /* scratch, owned */
    struct attempt_record *row;     /* the row, owned */
    struct attempt_record *evicted; /* scratch, owned */
    int64_t now_s;
    bool admit, told;
    enum unproven unproven;
    uint8_t newest[JOB_ID_BYTES]; /* of the row's jobs, before some went */
    const char *reason, *text;
    const uint8_t *id;
    const struct job_heard *heard;
    int64_t look_s;
    uint8_t job[ATTEMPT_WAITING_MAX][JOB_ID_BYTES]; /* that changed: due anew, whoever has it in hand */
    size_t job_count;
};

static enum err word_run(struct store *s, change_body body, struct attempt_word *w)
{
    enum err err = ERR_NOMEM;

    w->r = calloc(1, sizeof *w->r);
    w->row = calloc(1, sizeof *w->row);
    w->evicted = calloc(1, sizeof *w->evicted);
    if (w->r != NULL && w->row != NULL && w->evicted != NULL)
        err = store_change(s, body, w);
    job_record_free(w->r);
    free(w->row);
    free(w->evicted);
    for (size_t i = 0; i < w->job_count && err == ERR_OK; i++)
        grace_give_back(s->job_grace, span_bytes(w->job[i], JOB_ID_BYTES));
    return err;
}

static void changed(struct attempt_word *w, const uint8_t id[JOB_ID_BYTES])
{
    if (w->job_count < ATTEMPT_WAITING_MAX)
        memcpy(w->job[w->job_count++], id, JOB_ID_BYTES);
}

/* Nothing says that it is of the row's sender but itself. */
static bool is_unproven(const struct job *j)
{
    return j->kept && j->verified[0] == '\0';
}

/* ---- add ----------------------------------------------------------------------------------------------- */

/* The oldest rows give way until there is room for one more; of who has his share of it, one does anyway. */
static enum err make_room(struct change *c, struct attempt_word *w)
{
    uint32_t rows_max = w->rows_max == 0 ? 1 : w->rows_max;
    uint64_t rows;
    enum err err = attempt_box_get(c, w->key.data, &rows);

    /* Looked so often, and there never is a row: the count is wrong. */
    if (w->ring.oldest_count == 0 && w->looks > LOOKS_MAX / 2)
        rows = 0;
    for (size_t i = 0;
         i < ATTEMPT_EVICT_MAX && err == ERR_OK && (rows >= rows_max || (i == 0 && w->ring.own_place));
         i++, rows--) {
        struct attempt_record *r = w->evicted;

        if (i == w->ring.oldest_count) {
            w->look_again = i == 0; /* when the maximum came down, the next new row takes more away */
            break;
        }
        err = attempt_row_get(c, w->ring.oldest[i].row, r);
        if (err == ERR_NOT_FOUND || (err == ERR_OK && r->a.last_s != w->ring.oldest[i].last_s)) {
            w->look_again = true;
            return ERR_OK;
        }
        if (err == ERR_STORE)
            err = ERR_OK; /* damaged: it goes all the same, and its jobs end at their time */
        for (size_t at = 0; at < r->jobs.len && err == ERR_OK; at += JOB_ID_BYTES)
            err = forget_job(c, r->jobs.data + at, w->r);
        if (err == ERR_OK)
            err = attempt_row_del(c, w->ring.oldest[i].row, w->ring.oldest[i].last_s);
    }
    if (err == ERR_OK && !w->look_again) {
        err = attempt_box_put(c, w->key.data, rows + 1);
        c->counts.attempts++;
    }
    return err;
}

/* The newest facts; what its host showed stays as long as it is the same host. */
static void take_facts(struct attempt *a, const struct attempt *facts)
{
    struct attempt old = *a;
    bool same_host = strcmp(old.link_host, facts->link_host) == 0;

    *a = *facts;
    if (same_host) {
        memcpy(a->certificate_issuer, old.certificate_issuer, sizeof a->certificate_issuer);
        memcpy(a->certificate_serial, old.certificate_serial, sizeof a->certificate_serial);
    }
    for (char *p = a->mailbox; *p != '\0'; p++)
        *p = (char)tolower((unsigned char)*p);
    for (char *p = a->sender; *p != '\0'; p++)
        *p = (char)tolower((unsigned char)*p);
    a->first_s = old.first_s;
    a->last_s = old.last_s;
    a->count = old.count;
}

/* What nothing proves says nothing of a sender who is proven, and whose letters wait. */
static bool shadows(const struct attempt_record *row, const struct attempt *facts)
{
    return facts->legacy && facts->verified[0] == '\0' && row->a.verified[0] != '\0' && row->jobs.len > 0;
}

/* The oldest of a full row that nothing proves gives way, whatever comes; what is proven only to what is
 * proven too: anybody can write in its sender's name. */
static enum err forget_one(struct change *c, struct attempt_word *w)
{
    struct attempt_record *row = w->row;
    bool found = false;
    size_t at = 0;
    enum err err;

    while (at < row->jobs.len && !found) {
        err = change_job_get(c, row->jobs.data + at, w->r);
        found = err == ERR_NOT_FOUND || (err == ERR_OK && is_unproven(&w->r->j));
        if (!found && err != ERR_OK && err != ERR_STORE)
            return err;
        if (!found)
            at += JOB_ID_BYTES;
    }
    if (!found && is_unproven(w->add))
        return ERR_KEPT_FULL;
    if (!found)
        at = 0;
    err = forget_job(c, row->jobs.data + at, w->r);
    attempt_jobs_remove(row, at);
    return err;
}

static enum err add_to_row(struct change *c, struct attempt_word *w)
{
    struct span key = record_key_span(&w->key);
    struct attempt_record *row = w->row;
    enum err err = attempt_row_get(c, w->key.data, row);

    if (err == ERR_OK) {
        err = attempt_record_open(c->s->keys, key, row);
        if (err == ERR_OK)
            err = attempt_index_del(c, w->key.data, row->a.last_s);
    } else if (err == ERR_NOT_FOUND) {
        row->a.first_s = w->add->created_s;
        err = make_room(c, w);
    }
    if (err != ERR_OK || w->look_again)
        return err;
    if (!shadows(row, w->facts))
        take_facts(&row->a, w->facts);
    row->a.count++;
    if (w->add->created_s > row->a.last_s)
        row->a.last_s = w->add->created_s;
    if (row->jobs.len == sizeof row->jobs.data && (err = forget_one(c, w)) != ERR_OK)
        return err;
    memcpy(row->jobs.data + row->jobs.len, w->same, JOB_ID_BYTES);
    row->jobs.len = (uint16_t)(row->jobs.len + JOB_ID_BYTES);
    if (err == ERR_OK)
        err = attempt_record_seal(c->s->keys, key, row);
    if (err == ERR_OK)
        err = attempt_index_put(c, w->key.data, row->a.last_s);
    return err == ERR_OK ? attempt_row_put(c, w->key.data, row) : err;
}

static enum err add_new(struct change *c, struct attempt_word *w)
{
    enum err err = add_to_row(c, w);

    if (err != ERR_OK || w->look_again)
        return err;
    w->added = JOB_NEW;
    w->state = JOB_HELD;
    err = change_job_new(c, w->r, w->add, w->same, JOB_HELD, job_held_due(w->add, w->add->created_s, 0));
    if (err == ERR_OK && w->payload != NULL) {
        w->payload_record.references = 1;
        err = change_payload_put(c, w->payload, &w->payload_record);
    }
    return err;
}

/* What the sender says of his letter may be another thing since he has replaced it. */
static enum err retell_row(struct change *c, struct attempt_word *w)
{
    struct span key = record_key_span(&w->key);
    struct attempt_record *row = w->row;
    enum err err = attempt_row_get(c, w->key.data, row);

    if (err == ERR_OK && attempt_jobs_find(row, w->same) + JOB_ID_BYTES == row->jobs.len) {
        err = attempt_record_open(c->s->keys, key, row);
        store_text(row->a.name, sizeof row->a.name, w->facts->name);
        store_text(row->a.subject, sizeof row->a.subject, w->facts->subject);
        if (err == ERR_OK)
            err = attempt_record_seal(c->s->keys, key, row);
        if (err == ERR_OK)
            err = attempt_row_put(c, w->key.data, row);
    }
    return err == ERR_STORE ? ERR_OK : absent_is_fine(err);
}

static enum err add_known(struct change *c, struct attempt_word *w)
{
    struct job_record *r = w->r;
    enum err err;

    w->state = r->j.state;
    w->added = job_state_ended(r->j.state) ? JOB_KNOWN_ENDED : JOB_KNOWN;
    if (w->added == JOB_KNOWN_ENDED)
        return change_job_revive(c, r, w->add);
    if (r->j.state != JOB_HELD || w->add->tell == JOB_TELL_NOTHING)
        return ERR_OK;
    /* Its sender asks again: he may not have heard it. */
    r->j.tell = w->add->tell;
    store_text(r->j.challenge_url, sizeof r->j.challenge_url, w->add->challenge_url);
    if ((err = change_job_due(c, r, w->add->created_s)) != ERR_OK || (err = retell_row(c, w)) != ERR_OK)
        return err;
    changed(w, r->j.id);
    return change_job_put(c, r);
}

/* What gives way to it is gone already. */
static enum err weigh(struct change *c, struct attempt_word *w)
{
    struct quota_ask ask = {.limits = w->limits, .now_s = w->add->created_s, .tells = true};
    enum err err = change_quota_settle(c, &ask);

    w->much = ask.warn;
    return err == ERR_QUOTA ? ERR_KEPT_FULL : err;
}

static enum err attempt_add(struct change *c, void *arg)
{
    struct attempt_word *w = arg;
    enum err err = change_job_get(c, w->same, w->r);

    w->look_again = false;
    w->job_count = 0;
    /* A kept message that was dropped, and comes again: nobody has it, so it is kept anew. */
    if (err == ERR_OK && w->payload != NULL && w->r->j.state == JOB_FAILED) {
        err = change_job_forget(c, w->r);
        if (err == ERR_OK)
            err = ERR_NOT_FOUND;
    }
    if (err == ERR_OK)
        err = add_known(c, w);
    else if (err == ERR_NOT_FOUND)
        err = add_new(c, w);
    if (err == ERR_OK && w->look_again)
        err = ERR_CANCELLED; /* nothing of it is done */
    if (err == ERR_OK && w->payload != NULL)
        err = weigh(c, w);
    if (err == ERR_OK)
        KILL_POINT("attempt-add-commit-before");
    return err;
}

static enum err add(struct store *s, struct attempt_word *w, enum job_added *added)
{
    struct job *j = w->add;
    enum err err = ERR_CANCELLED;

    if (w->facts->mailbox[0] == '\0' || w->facts->sender[0] == '\0')
        return ERR_SYNTAX;
    store_text(j->mailbox, sizeof j->mailbox, w->facts->mailbox);
    store_text(j->attempt, sizeof j->attempt, w->facts->sender);
    if ((err = attempt_row_key(j->mailbox, j->attempt, &w->key)) != ERR_OK ||
        (err = job_same_hash(j, w->same)) != ERR_OK)
        return err;
    err = ERR_CANCELLED;
    for (w->looks = 0; w->looks < LOOKS_MAX && err == ERR_CANCELLED; w->looks++) {
        err = attempt_ring_look(s, &w->key, w->facts, w->rows_max, &w->ring);
        if (err == ERR_OK)
            err = word_run(s, attempt_add, w);
    }
    KILL_POINT("attempt-add-commit-after");
    if (err == ERR_CANCELLED)
        err = ERR_STORE;
    if (err == ERR_OK) {
        memcpy(j->id, w->same, sizeof j->id);
        j->state = w->state;
        *added = w->added;
    }
    return err;
}

enum err store_attempt_add(struct store *s, const struct attempt *facts, struct job *j, uint32_t rows_max,
                           enum job_added *added)
{
    struct attempt_word w = {.facts = facts, .add = j, .rows_max = rows_max};

    j->kept = false;
    return add(s, &w, added);
}

enum err store_attempt_keep(struct store *s, const struct attempt *facts, struct job *j,
                            struct store_payload *payload, const uint8_t dek[SEAL_DEK_BYTES],
                            uint32_t rows_max, const struct quota_limits *limits)
{
    struct attempt_word w = {
        .facts = facts, .add = j, .rows_max = rows_max, .payload = payload, .limits = limits};
    char owner[sizeof w.payload_record.owner], all[sizeof w.payload_record.domain] = QUOTA_KEPT_ALL;
    enum job_added added = JOB_KNOWN;
    bool kept = false;
    enum err err = store_disk_floor(s);

    j->kept = true;
    memcpy(j->payload_id, payload->id, sizeof j->payload_id);
    if (err == ERR_OK)
        err = store_payload_record(payload, dek, j->created_s, &w.payload_record);
    if (err == ERR_OK) {
        snprintf(owner, sizeof owner, QUOTA_KEPT "%.*s", (int)(sizeof owner - sizeof QUOTA_KEPT),
                 facts->mailbox);
        attempt_crowd(facts, all + strlen(all), sizeof all - strlen(all));
        payload_record_belongs(&w.payload_record, owner, all, j->size_bytes);
        err = store_payload_keep(payload);
        kept = err == ERR_OK && w.payload_record.in_blob;
    }
    if (err == ERR_OK)
        err = add(s, &w, &added);
    if (kept && (err != ERR_OK || added != JOB_NEW))
        store_payload_unneeded(s, payload->id);
    if (err == ERR_OK && w.much)
        log_warning("store: what is kept of unknown senders for %s is more than %d %% of what may be",
                    facts->mailbox, QUOTA_WARN_PERCENT);
    secret_wipe(&w.payload_record, sizeof w.payload_record);
    store_payload_abort(payload);
    return err;
}

enum err store_kept_open(struct store *s, const struct job *j, struct store_body *out,
                         uint8_t dek[SEAL_DEK_BYTES])
{
    enum err err = j->kept ? store_payload_open_dek(s, j->payload_id, dek) : ERR_NOT_FOUND;

    if (err == ERR_OK && (err = store_payload_open(s, j->payload_id, out)) != ERR_OK)
        secret_wipe(dek, SEAL_DEK_BYTES);
    return err;
}

/* ---- admit, drop --------------------------------------------------------------------------------------- */

static enum err let_go(struct change *c, struct attempt_word *w, const uint8_t id[JOB_ID_BYTES])
{
    struct job_record *r = w->r;
    enum job_state to;
    enum err err = change_job_get(c, id, r);

    if (err != ERR_OK || r->j.state != JOB_HELD)
        return err == ERR_STORE ? ERR_OK : absent_is_fine(err);
    /* Nobody is told of a dropped message: there is no ticket to say it to. */
    to = w->admit ? JOB_WAITING : w->told && !r->j.kept ? JOB_REFUSED : JOB_FAILED;
    err = change_job_enter(c, r, to, w->now_s);
    if (w->admit)
        store_text(r->j.admission, sizeof r->j.admission, w->reason);
    if (err == ERR_OK && !w->admit) {
        store_text(r->j.reason, sizeof r->j.reason, w->reason);
        store_text(r->j.text, sizeof r->j.text, w->text);
    }
    if (err == ERR_OK)
        err = change_job_put(c, r);
    if (err == ERR_OK)
        changed(w, id);
    return err;
}

static void author_key(const struct job *j, char out[STORE_ADDRESS_MAX])
{
    char key[ADDRESS_TEXT_MAX] = "";
    struct address author;

    if (address_parse(span_of(j->author), &author) == ERR_OK)
        address_key(&author, key);
    store_text(out, STORE_ADDRESS_MAX, key);
}

/* The envelope alone says that it is of the row's sender. */
static bool is_foreign(const struct job *j)
{
    char author[STORE_ADDRESS_MAX];

    author_key(j, author);
    return strcasecmp(author, j->attempt) != 0;
}

/* Moves what does not go with the others behind them; *going: how many jobs go. */
static enum err sort_jobs(struct change *c, struct attempt_word *w, size_t *going)
{
    uint8_t *jobs = w->row->jobs.data, stays[sizeof w->row->jobs.data];
    size_t len = w->row->jobs.len, go = 0, stay = 0;
    enum err err = ERR_OK;

    for (size_t at = 0; at < len && err == ERR_OK; at += JOB_ID_BYTES) {
        err = change_job_get(c, jobs + at, w->r);
        bool waits_on = err == ERR_OK &&
                        (is_unproven(&w->r->j) || (w->unproven == FOREIGN_STAYS_TOO && is_foreign(&w->r->j)));
        if (err == ERR_STORE || err == ERR_NOT_FOUND)
            err = ERR_OK;
        memmove(waits_on ? stays + stay : jobs + go, jobs + at, JOB_ID_BYTES);
        *(waits_on ? &stay : &go) += JOB_ID_BYTES;
    }
    memcpy(jobs + go, stays, stay);
    if (go == 0 && w->unproven == UNPROVEN_GOES_ALONE)
        go = len;
    *going = go / JOB_ID_BYTES;
    return err;
}

/* What the row told was of one that went. */
static void tell_of(struct attempt *a, const struct job *j)
{
    author_key(j, a->author);
    a->aligned = !is_foreign(j);
    a->legacy = j->kept;
    store_text(a->verified, sizeof a->verified, j->verified);
    store_text(a->list_id, sizeof a->list_id, j->list_id);
    store_text(a->reason, sizeof a->reason, j->admission);
    store_text(a->client_address, sizeof a->client_address, j->client_address);
    store_text(a->client_name, sizeof a->client_name, j->client_name);
    a->name[0] = a->subject[0] = '\0';
    a->link_host[0] = a->certificate_issuer[0] = a->certificate_serial[0] = '\0';
}

static enum err keep_row(struct change *c, struct attempt_word *w)
{
    struct attempt_record *row = w->row;
    struct job *j = &w->r->j;
    const uint8_t *newest;
    enum err err = attempt_row_get(c, w->key.data, row);

    if (err == ERR_OK)
        err = attempt_record_open(c->s->keys, record_key_span(&w->key), row);
    if (err != ERR_OK || row->jobs.len == 0)
        return err;
    newest = row->jobs.data + row->jobs.len - JOB_ID_BYTES;
    err = change_job_get(c, newest, w->r);
    /* The row told of it all the time, unless it was a proven one that it told of. */
    if (err != ERR_OK || (!is_unproven(j) && memcmp(newest, w->newest, JOB_ID_BYTES) == 0))
        return err == ERR_STORE ? ERR_OK : absent_is_fine(err);
    tell_of(&row->a, j);
    err = attempt_record_seal(c->s->keys, record_key_span(&w->key), row);
    return err == ERR_OK ? attempt_row_put(c, w->key.data, row) : err;
}

/* Those that go leave the row one by one. */
static enum err admit_some(struct change *c, struct attempt_word *w, size_t going)
{
    uint8_t job[ATTEMPT_WAITING_MAX][JOB_ID_BYTES];
    enum err err = ERR_OK;

    memcpy(job, w->row->jobs.data, going * JOB_ID_BYTES);
    for (size_t i = 0; i < going && err == ERR_OK; i++)
        err = let_go(c, w, job[i]);
    return err == ERR_OK && going > 0 ? keep_row(c, w) : err;
}

static enum err end_row(struct change *c, struct attempt_word *w)
{
    size_t going = 0;
    enum err err = attempt_row_get(c, w->key.data, w->row);

    w->job_count = 0;
    if (err == ERR_OK && w->admit && w->row->jobs.len > 0) {
        memcpy(w->newest, w->row->jobs.data + w->row->jobs.len - JOB_ID_BYTES, JOB_ID_BYTES);
        err = sort_jobs(c, w, &going);
        if (err == ERR_OK && going * JOB_ID_BYTES < w->row->jobs.len)
            return admit_some(c, w, going);
    }
    /* The row first: its jobs need not leave it one by one then. */
    if (err == ERR_OK)
        err = attempt_row_del(c, w->key.data, w->row->a.last_s);
    for (size_t at = 0; at < w->row->jobs.len && err == ERR_OK; at += JOB_ID_BYTES)
        err = let_go(c, w, w->row->jobs.data + at);
    return err;
}

static enum err attempt_admit(struct change *c, void *arg)
{
    enum err err = end_row(c, arg);

    if (err == ERR_OK)
        KILL_POINT("attempt-admit-commit-before");
    return err;
}

enum err store_attempt_admit(struct store *s, const char *mailbox, const char *sender, enum unproven unproven,
                             const char *reason, int64_t now_s, uint32_t *count)
{
    struct attempt_word w = {.admit = true, .unproven = unproven, .reason = reason, .now_s = now_s};
    enum err err = attempt_row_key(mailbox, sender, &w.key);

    if (err == ERR_OK)
        err = word_run(s, attempt_admit, &w);
    KILL_POINT("attempt-admit-commit-after");
    if (err == ERR_OK)
        *count = (uint32_t)w.job_count;
    return err;
}

static enum err attempt_drop(struct change *c, void *arg)
{
    enum err err = end_row(c, arg);

    if (err == ERR_OK)
        KILL_POINT("attempt-drop-commit-before");
    return err;
}

enum err store_attempt_drop(struct store *s, const char *mailbox, const char *sender, bool told,
                            const char *reason, const char *text, int64_t now_s, uint32_t *count)
{
    struct attempt_word w = {.told = told, .reason = reason, .text = text, .now_s = now_s};
    enum err err = attempt_row_key(mailbox, sender, &w.key);

    if (err == ERR_OK)
        err = word_run(s, attempt_drop, &w);
    KILL_POINT("attempt-drop-commit-after");
    if (err == ERR_OK)
        *count = (uint32_t)w.job_count;
    return err;
}

/* ---- told ---------------------------------------------------------------------------------------------- */

/* The host's certificate, in the row whose newest stub this is. */
static enum err tell_row(struct change *c, struct attempt_word *w, const struct job *j)
{
    struct attempt_record *row = w->row;
    enum err err = attempt_row_key(j->mailbox, j->attempt, &w->key);

    if (err == ERR_OK)
        err = attempt_row_get(c, w->key.data, row);
    if (err == ERR_OK && attempt_jobs_find(row, j->id) + JOB_ID_BYTES == row->jobs.len) {
        err = attempt_record_open(c->s->keys, record_key_span(&w->key), row);
        if (j->certificate_issuer[0] != '\0') {
            store_text(row->a.certificate_issuer, sizeof row->a.certificate_issuer, j->certificate_issuer);
            store_text(row->a.certificate_serial, sizeof row->a.certificate_serial, j->certificate_serial);
        }
        if (err == ERR_OK)
            err = attempt_record_seal(c->s->keys, record_key_span(&w->key), row);
        if (err == ERR_OK)
            err = attempt_row_put(c, w->key.data, row);
    }
    return err == ERR_STORE ? ERR_OK : absent_is_fine(err);
}

static enum err job_told(struct change *c, void *arg)
{
    struct attempt_word *w = arg;
    struct job *j = &w->r->j;
    enum err err = change_job_get(c, w->id, w->r);

    w->job_count = 0;
    if (err == ERR_OK && job_state_ended(j->state))
        err = ERR_GONE;
    if (err != ERR_OK)
        return err;
    job_hear(j, w->heard);
    if (j->state == JOB_HELD) {
        j->tell = JOB_TELL_NOTHING;
        j->tries = 0;
        err = change_job_due(c, w->r, job_held_due(j, w->heard->at_s, w->look_s));
        if (err == ERR_OK)
            err = tell_row(c, w, j);
    }
    changed(w, j->id); /* admitted meanwhile, it is due to be claimed, once who has told of it is done */
    if (err == ERR_OK)
        err = change_job_put(c, w->r);
    if (err == ERR_OK)
        KILL_POINT("job-told-commit-before");
    return err;
}

enum err store_job_told(struct store *s, const uint8_t id[16], const struct job_heard *heard, int64_t look_s)
{
    struct attempt_word w = {.id = id, .heard = heard, .look_s = look_s};
    enum err err = word_run(s, job_told, &w);

    if (err == ERR_NOT_FOUND || err == ERR_GONE)
        grace_give_back(s->job_grace, span_bytes(id, JOB_ID_BYTES));
    KILL_POINT("job-told-commit-after");
    return err;
}

/* ---- purge --------------------------------------------------------------------------------------------- */

static enum err purge_row(struct change *c, void *arg)
{
    struct attempt_word *w = arg;
    enum err err = attempt_row_get(c, w->key.data, w->row);

    if (err == ERR_OK && (w->row->jobs.len > 0 || w->row->a.last_s != w->now_s))
        err = ERR_NOT_FOUND;
    return err == ERR_OK ? attempt_row_del(c, w->key.data, w->now_s) : err;
}

enum err store_attempts_purge(struct store *s, int64_t now_s, size_t max, size_t *count)
{
    struct attempt_word w = {.row = malloc(sizeof *w.row)};
    struct record_key from, until;
    struct span key, value;
    struct walk walk;
    enum err err = ERR_OK;

    if (w.row == NULL)
        return ERR_NOMEM;
    w.key.len = ATTEMPT_ROW_BYTES;
    attempt_index_before(now_s - s->tombstone_s + 1, &from, &until);
    walk_init(&walk, s, TABLE_ATTEMPT_TIME, from, until, false);
    while (*count < max && (err = walk_next(&walk, &key, &value)) == ERR_OK) {
        if (!attempt_index_parse(key, w.key.data, &w.now_s)) {
            err = ERR_STORE;
            break;
        }
        err = store_change_lazy(s, purge_row, &w);
        if (err == ERR_OK)
            ++*count;
        else if (err != ERR_NOT_FOUND && err != ERR_STORE)
            break;
    }
    walk_free(&walk);
    free(w.row);
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}
