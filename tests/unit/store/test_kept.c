/*
 * test_kept.c - what attempt.h promises of whole messages that are kept for their recipient's word, on every
 * engine.
 */
#include "rig.h"

#include <stdio.h>
#include <string.h>

#include "store/attempt.h"
#include "store/verify.h"

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

static size_t due(struct rig *r, int64_t now_s, uint8_t (*ids)[16], size_t max)
{
    size_t n = 99;

    assert_err(ERR_OK, store_jobs_due(r->s, now_s, 60, ids, max, &n));
    return n;
}

/* Nothing proves whose it is. */
static enum err keep(struct rig *r, const char *sender, int n, size_t size, struct job *out)
{
    struct attempt a = rig_attempt(BOB, sender);

    a.legacy = true;
    a.verified[0] = '\0';
    return rig_keep(r, &a, (uint8_t)('a' + n), size, RIG_NOW_S + n, ROWS, out);
}

static void check_kept(struct rig *r, const struct job *j, int n, size_t size)
{
    rig_check_kept(r, j, (uint8_t)('a' + n), size);
}

static size_t files(struct rig *r)
{
    return r->options.engine == STORE_BDB ? rig_file_count(r->directory, "payload") : 0;
}

static void a_kept_message_waits_and_is_released(struct rig *r)
{
    size_t large = r->options.engine == STORE_BDB ? 1 : 0;
    struct job small, big, got;
    struct store_body body;
    uint8_t ids[9][16], dek[32];
    uint32_t count;

    assert_err(ERR_OK, keep(r, ALICE, 1, 3000, &small));
    assert_err(ERR_OK, keep(r, ALICE, 2, 150000, &big));
    assert_int_equal(rig_counts(r).payloads, 2);
    assert_int_equal(files(r), large);
    assert_int_equal(row(r, ALICE).waiting, 2);
    assert_true(row(r, ALICE).legacy);
    assert_int_equal(due(r, RIG_NOW_S + DAY_S, ids, 9), 0);
    if (r->options.engine == STORE_BDB) {
        rig_close(r);
        rig_open(r);
        assert_int_equal(rig_counts(r).payloads, 2);
        assert_int_equal(files(r), large);
    }
    got = rig_job(r, small.id);
    assert_true(got.kept);
    assert_int_equal(got.size_bytes, 3000);
    check_kept(r, &got, 1, 3000);
    got = rig_job(r, big.id);
    check_kept(r, &got, 2, 150000);
    assert_err(ERR_OK,
               store_attempt_admit(r->s, BOB, ALICE, UNPROVEN_GOES_ALONE, "allowed", RIG_NOW_S + 5, &count));
    assert_int_equal(count, 2);
    assert_int_equal(due(r, RIG_NOW_S + 5, ids, 9), 2);
    assert_err(ERR_OK, store_job_delivered(r->s, big.id, big.digest, 150000, "4b", "250", RIG_NOW_S + 6));
    check_kept(r, &got, 2, 150000); /* until the end */
    assert_err(ERR_OK, store_job_end(r->s, big.id, JOB_ACKED, "", RIG_NOW_S + 6));
    assert_int_equal(rig_counts(r).payloads, 1);
    assert_int_equal(files(r), 0);
    assert_err(ERR_NOT_FOUND, store_kept_open(r->s, &got, &body, dek));
    assert_err(ERR_OK, store_job_end(r->s, small.id, JOB_FAILED, "mta", RIG_NOW_S + 6));
    assert_int_equal(rig_counts(r).payloads, 0);
    assert_int_equal(rig_counts(r).payload_bytes, 0);
    got = rig_stub(1, RIG_NOW_S);
    assert_err(ERR_NOT_FOUND, store_kept_open(r->s, &got, &body, dek));
}

