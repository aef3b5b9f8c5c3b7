/*
 * pull.c - the job loop: due jobs -> designation -> claim -> injection -> done mark -> ack, each step on the
 * threads that may block for it.
 *
 * A job under way is a struct flight. It moves: loop thread -> look-up pool (designation) -> claim client
 * (transfer) -> injection pool (MTA, done mark) -> claim client (ack) -> injection pool (end mark) -> gone.
 * One thread has it at a time. What a crash leaves behind is always a job in the store that is due again:
 *   before the MTA's 250      the letter is claimed again (same lease token), nothing was delivered
 *   between 250 and the mark  the one window in which a letter can be delivered twice
 *   after the mark            only the ack is repeated
 */
#include "pull/pull.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
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
#include "pull/inject.h"
#include "pull/verdict.h"
#include "settings/settings.h"
#include "ticket/fields.h"
#include "ticket/ticket.h"

/* A due job is not given out again for this long: those under way are skipped anyway, and those of a host
 * whose queue is full shall come back soon. */
#define GIVE_OUT_S 1
#define BATCH 64
#define LOOP_WAIT_MAX_MS 1000 /* the clock may be shifted, other processes may have stopped: look again */
#define HOST_WAITING_MAX 192  /* jobs of one host kept in memory beside those under way */
#define WAITING_MAX 1024      /* of all hosts */
#define CORRUPT_MAX 5         /* then the payload is refused */
#define MARK_TRIES 60         /* a second apart: until then a store that fails may have come to itself */
#define LAST_TRY_S 60         /* before the ticket expires */
#define DESIGNATION_MS 5000
#define HOSTS 1024 /* buckets */

struct flight {
    struct puller *puller;
    uint8_t
        id[16]; /* the job's; never changes, so that the loop may compare it while the job is read again */
    struct job job;
    struct ticket_url url;
    enum claim_verb verb;
    struct claim_outcome outcome;
    struct flight *next; /* in the puller's list of all, or waiting at its host */
    struct flight *next_waiting;
};

struct host {
    char name[TICKET_HOST_MAX + 1];
    unsigned active;
    size_t waiting_count;
    struct flight *waiting_first, *waiting_last;
    struct host *next;
};

struct puller {
    const struct env *env;
    struct pool *inject;
    pthread_t thread;
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t wake;  /* CLOCK_MONOTONIC */
    bool woken, stopping;
    struct flight *flights; /* under way or waiting */
    unsigned flight_count;
    unsigned waiting_count; /* those of them that wait for a place at their host */
    struct host *hosts[HOSTS];
};

static void flight_start(struct flight *f);

/* ---- flights and hosts
 * ------------------------------------------------------------------------------------------ */

static size_t host_bucket(const char *name)
{
    uint32_t h = 2166136261u;
    for (; *name; name++)
        h = (h ^ (unsigned char)*name) * 16777619u;
    return h % HOSTS;
}

/* Under the lock. NULL when out of memory. */
static struct host *host_get(struct puller *p, const char *name, bool make)
{
    size_t bucket = host_bucket(name);
    for (struct host *h = p->hosts[bucket]; h; h = h->next)
        if (strcmp(h->name, name) == 0)
            return h;
    struct host *h = make ? calloc(1, sizeof *h) : NULL;
    if (h) {
        snprintf(h->name, sizeof h->name, "%s", name);
        h->next = p->hosts[bucket];
        p->hosts[bucket] = h;
    }
    return h;
}

/* Under the lock. */
static void host_drop(struct puller *p, struct host *h)
{
    struct host **at = &p->hosts[host_bucket(h->name)];
    while (*at != h)
        at = &(*at)->next;
    *at = h->next;
    free(h);
}

static void flight_free(struct flight *f)
{
    if (f->outcome.letter_fd >= 0)
        close(f->outcome.letter_fd);
    job_wipe(&f->job);
    free(f);
}

/* Under the lock. */
static void flight_unlink(struct puller *p, struct flight *f)
{
    struct flight **at = &p->flights;
    while (*at != f)
        at = &(*at)->next;
    *at = f->next;
    p->flight_count--;
}

/* The job's step is over: gives the host's place to the next that waits for it. */
static void flight_end(struct flight *f)
{
    struct puller *p = f->puller;
    struct flight *next = NULL;
    pthread_mutex_lock(&p->lock);
    flight_unlink(p, f);
    struct host *h = host_get(p, f->url.host, false);
    h->active--;
    if (h->waiting_first && !p->stopping) {
        next = h->waiting_first;
        h->waiting_first = next->next_waiting;
        if (!h->waiting_first)
            h->waiting_last = NULL;
        h->waiting_count--;
        p->waiting_count--;
        h->active++;
    }
    if (h->active == 0 && !h->waiting_first)
        host_drop(p, h);
    p->woken = true;
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
    flight_free(f);
    if (next)
        flight_start(next);
}

