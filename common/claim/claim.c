/*
 * claim.c - the client: one thread that runs all exchanges in a curl multi handle, a few that ask DNS for it,
 * and the rules on who may run when. A request waits here, not on the wire, until its host has room; a slow
 * host fills its own share and no more.
 */
#include "claim/claim.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/secret.h"
#include "claim/host.h"
#include "claim/transfer.h"
#include "claim/wire.h"

#define LOOKUP_THREADS 4
#define FETCH_THREADS                                                                                        \
    2 /* for revocation lists: seldom, and a slow server of them must not delay look-ups                     \
       */
#define LOOKUP_TIMEOUT_MS 10000
#define RESOLVED_MS 10000  /* how long checked addresses are taken for new exchanges */
#define UNRESOLVED_MS 1000 /* how long a failed look-up stands for all that wait for it */
#define WAITING_SHARE 4    /* one host may fill this part of the waiting room */
#define TICK_MS 250        /* how exact deadlines are */
#define SWEEP_MS 60000

struct list {
    struct transfer *first, **last;
    size_t count;
};

struct claim_client {
    struct claim_options options; /* texts are copies */
    char *texts[5];
    struct peer_policy policy;
    CURLM *multi;
    pthread_t thread, lookup_thread[LOOKUP_THREADS], fetch_thread[FETCH_THREADS];
    bool thread_started;
    size_t lookup_threads, fetch_threads;
    struct list waiting, running; /* belong to the thread */
    int64_t swept_mono_ms;

    pthread_mutex_t lock; /* for all below, and the hosts */
    pthread_cond_t lookup_wanted, fetch_wanted;
    struct hosts *hosts;
    struct host *lookups; /* queue of hosts, by ->next */
    struct host *fetches; /* by ->next_fetch */
    struct list incoming;
    size_t waiting_count;
    bool stopping;
};

static void list_init(struct list *l)
{
    l->first = NULL;
    l->last = &l->first;
    l->count = 0;
}

static void list_push(struct list *l, struct transfer *t)
{
    t->next = NULL;
    *l->last = t;
    l->last = &t->next;
    l->count++;
}

static struct transfer *list_pop(struct list *l)
{
    struct transfer *t = l->first;
    if (t == NULL)
        return NULL;
    l->first = t->next;
    l->count--;
    if (l->first == NULL)
        l->last = &l->first;
    t->next = NULL;
    return t;
}

/* Moves everything out of a list, so that it can be walked while the list grows anew. */
static struct list list_take(struct list *l)
{
    struct list all;
    list_init(&all);
    for (struct transfer *t; (t = list_pop(l)) != NULL;)
        list_push(&all, t);
    return all;
}

/* --- look-ups: they block, so they have threads of their own; with the lock held but while asking */

static void lookup_want(struct claim_client *c, struct host *h)
{
    struct host **end = &c->lookups;
    while (*end != NULL)
        end = &(*end)->next;
    h->next = NULL;
    h->looking_up = true;
    *end = h;
    pthread_cond_signal(&c->lookup_wanted);
}

static void lookup_one(struct claim_client *c, struct host *h)
{
    char name[TICKET_HOST_MAX + 1];
    struct peer_addresses found = {0};
    struct tlsa_set tlsa = {0};
    bool secure = false;
    int64_t deadline = clock_mono_ms() + LOOKUP_TIMEOUT_MS;
    uint16_t port = h->port;
    memcpy(name, h->name, sizeof name);
    pthread_mutex_unlock(&c->lock);
    enum err err = peer_resolve(&c->policy, c->options.resolver, name, deadline, &found, &secure);
    if (err == ERR_OK && secure)
        err = tlsa_lookup(c->options.resolver, name, port, deadline, &tlsa);
    pthread_mutex_lock(&c->lock);
    h->looking_up = false;
    h->resolve_err = err;
    h->addresses = found;
    h->tlsa = tlsa;
    h->resolved_until_mono_ms = clock_mono_ms() + (err == ERR_OK ? RESOLVED_MS : UNRESOLVED_MS);
    curl_multi_wakeup(c->multi);
}

