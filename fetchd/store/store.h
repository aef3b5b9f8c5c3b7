/*
 * store.h - the contract of the store, in the words of the house: deposits, tickets, outbox, pull jobs.
 *
 * One implementation of the words (store.c, with the rules of a ticket's life in ticket_state.c) stands on a
 * small transactional engine (engine.h): Berkeley DB (store_bdb.c) or memory (store_mem.c). One conformance
 * suite runs against both. A struct store is thread-safe. Everything marked DURABLE is on disk when the
 * function returns ERR_OK; after a crash at any line either all of it is there or nothing.
 *
 * Times are UTC seconds. Strings in records are NUL-terminated and bounded by the buffers they come from.
 * Errors besides those named: ERR_STORE, ERR_DISK_FULL, ERR_NOMEM; ERR_STORE_FORMAT on opening a store of
 * another version.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/netaddr.h"
#include "seal/seal.h"
#include "ticket/ticket.h"

struct store;
struct quota_limits;

enum store_engine { STORE_MEMORY, STORE_BDB };
struct store_options {
    enum store_engine engine;
    const char *directory; /* BDB: holds db/ and payload/; created 0700 */
    int64_t
        record_max_bytes; /* sealed payloads up to this (at most 128 KiB) are records, larger ones files */
    int64_t cache_bytes;
    int64_t dedupe_s; /* 86400: the same letter again within this gets the existing ticket */
    int64_t tombstone_s;
    int64_t disk_floor_percent; /* below this free: ERR_DISK_FULL for deposits */
    bool repair; /* store_verify with repair comes next: counts that are missing or damaged are made anew, and
                  * a repair that was broken off is no error */
    const char *handover_directory; /* NULL: no journal (handover.h) */
    int64_t handover_keep_s;        /* how long its files are kept */
    void (*failed)(void *arg);      /* the environment must be recovered: stop the process (DB_RUNRECOVERY) */
    void *failed_arg;
};
/* Takes the exclusive lock file (ERR_EXISTS: another process has it), recovers, checks the format version and
 * the site keys (ERR_CONFIG with *why: a key file that differs, or lacks one that is needed; epochs.h),
 * sweeps orphaned payload files, starts checkpoint and log removal. */
enum err store_open(const struct store_options *o, struct site_keys *keys, struct store **out,
                    struct buf *why);
void store_close(struct store *s);

/*
 * The second half of a word that ends in _begin. Such a word returns, whatever it says, before that is
 * durable, and nobody may be told of it until store_when_durable has called back: with ERR_OK, when
 * everything that was committed before the call is durable; with another error, when that is not sure and
 * the caller must say so instead of what the word said. On a thread that serves all: then()
 * must be short and neither waits nor says a word to the store.
 */
struct store_later {
    void (*then)(struct store_later *l, enum err err); /* l may be freed in it */
    struct store_later *next;                          /* the store's */
};
void store_when_durable(struct store *s, struct store_later *l); /* borrows l until then(); never fails */
/* The same for callers who come in crowds: the sync waits until some dozens are there, or for
 * store_sync_waiting, which the caller calls when he has nothing to say for the moment: it syncs and calls
 * back in his own thread. */
void store_when_durable_soon(struct store *s, struct store_later *l);
void store_sync_waiting(struct store *s);

/* ---- sending side: payloads and tickets ---------------------------------------------------------------- */

enum ticket_state {
    TICKET_WAITING,    /* nobody called yet */
    TICKET_HELD,       /* the other side keeps it as a contact attempt */
    TICKET_CHALLENGED, /* the other side asks the sender to prove himself */
    TICKET_LEASED,     /* handed over, lease running */
    TICKET_LAPSED,     /* handed over, lease over: open again to designated pullers */
    TICKET_DELIVERED,  /* acked */
    TICKET_REFUSED,    /* nacked */
    TICKET_RETRACTED,
    TICKET_EXPIRED,     /* never called for */
    TICKET_UNCONFIRMED, /* handed over, never acked, time is up */
    TICKET_BOUNCED,     /* its stub came back */
    TICKET_PLAIN,       /* sent by plain SMTP after all */
    TICKET_STATE_COUNT
};
const char *ticket_state_name(enum ticket_state s); /* "waiting" ... */
/* The reason of a 410 for an ended state ("acked", "refused", ...); NULL for a living one. */
const char *ticket_state_gone(enum ticket_state s);
bool ticket_state_ended(enum ticket_state s);

