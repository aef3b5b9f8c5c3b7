#include "admission/rdap.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admission/rdap_json.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/table.h"

#define DOCUMENT_MAX 262144
#define REDIRECTS_MAX 3
#define CALLS_MAX 8 /* at once: registries are not asked in floods */
#define KNOWN_MS (7 * 86400000LL)
#define NOT_FOUND_MS (3600 * 1000LL)
#define FAILED_MS (300 * 1000LL)

struct answer {
    int64_t registered_s, until_mono_ms;
    int64_t err; /* enum err */
};

struct rdap {
    char *base_url;
    struct fetch_options fetch;
    atomic_bool stopping;
    pthread_mutex_t lock; /* for what follows */
    struct table *answers;
    int calls;
};

enum err rdap_create(const struct rdap_options *o, struct rdap **out)
{
    struct rdap *r = calloc(1, sizeof *r);
    if (r == NULL)
        return ERR_NOMEM;
    pthread_mutex_init(&r->lock, NULL);
    r->fetch = o->fetch;
    r->base_url = strdup(o->base_url);
    enum err err =
        r->base_url != NULL ? table_create(o->domains_max, sizeof(struct answer), &r->answers) : ERR_NOMEM;
    if (err != ERR_OK) {
        rdap_free(r);
        return err;
    }
    *out = r;
    return ERR_OK;
}

void rdap_stop(struct rdap *r)
{
    atomic_store(&r->stopping, true);
}

void rdap_free(struct rdap *r)
{
    if (r == NULL)
        return;
    table_free(r->answers);
    pthread_mutex_destroy(&r->lock);
    free(r->base_url);
    free(r);
}

bool rdap_remembered(struct rdap *r, const char *domain, enum err *err, int64_t *registered_s)
{
    pthread_mutex_lock(&r->lock);
    const struct answer *a = table_find(r->answers, domain, strlen(domain));
    bool known = a != NULL && clock_mono_ms() < a->until_mono_ms;
    if (known) {
        *err = (enum err)a->err;
        *registered_s = a->registered_s;
    }
    pthread_mutex_unlock(&r->lock);
    return known;
}

static void remember(struct rdap *r, const char *domain, enum err err, int64_t registered_s)
{
    int64_t keep_ms = err == ERR_OK ? KNOWN_MS : err == ERR_NOT_FOUND ? NOT_FOUND_MS : FAILED_MS;
    pthread_mutex_lock(&r->lock);
    struct answer *a = table_put(r->answers, domain, strlen(domain), NULL);
    *a = (struct answer){registered_s, clock_mono_ms() + keep_ms, err};
    pthread_mutex_unlock(&r->lock);
}

static bool is_name(const char *domain)
{
    size_t len = strspn(domain, "abcdefghijklmnopqrstuvwxyz0123456789-.");
    return len > 0 && len <= DNS_NAME_MAX && domain[len] == '\0' && domain[0] != '.' &&
           domain[len - 1] != '.' && strstr(domain, "..") == NULL;
}

static bool is_redirect(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

static enum err read_answer(const struct fetch_answer *a, const char *domain, int64_t *registered_s)
{
    if (a->status == 404)
        return ERR_NOT_FOUND;
    if (a->status == 429)
        return ERR_BUSY;
    if (a->status != 200)
        return ERR_HTTP;
    return rdap_registration(buf_span(&a->body), domain, clock_now_s(), registered_s);
}

static enum err ask(struct rdap *r, const char *domain, int64_t deadline_mono_ms, int64_t *registered_s)
{
    char url[FETCH_URL_MAX + 1];
    if ((size_t)snprintf(url, sizeof url, "%sdomain/%s", r->base_url, domain) >= sizeof url)
        return ERR_ADDRESS;
    for (int hop = 0; hop <= REDIRECTS_MAX; hop++) {
        struct fetch_answer a;
        const struct fetch_request request = {.url = url,
                                              .accept = "application/rdap+json",
                                              .https_only = true,
                                              .body_max_bytes = DOCUMENT_MAX,
                                              .deadline_mono_ms = deadline_mono_ms,
                                              .cancelled = &r->stopping};
        enum err err = fetch_get(&r->fetch, &request, &a);
        bool on = err == ERR_OK && is_redirect(a.status) && a.location[0] != '\0';
        if (on)
            memcpy(url, a.location, sizeof url);
        else if (err == ERR_OK)
            err = read_answer(&a, domain, registered_s);
        if (err != ERR_OK && err != ERR_NOT_FOUND)
            log_warning("RDAP %s: %s", url, a.detail[0] != '\0' ? a.detail : err_text(err));
        fetch_answer_free(&a);
        if (!on)
            return err;
    }
    return ERR_HTTP;
}

static bool enter(struct rdap *r)
{
    pthread_mutex_lock(&r->lock);
    bool room = r->calls < CALLS_MAX;
    r->calls += room;
    pthread_mutex_unlock(&r->lock);
    return room;
}

static void leave(struct rdap *r)
{
    pthread_mutex_lock(&r->lock);
    r->calls--;
    pthread_mutex_unlock(&r->lock);
}

enum err rdap_registered(struct rdap *r, const char *domain, int64_t deadline_mono_ms, int64_t *registered_s)
{
    enum err err = ERR_OK;
    int64_t at_s = 0;
    if (!is_name(domain))
        return ERR_ADDRESS;
    if (!rdap_remembered(r, domain, &err, &at_s)) {
        if (!enter(r))
            return ERR_BUSY;
        err = ask(r, domain, deadline_mono_ms, &at_s);
        leave(r);
        if (err != ERR_CANCELLED)
            remember(r, domain, err, at_s);
    }
    if (err == ERR_OK)
        *registered_s = at_s;
    return err;
}
