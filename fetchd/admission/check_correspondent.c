/*
 * check_correspondent.c - people whom the owner wrote to.
 */
#include "admission/checks.h"

enum err check_correspondent(struct admission *a, struct facts *f, struct finding *out)
{
    int64_t since_s;
    enum err e = facts_policy(a, f);

    /* Whose From names somebody else is a stranger, whomever his envelope names. */
    if (e || f->policy.correspondents != SWITCH_ON || !f->aligned)
        return e;
    e = store_correspondent_get(a->env->store, f->mailbox, f->identity, f->now_s, &since_s);
    if (e == ERR_NOT_FOUND)
        return ERR_OK;
    return e ? e : facts_admit(a, f, REASON_CORRESPONDENT, f->identity, out);
}