#define STORE_ADDRESS_MAX 514
#define STORE_TEXT_MAX 512
#define STORE_QUEUE_ID_MAX 64
#define STORE_MESSAGE_ID_MAX 998
#define STORE_PARAM_MAX 512 /* NOTIFY, ORCPT, ENVID values */
#define STORE_NOTE_MAX 128

/* What happened to a ticket, and when: a state that it entered (below TICKET_STATE_COUNT), or one of these.
 */
enum ticket_happening {
    TICKET_EVENT_STUB_SENT = 32, /* the first one, and each re-notification */
    TICKET_EVENT_DELAY_TOLD,     /* the sender was warned that it still waits */
    TICKET_EVENT_NOTICE_SENT,    /* the sender was told of its end */
    TICKET_EVENT_REPLACED,
    TICKET_EVENT_HOLD,           /* put on hold */
    TICKET_EVENT_RESTORED,       /* came back from a backup: perhaps handed over since */
    TICKET_EVENT_ARCHIVED,       /* the archive has its copy */
    TICKET_EVENT_RELEASED,       /* taken off its hold */
    TICKET_EVENT_CHALLENGE_TOLD, /* the sender was told of a challenge */
    TICKET_EVENT_PLAIN_SENT,     /* the MTA has the letter itself */
    TICKET_EVENT_END
};
#define TICKET_EVENTS_MAX 24 /* kept: the first and the newest */
#define TICKET_EVENT_BYTES 9
struct ticket_event {
    unsigned what; /* enum ticket_state or enum ticket_happening */
    int64_t at_s;
};

/* One recipient's ticket, as stored. Contains A but no B, Ka or Kd: those are derived with the site key. */
struct ticket {
    uint8_t key[TICKET_STORE_KEY_BYTES];
    uint8_t a[TICKET_A_BYTES];
    uint8_t ka_hash[32];
    enum ticket_state state;
    uint32_t version; /* of the payload, from 1 */
    uint8_t payload_id[SEAL_PAYLOAD_ID_BYTES];
    uint64_t letter_bytes, sealed_bytes;
    uint8_t digest_hash[32];   /* SHA-256(A | SHA-256(letter)): checks an ack, says nothing of the letter */
    uint8_t sealed_digest[32]; /* SHA-256 of the sealed bytes, for Repr-Digest; computed by store_deposit */
    char owner[STORE_ADDRESS_MAX];  /* authenticated user or reverse-path */
    char sender[STORE_ADDRESS_MAX]; /* reverse-path */
    char recipient[STORE_ADDRESS_MAX];
    char from[STORE_ADDRESS_MAX]; /* address of From:, normal form; "" when there is none */
    char message_id[STORE_MESSAGE_ID_MAX + 1];
    char queue_id[STORE_QUEUE_ID_MAX];
    /* as given, "" when absent; notify also as confirm_domains has it for a sender who gave none */
    char notify[64], orcpt[STORE_PARAM_MAX], ret[8], envid[STORE_PARAM_MAX];
    bool smtputf8, body_8bit;
    bool bulk;         /* List-Id, Precedence or Auto-Submitted say so: no challenge is shown to its sender */
    char list_id[256]; /* "" when there is none */
    char challenge_url[512]; /* CHALLENGED: where the sender may prove himself; sealed on disk, as what
                                follows */
    char from_field[STORE_MESSAGE_ID_MAX + 1]; /* From's value unfolded, for the stub */
    char subject[STORE_MESSAGE_ID_MAX + 1];    /* "" unless stub_subject */
    int64_t created_s, expires_s, changed_s;
    /* lease */
    uint8_t lease_token[16];
    char lease_holder[NETADDR_TEXT_MAX];
    int64_t lease_started_s, lease_until_s, handed_over_s;
    uint32_t lapses, bodies;
    /* stub */
    uint32_t stub_tries; /* since it was last sent */
    int64_t stub_sent_s;
    char stub_queue_id[STORE_QUEUE_ID_MAX];
    char remote_reason[32];           /* nack's reason code */
    char remote_text[STORE_TEXT_MAX]; /* nack's or bounce's text, or the last error of the stub's sending */
    /* its life; records of earlier formats have none of it */
    bool hold; /* legal hold: no retract, no replace, no expiry */
    char hold_note[STORE_NOTE_MAX];
    bool several;  /* more than one puller has collected it: when one refuses it, another may have it */
    bool perhaps;  /* restored from a backup, and perhaps handed over since: no retract, replace, plain */
    bool archived; /* the archive has its copy (`journal`), by this ticket or another of the letter */
    uint32_t renotified;  /* stubs sent after the first */
    int64_t status_s;     /* when the other side last said held or challenged; 0 since what it said so of was
                             replaced: it is to look again */
    int64_t delay_told_s; /* the sender's warning became due; 0: not yet */
    int64_t look_s;       /* when its WORK_STUB is due; 0: never. Only in what the store's words give */
    uint32_t event_count; /* all that happened, more than are kept */
    struct {
        uint16_t len; /* of the kept ones, TICKET_EVENT_BYTES each: ticket_event_get */
        uint8_t data[TICKET_EVENTS_MAX * TICKET_EVENT_BYTES];
    } events;
};
/* The i-th of the kept events, oldest first; false behind the last. */
bool ticket_event_get(const struct ticket *t, size_t i, struct ticket_event *out);
const char *ticket_event_name(unsigned what); /* "waiting", "stub-sent" ... */

