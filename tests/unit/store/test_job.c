/*
 * test_job.c - what store.h promises of pull jobs, case by case, on every engine.
 */
#include "rig.h"

#include <stdio.h>
#include <string.h>

#define DAY_S 86400

static struct job job(const char *url, int64_t now_s)
{
    struct job j;

    memset(&j, 0, sizeof j);
    strcpy(j.url, url);
    memset(j.ka, 'a', sizeof j.ka);
    memset(j.kd, 'd', sizeof j.kd);
    memset(j.lease_token, 't', sizeof j.lease_token);
    strcpy(j.stub_from, "alice@a.test");
    strcpy(j.stub_to, "bob@b.test");
    strcpy(j.recipient, "bob@b.test");
    strcpy(j.notify, "FAILURE");
    j.size_bytes = 81234;
    j.created_s = j.due_s = now_s;
    j.expires_s = now_s + 7 * DAY_S;
    return j;
}

static struct job job_get(struct rig *r, const struct job *j)
{
    struct job out;

    assert_err(ERR_OK, store_job_get(r->s, j->id, &out));
    return out;
}

static size_t jobs_due(struct rig *r, int64_t now_s)
{
    uint8_t ids[9][16];
    size_t n = 99;

    assert_err(ERR_OK, store_jobs_due(r->s, now_s, 60, ids, 9, &n));
    return n;
}

static const uint8_t zero[32], digest7[32] = {7};

/* What is said to the sender's site does not change because it could not be said yet. */
static void what_the_mta_said_outlives_a_nack_that_fails(struct rig *r)
{
    struct job j = job("https://a.test/restante/1/x/y", RIG_NOW_S), got;
    enum job_added added;

    assert_err(ERR_OK, store_job_add(r->s, &j, &added));
    assert_err(ERR_OK, store_job_later(r->s, j.id, RIG_NOW_S, false, "no route"));
    assert_err(ERR_OK, store_job_refused(r->s, j.id, "mta", "550 5.1.1 no such user", RIG_NOW_S));
    assert_err(ERR_OK, store_job_later(r->s, j.id, RIG_NOW_S + 10, false, "cannot connect"));
    assert_err(ERR_OK, store_job_put_off(r->s, j.id, RIG_NOW_S + 20, "the host is down"));
    got = job_get(r, &j);
    assert_int_equal(got.tries, 1);
    assert_int_equal(got.due_s, RIG_NOW_S + 20);
    assert_string_equal(got.reason, "mta");
    assert_string_equal(got.text, "550 5.1.1 no such user");
    j = job("https://a.test/restante/1/x/z", RIG_NOW_S);
    assert_err(ERR_OK, store_job_add(r->s, &j, &added));
    assert_err(ERR_OK, store_job_delivered(r->s, j.id, digest7, 5000, "4bMta", "250 ok", RIG_NOW_S));
    assert_err(ERR_OK, store_job_later(r->s, j.id, RIG_NOW_S + 10, false, "cannot connect"));
    assert_string_equal(job_get(r, &j).text, "250 ok");
}

static void a_job_may_start_as_refused(struct rig *r)
{
    struct job j = job("https://a.test/restante/1/x/y", RIG_NOW_S), got;
    enum job_added added;

    j.state = JOB_REFUSED;
    strcpy(j.reason, "denied");
    assert_err(ERR_OK, store_job_add(r->s, &j, &added));
    assert_int_equal(added, JOB_NEW);
    assert_int_equal(rig_counts(r).jobs[JOB_REFUSED], 1);
    assert_int_equal(jobs_due(r, RIG_NOW_S), 1); /* the nack */
    got = job_get(r, &j);
    assert_int_equal(got.state, JOB_REFUSED);
    assert_string_equal(got.reason, "denied");
    assert_memory_equal(got.kd, zero, 32);
    assert_err(ERR_OK, store_job_add(r->s, &j, &added));
    assert_int_equal(added, JOB_KNOWN);
    assert_err(ERR_OK, store_job_end(r->s, j.id, JOB_NACKED, "", RIG_NOW_S + 1));
}

