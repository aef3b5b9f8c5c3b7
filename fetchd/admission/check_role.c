/*
 * check_role.c - mailboxes that must be reachable (RFC 5321 4.5.1, RFC 2142).
 */
#include "admission/checks.h"

#include <string.h>

enum err check_role(struct admission *a, struct facts *f, struct finding *out)
{
    size_t len = strcspn(f->mailbox, "@");

    (void)a;
    if (span_is(span_bytes(f->mailbox, len), "postmaster") || span_is(span_bytes(f->mailbox, len), "abuse"))
        finding_set(out, VERDICT_ADMIT, REASON_ROLE, NULL);
    return ERR_OK;
}