/* A payload being written. One thread at a time. */
struct store_payload;
enum err store_payload_begin(struct store *s, const uint8_t payload_id[SEAL_PAYLOAD_ID_BYTES],
                             struct store_payload **out);
enum err store_payload_write(struct store_payload *p, const void *data, size_t len);
/* Writes over the first bytes (the seal's header comes last). */
enum err store_payload_patch(struct store_payload *p, const void *header, size_t len);
void store_payload_abort(struct store_payload *p); /* leaves nothing; NULL is fine */

struct store_deposit {
    struct store_payload *payload; /* taken, whatever the result */
    const uint8_t *dek;            /* SEAL_DEK_BYTES; kept sealed under the site key with the wraps */
    const uint8_t *digest;         /* SHA-256 of the letter */
    const uint8_t *body_digest;    /* SHA-256 of the letter's body, for the same letter again */
    uint32_t version;
    uint64_t letter_bytes;
    const struct quota_limits *limits; /* NULL: none (quota.h) */
    bool system_mail;                  /* may use the reserve */
    struct buf *why;                   /* gets a sentence with figures with ERR_QUOTA; may be NULL */
    size_t count;
    struct store_deposit_ticket {
        struct ticket ticket; /* filled by the caller but for key, ka_hash, payload fields, state, wrap */
        const struct ticket_keys *keys;
        bool existing; /* out: the same letter again; ticket holds the existing one */
    } * item;
};
/*
 * DURABLE, one commit: payload, tickets, wraps and outbox entries (due at once). For each recipient whose
 * (owner, reverse-path, recipient, Message-ID, body digest) was deposited within dedupe_s and whose ticket
 * lives, is delivered, or went plain and was not refused then, the existing ticket is given instead; a
 * payload that nobody needs is dropped.
 */
enum err store_deposit(struct store *s, struct store_deposit *d);

enum err store_ticket_get(struct store *s, const uint8_t key[TICKET_STORE_KEY_BYTES], struct ticket *out);
enum err store_ticket_by_a(struct store *s, const uint8_t a[TICKET_A_BYTES], struct ticket *out);

struct store_filter { /* NULL or -1: any */
    const char *sender, *recipient, *queue_id, *message_id,
        *id_prefix /* hex of A's bytes from the third on, or of A */;
    int state;
};
/* Calls back for matching tickets, newest first, until it returns false or `limit` was reached. */
enum err store_tickets(struct store *s, const struct store_filter *f, size_t limit,
                       bool (*each)(void *arg, const struct ticket *t), void *arg);

/* Calls back for each recipient of a ticket's letter, as it is now, until it returns an error: those of all
 * tickets of its deposit that share its payload, or did. In no order. */
enum err store_letter_recipients(struct store *s, const struct ticket *t,
                                 enum err (*each)(void *arg, const char *recipient), void *arg);

