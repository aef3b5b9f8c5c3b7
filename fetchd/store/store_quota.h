/*
 * store_quota.h - what payloads come and go in a change is summed up, and written to the rows of quota.h just
 * before its commit: the row of a domain is changed by every deposit from it, so nobody holds it for long.
 */
#ifndef STORE_STORE_QUOTA_H
#define STORE_STORE_QUOTA_H

#include "store/quota.h"
#include "store/store_internal.h"

/* Empty sums, for run_change. */
void change_quota_init(struct change *c);
/* Says whose a letter is: its owner and the domain of its reverse-path, and how long it is. */
void payload_record_belongs(struct payload_record *p, const char *owner, const char *sender,
                            uint64_t letter_bytes);

#define QUOTA_NAMES_MAX 6
struct quota_name {
    bool domain;
    char name[STORE_ADDRESS_MAX];
};
/* All for whom a letter counts; none when it belongs to nobody. Their number. */
size_t payload_record_names(const struct payload_record *p, struct quota_name out[QUOTA_NAMES_MAX]);
/* A letter more (sign 1) or less (-1). What belongs to nobody counts nowhere. */
enum err change_quota_add(struct change *c, const struct payload_record *p, int sign);

struct quota_ask {
    const struct quota_limits *limits; /* NULL: none */
    bool system_mail;
    struct buf *why; /* NULL, or gets the sentence with ERR_QUOTA */
    int64_t now_s;
    bool tells; /* the owner can be told that he has used much by now */
    bool warn;  /* out: he is to be */
};
/* What a row is found to be by counting; no row for zeros. noted: what it was then, NULL for unreadable;
 * ERR_NOT_FOUND: it is another by now. */
enum err change_quota_correct(struct change *c, const struct quota_use *noted, const struct quota_use *u);
/* Writes the sums. ERR_QUOTA when somebody who gets more in this change has more than he may then: the change
 * is to be given up. ask NULL: nothing is asked. */
enum err change_quota_settle(struct change *c, struct quota_ask *ask);

#endif
