/*
 * policy_record.h - the records behind policy.h, and the keys of their tables.
 *
 * Mailboxes, addresses and tokens are longer than a key may be: keys are heads of SHA-256 over them without
 * ASCII case, and the record has the text. All keys of one mailbox begin with its box. Pure functions,
 * thread-safe.
 */
#ifndef STORE_POLICY_RECORD_H
#define STORE_POLICY_RECORD_H

#include "store/engine.h"
#include "store/policy.h"
#include "store/records.h"

#define KEY_HASH_BYTES 16
#define SPENT_KEY_BYTES 32

struct policy_record { /* POLICY */
    char name[STORE_ADDRESS_MAX];
    struct policy p;
};
struct correspondent_record { /* CORRESPONDENT */
    char mailbox[STORE_ADDRESS_MAX];
    char address[STORE_ADDRESS_MAX];
    int64_t since_s, until_s; /* until_s: its entry in TIMER too */
};
struct seen_record { /* SEEN */
    int64_t first_s;
    int64_t last_s; /* roughly; records of earlier formats have none */
};
struct spent_record {  /* SPENT */
    int64_t expires_s; /* its entry in TIMER too */
};

/* Tables POLICY (struct policy_record), ENTRY (struct entry), CORRESPONDENT, TOKEN (struct token), SEEN,
 * SPENT. The encoder appends; the decoder wants *record zeroed. ERR_STORE, ERR_STORE_FORMAT. */
enum err policy_record_encode(enum engine_table table, const void *record, struct buf *out);
enum err policy_record_decode(enum engine_table table, struct span bytes, void *record);

uint32_t policy_records_version(void); /* the sum of their versions */

/* A mailbox's (or policy's) key, alone or with what is in it: kind and text. */
enum err key_box(const char *mailbox, struct record_key *out);
enum err key_in_box(const char *mailbox, int kind, const char *text, struct record_key *out);
/* From the first row of a box to behind its last. */
void key_box_range(const struct record_key *box, struct record_key *from, struct record_key *until);

#endif
