/*
 * check_alignment.c - whose word it is: the author's, where From aligns with the verified domain, else
 * that of whoever sent it. Nothing is decided by this alone.
 */
#include "admission/checks.h"

#include <stdio.h>

#include "dns/organisation.h"

enum err check_alignment(struct admission *a, struct facts *f, struct finding *out)
{
    (void)a;
    f->aligned =
        !f->author.null && !f->sender.null && organisation_aligned(f->author.domain, f->sender.domain);
    const char *identity = f->aligned || !f->originator_key[0] ? f->author_key : f->originator_key;
    /* A delivery report without an author: the row under which it waits needs some name. */
    snprintf(f->identity_text, sizeof f->identity_text, "%s", identity[0] ? identity : "<>");
    f->identity = f->identity_text;
    if (!f->aligned)
        finding_set(out, VERDICT_NEXT, REASON_UNALIGNED, NULL);
    return ERR_OK;
}