static void *lookup_loop(void *arg)
{
    struct claim_client *c = arg;
    pthread_setname_np(pthread_self(), "claim-dns");
    pthread_mutex_lock(&c->lock);
    while (!c->stopping) {
        struct host *h = c->lookups;
        if (h == NULL) {
            pthread_cond_wait(&c->lookup_wanted, &c->lock);
            continue;
        }
        c->lookups = h->next;
        lookup_one(c, h);
    }
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

/* --- revocation lists: the same, with threads of their own */

static void fetch_want(struct claim_client *c, struct host *h, const struct revocation_verdict *v)
{
    struct host **end = &c->fetches;
    if (h->fetching || v->needed_count == 0) /* what is being fetched is what all of its requests need */
        return;
    while (*end != NULL)
        end = &(*end)->next_fetch;
    h->crl_count = v->needed_count;
    memcpy(h->crl, v->needed, sizeof h->crl);
    h->next_fetch = NULL;
    h->fetching = true;
    *end = h;
    pthread_cond_signal(&c->fetch_wanted);
}

static void *fetch_loop(void *arg)
{
    struct claim_client *c = arg;
    pthread_setname_np(pthread_self(), "claim-crl");
    pthread_mutex_lock(&c->lock);
    while (!c->stopping) {
        struct host *h = c->fetches;
        if (h == NULL) {
            pthread_cond_wait(&c->fetch_wanted, &c->lock);
            continue;
        }
        c->fetches = h->next_fetch;
        pthread_mutex_unlock(&c->lock);
        for (size_t i = 0; i < h->crl_count; i++) /* nobody touches these while it is fetching */
            trust_fetch(c->options.trust, h->crl[i]);
        pthread_mutex_lock(&c->lock);
        h->fetching = false;
        curl_multi_wakeup(c->multi);
    }
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

/* --- the end of a transfer */

static bool is_connection_failure(enum err err)
{
    return err == ERR_CONNECT || err == ERR_TLS || err == ERR_TIMEOUT || err == ERR_ADDRESS_SPECIAL ||
           err == ERR_CERT_REVOKED || err == ERR_REVOCATION_UNKNOWN || err == ERR_DANE;
}

static void note_host(struct claim_client *c, struct host *h, const struct transfer *t, enum err err)
{
    int64_t now = clock_mono_ms();
    uint32_t random = 0;
    if (err == ERR_CANCELLED)
        return;
    if (t->restante) {
        host_succeeded(h);
    } else if (err == ERR_NOT_RESTANTE) {
        host_leave_alone(h, now, c->options.not_restante_pause_s * 1000);
    } else if (is_connection_failure(err)) {
        (void)secret_random(&random, sizeof random); /* without it: no jitter */
        host_failed(h, now, random);
    }
}

/* Tells the caller; no lock is held, so he may start the next one from there. */
static void deliver(struct claim_client *c, struct transfer *t)
{
    (void)c;
    t->done(t->arg, &t->outcome);
    transfer_free(t);
}

static void fail_waiting(struct claim_client *c, struct transfer *t, enum err err)
{
    transfer_fail(t, err, err_text(err));
    if (t->interrupted_by != ERR_OK && err != ERR_CANCELLED)
        t->outcome.err = t->interrupted_by;
    pthread_mutex_lock(&c->lock);
    t->host->waiting--;
    c->waiting_count--;
    pthread_mutex_unlock(&c->lock);
    deliver(c, t);
}

/* An exchange is over and its handle off the multi handle. Not in any list. */
static void exchange_over(struct claim_client *c, struct transfer *t, CURLcode code, enum err cause)
{
    bool again = transfer_end(t, code, cause, clock_mono_ms());
    pthread_mutex_lock(&c->lock);
    t->host->running--;
    note_host(c, t->host, t, !again ? t->outcome.err : t->again ? ERR_OK : ERR_CONNECT);
    if (again) {
        fetch_want(c, t->host, &t->gate.revocation);
        t->host->waiting++;
        c->waiting_count++;
    }
    pthread_mutex_unlock(&c->lock);
    if (again)
        list_push(&c->waiting, t);
    else
        deliver(c, t);
}

/* --- the start of an exchange */

enum fate { STAY, START, FAIL };

/* What becomes of a waiting transfer now. With the lock held. */
static enum fate decide(struct claim_client *c, struct transfer *t, int64_t now, enum err *err)
{
    struct host *h = t->host;
    if (now < t->not_before_mono_ms || h->fetching)
        return STAY;
    *err = ERR_CIRCUIT_OPEN;
    if (host_is_open(h, now)) {
        t->outcome.pause_ms = h->open_until_mono_ms - now;
        return FAIL;
    }
    *err = ERR_BUSY;
    if (now - t->queued_mono_ms > c->options.total_timeout_ms)
        return FAIL;
    if (h->running >= host_limit(h, c->options.host_transfers_max) ||
        c->running.count >= (size_t)c->options.transfers_max)
        return STAY;
    if (now >= h->resolved_until_mono_ms) {
        if (!h->looking_up)
            lookup_want(c, h);
        return STAY;
    }
    *err = h->resolve_err;
    if (*err != ERR_OK)
        return FAIL;
    t->addresses = h->addresses;
    t->tlsa = h->tlsa;
    h->waiting--;
    h->running++;
    c->waiting_count--;
    return START;
}

static void start_exchange(struct claim_client *c, struct transfer *t)
{
    enum err err = transfer_begin(t, &c->options, &c->policy, clock_mono_ms());
    if (err == ERR_OK && curl_multi_add_handle(c->multi, t->easy) != CURLM_OK)
        err = ERR_INTERNAL;
    if (err == ERR_OK)
        list_push(&c->running, t);
    else
        exchange_over(c, t, CURLE_OK, err);
}

static void schedule(struct claim_client *c)
{
    struct list all = list_take(&c->waiting);
    for (struct transfer *t; (t = list_pop(&all)) != NULL;) {
        enum err err = ERR_OK;
        pthread_mutex_lock(&c->lock);
        enum fate fate = decide(c, t, clock_mono_ms(), &err);
        if (fate == FAIL && err == ERR_ADDRESS_SPECIAL)
            note_host(c, t->host, t, err);
        pthread_mutex_unlock(&c->lock);
        if (fate == START)
            start_exchange(c, t);
        else if (fate == FAIL)
            fail_waiting(c, t, err);
        else
            list_push(&c->waiting, t);
    }
}

/* --- the loop */

static void running_remove(struct claim_client *c, struct transfer *gone)
{
    struct list all = list_take(&c->running);
    for (struct transfer *t; (t = list_pop(&all)) != NULL;)
        if (t != gone)
            list_push(&c->running, t);
}

static void end_exchange(struct claim_client *c, struct transfer *t, CURLcode code, enum err cause)
{
    curl_multi_remove_handle(c->multi, t->easy);
    running_remove(c, t);
    exchange_over(c, t, code, cause);
}

static void collect_finished(struct claim_client *c)
{
    int left;
    for (CURLMsg *m; (m = curl_multi_info_read(c->multi, &left)) != NULL;) {
        struct transfer *t = NULL;
        CURLcode code = m->data.result;
        if (m->msg == CURLMSG_DONE && curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &t) == CURLE_OK)
            end_exchange(c, t, code, ERR_OK);
    }
}

static void check_clocks(struct claim_client *c)
{
    int64_t now = clock_mono_ms();
    for (struct transfer *t = c->running.first, *next; t != NULL; t = next) {
        next = t->next;
        enum err err = transfer_check_clock(t, now);
        if (err == ERR_OK)
            continue;
        end_exchange(c, t, CURLE_OK, err);
        next = c->running.first; /* the list was made anew; those already looked at pass again */
    }
}

static bool take_incoming(struct claim_client *c)
{
    pthread_mutex_lock(&c->lock);
    for (struct transfer *t; (t = list_pop(&c->incoming)) != NULL;)
        list_push(&c->waiting, t);
    bool stopping = c->stopping;
    int64_t now = clock_mono_ms();
    if (now - c->swept_mono_ms > SWEEP_MS) {
        hosts_sweep(c->hosts, now);
        c->swept_mono_ms = now;
    }
    pthread_mutex_unlock(&c->lock);
    return !stopping;
}

static void cancel_all(struct claim_client *c)
{
    while (c->running.first != NULL)
        end_exchange(c, c->running.first, CURLE_OK, ERR_CANCELLED);
    for (struct transfer *t; (t = list_pop(&c->waiting)) != NULL;)
        fail_waiting(c, t, ERR_CANCELLED);
}

static void *client_loop(void *arg)
{
    struct claim_client *c = arg;
    pthread_setname_np(pthread_self(), "claim");
    while (take_incoming(c)) {
        int running;
        schedule(c);
        curl_multi_perform(c->multi, &running);
        collect_finished(c);
        check_clocks(c);
        /* With nothing at hand it sleeps until woken. */
        bool idle = c->running.count == 0 && c->waiting.count == 0;
        curl_multi_poll(c->multi, NULL, 0, idle ? SWEEP_MS : TICK_MS, NULL);
    }
    cancel_all(c);
    return NULL;
}

/* --- the public face */

static enum err copy_options(struct claim_client *c, const struct claim_options *o)
{
    c->options = *o;
    const char **texts[] = {&c->options.ca_file, &c->options.bind_address,
                            &c->options.client_certificate_file, &c->options.client_key_file,
                            &c->options.spool_directory};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (*texts[i] == NULL)
            continue;
        c->texts[i] = strdup(*texts[i]);
        if (c->texts[i] == NULL)
            return ERR_NOMEM;
        *texts[i] = c->texts[i];
    }
    c->policy = (struct peer_policy){.allowed_special = o->allowed_special,
                                     .allowed_special_count = o->allowed_special_count,
                                     .family = AF_UNSPEC};
    struct netaddr mine;
    if (o->bind_address != NULL) {
        if (netaddr_parse(span_of(o->bind_address), &mine) != ERR_OK)
            return ERR_CONFIG;
        c->policy.family = mine.family;
    }
    return ERR_OK;
}

