/*
 * test_crash.c - the process dies, and the store on disk is opened again: what was answered with ERR_OK is
 * there, what was not is there wholly or not at all, and nothing is left over.
 *
 * The child is this same program; it does the steps of a script and says on a pipe which returned ERR_OK. It
 * dies at each kill point in turn (RESTANTE_KILL), at every pass of it. What is killed from outside, in the
 * midst of much work: test_killed.c.
 */
#include "rig.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/kill.h"
#include "store/attempt.h"
#include "store/recall.h"

#define DAY_S 86400
#define NACKED_S (RIG_NOW_S - 1000) /* before the others end: it alone is purged */

/* ---- the script ---------------------------------------------------------------------------------------- */

enum slot {
    SMALL,
    LARGE,
    NACKED,
    BOUNCED,
    HELD,
    EXPIRED,
    REFUSED,
    LATER,
    PLAIN,
    RETRACTED,
    REPLACED,
    TICKETS,
    JOB_A = TICKETS,
    JOB_B,
    JOBS_END,
    ENTRY = JOBS_END, /* its state: 0 allow, 1 deny */
    TOKEN,            /* how many letters it admitted; 10 more when revoked */
    SPENT,            /* 0: it is spent */
    STRANGER,         /* a row: how many of his letters wait */
    KEPT,             /* the same of a row with kept messages */
    SLOTS
};
static const char *const slot_id[TICKETS] = {"<small>", "<large>",     "<nacked>",  "<bounced>",
                                             "<held>",  "<expired>",   "<refused>", "<later>",
                                             "<plain>", "<retracted>", "<replaced>"};

static const struct letter *slot_letter(int slot)
{
    static struct letter l;

    l = *LETTER();
    l.message_id = slot_id[slot];
    l.size = slot == LARGE ? 150000 : 3000;
    l.fill = (uint8_t)('a' + slot);
    if (slot == EXPIRED)
        l.expires_s = RIG_NOW_S + 100;
    return &l;
}

/* What takes its place. */
static const struct letter *slot_replacement(int slot)
{
    static struct letter l;

    l = *slot_letter(slot);
    l.size = 150000;
    l.fill = (uint8_t)(l.fill + 1);
    return &l;
}

