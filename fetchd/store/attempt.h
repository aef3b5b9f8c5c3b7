/*
 * attempt.h - the store's words on contact attempts: stubs and legacy messages from senders who are not
 * admitted (yet). What waits are jobs in JOB_HELD; a row a (mailbox, sender) counts them.
 *
 * A mailbox has at most rows_max rows: a new sender takes the place of the one heard of longest ago, whose
 * jobs are forgotten with it. One organisation (or, where nothing is proven, client network) has no more than
 * a quarter of rows_max (2 at least, 1000 at most): a new sender of it then takes the place of one of its
 * own, also while there is room, so that nobody alone can drive the others out. A row keeps the newest
 * ATTEMPT_WAITING_MAX jobs; older ones are forgotten too, first those whose sender nothing proves, which
 * never take the place of proven ones. So a flood leaves nothing behind that outlives its rows, and a stub
 * that was forgotten is an attempt anew when its sender repeats it. A row in which nothing waits any more
 * stays as a count for tombstone_s. All text from the network is sealed under the site key. Thread-safe.
 * Errors as in store.h.
 */
#ifndef STORE_ATTEMPT_H
#define STORE_ATTEMPT_H

#include "store/policy.h"
#include "store/quota.h"
#include "store/store.h"

#define ATTEMPT_WAITING_MAX 20
#define ATTEMPT_NAME_MAX 256

struct attempt {
    char mailbox[STORE_ADDRESS_MAX];
    char sender[STORE_ADDRESS_MAX]; /* what an allow entry would name: the author when aligned, else the
                                       sender in the envelope; with mailbox the row's key. Lower case */
    bool aligned;                   /* From aligns with the verified domain (kind of the entry: ADDRESS, else
                                       ENVELOPE) */
    /* of the newest stub or message; while one waits whose sender is proven, of the newest such */
    char author[STORE_ADDRESS_MAX]; /* From */
    char name[ATTEMPT_NAME_MAX];    /* display name, "" unless configured; raw: escape when shown */
    char subject[ATTEMPT_NAME_MAX]; /* the same */
    char list_id[256];
    char verified[256]; /* verified domain; "" for legacy mail that is not */
    char link_host[256];
    char certificate_issuer[256], certificate_serial[64]; /* once its link host was told */
    char client_address[NETADDR_TEXT_MAX], client_name[256];
    char reason[32];        /* admission's reason code: "known", "young", ... */
    bool legacy;            /* the newest came as a whole message */
    char organisation[256]; /* of verified; given when added, not kept. "": none is known */
    /* the row */
    int64_t first_s, last_s;
    uint32_t count;                       /* of stubs and messages ever */
    uint32_t waiting;                     /* that still wait */
    uint8_t job[ATTEMPT_WAITING_MAX][16]; /* these */
};

/*
 * DURABLE: j becomes a job in JOB_HELD, and *facts (its first part, down to `legacy`) the newest of its row.
 * A stub known already: JOB_KNOWN and nothing counted, but a held one's j->tell becomes due again; an ended
 * one's ack or nack does, as in store_job_add. *j gets id, state, and mailbox and attempt from *facts. A held
 * job is due (store_jobs_due) at once while j->tell says something, else past its expires_s, to be ended.
 */
enum err store_attempt_add(struct store *s, const struct attempt *facts, struct job *j, uint32_t rows_max,
                           enum job_added *added);

/* A legacy message kept whole: the same, with its sealed payload (store_payload_begin...), which is taken
 * whatever the result. j->kept and j->payload_id are set; j->size_bytes and j->digest (SHA-256 of the letter)
 * are the caller's. The payload goes with the job's end. The same bytes from the same sender to the same
 * recipient again (a 250 that was lost): nothing is stored, unless the earlier one has ended as JOB_FAILED.
 * limits (NULL: none): of owner_bytes for the mailbox, of domain_bytes for all that is kept, and of both for
 * its sender's share (quota_share). ERR_KEPT_FULL: with this it would be more, even though what its row takes
 * the place of goes; or nothing proves its sender (j->verified ""), in whose row ATTEMPT_WAITING_MAX proven
 * ones wait; nothing is changed.
 */
enum err store_attempt_keep(struct store *s, const struct attempt *facts, struct job *j,
                            struct store_payload *payload, const uint8_t dek[SEAL_DEK_BYTES],
                            uint32_t rows_max, const struct quota_limits *limits);
/* Sealed bytes and DEK of a kept job. ERR_NOT_FOUND, also when it has ended. Close with store_body_close. */
enum err store_kept_open(struct store *s, const struct job *j, struct store_body *out,
                         uint8_t dek[SEAL_DEK_BYTES]);

enum err store_attempt_get(struct store *s, const char *mailbox, const char *sender, struct attempt *out);
/* Newest first; mailbox NULL: all. */
enum err store_attempts(struct store *s, const char *mailbox, size_t limit,
                        bool (*each)(void *arg, const struct attempt *a), void *arg);

/* Kept messages of which nothing proves whose they are (job.verified ""): anybody may have written them in
 * the name of the one who is let in. */
enum unproven {
    UNPROVEN_STAYS,      /* they go on waiting */
    UNPROVEN_GOES_ALONE, /* they go when nothing else waits in the row, else they go on waiting */
    FOREIGN_STAYS_TOO /* they go on waiting, and so does what names another in From than the row's sender */
};

/* DURABLE: all that waits in the row becomes due to be pulled (or, kept, injected) now, by reason (a reason
 * code: why it is admitted); the row goes, unless something stays: it has no other then, and tells of the
 * newest that stays. *count: how many became due. ERR_NOT_FOUND. */
enum err store_attempt_admit(struct store *s, const char *mailbox, const char *sender, enum unproven unproven,
                             const char *reason, int64_t now_s, uint32_t *count);
/* DURABLE: all that waits ends, the row goes. told: the sender gets a nack (JOB_REFUSED with this reason and
 * text), else nothing (JOB_FAILED); of kept messages nobody is told. The stubs stay known, so that repeating
 * them changes nothing. ERR_NOT_FOUND. */
enum err store_attempt_drop(struct store *s, const char *mailbox, const char *sender, bool told,
                            const char *reason, const char *text, int64_t now_s, uint32_t *count);

/* DURABLE: the sender's site was told of a held job (or this failed for good), and said what it has:
 * nothing more is due but to look again at look_s (0: never), and its end. A version or size other than
 * before makes it `replaced`. The certificate's facts go to the row too. Not held any more: only the facts.
 * ERR_GONE: it has ended. */
enum err store_job_told(struct store *s, const uint8_t id[16], const struct job_heard *heard, int64_t look_s);

#endif