static enum err make_multi(struct claim_client *c)
{
    wire_init();
    c->multi = curl_multi_init();
    if (c->multi == NULL)
        return ERR_NOMEM;
    curl_multi_setopt(c->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX);
    curl_multi_setopt(c->multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)c->options.host_connections_max);
    curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, (long)c->options.transfers_max);
    return ERR_OK;
}

static enum err start_threads(struct claim_client *c)
{
    for (; c->lookup_threads < LOOKUP_THREADS; c->lookup_threads++)
        if (pthread_create(&c->lookup_thread[c->lookup_threads], NULL, lookup_loop, c) != 0)
            return ERR_NOMEM;
    for (; c->fetch_threads < FETCH_THREADS; c->fetch_threads++)
        if (pthread_create(&c->fetch_thread[c->fetch_threads], NULL, fetch_loop, c) != 0)
            return ERR_NOMEM;
    if (pthread_create(&c->thread, NULL, client_loop, c) != 0)
        return ERR_NOMEM;
    c->thread_started = true;
    return ERR_OK;
}

enum err claim_client_create(const struct claim_options *o, struct claim_client **out)
{
    struct claim_client *c = calloc(1, sizeof *c);
    if (c == NULL)
        return ERR_NOMEM;
    list_init(&c->waiting);
    list_init(&c->running);
    list_init(&c->incoming);
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->lookup_wanted, NULL);
    pthread_cond_init(&c->fetch_wanted, NULL);
    c->hosts = hosts_create();
    enum err err = c->hosts != NULL ? copy_options(c, o) : ERR_NOMEM;
    if (err == ERR_OK)
        err = make_multi(c);
    if (err == ERR_OK)
        err = start_threads(c);
    if (err != ERR_OK) {
        claim_client_free(c);
        return err;
    }
    *out = c;
    return ERR_OK;
}