static void what_nothing_proves_does_not_come_in_with_the_proven(struct rig *r)
{
    struct job real = rig_hold(r, BOB, ALICE, 1, RIG_NOW_S), forged;
    struct attempt a;
    uint32_t count = 9;

    assert_err(ERR_OK, keep(r, ALICE, 2, 3000, &forged));
    a = row(r, ALICE);
    assert_int_equal(a.waiting, 2);
    assert_string_equal(a.verified, "a.test");
    assert_false(a.legacy);
    assert_err(ERR_OK,
               store_attempt_admit(r->s, BOB, ALICE, UNPROVEN_GOES_ALONE, "allowed", RIG_NOW_S + 5, &count));
    assert_int_equal(count, 1);
    assert_int_equal(rig_job(r, real.id).state, JOB_WAITING);
    assert_int_equal(rig_job(r, forged.id).state, JOB_HELD);
    a = row(r, ALICE);
    assert_int_equal(a.waiting, 1);
    assert_memory_equal(a.job[0], forged.id, 16);
    assert_string_equal(a.verified, "");
    assert_true(a.legacy);
    assert_err(ERR_OK,
               store_attempt_admit(r->s, BOB, ALICE, UNPROVEN_STAYS, "allowed", RIG_NOW_S + 5, &count));
    assert_int_equal(count, 0);
    assert_int_equal(rig_job(r, forged.id).state, JOB_HELD);
    check_kept(r, &forged, 2, 3000);
    assert_err(ERR_OK,
               store_attempt_admit(r->s, BOB, ALICE, UNPROVEN_GOES_ALONE, "allowed", RIG_NOW_S + 5, &count));
    assert_int_equal(count, 1);
    assert_int_equal(rig_job(r, forged.id).state, JOB_WAITING);
    assert_int_equal(rig_counts(r).attempts, 0);
    assert_err(ERR_NOT_FOUND, store_attempt_get(r->s, BOB, ALICE, &a));
}

static void the_same_message_again_is_kept_once(struct rig *r)
{
    struct job a, b;
    uint32_t count;

    assert_err(ERR_OK, keep(r, ALICE, 1, 150000, &a));
    assert_err(ERR_OK, keep(r, ALICE, 1, 150000, &b)); /* a lost 250 */
    assert_memory_equal(a.id, b.id, 16);
    assert_int_equal(rig_counts(r).payloads, 1);
    assert_true(files(r) <= 1);
    assert_int_equal(row(r, ALICE).count, 1);
    assert_err(ERR_OK, keep(r, ALICE, 2, 150000, &b));
    assert_int_equal(rig_counts(r).payloads, 2);
    /* Dropped: nobody is told, and the same again is kept anew. */
    assert_err(ERR_OK, store_attempt_drop(r->s, BOB, ALICE, true, "denied", "", RIG_NOW_S + 5, &count));
    assert_int_equal(count, 2);
    assert_int_equal(rig_job(r, a.id).state, JOB_FAILED);
    assert_int_equal(rig_counts(r).payloads, 0);
    assert_int_equal(files(r), 0);
    assert_err(ERR_OK, keep(r, ALICE, 1, 150000, &a));
    assert_int_equal(rig_job(r, a.id).state, JOB_HELD);
    check_kept(r, &a, 1, 150000);
    assert_int_equal(rig_counts(r).jobs[JOB_FAILED], 1);
    /* Delivered: it was no other. */
    assert_err(ERR_OK,
               store_attempt_admit(r->s, BOB, ALICE, UNPROVEN_GOES_ALONE, "allowed", RIG_NOW_S + 6, &count));
    assert_err(ERR_OK, store_job_delivered(r->s, a.id, a.digest, 150000, "4b", "250", RIG_NOW_S + 7));
    assert_err(ERR_OK, store_job_end(r->s, a.id, JOB_ACKED, "", RIG_NOW_S + 7));
    assert_err(ERR_OK, keep(r, ALICE, 1, 150000, &a));
    assert_int_equal(a.state, JOB_ACKED);
    assert_int_equal(rig_job(r, a.id).state, JOB_ACKED);
    assert_int_equal(rig_counts(r).payloads, 0);
    assert_int_equal(files(r), 0);
}

