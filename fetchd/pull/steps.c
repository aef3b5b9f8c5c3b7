/*
 * steps.c - see flight.h.
 *
 * A flight moves: look-up pool (designation) -> claim client (transfer) -> injection pool (MTA, done mark) ->
 * claim client (ack) -> injection pool (end mark) -> gone. One thread has it at a time. What a crash leaves
 * behind is always a job in the store that is due again:
 *   before the MTA's 250      the letter is claimed again (same lease token), nothing was delivered
 *   between 250 and the mark  the one window in which a letter can be delivered twice
 *   after the mark            only the ack is repeated
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/kill.h"
#include "base/log.h"
#include "base/secret.h"
#include "dns/designation.h"
#include "env/env.h"
#include "mail/address.h"
#include "pool/pool.h"
#include "pull/flight.h"
#include "pull/inject.h"
#include "pull/verdict.h"
#include "settings/settings.h"
#include "store/attempt.h"
#include "ticket/fields.h"

#define CORRUPT_MAX 5 /* then the payload is refused */
#define LAST_TRY_S 60 /* before the ticket expires */
#define DESIGNATION_MS 5000

/* ---- the log ------------------------------------------------------------------------------------------- */

static void log_job(const struct job *j, const char *host, const char *relay, const char *status,
                    const char *detail, int64_t next_s, enum log_level level)
{
    struct log_line line;
    char id[9]; /* as the notice's line has it */
    encode_hex(j->id, 4, id);
    log_line_begin(&line, j->queue_id);
    log_line_str(&line, LOG_KEY_JOB, id);
    log_line_addr(&line, LOG_KEY_FROM, j->stub_from);
    log_line_addr(&line, LOG_KEY_TO, j->recipient);
    log_line_num(&line, LOG_KEY_SIZE, (int64_t)j->size_bytes);
    if (host[0]) /* a message that was kept here has none */
        log_line_str(&line, LOG_KEY_HOST, host);
    if (relay)
        log_line_str(&line, LOG_KEY_RELAY, relay);
    log_line_num(&line, LOG_KEY_ATTEMPTS, j->tries + 1);
    if (next_s)
        log_line_num(&line, LOG_KEY_NEXT, next_s);
    log_line_delay(&line, (clock_now_s() - j->created_s) * 1000);
    log_line_status(&line, status, detail);
    log_line_end(&line, level);
}

/* ---- ends of a step ------------------------------------------------------------------------------------ */

static void store_trouble(const struct job *j, enum err e, const char *what)
{
    /* The job is still there as it was, and due again: nothing is lost, something may be repeated. */
    log_error("job of <%s>: %s: %s", j->recipient, what, err_text(e));
}

/* Without it: no jitter. */
static uint32_t random_number(void)
{
    uint32_t random = 0;
    (void)secret_random(&random, sizeof random);
    return random;
}

/* In so many seconds, or right before the end: one last try rather than none. */
static int64_t next_try_s(const struct job *j, int64_t now_s, int64_t wait_s)
{
    int64_t last_s = j->expires_s - LAST_TRY_S;
    return now_s + wait_s > last_s && now_s < last_s ? last_s : now_s + wait_s;
}

static void deferred(const struct flight *f, enum err e, int64_t wait_s, const char *why,
                     enum log_level level)
{
    if (e != ERR_OK)
        store_trouble(&f->job, e, "putting off");
    log_job(&f->job, f->url.host, NULL, "deferred", why, wait_s, level);
}

void flight_later(struct flight *f, bool corrupt, int64_t retry_after_s, const char *why)
{
    const struct settings *s = f->env->settings;
    int64_t now = clock_now_s();
    int64_t next = next_try_s(
        &f->job, now,
        verdict_backoff_s(f->job.tries, s->retry_min_s, s->retry_max_s, retry_after_s, random_number()));
    deferred(f, store_job_later(f->env->store, f->job.id, next, corrupt, why), next - now, why,
             LOG_LEVEL_INFO);
}

