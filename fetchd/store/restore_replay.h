/*
 * restore_replay.h - what happened since a backup, entered into the store that came back from it.
 */
#ifndef STORE_RESTORE_REPLAY_H
#define STORE_RESTORE_REPLAY_H

#include "store/backup.h"
#include "store/store_internal.h"

/* All that a journal says of the time since, in memory. */
struct replay;
enum err replay_create(struct replay **out);
void replay_free(struct replay *r);
/* For handover_read; arg is the replay. */
enum err replay_note(void *arg, const struct handover_entry *e);
/* Enters it, ticket by ticket and job by job; covered false: then marks the tickets that live. Again after a
 * crash does no harm. Not durable before the next flush. */
enum err replay_apply(struct replay *r, struct store *s, int64_t now_s, struct store_restored *out);

/* A ticket whose letter is not there any more: it ends (TICKET_BOUNCED or, handed over, TICKET_UNCONFIRMED)
 * with this text, unless it has ended already, and refers to no payload. To be put afterwards. */
enum err change_letter_lost(struct change *c, struct ticket_record *r, const char *text, int64_t now_s);

#endif