/* Sealed bytes of a payload: either in memory or as a file. */
struct store_body {
    struct buf bytes; /* when fd is -1 */
    int fd;
    uint64_t size;
};
enum err store_body_open(struct store *s, const struct ticket *t, struct store_body *out);
void store_body_close(struct store_body *b);
/* The DEK, out of its seal under the site key (for DSNs, fall-back to plain). */
enum err store_payload_dek(struct store *s, const struct ticket *t, uint8_t dek[SEAL_DEK_BYTES]);

struct store_claim {
    uint8_t key[TICKET_STORE_KEY_BYTES];
    uint8_t lease_token[16];
    char holder[NETADDR_TEXT_MAX];
    const char *sender, *recipient,
        *from; /* must agree with the ticket, else ERR_CLAIM_MISMATCH, no change */
    int64_t now_s;
    int64_t lease_s, lease_total_s;
    uint32_t bodies_max;
    bool archive_first;   /* nothing is handed over that the archive has no copy of */
    int64_t live_until_s; /* the serving side knows that a body of the running lease is or was under way until
                             then */
};
struct store_claimed {
    struct ticket ticket;
    uint8_t wrap[SEAL_WRAP_BYTES];
    bool renewed;          /* the same token again */
    int64_t retry_after_s; /* with ERR_LEASED: doubles with each lapse; with ERR_UNARCHIVED: soon */
};
/* DURABLE: waiting | held | challenged | lapsed -> leased. ERR_NOT_FOUND, ERR_GONE (*out has the ticket),
 * ERR_LEASED (retry_after_s set), ERR_CLAIM_MISMATCH, ERR_TOO_MANY_BODIES, ERR_UNARCHIVED (a look at the
 * ticket, WORK_STUB, is due at once). */
enum err store_claim(struct store *s, const struct store_claim *c, struct store_claimed *out);
/* Its first half. */
enum err store_claim_begin(struct store *s, const struct store_claim *c, struct store_claimed *out);
/* Resume: checks that the lease is this token's and running; counts the body (DURABLE). ERR_LEASE_ENDED,
 * ERR_GONE. */
enum err store_resume(struct store *s, const struct store_claim *c, struct store_claimed *out);
/* DURABLE: handed over -> delivered; the wrap is destroyed, the payload freed with its last ticket unless a
 * notification is due. Repeated: ERR_OK. ERR_WRONG_DIGEST, ERR_NEVER_CLAIMED, ERR_GONE, ERR_NOT_FOUND: no
 * change. *out: the ticket. */
enum err store_ack(struct store *s, const uint8_t key[TICKET_STORE_KEY_BYTES], const uint8_t digest[32],
                   int64_t now_s, struct ticket *out);
/* Its first half. */
enum err store_ack_begin(struct store *s, const uint8_t key[TICKET_STORE_KEY_BYTES], const uint8_t digest[32],
                         int64_t now_s, struct ticket *out);
/* DURABLE: -> refused (repeated: ERR_OK); from waiting, held, challenged, own lease, or lapsed by its last
 * holder; of a ticket that several have collected -> unconfirmed. ERR_LEASED under another's lease. */
enum err store_nack(struct store *s, const uint8_t key[TICKET_STORE_KEY_BYTES], const uint8_t lease_token[16],
                    const char *reason, const char *text, int64_t now_s, struct ticket *out);
/* DURABLE: waiting -> held or challenged, and back between these. A challenge with a
 * URL that the ticket does not have yet makes a WORK_CHALLENGE due, unless the letter is bulk or has no
 * sender; it goes when the ticket is held, claimed or ends. */
enum err store_status(struct store *s, const uint8_t key[TICKET_STORE_KEY_BYTES], enum ticket_state state,
                      const char *url, int64_t now_s, struct ticket *out);
/* DURABLE: its stub came back: waiting, held, challenged -> bounced; after hand-over ERR_GONE or ERR_LEASED,
 * perhaps after hand-over ERR_RESTORED, no change. */
enum err store_bounced(struct store *s, const uint8_t a[TICKET_A_BYTES], const char *status, const char *text,
                       int64_t now_s, struct ticket *out);
/* DURABLE: what is past expires_s, not under a running lease and not on hold -> expired, or unconfirmed when
 * it was handed over, or perhaps was. Returns how many in *count. */
enum err store_expire(struct store *s, int64_t now_s, size_t max, size_t *count);