void claim_client_stop(struct claim_client *c)
{
    pthread_mutex_lock(&c->lock);
    c->stopping = true;
    if (c->options.trust != NULL)
        trust_stop(c->options.trust);
    pthread_cond_broadcast(&c->lookup_wanted);
    pthread_cond_broadcast(&c->fetch_wanted);
    pthread_mutex_unlock(&c->lock);
    if (c->multi != NULL)
        curl_multi_wakeup(c->multi);
}

void claim_client_free(struct claim_client *c)
{
    if (c == NULL)
        return;
    claim_client_stop(c);
    if (c->thread_started)
        pthread_join(c->thread, NULL);
    for (size_t i = 0; i < c->lookup_threads; i++)
        pthread_join(c->lookup_thread[i], NULL);
    for (size_t i = 0; i < c->fetch_threads; i++)
        pthread_join(c->fetch_thread[i], NULL);
    curl_multi_cleanup(c->multi);
    hosts_free(c->hosts);
    for (size_t i = 0; i < sizeof c->texts / sizeof *c->texts; i++)
        free(c->texts[i]);
    pthread_cond_destroy(&c->lookup_wanted);
    pthread_cond_destroy(&c->fetch_wanted);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

/* With the lock held. */
static enum err admit(struct claim_client *c, struct transfer *t)
{
    size_t room = (size_t)c->options.transfers_max;
    size_t share = room / WAITING_SHARE > 0 ? room / WAITING_SHARE : 1;
    int64_t now = clock_mono_ms();
    if (c->stopping)
        return ERR_CANCELLED;
    struct host *h = hosts_get(c->hosts, t->request.url.host, t->request.url.port, now);
    if (h == NULL)
        return ERR_NOMEM;
    if (c->waiting_count >= room || (size_t)h->waiting >= share)
        return ERR_BUSY;
    t->host = h;
    t->queued_mono_ms = now;
    h->waiting++;
    c->waiting_count++;
    list_push(&c->incoming, t);
    return ERR_OK;
}

enum err claim_start(struct claim_client *c, const struct claim_request *request, claim_done done, void *arg)
{
    struct transfer *t = NULL;
    enum err err = transfer_create(request, done, arg, &t);
    if (err != ERR_OK)
        return err;
    pthread_mutex_lock(&c->lock);
    err = admit(c, t);
    pthread_mutex_unlock(&c->lock);
    if (err != ERR_OK)
        transfer_free(t);
    else
        curl_multi_wakeup(c->multi);
    return err;
}

struct wait {
    pthread_mutex_t lock;
    pthread_cond_t over;
    bool done;
    struct claim_outcome *out;
};

static void wait_over(void *arg, struct claim_outcome *outcome)
{
    struct wait *w = arg;
    pthread_mutex_lock(&w->lock);
    *w->out = *outcome;
    outcome->letter_fd = -1;
    w->done = true;
    pthread_cond_signal(&w->over);
    pthread_mutex_unlock(&w->lock);
}

enum err claim_wait(struct claim_client *c, const struct claim_request *request, struct claim_outcome *out)
{
    struct claim_outcome outcome = {.letter_fd = -1};
    struct wait w = {.out = &outcome};
    pthread_mutex_init(&w.lock, NULL);
    pthread_cond_init(&w.over, NULL);
    enum err err = claim_start(c, request, wait_over, &w);
    if (err == ERR_OK) {
        pthread_mutex_lock(&w.lock);
        while (!w.done)
            pthread_cond_wait(&w.over, &w.lock);
        pthread_mutex_unlock(&w.lock);
        err = outcome.err;
    }
    outcome.err = err;
    *out = outcome;
    pthread_cond_destroy(&w.over);
    pthread_mutex_destroy(&w.lock);
    return err;
}
