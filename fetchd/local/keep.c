/*
 * keep.c - see keep.h.
 *
 * Each recipient gets a job of his own with a payload of his own, so that one mailbox's decision, or its
 * ring's length, never touches what waits for another: the first takes the payload that was streamed, the
 * others get it sealed anew out of the first's. When a later one fails, the client hears "later" and comes
 * again with the same bytes: what is kept already is known then and not kept twice.
 */
#include "local/keep.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/kill.h"
#include "base/log.h"
#include "env/env.h"
#include "env/text.h"
#include "lifecycle/letterfile.h"
#include "lifecycle/limits.h"
#include "local/answer.h"
#include "local/arrival.h"
#include "local/inbound.h"
#include "local/legacy.h"
#include "mail/header.h"
#include "pull/pull.h"
#include "settings/settings.h"
#include "store/attempt.h"

#define PIECE 65536u

struct keeping {
    struct arrival in;
    struct api_plan request;
    struct legacy message; /* once the head was read */
    size_t kept;
    /* of the recipient at hand */
    struct legacy_facts facts;
    struct legacy_word word;
    struct job job;
    struct attempt row;
};

static void keeping_free(void *state)
{
    struct keeping *k = state;

    if (!k)
        return;
    arrival_free(&k->in);
    legacy_free(&k->message);
    api_plan_free(&k->request);
    job_wipe(&k->job);
    free(k);
}

/* Takes bytes for the head from the piece; *used tells how many. */
static enum err take_head(const struct env *env, struct keeping *k, struct span piece, size_t *used)
{
    bool complete;
    enum err e = arrival_head(&k->in, piece, used, &complete);

    if (e || !complete)
        return e;
    if ((e = api_plan_parse(buf_span(&k->in.head), &k->request)) ||
        (e = legacy_read(&k->request, &k->message)))
        return e;
    size_t count = k->request.envelope.recipient_count;
    return count > 0 && count <= LEGACY_KEPT_MAX ? arrival_begin(env, &k->in, 1) : ERR_SYNTAX;
}

/* ---- one recipient */

static const char *field(const struct keeping *k, const char *name)
{
    return api_field_value(k->request.field, k->request.field_count, name);
}

/* Under which sender the owner finds it: for the null reverse-path, and for one that is none, the author or
 * what the envelope says. */
static enum err fill_row(const struct env *env, struct keeping *k)
{
    const char *sender = k->request.envelope.sender;
    enum err e = inbound_attempt(env->settings, &k->facts.facts, k->word.reason, field(k, "From"),
                                 field(k, "Subject"), &k->row);

    if (e || k->row.sender[0])
        return e;
    return TEXT_SET(k->row.sender, k->row.author[0] ? k->row.author : sender[0] ? sender : "<>");
}

/* A parameter that does not fit is as if it had not been given: the message itself matters. */
#define SET_OR_EMPTY(member, from)                                                                           \
    do {                                                                                                     \
        if (TEXT_SET(member, from))                                                                          \
            (member)[0] = '\0';                                                                              \
    } while (0)

static void fill_envelope(const struct keeping *k, const struct api_recipient *r, struct job *j)
{
    const struct api_envelope *e = &k->request.envelope;
    struct span id;

    SET_OR_EMPTY(j->notify, r->notify);
    SET_OR_EMPTY(j->orcpt, r->orcpt);
    SET_OR_EMPTY(j->ret, e->ret);
    SET_OR_EMPTY(j->envid, e->envid);
    TEXT_CUT(j->client_address, e->client_address);
    TEXT_CUT(j->client_name, e->client_name);
    TEXT_CUT(j->client_helo, e->helo);
    TEXT_CUT(j->queue_id, e->queue_id);
    j->smtputf8 = e->smtputf8;
    if (header_message_id(span_of(field(k, "Message-ID")), &id) == ERR_OK)
        snprintf(j->message_id, sizeof j->message_id, "%.*s", (int)id.len, id.ptr);
}

static enum err fill_job(const struct env *env, const struct keeping *k, const struct api_recipient *r,
                         struct job *j)
{
    const struct facts *f = &k->facts.facts;
    char text[ADDRESS_TEXT_MAX];
    enum err e;

