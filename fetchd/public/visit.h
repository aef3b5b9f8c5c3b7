/*
 * visit.h - one request of the ticket protocol from its Authorization to its answer. Used by one thread at a
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
    /* Between a verb's two halves. */
    enum err said; /* what the store's word said */
    struct store_claimed claimed;
    struct store_body body;     /* claim: opened, while it is ours */
    struct store_later durable; /* router.c's */
    const struct visit_request *request;
};

/*
 * Checks everything that comes before the verb: Authorization, wrong-key limit, B and Ka by the site key, the
 * ticket's existence, the designated puller. ERR_OK: the verb may be said; ERR_WOULD_WAIT: not without
 * waiting for DNS or revocation lists, and may_wait is false: nothing has been answered, begin anew where
 * waiting is allowed; any other: the request has been answered. v must be ended in every case.
 */
enum err visit_begin(struct visit *v, const struct env *env, struct http_exchange *x, bool may_wait);
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

/* The verbs in two halves: the first says a word to the store (v->said) without waiting for the disk; when it
 * returns false, the request has been answered. When all that is durable the second one answers. */
bool payload_claim(struct visit *v);
void payload_claimed(struct visit *v);
bool confirm_ack(struct visit *v);
void confirm_acked(struct visit *v);
/* What is told of a living ticket's letter: size, version, expiry. */
void payload_facts(struct http_exchange *x, const struct ticket *t);
/* The other verbs (payload.c, confirm.c). Each answers. */
void payload_resume(struct visit *v); /* GET */
void payload_head(struct visit *v);
void confirm_nack(struct visit *v);
void confirm_status(struct visit *v);

#endif
