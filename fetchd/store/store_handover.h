/*
 * store_handover.h - what changes note in the handover journal (handover.h), and the flush that makes both
 * the store and the journal durable. Without a journal notes go nowhere.
 */
#ifndef STORE_STORE_HANDOVER_H
#define STORE_STORE_HANDOVER_H

#include "store/handover.h"
#include "store/store_internal.h"

/* Goes on with the store's journal, or begins one; in the store's records stands which one runs. After
 * store_check. */
enum err store_handover_open(struct store *s, const struct store_options *o, struct buf *why);

/* Everything that was committed before the call is durable, and what it noted is in the journal. No answer
 * goes out before. */
enum err store_flush(struct store *s);

/* Noted when the change commits. For a ticket's note its key and A; token: 16 bytes of the lease, or NULL. */
enum err change_note(struct change *c, const struct handover_entry *e);
enum err change_note_ticket(struct change *c, enum handover_kind what, uint32_t arg, const struct ticket *t,
                            int64_t at_s, struct span body);
enum err change_note_claim(struct change *c, const struct ticket *t, int64_t at_s);
/* With the other side's reason and text. */
enum err change_note_words(struct change *c, enum handover_kind what, const struct ticket *t, int64_t at_s);
/* The state that a ticket is in, if it is an end. */
enum err change_note_end(struct change *c, const struct ticket *t, int64_t at_s);
/* A job and the record that was put just now. */
enum err change_note_job(struct change *c, enum handover_kind what, const struct job *j, int64_t at_s);

#endif
