/*
 * check_rdns.c - whether the client's address has a name that leads back to it.
 */
#include "admission/checks.h"

#include <stdio.h>

#include "proof/rdns.h"

enum err check_rdns(struct admission *a, struct facts *f, struct finding *out)
{
    struct rdns_answer answer;
    char client[NETADDR_TEXT_MAX];

    facts_entered(a, f);
    if (!a->env->settings->require_reverse_dns || f->client_skipped)
        return ERR_OK;
    if (!f->entered.family) {
        finding_set(out, VERDICT_REFUSE, REASON_RDNS_NONE, "the client's address is not known");
        return ERR_OK;
    }
    netaddr_text(&f->entered, client);
    enum err e = rdns_check(a->env->resolver, &f->entered, f->deadline_mono_ms, &answer);
    if (e)
        return finding_of_dns(out, e, REASON_RDNS_TEMPERROR, client);
    snprintf(f->iprev, sizeof f->iprev, "%s", rdns_result_text(answer.result));
    if (answer.result == RDNS_PASS)
        snprintf(f->entered_name, sizeof f->entered_name, "%s", answer.name);
    else if (answer.result == RDNS_NONE)
        finding_set(out, VERDICT_REFUSE, REASON_RDNS_NONE, "%s: %s", client, reason_text(REASON_RDNS_NONE));
    else
        finding_set(out, VERDICT_REFUSE, REASON_RDNS_UNCONFIRMED, "%s, %.60s: %s", client, answer.name,
                    reason_text(REASON_RDNS_UNCONFIRMED));
    return ERR_OK;
}
