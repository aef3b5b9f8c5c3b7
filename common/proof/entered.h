/*
 * entered.h - where a message entered that came through relays of our own (a backup MX, a filtering service):
 * the host that handed it to the outermost of them, by the trace fields (RFC 5321 4.4) that these relays
 * wrote. Pure functions; thread-safe.
 *
 * A field is believed only because the host before it is trusted, and only as long as it is read without
 * doubt in a form that Postfix, Sendmail, Exim or qmail write. What lies below the first host that is not
 * trusted was written by strangers and is never looked at.
 */
#ifndef PROOF_ENTERED_H
#define PROOF_ENTERED_H

#include <stdbool.h>

#include "base/netaddr.h"
#include "dns/resolver.h"

#define ENTERED_HELO_MAX DNS_NAME_MAX

struct entered {
    struct netaddr client;           /* never a trusted one */
    char helo[ENTERED_HELO_MAX + 1]; /* what it called itself, printable; "" when that is not told */
    size_t field;                    /* the index of the field that says so, from the top */
};

/*
 * received: the raw values of all Received fields, topmost first, none of them written by our own MTA; the
 * host that handed us the message must be in trusted. False: unknown. A sender can bring that about (by a
 * strange HELO, say): it must never be better for him than being known.
 */
bool entered_find(const struct span *received, size_t count, const struct netprefix *trusted,
                  size_t trusted_count, struct entered *out);

/* Whether one of the networks holds the address. */
bool entered_is_trusted(const struct netaddr *address, const struct netprefix *trusted, size_t trusted_count);

#endif
