/*
 * test_attempt.c - what attempt.h promises, and what store.h does of held and kept jobs, on every engine.
 */
#include "rig.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "store/attempt.h"

#define DAY_S 86400
#define BOB "bob@b.test"
#define ALICE "alice@a.test"
#define ROWS 10

static struct attempt row(struct rig *r, const char *sender)
{
    struct attempt a;

    assert_err(ERR_OK, store_attempt_get(r->s, BOB, sender, &a));
    return a;
}

static enum err tell(struct rig *r, const uint8_t id[16], const char *issuer, const char *serial,
                     int64_t now_s)
{
    return store_job_told(r->s, id, &(struct job_heard){issuer, serial, 0, 0, now_s}, 0);
}

static enum err call(struct rig *r, const uint8_t id[16], const char *issuer, const char *serial)
{
    return store_job_called(r->s, id, &(struct job_heard){issuer, serial, 0, 0, RIG_NOW_S});
}

static size_t due(struct rig *r, int64_t now_s, uint8_t (*ids)[16], size_t max)
{
    size_t n = 99;

    assert_err(ERR_OK, store_jobs_due(r->s, now_s, 60, ids, max, &n));
    return n;
}

struct senders {
    size_t count;
    char name[50][40];
};

static bool list(void *arg, const struct attempt *a)
{
    struct senders *s = arg;

    snprintf(s->name[s->count++], sizeof s->name[0], "%.39s", a->sender);
    return s->count < 50;
}

static struct senders senders(struct rig *r, const char *mailbox, size_t limit)
{
    struct senders s = {.count = 0};

    assert_err(ERR_OK, store_attempts(r->s, mailbox, limit, list, &s));
    return s;
}

/* ---- rows ---------------------------------------------------------------------------------------------- */

static void a_stranger_is_a_line_in_the_list(struct rig *r)
{
    struct attempt a = rig_attempt("Bob@B.test", "Alice@A.test"), got;
    struct job j = rig_stub(1, RIG_NOW_S), stored;
    enum job_added added;

    strcpy(a.name, "A\x1b[31m");
    strcpy(a.subject, "Hello");
    strcpy(a.list_id, "dev.lists.test");
    strcpy(a.client_address, "192.0.2.1");
    strcpy(a.client_name, "mx.a.test");
    a.aligned = true;
    a.count = 77; /* the store's own part is not the caller's */
    strcpy(j.admission, "known");
    strcpy(j.proof, "spf=pass");
    assert_err(ERR_OK, store_attempt_add(r->s, &a, &j, ROWS, &added));
    assert_int_equal(added, JOB_NEW);
    assert_err(ERR_OK, store_attempt_get(r->s, BOB, ALICE, &got));
    assert_string_equal(got.mailbox, BOB);
    assert_string_equal(got.sender, ALICE);
    assert_string_equal(got.author, "Alice@A.test");
    assert_string_equal(got.name, a.name);
    assert_string_equal(got.subject, "Hello");
    assert_string_equal(got.list_id, "dev.lists.test");
    assert_string_equal(got.client_name, "mx.a.test");
    assert_true(got.aligned);
    assert_int_equal(got.first_s, RIG_NOW_S);
    assert_int_equal(got.last_s, RIG_NOW_S);
    assert_int_equal(got.count, 1);
    assert_int_equal(got.waiting, 1);
    assert_memory_equal(got.job[0], j.id, 16);
    stored = rig_job(r, j.id);
    assert_int_equal(stored.state, JOB_HELD);
    assert_int_equal(stored.tell, JOB_TELL_HELD);
    assert_string_equal(stored.admission, "known");
    assert_string_equal(stored.proof, "spf=pass");
    assert_memory_equal(stored.ka, j.ka, 32);
    assert_memory_equal(stored.kd, j.kd, 32);
    assert_int_equal(rig_counts(r).jobs[JOB_HELD], 1);
    assert_int_equal(rig_counts(r).attempts, 1);

    /* The second letter: the same row, with the newest facts. */
    strcpy(a.subject, "Hello again");
    a.legacy = true;
    j = rig_stub(2, RIG_NOW_S + 10);
    assert_err(ERR_OK, store_attempt_add(r->s, &a, &j, ROWS, &added));
    got = row(r, ALICE);
    assert_string_equal(got.subject, "Hello again");
    assert_true(got.legacy);
    assert_int_equal(got.count, 2);
    assert_int_equal(got.waiting, 2);
    assert_int_equal(got.first_s, RIG_NOW_S);
    assert_int_equal(got.last_s, RIG_NOW_S + 10);
    assert_int_equal(rig_counts(r).attempts, 1);
    assert_err(ERR_NOT_FOUND, store_attempt_get(r->s, BOB, "carol@a.test", &got));
    assert_err(ERR_NOT_FOUND, store_attempt_get(r->s, "rob@b.test", ALICE, &got));
}

