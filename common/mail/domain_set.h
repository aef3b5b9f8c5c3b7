/*
 * domain_set.h - a list of domains as an administrator writes it ("a.test, b.test c.test"), to be asked
 * often.
 *
 * Immutable once parsed: any thread may ask.
 */
#ifndef MAIL_DOMAIN_SET_H
#define MAIL_DOMAIN_SET_H

#include <stdbool.h>
#include <stddef.h>

#include "mail/address.h"

struct domain_set {
    size_t count;
    char (*domain)[ADDRESS_DOMAIN_MAX + 1]; /* normal form, sorted; owned */
};

/* Names between commas and blanks; what is no domain name is passed over. NULL is the empty list. ERR_NOMEM
 * alone; release with domain_set_free. */
enum err domain_set_parse(const char *list, struct domain_set *out);
void domain_set_free(struct domain_set *s);
/* domain: normal form (struct address has it). */
bool domain_set_has(const struct domain_set *s, const char *domain);
/* Whether the text is an address in one of the domains; not the null path, nor what is no address. */
bool domain_set_has_address(const struct domain_set *s, const char *address);

#endif
