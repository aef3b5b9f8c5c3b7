/*
 * challenge_link.h - the sender's side of a challenge: whether a URL that the recipient's site gave may be
 * shown to the letter's sender. Pure, thread-safe.
 */
#ifndef PUBLIC_CHALLENGE_LINK_H
#define PUBLIC_CHALLENGE_LINK_H

#include <stdint.h>

#include "base/buf.h"
#include "mail/address.h"

#define CHALLENGE_LINK_MAX 511 /* characters */

struct challenge_link {
    char url[CHALLENGE_LINK_MAX + 1];
    char host[ADDRESS_DOMAIN_MAX + 1]; /* A-labels; never an address literal */
    uint16_t port;
};
/* "https://" host [":" port] [path], of visible ASCII, without user information. ERR_SYNTAX for another form;
 * ERR_FORBIDDEN for one whose host is no host name, or that says one thing to people and another to browsers
 * (a backslash). */
enum err challenge_link_parse(struct span text, struct challenge_link *out);

#endif
