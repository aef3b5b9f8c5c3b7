/*
 * router.c - the table of the public requests, and the room's own memory.
 */
#include "public/public.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "public/challenge_page.h"
#include "public/visit.h"
#include "settings/settings.h"
#include "ticket/fields.h"

#define BODY_MAX 0 /* every request says all in its head */

static const struct visit_request {
    const char *method, *verb;
    bool (*say)(struct visit *v); /* the first half, where there are two */
    void (*answer)(struct visit *v);
} requests[] = {
    {"POST", VERB_CLAIM, payload_claim, payload_claimed},
    {"GET", "", NULL, payload_resume},
    {"HEAD", "", NULL, payload_head},
    {"POST", VERB_ACK, confirm_ack, confirm_acked},
    {"POST", VERB_NACK, NULL, confirm_nack},
    {"POST", VERB_STATUS, NULL, confirm_status},
};
#define REQUEST_COUNT (sizeof requests / sizeof *requests)

enum err public_create(const struct settings *settings, struct public **out)
{
    struct public *p = calloc(1, sizeof *p);
    if (!p)
        return ERR_NOMEM;
    enum err e = leases_create(settings->lease_s, &p->leases);
    if (e == ERR_OK)
        e = throttle_create(settings->wrong_keys_max, &p->throttle);
    if (e != ERR_OK) {
        public_free(p);
        return e;
    }
    *out = p;
    return ERR_OK;
}

void public_free(struct public *p)
{
    if (!p)
        return;
    leases_free(p->leases);
    throttle_free(p->throttle);
    free(p);
}

static size_t request_of(struct span method, struct span verb)
{
    size_t i = 0;
    while (i < REQUEST_COUNT && !(span_is(method, requests[i].method) && span_is(verb, requests[i].verb)))
        i++;
    return i;
}

static void visit_free(struct visit *v)
{
    visit_end(v);
    free(v);
}

/* Many of these share one sync and one change of threads: see store_when_durable. */
static void answer_durable(struct store_later *durable, enum err e)
{
    struct visit *v = (struct visit *)((char *)durable - offsetof(struct visit, durable));
    struct http_exchange *x = v->x;
    if (e == ERR_OK)
        v->request->answer(v);
    else
        visit_refuse(v, e, 0);
    visit_free(v);
    http_resume(x);
}

/* False: this needs a thread that may wait; nothing has happened. */
static bool serve(const struct env *env, struct http_exchange *x, bool may_wait)
{
    struct visit *v = malloc(sizeof *v);
    if (!v) {
        http_answer(x, err_info(ERR_NOMEM)->http);
        return true;
    }
    enum err e = visit_begin(v, env, x, may_wait);
    if (e == ERR_OK) {
        v->request = &requests[request_of(http_method(x), v->verb)];
        if (v->request->say && v->request->say(v)) {
            http_hold(x);
            v->durable.then = answer_durable;
            if (may_wait) /* for who knows how long: the others' thread is not held up */
                store_when_durable(env->store, &v->durable);
            else
                store_when_durable_soon(env->store, &v->durable);
            return true;
        }
        if (!v->request->say)
            v->request->answer(v);
    }
    visit_free(v);
    return e != ERR_WOULD_WAIT;
}

void public_idle(void *env)
{
    store_sync_waiting(((const struct env *)env)->store);
}

static void serve_waiting(void *env, struct http_exchange *x)
{
    (void)serve(env, x, true);
}

static void serve_quickly(void *env, struct http_exchange *x)
{
    if (!serve(env, x, false))
        http_move(x, ((const struct env *)env)->serve, serve_waiting);
}

void public_router(void *env, struct http_exchange *x)
{
    uint8_t a[TICKET_A_BYTES], b[TICKET_B_BYTES];
    struct span verb;
    http_set_field(x, FIELD_CACHE_CONTROL, FIELD_CACHE_CONTROL_VALUE);
    http_set_field(x, FIELD_RESTANTE, FIELD_RESTANTE_VALUE);
    if (challenge_page_is(http_path(x))) {
        challenge_page_route(env, x);
        return;
    }
    if (ticket_path_parse(http_path(x), a, b, &verb) != ERR_OK || http_query(x).len > 0) {
        http_answer(x, 404);
        return;
    }
    if (request_of(http_method(x), verb) == REQUEST_COUNT) {
        http_set_field(x, "allow", verb.len > 0 ? "POST" : "GET, HEAD");
        http_answer(x, 405);
        return;
    }
    /* Link scanners and people come without a key: nothing happens, ever. */
    if (!http_has_field(x, FIELD_AUTHORIZATION)) {
        http_set_field(x, "www-authenticate", "Restante");
        http_answer(x, 401);
        return;
    }
    /* Without two halves it waits for the disk. */
    bool quick = requests[request_of(http_method(x), verb)].say != NULL;
    http_use_pool(x, quick ? ((const struct env *)env)->quick : ((const struct env *)env)->serve);
    http_collect(x, BODY_MAX, quick ? serve_quickly : serve_waiting);
}