enum word {
    DEPOSIT,
    STUB_DONE,
    STUB_LATER,
    STUB_AGAIN,
    STUB_WAIT,
    STUB_REFUSED,
    WARN,
    WARNED,
    ARCHIVE,
    GO_PLAIN,
    PLAIN_SENT,
    RETRACT,
    REPLACE,
    PUT_ON_HOLD,
    RELEASE,
    CLAIM,
    RESUME,
    ACK,
    NACK,
    BOUNCE,
    HOLD,
    CHALLENGE,
    CHALLENGE_TOLD,
    EXPIRE,
    NOTIFIED,
    ADD,
    JOB_LATER,
    DELIVERED,
    REFUSE,
    END_ACKED,
    END_NACKED,
    PURGE,
    ALLOW,
    DENY,
    FORGET,
    MAKE,
    USE,
    REVOKE,
    SPEND,
    HOLD_STUB,
    HOLD_TOLD,
    HOLD_GONE,
    KEEP_MESSAGE,
    ADMIT,
    DROP,
};
/* What each step leaves; -1: the slot's state stays. */
static const struct step {
    enum slot slot;
    enum word word;
    int state;
} script[] = {
    {SMALL, DEPOSIT, TICKET_WAITING},
    {LARGE, DEPOSIT, TICKET_WAITING},
    {NACKED, DEPOSIT, TICKET_WAITING},
    {BOUNCED, DEPOSIT, TICKET_WAITING},
    {HELD, DEPOSIT, TICKET_WAITING},
    {EXPIRED, DEPOSIT, TICKET_WAITING},
    {REFUSED, DEPOSIT, TICKET_WAITING},
    {LATER, DEPOSIT, TICKET_WAITING},
    {PLAIN, DEPOSIT, TICKET_WAITING},
    {RETRACTED, DEPOSIT, TICKET_WAITING},
    {REPLACED, DEPOSIT, TICKET_WAITING},
    {LARGE, DEPOSIT, -1}, /* the same letter again */
    {SMALL, STUB_DONE, -1},
    {LARGE, STUB_DONE, -1},
    {LATER, STUB_LATER, -1},
    {LATER, STUB_AGAIN, -1},
    {LATER, STUB_WAIT, -1},
    {LATER, WARN, -1},
    {LATER, WARNED, -1},
    {LATER, WARN, -1}, /* only once */
    {PLAIN, ARCHIVE, -1},
    {PLAIN, GO_PLAIN, TICKET_PLAIN},
    {PLAIN, PLAIN_SENT, -1},
    {RETRACTED, HOLD, TICKET_HELD},
    {RETRACTED, PUT_ON_HOLD, -1},
    {RETRACTED, RELEASE, -1},
    {RETRACTED, RETRACT, TICKET_RETRACTED},
    {RETRACTED, RETRACT, TICKET_RETRACTED},
    {RETRACTED, STUB_DONE, -1},
    {REPLACED, HOLD, TICKET_HELD},
    {REPLACED, REPLACE, -1},
    {REFUSED, STUB_REFUSED, TICKET_BOUNCED},
    {SMALL, CLAIM, TICKET_LEASED},
    {SMALL, RESUME, TICKET_LEASED},
    {SMALL, ACK, TICKET_DELIVERED},
    {LARGE, CLAIM, TICKET_LEASED},
    {LARGE, CLAIM, TICKET_LEASED},
    {LARGE, ACK, TICKET_DELIVERED},
    {NACKED, NACK, TICKET_REFUSED},
    {NACKED, NOTIFIED, -1},
    {BOUNCED, BOUNCE, TICKET_BOUNCED},
    {HELD, HOLD, TICKET_HELD},
    {HELD, CHALLENGE, TICKET_CHALLENGED},
    {HELD, CHALLENGE_TOLD, -1},
    {EXPIRED, EXPIRE, TICKET_EXPIRED},
    {JOB_A, ADD, JOB_WAITING},
    {JOB_B, ADD, JOB_WAITING},
    {JOB_A, JOB_LATER, -1},
    {JOB_A, DELIVERED, JOB_DELIVERED},
    {JOB_A, END_ACKED, JOB_ACKED},
    {JOB_B, REFUSE, JOB_REFUSED},
    {JOB_B, END_NACKED, JOB_NACKED},
    {ENTRY, ALLOW, 0},
    {ENTRY, DENY, 1},
    {ENTRY, FORGET, -2},
    {TOKEN, MAKE, 0},
    {TOKEN, USE, 1},
    {TOKEN, USE, 1}, /* the same message */
    {TOKEN, REVOKE, 11},
    {SPENT, SPEND, 0},
    {STRANGER, HOLD_STUB, 1},
    {STRANGER, HOLD_STUB, 2},
    {STRANGER, HOLD_TOLD, 2},
    {KEPT, KEEP_MESSAGE, 1},
    {KEPT, KEEP_MESSAGE, 2},
    {KEPT, DROP, -2},
    {STRANGER, ADMIT, -2},
    {STRANGER, HOLD_STUB, 1},
    {STRANGER, HOLD_GONE, -2},
    {STRANGER, HOLD_STUB, 1},
    {KEPT, KEEP_MESSAGE, 1},
    {NACKED, PURGE, -2}, /* nothing is left of it; last, since it is not flushed */
};
#define STEPS (int)(sizeof script / sizeof *script)

/* ---- the child ----------------------------------------------------------------------------------------- */

struct child {
    struct rig r;
    struct posted posted[TICKETS];
    struct job job[JOBS_END - TICKETS];
    int held; /* how many so far */
    uint8_t held_id[16];
};

static void fail_child(const char *what, enum err err)
{
    fprintf(stderr, "child: %s: %s\n", what, err_name(err));
    _exit(3);
}

static struct work entry(const struct child *c, int slot, enum work_kind kind)
{
    struct work w = {.kind = kind};

