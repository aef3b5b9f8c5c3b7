/*
 * complain.h - complaints about letters and contact attempts, to whoever answers for the domain that sent
 * them (RFC 5965, docs/OPERATIONS.md):
 *
 *   GET  /1/complain?id=  {"complaint": [{to, from, domain, message}]}: what would be sent
 *   POST /1/complain?id=  sends it, and answers the same with the MTA's words
 *
 * Only about senders whose domain is proven: nobody shall hear of what others did in his name.
 */
#ifndef LOCAL_COMPLAIN_H
#define LOCAL_COMPLAIN_H

#include "dns/designation.h"
#include "http/server.h"
#include "mail/address.h"
#include "store/store.h"

/* For http_collect without a body, on a pool that may wait for DNS and the MTA; env is a struct env. */
void complain_show(void *env, struct http_exchange *x);
void complain_send(void *env, struct http_exchange *x);

/* Whoever the domain's designation names (a=), else its abuse mailbox. Pure. */
void complain_recipient(const struct designation *d, const char *domain, char out[ADDRESS_TEXT_MAX]);

struct complaint {
    const struct job *job; /* verified is set */
    const char *from, *to;
    const char *hostname, *authserv_id;
    const char *message_id; /* of the complaint */
    int64_t date_s;
};
/* Appends the message. No key, and nothing of the URL but the link host, is in it. */
enum err complain_format(const struct complaint *c, struct buf *out);

#endif
