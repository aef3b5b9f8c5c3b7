/*
 * pull.h - the receiving side's work: jobs are claimed, opened, injected into our own MTA, and confirmed.
 *
 * One thread looks for due jobs; claims run in the claim client's thread, injections on a pool of their own.
 * Each step that matters is durable before the next begins: done mark before the ack. All functions are
 * thread-safe.
 */
#ifndef PULL_PULL_H
#define PULL_PULL_H

#include "base/err.h"

struct env;
struct puller;

/* env must outlive the puller and have settings, store, keys, resolver, claim and letters_in set; starts its
 * threads. */
enum err puller_create(const struct env *env, struct puller **out);
/* A job may be due now (a notice was committed). Cheap, never blocks. */
void puller_wake(struct puller *p);
/* Takes no new job, waits for running steps (call claim_client_stop first, or it may wait for an hour),
 * joins, frees. */
void puller_free(struct puller *p);
/* Jobs with a claim, injection or confirmation under way right now. */
unsigned puller_busy(const struct puller *p);

#endif
