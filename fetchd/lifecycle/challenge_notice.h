/*
 * challenge_notice.h - tells a letter's sender, by a message in his own mailbox, that its recipient asks him
 * to prove himself, and where (docs/PROTOCOL.md, "Challenge"). RFC 3834: from the null reverse-path,
 * Auto-Submitted, once a sender and recipient in challenge_period, never about bulk mail.
 */
#ifndef LIFECYCLE_CHALLENGE_NOTICE_H
#define LIFECYCLE_CHALLENGE_NOTICE_H

#include "env/env.h"
#include "store/store.h"

/* Whether a ticket in its present state calls for it at all: challenged, with a URL, no bulk mail, and the
 * sender did not say NOTIFY=NEVER. Pure. */
bool challenge_notice_wanted(const struct ticket *t);

/* The message, appended (CRLF line ends). subject: the value of the letter's own Subject; NULL: none. Pure.
 */
enum err challenge_notice_format(const struct ticket *t, const char *hostname, const char *subject,
                                 int64_t now_s, struct buf *out);

/* WORK_CHALLENGE. Blocks; records what came of it in the store. */
void challenge_notice_send(const struct env *env, const struct work *work);

#endif
