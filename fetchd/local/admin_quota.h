/*
 * admin_quota.h - GET /1/quota[?name=]: how much lies here of whose letters, and how much may: {"quota":
 * [...]}. Without a name all owners and domains (@domain) that have something here; to a user his own. What
 * is not limited has no limit in its row.
 */
#ifndef LOCAL_ADMIN_QUOTA_H
#define LOCAL_ADMIN_QUOTA_H

#include "http/server.h"
#include "local/rows.h"
#include "store/quota.h"

/* For http_collect without a body; env is a struct env. */
void admin_quota(void *env, struct http_exchange *x);

/* One row; pure. percent: of the limit that is nearer to its end, rounded down. */
void admin_quota_row(struct rows *r, const struct quota_use *u, const struct quota_limits *l);

#endif
