/*
 * visit.h - one request of the ticket protocol from its Authorization to its answer. Used by one handler at a
 * time.
 */
#ifndef PUBLIC_VISIT_H
#define PUBLIC_VISIT_H

#include "env/env.h"
#include "http/server.h"
#include "public/leases.h"
#include "public/throttle.h"
#include "store/store.h"

struct public
{
    struct leases *leases;
    struct throttle *throttle;
};

struct visit {
    const struct env *env;
    struct http_exchange *x;
    struct span verb;        /* "claim", "ack", "nack", "status" or empty; borrows from the request */
    struct ticket_keys keys; /* secret; wiped by visit_end */
    uint8_t key[TICKET_STORE_KEY_BYTES];
    struct ticket ticket;
    char client[NETADDR_TEXT_MAX];
    int64_t now_s;
};

/*
 * Checks everything that comes before the verb: Authorization, wrong-key limit, B and Ka by the site key, the
 * ticket's existence, the designated puller. False: the request has been answered and v must not be used (but
 * ended).
 */
bool visit_begin(struct visit *v, const struct env *env, struct http_exchange *x);
void visit_end(struct visit *v); /* wipes; call once in every case */

/* Answers with an error: status, Retry-After and reason as the error and the ticket's state call for. */
void visit_refuse(struct visit *v, enum err e, int64_t retry_after_s);
/* 410 with the state's reason. */
void visit_gone(struct visit *v, const struct ticket *t);

/* A required field in the percent-encoding of docs/PROTOCOL.md, decoded into out; ERR_SYNTAX when absent or
 * malformed. */
enum err visit_text_field(const struct visit *v, const char *name, struct buf *out);
/* A required field of exactly len bytes in base64url. */
enum err visit_bytes_field(const struct visit *v, const char *name, uint8_t *out, size_t len);

/* One line of the summary log about this ticket. */
void visit_log(const struct visit *v, const struct ticket *t, const char *status, const char *detail);

/* The verbs (payload.c, confirm.c). Each answers. */
void payload_claim(struct visit *v);
void payload_resume(struct visit *v); /* GET */
void payload_head(struct visit *v);
void confirm_ack(struct visit *v);
void confirm_nack(struct visit *v);
void confirm_status(struct visit *v);

#endif
