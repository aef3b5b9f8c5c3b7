/*
 * check_rate.c - how much comes from this sender, before anything is asked for it.
 */
#include "admission/checks.h"

#include "base/clock.h"

struct rate_subject facts_rate_subject(const struct facts *f)
{
    return (struct rate_subject){.client = &f->entered,
                                 .domain = f->sender.null ? NULL : f->sender.domain,
                                 .organisation = f->organisation[0] ? f->organisation : NULL,
                                 .host = f->link_host,
                                 .ordinary = f->kind == FACTS_LEGACY};
}

enum err check_rate(struct admission *a, struct facts *f, struct finding *out)
{
    enum reason reason;
    const struct rate_subject subject = facts_rate_subject(f);

    if (f->replay || f->rate_counted)
        return ERR_OK;
    f->rate_counted = true;
    facts_entered(a, f); /* else all who come through a relay would share its rate */
    if (!rate_take(a->rate, &subject, clock_mono_ms(), &reason))
        finding_set(out, VERDICT_REFUSE, reason, NULL);
    return ERR_OK;
}