static void what_gives_way_takes_its_payloads_along(struct rig *r)
{
    char sender[40];
    struct job j;

    for (int n = 0; n < 22; n++) /* two over the twenty of one row */
        assert_err(ERR_OK, keep(r, ALICE, n, n % 5 == 0 ? 100000 : 1000, &j));
    assert_int_equal(rig_counts(r).payloads, 20);
    for (int n = 30; n < 30 + ROWS; n++) {
        snprintf(sender, sizeof sender, "s%d@a.test", n);
        assert_err(ERR_OK, keep(r, sender, n, 70000, &j));
    }
    assert_int_equal(rig_counts(r).payloads, ROWS);
    assert_int_equal(rig_counts(r).jobs[JOB_HELD], ROWS);
    assert_int_equal(files(r), r->options.engine == STORE_BDB ? ROWS : 0);
}

static void what_nothing_proves_drives_out_nothing_proven(struct rig *r)
{
    struct job real[ATTEMPT_WAITING_MAX + 1], forged[3], j;
    int n = 0;

    for (; n < ATTEMPT_WAITING_MAX - 2; n++)
        real[n] = rig_hold(r, BOB, ALICE, n, RIG_NOW_S + n);
    for (int i = 0; i < 3; i++)
        assert_err(ERR_OK, keep(r, ALICE, 20 + i, i % 2 == 0 ? 1000 : 100000, &forged[i]));
    assert_int_equal(row(r, ALICE).waiting, ATTEMPT_WAITING_MAX);
    assert_err(ERR_NOT_FOUND, store_job_get(r->s, forged[0].id, &j));
    for (int i = 0; i < n; i++)
        assert_int_equal(rig_job(r, real[i].id).state, JOB_HELD);
    /* A proven one takes the place of what is not. */
    for (; n < ATTEMPT_WAITING_MAX; n++)
        real[n] = rig_hold(r, BOB, ALICE, n, RIG_NOW_S + 30 + n);
    assert_int_equal(rig_counts(r).payloads, 0);
    assert_int_equal(rig_job(r, real[0].id).state, JOB_HELD);
    /* All are proven: the forged one comes too late, and nothing has changed. */
    assert_err(ERR_KEPT_FULL, keep(r, ALICE, 23, 100000, &j));
    assert_int_equal(rig_counts(r).payloads, 0);
    assert_int_equal(files(r), 0);
    assert_int_equal(row(r, ALICE).count, ATTEMPT_WAITING_MAX + 3);
    assert_int_equal(row(r, ALICE).last_s, RIG_NOW_S + 30 + ATTEMPT_WAITING_MAX - 1);
    for (int i = 0; i < n; i++)
        assert_int_equal(rig_job(r, real[i].id).state, JOB_HELD);
    /* Of proven ones the newest stay. */
    real[n] = rig_hold(r, BOB, ALICE, n, RIG_NOW_S + 60);
    assert_err(ERR_NOT_FOUND, store_job_get(r->s, real[0].id, &j));
    assert_int_equal(rig_job(r, real[n].id).state, JOB_HELD);
}

static uint64_t kept_bytes(struct rig *r, const char *name)
{
    struct quota_use u;

    assert_err(ERR_OK, store_quota(r->s, name, &u));
    return u.bytes;
}

/* A letter of 100000 octets or as many as are said; one number a letter. Proven by the domain of an
 * organisation, or by nothing, from an address. */
static enum err keep_of(struct rig *r, const char *mailbox, const char *organisation, const char *client,
                        int n, size_t size, struct job *out)
{
    struct attempt a = rig_attempt(mailbox, ALICE);

    a.legacy = true;
    snprintf(a.sender, sizeof a.sender, "s%d@%s", n, organisation);
    snprintf(a.verified, sizeof a.verified, "%s%s", n % 2 == 0 || !*organisation ? "" : "sub.", organisation);
    snprintf(a.organisation, sizeof a.organisation, "%s", organisation);
    snprintf(a.client_address, sizeof a.client_address, "%s", client);
    return rig_keep(r, &a, (uint8_t)n, size, RIG_NOW_S + n, 100, out);
}

