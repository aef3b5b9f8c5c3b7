/*
 * records.h - what the store's records look like, and their keys. Their bytes are codec.h's; what must not be
 * readable without the site key is sealed here under it, bound to the record's key.
 *
 * Every record says which version it has, and older ones are read as they are: an update converts nothing.
 * The store notes the newest version that wrote to it (store_check.c), and opening refuses one that is newer
 * than the program, so that a program that is put back refuses what it would misread.
 *
 * Records are large: they live on the heap. Functions are thread-safe, a record belongs to one thread.
 */
#ifndef STORE_RECORDS_H
#define STORE_RECORDS_H

#include "store/codec.h"
#include "store/engine.h"
#include "store/attempt.h"
#include "store/quota.h"
#include "store/store.h"

#define JOB_ID_BYTES 16

/* A ticket and what only the store knows of it. */
struct ticket_record {
    struct ticket t;      /* from_field, subject, challenge_url: see ticket_record_open */
    uint8_t dedupe[32];   /* hash of what makes a letter the same; zero: no other is */
    int64_t timer_s;      /* its entry in TIMER: expiry while it lives, purge afterwards */
    int64_t lease_hard_s; /* the running lease ends then at the latest, whatever is under way */
    int64_t stub_due_s;   /* its entries in WORK_DUE; 0: none */
    int64_t notify_due_s;
    uint32_t notify_tries;
    int64_t challenge_due_s;
    uint32_t challenge_tries;
    int64_t delay_due_s;
    uint32_t delay_tries;
    int64_t plain_due_s;
    uint32_t plain_tries;
    int64_t quota_due_s;
    uint32_t quota_tries;
    struct {
        uint16_t len;
        uint8_t data[2800];
    } sealed; /* from_field, subject and challenge_url: carried along unopened */
    char clear_challenge_url[CODEC_SIZEOF(struct ticket, challenge_url)]; /* in records of before */
};

/* A payload: its bytes are in SEALED or in a blob of the same id. owner and domain: in whose quota it counts,
 * "" in nobody's (kept mail; payloads of earlier formats). */
struct payload_record {
    bool in_blob;
    uint64_t size;
    uint32_t references; /* tickets that live, notifications that are due */
    int64_t created_s;
    struct {
        uint16_t len;
        uint8_t data[SITE_SEAL_OVERHEAD + SEAL_DEK_BYTES];
    } dek;
    char owner[STORE_ADDRESS_MAX], domain[STORE_ADDRESS_MAX]; /* lower case; "@a.test" */
    uint64_t letter_bytes;
    bool archived; /* the archive has a copy: of all tickets that share it */
};

struct job_record {
    struct job j;
    uint8_t same[32]; /* hash of what makes a stub the same: outlives the keys */
    int64_t timer_s;  /* ended: its entry in TIMER */
    struct {
        uint16_t len;
        uint8_t data[12288];
    } sealed;
};

/* A row of contact attempts. Its jobs' ids are in `jobs`, oldest first; a.job and a.waiting say the same. */
struct attempt_record {
    struct attempt a;
    struct {
        uint16_t len;
        uint8_t data[ATTEMPT_WAITING_MAX * JOB_ID_BYTES];
    } jobs;
    struct {
        uint16_t len;
        uint8_t data[5000];
    } sealed; /* all that is text: see attempt_record_open */
};

struct dedupe_record {
    uint8_t key[TICKET_STORE_KEY_BYTES];
    int64_t created_s;
};

/* The sum of the versions of all records, policy_record.h's among them: whenever one gets a new version, it
 * grows. */
uint32_t records_version(void);
/* Encoders append to *out. Decoders want *r zeroed and fill r's own key. ERR_STORE, ERR_STORE_FORMAT. */
enum err ticket_record_encode(const struct ticket_record *r, struct buf *out);
enum err ticket_record_decode(struct span bytes, const uint8_t key[TICKET_STORE_KEY_BYTES],
                              struct ticket_record *r);