/* ---- sending side: the outbox -------------------------------------------------------------------------- */

enum work_kind {
    WORK_STUB,      /* look at the ticket: send its stub, first or again (lifecycle decides) */
    WORK_NOTIFY,    /* send the sender the DSN that the ticket's (ended) state calls for */
    WORK_CHALLENGE, /* tell the sender of the challenge that stands in his letter's way */
    WORK_DELAY,     /* warn the sender that his letter still waits */
    WORK_PLAIN,     /* send the letter of a ticket that ended as TICKET_PLAIN by plain SMTP */
    WORK_QUOTA,     /* tell the sender that he has used most of his quota; outlives the ticket's end */
    WORK_KIND_COUNT
};
struct work {
    enum work_kind kind;
    uint8_t key[TICKET_STORE_KEY_BYTES];
    int64_t due_s;
    uint32_t tries;
};
/* Entries due at now, oldest first, at most max. An entry given out is not given again for `grace_s`
 * (whatever the wall clock does; in memory only: after a crash it is due again). */
enum err store_work_due(struct store *s, int64_t now_s, int64_t grace_s, struct work *out, size_t max,
                        size_t *count);
/* Nothing was done with it: it is given out again when it is asked for. */
void store_work_give_back(struct store *s, const struct work *w);
/* When the next entry is, or was, due, in somebody's hands or not; INT64_MAX for none. */
enum err store_work_next(struct store *s, int64_t *due_s);
/* DURABLE: done. queue_id: of the MTA that has it now, which the ticket's events then say ("": it named
 * none); NULL: there was nothing to send. For a notification and a plain letter the payload is freed. A stub
 * is not sent again: store_stub_sent with next_s 0. */
enum err store_work_done(struct store *s, const struct work *w, const char *queue_id, int64_t now_s);
/* DURABLE: again at next_s, with the reason. */
enum err store_work_later(struct store *s, const struct work *w, int64_t next_s, const char *why);
/* DURABLE: WORK_STUB again at next_s, its stub having been sent now (store_stub_sent: the MTA has it), or not
 * (store_stub_wait: it was not its time, no try is counted). next_s 0: no more. */
enum err store_stub_sent(struct store *s, const struct work *w, const char *queue_id, int64_t next_s,
                         int64_t now_s);
enum err store_stub_wait(struct store *s, const struct work *w, int64_t next_s);
/* DURABLE: a WORK_DELAY is due at once, if the ticket lives, is not leased, and had none yet; there is none
 * either where the sender's NOTIFY or a null reverse-path forbids it, and none is left once it is claimed. */
enum err store_delay_due(struct store *s, const uint8_t key[TICKET_STORE_KEY_BYTES], int64_t now_s);
/* DURABLE: waiting, held, challenged -> plain, which closes the ticket to claims before its letter goes out;
 * a WORK_PLAIN is due at once and keeps the payload. ERR_HANDED_OVER, ERR_GONE, ERR_RESTORED: no change. */
enum err store_plain(struct store *s, const uint8_t key[TICKET_STORE_KEY_BYTES], const char *why,
                     int64_t now_s, struct ticket *out);
/* DURABLE: `archived` of the ticket and of all that share this payload, of which the archive has a copy.
 * ERR_GONE, no change: it ended and no other has the letter, or it has another letter by now. */
enum err store_archived(struct store *s, const uint8_t key[TICKET_STORE_KEY_BYTES],
                        const uint8_t payload_id[SEAL_PAYLOAD_ID_BYTES], int64_t now_s);
/* DURABLE: the MTA refused for good. WORK_STUB: ticket -> bounced, a notification becomes due. WORK_PLAIN: a
 * notification of the failure becomes due. Any other: ERR_INTERNAL. */
enum err store_work_refused(struct store *s, const struct work *w, const char *status, const char *text,
                            int64_t now_s);

/* ---- receiving side: pull jobs ------------------------------------------------------------------------- */

enum job_state {
    JOB_WAITING,   /* to be claimed */
    JOB_DELIVERED, /* our MTA has it; the ack is due */
    JOB_REFUSED,   /* our MTA will never take it (or policy says so); the nack is due */
    JOB_ACKED,     /* ended */
    JOB_NACKED,    /* ended */
    JOB_FAILED,    /* ended without a word to the sender: gone there, mismatch, expired */
    JOB_HELD,      /* a contact attempt: waits for its recipient's word (attempt.h) */
    JOB_STATE_COUNT
};
const char *job_state_name(enum job_state s);
bool job_state_ended(enum job_state s);

