/*
 * correspondents.h - whom people of this site write to: they may write back (docs/OPERATIONS.md, "Who may
 * write").
 */
#ifndef LOCAL_CORRESPONDENTS_H
#define LOCAL_CORRESPONDENTS_H

#include "local/api.h"

#define CORRESPONDENTS_MAX 50 /* recipients of one letter that are noted */

struct env;

/* Whether a letter says that its author wants answers from its recipients: not what a program sent, nor mail
 * to many. Pure. */
bool correspondents_fit(const struct api_plan *letter);
/*
 * Notes the recipients of a submitted letter for its reverse-path's mailbox, unless its owner or the
 * administrator switched that off, and calls for what waits from them there. What cannot be noted is said in
 * the log: no letter waits for it. Blocks for the store.
 */
void correspondents_note(const struct env *env, const struct api_plan *letter);

#endif