    memcpy(w.key, c->posted[slot].ticket.key, sizeof w.key);
    return w;
}

static enum err child_claim(struct child *c, int slot, bool resume)
{
    struct store_claim q = rig_claim(&c->posted[slot], 1, RIG_NOW_S);
    struct store_claimed out;

    return resume ? store_resume(c->r.s, &q, &out) : store_claim(c->r.s, &q, &out);
}

static void fill_job(struct job *j, int slot)
{
    memset(j, 0, sizeof *j);
    snprintf(j->url, sizeof j->url, "https://a.test/restante/1/%d", slot);
    strcpy(j->recipient, "bob@b.test");
    memset(j->ka, 'a', sizeof j->ka);
    j->created_s = j->due_s = RIG_NOW_S;
    j->expires_s = RIG_NOW_S + DAY_S;
}

static const uint8_t one_use[32] = {1};

static const char *slot_sender(int slot)
{
    return slot == KEPT ? "kept@a.test" : "stranger@a.test";
}

static struct attempt slot_facts(int slot)
{
    struct attempt a;

    memset(&a, 0, sizeof a);
    strcpy(a.mailbox, "bob@b.test");
    strcpy(a.sender, slot_sender(slot));
    return a;
}

static enum err hold_stub(struct child *c)
{
    struct attempt a = slot_facts(STRANGER);
    enum job_added added;
    struct job j;
    enum err err;

    fill_job(&j, 100 + c->held++);
    j.tell = JOB_TELL_HELD;
    err = store_attempt_add(c->r.s, &a, &j, 10, &added);
    memcpy(c->held_id, j.id, sizeof c->held_id);
    return err;
}

/* Large enough for a file; it is not opened here. */
static enum err keep_message(struct child *c)
{
    static const char bytes[100000];
    uint8_t id[SEAL_PAYLOAD_ID_BYTES], dek[SEAL_DEK_BYTES] = {1};
    struct attempt a = slot_facts(KEPT);
    struct store_payload *p;
    struct job j;
    enum err err;

    memset(id, 50 + c->held++, sizeof id);
    memset(&j, 0, sizeof j);
    strcpy(j.recipient, "bob@b.test");
    j.created_s = RIG_NOW_S;
    j.expires_s = RIG_NOW_S + DAY_S;
    err = store_payload_begin(c->r.s, id, &p);
    if (err != ERR_OK)
        return err;
    if ((err = store_payload_write(p, bytes, sizeof bytes)) != ERR_OK) {
        store_payload_abort(p);
        return err;
    }
    return store_attempt_keep(c->r.s, &a, &j, p, dek, 10, NULL);
}

static enum err do_step(struct child *c, const struct step *step)
{
    struct store *s = c->r.s;
    int slot = (int)step->slot;
    const uint8_t *key = slot < TICKETS ? c->posted[slot].ticket.key : NULL;
    struct job *j = slot >= TICKETS && slot < JOBS_END ? &c->job[slot - TICKETS] : NULL;
    struct posted again;
    enum job_added added;
    struct ticket t;
    struct work w;
    uint8_t digest[32];
    uint32_t count;
    enum err outcome;
    size_t n;

