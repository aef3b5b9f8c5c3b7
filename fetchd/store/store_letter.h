/*
 * store_letter.h - which letters came: by their Message-ID, and whether the same came before.
 *
 * A row of LETTER stands for each ticket of a letter with a Message-ID, under the day on which it came, so
 * that what is written today lies together however many tickets wait:
 *   day, hash of the Message-ID, hash of what makes a letter the same: its newest ticket of that day;
 *   the same, and a ticket's key: an earlier one, or one that is never taken for another.
 * Tickets of stores of before are not in it: they came before store.letters_since_s, and the table DEDUPE
 * says which of them are the same.
 */
#ifndef STORE_STORE_LETTER_H
#define STORE_STORE_LETTER_H

#include "store/store_internal.h"

/* In a change; a ticket without a Message-ID has no row. put: unless there is a later one, r becomes the
 * newest. del: ERR_OK also when there was none. missing: ERR_NOT_FOUND when r has no row in either table and
 * should have one. */
enum err change_letter_put(struct change *c, const struct ticket_record *r);
enum err change_letter_del(struct change *c, const struct ticket_record *r);
enum err change_letter_missing(struct change *c, const struct ticket_record *r);
/* Whether the row that key and value are stands for r. */
bool letter_row_is_of(struct span key, struct span value, const struct ticket_record *r);
/* The ticket that a row stands for; false: it can be no row. */
bool letter_row_ticket(struct span key, struct span value, uint8_t ticket[TICKET_STORE_KEY_BYTES]);

/* What a deposit says: ERR_EXISTS when there is the same letter as that of r, deposited within dedupe_s
 * before (or after: clocks go back), whose ticket (*same) stands (ticket_state.h); else r becomes the newest.
 * before: what store_letter_before said. A letter without a Message-ID is never taken for another: two equal
 * texts may well be meant as two letters, and dropping one would lose it. */
enum err change_letter_new(struct change *c, const struct ticket_record *r,
                           const struct dedupe_record *before, struct ticket_record *same);
/* Outside of a change: the row of DEDUPE, to which nobody adds any more. Zeroed when there is none. */
enum err store_letter_before(struct store *s, const struct ticket_record *r, struct dedupe_record *out);

/* Outside of a change: whether r has its row in LETTER. */
enum err store_letter_known(struct store *s, const struct ticket_record *r, bool *known);
/* Calls back for the tickets that may be of a Message-ID (no others are), the newest day's first and of each
 * day the newest, until it returns anything but ERR_OK, which is then the result. Those that came before
 * letters_since_s are not among them. */
enum err store_letter_each(struct store *s, const char *message_id,
                           enum err (*each)(void *arg, const uint8_t key[TICKET_STORE_KEY_BYTES]), void *arg);

/* At opening: since when tickets have their rows (noted in a store that does not know), and on which day the
 * last of them came. */
enum err store_letter_open(struct store *s);

#endif
