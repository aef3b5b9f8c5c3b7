/*
 * store_policy.h - the steps of store_policy.c that other words take inside their changes.
 */
#ifndef STORE_STORE_POLICY_H
#define STORE_STORE_POLICY_H

#include "store/policy_record.h"
#include "store/store_internal.h"

/* One letter of a token is used up. ERR_FORBIDDEN when it does not admit one from this organisational domain;
 * ERR_NOT_FOUND. */
enum err change_token_use(struct change *c, const char *mailbox, const char *token, const char *organisation,
                          int64_t now_s);
/* Away with what is over; ERR_NOT_FOUND: it is there for longer now. */
enum err change_spent_purge(struct change *c, const uint8_t id[SPENT_KEY_BYTES], int64_t timer_s);
enum err change_correspondent_purge(struct change *c, const uint8_t id[SPENT_KEY_BYTES], int64_t timer_s);

/* Whether a row of ENTRY, TOKEN, DOMAIN or SEEN is over since before this time. */
bool policy_row_over(enum engine_table table, struct span value, int64_t before_s);

#endif