/* What the sender's site is to be told of a held job. */
enum job_tell { JOB_TELL_NOTHING, JOB_TELL_HELD, JOB_TELL_CHALLENGE, JOB_TELL_COUNT };

/* Sealed on disk under the site key but for state and times. */
struct job {
    uint8_t id[16]; /* first bytes of the SHA-256 of what makes a stub the same */
    enum job_state state;
    char url[TICKET_URL_MAX + 1];
    uint8_t ka[32], kd[32];                /* secret */
    uint8_t lease_token[16];               /* made with the job */
    char stub_from[STORE_ADDRESS_MAX];     /* f= */
    char stub_to[STORE_ADDRESS_MAX];       /* t= */
    char envelope_from[STORE_ADDRESS_MAX]; /* the stub's reverse-path */
    char recipient[STORE_ADDRESS_MAX];     /* envelope recipient, as to be injected */
    char author[STORE_ADDRESS_MAX];        /* address of the stub's From: */
    char notify[64], orcpt[STORE_PARAM_MAX], ret[8], envid[STORE_PARAM_MAX];
    char client_address[NETADDR_TEXT_MAX], client_name[256], client_helo[256];
    char queue_id[STORE_QUEUE_ID_MAX];         /* of the stub, here */
    char message_id[STORE_MESSAGE_ID_MAX + 1]; /* of the stub */
    bool smtputf8;
    uint64_t size_bytes; /* s= at first, then the letter's */
    int64_t created_s, expires_s, changed_s, due_s;
    uint32_t tries;
    uint32_t corrupt;   /* how often the sealed payload did not open */
    uint8_t digest[32]; /* of the letter, once injected: for the ack */
    char mta_queue_id[STORE_QUEUE_ID_MAX];
    char reason[32];           /* of a nack or failure */
    char text[STORE_TEXT_MAX]; /* last error; of DELIVERED and REFUSED the MTA's words (or policy's) */
    /* admission; records of earlier formats have none of it */
    char mailbox[STORE_ADDRESS_MAX]; /* the recipient's, without detail */
    char attempt[STORE_ADDRESS_MAX]; /* HELD: the sender under whom its row stands */
    char verified[256];              /* the sender's verified domain */
    char admission[32];              /* the reason code of the verdict */
    char proof[256];                 /* what else Authentication-Results will say: "spf=pass ..." */
    char list_id[256];
    char token[65];         /* used by this letter: see store_job_add */
    char organisation[256]; /* of the verified domain: a token is bound to it */
    enum job_tell tell;     /* HELD: due next */
    char challenge_url[512];
    char certificate_issuer[256], certificate_serial[64]; /* of the link host that was called */
    bool kept; /* a legacy message: its letter is a payload of this store */
    uint8_t payload_id[SEAL_PAYLOAD_ID_BYTES];
    /* what the sender's site said of the letter; records of earlier formats have none of it */
    uint32_t version; /* of the payload; 0: not told yet */
    bool replaced;    /* the sender has put another in its place since it waits here */
    int64_t heard_s;  /* when it last said so */
};
void job_wipe(struct job *j);

enum job_added { JOB_NEW, JOB_KNOWN, JOB_KNOWN_ENDED };
/* The id that a job of this stub has or would have; pure. */
enum err store_job_id(const struct job *j, uint8_t out[16]);
/* DURABLE. A known stub has the same URL, keys, sender, recipient, envelope recipient and author: nothing is
 * stored; for an ended one its ack or nack becomes due again (JOB_KNOWN_ENDED), and a held one is admitted by
 * this: it becomes JOB_WAITING, due now, with j's admission, proof and token (JOB_KNOWN). The same URL with
 * anything of these different is a job of its own. A new job starts (and a held one goes on) as JOB_WAITING,
 * or where j->state says so as JOB_REFUSED: its nack with j->reason and j->text is due. *j gets id and, when
 * known, the stored state. j->token is used up by a job that is new or was held; ERR_FORBIDDEN: it admits
 * nobody (any more), nothing is stored. */