/* Where a ticket keeps when an entry of the outbox is due, and how often it was tried. */
int64_t *ticket_record_due(struct ticket_record *r, enum work_kind kind);
uint32_t *ticket_record_tries(struct ticket_record *r, enum work_kind kind);
/* Seals from_field, subject and challenge_url into r->sealed; opens them again. ERR_STORE: not sealed by
 * these keys. */
enum err ticket_record_seal(const struct site_keys *keys, struct ticket_record *r);
enum err ticket_record_open(const struct site_keys *keys, struct ticket_record *r);

enum err payload_record_encode(const struct payload_record *r, struct buf *out);
enum err payload_record_decode(struct span bytes, struct payload_record *r);
enum err payload_record_seal_dek(const struct site_keys *keys, const uint8_t id[SEAL_PAYLOAD_ID_BYTES],
                                 const uint8_t dek[SEAL_DEK_BYTES], struct payload_record *r);
enum err payload_record_open_dek(const struct site_keys *keys, const uint8_t id[SEAL_PAYLOAD_ID_BYTES],
                                 const struct payload_record *r, uint8_t dek[SEAL_DEK_BYTES]);

/* Seals the job's private fields under the current site key, and opens them. Wipe with job_record_free. */
enum err job_record_encode(const struct site_keys *keys, struct job_record *r, struct buf *out);
enum err job_record_decode(const struct site_keys *keys, struct span bytes, const uint8_t id[16],
                           struct job_record *r);
/* Only state and times, nothing opened. */
enum err job_record_peek(struct span bytes, struct job_record *r);
void job_record_free(struct job_record *r);
/* id: the row's key in ATTEMPT. As with tickets, what is private is carried along unopened. */
enum err attempt_record_encode(const struct attempt_record *r, struct buf *out);
enum err attempt_record_decode(struct span bytes, struct attempt_record *r);
enum err attempt_record_seal(const struct site_keys *keys, struct span id, struct attempt_record *r);
enum err attempt_record_open(const struct site_keys *keys, struct span id, struct attempt_record *r);
/* The epoch of the site key that sealed bytes were made with. */
uint16_t sealed_epoch(const uint8_t *data);

enum err dedupe_record_encode(const struct dedupe_record *r, struct buf *out);
enum err dedupe_record_decode(struct span bytes, struct dedupe_record *r);
enum err quota_record_encode(const struct quota_use *u, struct buf *out);
enum err quota_record_decode(struct span bytes, struct quota_use *u);
enum err domain_record_encode(const struct store_domain *r, struct buf *out);
enum err domain_record_decode(struct span bytes, struct store_domain *r);

/* Keys of the tables that are ordered by time: [kind] time id [kind]. */
struct record_key {
    uint8_t data[64];
    size_t len;
};
enum timer_kind {
    TIMER_EXPIRE = 'e',
    TIMER_PURGE_TICKET = 'p',
    TIMER_PURGE_JOB = 'j',
    TIMER_PURGE_SPENT = 's',
    TIMER_PURGE_CORRESPONDENT = 'c'
};
struct record_key record_key_time(int64_t time_s, const uint8_t *id, size_t len); /* CREATED, JOB_DUE */
struct record_key record_key_timer(enum timer_kind kind, int64_t time_s, const uint8_t *id, size_t len);
struct record_key record_key_work(int64_t due_s, const uint8_t key[TICKET_STORE_KEY_BYTES],
                                  enum work_kind kind);
struct span record_key_span(const struct record_key *k); /* borrows */
/* Take such keys apart; false when one has another length or kind. */
bool record_key_time_parse(struct span key, size_t len, int64_t *time_s, uint8_t *id);
bool record_key_timer_parse(struct span key, size_t len, int64_t *time_s, uint8_t *id);
bool record_key_work_parse(struct span key, struct work *out);

#endif
