/*
 * router.c - the table of the public requests, and the room's own memory.
 */
#include "public/public.h"

#include <stdlib.h>
#include <string.h>

#include "public/visit.h"
#include "settings/settings.h"
#include "ticket/fields.h"

#define BODY_MAX 0 /* every request says all in its head */

static const struct {
    const char *method, *verb;
    void (*answer)(struct visit *v);
} requests[] = {
    {"POST", VERB_CLAIM, payload_claim}, {"GET", "", payload_resume},
    {"HEAD", "", payload_head},          {"POST", VERB_ACK, confirm_ack},
    {"POST", VERB_NACK, confirm_nack},   {"POST", VERB_STATUS, confirm_status},
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

static void serve(void *env, struct http_exchange *x)
{
    struct visit v;
    if (visit_begin(&v, env, x)) {
        size_t i = request_of(http_method(x), v.verb);
        requests[i].answer(&v);
    }
    visit_end(&v);
}

void public_router(void *env, struct http_exchange *x)
{
    uint8_t a[TICKET_A_BYTES], b[TICKET_B_BYTES];
    struct span verb;
    http_set_field(x, FIELD_CACHE_CONTROL, FIELD_CACHE_CONTROL_VALUE);
    http_set_field(x, FIELD_RESTANTE, FIELD_RESTANTE_VALUE);
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
    http_use_pool(x, ((const struct env *)env)->serve);
    http_collect(x, BODY_MAX, serve);
}
