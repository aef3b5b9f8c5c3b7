/*
 * checks.h - what the checks of admission share; only for check_*.c and admission.c.
 */
#ifndef ADMISSION_CHECKS_H
#define ADMISSION_CHECKS_H

#include "admission/admission.h"
#include "admission/rate.h"
#include "env/env.h"
#include "settings/settings.h"

struct admission {
    const struct env *env;
    struct rate *rate;
    struct netprefix *relays; /* trusted_relays; owned */
    size_t relay_count;
};

enum err check_rate(struct admission *a, struct facts *f, struct finding *out);
enum err check_form(struct admission *a, struct facts *f, struct finding *out);
enum err check_mx(struct admission *a, struct facts *f, struct finding *out);
enum err check_spf(struct admission *a, struct facts *f, struct finding *out);
enum err check_rdns(struct admission *a, struct facts *f, struct finding *out);
enum err check_designation(struct admission *a, struct facts *f, struct finding *out);
enum err check_age(struct admission *a, struct facts *f, struct finding *out);
enum err check_alignment(struct admission *a, struct facts *f, struct finding *out);
enum err check_role(struct admission *a, struct facts *f, struct finding *out);
enum err check_denied(struct admission *a, struct facts *f, struct finding *out);
enum err check_allowed(struct admission *a, struct facts *f, struct finding *out);
enum err check_token(struct admission *a, struct facts *f, struct finding *out);
enum err check_correspondent(struct admission *a, struct facts *f, struct finding *out);
enum err check_rule(struct admission *a, struct facts *f, struct finding *out);

/* format NULL: the reason's own sentence says all. */
void finding_set(struct finding *out, enum verdict v, enum reason r, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* What the failure of a look-up means: ERR_WOULD_WAIT is VERDICT_LATER, a bogus answer DNS_BOGUS, any other
 * trouble with DNS `temporary`; what is no matter of DNS is returned. */
enum err finding_of_dns(struct finding *out, enum err e, enum reason temporary, const char *domain);

/* What the rates are counted by; borrows from f. facts_entered first. */
struct rate_subject facts_rate_subject(const struct facts *f);
/* f->policy, looked up once. */
enum err facts_policy(struct admission *a, struct facts *f);
/* Of a whole message: asks SPF unless that was done, and sets f->verified. *out: VERDICT_LATER, or
 * VERDICT_NEXT with SPF's reason; a temporary one says that the answer could not be had. */
enum err facts_verify(struct admission *a, struct facts *f, struct finding *out);
/* The first entry in force that fits the sender. *found false: none. */
enum err facts_entry(struct admission *a, const struct facts *f, bool deny, bool *found, struct entry *out);
/* A whole message admitted by an owner's word that is about a person or list: it counts when SPF passes.
 * Otherwise VERDICT_NEXT, or a temporary refusal where asking SPF failed and the message would not be taken
 * without. */
enum err facts_admit(struct admission *a, struct facts *f, enum reason r, const char *text,
                     struct finding *out);

#endif
