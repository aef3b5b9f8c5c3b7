/*
 * admin_policy.h - how a mailbox, or as default a domain, treats those it does not know:
 *
 *   GET  /1/policy?name=MAILBOX|@DOMAIN  {"policy": [{part, value, from}...]}: what is in force, and where it
 *                                        comes from: "mailbox", "domain", "site"
 *   POST /1/policy?name=[&rule=][&legacy=][&mode=][&denial=][&challenge=][&correspondents=]
 *                  [&question=&answer1=...&answer20=]  changes these parts, and answers the same
 *
 * "default" as a value gives a part back to the domain or the site.
 */
#ifndef LOCAL_ADMIN_POLICY_H
#define LOCAL_ADMIN_POLICY_H

#include "http/server.h"
#include "store/policy.h"

/* For http_collect without a body; env is a struct env. */
void admin_policy_show(void *env, struct http_exchange *x);
void admin_policy_set(void *env, struct http_exchange *x);

enum policy_part {
    PART_RULE,
    PART_LEGACY,
    PART_MODE,
    PART_DENIAL,
    PART_CHALLENGE,
    PART_CORRESPONDENTS,
    PART_COUNT
};
/* A part's value as text, and the other way round; pure. set: ERR_SYNTAX for what is none of its words. */
const char *policy_part_get(const struct policy *p, enum policy_part part);
enum err policy_part_set(struct policy *p, enum policy_part part, const char *word);
/* "open | known | challenge | default" for messages. */
void policy_part_words(enum policy_part part, char out[120]);

#endif
