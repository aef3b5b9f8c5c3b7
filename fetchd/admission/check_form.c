/*
 * check_form.c - what a stub must have besides its own field (that is read, and held against
 * the envelope, before there are facts).
 */
#include "admission/checks.h"

enum err check_form(struct admission *a, struct facts *f, struct finding *out)
{
    (void)a;
    /* The claim must name the author: without one the link host would not hand the letter over, and the
     * sender would hear of it when its time is over. */
    if (f->author.null)
        finding_set(out, VERDICT_REFUSE, REASON_FORM, "a stub's From names one mailbox");
    return ERR_OK;
}
