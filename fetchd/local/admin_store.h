/*
 * admin_store.h - what root asks of the whole store:
 *
 *   POST /1/backup?directory=   {"backup": [one row]}: an absolute path; answered when it is complete
 *   POST /1/check?repair=&deep= {"check": [a row of sums, then one for each finding]}
 */
#ifndef LOCAL_ADMIN_STORE_H
#define LOCAL_ADMIN_STORE_H

#include "http/server.h"

/* For http_collect without a body; env is a struct env. */
void admin_backup(void *env, struct http_exchange *x);
void admin_check(void *env, struct http_exchange *x);

#endif