/* Under the lock. */
static bool under_way(const struct puller *p, const uint8_t id[16])
{
    for (const struct flight *f = p->flights; f; f = f->next)
        if (memcmp(f->id, id, sizeof f->id) == 0)
            return true;
    return false;
}

/* ---- the log
 * ---------------------------------------------------------------------------------------------------- */

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

/* ---- ends of a step
 * --------------------------------------------------------------------------------------------- */

static void store_trouble(const struct job *j, enum err e, const char *what)
{
    /* The job is still there as it was, and due again: nothing is lost, something may be repeated. */
    log_error("job of <%s>: %s: %s", j->recipient, what, err_text(e));
}

static void later(struct flight *f, bool corrupt, int64_t retry_after_s, const char *why)
{
    const struct settings *s = f->puller->env->settings;
    uint32_t random = 0;
    (void)secret_random(&random, sizeof random);
    int64_t now = clock_now_s();
    int64_t next =
        now + verdict_backoff_s(f->job.tries, s->retry_min_s, s->retry_max_s, retry_after_s, random);
    /* One last try right before the end rather than none. */
    if (next > f->job.expires_s - LAST_TRY_S && now < f->job.expires_s - LAST_TRY_S)
        next = f->job.expires_s - LAST_TRY_S;
    enum err e = store_job_later(f->puller->env->store, f->job.id, next, corrupt, why);
    if (e != ERR_OK)
        store_trouble(&f->job, e, "putting off");
    log_job(&f->job, f->url.host, NULL, "deferred", why, next - now, LOG_LEVEL_INFO);
}

static void end(struct flight *f, enum job_state state, const char *status, const char *why)
{
    enum err e = store_job_end(f->puller->env->store, f->job.id, state, why, clock_now_s());
    if (e != ERR_OK)
        store_trouble(&f->job, e, "ending");
    else
        log_job(&f->job, f->url.host, NULL, status, why, 0,
                state == JOB_FAILED ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO);
}

/* True when the job's state in the store changed so that another step can follow at once. */
static bool refuse(struct flight *f, const char *reason, const char *text)
{
    enum err e = store_job_refused(f->puller->env->store, f->job.id, reason, text, clock_now_s());
    if (e != ERR_OK) {
        store_trouble(&f->job, e, "refusing");
        return false;
    }
    log_job(&f->job, f->url.host, NULL, "refused", text, 0, LOG_LEVEL_INFO);
    return true;
}

/* ---- steps
 * ------------------------------------------------------------------------------------------------------ */

static void on_inject_pool(void *arg);

/* The claim client's thread: hand over and be gone. */
static void transferred(void *arg, struct claim_outcome *outcome)
{
    struct flight *f = arg;
    f->outcome = *outcome;
    outcome->letter_fd = -1;
    if (pool_submit(f->puller->inject, on_inject_pool, f) != ERR_OK)
        flight_end(f); /* due again after GIVE_OUT_S */
}

/* Starts the claim, ack or nack that the job's state calls for. */
static void transfer(struct flight *f)
{
    const struct env *env = f->puller->env;
    struct job *j = &f->job;
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
            later(f, false, 0, err_text(e));
        flight_end(f);
    }
}

/* Reads the job again after its state changed. */
static bool reload(struct flight *f)
{
    job_wipe(&f->job);
    enum err e = store_job_get(f->puller->env->store, f->id, &f->job);
    if (e != ERR_OK)
        log_error("a job cannot be read again: %s", err_text(e));
    return e == ERR_OK;
}

/* A second, or less when stopping; false then. */
static bool pause_a_second(struct puller *p)
{
    struct timespec until;
    int rc = 0;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec++;
    pthread_mutex_lock(&p->lock);
    while (!p->stopping && rc == 0)
        rc = pthread_cond_timedwait(&p->wake, &p->lock, &until);
    bool go_on = !p->stopping;
    pthread_mutex_unlock(&p->lock);
    return go_on;
}

/* The MTA has the letter: a store that fails now would have it delivered again and again, so this does not
 * give up soon. */
static enum err mark_delivered(struct flight *f, const struct smtp_result *result, const char *text)
{
    enum err e = ERR_STORE;
    for (int tries = 0; tries < MARK_TRIES; tries++) {
        e = store_job_delivered(f->puller->env->store, f->job.id, f->outcome.digest, f->outcome.letter_bytes,
                                result->queue_id, text, clock_now_s());
        if (e == ERR_OK || e == ERR_GONE || e == ERR_NOT_FOUND)
            break;
        store_trouble(&f->job, e, "marking as delivered");
        if (!pause_a_second(f->puller))
            break;
    }
    return e;
}