void flight_put_off(struct flight *f, int64_t wait_s, const char *why, enum log_level level)
{
    int64_t now = clock_now_s(), next = next_try_s(&f->job, now, wait_s);
    /* Why its host is left alone is what the last try said. */
    bool said = f->outcome.err == ERR_CIRCUIT_OPEN && f->job.tries > 0;
    deferred(f, store_job_put_off(f->env->store, f->job.id, next, said ? NULL : why), next - now, why, level);
}

/* A call that came to nothing. Where its host is left alone, none was made. */
static void call_later(struct flight *f, const char *why)
{
    const struct claim_outcome *o = &f->outcome;
    if (o->err == ERR_CIRCUIT_OPEN)
        flight_put_off(f, verdict_pause_s(o->pause_ms, random_number()), why, LOG_LEVEL_INFO);
    else
        flight_later(f, false, o->retry_after_s, why);
}

enum err flight_close_job(struct flight *f, enum job_state state, const char *status, const char *why)
{
    enum err e = store_job_end(f->env->store, f->job.id, state, why, clock_now_s());
    if (e != ERR_OK)
        store_trouble(&f->job, e, "ending");
    else
        log_job(&f->job, f->url.host, NULL, status, why, 0,
                state == JOB_FAILED ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO);
    return e;
}

/* True when the job's state in the store changed so that another step can follow at once. */
static bool refuse(struct flight *f, const char *reason, const char *text)
{
    enum err e = store_job_refused(f->env->store, f->job.id, reason, text, clock_now_s());
    if (e != ERR_OK) {
        store_trouble(&f->job, e, "refusing");
        return false;
    }
    log_job(&f->job, f->url.host, NULL, "refused", text, 0, LOG_LEVEL_INFO);
    return true;
}

/* ---- steps --------------------------------------------------------------------------------------------- */

static void on_inject_pool(void *arg);

/* The claim client's thread: hand over and be gone. */
static void transferred(void *arg, struct claim_outcome *outcome)
{
    struct flight *f = arg;
    f->outcome = *outcome;
    outcome->letter_fd = -1;
    if (pool_submit(f->inject, on_inject_pool, f) != ERR_OK)
        flight_end(f); /* due again after GIVE_OUT_S */
}

/* A look says again what holds. */
static bool asks_challenge(const struct job *j)
{
    return j->tell != JOB_TELL_HELD && j->challenge_url[0];
}

/* Nothing is asked for: the sender's site would note a hand-over, and the letter would be lost on the way. */
static void no_room(struct flight *f)
{
    const struct settings *s = f->env->settings;
    flight_put_off(f, verdict_backoff_s(0, s->retry_min_s, s->retry_max_s, 0, random_number()),
                   "there is no room for it on the disk", LOG_LEVEL_DEBUG);
}

/* Starts the claim, ack, nack or status that the job's state calls for. */
static void transfer(struct flight *f)
{
    const struct env *env = f->env;
    struct job *j = &f->job;
    if (j->state == JOB_WAITING && !puller_has_room(f)) {
        no_room(f);
        flight_end(f);
        return;
    }
    struct claim_request r = {.url = f->url};
    memcpy(r.ka, j->ka, sizeof r.ka);
    memcpy(r.kd, j->kd, sizeof r.kd);
    memcpy(r.lease, j->lease_token, sizeof r.lease);
    switch (j->state) {
    case JOB_WAITING:
        r.verb = CLAIM_CLAIM;
        r.sender = j->stub_from;
        r.recipient = j->stub_to;
        r.from = j->author;
        break;
    case JOB_DELIVERED:
        r.verb = CLAIM_ACK;
        memcpy(r.digest, j->digest, sizeof r.digest);
        break;
    case JOB_HELD:
        r.verb = CLAIM_STATUS;
        r.reason = asks_challenge(j) ? FIELD_STATUS_CHALLENGE : FIELD_STATUS_HELD;
        r.text = j->challenge_url;
        break;
    default:
        r.verb = CLAIM_NACK;
        r.reason = j->reason;
        r.text = j->text;
        break;
    }
    f->verb = r.verb;
    if (f->outcome.letter_fd >= 0)
        close(f->outcome.letter_fd);
    f->outcome = (struct claim_outcome){.letter_fd = -1};
    enum err e = claim_start(env->claim, &r, transferred, f);
    secret_wipe(&r, sizeof r);
    if (e != ERR_OK) {
        if (e != ERR_CANCELLED)
            flight_later(f, false, 0, err_text(e));
        flight_end(f);
    }
}

