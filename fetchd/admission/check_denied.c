/*
 * check_denied.c - senders whom the owner does not want to hear of, however they are spelled.
 */
#include "admission/checks.h"

enum err check_denied(struct admission *a, struct facts *f, struct finding *out)
{
    bool found;
    struct entry entry;
    enum err e = facts_entry(a, f, true, &found, &entry);

    if (e || !found)
        return e;
    if ((e = facts_policy(a, f)))
        return e;
    f->tell_denied = f->policy.denial == DENIAL_TOLD;
    finding_set(out, VERDICT_DENY, REASON_DENIED, NULL);
    return ERR_OK;
}
