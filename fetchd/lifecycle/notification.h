/*
 * notification.h - a delivery status notification about a ticket as a stream: the report (RFC 3464), then the
 * letter or its header as it lies in the store, then the end. Constant memory whatever the letter's size.
 * Belongs to one thread at a time.
 */
#ifndef LIFECYCLE_NOTIFICATION_H
#define LIFECYCLE_NOTIFICATION_H

#include <stdbool.h>
#include <sys/types.h>

#include "env/env.h"
#include "mail/dsn.h"
#include "store/store.h"

struct notify_words {
    enum dsn_action action;
    const char *status;      /* "5.4.7"; of a failure, what the other side said goes before */
    const char *explanation; /* for people */
};

struct notification;
/* env: store, site. The whole letter goes along with RET=FULL and a failure, else its header; what the ticket
 * knows of it when the letter is destroyed already, cannot be read, or is not asked for (`letter` false). The
 * caller owns *out. */
enum err notification_open(const struct env *env, const struct ticket *t, const struct notify_words *words,
                           bool letter, struct notification **out);
/* The letter turned out to be damaged while it was read: the notification must be made anew without it. */
bool notification_broken(const struct notification *n);
void notification_close(struct notification *n);
/* An smtp_read; arg is the notification. */
ssize_t notification_read(void *arg, void *out, size_t max);

#endif