/* Reads the job again after its state changed. */
static bool reload(struct flight *f)
{
    job_wipe(&f->job);
    enum err e = store_job_get(f->env->store, f->id, &f->job);
    if (e != ERR_OK)
        log_error("a job cannot be read again: %s", err_text(e));
    return e == ERR_OK;
}

/* The MTA has the letter: a store that fails now would have it delivered again and again, so this does not
 * give up soon. */
static enum err mark_delivered(struct flight *f, const struct smtp_result *result, const char *text)
{
    enum err e = ERR_STORE;
    for (int tries = 0; tries < FLIGHT_MARK_TRIES; tries++) {
        e = store_job_delivered(f->env->store, f->job.id, f->outcome.digest, f->outcome.letter_bytes,
                                result->queue_id, text, clock_now_s());
        if (e == ERR_OK || e == ERR_GONE || e == ERR_NOT_FOUND)
            break;
        store_trouble(&f->job, e, "marking as delivered");
        if (!puller_pause(f->puller))
            break;
    }
    return e;
}

/* The letter is here and opened: into the MTA. True when a confirmation is due now. */
static bool inject(struct flight *f)
{
    const struct env *env = f->env;
    struct smtp_result result;
    char text[STORE_TEXT_MAX];
    KILL_POINT("spooled");
    enum err e = inject_check_author(&f->job, &f->outcome);
    if (e == ERR_FROM_CHANGED)
        return refuse(f, NACK_FROM_CHANGED, err_text(e));
    if (e != ERR_OK) {
        flight_later(f, false, 0, err_text(e));
        return false;
    }
    KILL_POINT("inject-before");
    inject_letter(env, &f->job, &f->outcome, &result);
    if (result.stopped)
        return false; /* the job stays as it is, for the next start */
    snprintf(text, sizeof text, "%d %s%s%.400s", result.code, result.enhanced, result.enhanced[0] ? " " : "",
             result.text);
    switch (result.err) {
    case ERR_OK:
        break;
    case ERR_SMTP_PERMANENT:
        return refuse(f, NACK_MTA_REFUSED, text);
    case ERR_BAD_BYTES:
        return refuse(f, NACK_MALFORMED, err_text(ERR_BAD_BYTES));
    case ERR_SMTP_TEMPORARY:
        /* The last try: the sender shall hear the MTA's own words rather than "collected, arrival not
         * confirmed". */
        if (result.code && clock_now_s() >= f->job.expires_s - LAST_TRY_S)
            return refuse(f, NACK_MTA_REFUSED, text);
        flight_later(f, false, 0, result.code ? text : result.text);
        return false;
    default:
        flight_later(f, false, 0, result.code ? text : result.text);
        return false;
    }
    KILL_POINT("mta-250");
    /* The window in which a crash can deliver twice: between the MTA's 250 and the end of this call. */
    e = mark_delivered(f, &result, text);
    if (e != ERR_OK) {
        store_trouble(&f->job, e, "it stays unmarked and may be delivered again");
        return false;
    }
    KILL_POINT("done-mark-after");
    f->job.size_bytes = f->outcome.letter_bytes;
    log_job(&f->job, f->url.host, result.relay, "delivered", text, 0, LOG_LEVEL_INFO);
    return true;
}