static void a_repeated_stub_counts_once_and_is_told_again(struct rig *r)
{
    struct job j = rig_hold(r, BOB, ALICE, 1, RIG_NOW_S), again;
    struct attempt a = rig_attempt(BOB, ALICE);
    enum job_added added;
    uint8_t ids[9][16];

    assert_int_equal(due(r, RIG_NOW_S, ids, 9), 1);
    assert_err(ERR_OK, tell(r, j.id, "CN=Issuer", "01ab", RIG_NOW_S));
    assert_int_equal(due(r, RIG_NOW_S + 100, ids, 9), 0);
    again = rig_stub(1, RIG_NOW_S + 200);
    assert_err(ERR_OK, store_attempt_add(r->s, &a, &again, ROWS, &added));
    assert_int_equal(added, JOB_KNOWN);
    assert_int_equal(again.state, JOB_HELD);
    assert_memory_equal(again.id, j.id, 16);
    assert_int_equal(row(r, ALICE).count, 1);
    assert_int_equal(row(r, ALICE).waiting, 1);
    assert_int_equal(due(r, RIG_NOW_S + 199, ids, 9), 0);
    assert_int_equal(due(r, RIG_NOW_S + 200, ids, 9), 1);
    /* Told of a challenge this time. */
    again = rig_stub(1, RIG_NOW_S + 210);
    again.tell = JOB_TELL_CHALLENGE;
    strcpy(again.challenge_url, "https://b.test/challenge/1");
    assert_err(ERR_OK, store_attempt_add(r->s, &a, &again, ROWS, &added));
    assert_int_equal(due(r, RIG_NOW_S + 210, ids, 9), 1); /* although somebody had it in hand */
    j = rig_job(r, j.id);
    assert_int_equal(j.tell, JOB_TELL_CHALLENGE);
    assert_string_equal(j.challenge_url, "https://b.test/challenge/1");
    /* Nothing to tell: nothing changes. */
    again.tell = JOB_TELL_NOTHING;
    assert_err(ERR_OK, store_attempt_add(r->s, &a, &again, ROWS, &added));
    assert_int_equal(rig_job(r, j.id).tell, JOB_TELL_CHALLENGE);
}

static void what_was_told_is_due_at_its_end(struct rig *r)
{
    struct job j = rig_hold(r, BOB, ALICE, 1, RIG_NOW_S), quiet = rig_stub(2, RIG_NOW_S);
    struct attempt a = rig_attempt(BOB, ALICE), got;
    uint8_t ids[9][16], none[16] = {0};
    enum job_added added;

    assert_err(ERR_OK, store_job_later(r->s, j.id, RIG_NOW_S + 50, false, "not now"));
    j = rig_job(r, j.id);
    assert_int_equal(j.state, JOB_HELD);
    assert_int_equal(j.tries, 1);
    assert_int_equal(j.due_s, RIG_NOW_S + 50);
    assert_err(ERR_OK, tell(r, j.id, "CN=Issuer", "01ab", RIG_NOW_S + 50));
    got = row(r, ALICE);
    assert_string_equal(got.certificate_issuer, "CN=Issuer");
    assert_string_equal(got.certificate_serial, "01ab");
    assert_string_equal(rig_job(r, j.id).certificate_serial, "01ab");
    assert_int_equal(rig_job(r, j.id).due_s, j.expires_s + 1);

    quiet.tell = JOB_TELL_NOTHING;
    quiet.expires_s = RIG_NOW_S + DAY_S;
    assert_err(ERR_OK, store_attempt_add(r->s, &a, &quiet, ROWS, &added));
    assert_string_equal(row(r, ALICE).certificate_issuer, "CN=Issuer"); /* the same host */
    assert_int_equal(due(r, RIG_NOW_S + DAY_S, ids, 9), 0);
    assert_int_equal(due(r, RIG_NOW_S + DAY_S + 1, ids, 9), 1);
    assert_memory_equal(ids[0], quiet.id, 16);
    assert_err(ERR_OK, store_job_end(r->s, quiet.id, JOB_FAILED, "expired", RIG_NOW_S + DAY_S));
    assert_int_equal(row(r, ALICE).waiting, 1);
    assert_memory_equal(row(r, ALICE).job[0], j.id, 16);
    /* Told of what has ended or never was. */
    assert_err(ERR_GONE, tell(r, quiet.id, "", "", RIG_NOW_S));
    assert_err(ERR_NOT_FOUND, tell(r, none, "", "", RIG_NOW_S));
    /* Another host: the certificate was not its. */
    strcpy(a.link_host, "other.a.test");
    quiet = rig_stub(3, RIG_NOW_S + 60);
    assert_err(ERR_OK, store_attempt_add(r->s, &a, &quiet, ROWS, &added));
    assert_string_equal(row(r, ALICE).certificate_issuer, "");
    assert_err(ERR_OK, tell(r, j.id, "CN=Old", "1", RIG_NOW_S + 60));
    assert_string_equal(row(r, ALICE).certificate_issuer, "");
    assert_err(ERR_OK, tell(r, quiet.id, "CN=New", "2", RIG_NOW_S + 60));
    assert_string_equal(row(r, ALICE).certificate_issuer, "CN=New");
}

