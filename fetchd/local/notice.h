/*
 * notice.h - POST /1/notice: a stub that has just arrived is judged while SMTP still waits, and becomes a
 * pull job or a contact attempt.
 *
 * Order: form, agreement with the envelope, expiry, size (all without I/O), then admission's checks
 * (admission/admission.h), then the durable word. Nothing is kept of a stub that is refused, or denied
 * without the sender being told.
 */
#ifndef LOCAL_NOTICE_H
#define LOCAL_NOTICE_H

#include "admission/admission.h"
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

/* The reason that an error of notice_read is. */
enum reason notice_reason(enum err e);

/* The facts of a stub that was read, as far as the caller of admission_judge sets them, but for the deadline.
 * Borrows all of its arguments; received has room for API_RECEIVED_MAX. */
void notice_facts(const struct api_notice *request, const struct notice *n, struct span *received,
                  struct facts *out);

/* Form, agreement, expiry, size. ERR_STUB_SYNTAX, ERR_BAD_BYTES, ERR_STUB_MISMATCH, ERR_STUB_EXPIRED,
 * ERR_TOO_LARGE, with a printable reason in *why; *out is set only on ERR_OK. Pure. */
enum err notice_read(const struct api_notice *request, int64_t letter_max_bytes, int64_t now_s,
                     struct notice *out, struct buf *why);

/* For http_collect, on env->work; env is a struct env. Moves to env->notices by itself when DNS must be
 * waited for. */
void notice_handle(void *env, struct http_exchange *x);

#endif
