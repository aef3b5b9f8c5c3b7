/*
 * sender_message.h - what all messages have in common that a site writes to its own user because of a letter
 * of his, and that are no delivery reports. RFC 3834: from the null reverse-path, Auto-Submitted.
 * Thread-safe.
 */
#ifndef LIFECYCLE_SENDER_MESSAGE_H
#define LIFECYCLE_SENDER_MESSAGE_H

#include "env/env.h"
#include "store/store.h"

#define SENDER_MESSAGE_MAX 32768 /* bytes */

/* Appends From, Subject, To, Date and Message-ID (CRLF line ends). to: an address. kind: a word for the
 * Message-ID, the same for each try of the same message. */
enum err sender_message_fields(const struct ticket *t, const char *to, const char *kind,
                               const struct buf *subject, const char *hostname, int64_t now_s,
                               struct buf *out);
/* Appends the other fields, the empty line, and the text (LF line ends). */
enum err sender_message_text(const struct buf *text, struct buf *out);
/* To the MTA, and what comes of it into the store (notify_record). Blocks. */
enum err sender_message_send(const struct env *env, const struct ticket *t, const char *to,
                             const struct work *work, const struct buf *message);

#endif