static void a_ring_keeps_the_newest_senders(struct rig *r)
{
    char sender[40];
    struct job first = {.due_s = 0}, j;
    struct senders s;
    uint8_t ids[9][16];

    for (int i = 0; i < ROWS; i++) {
        snprintf(sender, sizeof sender, "s%d@a.test", i);
        j = rig_hold(r, BOB, sender, i, RIG_NOW_S + i);
        if (i == 1)
            first = j;
    }
    rig_hold(r, "rob@b.test", ALICE, 100, RIG_NOW_S);   /* another ring */
    rig_hold(r, BOB, "s0@a.test", 101, RIG_NOW_S + 50); /* heard of again: s1 is the oldest now */
    assert_int_equal(rig_counts(r).attempts, ROWS + 1);
    assert_int_equal(due(r, RIG_NOW_S + 1, ids, 9), 3); /* one of the evicted is in somebody's hands */

    rig_hold(r, BOB, "new@a.test", 102, RIG_NOW_S + 60);
    s = senders(r, BOB, 100);
    assert_int_equal(s.count, ROWS);
    assert_string_equal(s.name[0], "new@a.test");
    assert_string_equal(s.name[1], "s0@a.test");
    assert_string_equal(s.name[2], "s9@a.test");
    assert_string_equal(s.name[ROWS - 1], "s2@a.test");
    /* It left nothing behind. */
    assert_err(ERR_NOT_FOUND, store_job_get(r->s, first.id, &j));
    assert_err(ERR_NOT_FOUND, tell(r, first.id, "", "", RIG_NOW_S));
    assert_err(ERR_NOT_FOUND, store_job_later(r->s, first.id, RIG_NOW_S, false, ""));
    assert_int_equal(rig_counts(r).jobs[JOB_HELD], ROWS + 2);
    assert_int_equal(rig_counts(r).attempts, ROWS + 1);
    /* Its stub again is an attempt anew. */
    rig_hold(r, BOB, "s1@a.test", 1, RIG_NOW_S + 70);
    assert_int_equal(row(r, "s1@a.test").count, 1);

    s = senders(r, NULL, 100);
    assert_int_equal(s.count, ROWS + 1);
    assert_string_equal(s.name[0], "s1@a.test");
    assert_string_equal(s.name[ROWS], ALICE);
    assert_int_equal(senders(r, BOB, 3).count, 3);
    assert_int_equal(senders(r, "nobody@b.test", 3).count, 0);
}

/* A stranger of a domain (NULL: nothing proves one) at an address; the ring has ROWS rows. */
static void hold_of(struct rig *r, const char *sender, const char *domain, const char *client, int n)
{
    struct attempt a = rig_attempt(BOB, sender);
    struct job j = rig_stub(n, RIG_NOW_S + n);
    enum job_added added;

    snprintf(a.verified, sizeof a.verified, "%s", domain ? domain : "");
    snprintf(a.organisation, sizeof a.organisation, "%s", domain ? "evil.test" : "");
    snprintf(a.client_address, sizeof a.client_address, "%s", client);
    assert_err(ERR_OK, store_attempt_add(r->s, &a, &j, ROWS, &added));
    assert_int_equal(added, JOB_NEW);
}

static void nobody_alone_drives_the_others_out(struct rig *r)
{
    char sender[60], domain[40], client[40];
    struct senders s;

    for (int i = 0; i < ROWS - 3; i++) {
        snprintf(sender, sizeof sender, "s%d@a.test", i);
        rig_hold(r, BOB, sender, i, RIG_NOW_S + i);
    }
    for (int i = 0; i < 30; i++) {
        snprintf(domain, sizeof domain, i % 2 ? "x%d.evil.test" : "evil.test", i);
        snprintf(sender, sizeof sender, "e%d@%s", i, domain);
        hold_of(r, sender, domain, "192.0.2.1", 20 + i);
    }
    s = senders(r, BOB, 100);
    assert_int_equal(s.count, ROWS - 1);
    assert_string_equal(s.name[ROWS - 2], "s0@a.test");
    assert_string_equal(s.name[2], "s6@a.test");
    assert_string_equal(s.name[0], "e29@x29.evil.test");
    assert_string_equal(s.name[1], "e28@evil.test");
    /* What nothing proves is told apart by its network. */
    for (int i = 0; i < 30; i++) {
        snprintf(sender, sizeof sender, "f%d@f%d.test", i, i);
        snprintf(client, sizeof client, "198.51.100.%d", i);
        hold_of(r, sender, NULL, client, 60 + i);
    }
    s = senders(r, BOB, 100);
    assert_int_equal(s.count, ROWS);
    assert_string_equal(s.name[2], "e29@x29.evil.test");
    assert_string_equal(s.name[ROWS - 1], "s1@a.test");
}

