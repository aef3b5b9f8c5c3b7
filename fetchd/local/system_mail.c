/*
 * system_mail.c - see system_mail.h.
 */
#include "local/system_mail.h"

#include <pwd.h>
#include <string.h>

#include "local/access.h"
#include "mail/address.h"

#define PASSWD_MAX 16384     /* bytes of an entry of the user database */
#define PEOPLE_FROM_UID 1000 /* Debian Policy 9.2.2: below are the system's own */

static bool is_daemon(const char *login)
{
    struct passwd entry, *found = NULL;
    char memory[PASSWD_MAX];

    return strlen(login) <= ACCESS_LOGIN_MAX &&
           getpwnam_r(login, &entry, memory, sizeof memory, &found) == 0 && found &&
           found->pw_uid < PEOPLE_FROM_UID;
}

bool system_mail(const struct api_envelope *envelope)
{
    static const char *const roles[] = {"root", "postmaster", "mailer-daemon", "double-bounce"};
    struct address sender;

    if ((envelope->auth && envelope->auth[0]) || address_parse(span_of(envelope->sender), &sender) ||
        sender.null)
        return false;
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++) {
        if (span_is_nocase(span_of(sender.local), roles[i]))
            return true;
    }
    return envelope->command_line && is_daemon(sender.local);
}
