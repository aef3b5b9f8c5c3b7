/*
 * author.h - whose letter it is, as both sides of a ticket judge it. Thread-safe.
 */
#ifndef MAIL_AUTHOR_H
#define MAIL_AUTHOR_H

#include "base/buf.h"
#include "mail/address.h"

#define AUTHOR_HEADER_MAX                                                                                    \
    (4 * 1024 * 1024) /* bytes of a header block that either side reads; longer: refused */

/*
 * The author of a letter: the address of its From field if there is exactly one From with exactly one
 * mailbox; else that of its one Sender field with one mailbox (RFC 5322 3.6.2 asks for it when From has
 * several); else the reverse-path. header: the header block, raw. *from_value (may be NULL) gets the raw
 * value of the From field when that decided, else the empty span; it borrows from header. ERR_ADDRESS when
 * nothing of these is an address; ERR_NOMEM.
 */
enum err author_of(struct span header, const struct address *reverse_path, struct address *out,
                   struct span *from_value);

#endif