static void nobody_fills_the_ring_while_there_is_room(struct rig *r)
{
    char sender[60];
    struct senders s;

    rig_hold(r, BOB, "s0@a.test", 0, RIG_NOW_S);
    for (int i = 0; i < 30; i++) {
        snprintf(sender, sizeof sender, "e%d@evil.test", i);
        hold_of(r, sender, "evil.test", "192.0.2.1", 20 + i);
    }
    s = senders(r, BOB, 100);
    assert_int_equal(s.count, 3); /* two of the flood */
    assert_int_equal(rig_counts(r).attempts, 3);
    assert_int_equal(rig_counts(r).jobs[JOB_HELD], 3);
    /* Those who come have the room that is left, however new the flood keeps its own rows. */
    for (int i = 1; i < ROWS - 2; i++) {
        snprintf(sender, sizeof sender, "s%d@a.test", i);
        rig_hold(r, BOB, sender, i, RIG_NOW_S + 60 + i);
        hold_of(r, "e28@evil.test", "evil.test", "192.0.2.1", 100 + 2 * i);
        hold_of(r, "e29@evil.test", "evil.test", "192.0.2.1", 101 + 2 * i);
    }
    s = senders(r, BOB, 100);
    assert_int_equal(s.count, ROWS);
    assert_string_equal(s.name[ROWS - 1], "s0@a.test");
}

static void a_smaller_maximum_is_reached_in_steps(struct rig *r)
{
    char sender[40];
    struct attempt a;
    enum job_added added;

    for (int i = 0; i < ROWS; i++) {
        snprintf(sender, sizeof sender, "s%d@a.test", i);
        rig_hold(r, BOB, sender, i, RIG_NOW_S + i);
    }
    for (int i = 20; i < 25; i++) {
        struct job j = rig_stub(i, RIG_NOW_S + i);

        snprintf(sender, sizeof sender, "s%d@a.test", i);
        a = rig_attempt(BOB, sender);
        assert_err(ERR_OK, store_attempt_add(r->s, &a, &j, i == 24 ? 0 : 3, &added));
    }
    assert_true(senders(r, BOB, 50).count <= 3);
    assert_int_equal(rig_counts(r).attempts, senders(r, BOB, 50).count);
    assert_int_equal(rig_counts(r).jobs[JOB_HELD], senders(r, BOB, 50).count);
}

static void a_row_keeps_the_newest_twenty(struct rig *r)
{
    struct job first = rig_hold(r, BOB, ALICE, 0, RIG_NOW_S), j;
    struct attempt a;
    uint32_t count;

    for (int i = 1; i <= ATTEMPT_WAITING_MAX + 4; i++)
        j = rig_hold(r, BOB, ALICE, i, RIG_NOW_S + i);
    a = row(r, ALICE);
    assert_int_equal(a.count, ATTEMPT_WAITING_MAX + 5);
    assert_int_equal(a.waiting, ATTEMPT_WAITING_MAX);
    assert_memory_equal(a.job[ATTEMPT_WAITING_MAX - 1], j.id, 16);
    assert_int_equal(rig_counts(r).jobs[JOB_HELD], ATTEMPT_WAITING_MAX);
    assert_err(ERR_NOT_FOUND, store_job_get(r->s, first.id, &j));
    assert_err(ERR_OK, store_attempt_admit(r->s, BOB, ALICE, UNPROVEN_GOES_ALONE, "allowed", RIG_NOW_S + 100,
                                           &count));
    assert_int_equal(count, ATTEMPT_WAITING_MAX);
}

/* ---- admitted, dropped --------------------------------------------------------------------------------- */