static void explain(const struct claim_outcome *o, char out[STORE_TEXT_MAX])
{
    /* Some details only repeat the error. */
    bool more = o->detail[0] && strcmp(o->detail, err_text(o->err)) != 0;
    snprintf(out, STORE_TEXT_MAX, "%s%s%.255s", err_text(o->err), more ? ": " : "", more ? o->detail : "");
}

/* The sender's site says that the letter is to be had no more (410): as it may when its sender has taken it
 * back, so nobody need worry; or "acked", by another puller of this domain or by us before. */
static void gone(struct flight *f, const char *status)
{
    const struct claim_outcome *o = &f->outcome;
    bool acked = strcmp(o->reason, GONE_ACKED) == 0;
    char text[STORE_TEXT_MAX] = "the sender's site knows it as delivered";
    if (!acked)
        snprintf(text, sizeof text, "%s%s%s", err_text(ERR_GONE), o->reason[0] ? ": " : "", o->reason);
    enum err e =
        store_job_gone(f->env->store, f->id, acked ? JOB_ACKED : JOB_FAILED, o->reason, text, clock_now_s());
    if (e != ERR_OK)
        store_trouble(&f->job, e, "ending");
    else
        log_job(&f->job, f->url.host, NULL, status, text, 0, LOG_LEVEL_INFO);
}

static struct job_heard heard(const struct claim_outcome *o)
{
    return (struct job_heard){.certificate_issuer = o->certificate_issuer,
                              .certificate_serial = o->certificate_serial,
                              .version = o->payload_version,
                              .letter_bytes = o->letter_bytes,
                              .at_s = clock_now_s()};
}

/* When a held letter is looked at next: about held_look from now, each at a time of its own. */
static int64_t next_look_s(const struct settings *s)
{
    return s->held_look_s == 0
               ? 0
               : clock_now_s() + verdict_backoff_s(0, s->held_look_s, s->held_look_s, 0, random_number());
}

/* The sender's site was told that its letter waits, and said what it has. True when the recipient has said
 * meanwhile that he wants it. */
static bool told(struct flight *f)
{
    const struct claim_outcome *o = &f->outcome;
    char why[STORE_TEXT_MAX];
    bool challenge = asks_challenge(&f->job), first = f->job.tell != JOB_TELL_NOTHING;
    bool replaced = f->job.replaced;
    enum verdict v = verdict_of(CLAIM_STATUS, o);
    /* Another puller of this domain has called for it: whatever we know is not what the sender should hear.
     */
    bool leased = o->err == ERR_LEASE_ENDED;
    explain(o, why);
    if (v == VERDICT_ACKED || v == VERDICT_ENDED) {
        gone(f, v == VERDICT_ACKED ? "acknowledged" : "ended");
        return false;
    }
    if (v == VERDICT_GO_ON || leased) {
        struct job_heard h = heard(o);
        enum err e = store_job_told(f->env->store, f->id, &h, next_look_s(f->env->settings));
        if (e == ERR_OK && first)
            log_job(&f->job, f->url.host, NULL, challenge ? "challenged" : "held",
                    leased ? why : "told to the sender's site", 0, LOG_LEVEL_INFO);
        else if (e != ERR_OK)
            store_trouble(&f->job, e, "marking as told");
    }
    if (!reload(f) || job_state_ended(f->job.state))
        return false;
    if (f->job.replaced && !replaced)
        log_job(&f->job, f->url.host, NULL, "replaced", "its sender has put another letter in its place", 0,
                LOG_LEVEL_INFO);
    if (f->job.state != JOB_HELD)
        return true;
    if (v != VERDICT_GO_ON && !leased)
        call_later(f, why);
    return false;
}

