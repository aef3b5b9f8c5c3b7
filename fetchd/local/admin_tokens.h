/*
 * admin_tokens.h - the tokens of a mailbox (user+token@domain):
 *
 *   GET  /1/tokens?mailbox=              {"tokens": [...]}
 *   POST /1/tokens?mailbox=[&token=][&until=][&letters=][&bind=][&note=]  {"tokens": [the new one]}
 *   POST /1/revoke?mailbox=&token=       {"tokens": [the one revoked]}
 */
#ifndef LOCAL_ADMIN_TOKENS_H
#define LOCAL_ADMIN_TOKENS_H

#include "http/server.h"
#include "store/policy.h"

/* For http_collect without a body; env is a struct env. */
void admin_tokens(void *env, struct http_exchange *x);
void admin_token_add(void *env, struct http_exchange *x);
void admin_revoke(void *env, struct http_exchange *x);

/* What people can read to each other: three groups of letters and digits that are hard to take for each
 * other, 64 bits of chance. */
enum err admin_token_random(char out[POLICY_TOKEN_MAX + 1]);
/* Upper case becomes lower; ERR_SYNTAX for what is no token's text. */
enum err admin_token_normal(const char *text, char out[POLICY_TOKEN_MAX + 1]);

#endif