static void a_job_goes_its_way(struct rig *r)
{
    struct job j = job("https://a.test/restante/1/x/y", RIG_NOW_S), got;
    enum job_added added;

    assert_err(ERR_OK, store_job_add(r->s, &j, &added));
    assert_int_equal(added, JOB_NEW);
    assert_int_equal(rig_counts(r).jobs[JOB_WAITING], 1);
    assert_int_equal(jobs_due(r, RIG_NOW_S - 1), 0);
    assert_int_equal(jobs_due(r, RIG_NOW_S), 1);
    assert_int_equal(jobs_due(r, RIG_NOW_S + 60), 0);        /* in somebody's hands */
    assert_int_equal(jobs_due(r, RIG_NOW_S + 3 * DAY_S), 0); /* and still, when the clock jumps */
    assert_err(ERR_OK, store_job_later(r->s, j.id, RIG_NOW_S + 100, true, "no route"));
    assert_err(ERR_OK, store_job_later(r->s, j.id, RIG_NOW_S + 100, false, "no route"));
    got = job_get(r, &j);
    assert_int_equal(got.tries, 2);
    assert_int_equal(got.corrupt, 1);
    assert_string_equal(got.text, "no route");
    assert_err(ERR_OK, store_job_put_off(r->s, j.id, RIG_NOW_S + 90, "not tried"));
    assert_int_equal(jobs_due(r, RIG_NOW_S + 89), 0);
    assert_int_equal(jobs_due(r, RIG_NOW_S + 90), 1);
    assert_err(ERR_OK, store_job_put_off(r->s, j.id, RIG_NOW_S + 95, "no way"));
    assert_err(ERR_OK, store_job_put_off(r->s, j.id, RIG_NOW_S + 100, NULL));
    got = job_get(r, &j);
    assert_int_equal(got.tries, 2);
    assert_int_equal(got.corrupt, 1);
    assert_string_equal(got.text, "no way");
    assert_memory_equal(got.kd, j.kd, 32);
    assert_string_equal(got.url, j.url);
    assert_int_equal(got.size_bytes, 81234);
    assert_int_equal(jobs_due(r, RIG_NOW_S + 99), 0);
    assert_int_equal(jobs_due(r, RIG_NOW_S + 100), 1);
    assert_err(ERR_OK, store_job_delivered(r->s, j.id, digest7, 5000, "4bMta", "250 ok", RIG_NOW_S + 101));
    assert_err(ERR_OK, store_job_delivered(r->s, j.id, digest7, 5000, "4bMta", "250 ok", RIG_NOW_S + 101));
    got = job_get(r, &j);
    assert_int_equal(got.state, JOB_DELIVERED);
    assert_memory_equal(got.ka, j.ka, 32);
    assert_memory_equal(got.kd, zero, 32); /* nothing to open any more */
    assert_memory_equal(got.digest, digest7, 32);
    assert_string_equal(got.mta_queue_id, "4bMta");
    assert_int_equal(got.tries, 0);
    assert_err(ERR_INTERNAL, store_job_refused(r->s, j.id, "x", "x", RIG_NOW_S));
    assert_int_equal(jobs_due(r, RIG_NOW_S + 101), 1); /* the ack */
    assert_err(ERR_OK, store_job_end(r->s, j.id, JOB_ACKED, "", RIG_NOW_S + 102));
    assert_err(ERR_OK, store_job_end(r->s, j.id, JOB_ACKED, "", RIG_NOW_S + 102));
    assert_err(ERR_GONE, store_job_end(r->s, j.id, JOB_FAILED, "", RIG_NOW_S + 102));
    assert_err(ERR_GONE, store_job_later(r->s, j.id, RIG_NOW_S + 200, false, ""));
    assert_err(ERR_GONE, store_job_put_off(r->s, j.id, RIG_NOW_S + 200, ""));
    got = job_get(r, &j);
    assert_memory_equal(got.ka, zero, 32);
    assert_int_equal(jobs_due(r, RIG_NOW_S + DAY_S), 0);
    assert_int_equal(rig_counts(r).jobs[JOB_ACKED], 1);
    job_wipe(&j);
    assert_memory_equal(j.ka, zero, 32);
}

