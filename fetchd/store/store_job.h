/*
 * store_job.h - the steps of store_job.c that the words on contact attempts take inside their changes.
 */
#ifndef STORE_STORE_JOB_H
#define STORE_STORE_JOB_H

#include "store/attempt.h"
#include "store/store_internal.h"

/* Whether a job in `from` may enter `to`: the table of allowed transitions. */
bool job_state_may(enum job_state from, enum job_state to);
/* What makes a stub or message the same; its head is the job's id. */
enum err job_same_hash(const struct job *j, uint8_t out[CRYPT_SHA256_BYTES]);

/* For update; r is wiped first. ERR_NOT_FOUND. */
enum err change_job_get(struct change *c, const uint8_t id[JOB_ID_BYTES], struct job_record *r);
enum err change_job_put(struct change *c, struct job_record *r);
/* A job that is new, put in this state, due at due_s. */
enum err change_job_new(struct change *c, struct job_record *r, const struct job *j,
                        const uint8_t same[CRYPT_SHA256_BYTES], enum job_state state, int64_t due_s);
/* The one way into a state: due at once while it lives (a held one: as it has to tell), purged some time
 * after it has ended. Leaving JOB_HELD, it leaves its row; ended, it gives up its payload. To be put
 * afterwards. */
enum err change_job_enter(struct change *c, struct job_record *r, enum job_state to, int64_t now_s);
/* Moves when a living job is due; to be put afterwards. */
enum err change_job_due(struct change *c, struct job_record *r, int64_t due_s);
/* A stub of a finished job: its ack or nack goes out again, with the authorisation that the stub brought. */
enum err change_job_revive(struct change *c, struct job_record *r, const struct job *again);
/* As if it had never been: record, index, payload. Not its row. */
enum err change_job_forget(struct change *c, struct job_record *r);
/* When a held job is due: now while there is something to tell, else at look_s (0: never), else when its time
 * is over. */
int64_t job_held_due(const struct job *j, int64_t now_s, int64_t look_s);
/* Notes what was heard; to be put afterwards. False: nothing new but the time. */
bool job_hear(struct job *j, const struct job_heard *heard);

/* In attempt_row.c: the held job leaves its row, if it stands in one. */
enum err change_attempt_leave(struct change *c, const struct job *j);
/* Its row goes, if it has one and nothing waits there any more. */
enum err change_attempt_empty(struct change *c, const struct job *j);
/* In store_attempt.c: rows in which nothing waits and that were last heard of tombstone_s ago; adds to
 * *count. */
enum err store_attempts_purge(struct store *s, int64_t now_s, size_t max, size_t *count);

#endif
