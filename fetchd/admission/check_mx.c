/*
 * check_mx.c - whether the sender's domain takes mail itself.
 */
#include "admission/checks.h"

#include "proof/mx.h"

enum err check_mx(struct admission *a, struct facts *f, struct finding *out)
{
    static const enum reason reasons[] = {[MX_PRESENT] = REASON_NONE,
                                          [MX_NULL] = REASON_NULL_MX,
                                          [MX_NONE] = REASON_NO_MX,
                                          [MX_NO_DOMAIN] = REASON_NO_DOMAIN};
    enum mx_state state;

    if (!a->env->settings->require_mx)
        return ERR_OK;
    enum err e = mx_check(a->env->resolver, f->sender.domain, f->deadline_mono_ms, &state);
    if (e)
        return finding_of_dns(out, e, REASON_DNS_TEMPORARY, f->sender.domain);
    if (state != MX_PRESENT)
        finding_set(out, VERDICT_REFUSE, reasons[state], "%.120s: %s", f->sender.domain,
                    reason_text(reasons[state]));
    return ERR_OK;
}