    switch (step->word) {
    case DEPOSIT:
        return rig_deposit(&c->r, slot_letter(slot), 1, step->state < 0 ? &again : &c->posted[slot]);
    case STUB_DONE:
        w = entry(c, slot, WORK_STUB);
        return store_work_done(s, &w, "4bStub", RIG_NOW_S);
    case STUB_LATER:
        w = entry(c, slot, WORK_STUB);
        return store_work_later(s, &w, RIG_NOW_S + 50, "later");
    case STUB_AGAIN:
        w = entry(c, slot, WORK_STUB);
        return store_stub_sent(s, &w, "4bStub", RIG_NOW_S + 60, RIG_NOW_S + 50);
    case STUB_WAIT:
        w = entry(c, slot, WORK_STUB);
        return store_stub_wait(s, &w, RIG_NOW_S + 70);
    case WARN:
        return store_delay_due(s, key, RIG_NOW_S);
    case WARNED:
        w = entry(c, slot, WORK_DELAY);
        return store_work_done(s, &w, "4bDelay", RIG_NOW_S);
    case ARCHIVE:
        return store_ticket_get(s, key, &t) == ERR_OK ? store_archived(s, key, t.payload_id, RIG_NOW_S)
                                                      : ERR_INTERNAL;
    case GO_PLAIN:
        return store_plain(s, key, "takes no stubs", RIG_NOW_S, &t);
    case RETRACT:
        return store_retract(s, key, false, RIG_NOW_S, &t);
    case REPLACE:
        return rig_replace(&c->r, &c->posted[slot], 1, slot_replacement(slot), 2, false, RIG_NOW_S, &outcome);
    case PUT_ON_HOLD:
    case RELEASE:
        return store_hold(s, key, step->word == PUT_ON_HOLD, "why", RIG_NOW_S, &t);
    case PLAIN_SENT:
        w = entry(c, slot, WORK_PLAIN);
        return store_work_done(s, &w, "4bPlain", RIG_NOW_S);
    case STUB_REFUSED:
        w = entry(c, slot, WORK_STUB);
        return store_work_refused(s, &w, "5.1.2", "no", RIG_NOW_S);
    case CLAIM:
    case RESUME:
        return child_claim(c, slot, step->word == RESUME);
    case ACK:
        letter_digest(slot_letter(slot), digest);
        return store_ack(s, key, digest, RIG_NOW_S, &t);
    case NACK:
        return store_nack(s, key, NULL, "denied", "", NACKED_S, &t);
    case BOUNCE:
        return store_bounced(s, c->posted[slot].keys.a, "5.1.1", "", RIG_NOW_S, &t);
    case HOLD:
        return store_status(s, key, TICKET_HELD, "", RIG_NOW_S, &t);
    case CHALLENGE:
        return store_status(s, key, TICKET_CHALLENGED, "https://b.test/c", RIG_NOW_S, &t);
    case CHALLENGE_TOLD:
        w = entry(c, slot, WORK_CHALLENGE);
        return store_work_done(s, &w, "4bTold", RIG_NOW_S);
    case EXPIRE:
        return store_expire(s, RIG_NOW_S + 101, 100, &n);
    case NOTIFIED:
        w = entry(c, slot, WORK_NOTIFY);
        return store_work_done(s, &w, "4bDsn", RIG_NOW_S);
    case ADD:
        fill_job(j, slot);
        return store_job_add(s, j, &added);
    case JOB_LATER:
        return store_job_later(s, j->id, RIG_NOW_S + 5, false, "later");
    case DELIVERED:
        memset(digest, 7, sizeof digest);
        return store_job_delivered(s, j->id, digest, 1, "4b", "250", RIG_NOW_S);
    case REFUSE:
        return store_job_refused(s, j->id, "mta-refused", "550", RIG_NOW_S);
    case END_ACKED:
        return store_job_end(s, j->id, JOB_ACKED, "", RIG_NOW_S);
    case END_NACKED:
        return store_job_end(s, j->id, JOB_NACKED, "", RIG_NOW_S);
    case PURGE:
        return store_purge(s, NACKED_S + c->r.options.tombstone_s, 100, &n);
    case ALLOW:
    case DENY:
        return store_entry_put(s, &(struct entry){.mailbox = "bob@b.test",
                                                  .kind = ENTRY_DOMAIN,
                                                  .value = "a.test",
                                                  .deny = step->word == DENY});
    case FORGET:
        return store_entry_remove(s, "bob@b.test", ENTRY_DOMAIN, "a.test");
    case MAKE:
        return store_token_add(s, &(struct token){.mailbox = "bob@b.test", .token = "shop"});
    case USE:
        return store_token_use(s, "bob@b.test", "shop", "a.test", one_use, RIG_NOW_S);
    case REVOKE:
        return store_token_revoke(s, "bob@b.test", "shop");
    case HOLD_STUB:
        return hold_stub(c);
    case HOLD_TOLD:
        return store_job_told(s, c->held_id, &(struct job_heard){"CN=Issuer", "01", 1, 1000, RIG_NOW_S}, 0);
    case HOLD_GONE:
        return store_job_gone(s, c->held_id, JOB_FAILED, "retracted", "", RIG_NOW_S);
    case KEEP_MESSAGE:
        return keep_message(c);
    case ADMIT:
        return store_attempt_admit(s, "bob@b.test", slot_sender(slot), UNPROVEN_GOES_ALONE, "allowed",
                                   RIG_NOW_S, &count);
    case DROP:
        return store_attempt_drop(s, "bob@b.test", slot_sender(slot), true, "denied", "", RIG_NOW_S, &count);
    case SPEND:
        return store_spend(s, one_use, RIG_NOW_S + 99 * DAY_S);
    }
    return ERR_INTERNAL;
}

