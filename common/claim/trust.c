/*
 * trust.c - a list is called for once, however many wait for it: the others wait for that call.
 */
#include "claim/trust.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"

#define CRLS_MAX 512
#define ROUNDS_MAX 3 /* a list at several addresses: the next is asked for when one gave nothing */

struct call { /* one under way; on the stack of the thread that makes it */
    const char *url;
    struct call *next;
};

struct trust {
    struct trust_options options;
    struct crl_cache *cache;
    atomic_bool stopping;
    pthread_mutex_t lock;
    pthread_cond_t call_over;
    struct call *calls;
};

enum err trust_create(const struct trust_options *o, struct trust **out)
{
    struct trust *t = calloc(1, sizeof *t);
    if (t == NULL)
        return ERR_NOMEM;
    t->options = *o;
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->call_over, NULL);
    enum err err = crl_cache_create(CRLS_MAX, o->crls_max_bytes, &t->cache);
    if (err != ERR_OK) {
        trust_free(t);
        return err;
    }
    *out = t;
    return ERR_OK;
}

void trust_stop(struct trust *t)
{
    atomic_store(&t->stopping, true);
}

void trust_free(struct trust *t)
{
    if (t == NULL)
        return;
    crl_cache_free(t->cache);
    pthread_cond_destroy(&t->call_over);
    pthread_mutex_destroy(&t->lock);
    free(t);
}

enum err trust_judge(struct trust *t, struct chain *chain, bool may_fetch, struct revocation_verdict *out)
{
    struct revocation_rules rules = t->options.rules;
    rules.not_to_be_fetched = !may_fetch;
    enum err err = revocation_judge(&rules, t->cache, chain, clock_now_s(), clock_mono_ms(), out);
    if (err == ERR_OK && out->detail[0] != '\0')
        log_warning("revocation is soft: %s", out->detail);
    return err;
}

static void call_for(struct trust *t, const char *url)
{
    struct fetch_answer a;
    char why[CRL_WHY_MAX];
    struct fetch_request r = {.url = url,
                              .body_max_bytes = t->options.crl_max_bytes,
                              .cancelled = &t->stopping,
                              .deadline_mono_ms = clock_mono_ms() + t->options.crl_timeout_ms};
    enum err err = fetch_get(&t->options.fetch, &r, &a);
    if (err == ERR_OK && a.status == 200) {
        crl_cache_put(t->cache, url, buf_span(&a.body), clock_now_s(), clock_mono_ms());
        log_debug("CRL %s: %zu octets", url, a.body.len);
    } else {
        if (err == ERR_OK)
            snprintf(why, sizeof why, "HTTP status %d", a.status);
        else
            snprintf(why, sizeof why, "%.*s", CRL_WHY_MAX - 1, a.detail);
        crl_cache_put_failure(t->cache, url, why, clock_mono_ms());
        log_warning("CRL %s: %s", url, why);
    }
    fetch_answer_free(&a);
}

static bool is_here(struct trust *t, const char *url)
{
    struct crl *list = NULL;
    char why[CRL_WHY_MAX];
    enum crl_found found = crl_cache_get(t->cache, url, clock_now_s(), clock_mono_ms(), &list, why);
    crl_free(list);
    return found != CRL_UNKNOWN;
}

static struct call **find_call(struct trust *t, const char *url)
{
    struct call **at = &t->calls;
    while (*at != NULL && strcmp((*at)->url, url) != 0)
        at = &(*at)->next;
    return at;
}

void trust_fetch(struct trust *t, const char *url)
{
    pthread_mutex_lock(&t->lock);
    while (*find_call(t, url) != NULL) /* it ends within its timeout */
        pthread_cond_wait(&t->call_over, &t->lock);
    if (!is_here(t, url)) {
        struct call mine = {.url = url, .next = t->calls};
        // cppcheck-suppress autoVariables ; taken off again below
        t->calls = &mine;
        pthread_mutex_unlock(&t->lock);
        call_for(t, url);
        pthread_mutex_lock(&t->lock);
        struct call **at = find_call(t, url);
        *at = mine.next;
        pthread_cond_broadcast(&t->call_over);
    }
    pthread_mutex_unlock(&t->lock);
}

enum err trust_judge_waiting(struct trust *t, struct chain *chain, int64_t deadline_mono_ms,
                             struct revocation_verdict *out)
{
    enum err err = trust_judge(t, chain, true, out);
    for (int round = 0; round < ROUNDS_MAX && out->needed_count > 0; round++) {
        for (size_t i = 0; i < out->needed_count; i++) {
            if (clock_mono_ms() >= deadline_mono_ms)
                return err;
            trust_fetch(t, out->needed[i]);
        }
        err = trust_judge(t, chain, true, out);
    }
    return err;
}
