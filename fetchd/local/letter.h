/*
 * letter.h - what a deposit must know of a letter, read while it streams by in constant memory: From,
 * Message-ID, Subject, whether it is bulk mail, and the digest of the body (RFC 5322 2.1: what follows the
 * first empty line). Belongs to one thread at a time.
 */
#ifndef LOCAL_LETTER_H
#define LOCAL_LETTER_H

#include "base/buf.h"
#include "mail/address.h"
#include "mail/header.h"
#include "mail/retention.h"
#include "seal/crypt.h"
#include "store/store.h"

struct letter_facts {
    char from[STORE_ADDRESS_MAX];              /* the author (mail/author.h), normal form; never "" */
    char from_field[STORE_MESSAGE_ID_MAX + 1]; /* From's value when that decided, else "<author>"; unfolded,
                                                  no control characters; never "" */
    char message_id[STORE_MESSAGE_ID_MAX + 1]; /* without <>; "" when there is none */
    char subject[STORE_MESSAGE_ID_MAX + 1];    /* unfolded, cut to what fits */
    char list_id[HEADER_LIST_ID_MAX + 1];      /* "" when there is none */
    bool bulk;                                 /* header_says_bulk */
    struct retention retention;
    uint8_t body_digest[CRYPT_SHA256_BYTES];
};

struct letter_scan;
enum err letter_scan_create(struct letter_scan **out);
void letter_scan_free(struct letter_scan *s);
/* The letter's next bytes. ERR_NOMEM, ERR_INTERNAL. */
enum err letter_scan_feed(struct letter_scan *s, const char *data, size_t len);
/* The header so far, with the empty line behind it if that was there; borrows until the next call. */
struct span letter_scan_header(const struct letter_scan *s);
/* Once, at the end. ERR_TOO_LARGE when the header is longer than AUTHOR_HEADER_MAX, ERR_ADDRESS. */
enum err letter_scan_finish(struct letter_scan *s, const struct address *reverse_path,
                            struct letter_facts *out);

#endif
