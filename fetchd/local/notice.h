/*
 * notice.h - POST /1/notice: a stub that has just arrived is judged while SMTP still waits, and becomes a
 * pull job.
 *
 * Order: form, agreement with the envelope, expiry, size (all without I/O), then the designation of the
 * reverse-path's domain, then the durable job. Nothing is kept of a stub that is refused.
 */
#ifndef LOCAL_NOTICE_H
#define LOCAL_NOTICE_H

#include "dns/designation.h"
#include "http/server.h"
#include "local/api.h"
#include "mail/stub.h"
#include "settings/settings.h"
#include "ticket/ticket.h"

/* What a stub says, in values. Holds secrets: release with notice_wipe. */
struct notice {
    struct stub stub;
    struct ticket_url url;
    struct address sender, recipient; /* the stub's envelope */
};
void notice_wipe(struct notice *n);

/* Form, agreement, expiry, size. ERR_STUB_SYNTAX, ERR_BAD_BYTES, ERR_STUB_MISMATCH, ERR_STUB_EXPIRED,
 * ERR_TOO_LARGE, with a printable reason in *why; *out is set only on ERR_OK. Pure. */
enum err notice_read(const struct api_notice *request, int64_t letter_max_bytes, int64_t now_s,
                     struct notice *out, struct buf *why);

enum notice_verdict {
    NOTICE_PULL,   /* a job is made, the stub is accepted and discarded */
    NOTICE_PASS,   /* a testing domain's stub that would be refused: it goes on as ordinary mail */
    NOTICE_REFUSE, /* err tells how */
};
/* What the designation of the reverse-path's domain means for this stub. lookup: the outcome of asking. Pure.
 */
enum notice_verdict notice_judge(const struct notice *n, enum err lookup, const struct designation *d,
                                 const struct config_list *trusted_proxies, enum err *err, struct buf *why);

/* For http_collect, on env->work; env is a struct env. Moves to env->notices by itself when DNS must be waited
 * for. */
void notice_handle(void *env, struct http_exchange *x);

#endif
