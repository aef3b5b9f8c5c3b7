/*
 * check_spf.c - SPF of the sender's domain (RFC 7208): a stub needs "pass"; for a whole message it is
 * asked only where something hangs on it.
 */
#include "admission/checks.h"

#include <stdio.h>

#include "env/site.h"
#include "proof/spf.h"

static const enum reason reasons[] = {
    [SPF_NONE] = REASON_SPF_NONE,
    [SPF_NEUTRAL] = REASON_SPF_NEUTRAL,
    [SPF_PASS] = REASON_NONE,
    [SPF_FAIL] = REASON_SPF_FAIL,
    [SPF_SOFTFAIL] = REASON_SPF_SOFTFAIL,
    [SPF_TEMPERROR] = REASON_SPF_TEMPERROR,
    [SPF_PERMERROR] = REASON_SPF_PERMERROR,
};

/* "a.test [192.0.2.1]: the SPF record ... (include:x.test: too many look-ups)" */
static void say(const struct facts *f, const struct spf_answer *answer, enum verdict v, enum reason r,
                struct finding *out)
{
    char client[NETADDR_TEXT_MAX];

    netaddr_text(&f->entered, client);
    bool detail = answer->term[0] || answer->why[0];
    finding_set(out, v, r, "%.60s [%s]: %s%s%.50s%s%.40s%s", f->sender.domain, client, reason_text(r),
                detail ? " (" : "", answer->term, answer->term[0] && answer->why[0] ? ": " : "", answer->why,
                detail ? ")" : "");
}

/* v: the verdict of anything but a pass. */
static enum err ask(struct admission *a, struct facts *f, enum verdict v, struct finding *out)
{
    struct spf_answer answer;
    const struct spf_question question = {.client = f->entered,
                                          .helo = f->entered_helo[0] ? f->entered_helo : NULL,
                                          .local = f->sender.local,
                                          .domain = f->sender.domain,
                                          .receiver = a->env->site->hostname};

    if (!f->entered.family) {
        finding_set(out, v, REASON_SPF_FAIL, "%.100s: the client's address is not known", f->sender.domain);
        return ERR_OK;
    }
    enum err e = spf_check(a->env->resolver, &question, f->deadline_mono_ms, &answer);
    if (e == ERR_WOULD_WAIT)
        out->verdict = VERDICT_LATER;
    if (e)
        return e == ERR_WOULD_WAIT ? ERR_OK : e;
    snprintf(f->spf, sizeof f->spf, "%s", spf_result_text(answer.result));
    if (answer.result != SPF_PASS)
        say(f, &answer, v, answer.cause == ERR_DNS_BOGUS ? REASON_DNS_BOGUS : reasons[answer.result], out);
    return ERR_OK;
}

enum err facts_verify(struct admission *a, struct facts *f, struct finding *out)
{
    enum err e = ERR_OK;

    if (f->verified)
        return ERR_OK;
    facts_entered(a, f);
    if (f->sender.null || f->client_skipped)
        finding_set(out, VERDICT_NEXT, REASON_UNVERIFIED, NULL);
    else
        e = ask(a, f, VERDICT_NEXT, out);
    f->verified = !e && out->verdict == VERDICT_NEXT && out->reason == REASON_NONE;
    return e;
}

enum err check_spf(struct admission *a, struct facts *f, struct finding *out)
{
    if (f->kind == FACTS_LEGACY)
        return f->replay ? facts_verify(a, f, out) : ERR_OK;
    facts_entered(a, f);
    if (!a->env->settings->require_spf || f->client_skipped)
        return ERR_OK;
    return ask(a, f, VERDICT_REFUSE, out);
}
