/*
 * privileges.c - see privileges.h.
 */
#include "privileges.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/secret.h"

enum err privileges_user(const char *user, uid_t *uid, gid_t *gid, struct buf *why)
{
    *uid = geteuid();
    *gid = getegid();
    if (*uid != 0 || !user[0])
        return ERR_OK;
    const struct passwd *entry = getpwnam(user);
    if (!entry) {
        buf_printf(why, "user: there is no user %s", user);
        return ERR_CONFIG;
    }
    *uid = entry->pw_uid;
    *gid = entry->pw_gid;
    return ERR_OK;
}

enum err privileges_drop(const char *user, struct buf *why)
{
    uid_t uid;
    gid_t gid;
    enum err e = privileges_user(user, &uid, &gid, why);

    if (e)
        return e;
    if (geteuid() == 0 && uid != 0) {
        if (initgroups(user, gid) || setgid(gid) || setuid(uid)) {
            buf_printf(why, "cannot become %s: %s", user, strerror(errno));
            return ERR_CONFIG;
        }
        if (setuid(0) == 0) {
            buf_printf(why, "could become root again after becoming %s", user);
            return ERR_INTERNAL;
        }
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) {
        buf_printf(why, "no_new_privs: %s", strerror(errno));
        return ERR_INTERNAL;
    }
    return secret_forbid_cores(); /* again: a change of user resets it */
}