/* The letter is here and opened: into the MTA. True when a confirmation is due now. */
static bool inject(struct flight *f)
{
    const struct env *env = f->puller->env;
    struct smtp_result result;
    char text[STORE_TEXT_MAX];
    KILL_POINT("spooled");
    enum err e = inject_check_author(&f->job, &f->outcome);
    if (e == ERR_FROM_CHANGED)
        return refuse(f, NACK_FROM_CHANGED, err_text(e));
    if (e != ERR_OK) {
        later(f, false, 0, err_text(e));
        return false;
    }
    KILL_POINT("inject-before");
    inject_letter(env, &f->job, &f->outcome, &result);
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
        later(f, false, 0, result.code ? text : result.text);
        return false;
    default:
        later(f, false, 0, result.code ? text : result.text);
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

/* An answer has come. True when another transfer follows. */
static bool answered(struct flight *f)
{
    const struct claim_outcome *o = &f->outcome;
    char why[STORE_TEXT_MAX];
    if (o->err == ERR_CANCELLED)
        return false; /* we are stopping: the job stays as it is */
    /* Some details only repeat the error. */
    bool more = o->detail[0] && strcmp(o->detail, err_text(o->err)) != 0;
    snprintf(why, sizeof why, "%s%s%.255s", err_text(o->err), more ? ": " : "", more ? o->detail : "");
    switch (verdict_of(f->verb, o)) {
    case VERDICT_GO_ON:
        if (f->verb == CLAIM_CLAIM)
            return inject(f);
        KILL_POINT("ack-received");
        end(f, f->verb == CLAIM_ACK ? JOB_ACKED : JOB_NACKED,
            f->verb == CLAIM_ACK ? "acknowledged" : "nacked", "confirmed to the sender's site");
        return false;
    case VERDICT_CORRUPT:
        if (f->job.corrupt + 1 >= CORRUPT_MAX)
            return refuse(f, NACK_CORRUPT, why);
        later(f, true, o->retry_after_s, why);
        return false;
    case VERDICT_TOO_LARGE:
        return refuse(f, NACK_TOO_LARGE, why);
    case VERDICT_ACKED:
        end(f, f->verb == CLAIM_NACK ? JOB_NACKED : JOB_ACKED, "acknowledged",
            "the sender's site knows it as delivered");
        return false;
    case VERDICT_ENDED:
        snprintf(why, sizeof why, "%s%s%s", err_text(o->err), o->reason[0] ? ": " : "", o->reason);
        end(f,
            f->verb == CLAIM_CLAIM ? JOB_FAILED
            : f->verb == CLAIM_ACK ? JOB_ACKED
                                   : JOB_NACKED,
            "ended", why);
        return false;
    default:
        later(f, false, o->retry_after_s, why);
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
    const struct env *env = f->puller->env;
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
        later(f, false, 0, err_text(e));
        flight_end(f);
        return;
    }
    transfer(f);
}

static void flight_start(struct flight *f)
{
    if (pool_submit(f->puller->env->lookup, on_lookup_pool, f) != ERR_OK)
        flight_end(f); /* due again after GIVE_OUT_S */
}

/* ---- the loop
 * --------------------------------------------------------------------------------------------------- */

/* Under the lock. */
static bool may_wait(const struct puller *p, const struct host *h)
{
    return h->waiting_count < HOST_WAITING_MAX && p->waiting_count < WAITING_MAX;
}

/* How many more may be under way. Those that wait for slow hosts do not count: they must not keep the jobs of
 * others from their turn. */
static size_t room_for_more(struct puller *p)
{
    unsigned max = (unsigned)p->env->settings->pulls_max;
    pthread_mutex_lock(&p->lock);
    unsigned active = p->flight_count - p->waiting_count;
    pthread_mutex_unlock(&p->lock);
    return active < max ? max - active : 0;
}

/* A due job out of the store becomes a flight, or ends when its time is over. */
static void take(struct puller *p, const uint8_t id[16])
{
    struct flight *f = NULL;
    bool start = false;
    pthread_mutex_lock(&p->lock);
    bool known = under_way(p, id);
    pthread_mutex_unlock(&p->lock);
    if (known)
        return;
    f = calloc(1, sizeof *f);
    if (!f)
        return;
    f->puller = p;
    memcpy(f->id, id, sizeof f->id);
    f->outcome.letter_fd = -1;
    enum err e = store_job_get(p->env->store, id, &f->job);
    if (e != ERR_OK || job_state_ended(f->job.state)) {
        flight_free(f);
        return;
    }
    if (clock_now_s() > f->job.expires_s) {
        end(f,
            f->job.state == JOB_WAITING     ? JOB_FAILED
            : f->job.state == JOB_DELIVERED ? JOB_ACKED
                                            : JOB_NACKED,
            "expired", f->job.state == JOB_WAITING ? "never got the payload" : "could not be confirmed");
        flight_free(f);
        return;
    }
    if (ticket_url_parse(span_of(f->job.url), &f->url) != ERR_OK) {
        end(f, JOB_FAILED, "failed", "the stored URL does not parse");
        flight_free(f);
        return;
    }
    pthread_mutex_lock(&p->lock);
    struct host *h = p->stopping ? NULL : host_get(p, f->url.host, true);
    if (h && (h->active < (unsigned)p->env->settings->pulls_host_max || may_wait(p, h))) {
        start = h->active < (unsigned)p->env->settings->pulls_host_max;
        f->next = p->flights;
        p->flights = f;
        p->flight_count++;
        if (start) {
            h->active++;
        } else {
            if (h->waiting_last)
                h->waiting_last->next_waiting = f;
            else
                h->waiting_first = f;
            h->waiting_last = f;
            h->waiting_count++;
            p->waiting_count++;
        }
        f = start ? f : NULL;
    } else {
        /* Too many of this host wait already: this one is given out again later, others are not kept from
         * their turn. */
        flight_free(f);
        f = NULL;
    }
    pthread_mutex_unlock(&p->lock);
    if (f)
        flight_start(f);
}

/* Waits until a job can be due; false when stopping. */
static bool wait_for_work(struct puller *p)
{
    struct timespec until;
    pthread_mutex_lock(&p->lock);
    if (!p->woken && !p->stopping) {
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += LOOP_WAIT_MAX_MS / 1000;
        pthread_cond_timedwait(&p->wake, &p->lock, &until);
    }
    p->woken = false;
    bool go_on = !p->stopping;
    pthread_mutex_unlock(&p->lock);
    return go_on;
}

static void *loop(void *arg)
{
    struct puller *p = arg;
    uint8_t ids[BATCH][16];
    while (wait_for_work(p)) {
        size_t count = BATCH;
        while (count == BATCH) {
            size_t room = room_for_more(p);
            count = 0;
            if (room == 0)
                break;
            enum err e = store_jobs_due(p->env->store, clock_now_s(), GIVE_OUT_S, ids,
                                        room < BATCH ? room : BATCH, &count);
            if (e != ERR_OK) {
                log_error("due jobs cannot be read: %s", err_text(e));
                break;
            }
            for (size_t i = 0; i < count; i++)
                take(p, ids[i]);
        }
    }
    return NULL;
}

enum err puller_create(const struct env *env, struct puller **out)
{
    pthread_condattr_t attr;
    struct puller *p = calloc(1, sizeof *p);
    if (!p)
        return ERR_NOMEM;
    p->env = env;
    pthread_mutex_init(&p->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&p->wake, &attr);
    pthread_condattr_destroy(&attr);
    p->woken = true;
    enum err e = pool_create("inject", (unsigned)env->settings->injections_max,
                             (size_t)env->settings->pulls_max + BATCH, &p->inject);
    if (e == ERR_OK && pthread_create(&p->thread, NULL, loop, p) != 0) {
        pool_free(p->inject);
        e = ERR_NOMEM;
    }
    if (e != ERR_OK) {
        pthread_cond_destroy(&p->wake);
        pthread_mutex_destroy(&p->lock);
        free(p);
        return e;
    }
    *out = p;
    return ERR_OK;
}

void puller_wake(struct puller *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->woken = true;
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
}

unsigned puller_busy(const struct puller *p)
{
    struct puller *m = (struct puller *)p;
    pthread_mutex_lock(&m->lock);
    unsigned n = m->flight_count;
    pthread_mutex_unlock(&m->lock);
    return n;
}

/* Under the lock: those that wait for a host's turn go back to the store's keeping. */
static void drop_waiting(struct puller *p)
{
    for (size_t i = 0; i < HOSTS; i++) {
        for (struct host *h = p->hosts[i]; h; h = h->next) {
            while (h->waiting_first) {
                struct flight *f = h->waiting_first;
                h->waiting_first = f->next_waiting;
                flight_unlink(p, f);
                flight_free(f);
            }
            h->waiting_last = NULL;
            p->waiting_count -= (unsigned)h->waiting_count;
            h->waiting_count = 0;
        }
    }
}

void puller_free(struct puller *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->stopping = true;
    drop_waiting(p);
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
    pthread_join(p->thread, NULL);
    pthread_mutex_lock(&p->lock);
    while (p->flight_count > 0)
        pthread_cond_wait(&p->wake, &p->lock);
    pthread_mutex_unlock(&p->lock);
    pool_free(p->inject);
    for (size_t i = 0; i < HOSTS; i++)
        while (p->hosts[i])
            host_drop(p, p->hosts[i]);
    pthread_cond_destroy(&p->wake);
    pthread_mutex_destroy(&p->lock);
    free(p);
}
