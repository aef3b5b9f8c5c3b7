/*
 * answer.h - memory of DNS answers, inside this room. Values; an answer belongs to one thread at a time.
 */
#ifndef DNS_ANSWER_H
#define DNS_ANSWER_H

#include "dns/resolver.h"

/* An empty answer; the caller owns it. NULL when out of memory. */
struct dns_answer *answer_create(enum dns_type type);
/* Appends one record, all zero, and returns it; it stays where it is until the next call. NULL when out of
 * memory. */
struct dns_record *answer_add(struct dns_answer *a);
/* A deep copy; the caller owns it. NULL when out of memory. */
struct dns_answer *answer_copy(const struct dns_answer *a);
size_t answer_bytes(const struct dns_answer *a); /* the memory that it takes, nearly */

#endif
