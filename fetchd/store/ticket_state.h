/*
 * ticket_state.h - the rules of a ticket's life, as pure functions over values: which state may follow which,
 * when a lease has lapsed, who may claim, ack, nack. Nothing here touches a database. Thread-safe.
 *
 * A ticket of which a restored store knows too little ("perhaps") has a column of its own: it may be
 * confirmed without a known claim, and never ends as if nobody had it. tests/unit/store/states.c says of
 * every state and every word what comes of it, and tests/model/ticket.pml what must hold of it all.
 */
#ifndef STORE_TICKET_STATE_H
#define STORE_TICKET_STATE_H

#include "store/store.h"

/* Whether a ticket in `from` may enter `to`: the table of allowed transitions. perhaps: it came back from a
 * backup and was perhaps handed over since, so that its end must not say "never". */
bool ticket_state_may(enum ticket_state from, bool perhaps, enum ticket_state to);

/* When a running lease is over (its last second). live_until_s, hard_s: see ticket_state_at. */
int64_t ticket_lease_end_s(const struct ticket *t, int64_t live_until_s, int64_t hard_s);
/* The state at a time: a lease that is over reads as TICKET_LAPSED. live_until_s: a body of the lease is or
 * was under way until then (0: nothing known), which keeps it running, but never past hard_s. */
enum ticket_state ticket_state_at(const struct ticket *t, int64_t now_s, int64_t live_until_s,
                                  int64_t hard_s);

/* What a word finds: ERR_OK when the ticket (its state being that of now) may go on. */
enum err ticket_may_claim(const struct ticket *t, const struct store_claim *c);
enum err ticket_may_resume(const struct ticket *t, const struct store_claim *c);
enum err ticket_may_ack(const struct ticket *t, bool digest_right);        /* ERR_OK for a repeated one too */
enum err ticket_may_nack(const struct ticket *t, const uint8_t token[16]); /* ERR_OK for a repeated one too */
enum err ticket_may_status(const struct ticket *t, enum ticket_state state); /* likewise */
enum err ticket_may_bounce(const struct ticket *t);

/* Seconds for Retry-After under somebody's lease: doubles with each lapse. */
int64_t ticket_retry_after_s(const struct ticket *t);

/* Whether the sender asked to be notified of any of these (bits of enum dsn_notify in mail/dsn.h): RFC 3461
 * 4.1; who gave no NOTIFY is told of failures and delays. Never for the null reverse-path. */
bool ticket_asks(const struct ticket *t, unsigned what);
/* Whether he is to be told of this end. */
bool ticket_wants_notice(const struct ticket *t, enum ticket_state end);

/* How a ticket ends whose time is up. */
enum ticket_state ticket_overdue_end(const struct ticket *t);
/* How one ends that a puller refuses: of what another has collected before, nobody knows whether it arrived.
 */
enum ticket_state ticket_refused_end(const struct ticket *t);
enum err ticket_may_plain(const struct ticket *t);

/* Whether the same letter, when it comes again, is this ticket's: it has reached its recipient, or may still.
 * What was sent plain is the MTAs' affair and may come back, which nobody tells us; it stands while its
 * sending is due (plain_due), and then only for as long as a client that did not hear the answer tries again.
 * Pure. */
#define TICKET_PLAIN_STANDS_S 3600
bool ticket_stands(const struct ticket *t, bool plain_due, int64_t now_s);

/* Appends to what happened; the first is kept, and of the others the newest. */
void ticket_event_add(struct ticket *t, unsigned what, int64_t at_s);

/* Addresses agree: local parts byte for byte, domains without regard to ASCII case. */
bool ticket_address_equal(const char *a, const char *b);

/* The store came back from a backup that does not have this letter. */
bool ticket_letter_lost(const struct ticket *t);

#endif