static void a_repeated_stub_is_known(struct rig *r)
{
    struct job j = job("https://a.test/1", RIG_NOW_S), again = j, got;
    enum job_added added;

    assert_err(ERR_OK, store_job_add(r->s, &j, &added));
    again.lease_token[0] = 'x';
    again.created_s++;
    assert_err(ERR_OK, store_job_add(r->s, &again, &added));
    assert_int_equal(added, JOB_KNOWN);
    assert_int_equal(again.state, JOB_WAITING);
    assert_memory_equal(again.id, j.id, 16);
    got = job_get(r, &j);
    assert_int_equal(got.lease_token[0], 't'); /* as first stored */
    assert_int_equal(rig_counts(r).jobs[JOB_WAITING], 1);

    assert_err(ERR_OK, store_job_delivered(r->s, j.id, digest7, 1, "", "", RIG_NOW_S));
    assert_err(ERR_OK, store_job_end(r->s, j.id, JOB_ACKED, "", RIG_NOW_S));
    again = job("https://a.test/1", RIG_NOW_S + 1000);
    assert_err(ERR_OK, store_job_add(r->s, &again, &added));
    assert_int_equal(added, JOB_KNOWN_ENDED);
    assert_int_equal(again.state, JOB_ACKED);
    got = job_get(r, &j);
    assert_int_equal(got.state, JOB_DELIVERED); /* its ack is due again, with the keys of the stub */
    assert_memory_equal(got.ka, again.ka, 32);
    assert_memory_equal(got.kd, zero, 32);
    assert_memory_equal(got.digest, digest7, 32);
    assert_int_equal(jobs_due(r, RIG_NOW_S + 1000), 1);
    assert_err(ERR_OK, store_job_end(r->s, j.id, JOB_ACKED, "", RIG_NOW_S + 1000));
    assert_int_equal(rig_counts(r).jobs[JOB_ACKED], 1);
    assert_int_equal(rig_counts(r).jobs[JOB_DELIVERED], 0);
}

static void a_repeated_stub_of_a_refused_letter(struct rig *r)
{
    struct job j = job("https://a.test/1", RIG_NOW_S), got;
    enum job_added added;

    assert_err(ERR_OK, store_job_add(r->s, &j, &added));
    assert_err(ERR_OK, store_job_refused(r->s, j.id, "mta-refused", "550 no", RIG_NOW_S));
    assert_err(ERR_OK, store_job_refused(r->s, j.id, "mta-refused", "550 no", RIG_NOW_S));
    assert_int_equal(jobs_due(r, RIG_NOW_S), 1);
    assert_err(ERR_OK, store_job_end(r->s, j.id, JOB_NACKED, "", RIG_NOW_S));
    assert_err(ERR_OK, store_job_add(r->s, &j, &added));
    assert_int_equal(added, JOB_KNOWN_ENDED);
    got = job_get(r, &j);
    assert_int_equal(got.state, JOB_REFUSED);
    assert_string_equal(got.reason, "mta-refused");
    assert_string_equal(got.text, "550 no");
    assert_memory_equal(got.lease_token, j.lease_token, 16); /* a nack wants the lease's token */
}

static void a_failed_job_stays_known_and_silent(struct rig *r)
{
    struct job j = job("https://a.test/1", RIG_NOW_S);
    enum job_added added;

    assert_err(ERR_OK, store_job_add(r->s, &j, &added));
    assert_err(ERR_OK, store_job_end(r->s, j.id, JOB_FAILED, "gone there", RIG_NOW_S));
    assert_err(ERR_OK, store_job_add(r->s, &j, &added));
    assert_int_equal(added, JOB_KNOWN_ENDED);
    assert_int_equal(j.state, JOB_FAILED);
    assert_int_equal(jobs_due(r, RIG_NOW_S + DAY_S), 0);
    assert_string_equal(job_get(r, &j).text, "gone there");
}

static void an_altered_stub_stands_in_nobodys_way(struct rig *r)
{
    struct job j = job("https://a.test/1", RIG_NOW_S), other;
    enum job_added added;

    for (int part = 0; part < 4; part++) {
        other = job("https://a.test/1", RIG_NOW_S);
        if (part == 0)
            other.ka[0] = 'x';
        else if (part == 1)
            other.kd[31] = 'x';
        else
            strcpy(part == 2 ? other.recipient : other.author, "carol@b.test");
        assert_err(ERR_OK, store_job_add(r->s, &other, &added));
        assert_int_equal(added, JOB_NEW);
        assert_err(ERR_OK, store_job_end(r->s, other.id, JOB_FAILED, "mismatch", RIG_NOW_S));
    }
    assert_err(ERR_OK, store_job_add(r->s, &j, &added));
    assert_int_equal(added, JOB_NEW);
    assert_err(ERR_OK, store_job_add(r->s, &j, &added));
    assert_int_equal(added, JOB_KNOWN);
    assert_int_equal(rig_counts(r).jobs[JOB_WAITING], 1);
}

static void ended_jobs_are_known_until_purged(struct rig *r)
{
    struct job j = job("https://a.test/1", RIG_NOW_S), living = job("https://a.test/2", RIG_NOW_S);
    enum job_added added;
    size_t n;

    assert_err(ERR_OK, store_job_add(r->s, &j, &added));
    assert_err(ERR_OK, store_job_add(r->s, &living, &added));
    assert_err(ERR_OK, store_job_end(r->s, j.id, JOB_FAILED, "", RIG_NOW_S));
    assert_err(ERR_OK, store_purge(r->s, RIG_NOW_S + 37 * DAY_S - 1, 10, &n));
    assert_int_equal(n, 0);
    assert_err(ERR_OK, store_purge(r->s, RIG_NOW_S + 37 * DAY_S, 10, &n));
    assert_int_equal(n, 1);
    assert_err(ERR_NOT_FOUND, store_job_get(r->s, j.id, &j));
    assert_int_equal(rig_counts(r).jobs[JOB_FAILED], 0);
    assert_int_equal(rig_counts(r).jobs[JOB_WAITING], 1);
    assert_err(ERR_OK, store_job_add(r->s, &j, &added));
    assert_int_equal(added, JOB_NEW);
}

