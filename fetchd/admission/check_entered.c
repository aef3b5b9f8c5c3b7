/*
 * check_entered.c - which host the client's checks look at: the one that handed us the message, or the
 * one that handed it to the outermost of our relays.
 */
#include "admission/checks.h"

#include <stdio.h>

#include "proof/entered.h"

void facts_entered(struct admission *a, struct facts *f)
{
    static const struct netaddr nowhere = {.family = 0};
    struct entered at;

    if (f->entered_known)
        return;
    f->entered_known = true;
    f->entered = f->client;
    snprintf(f->entered_helo, sizeof f->entered_helo, "%s", f->helo ? f->helo : "");
    f->relayed = f->client.family && entered_is_trusted(&f->client, a->relays, a->relay_count);
    if (!f->relayed)
        return;
    f->client_skipped = !entered_find(f->received, f->received_count, a->relays, a->relay_count, &at);
    f->entered = f->client_skipped ? nowhere : at.client;
    snprintf(f->entered_helo, sizeof f->entered_helo, "%s", f->client_skipped ? "" : at.helo);
}