static int run_script(const char *directory)
{
    static struct child c;
    struct buf why;
    enum err err;

    buf_init(&why, 1000);
    rig_init(&c.r, STORE_MEMORY);
    rig_use(&c.r, directory);
    if ((err = store_open(&c.r.options, c.r.keys, &c.r.s, &why)) != ERR_OK)
        fail_child(buf_cstr(&why), err);
    for (int i = 0; i < STEPS; i++) {
        uint8_t done = (uint8_t)i;

        if ((err = do_step(&c, &script[i])) != ERR_OK)
            fail_child("step", err);
        if (write(STDOUT_FILENO, &done, 1) != 1)
            _exit(4);
    }
    store_close(c.r.s);
    site_keys_free(c.r.keys);
    buf_free(&why);
    return 0;
}

/* ---- the parent ---------------------------------------------------------------------------------------- */

struct found {
    struct ticket ticket;
    size_t count;
};

static bool find(void *arg, const struct ticket *t)
{
    struct found *f = arg;

    f->ticket = *t;
    f->count++;
    return true;
}

/* The state of a slot in the store; -1: nothing there. */
static int slot_state(struct rig *r, int slot, struct posted *p)
{
    struct store_filter f = {.state = -1};
    struct found found = {.count = 0};
    struct entry e;
    struct attempt a;
    struct token t;
    struct job j;
    enum err err;

    if (slot == ENTRY) {
        err = store_entry_get(r->s, "bob@b.test", ENTRY_DOMAIN, "a.test", RIG_NOW_S, &e);
        return err == ERR_OK ? e.deny : -1;
    }
    if (slot == TOKEN) {
        err = store_token_get(r->s, "bob@b.test", "shop", &t);
        return err == ERR_OK ? (int)t.letters_used + 10 * t.revoked : -1;
    }
    if (slot == STRANGER || slot == KEPT) {
        err = store_attempt_get(r->s, "bob@b.test", slot_sender(slot), &a);
        return err == ERR_OK ? (int)a.waiting : -1;
    }
    if (slot == SPENT)
        return store_spend(r->s, one_use, RIG_NOW_S + 99 * DAY_S) == ERR_EXISTS ? 0 : -1;
    if (slot >= TICKETS) {
        uint8_t hash[32];

        fill_job(&j, slot);
        assert_err(ERR_OK, store_job_id(&j, hash));
        err = store_job_get(r->s, hash, &j);
        return err == ERR_OK ? (int)j.state : -1;
    }
    f.message_id = slot_id[slot];
    assert_err(ERR_OK, store_tickets(r->s, &f, 10, find, &found));
    assert_true(found.count <= 1);
    if (found.count == 0)
        return -1;
    memset(p, 0, sizeof *p);
    p->ticket = found.ticket;
    assert_err(ERR_OK, ticket_derive(r->keys, found.ticket.a, &p->keys));
    /* RIG_NOW_S is long past for the clock that reading goes by. */
    return found.ticket.state == TICKET_LAPSED ? TICKET_LEASED : (int)found.ticket.state;
}

