/*
 * quota.h - how much of the store somebody uses: octets and number of letters that lie here, each letter
 * counted once however many tickets it has, by owner (the authenticated user, else the reverse-path's
 * mailbox) and by the domain of the reverse-path. Kept in the records, changed in the commits that change
 * what they count. Thread-safe.
 */
#ifndef STORE_QUOTA_H
#define STORE_QUOTA_H

#include "store/store.h"

#define QUOTA_WARN_PERCENT 80
/* Mail without a stub that is kept (attempt.h) counts for its recipient: under this and his mailbox; and, as
 * a domain's, for all mailboxes together. No login and no domain has such a name. */
#define QUOTA_KEPT "kept:"
#define QUOTA_KEPT_ALL "@kept:"
/*
 * Behind either name stand those who have a share of it, so that nobody alone keeps all others out:
 * "kept:MAILBOX CROWD" and "@kept:CROWD", where a crowd is the organisational domain that is proven, or the
 * network of the client, "[192.0.2.0]", where nothing is; and QUOTA_UNPROVEN for all such networks together.
 */
#define QUOTA_UNPROVEN "-"
#define QUOTA_CROWD_PERCENT 25
#define QUOTA_UNPROVEN_PERCENT 50

struct quota_limits { /* 0: none */
    int64_t owner_bytes, owner_letters;
    int64_t domain_bytes, domain_letters;
    int64_t reserve_percent; /* so much more for system mail */
};

struct quota_use {
    bool domain; /* else an owner */
    char name[STORE_ADDRESS_MAX];
    uint64_t letters, bytes;
    int64_t warned_s; /* when its owner was last told of QUOTA_WARN_PERCENT; 0 since he uses less */
};
/* How much of a limit of octets one of this name may use; so many percent of it. 0: any amount, as the limit.
 * Pure. */
int64_t quota_share(const char *name, int64_t limit);
int64_t quota_share_of(int percent, int64_t limit);
/* An owner (without regard to ASCII case), or a domain as "@domain". One who has nothing here: zeros. */
enum err store_quota(struct store *s, const char *name, struct quota_use *out);
/* All of them, domains first, until each returns false. */
enum err store_quotas(struct store *s, size_t limit, bool (*each)(void *arg, const struct quota_use *u),
                      void *arg);

#endif