    *j = (struct job){.state = JOB_HELD, .kept = true, .size_bytes = k->in.letter_bytes};
    memcpy(j->digest, k->in.digest, sizeof j->digest);
    j->created_s = j->changed_s = j->due_s = clock_now_s();
    j->expires_s = j->created_s + env->settings->attempts_keep_s;
    fill_envelope(k, r, j);
    address_text(&k->message.sender, text);
    if ((e = TEXT_SET(j->stub_from, text)) || (e = TEXT_SET(j->envelope_from, text)))
        return e;
    address_text(&f->recipient, text);
    if ((e = TEXT_SET(j->stub_to, text)) || (e = TEXT_SET(j->recipient, text)))
        return e;
    address_text(&f->author, text);
    if ((e = TEXT_SET(j->author, text)))
        return e;
    if (f->verified)
        TEXT_CUT(j->verified, f->sender.domain);
    TEXT_CUT(j->organisation, f->organisation);
    TEXT_CUT(j->admission, reason_code(k->word.reason));
    TEXT_CUT(j->list_id, f->list_id);
    admission_proof(f, j->proof);
    return ERR_OK;
}

static void log_kept(const struct keeping *k, const char *detail)
{
    const struct job *j = &k->job;
    struct log_line line;
    char id[9];

    encode_hex(j->id, 4, id);
    log_line_begin(&line, j->queue_id);
    log_line_str(&line, LOG_KEY_JOB, id);
    log_line_addr(&line, LOG_KEY_FROM, k->request.envelope.sender);
    log_line_addr(&line, LOG_KEY_TO, j->recipient);
    log_line_num(&line, LOG_KEY_SIZE, (int64_t)j->size_bytes);
    log_line_str(&line, LOG_KEY_CLIENT, j->client_address);
    log_line_str(&line, LOG_KEY_REASON, j->admission);
    log_line_delay(&line, clock_mono_ms() - k->in.began_mono_ms);
    log_line_status(&line, "kept", detail);
    log_line_end(&line, LOG_LEVEL_INFO);
}

/* What the plan said, of what is in the cache still; his word may be another by now. */
static enum err judge(const struct env *env, struct keeping *k, const struct api_recipient *r)
{
    enum err e = legacy_judge(env, &k->message, r, DNS_CACHED_ONLY, true, &k->facts, &k->word);

    if (!e && k->word.verdict == VERDICT_LATER) {
        k->word.reason = REASON_LEGACY_ATTEMPT;
        TEXT_CUT(k->word.text, reason_text(k->word.reason));
    }
    return e;
}

/* The same bytes came before from the same sender to the same recipient, and he can still have them. */
static bool is_known(const struct env *env, struct job *j)
{
    struct job old = {.state = JOB_HELD};
    bool known = store_job_id(j, j->id) == ERR_OK && store_job_get(env->store, j->id, &old) == ERR_OK &&
                 old.state != JOB_FAILED;

    job_wipe(&old);
    return known;
}

static enum err keep_one(const struct env *env, struct keeping *k, struct arrival *sealed)
{
    struct store_payload *payload = sealed->payload;
    struct quota_limits limits;

    limits_of_kept(env->settings, &limits);
    sealed->payload = NULL;
    return store_attempt_keep(env->store, &k->row, &k->job, payload, sealer_dek(sealed->sealer),
                              (uint32_t)env->settings->attempts_max, &limits);
}

/* However often it came again, there would never be room for it in one sender's share. */
static bool never_fits(const struct env *env, const struct keeping *k)
{
    struct quota_limits l;

    limits_of_kept(env->settings, &l);
    int64_t of_mailbox = quota_share_of(QUOTA_CROWD_PERCENT, l.owner_bytes);
    int64_t of_all = quota_share_of(QUOTA_CROWD_PERCENT, l.domain_bytes);
    return (of_mailbox > 0 && k->in.letter_bytes > (uint64_t)of_mailbox) ||
           (of_all > 0 && k->in.letter_bytes > (uint64_t)of_all);
}

/* The letter of a job that is kept already, sealed anew for the one at hand. */
static enum err keep_copy(const struct env *env, struct keeping *k, const struct job *source)
{
    struct arrival copy;
    struct letterfile *letter = NULL;
    char *piece = malloc(PIECE);
    ssize_t got = 0;

    arrival_init(&copy);
    enum err e = piece ? arrival_begin(env, &copy, 1) : ERR_NOMEM;
    if (!e)
        e = letterfile_open_kept(env->store, source, &letter);
    while (!e && (got = letterfile_read(letter, piece, PIECE)) > 0)
        e = arrival_letter(env, &copy, span_bytes(piece, (size_t)got));
    if (!e && got < 0)
        e = ERR_IO;
    if (!e)
        e = arrival_finish(&copy, NULL, NULL);
    if (!e)
        e = keep_one(env, k, &copy);
    /* The first one's ring may have let it go by now: nothing is wrong with the message. */
    if (e == ERR_NOT_FOUND || e == ERR_GONE)
        e = ERR_BUSY;
    letterfile_close(letter);
    arrival_free(&copy);
    free(piece);
    return e;
}

