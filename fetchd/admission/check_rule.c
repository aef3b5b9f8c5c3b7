/*
 * check_rule.c - what the mailbox does with those of whom nothing is known. The last check: it always
 * decides.
 */
#include "admission/checks.h"

#include "base/clock.h"

static void stub_rule(const struct facts *f, struct finding *out)
{
    enum reason stranger = !f->aligned    ? REASON_UNALIGNED
                           : !f->verified ? REASON_UNVERIFIED
                                          : REASON_STRANGER;

    if (f->young && f->policy.rule != RULE_KNOWN)
        finding_set(out, VERDICT_WAIT, REASON_YOUNG, NULL);
    else if (f->policy.rule == RULE_OPEN)
        finding_set(out, VERDICT_ADMIT, REASON_OPEN, NULL);
    else if (f->policy.rule == RULE_CHALLENGE && f->verified && !f->bulk)
        finding_set(out, VERDICT_CHALLENGE, REASON_CHALLENGE, NULL);
    else /* also where nobody would answer a challenge, or somebody who never wrote */
        finding_set(out, VERDICT_WAIT, stranger, NULL);
}

/* What is kept lies here: no more of it than of stubs, though counted apart. What nothing proves counts for
 * its client alone, since it may bear anybody's name. */
static bool comes_too_fast(struct admission *a, struct facts *f, struct finding *out)
{
    enum reason reason;
    struct rate_subject subject = facts_rate_subject(f);

    if (f->replay || f->rate_counted)
        return false;
    f->rate_counted = true;
    if (!f->verified)
        subject.domain = subject.organisation = NULL;
    if (rate_take(a->rate, &subject, clock_mono_ms(), &reason))
        return false;
    finding_set(out, VERDICT_REFUSE, reason, NULL);
    return true;
}

static enum err legacy_rule(struct admission *a, struct facts *f, struct finding *out)
{
    struct finding proof = {.verdict = VERDICT_NEXT};

    /* What becomes of the owner's own letters is no letter of a stranger's. */
    if (f->policy.legacy == LEGACY_ACCEPT || f->report) {
        finding_set(out, VERDICT_ADMIT, REASON_LEGACY_ACCEPT, NULL);
        return ERR_OK;
    }
    if (f->policy.legacy == LEGACY_REJECT && !f->sender.null) {
        finding_set(out, VERDICT_REFUSE, REASON_LEGACY_REJECT, NULL);
        return ERR_OK;
    }
    /* What waits is listed with what is proven of it. */
    enum err e = facts_verify(a, f, &proof);
    if (e)
        return e;
    if (proof.verdict == VERDICT_LATER)
        *out = proof;
    else if (!comes_too_fast(a, f, out))
        finding_set(out, VERDICT_WAIT, REASON_LEGACY_ATTEMPT, NULL);
    return ERR_OK;
}

enum err check_rule(struct admission *a, struct facts *f, struct finding *out)
{
    enum err e = facts_policy(a, f);

    if (e)
        return e;
    if (f->kind == FACTS_LEGACY)
        return legacy_rule(a, f, out);
    stub_rule(f, out);
    return ERR_OK;
}
