/*
 * check_token.c - letters to user+token@domain. Guesses are counted, and after some of them nothing is
 * looked up any more.
 */
#include "admission/checks.h"

#include <stdio.h>

#include "base/clock.h"

/* Used up by this very message, or over since, when its client tries once more. */
static enum err came_before(struct admission *a, const struct facts *f, const struct token *t, bool *out)
{
    *out = false;
    if (!f->letter || t->revoked)
        return ERR_OK;
    enum err e = store_token_used(a->env->store, f->mailbox, f->detail, f->letter, f->now_s);
    *out = !e;
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

enum err check_token(struct admission *a, struct facts *f, struct finding *out)
{
    struct token token;

    if (!f->detail[0])
        return ERR_OK;
    facts_entered(a, f);
    if (!f->replay && rate_guessing(a->rate, &f->entered, f->mailbox, clock_mono_ms()))
        return ERR_OK;
    enum err e = store_token_get(a->env->store, f->mailbox, f->detail, &token);
    if (e == ERR_NOT_FOUND) {
        if (!f->replay)
            rate_guessed(a->rate, &f->entered, f->mailbox, clock_mono_ms());
        return ERR_OK;
    }
    bool admits = !e && token_admits(&token, f->organisation, f->now_s);
    if (!e && !admits)
        e = came_before(a, f, &token, &admits);
    if (e || !admits)
        return e;
    /* Whom it is bound to anybody can say: of a whole message only SPF knows. */
    if (token.bind && f->kind == FACTS_LEGACY)
        e = facts_admit(a, f, REASON_TOKEN, f->organisation, out);
    else
        finding_set(out, VERDICT_ADMIT, REASON_TOKEN, NULL);
    if (!e && out->verdict == VERDICT_ADMIT)
        snprintf(f->token, sizeof f->token, "%s", token.token);
    return e;
}