static void an_admitted_sender_s_letters_are_pulled_at_once(struct rig *r)
{
    struct job a = rig_hold(r, BOB, ALICE, 1, RIG_NOW_S), b = rig_hold(r, BOB, ALICE, 2, RIG_NOW_S + 1),
               other = rig_hold(r, BOB, "carol@a.test", 3, RIG_NOW_S), got;
    struct attempt gone;
    uint8_t ids[9][16], digest[32] = {7};
    uint32_t count = 0;

    assert_int_equal(due(r, RIG_NOW_S + 1, ids, 9), 3); /* all in hand, to be told */
    assert_err(ERR_OK, store_attempt_admit(r->s, "Bob@b.test", "Alice@a.test", UNPROVEN_GOES_ALONE, "solved",
                                           RIG_NOW_S + 5, &count));
    assert_int_equal(count, 2);
    assert_int_equal(due(r, RIG_NOW_S + 5, ids, 9), 2);
    got = rig_job(r, a.id);
    assert_int_equal(got.state, JOB_WAITING);
    assert_string_equal(got.admission, "solved");
    assert_int_equal(got.due_s, RIG_NOW_S + 5);
    assert_int_equal(got.tell, JOB_TELL_NOTHING);
    assert_memory_equal(got.ka, a.ka, 32);
    assert_memory_equal(got.kd, a.kd, 32);
    assert_int_equal(rig_job(r, other.id).state, JOB_HELD);
    assert_err(ERR_NOT_FOUND, store_attempt_get(r->s, BOB, ALICE, &gone));
    assert_err(ERR_NOT_FOUND,
               store_attempt_admit(r->s, BOB, ALICE, UNPROVEN_GOES_ALONE, "allowed", RIG_NOW_S, &count));
    assert_int_equal(rig_counts(r).attempts, 1);
    /* And goes its way as any job. */
    assert_err(ERR_OK, tell(r, b.id, "CN=I", "1", RIG_NOW_S + 6)); /* said too late: no harm */
    assert_int_equal(rig_job(r, b.id).state, JOB_WAITING);
    assert_err(ERR_OK, call(r, b.id, "CN=J", "2"));
    assert_string_equal(rig_job(r, b.id).certificate_issuer, "CN=J");
    assert_err(ERR_OK, store_job_delivered(r->s, b.id, digest, 9, "4b", "250", RIG_NOW_S + 7));
    assert_err(ERR_OK, store_job_end(r->s, b.id, JOB_ACKED, "", RIG_NOW_S + 8));
    assert_err(ERR_NOT_FOUND, call(r, digest, "CN=J", "2"));
}

static struct job hold_from(struct rig *r, const char *author, int n)
{
    struct attempt a = rig_attempt(BOB, ALICE);
    struct job j = rig_stub(n, RIG_NOW_S + n);
    enum job_added added;

    snprintf(a.author, sizeof a.author, "%s", author);
    a.aligned = strcmp(author, "ceo@bank.test") != 0;
    snprintf(j.author, sizeof j.author, "%s", author);
    strcpy(j.verified, "a.test");
    assert_err(ERR_OK, store_attempt_add(r->s, &a, &j, ROWS, &added));
    return j;
}

static uint32_t admit_own(struct rig *r)
{
    uint32_t count = 99;

    assert_err(ERR_OK, store_attempt_admit(r->s, BOB, ALICE, FOREIGN_STAYS_TOO, "correspondent",
                                           RIG_NOW_S + 50, &count));
    return count;
}

static void what_names_another_does_not_come_in_with_his_own(struct rig *r)
{
    struct job foreign = hold_from(r, "ceo@bank.test", 1), own = hold_from(r, "\"Alice\"@A.test", 2), last;
    struct attempt a;

    assert_true(row(r, ALICE).aligned);
    assert_int_equal(admit_own(r), 1);
    assert_int_equal(rig_job(r, own.id).state, JOB_WAITING);
    assert_int_equal(rig_job(r, foreign.id).state, JOB_HELD);
    a = row(r, ALICE);
    assert_int_equal(a.waiting, 1);
    assert_memory_equal(a.job[0], foreign.id, 16);
    assert_false(a.aligned);
    assert_string_equal(a.author, "ceo@bank.test");
    assert_string_equal(a.verified, "a.test");
    assert_int_equal(admit_own(r), 0);
    /* The other way round: what came last keeps nothing else waiting. */
    own = hold_from(r, ALICE, 3);
    last = hold_from(r, "ceo@bank.test", 4);
    assert_int_equal(admit_own(r), 1);
    assert_int_equal(rig_job(r, own.id).state, JOB_WAITING);
    assert_int_equal(rig_job(r, last.id).state, JOB_HELD);
    a = row(r, ALICE);
    assert_int_equal(a.waiting, 2);
    assert_false(a.aligned);
    assert_string_equal(a.link_host, "pull.a.test");
    assert_err(ERR_OK, store_job_end(r->s, foreign.id, JOB_FAILED, "expired", RIG_NOW_S + 60));
    assert_err(ERR_OK, store_job_end(r->s, last.id, JOB_FAILED, "expired", RIG_NOW_S + 60));
    hold_from(r, ALICE, 5);
    assert_int_equal(admit_own(r), 1);
    assert_err(ERR_NOT_FOUND, store_attempt_get(r->s, BOB, ALICE, &a));
}

