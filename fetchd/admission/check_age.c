/*
 * check_age.c - how long the sender's organisation is known here, and since when it is registered. Young ones
 * are not refused: their letters wait, whatever the mailbox's rule, unless the owner knows them.
 */
#include "admission/checks.h"

#include "admission/rdap.h"

/* A registry that does not know or does not answer says nothing against anybody. */
static enum err ask_registry(struct rdap *rdap, struct facts *f, struct finding *out)
{
    enum err e;

    if (!rdap_remembered(rdap, f->organisation, &e, &f->registered_s)) {
        if (f->deadline_mono_ms == DNS_CACHED_ONLY) {
            finding_set(out, VERDICT_LATER, REASON_NONE, NULL);
            return ERR_OK;
        }
        e = rdap_registered(rdap, f->organisation, f->deadline_mono_ms, &f->registered_s);
    }
    if (e)
        f->registered_s = 0;
    return e == ERR_NOMEM ? e : ERR_OK;
}

enum err check_age(struct admission *a, struct facts *f, struct finding *out)
{
    enum err e;
    const struct settings *s = a->env->settings;

    if (s->first_seen_min_s > 0) {
        e = store_domain_first_seen(a->env->store, f->organisation, &f->first_seen_s);
        if (e && e != ERR_NOT_FOUND)
            return e;
        /* Not seen before: as old as this stub. */
        f->young = e == ERR_NOT_FOUND || f->now_s - f->first_seen_s < s->first_seen_min_s;
    }
    if (!f->young && a->env->rdap && s->registered_min_s > 0) {
        e = ask_registry(a->env->rdap, f, out);
        if (e || out->verdict == VERDICT_LATER)
            return e;
        f->young = f->registered_s > 0 && f->now_s - f->registered_s < s->registered_min_s;
    }
    if (f->young)
        finding_set(out, VERDICT_NEXT, REASON_YOUNG, NULL);
    return ERR_OK;
}