static void what_is_kept_is_bounded_in_octets(struct rig *r)
{
    static const char *const organisation[] = {"a.test", "b.test", "c.test", "d.test"};
    static const char *const other[] = {"f.test", "g.test", "h.test"};
    struct quota_limits limits = {.owner_bytes = 400000, .domain_bytes = 700000};
    struct job j, gone;
    uint32_t count;

    r->limits = &limits;
    for (int i = 0; i < 4; i++)
        assert_err(ERR_OK, keep_of(r, BOB, organisation[i], "", i, 100000, i == 0 ? &gone : &j));
    assert_int_equal(kept_bytes(r, QUOTA_KEPT BOB), 400000);
    assert_err(ERR_KEPT_FULL, keep_of(r, BOB, "e.test", "", 4, 1, &j));
    assert_err(ERR_KEPT_FULL, keep(r, "new@a.test", 5, 70000, &j));
    /* Nothing is left of them, and nothing that was there before has gone. */
    assert_int_equal(rig_counts(r).payloads, 4);
    assert_int_equal(rig_counts(r).attempts, 4);
    assert_int_equal(files(r), r->options.engine == STORE_BDB ? 4 : 0);
    rig_check_kept(r, &gone, 0, 100000);
    assert_err(ERR_OK, keep_of(r, BOB, "a.test", "", 0, 100000, &j)); /* the same again: it is here */
    /* Of all mailboxes together. */
    for (int i = 0; i < 3; i++)
        assert_err(ERR_OK, keep_of(r, "dan@b.test", other[i], "", 10 + i, i == 0 ? 75000 : 100000, &j));
    assert_err(ERR_KEPT_FULL, keep_of(r, "dan@b.test", "e.test", "", 14, 30000, &j));
    assert_int_equal(kept_bytes(r, QUOTA_KEPT_ALL), 675000);
    /* There is room again when something has gone. */
    assert_err(ERR_OK,
               store_attempt_drop(r->s, BOB, "s0@a.test", false, "denied", "", RIG_NOW_S + 9, &count));
    assert_int_equal(kept_bytes(r, QUOTA_KEPT BOB), 300000);
    assert_err(ERR_OK, keep_of(r, BOB, "e.test", "", 4, 100000, &j));
    r->limits = NULL;
    assert_err(ERR_OK, keep_of(r, BOB, "e.test", "", 6, 300000, &j));
    assert_int_equal(kept_bytes(r, QUOTA_KEPT_ALL), 975000);
}

static void check_sums(struct rig *r)
{
    const struct verify_options o = {.deep = false};
    struct verify_result result;

    assert_err(ERR_OK, store_verify(r->s, &o, &result));
    assert_true(result.sums);
    assert_int_equal(result.findings, 0);
}

static bool add_name(void *arg, const struct quota_use *u)
{
    struct buf *names = arg;

    return buf_printf(names, "%s=%d\n", u->name, (int)(u->bytes / 1000)) == ERR_OK;
}

static bool has_line(const struct buf *names, const char *line)
{
    return strstr(names->data, line) != NULL;
}

/* A quarter of either for one organisation, or for one network where nothing is proven; a half for all of
 * which nothing is proven. */
