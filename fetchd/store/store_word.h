/*
 * store_word.h - a word on one ticket: its body runs in a change, and its caller gets the ticket as it then
 * is.
 */
#ifndef STORE_STORE_WORD_H
#define STORE_STORE_WORD_H

#include "store/store_internal.h"

/* One word on one ticket, as its body needs it. */
struct word {
    const uint8_t *key;
    struct ticket_record *r; /* heap, zeroed by each run */
    int64_t now_s;
    enum err answer; /* what the word says when the change was committed */
    const struct store_claim *claim;
    uint8_t *wrap;
    bool renewed;
    const uint8_t *token, *digest, *payload_id;
    enum ticket_state state;
    const char *reason, *text;
    bool archive_first, hold;
};

/* The ticket for update, its lease lapsed if it is over. */
enum err word_get(struct change *c, struct word *w, int64_t live_until_s);

typedef enum err (*word_change)(struct store *s, change_body body, void *arg);
/* Runs a word by store_change or store_change_lazy and gives the ticket as the word left it, also with an
 * answer that is an error about the ticket. out may be NULL. */
enum err word_run_by(struct store *s, word_change change, change_body body, struct word *w,
                     struct ticket *out);
/* By store_change. */
enum err word_run(struct store *s, change_body body, struct word *w, struct ticket *out);

/* The store's key of a ticket, from A and the site key alone. ERR_NOT_FOUND for an unknown epoch. */
enum err store_key_of_a(struct store *s, const uint8_t a[TICKET_A_BYTES],
                        uint8_t key[TICKET_STORE_KEY_BYTES]);

#endif
