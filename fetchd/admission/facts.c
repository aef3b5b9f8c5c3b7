/*
 * facts.c - what several checks find out together (checks.h).
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "admission/checks.h"

void finding_set(struct finding *out, enum verdict v, enum reason r, const char *format, ...)
{
    va_list arguments;

    *out = (struct finding){.verdict = v, .reason = r};
    if (!format)
        return;
    va_start(arguments, format);
    (void)vsnprintf(out->text, sizeof out->text, format, arguments);
    va_end(arguments);
}

enum err finding_of_dns(struct finding *out, enum err e, enum reason temporary, const char *domain)
{
    if (e == ERR_WOULD_WAIT) {
        finding_set(out, VERDICT_LATER, REASON_NONE, NULL);
        return ERR_OK;
    }
    if (e != ERR_DNS_BOGUS && e != ERR_DNS_TEMPORARY && e != ERR_ADDRESS)
        return e;
    enum reason r = e == ERR_DNS_BOGUS ? REASON_DNS_BOGUS : e == ERR_ADDRESS ? REASON_NO_DOMAIN : temporary;
    finding_set(out, VERDICT_REFUSE, r, "%.120s: %s", domain, reason_text(r));
    return ERR_OK;
}

enum err facts_policy(struct admission *a, struct facts *f)
{
    if (f->policy_known)
        return ERR_OK;
    enum err e = admission_policy(a, &f->recipient, &f->policy);
    f->policy_known = !e;
    return e;
}

/* ---- entries */

struct search {
    struct admission *a;
    const struct facts *f;
    bool deny, found;
    struct entry *out;
};

static enum err try_entry(struct search *s, enum entry_kind kind, const char *value)
{
    struct entry entry;
    const struct facts *f = s->f;
    const struct entry_subject subject = {.author = f->author_key,
                                          .originator = f->originator_key,
                                          .aligned = f->aligned,
                                          .list_id = f->list_id,
                                          .verified = f->sender.domain};

    if (s->found || !*value)
        return ERR_OK;
    enum err e = store_entry_get(s->a->env->store, f->mailbox, kind, value, f->now_s, &entry);
    if (e)
        return e == ERR_NOT_FOUND ? ERR_OK : e;
    if (entry.deny == s->deny && entry_matches(&entry, &subject)) {
        s->found = true;
        *s->out = entry;
    }
    return ERR_OK;
}

static enum err try_address(struct search *s, const char *address)
{
    const char *at = strrchr(address, '@');
    enum err e = try_entry(s, ENTRY_ADDRESS, address);

    if (!e)
        e = try_entry(s, ENTRY_ENVELOPE, address);
    if (!e && at)
        e = try_entry(s, ENTRY_DOMAIN, at + 1);
    for (const char *dot = at ? strchr(at, '.') : NULL; dot && !e; dot = strchr(dot + 1, '.'))
        e = try_entry(s, ENTRY_SUBDOMAINS, dot + 1);
    return e;
}

enum err facts_entry(struct admission *a, const struct facts *f, bool deny, bool *found, struct entry *out)
{
    struct search s = {.a = a, .f = f, .deny = deny, .out = out};
    enum err e = try_address(&s, f->author_key);

    if (!e && strcmp(f->originator_key, f->author_key) != 0)
        e = try_address(&s, f->originator_key);
    if (!e)
        e = try_entry(&s, ENTRY_LIST, f->list_id);
    *found = s.found;
    return e;
}

enum err facts_admit(struct admission *a, struct facts *f, enum reason r, const char *text,
                     struct finding *out)
{
    enum err e;
    struct finding proof = {.verdict = VERDICT_NEXT};

    /* Whoever a stub says it is from, its link host says again before anything comes of it. */
    if (f->kind == FACTS_LEGACY) {
        if ((e = facts_verify(a, f, &proof)) || (e = facts_policy(a, f)))
            return e;
        bool temporary = err_temporary(reason_err(proof.reason));
        if (proof.verdict == VERDICT_LATER || (!f->verified && !temporary) ||
            (temporary && f->policy.legacy == LEGACY_ACCEPT)) {
            *out = proof;
            return ERR_OK;
        }
        if (temporary) {
            *out = proof;
            out->verdict = VERDICT_REFUSE;
            return ERR_OK;
        }
    }
    finding_set(out, VERDICT_ADMIT, r, "%.100s: %s", text, reason_text(r));
    return ERR_OK;
}