static void a_dropped_sender_is_told_or_not(struct rig *r)
{
    struct job a = rig_hold(r, BOB, ALICE, 1, RIG_NOW_S), b = rig_hold(r, BOB, "carol@a.test", 2, RIG_NOW_S),
               got;
    struct attempt f = rig_attempt(BOB, ALICE);
    uint8_t ids[9][16];
    enum job_added added;
    uint32_t count = 0;

    assert_err(ERR_OK, store_attempt_drop(r->s, BOB, ALICE, true, "denied", "no", RIG_NOW_S + 5, &count));
    assert_int_equal(count, 1);
    got = rig_job(r, a.id);
    assert_int_equal(got.state, JOB_REFUSED);
    assert_string_equal(got.reason, "denied");
    assert_string_equal(got.text, "no");
    assert_memory_equal(got.ka, a.ka, 32);
    assert_err(ERR_OK,
               store_attempt_drop(r->s, BOB, "carol@a.test", false, "denied", "", RIG_NOW_S + 5, &count));
    assert_int_equal(rig_job(r, b.id).state, JOB_FAILED);
    assert_int_equal(rig_counts(r).attempts, 0);
    assert_int_equal(due(r, RIG_NOW_S + 5, ids, 9), 1);
    assert_memory_equal(ids[0], a.id, 16);
    /* The same stubs again change nothing. */
    got = rig_stub(2, RIG_NOW_S + 9);
    strcpy(f.sender, "carol@a.test");
    assert_err(ERR_OK, store_attempt_add(r->s, &f, &got, ROWS, &added));
    assert_int_equal(added, JOB_KNOWN_ENDED);
    assert_int_equal(got.state, JOB_FAILED);
    assert_int_equal(rig_counts(r).attempts, 0);
    assert_err(ERR_OK, store_job_end(r->s, a.id, JOB_NACKED, "", RIG_NOW_S + 10));
    got = rig_stub(1, RIG_NOW_S + 11);
    assert_err(ERR_OK, store_attempt_add(r->s, &f, &got, ROWS, &added));
    assert_int_equal(added, JOB_KNOWN_ENDED);
    assert_int_equal(rig_job(r, a.id).state, JOB_REFUSED); /* its nack is due again */
}

static void any_end_leaves_the_row(struct rig *r)
{
    struct job a = rig_hold(r, BOB, ALICE, 1, RIG_NOW_S), b = rig_hold(r, BOB, ALICE, 2, RIG_NOW_S),
               c = rig_hold(r, BOB, ALICE, 3, RIG_NOW_S);
    enum job_added added;
    size_t n;

    assert_err(ERR_OK, store_job_end(r->s, b.id, JOB_FAILED, "gone there", RIG_NOW_S + 1));
    assert_int_equal(row(r, ALICE).waiting, 2);
    assert_err(ERR_OK, store_job_refused(r->s, a.id, "denied", "", RIG_NOW_S + 1));
    assert_int_equal(row(r, ALICE).waiting, 1);
    assert_memory_equal(row(r, ALICE).job[0], c.id, 16);
    /* The sender's site says that it was delivered elsewhere. */
    b = rig_hold(r, BOB, ALICE, 9, RIG_NOW_S);
    assert_err(ERR_OK, store_job_end(r->s, b.id, JOB_ACKED, "", RIG_NOW_S + 1));
    assert_int_equal(row(r, ALICE).waiting, 1);
    /* The stub comes again, and is admitted by now. */
    c = rig_stub(3, RIG_NOW_S + 9);
    strcpy(c.admission, "allowed");
    assert_err(ERR_OK, store_job_add(r->s, &c, &added));
    assert_int_equal(added, JOB_KNOWN);
    assert_int_equal(c.state, JOB_WAITING);
    c = rig_job(r, c.id);
    assert_int_equal(c.state, JOB_WAITING);
    assert_int_equal(c.due_s, RIG_NOW_S + 9);
    assert_string_equal(c.admission, "allowed");
    assert_int_equal(c.kd[0], 'd');
    /* Or denied by now. */
    a = rig_hold(r, BOB, ALICE, 5, RIG_NOW_S);
    assert_int_equal(row(r, ALICE).waiting, 1);
    a = rig_stub(5, RIG_NOW_S + 9);
    a.state = JOB_REFUSED;
    strcpy(a.reason, "denied");
    assert_err(ERR_OK, store_job_add(r->s, &a, &added));
    assert_int_equal(a.state, JOB_REFUSED);
    assert_string_equal(rig_job(r, a.id).reason, "denied");
    assert_int_equal(rig_job(r, a.id).kd[0], 0);
    /* A count is left, for a while. */
    assert_int_equal(row(r, ALICE).waiting, 0);
    assert_int_equal(row(r, ALICE).count, 5);
    rig_hold(r, BOB, "carol@a.test", 4, RIG_NOW_S);
    assert_err(ERR_OK, store_purge(r->s, RIG_NOW_S + r->options.tombstone_s - 1, 100, &n));
    assert_int_equal(senders(r, NULL, 9).count, 2);
    assert_err(ERR_OK, store_purge(r->s, RIG_NOW_S + r->options.tombstone_s, 100, &n));
    assert_int_equal(senders(r, NULL, 9).count, 1); /* in which something waits stays */
    assert_string_equal(senders(r, BOB, 9).name[0], "carol@a.test");
    assert_int_equal(rig_counts(r).attempts, 1);
}

