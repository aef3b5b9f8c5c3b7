/*
 * quota_notice.h - tells a sender, by a message in his own mailbox, that most of what his letters may take up
 * here is used: once, until it has become less (store/quota.h, QUOTA_WARN_PERCENT).
 */
#ifndef LIFECYCLE_QUOTA_NOTICE_H
#define LIFECYCLE_QUOTA_NOTICE_H

#include "env/env.h"
#include "store/quota.h"

/* Who is told: the ticket's owner, if that is an address, else its reverse-path, but of bulk mail, whose
 * reverse-path is a program. NULL: nobody. Borrowed from t; pure. */
const char *quota_notice_to(const struct ticket *t);
/* The message, appended (CRLF line ends); pure. */
enum err quota_notice_format(const struct ticket *t, const struct quota_use *use,
                             const struct quota_limits *limits, const char *hostname, int64_t now_s,
                             struct buf *out);

/* WORK_QUOTA. Blocks; records what came of it in the store. */
void quota_notice_send(const struct env *env, const struct work *work);

#endif
