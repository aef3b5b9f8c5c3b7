/*
 * legacy.h - mail without a stub from outside into an enabled domain: who of its recipients takes it, for
 * whom it is kept as a contact attempt, who never sees it (docs/OPERATIONS.md, "Ordinary mail").
 *
 * A struct legacy is a value of one thread. Borrows the request.
 */
#ifndef LOCAL_LEGACY_H
#define LOCAL_LEGACY_H

#include "admission/admission.h"
#include "local/api.h"
#include "mail/domain_set.h"

#define LEGACY_KEPT_MAX 100 /* recipients for whom one message is kept; one that wants more is refused */

struct env;

/* What a message is, whoever its recipient. */
struct legacy {
    const struct api_plan *request;
    struct domain_set enabled; /* owned */
    struct address sender;     /* null too when the reverse-path is nothing that could be proven */
    struct address author;     /* null when there is none or several */
};
/* ERR_NOMEM. Release with legacy_free. */
enum err legacy_read(const struct api_plan *request, struct legacy *out);
void legacy_free(struct legacy *l);

/* What admission says of one recipient. */
struct legacy_word {
    enum verdict verdict;
    enum reason reason;
    bool told; /* DENY: the sender is told */
    char text[200];
};
/* One recipient's facts, and room for what they borrow. */
struct legacy_facts {
    struct facts facts;
    struct span received[API_RECEIVED_MAX];
    uint8_t letter[32];
};
/*
 * Asks admission about one recipient. deadline_mono_ms DNS_CACHED_ONLY: VERDICT_LATER when that does not
 * suffice. again: it was asked before about this message. Recipients outside the enabled domains, and
 * restante+tag@ in them (reports on stubs come there), are admitted unasked; restante@ without the tag of a
 * stub is denied aloud. *facts stays for the caller's use. Errors are temporary.
 */
enum err legacy_judge(const struct env *env, const struct legacy *l, const struct api_recipient *recipient,
                      int64_t deadline_mono_ms, bool again, struct legacy_facts *facts,
                      struct legacy_word *out);

/*
 * All recipients' words together: after the header nobody can be refused for himself. One that must be asked
 * again later puts the message off; when nobody takes it and somebody says so aloud, it is refused. Else it
 * is kept for those who would have refused it, and does not reach those who deny its sender. Pure. ERR_NOMEM.
 * Release *out with api_plan_answer_free.
 */
enum err legacy_decide(const struct legacy_word *word, size_t count, struct api_plan_answer *out);

/*
 * The whole answer to a plan of kind API_LEGACY, tokens used up. may_wait: DNS may be waited for (on
 * env->notices), if the gate has a place; else ERR_WOULD_WAIT may be the answer.
 */
enum err legacy_plan(const struct env *env, const struct api_plan *request, bool may_wait,
                     struct api_plan_answer *out);

#endif
