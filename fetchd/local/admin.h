/*
 * admin.h - what restantectl asks for: GET /1/status, /1/jobs?state=&id=&limit= (lists as in local/rows.h; id
 * is a prefix of the hex shown). No key, no URL and no lease token is ever shown. Root sees all; another user
 * (access.h) the letters that came to him.
 */
#ifndef LOCAL_ADMIN_H
#define LOCAL_ADMIN_H

#include "http/server.h"

/* For http_collect without a body; env is a struct env. */
void admin_status(void *env, struct http_exchange *x);
void admin_jobs(void *env, struct http_exchange *x);

#endif
