/*
 * plan.h - what shall become of a message, decided at the end of its header (POST /1/plan): which recipients
 * get a stub, which the letter by plain SMTP, whether the message is a stub itself, or must be refused. Of
 * mail from outside without a stub it says no more than that (legacy.h goes on).
 *
 * In two pure steps with the questions to DNS between them. A plan is a value of one thread.
 */
#ifndef LOCAL_PLAN_H
#define LOCAL_PLAN_H

#include "env/site.h"
#include "local/api.h"
#include "route/discovery.h"
#include "route/routes.h"

enum plan_want {
    PLAN_WANT_PLAIN, /* settled: own domain, table, or an address that is not for us to judge */
    PLAN_WANT_AUTO,  /* as the domain's answer says */
    PLAN_WANT_PULL,  /* stub, or the whole message is refused */
};

struct plan {
    enum api_kind kind;
    const char *reason;      /* why kind is API_NONE, for the debug log; static */
    struct api_reply refuse; /* smtp != 0: refuse the whole message */
    size_t recipient_count;
    struct plan_recipient {
        enum plan_want want;
        size_t domain; /* index of the question, unless settled */
    } * recipient;     /* owned */
    size_t domain_count;
    char **domain; /* owned: the questions, A-labels, each once */
};

/* Everything that can be said without DNS. ERR_NOMEM alone. Release with plan_free. */
enum err plan_sort(const struct site *site, const struct routes *routes, const struct api_plan *request,
                   struct plan *out);
/* The verdicts, with an answer for each of plan->domain. disk_low: the store takes no automatic mail now.
 * ERR_NOMEM. Release *out with api_plan_answer_free. */
enum err plan_decide(const struct plan *plan, const struct discovery_answer *answer, bool disk_low,
                     struct api_plan_answer *out);
void plan_free(struct plan *plan);

#endif
