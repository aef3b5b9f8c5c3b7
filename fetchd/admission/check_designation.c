/*
 * check_designation.c - whether the domain of the reverse-path names the stub's link host in DNS.
 */
#include "admission/checks.h"

#include "base/clock.h"

static void note_proven(struct admission *a, const struct facts *f)
{
    const struct rate_subject subject = facts_rate_subject(f);

    rate_proven(a->rate, &subject, clock_mono_ms());
}

enum err check_designation(struct admission *a, struct facts *f, struct finding *out)
{
    const struct config_list *proxies = &a->env->settings->trusted_proxies;
    struct designation *d = &f->designation;
    enum err e = designation_lookup(a->env->resolver, f->sender.domain, f->deadline_mono_ms, d);

    if (e)
        return finding_of_dns(out, e, REASON_DNS_TEMPORARY, f->sender.domain);
    if (d->present && designation_has_host(d, f->link_host, f->link_port, (const char *const *)proxies->item,
                                           proxies->count)) {
        f->verified = !f->doubted && !f->client_skipped;
        if (f->verified && !f->replay)
            note_proven(a, f);
        return ERR_OK;
    }
    enum reason reason = d->present ? REASON_NOT_DESIGNATED : REASON_NO_DESIGNATION;
    if (d->present)
        finding_set(out, VERDICT_REFUSE, reason, "%.60s does not designate %.60s:%u", f->sender.domain,
                    f->link_host, f->link_port);
    else
        finding_set(out, VERDICT_REFUSE, reason, "%.150s designates no link host", f->sender.domain);
    if (d->present && d->testing) {
        f->overruled = f->observed ? f->overruled : *out;
        f->observed = true;
        out->verdict = VERDICT_PASS;
        out->reason = REASON_TESTING;
    }
    return ERR_OK;
}