static void a_job_that_waits_is_no_attempt(struct rig *r)
{
    struct attempt a = rig_attempt(BOB, ALICE), got;
    struct job j = rig_stub(1, RIG_NOW_S);
    enum job_added added;

    assert_err(ERR_OK, store_job_add(r->s, &j, &added));
    j = rig_stub(1, RIG_NOW_S + 1);
    assert_err(ERR_OK, store_attempt_add(r->s, &a, &j, ROWS, &added));
    assert_int_equal(added, JOB_KNOWN);
    assert_int_equal(j.state, JOB_WAITING);
    assert_err(ERR_NOT_FOUND, store_attempt_get(r->s, BOB, ALICE, &got));
    a.sender[0] = '\0';
    assert_err(ERR_SYNTAX, store_attempt_add(r->s, &a, &j, ROWS, &added));
}

/* ---- tokens -------------------------------------------------------------------------------------------- */

static enum err add_by_token(struct rig *r, int n, const char *token, enum job_added *added)
{
    struct job j = rig_stub(n, RIG_NOW_S);

    strcpy(j.mailbox, BOB);
    strcpy(j.token, token);
    return store_job_add(r->s, &j, added);
}

static uint32_t used(struct rig *r)
{
    struct token t;

    assert_err(ERR_OK, store_token_get(r->s, BOB, "shop", &t));
    return t.letters_used;
}

static void a_stub_uses_its_token_once(struct rig *r)
{
    struct token t = {.mailbox = BOB, .token = "shop", .letters_max = 2, .bind = true};
    struct attempt a = rig_attempt(BOB, ALICE);
    enum job_added added;
    struct job j;

    assert_err(ERR_OK, store_token_add(r->s, &t));
    assert_err(ERR_FORBIDDEN, add_by_token(r, 1, "none", &added));
    assert_err(ERR_OK, add_by_token(r, 1, "shop", &added));
    assert_int_equal(added, JOB_NEW);
    assert_err(ERR_OK, add_by_token(r, 1, "shop", &added));
    assert_int_equal(added, JOB_KNOWN);
    assert_int_equal(used(r), 1);
    /* It was held before there was the token, and is admitted by it: one letter. */
    j = rig_stub(2, RIG_NOW_S);
    assert_err(ERR_OK, store_attempt_add(r->s, &a, &j, ROWS, &added));
    assert_err(ERR_OK, add_by_token(r, 2, "shop", &added));
    assert_int_equal(added, JOB_KNOWN);
    assert_int_equal(rig_job(r, j.id).state, JOB_WAITING);
    assert_string_equal(rig_job(r, j.id).token, "shop");
    assert_int_equal(used(r), 2);
    /* The third finds it used up: no job, and what is held stays held. */
    assert_err(ERR_FORBIDDEN, add_by_token(r, 3, "shop", &added));
    assert_int_equal(rig_counts(r).jobs[JOB_WAITING], 2);
    j = rig_stub(4, RIG_NOW_S);
    assert_err(ERR_OK, store_attempt_add(r->s, &a, &j, ROWS, &added));
    assert_err(ERR_FORBIDDEN, add_by_token(r, 4, "shop", &added));
    assert_int_equal(rig_job(r, j.id).state, JOB_HELD);
    assert_err(ERR_OK, add_by_token(r, 1, "shop", &added)); /* known: uses nothing */
    assert_int_equal(used(r), 2);
}

/* ---- sizes, crowds ------------------------------------------------------------------------------------- */

#define FILL(field) memset(field, 'x', sizeof(field) - 1)