/* For complaints: who was called, whatever came of it; and which version of the letter came. */
static void note_heard(const struct flight *f)
{
    struct job_heard h = heard(&f->outcome);
    if (f->outcome.err != ERR_OK)
        h.version = 0;
    if (h.version == 0 && !h.certificate_issuer[0])
        return;
    enum err e = store_job_called(f->env->store, f->id, &h);
    if (e != ERR_OK)
        store_trouble(&f->job, e, "noting what the link host showed");
}

/* An answer has come. True when another transfer follows. */
static bool answered(struct flight *f)
{
    const struct claim_outcome *o = &f->outcome;
    char why[STORE_TEXT_MAX];
    if (o->err == ERR_CANCELLED)
        return false; /* we are stopping: the job stays as it is */
    if (f->verb == CLAIM_STATUS)
        return told(f);
    if (f->verb == CLAIM_CLAIM)
        note_heard(f);
    explain(o, why);
    switch (verdict_of(f->verb, o)) {
    case VERDICT_GO_ON:
        if (f->verb == CLAIM_CLAIM)
            return inject(f);
        KILL_POINT("ack-received");
        flight_close_job(f, f->verb == CLAIM_ACK ? JOB_ACKED : JOB_NACKED,
                         f->verb == CLAIM_ACK ? "acknowledged" : "nacked", "confirmed to the sender's site");
        return false;
    case VERDICT_CORRUPT:
        if (f->job.corrupt + 1 >= CORRUPT_MAX)
            return refuse(f, NACK_CORRUPT, why);
        flight_later(f, true, o->retry_after_s, why);
        return false;
    case VERDICT_TOO_LARGE:
        return refuse(f, NACK_TOO_LARGE, why);
    case VERDICT_ACKED:
        flight_close_job(f, f->verb == CLAIM_NACK ? JOB_NACKED : JOB_ACKED, "acknowledged",
                         "the sender's site knows it as delivered");
        return false;
    case VERDICT_ENDED:
        if (f->verb == CLAIM_CLAIM && o->err == ERR_GONE) {
            gone(f, "ended");
            return false;
        }
        snprintf(why, sizeof why, "%s%s%s", err_text(o->err), o->reason[0] ? ": " : "", o->reason);
        flight_close_job(f,
                         f->verb == CLAIM_CLAIM ? JOB_FAILED
                         : f->verb == CLAIM_ACK ? JOB_ACKED
                                                : JOB_NACKED,
                         "ended", why);
        return false;
    default:
        call_later(f, why);
        return false;
    }
}

/* The injection pool's thread: MTA and store may block here. */
static void on_inject_pool(void *arg)
{
    struct flight *f = arg;
    if (answered(f) && reload(f) && !job_state_ended(f->job.state)) {
        KILL_POINT("ack-before");
        transfer(f);
    } else {
        flight_end(f);
    }
}

/* The look-up pool's thread: the host must be designated still, before anything is connected to. */
static void on_lookup_pool(void *arg)
{
    struct flight *f = arg;
    const struct env *env = f->env;
    const struct config_list *proxies = &env->settings->trusted_proxies;
    struct address from;
    struct designation d;
    enum err e = address_parse(span_of(f->job.envelope_from), &from);
    if (e == ERR_OK)
        e = designation_lookup(env->resolver, from.domain, clock_mono_ms() + DESIGNATION_MS, &d);
    if (e == ERR_OK &&
        (!d.present || !designation_has_host(&d, f->url.host, f->url.port, (const char *const *)proxies->item,
                                             proxies->count)))
        e = ERR_NOT_DESIGNATED; /* the record may come back: tried again until the ticket expires */
    if (e != ERR_OK) {
        flight_later(f, false, 0, err_text(e));
        flight_end(f);
        return;
    }
    transfer(f);
}

void flight_start(struct flight *f)
{
    if (f->job.kept) {
        kept_start(f);
        return;
    }
    if (pool_submit(f->env->lookup, on_lookup_pool, f) != ERR_OK)
        flight_end(f); /* due again after GIVE_OUT_S */
}
