/*
 * attempt_row.h - the rows that count contact attempts, as the words on them read and write them in a change.
 *
 * A row is known by ATTEMPT_ROW_BYTES, the key of its mailbox and sender. It stands in the table ATTEMPT; its
 * entries in the index say when its sender was heard of last (among all rows, and in its mailbox's ring), and
 * the ring's length is kept beside. Who puts, moves or removes a row sees to its entries himself, but for
 * attempt_row_del, which takes all along.
 */
#ifndef STORE_ATTEMPT_ROW_H
#define STORE_ATTEMPT_ROW_H

#include "store/policy_record.h"
#include "store/store_internal.h"

#define ATTEMPT_ROW_BYTES (2 * KEY_HASH_BYTES) /* mailbox, sender */

enum err attempt_row_key(const char *mailbox, const char *sender, struct record_key *out);
/* For update; *r is zeroed first, and what is sealed of it stays so. ERR_NOT_FOUND. */
enum err attempt_row_get(struct change *c, const uint8_t row[ATTEMPT_ROW_BYTES], struct attempt_record *r);
/* As it was committed last, opened. Outside of changes. */
enum err attempt_row_read(struct store *s, struct span key, struct attempt_record *r);
enum err attempt_row_put(struct change *c, const uint8_t row[ATTEMPT_ROW_BYTES],
                         const struct attempt_record *r);
/* The row, its entries (last_s: as they say it) and its place in the ring. */
enum err attempt_row_del(struct change *c, const uint8_t row[ATTEMPT_ROW_BYTES], int64_t last_s);

/* With whom a kept message shares its part of what may be kept, as quota.h names it. */
void attempt_crowd(const struct attempt *facts, char *out, size_t size);

/* How many rows the row's mailbox has. */
enum err attempt_box_get(struct change *c, const uint8_t row[ATTEMPT_ROW_BYTES], uint64_t *rows);
enum err attempt_box_put(struct change *c, const uint8_t row[ATTEMPT_ROW_BYTES], uint64_t rows);

/* Both entries of a row, at the time when its sender was heard of last. */
enum err attempt_index_put(struct change *c, const uint8_t row[ATTEMPT_ROW_BYTES], int64_t last_s);
enum err attempt_index_del(struct change *c, const uint8_t row[ATTEMPT_ROW_BYTES], int64_t last_s);
/* False: not a key of the index. */
bool attempt_index_parse(struct span key, uint8_t row[ATTEMPT_ROW_BYTES], int64_t *last_s);
/* The part of the index with the rows of one mailbox, or of all (box: NULL); with those of all that were last
 * heard of before time_s. */
void attempt_index_range(const struct record_key *box, struct record_key *from, struct record_key *until);
void attempt_index_before(int64_t time_s, struct record_key *from, struct record_key *until);

/* Where in r->jobs a job's id stands; r->jobs.len: nowhere. */
size_t attempt_jobs_find(const struct attempt_record *r, const uint8_t id[JOB_ID_BYTES]);
void attempt_jobs_remove(struct attempt_record *r, size_t at);

#endif
