/*
 * test_held.c - what becomes of a letter that waits for its recipient's word here while its sender's site
 * goes on: it is looked at, replaced, taken back. On every engine.
 */
#include "rig.h"

#include <stdio.h>
#include <string.h>

#include "store/attempt.h"

#define DAY_S 86400
#define BOB "bob@b.test"
#define ALICE "alice@a.test"
#define BYTES 4000

static struct job stub(int n, int64_t now_s)
{
    struct job j = rig_stub(n, now_s);

    j.size_bytes = BYTES;
    return j;
}

static struct attempt facts(const char *subject)
{
    struct attempt a = rig_attempt(BOB, ALICE);

    strcpy(a.subject, subject);
    return a;
}

static struct job hold(struct rig *r, int n, int64_t now_s)
{
    struct attempt a = facts("Hello");
    struct job j = stub(n, now_s);
    enum job_added added = JOB_KNOWN_ENDED;

    assert_err(ERR_OK, store_attempt_add(r->s, &a, &j, 10, &added));
    assert_int_equal(added, JOB_NEW);
    return j;
}

static size_t due(struct rig *r, int64_t now_s)
{
    uint8_t ids[9][16];
    size_t n = 99;

    assert_err(ERR_OK, store_jobs_due(r->s, now_s, 0, ids, 9, &n));
    return n;
}

/* The sender's site was told at a time, and has this version and size. */
static struct job told(struct rig *r, const struct job *j, uint32_t version, uint64_t bytes, int64_t at_s,
                       int64_t look_s)
{
    const struct job_heard heard = {"CN=Issuer", "01", version, bytes, at_s};

    assert_err(ERR_OK, store_job_told(r->s, j->id, &heard, look_s));
    return rig_job(r, j->id);
}

static void it_is_looked_at_now_and_then(struct rig *r)
{
    struct job j = hold(r, 1, RIG_NOW_S);

    assert_int_equal(due(r, RIG_NOW_S), 1);
    told(r, &j, 1, BYTES, RIG_NOW_S, RIG_NOW_S + DAY_S);
    assert_int_equal(due(r, RIG_NOW_S + DAY_S - 1), 0);
    assert_int_equal(due(r, RIG_NOW_S + DAY_S), 1);
    /* Never after its end, which is due instead. */
    told(r, &j, 1, BYTES, RIG_NOW_S + DAY_S, RIG_NOW_S + 8 * DAY_S);
    assert_int_equal(due(r, RIG_NOW_S + 7 * DAY_S), 0);
    assert_int_equal(due(r, RIG_NOW_S + 7 * DAY_S + 1), 1);
    /* Nor where looks are not wanted. */
    told(r, &j, 1, BYTES, RIG_NOW_S + DAY_S, 0);
    assert_int_equal(due(r, RIG_NOW_S + 7 * DAY_S), 0);
}

static void what_was_replaced_is_marked(struct rig *r)
{
    static const struct {
        const char *name;
        uint32_t version[2]; /* of two looks; 0: not told */
        uint64_t bytes[2];
        bool replaced[2];
    } cases[] = {
        {"the_same_twice", {1, 1}, {BYTES, BYTES}, {false, false}},
        {"another_version", {1, 2}, {BYTES, BYTES}, {false, true}},
        {"another_size", {1, 1}, {BYTES, BYTES + 1}, {false, true}},
        {"another_size_than_its_stub_said", {2, 2}, {BYTES + 1, BYTES + 1}, {true, true}},
        {"first_seen_in_its_second_version", {2, 2}, {BYTES, BYTES}, {false, false}},
        {"put_back_to_the_old_size", {2, 3}, {BYTES + 1, BYTES}, {true, true}},
        {"a_site_that_tells_nothing", {0, 0}, {0, 0}, {false, false}},
        {"a_site_that_tells_once", {1, 0}, {BYTES, 0}, {false, false}},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct job j = hold(r, (int)i, RIG_NOW_S);

        for (int look = 0; look < 2; look++) {
            struct job now =
                told(r, &j, cases[i].version[look], cases[i].bytes[look], RIG_NOW_S + 10 * look, 0);

            if (now.replaced != cases[i].replaced[look])
                fail_msg("%s, look %d", cases[i].name, look);
        }
        j = rig_job(r, j.id);
        assert_int_equal(j.heard_s, cases[i].version[1]   ? RIG_NOW_S + 10
                                    : cases[i].version[0] ? RIG_NOW_S
                                                          : 0);
        assert_int_equal(j.version, cases[i].version[0] > cases[i].version[1] ? cases[i].version[0]
                                                                              : cases[i].version[1]);
        assert_int_equal(j.size_bytes, cases[i].bytes[1] ? cases[i].bytes[1] : BYTES);
    }
}