static void longest_facts_fit(struct rig *r)
{
    struct attempt a = rig_attempt("", ""), got;
    struct job j = rig_stub(1, RIG_NOW_S), stored;
    enum job_added added;

    FILL(a.mailbox), FILL(a.sender), FILL(a.author), FILL(a.name), FILL(a.subject), FILL(a.list_id);
    FILL(a.verified), FILL(a.link_host), FILL(a.certificate_issuer), FILL(a.certificate_serial);
    FILL(a.client_address), FILL(a.client_name), FILL(a.reason);
    FILL(j.url), FILL(j.stub_from), FILL(j.stub_to), FILL(j.envelope_from), FILL(j.recipient), FILL(j.author);
    FILL(j.notify), FILL(j.orcpt), FILL(j.ret), FILL(j.envid), FILL(j.client_address), FILL(j.client_name);
    FILL(j.client_helo), FILL(j.queue_id), FILL(j.message_id), FILL(j.mta_queue_id), FILL(j.reason);
    FILL(j.text), FILL(j.verified), FILL(j.admission), FILL(j.proof), FILL(j.list_id), FILL(j.token);
    FILL(j.organisation), FILL(j.challenge_url), FILL(j.certificate_issuer), FILL(j.certificate_serial);
    assert_err(ERR_OK, store_attempt_add(r->s, &a, &j, ROWS, &added));
    stored = rig_job(r, j.id);
    assert_string_equal(stored.proof, j.proof);
    assert_string_equal(stored.challenge_url, j.challenge_url);
    assert_string_equal(stored.organisation, j.organisation);
    assert_string_equal(stored.attempt, a.sender);
    assert_err(ERR_OK, store_attempt_get(r->s, a.mailbox, a.sender, &got));
    assert_string_equal(got.reason, a.reason);
    assert_string_equal(got.client_name, a.client_name);
}

struct stranger {
    struct rig *r;
    int from;
};

static void *stranger_worker(void *arg)
{
    const struct stranger *x = arg;

    for (int i = 0; i < 60; i++) {
        struct attempt a = rig_attempt(BOB, ALICE);
        struct job j = rig_stub(x->from + i, RIG_NOW_S + i);
        enum job_added added;
        uint32_t count;

        if (i % 3 != 0)
            snprintf(a.sender, sizeof a.sender, "s%d@a.test", x->from + i);
        assert_err(ERR_OK, store_attempt_add(x->r->s, &a, &j, ROWS, &added));
        if (i % 10 == 9) {
            enum err err = store_attempt_admit(x->r->s, BOB, a.sender, UNPROVEN_GOES_ALONE, "allowed",
                                               RIG_NOW_S + i, &count);

            assert_true(err == ERR_OK || err == ERR_NOT_FOUND);
        }
    }
    return NULL;
}

static bool sum(void *arg, const struct attempt *a)
{
    *(uint64_t *)arg += a->waiting;
    return true;
}

static void eight_strangers_at_once_stay_in_the_ring(struct rig *r)
{
    struct stranger x[8];
    pthread_t thread[8];
    uint64_t waiting = 0;

    for (int i = 0; i < 8; i++) {
        x[i] = (struct stranger){r, i * 1000};
        assert_int_equal(pthread_create(&thread[i], NULL, stranger_worker, &x[i]), 0);
    }
    for (int i = 0; i < 8; i++)
        pthread_join(thread[i], NULL);
    assert_true(senders(r, BOB, 50).count <= ROWS);
    assert_int_equal(senders(r, NULL, 50).count, senders(r, BOB, 50).count);
    assert_int_equal(rig_counts(r).attempts, senders(r, BOB, 50).count);
    assert_err(ERR_OK, store_attempts(r->s, NULL, 99, sum, &waiting));
    assert_int_equal(rig_counts(r).jobs[JOB_HELD], waiting);
}

int main(void)
{
    static const struct rig_case cases[] = {
        RIG_CASE(a_stranger_is_a_line_in_the_list),
        RIG_CASE(a_repeated_stub_counts_once_and_is_told_again),
        RIG_CASE(what_was_told_is_due_at_its_end),
        RIG_CASE(a_ring_keeps_the_newest_senders),
        RIG_CASE(nobody_alone_drives_the_others_out),
        RIG_CASE(nobody_fills_the_ring_while_there_is_room),
        RIG_CASE(a_smaller_maximum_is_reached_in_steps),
        RIG_CASE(a_row_keeps_the_newest_twenty),
        RIG_CASE(an_admitted_sender_s_letters_are_pulled_at_once),
        RIG_CASE(what_names_another_does_not_come_in_with_his_own),
        RIG_CASE(a_dropped_sender_is_told_or_not),
        RIG_CASE(any_end_leaves_the_row),
        RIG_CASE(a_job_that_waits_is_no_attempt),
        RIG_CASE(a_stub_uses_its_token_once),
        RIG_CASE(longest_facts_fit),
        RIG_CASE(eight_strangers_at_once_stay_in_the_ring),
    };

    return rig_run("store attempts", cases, sizeof cases / sizeof *cases, true, true);
}
