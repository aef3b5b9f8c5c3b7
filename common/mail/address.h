/*
 * address.h - mail addresses of the envelope (RFC 5321 4.1.2, RFC 6531) and domain names.
 *
 * Parsed once at the edge into struct address; everything downstream compares the normal form. Values are
 * bounded and held inside the struct: no ownership. Thread-safe.
 */
#ifndef MAIL_ADDRESS_H
#define MAIL_ADDRESS_H

#include <stdbool.h>

#include "base/buf.h"

#define ADDRESS_LOCAL_MAX 256  /* octets; RFC 5321 says 64, real mailing lists exceed it */
#define ADDRESS_DOMAIN_MAX 255 /* octets of the A-label form */
#define ADDRESS_TEXT_MAX (ADDRESS_LOCAL_MAX + ADDRESS_DOMAIN_MAX + 2)

struct address {
    bool null; /* the null reverse-path <> */
    bool utf8; /* the local part or the domain as given is not ASCII: needs SMTPUTF8 */
    char local[ADDRESS_LOCAL_MAX + 1];         /* as given (quoted string with its quotes), case kept */
    char domain[ADDRESS_DOMAIN_MAX + 1];       /* A-labels, lower case, no final dot */
    char given_domain[ADDRESS_DOMAIN_MAX + 1]; /* as given */
};

/*
 * Reads one path as an MTA hands it to a milter: with or without <>, source routes dropped, quoted local
 * parts, UTF-8.
 * "<>" and "" give the null path. Address literals (user@[192.0.2.1]), missing domains, control characters,
 * over-long parts: ERR_ADDRESS.
 */
enum err address_parse(struct span text, struct address *out);
/* "local@domain" with the domain as A-labels ("" for the null path), NUL-terminated; out has ADDRESS_TEXT_MAX
 * bytes. */
void address_text(const struct address *a, char out[ADDRESS_TEXT_MAX]);
/* "local@domain" with the domain as it was given. */
void address_text_given(const struct address *a, char out[ADDRESS_TEXT_MAX]);
/* Domains equal as A-labels, local parts equal to the letter. */
bool address_equal(const struct address *a, const struct address *b);
/* As an administrator's table looks addresses up: domain as A-labels, local part without case (ASCII). */
bool address_equal_nocase(const struct address *a, const struct address *b);
/* The spelling under which something is kept about an address, and under which it is found again: lower case
 * (ASCII), a quoted local part without its quotes where it needs none ("bob"@b.test is bob@b.test), the
 * domain as A-labels; "" for the null path. */
void address_key(const struct address *a, char out[ADDRESS_TEXT_MAX]);
/* Splits "user+detail" at the first separator in an unquoted local part; *detail is empty without one.
 * Borrow. */
void address_detail(const struct address *a, char separator, struct span *user, struct span *detail);

/* A domain name as lower-case A-labels (IDNA 2008 by libidn2) without the final dot; at least one label,
 * letters, digits, '-' and '_' only, labels of 1..63, at most 253 octets; address literals and all-numeric
 * names are ERR_ADDRESS. out has ADDRESS_DOMAIN_MAX+1 bytes. */
enum err domain_normalise(struct span text, char out[ADDRESS_DOMAIN_MAX + 1]);

#endif
