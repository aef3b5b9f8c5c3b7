/*
 * check_token.c - letters to user+token@domain. Guesses are counted, and after some of them nothing is
 * looked up any more.
 */
#include "admission/checks.h"

#include <stdio.h>

#include "admission/rate.h"
#include "base/clock.h"

enum err check_token(struct admission *a, struct facts *f, struct finding *out)
{
    struct token token;

    if (!f->detail[0])
        return ERR_OK;
    if (!f->replay && rate_guessing(a->rate, &f->client, f->mailbox, clock_mono_ms()))
        return ERR_OK;
    enum err e = store_token_get(a->env->store, f->mailbox, f->detail, &token);
    if (e == ERR_NOT_FOUND) {
        if (!f->replay)
            rate_guessed(a->rate, &f->client, f->mailbox, clock_mono_ms());
        return ERR_OK;
    }
    if (e || !token_admits(&token, f->organisation, f->now_s))
        return e;
    snprintf(f->token, sizeof f->token, "%s", token.token);
    finding_set(out, VERDICT_ADMIT, REASON_TOKEN, NULL);
    return ERR_OK;
}