enum err store_job_add(struct store *s, struct job *j, enum job_added *added);
enum err store_job_get(struct store *s, const uint8_t id[16], struct job *out);
/* Jobs in WAITING, DELIVERED, REFUSED, HELD that are due, oldest first; not given again for grace_s
 * (as of the outbox). A held one: at once while its `tell` says something, else when it is time to look
 * whether its letter still waits (store_job_told), and past its expires_s, to be ended. */
enum err store_jobs_due(struct store *s, int64_t now_s, int64_t grace_s, uint8_t (*ids)[16], size_t max,
                        size_t *count);
enum err store_jobs(struct store *s, int state /* -1: any */, size_t limit,
                    bool (*each)(void *arg, const struct job *j), void *arg);
/* DURABLE: next try. tries + 1; corrupt + 1 when the sealed payload was what failed, else corrupt stays. why
 * becomes j->text, unless the MTA's words stand there: of DELIVERED and REFUSED they stay. */
enum err store_job_later(struct store *s, const uint8_t id[16], int64_t due_s, bool corrupt, const char *why);
/* The same of a job that could not even be tried: not counted, and forgotten by a crash, after which it is
 * due at once. why NULL: what the last try said stays. */
enum err store_job_put_off(struct store *s, const uint8_t id[16], int64_t due_s, const char *why);
/* DURABLE: the MTA has taken it; an ack is due at once. */
enum err store_job_delivered(struct store *s, const uint8_t id[16], const uint8_t digest[32],
                             uint64_t size_bytes, const char *mta_queue_id, const char *text, int64_t now_s);
/* DURABLE: never to be taken; a nack with reason and text is due at once. */
enum err store_job_refused(struct store *s, const uint8_t id[16], const char *reason, const char *text,
                           int64_t now_s);
/* DURABLE: ends the job (JOB_ACKED, JOB_NACKED, JOB_FAILED); keys are destroyed but what recognises a
 * repeated stub stays until expires_s + tombstone_s. */
enum err store_job_end(struct store *s, const uint8_t id[16], enum job_state state, const char *why,
                       int64_t now_s);
/* DURABLE: the sender's site says that the letter is to be had no more: ended as JOB_FAILED with the reason
 * that it gave ("retracted"), or as JOB_ACKED. Of a contact attempt the row goes too when nothing else waits
 * in it. ERR_GONE: it had ended before, ERR_NOT_FOUND. */
enum err store_job_gone(struct store *s, const uint8_t id[16], enum job_state state, const char *reason,
                        const char *text, int64_t now_s);
/* What a link host showed of itself and of the letter. */
struct job_heard {
    const char *certificate_issuer, *certificate_serial; /* "" or NULL: nothing new */
    uint32_t version;                                    /* of the payload; 0: not told */
    uint64_t letter_bytes;                               /* goes with version */
    int64_t at_s;
};
/* DURABLE at the next commit: what was heard when a job's letter was called for. */
enum err store_job_called(struct store *s, const uint8_t id[16], const struct job_heard *heard);

/* ---- both sides ---------------------------------------------------------------------------------------- */

/* The last known answer to "does this domain take stubs?" (DURABLE at the next commit; losing it is
 * harmless). */
struct store_domain {
    bool takes_stubs;
    int64_t asked_s;
};
enum err store_domain_get(struct store *s, const char *domain, struct store_domain *out); /* ERR_NOT_FOUND */
enum err store_domain_put(struct store *s, const char *domain, const struct store_domain *d);

/* Removes tombstones of which nothing is in the outbox, ended jobs, rows of attempts in which nothing waits,
 * spent things and correspondents whose time is over, at most max. */
enum err store_purge(struct store *s, int64_t now_s, size_t max, size_t *count);

struct store_counts {
    uint64_t tickets[TICKET_STATE_COUNT];
    uint64_t jobs[JOB_STATE_COUNT];
    uint64_t payloads, payload_bytes, work;
    uint64_t attempts; /* rows */
    uint64_t removed;  /* tickets and jobs purged since the tables were last compacted */
    uint64_t disk_free_bytes, disk_total_bytes;
};
/* Kept in memory, and in the records: cheap. */
enum err store_count(struct store *s, struct store_counts *out);

#endif
