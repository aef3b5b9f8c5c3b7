/*
 * admin_tickets.h - letters that wait here, or did:
 *
 *   GET /1/tickets?sender=&recipient=&state=&queue_id=&message_id=&id=&limit=  {"tickets": [...]}
 *   GET /1/ticket?id= (or message_id=, recipient=)     {"ticket": [the one], "events": [what happened to it]}
 *
 * id is a prefix of the hex shown. What means several tickets is answered 409 {"candidates": [...]}. Root
 * sees all; another user (access.h) the letters that he sent.
 */
#ifndef LOCAL_ADMIN_TICKETS_H
#define LOCAL_ADMIN_TICKETS_H

#include "http/server.h"

/* For http_collect without a body; env is a struct env. */
void admin_tickets(void *env, struct http_exchange *x);
void admin_ticket(void *env, struct http_exchange *x);

#endif
