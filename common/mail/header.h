/*
 * header.h - header fields of a letter (RFC 5322 2.2, 3.6), read without changing a byte.
 *
 * Works on raw bytes with CRLF line ends as the milter rebuilds them. Spans borrow from the input.
 * Thread-safe.
 */
#ifndef MAIL_HEADER_H
#define MAIL_HEADER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "mail/address.h"

struct header_field {
    struct span name;
    struct span value; /* after the colon up to the field's last CRLF, folding and leading blank included */
    struct span raw;   /* the whole field with its CRLF */
};

/* Walks a header block: *rest is moved behind the field. False at the empty line, at the end, or where no
 * field is. */
bool header_next(struct span *rest, struct header_field *out);

/* The value unfolded (RFC 5322 2.2.3) and trimmed, appended to out. */
enum err header_unfold(struct span value, struct buf *out);

/* The one address of a From field's value (display name, comments and groups understood; several mailboxes:
 * ERR_ADDRESS). Used for alignment and for the claim's From. */
enum err header_from_address(struct span value, struct address *out);

/* The Message-ID's content without <>; ERR_SYNTAX when it is none. Borrowed from value. */
enum err header_message_id(struct span value, struct span *out);

/* The identifier of a List-Id value (RFC 2919) without <>, in lower case: dot-atom text with a dot in it, at
 * most 255 octets. ERR_SYNTAX when it is none. */
#define HEADER_LIST_ID_MAX 255
enum err header_list_id(struct span value, char out[HEADER_LIST_ID_MAX + 1]);

/* Whether a field says that nobody sat down to write to this one recipient: Precedence bulk, list or junk,
 * Auto-Submitted (RFC 3834) other than "no", List-Id and the other fields of mailing lists (RFC 2369). */
bool header_says_bulk(struct span name, struct span value);

/* True when a Content-Type value's media type is multipart/report (RFC 6522). */
bool header_is_report(struct span content_type_value);

/* A parameter of a Content-Type value (RFC 2045 5.1), out of its quotes, appended to out. name: lower case.
 * ERR_NOT_FOUND when there is none or what stands before it is malformed. */
enum err header_parameter(struct span content_type_value, const char *name, struct buf *out);

/* The authserv-id of an Authentication-Results value (RFC 8601 2.2), borrowed; ERR_SYNTAX when there is none
 * or it is a quoted string with a backslash.
 */
enum err header_authserv_id(struct span value, struct span *out);

/*
 * A stream filter that removes Authentication-Results fields of one authserv-id from a letter's header (RFC
 * 8601 5) and passes all other bytes on unchanged, in constant memory (one field at a time, at most
 * HEADER_FIELD_MAX bytes; a longer one is judged by these).
 */
#define HEADER_FIELD_MAX 65536
struct header_filter;
enum err header_filter_create(const char *authserv_id, struct header_filter **out); /* the caller owns it */
void header_filter_free(struct header_filter *f);
/* Appends to out what may be passed on. Call with len 0 and last = true at the end. */
enum err header_filter_feed(struct header_filter *f, const char *data, size_t len, bool last,
                            struct buf *out);

#endif
