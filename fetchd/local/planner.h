/*
 * planner.h - POST /1/plan: the plan's two steps, and between them the questions to DNS within five seconds.
 */
#ifndef LOCAL_PLANNER_H
#define LOCAL_PLANNER_H

#include "http/server.h"

/* For http_collect, on env->work; env is a struct env. Moves to env->lookup by itself when DNS must be waited
 * for. */
void planner_handle(void *env, struct http_exchange *x);

#endif