/* A slot is as its last acknowledged step left it, or as the step in flight would. */
static void check_slot(struct rig *r, int slot, int done)
{
    int state = -1, next = -1, is;
    struct posted p = {.existing = false};

    for (int i = 0; i < done; i++)
        if ((int)script[i].slot == slot && script[i].state != -1)
            state = script[i].state == -2 ? -1 : script[i].state;
    next = state;
    if (done < STEPS && (int)script[done].slot == slot && script[done].state != -1)
        next = script[done].state == -2 ? -1 : script[done].state;
    is = slot_state(r, slot, &p);
    if (is != state && is != next)
        fail_msg("slot %d is in state %d after %d steps, not in %d or %d", slot, is, done, state, next);
    for (int i = 0; i < done; i++)
        if ((int)script[i].slot == slot && script[i].word == REPLACE)
            assert_int_equal(p.ticket.version, 2);
}

static size_t work_entries(struct rig *r, struct work *w, size_t max)
{
    size_t n;

    assert_err(ERR_OK, store_work_due(r->s, RIG_NOW_S + DAY_S, 0, w, max, &n));
    return n;
}

static bool count_waiting(void *arg, const struct attempt *a)
{
    *(uint64_t *)arg += a->waiting;
    return true;
}

static bool end_job(void *arg, const struct job *j)
{
    struct rig *r = arg;
    uint8_t dek[SEAL_DEK_BYTES];
    struct store_body body;

    /* The row knows of all that is held; what was kept is there whole. */
    if (j->kept && !job_state_ended(j->state)) {
        assert_err(ERR_OK, store_kept_open(r->s, j, &body, dek));
        store_body_close(&body);
    }
    if (!job_state_ended(j->state))
        assert_err(ERR_OK, store_job_end(r->s, j->id, JOB_FAILED, "", RIG_NOW_S));
    return true;
}

static void end_attempts(struct rig *r)
{
    struct store_counts c;
    uint64_t waiting = 0;

    assert_err(ERR_OK, store_count(r->s, &c));
    assert_err(ERR_OK, store_attempts(r->s, NULL, 100, count_waiting, &waiting));
    assert_int_equal(c.jobs[JOB_HELD], waiting);
    assert_err(ERR_OK, store_jobs(r->s, -1, 100, end_job, r));
    waiting = 0;
    assert_err(ERR_OK, store_attempts(r->s, NULL, 100, count_waiting, &waiting));
    assert_int_equal(waiting, 0);
}

static bool no_quota(void *arg, const struct quota_use *u)
{
    (void)arg;
    fail_msg("%s still uses %d letters", u->name, (int)u->letters);
    return false;
}

