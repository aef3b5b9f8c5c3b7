/*
 * discovery.c - one shared list of questions, worked off by the caller and some helpers from the pool. A
 * helper that begins late finds the list empty; so the caller never waits for the pool, only for questions
 * under way.
 */
#include "route/discovery.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "dns/designation.h"
#include "dns/resolver.h"
#include "env/env.h"
#include "pool/pool.h"
#include "store/store.h"

#define HELPERS_MAX 8
#define REMEMBER_AGAIN_S 3600 /* an unchanged answer is written again after this */

struct question_list {
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t settled;
    size_t next, under_way;
    unsigned holders; /* caller and helpers; the last one frees */
    /* set before any helper begins */
    const struct env *env;
    int64_t deadline_mono_ms;
    size_t count;
    const char *const *domain;    /* borrowed; touched only while the caller waits */
    struct discovery_answer *out; /* the same */
};

static enum discovery_word word_of(const struct designation *d)
{
    if (!d->present || !d->takes_stubs)
        return DISCOVERY_NO;
    return d->testing ? DISCOVERY_TESTING : DISCOVERY_YES;
}

static void remember(struct store *store, const char *domain, enum discovery_word word)
{
    struct store_domain known, now = {.takes_stubs = word == DISCOVERY_YES, .asked_s = clock_now_s()};

    if (store_domain_get(store, domain, &known) == ERR_OK) {
        if (known.takes_stubs == now.takes_stubs && known.asked_s + REMEMBER_AGAIN_S > now.asked_s)
            return;
    } else if (word == DISCOVERY_NO) {
        return; /* most domains: what is not known counts as no anyway */
    }
    enum err e = store_domain_put(store, domain, &now);
    if (e)
        log_warning("%s: the answer was not remembered: %s", domain, err_text(e));
}

static void ask_one(const struct env *env, const char *domain, int64_t deadline_mono_ms,
                    struct discovery_answer *out)
{
    struct designation d;
    struct store_domain known;
    enum err e = designation_lookup(env->resolver, domain, deadline_mono_ms, &d);

    if (e == ERR_OK) {
        *out = (struct discovery_answer){word_of(&d), false};
        remember(env->store, domain, out->word);
    } else if (store_domain_get(env->store, domain, &known) == ERR_OK) {
        *out = (struct discovery_answer){known.takes_stubs ? DISCOVERY_YES : DISCOVERY_NO, true};
    } else {
        *out = (struct discovery_answer){DISCOVERY_UNKNOWN, false};
    }
}

static void work_off(struct question_list *list)
{
    pthread_mutex_lock(&list->lock);
    while (list->next < list->count) {
        size_t i = list->next++;
        list->under_way++;
        pthread_mutex_unlock(&list->lock);
        ask_one(list->env, list->domain[i], list->deadline_mono_ms, &list->out[i]);
        pthread_mutex_lock(&list->lock);
        if (--list->under_way == 0)
            pthread_cond_signal(&list->settled);
    }
    pthread_mutex_unlock(&list->lock);
}

static void let_go(struct question_list *list)
{
    pthread_mutex_lock(&list->lock);
    bool last = --list->holders == 0;
    pthread_mutex_unlock(&list->lock);
    if (last) {
        pthread_cond_destroy(&list->settled);
        pthread_mutex_destroy(&list->lock);
        free(list);
    }
}

static void help(void *arg)
{
    struct question_list *list = arg;

    work_off(list);
    let_go(list);
}

static size_t count_waiting(const struct env *env, const char *const *domain, size_t count)
{
    size_t waiting = 0;

    for (size_t i = 0; i < count; i++) {
        char name[300];
        snprintf(name, sizeof name, "_restante.%s", domain[i]);
        waiting += !resolver_cached(env->resolver, name, DNS_TXT);
    }
    return waiting;
}

bool discovery_waits(const struct env *env, const char *const *domain, size_t count)
{
    return count_waiting(env, domain, count) > 0;
}

void discovery_ask(const struct env *env, const char *const *domain, size_t count, int64_t deadline_mono_ms,
                   struct discovery_answer *out)
{
    size_t waiting = count_waiting(env, domain, count);
    size_t helpers = waiting > HELPERS_MAX + 1 ? HELPERS_MAX : waiting > 1 ? waiting - 1 : 0;
    struct question_list *list = helpers ? calloc(1, sizeof *list) : NULL;

    if (!list) {
        for (size_t i = 0; i < count; i++)
            ask_one(env, domain[i], deadline_mono_ms, &out[i]);
        return;
    }
    *list = (struct question_list){.env = env,
                                   .deadline_mono_ms = deadline_mono_ms,
                                   .count = count,
                                   .domain = domain,
                                   .out = out,
                                   .holders = 1};
    pthread_mutex_init(&list->lock, NULL);
    pthread_cond_init(&list->settled, NULL);
    for (size_t i = 0; i < helpers; i++) {
        pthread_mutex_lock(&list->lock);
        list->holders++;
        pthread_mutex_unlock(&list->lock);
        if (pool_submit(env->lookup, help, list)) {
            let_go(list);
            break;
        }
    }
    work_off(list);
    pthread_mutex_lock(&list->lock);
    while (list->under_way)
        pthread_cond_wait(&list->settled, &list->lock);
    pthread_mutex_unlock(&list->lock);
    let_go(list);
}