static void nobody_alone_takes_all_octets(struct rig *r)
{
    static const char *const mailbox[] = {"m1@b.test", "m2@b.test", "m3@b.test"};
    struct quota_limits limits = {.owner_bytes = 400000, .domain_bytes = 1200000};
    struct buf names;
    struct job j;
    uint32_t count;

    buf_init(&names, 1 << 16);
    r->limits = &limits;
    assert_err(ERR_OK, keep_of(r, BOB, "", "192.0.2.7", 1, 60000, &j));
    assert_err(ERR_KEPT_FULL, keep_of(r, BOB, "", "192.0.2.200", 2, 41000, &j));
    assert_err(ERR_OK, keep_of(r, BOB, "", "192.0.2.200", 2, 40000, &j));
    assert_err(ERR_KEPT_FULL, keep_of(r, BOB, "", "192.0.2.7", 3, 1, &j));
    assert_err(ERR_OK, keep_of(r, BOB, "", "2001:db8::1", 4, 99000, &j));
    assert_err(ERR_KEPT_FULL,
               keep_of(r, BOB, "", "198.51.100.1", 5, 2000, &j)); /* of nothing proven, a half */
    assert_err(ERR_OK, keep_of(r, BOB, "a.test", "192.0.2.7", 6, 100000, &j));
    assert_err(ERR_KEPT_FULL, keep_of(r, BOB, "a.test", "198.51.100.1", 7, 1, &j));
    assert_err(ERR_OK, keep_of(r, BOB, "a-a.test", "", 8, 100000, &j));
    /* Of all mailboxes together. */
    for (int i = 0; i < 2; i++)
        assert_err(ERR_OK, keep_of(r, mailbox[i], "", "192.0.2.7", 10 + i, 100000, &j));
    assert_err(ERR_KEPT_FULL, keep_of(r, mailbox[2], "", "192.0.2.7", 12, 1, &j));
    assert_err(ERR_OK, keep_of(r, mailbox[2], "", "198.51.100.1", 13, 100000, &j));
    assert_err(ERR_OK, keep_of(r, mailbox[2], "", "203.0.113.1", 14, 100000, &j));
    assert_err(ERR_KEPT_FULL, keep_of(r, mailbox[1], "", "203.0.113.1", 16, 2000, &j));
    assert_err(ERR_OK, keep_of(r, mailbox[2], "c.test", "", 17, 100000, &j));
    /* All of it is told, and is what lies here. */
    assert_err(ERR_OK, store_quotas(r->s, 100, add_name, &names));
    assert_true(has_line(&names, "@kept:=899\n") && has_line(&names, "@kept:-=599\n"));
    assert_true(has_line(&names, "@kept:[192.0.2.0]=300\n") && has_line(&names, "@kept:a.test=100\n"));
    assert_true(has_line(&names, "kept:" BOB "=399\n") && has_line(&names, "kept:" BOB " -=199\n"));
    assert_true(has_line(&names, "kept:" BOB " [2001:db8::]=99\n"));
    assert_int_equal(quota_share("@kept:[192.0.2.0]", 1200000), 300000);
    assert_int_equal(quota_share(QUOTA_KEPT BOB " -", 400000), 200000);
    assert_int_equal(quota_share(QUOTA_KEPT BOB, 400000), 400000);
    check_sums(r);
    /* What goes gives its share back, and leaves no row. */
    assert_err(ERR_OK, store_attempt_drop(r->s, BOB, "s1@", false, "denied", "", RIG_NOW_S + 50, &count));
    assert_err(ERR_OK, keep_of(r, BOB, "", "192.0.2.7", 20, 60000, &j));
    assert_err(ERR_OK, store_attempt_drop(r->s, BOB, "s4@", false, "denied", "", RIG_NOW_S + 50, &count));
    buf_clear(&names);
    assert_err(ERR_OK, store_quotas(r->s, 100, add_name, &names));
    assert_false(has_line(&names, "2001:db8::"));
    check_sums(r);
    r->limits = NULL;
    buf_free(&names);
}

static void what_gives_way_makes_room_in_octets(struct rig *r)
{
    struct quota_limits limits = {.owner_bytes = 4 * ROWS * 1000}; /* a quarter for them */
    char sender[40];
    struct job j;

    r->limits = &limits;
    for (int n = 0; n < 2 * ROWS; n++) {
        snprintf(sender, sizeof sender, "s%d@a.test", n);
        assert_err(ERR_OK, keep(r, sender, n, 1000, &j));
    }
    assert_int_equal(kept_bytes(r, QUOTA_KEPT BOB), ROWS * 1000);
    r->limits = NULL;
}

int main(void)
{
    static const struct rig_case cases[] = {
        RIG_CASE(a_kept_message_waits_and_is_released),
        RIG_CASE(what_nothing_proves_does_not_come_in_with_the_proven),
        RIG_CASE(the_same_message_again_is_kept_once),
        RIG_CASE(what_gives_way_takes_its_payloads_along),
        RIG_CASE(what_nothing_proves_drives_out_nothing_proven),
        RIG_CASE(what_is_kept_is_bounded_in_octets),
        RIG_CASE(nobody_alone_takes_all_octets),
        RIG_CASE(what_gives_way_makes_room_in_octets),
    };

    return rig_run("store kept messages", cases, sizeof cases / sizeof *cases, true, true);
}