/* Everything that lives can still go its way to the end; then nothing but tombstones is left. */
static void carry_on(struct rig *r)
{
    struct store_counts c;
    struct work w[100];
    size_t n, count;

    for (int slot = 0; slot < TICKETS; slot++) {
        const struct letter *l = slot_letter(slot);
        struct store_claimed claimed;
        struct store_claim q;
        struct posted p;
        uint8_t digest[32];
        struct ticket t;
        int state = slot_state(r, slot, &p);

        if (state < 0 || ticket_state_ended((enum ticket_state)state))
            continue;
        if (p.ticket.version == 2)
            l = slot_replacement(slot);
        q = rig_claim(&p, 1, RIG_NOW_S + 50);
        assert_err(ERR_OK, store_claim(r->s, &q, &claimed));
        rig_check_body(r, &claimed, &p, l);
        letter_digest(l, digest);
        assert_err(ERR_OK, store_ack(r->s, p.ticket.key, digest, RIG_NOW_S + 50, &t));
    }
    end_attempts(r);
    /* What is left in the outbox are notices and plain letters, with what they are made of, and what tells of
     * a letter that was taken back. */
    assert_err(ERR_OK, store_count(r->s, &c));
    n = work_entries(r, w, 100);
    assert_int_equal(n, c.work);
    for (size_t i = 0; i < n; i++) {
        struct store_body body;
        struct ticket t;

        assert_err(ERR_OK, store_ticket_get(r->s, w[i].key, &t));
        if (w[i].kind == WORK_STUB) { /* so that who keeps it looks */
            assert_int_equal(t.state, TICKET_RETRACTED);
            assert_err(ERR_OK, store_stub_sent(r->s, &w[i], "4b", 0, RIG_NOW_S + 60));
            continue;
        }
        assert_true(w[i].kind == WORK_NOTIFY || w[i].kind == WORK_PLAIN);
        assert_err(ERR_OK, store_body_open(r->s, &t, &body));
        store_body_close(&body);
        assert_err(ERR_OK, store_work_done(r->s, &w[i], "4b", RIG_NOW_S + 60));
    }
    assert_err(ERR_OK, store_count(r->s, &c));
    assert_int_equal(c.work, 0);
    assert_int_equal(c.payloads, 0);
    assert_int_equal(c.payload_bytes, 0);
    assert_err(ERR_OK, store_quotas(r->s, 1, no_quota, NULL));
    rig_sweep(r, RIG_NOW_S);
    assert_int_equal(rig_file_count(r->directory, "payload"), 0);
    for (int i = 0; i < 2; i++) {
        struct job j;
        enum job_added added;

        fill_job(&j, TICKETS + i);
        assert_err(ERR_OK, store_job_add(r->s, &j, &added));
        assert_err(ERR_OK, store_job_get(r->s, j.id, &j));
        if (!job_state_ended(j.state))
            assert_err(ERR_OK, store_job_end(r->s, j.id, JOB_FAILED, "", RIG_NOW_S));
    }
    assert_err(ERR_OK, store_purge(r->s, RIG_NOW_S + 100 * DAY_S, 1000, &count));
    assert_err(ERR_OK, store_count(r->s, &c));
    for (int i = 0; i < TICKET_STATE_COUNT; i++)
        assert_int_equal(c.tickets[i], 0);
    for (int i = 0; i < JOB_STATE_COUNT; i++)
        assert_int_equal(c.jobs[i], 0);
    assert_int_equal(c.attempts, 0);
}

/* One life and death; false when the child came through alive. */
static bool die_at(const char *point, int nth, size_t *kills)
{
    struct rig r;
    struct buf said;
    char kill_at[100];
    bool killed;
    int status;

    rig_init(&r, STORE_BDB);
    buf_init(&said, 10000);
    snprintf(kill_at, sizeof kill_at, "%s:%d", point, nth);
    status =
        rig_run_self((const char *[]){"test_store_crash", "script", r.directory, NULL}, kill_at, -1, &said);
    killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    if (!killed && !(WIFEXITED(status) && WEXITSTATUS(status) == 0))
        fail_msg("%s: the child ended with status %x", kill_at, status);
    rig_open(&r);
    for (int slot = 0; slot < SLOTS; slot++)
        check_slot(&r, slot, (int)said.len);
    carry_on(&r);
    rig_free(&r);
    buf_free(&said);
    *kills += killed;
    return killed;
}

static void nothing_is_lost_or_half_at_any_kill_point(void **state)
{
    char *names = NULL, *rest = NULL;
    size_t size = 0, kills = 0, points = 0;
    FILE *f = open_memstream(&names, &size);

    (void)state;
    assert_non_null(f);
    kill_points_print(f);
    fclose(f);
    for (char *name = strtok_r(names, "\n", &rest); name != NULL; name = strtok_r(NULL, "\n", &rest)) {
        int nth = 1;

        /* test_backup.c walks through these, and t_check.py through those of a check. */
        if (strncmp(name, "backup-", 7) == 0 || strncmp(name, "restore-", 8) == 0 ||
            strncmp(name, "check-", 6) == 0)
            continue;
        while (die_at(name, nth, &kills))
            nth++;
        if (nth == 1)
            fail_msg("kill point %s was never passed", name);
        points++;
    }
    print_message("%zu kill points, %zu kills\n", points, kills);
    assert_true(points > 50);
    free(names);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_lost_or_half_at_any_kill_point),
    };

    if (argc == 3)
        return run_script(argv[2]);
    return cmocka_run_group_tests_name("store crashes", tests, NULL, NULL);
}
