/*
 * access.c - see access.h.
 */
#include "local/access.h"

#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "settings/settings.h"

#define PASSWD_MAX 16384 /* bytes of an entry of the user database */

void access_of(const struct env *env, const struct http_peer *peer, struct access *out)
{
    struct passwd entry, *found = NULL;
    struct address address;
    char memory[PASSWD_MAX], text[ADDRESS_TEXT_MAX];
    const char *domain = env->settings->system_users_domain;

    *out = (struct access){.all = peer->uid == 0 || peer->uid == geteuid(), .uid = peer->uid};
    if (out->all || !domain[0])
        return;
    if (getpwuid_r(peer->uid, &entry, memory, sizeof memory, &found) || !found ||
        strlen(found->pw_name) > ACCESS_LOGIN_MAX)
        return;
    snprintf(text, sizeof text, "%s@%s", found->pw_name, domain);
    if (address_parse(span_of(text), &address) || address.null)
        return;
    memcpy(out->login, found->pw_name, strlen(found->pw_name) + 1);
    address_key(&address, out->mailbox);
}

bool access_to_mailbox(const struct access *a, const char *mailbox)
{
    return a->all || (mailbox && a->mailbox[0] && strcmp(a->mailbox, mailbox) == 0);
}

static bool is_his(const struct access *a, const char *text)
{
    struct address address;
    char key[ADDRESS_TEXT_MAX];

    if (address_parse(span_of(text), &address) || address.null)
        return false;
    address_key(&address, key);
    return access_to_mailbox(a, key);
}

bool access_to_ticket(const struct access *a, const struct ticket *t)
{
    if (a->all)
        return true;
    return a->mailbox[0] && (strcmp(t->owner, a->login) == 0 || is_his(a, t->owner) || is_his(a, t->sender));
}

bool access_to_job(const struct access *a, const struct job *j)
{
    return a->all ||
           (a->mailbox[0] && (j->mailbox[0] ? access_to_mailbox(a, j->mailbox) : is_his(a, j->recipient)));
}