/* He has let its sender in since the plan was made: it goes on at once. */
static enum err release_if_wanted(const struct env *env, const struct keeping *k)
{
    uint32_t count;

    if (k->word.verdict != VERDICT_ADMIT && k->word.verdict != VERDICT_PASS)
        return ERR_OK;
    enum unproven which = k->word.reason == REASON_CORRESPONDENT ? FOREIGN_STAYS_TOO
                          : k->facts.facts.verified              ? UNPROVEN_STAYS
                                                                 : UNPROVEN_GOES_ALONE;
    enum err e = store_attempt_admit(env->store, k->row.mailbox, k->row.sender, which,
                                     reason_code(k->word.reason), k->facts.facts.now_s, &count);
    puller_wake(env->puller);
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

static enum err keep_all(const struct env *env, struct keeping *k)
{
    struct job source = {.state = JOB_HELD};
    enum err e = arrival_finish(&k->in, NULL, NULL);

    if (!e && never_fits(env, k))
        e = ERR_KEPT_TOO_LARGE;
    for (size_t i = 0; i < k->request.envelope.recipient_count && !e; i++) {
        const struct api_recipient *r = &k->request.envelope.recipient[i];
        if ((e = judge(env, k, r)) || k->word.verdict == VERDICT_DENY)
            continue; /* an error, or his word since the plan was made: it does not reach him */
        if ((e = fill_row(env, k)) || (e = fill_job(env, k, r, &k->job)))
            break;
        if (is_known(env, &k->job)) {
            log_kept(k, "the same message again");
            continue;
        }
        e = source.kept ? keep_copy(env, k, &source) : keep_one(env, k, &k->in);
        if (!e && !source.kept)
            source = k->job;
        if (!e)
            log_kept(k, k->word.text);
        if (!e)
            e = release_if_wanted(env, k);
        KILL_POINT("keep-one-after");
    }
    job_wipe(&source);
    return e;
}

/* ---- the exchange */

static void log_not_kept(const struct keeping *k, enum err e)
{
    struct log_line line;

    log_line_begin(&line, k->request.envelope.queue_id);
    if (k->request.envelope.sender)
        log_line_addr(&line, LOG_KEY_FROM, k->request.envelope.sender);
    if (k->job.recipient[0]) /* at whom it failed */
        log_line_addr(&line, LOG_KEY_TO, k->job.recipient);
    log_line_num(&line, LOG_KEY_SIZE, (int64_t)k->in.letter_bytes);
    log_line_status(&line, err_temporary(e) ? "deferred" : "refused", err_text(e));
    log_line_end(&line, err_temporary(e) ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO);
}

static void answer(struct http_exchange *x, enum err e)
{
    const struct api_reply kept = answer_reply_of(ERR_OK, "kept");
    struct buf json;

    buf_init(&json, API_HEAD_MAX);
    if (!e)
        e = api_reply_format(&kept, &json);
    if (e) {
        buf_free(&json);
        answer_error(x, e, NULL);
        return;
    }
    KILL_POINT("keep-answer-before");
    answer_json(x, 201, &json);
}

void keep_handle(void *env_, struct http_exchange *x)
{
    const struct env *env = env_;
    struct keeping *k = http_state(x);
    enum err e = ERR_OK;

    if (!k) {
        if (!(k = calloc(1, sizeof *k))) {
            answer_error(x, ERR_NOMEM, NULL);
            return;
        }
        arrival_init(&k->in);
        http_set_state(x, k, keeping_free);
    }
    struct span piece = http_body(x);
    bool ended = http_body_ended(x);
    size_t all = piece.len, used;
    if (!k->in.head_read && piece.len) {
        e = take_head(env, k, piece, &used);
        piece = (struct span){piece.ptr + used, piece.len - used};
    }
    if (!e && k->in.head_read)
        e = arrival_letter(env, &k->in, piece);
    http_body_consume(x, all);
    if (!e && !ended)
        return;
    if (!e)
        e = k->in.head_read ? keep_all(env, k) : ERR_SYNTAX;
    if (e)
        log_not_kept(k, e);
    answer(x, e);
}
