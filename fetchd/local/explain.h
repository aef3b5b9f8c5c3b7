/*
 * explain.h - POST /1/explain: a message replayed through admission's checks, with what each says. Nothing is
 * sent, kept or counted.
 */
#ifndef LOCAL_EXPLAIN_H
#define LOCAL_EXPLAIN_H

#include "env/env.h"
#include "http/server.h"
#include "local/api.h"
#include "local/rows.h"

/*
 * plan: an envelope with exactly one recipient, and the fields that matter; with Restante-Stub among them it
 * is judged as a stub, else as ordinary mail. Adds a row {check, verdict, reason, text} for each check, also
 * those behind the one that decides (which has decides=yes), and a last one with check "end" for the whole.
 * May wait for DNS. ERR_SYNTAX with *why for an envelope that cannot be judged; errors of the store.
 */
enum err explain_judge(const struct env *env, const struct api_plan *plan, struct rows *rows,
                       struct buf *why);

/* For http_collect, on a pool that may wait; env is a struct env. The body is the JSON of a struct api_plan.
 */
void explain_handle(void *env, struct http_exchange *x);

#endif
