/*
 * check_allowed.c - senders whom the owner (or an answered challenge) has let in: a person, a domain, a
 * mailing list.
 */
#include "admission/checks.h"

enum err check_allowed(struct admission *a, struct facts *f, struct finding *out)
{
    bool found;
    struct entry entry;
    char text[ENTRY_TEXT_MAX];
    enum err e = facts_entry(a, f, false, &found, &entry);

    if (e || !found)
        return e;
    entry_text(&entry, text);
    return facts_admit(a, f,
                       entry.kind == ENTRY_LIST ? REASON_LIST
                       : entry.solved           ? REASON_SOLVED
                                                : REASON_ALLOWED,
                       text, out);
}
