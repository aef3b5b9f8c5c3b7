/*
 * recall.h - the sender's words on a letter that still lies here: take it back, put another in its place, and
 * the administrator's hold. One transaction decides between such a word and a claim.
 *
 * Thread-safe. Errors besides those named: as in store.h.
 */
#ifndef STORE_RECALL_H
#define STORE_RECALL_H

#include "store/store.h"

/*
 * DURABLE: waiting, held, challenged -> retracted; said again of a retracted one: ERR_OK. Of a ticket that
 * the other side keeps as a contact attempt the stub is sent once more, so that it looks and forgets it. No
 * change: ERR_HANDED_OVER (out->handed_over_s says when; out->state whether it was confirmed), ERR_GONE
 * (ended otherwise), ERR_ON_HOLD, ERR_RESTORED (perhaps handed over), ERR_UNARCHIVED (archive_first, and the
 * archive has no copy yet: a look at the ticket is due at once), ERR_NOT_FOUND. *out is set with all of them
 * but ERR_NOT_FOUND.
 */
enum err store_retract(struct store *s, const uint8_t key[TICKET_STORE_KEY_BYTES], bool archive_first,
                       int64_t now_s, struct ticket *out);

/* Whether a retract or a replacement would be taken now, by the same rules; pure. */
enum err ticket_may_recall(const struct ticket *t, bool archive_first);

struct store_replacement {
    struct store_payload *payload; /* taken, whatever the result */
    const uint8_t *dek, *digest;   /* as in a deposit */
    uint64_t letter_bytes;
    uint32_t version; /* that the payload was sealed as, and that its tickets get: greater than any of theirs
                         (a ticket that has it already: ERR_BUSY, somebody else replaced it meanwhile) */
    const char
        *from; /* address of From:, normal form: must agree with the ticket's; the reverse-path stays */
    const char *from_field; /* for the next stub */
    const char *subject;    /* "" unless stub_subject */
    bool body_8bit, smtputf8;
    const struct quota_limits *limits; /* NULL: none */
    struct buf *why;                   /* for ERR_QUOTA; may be NULL */
    bool archive_first;
    size_t count;
    struct store_replacement_item {
        const struct ticket_keys *keys;
        enum err outcome;     /* out: as store_retract's, and ERR_FROM_CHANGED */
        struct ticket ticket; /* out, unless ERR_NOT_FOUND */
    } * item;                 /* tickets of one letter */
};
/* DURABLE, one commit: each ticket that may gets the new payload under a new key and its version; the old
 * one is freed when nobody needs it. ERR_OK when at least one was replaced; else the first item's outcome. */
enum err store_replace(struct store *s, struct store_replacement *r, int64_t now_s);

/* DURABLE. A hold keeps a living ticket from being retracted, replaced and expired until it is released; the
 * other side may still call for its letter. note: why, cut at STORE_NOTE_MAX. ERR_GONE for an ended one. */
enum err store_hold(struct store *s, const uint8_t key[TICKET_STORE_KEY_BYTES], bool hold, const char *note,
                    int64_t now_s, struct ticket *out);

#endif
