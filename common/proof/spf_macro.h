/*
 * spf_macro.h - macro strings of SPF (RFC 7208 7): syntax and expansion; inside this room. Thread-safe.
 */
#ifndef PROOF_SPF_MACRO_H
#define PROOF_SPF_MACRO_H

#include "base/buf.h"
#include "base/netaddr.h"

enum spf_macro_use {
    SPF_MACRO_DOMAIN,     /* a domain-spec: without the letters c, r, t; ends with a macro or a top label */
    SPF_MACRO_MODIFIER,   /* the value of a modifier that nobody knows */
    SPF_MACRO_EXPLANATION /* an explain-string: may hold blanks */
};
bool spf_macro_valid(struct span text, enum spf_macro_use use);
/* Whether one of these letters (lower case) is used in a valid macro string. */
bool spf_macro_uses(struct span text, const char *letters);

/* What the letters stand for. Borrowed C strings, none of them NULL. */
struct spf_macro_values {
    const char *local, *sender_domain; /* l, o; both in s */
    const char *domain;                /* d */
    const char *helo;                  /* h */
    const char *confirmed_name;        /* p */
    const char *receiver;              /* r */
    struct netaddr client;             /* c, i, v */
    int64_t now_s;                     /* t */
};
/* Appends the expansion of a valid macro string. ERR_TOO_LARGE, ERR_NOMEM: out may hold a part of it. */
enum err spf_macro_expand(struct span text, const struct spf_macro_values *values, struct buf *out);

#endif
