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
    const char *subject;     /* NULL: what the action is usually called */
};

/* What goes along at most. */
enum notify_return {
    NOTIFY_FACTS,  /* what the ticket knows of the letter's header */
    NOTIFY_HEADER, /* the letter's header */
    NOTIFY_LETTER, /* the whole letter where that is right: a failure, and RET=FULL (RFC 3461 4.3) */
};

struct notification;
/* env: store, site. Of what cannot be had (the letter is destroyed or damaged) the next less goes along. The
 * caller owns *out. */
enum err notification_open(const struct env *env, const struct ticket *t, const struct notify_words *words,
                           enum notify_return most, struct notification **out);
/* What does go along. */
enum notify_return notification_returns(const struct notification *n);
/* The letter turned out to be damaged while it was read: the notification must be made anew without it. */
bool notification_broken(const struct notification *n);
void notification_close(struct notification *n);
/* An smtp_read; arg is the notification. */
ssize_t notification_read(void *arg, void *out, size_t max);

#endif