static void a_stub_of_the_replaced_letter_is_the_same_job(struct rig *r)
{
    struct job j = hold(r, 1, RIG_NOW_S), again = stub(1, RIG_NOW_S + 100);
    struct attempt a = facts("Hello, corrected"), row;
    enum job_added added;

    told(r, &j, 1, BYTES, RIG_NOW_S, RIG_NOW_S + DAY_S);
    again.size_bytes = BYTES + 500; /* s= and x= are not what makes a stub the same */
    again.expires_s += DAY_S;
    assert_err(ERR_OK, store_attempt_add(r->s, &a, &again, 10, &added));
    assert_int_equal(added, JOB_KNOWN);
    assert_memory_equal(again.id, j.id, sizeof j.id);
    assert_err(ERR_OK, store_attempt_get(r->s, BOB, ALICE, &row));
    assert_int_equal(row.waiting, 1);
    assert_string_equal(row.subject, "Hello, corrected");
    assert_int_equal(due(r, RIG_NOW_S + 100), 1); /* to be told again, and looked at */
    assert_true(told(r, &j, 2, BYTES + 500, RIG_NOW_S + 100, 0).replaced);
    /* Of what is not the row's newest nothing is shown. */
    hold(r, 2, RIG_NOW_S + 200);
    again = stub(1, RIG_NOW_S + 300);
    assert_err(ERR_OK, store_attempt_add(r->s, &a, &again, 10, &added));
    assert_err(ERR_OK, store_attempt_get(r->s, BOB, ALICE, &row));
    assert_string_equal(row.subject, "Hello");
    assert_int_equal(row.waiting, 2);
}

static void what_is_gone_leaves_no_attempt(struct rig *r)
{
    struct job first = hold(r, 1, RIG_NOW_S), second = hold(r, 2, RIG_NOW_S + 1),
               waiting = stub(3, RIG_NOW_S), got;
    struct store_counts c;
    struct attempt row;
    enum job_added added;
    uint8_t none[16] = {0};

    assert_err(ERR_OK, store_job_gone(r->s, first.id, JOB_FAILED, "retracted", "gone", RIG_NOW_S + 5));
    got = rig_job(r, first.id);
    assert_int_equal(got.state, JOB_FAILED);
    assert_string_equal(got.reason, "retracted");
    assert_string_equal(got.text, "gone");
    assert_err(ERR_OK, store_attempt_get(r->s, BOB, ALICE, &row)); /* another waits there */
    assert_int_equal(row.waiting, 1);
    assert_err(ERR_GONE, store_job_gone(r->s, first.id, JOB_FAILED, "bounced", "", RIG_NOW_S + 6));
    assert_string_equal(rig_job(r, first.id).reason, "retracted");
    assert_err(ERR_OK, store_job_gone(r->s, second.id, JOB_ACKED, "acked", "", RIG_NOW_S + 7));
    assert_err(ERR_NOT_FOUND, store_attempt_get(r->s, BOB, ALICE, &row));
    assert_err(ERR_OK, store_count(r->s, &c));
    assert_int_equal(c.attempts, 0);
    assert_int_equal(c.jobs[JOB_HELD], 0);
    assert_int_equal(c.jobs[JOB_FAILED], 1);
    assert_int_equal(due(r, RIG_NOW_S + 30 * DAY_S), 0);
    /* Its stub again changes nothing: it is known as dealt with. */
    got = stub(1, RIG_NOW_S + 8);
    row = facts("Hello");
    assert_err(ERR_OK, store_attempt_add(r->s, &row, &got, 10, &added));
    assert_int_equal(added, JOB_KNOWN_ENDED);
    assert_int_equal(got.state, JOB_FAILED);
    assert_err(ERR_NOT_FOUND, store_attempt_get(r->s, BOB, ALICE, &row));
    /* Nor is there anything to ack of what another puller delivered. */
    got = stub(2, RIG_NOW_S + 8);
    assert_err(ERR_OK, store_job_add(r->s, &got, &added));
    assert_int_equal(added, JOB_KNOWN_ENDED);
    assert_int_equal(rig_job(r, second.id).state, JOB_ACKED);
    /* One that is called for ends likewise; it has no row. */
    assert_err(ERR_OK, store_job_add(r->s, &waiting, &added));
    assert_err(ERR_OK, store_job_gone(r->s, waiting.id, JOB_FAILED, "retracted", "gone", RIG_NOW_S + 9));
    assert_int_equal(rig_job(r, waiting.id).state, JOB_FAILED);
    assert_err(ERR_NOT_FOUND, store_job_gone(r->s, none, JOB_FAILED, "retracted", "", RIG_NOW_S));
    assert_err(ERR_INTERNAL, store_job_gone(r->s, first.id, JOB_WAITING, "", "", RIG_NOW_S));
}

static void the_version_that_came_is_kept(struct rig *r)
{
    struct job j = stub(1, RIG_NOW_S);
    struct job_heard heard = {"CN=Issuer", "01", 3, BYTES, RIG_NOW_S + 5};
    enum job_added added;

    assert_err(ERR_OK, store_job_add(r->s, &j, &added));
    assert_err(ERR_OK, store_job_called(r->s, j.id, &heard));
    assert_int_equal(rig_job(r, j.id).version, 3);
    assert_false(rig_job(r, j.id).replaced);
    heard.version = 4;
    assert_err(ERR_OK, store_job_called(r->s, j.id, &heard));
    assert_int_equal(rig_job(r, j.id).version, 4);
    assert_true(rig_job(r, j.id).replaced);
    j = rig_job(r, j.id);
    assert_int_equal(j.version, 4);
    assert_int_equal(j.heard_s, RIG_NOW_S + 5);
    assert_string_equal(j.certificate_issuer, "CN=Issuer");
}

int main(void)
{
    static const struct rig_case cases[] = {
        RIG_CASE(it_is_looked_at_now_and_then),
        RIG_CASE(what_was_replaced_is_marked),
        RIG_CASE(a_stub_of_the_replaced_letter_is_the_same_job),
        RIG_CASE(what_is_gone_leaves_no_attempt),
        RIG_CASE(the_version_that_came_is_kept),
    };

    return rig_run("store held letters", cases, sizeof cases / sizeof *cases, true, true);
}
