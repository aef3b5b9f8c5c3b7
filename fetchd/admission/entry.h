/*
 * entry.h - what an owner's word (allow or deny) is about: as he writes it, and whom it fits. Pure.
 */
#ifndef ADMISSION_ENTRY_H
#define ADMISSION_ENTRY_H

#include "base/buf.h"
#include "store/policy.h"

/* "a@a.test", "a.test", ".a.test", "<dev.lists.test>" (or "list:dev.lists.test"), "envelope:a@a.test" into
 * kind and value (address_key), domain becomes "", nothing else of *out is touched. Comments, routes, address
 * literals, display names, control characters, over-long parts, "" and "<>" are ERR_SYNTAX, with a reason in
 * *why. */
enum err entry_parse(const char *text, struct entry *out, struct buf *why);
#define ENTRY_TEXT_MAX (STORE_ADDRESS_MAX + 16)
void entry_text(const struct entry *e, char out[ENTRY_TEXT_MAX]);

/* A sender, as entries look at him; address_key texts, NULL or "" for what there is not. Borrows. */
struct entry_subject {
    const char *author;     /* of From */
    const char *originator; /* in the envelope: a stub's f=, a message's reverse-path */
    bool aligned;           /* the author's domain and the verified one have one organisation */
    const char *list_id;
    const char *verified; /* domain */
};
/* Whether the entry fits him: an allow entry as the kinds say, a deny entry also where nothing is aligned or
 * verified. Its end date is not looked at. */
bool entry_matches(const struct entry *e, const struct entry_subject *s);

#endif