static bool count_jobs(void *arg, const struct job *j)
{
    assert_string_equal(j->stub_from, "alice@a.test");
    ++*(size_t *)arg;
    return true;
}

static void jobs_are_listed(struct rig *r)
{
    enum job_added added;
    struct job j;
    size_t n = 0;

    for (int i = 0; i < 300; i++) {
        char url[40];

        snprintf(url, sizeof url, "https://a.test/%d", i);
        j = job(url, RIG_NOW_S);
        assert_err(ERR_OK, store_job_add(r->s, &j, &added));
    }
    assert_err(ERR_OK, store_job_end(r->s, j.id, JOB_FAILED, "", RIG_NOW_S));
    assert_err(ERR_OK, store_jobs(r->s, -1, 1000, count_jobs, &n));
    assert_int_equal(n, 300);
    n = 0;
    assert_err(ERR_OK, store_jobs(r->s, JOB_WAITING, 1000, count_jobs, &n));
    assert_int_equal(n, 299);
    n = 0;
    assert_err(ERR_OK, store_jobs(r->s, JOB_FAILED, 1000, count_jobs, &n));
    assert_int_equal(n, 1);
    n = 0;
    assert_err(ERR_OK, store_jobs(r->s, -1, 7, count_jobs, &n));
    assert_int_equal(n, 7);
}

static void longest_strings_fit(struct rig *r)
{
    struct job j = job("", RIG_NOW_S), got;
    char id[STORE_MESSAGE_ID_MAX + 1], subject[STORE_MESSAGE_ID_MAX + 1], notify[64];
    enum job_added added;
    struct posted p;
    struct ticket t;

#define FILL(field) memset(field, 'l', sizeof(field) - 1)
    memset(id, 0, sizeof id);
    memset(subject, 0, sizeof subject);
    memset(notify, 0, sizeof notify);
    FILL(id);
    FILL(subject);
    FILL(notify);
    p = rig_post(r, LETTER(.message_id = id, .subject = subject, .notify = notify));
    assert_err(ERR_OK, store_ticket_get(r->s, p.ticket.key, &t));
    assert_string_equal(t.message_id, id);
    assert_string_equal(t.subject, subject);
    FILL(j.url);
    FILL(j.stub_from);
    FILL(j.stub_to);
    FILL(j.envelope_from);
    FILL(j.recipient);
    FILL(j.author);
    FILL(j.notify);
    FILL(j.orcpt);
    FILL(j.ret);
    FILL(j.envid);
    FILL(j.client_address);
    FILL(j.client_name);
    FILL(j.client_helo);
    FILL(j.queue_id);
    FILL(j.message_id);
    FILL(j.mta_queue_id);
    FILL(j.reason);
    FILL(j.text);
#undef FILL
    assert_err(ERR_OK, store_job_add(r->s, &j, &added));
    got = job_get(r, &j);
    assert_memory_equal(got.url, j.url, sizeof j.url);
    assert_memory_equal(got.text, j.text, sizeof j.text);
    assert_err(ERR_OK, store_job_later(r->s, j.id, RIG_NOW_S, false, id)); /* cut to what fits */
    assert_int_equal(strlen(job_get(r, &j).text), STORE_TEXT_MAX - 1);
}

int main(void)
{
    static const struct rig_case cases[] = {
        RIG_CASE(what_the_mta_said_outlives_a_nack_that_fails),
        RIG_CASE(a_job_may_start_as_refused),
        RIG_CASE(a_job_goes_its_way),
        RIG_CASE(a_repeated_stub_is_known),
        RIG_CASE(a_repeated_stub_of_a_refused_letter),
        RIG_CASE(a_failed_job_stays_known_and_silent),
        RIG_CASE(an_altered_stub_stands_in_nobodys_way),
        RIG_CASE(ended_jobs_are_known_until_purged),
        RIG_CASE(jobs_are_listed),
        RIG_CASE(longest_strings_fit),
    };

    return rig_run("store jobs", cases, sizeof cases / sizeof *cases, true, true);
}
