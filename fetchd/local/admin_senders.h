/*
 * admin_senders.h - what owners of mailboxes ask and say about senders:
 *
 *   GET  /1/attempts?mailbox=&limit=     {"attempts": [...]}, newest first; without mailbox all (root)
 *   GET  /1/rules?mailbox=               {"rules": [...]}: allow and deny entries
 *   GET  /1/rules?mailbox=&correspondents=  {"correspondents": [...]}: whom the owner wrote to
 *   POST /1/allow?mailbox=&sender=[&until=][&note=][&domain=]  {"allowed": [one row]}
 *   POST /1/deny?...                     {"denied": [one row]}
 *   POST /1/forget?mailbox=&sender=      {"forgotten": [one row]}
 *
 * Text of a sender's choice is given as it is: who shows it escapes it.
 */
#ifndef LOCAL_ADMIN_SENDERS_H
#define LOCAL_ADMIN_SENDERS_H

#include "http/server.h"

/* For http_collect without a body; env is a struct env. */
void admin_attempts(void *env, struct http_exchange *x);
void admin_rules(void *env, struct http_exchange *x);
void admin_allow(void *env, struct http_exchange *x);
void admin_deny(void *env, struct http_exchange *x);
void admin_forget(void *env, struct http_exchange *x);

#endif
