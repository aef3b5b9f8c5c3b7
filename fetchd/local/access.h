/*
 * access.h - who asks at admin.sock, and what he may: root and fetchd's own user everything; another user of
 * this system (by SO_PEERCRED) what concerns his mailbox, NAME@system_users_domain, and nothing while that is
 * not set. Thread-safe.
 */
#ifndef LOCAL_ACCESS_H
#define LOCAL_ACCESS_H

#include <stdbool.h>

#include "env/env.h"
#include "http/server.h"
#include "mail/address.h"
#include "store/store.h"

#define ACCESS_LOGIN_MAX 64

struct access {
    bool all;
    uid_t uid;
    char login[ACCESS_LOGIN_MAX + 1]; /* "" when all, or nobody */
    char mailbox[ADDRESS_TEXT_MAX];   /* lower case; "": nothing at all */
};

void access_of(const struct env *env, const struct http_peer *peer, struct access *out);
/* A mailbox in normal form; NULL: what belongs to nobody in particular. */
bool access_to_mailbox(const struct access *a, const char *mailbox);
/* A letter that he sent, or whose log-in owns it. */
bool access_to_ticket(const struct access *a, const struct ticket *t);
bool access_to_job(const struct access *a, const struct job *j);

#endif
