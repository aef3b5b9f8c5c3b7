/*
 * test_yesterday.c - stores that earlier builds wrote open, and everything in them is still what it was.
 */
#include "rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "store/policy.h"
#include "store/recall.h"

/* Of the build that brought this version of records; everything in it is still what it was. */
static void open_fixture(struct rig *r, int version)
{
    char command[300];

    rig_close(r);
    rig_remove_tree(r->directory);
    assert_int_equal(mkdir(r->directory, 0700), 0);
    snprintf(command, sizeof command, "tar -xzf tests/unit/store/fixtures/store-%d.tar.gz -C %s", version,
             r->directory);
    assert_int_equal(system(command), 0);
    rig_open(r);
}

/* Every letter can still be called for. */
static void claim_letters(struct rig *r)
{
    for (int i = 0; i < 2; i++) {
        const struct letter *l = i == 0 ? LETTER(.message_id = "<small@a.test>")
                                        : LETTER(.message_id = "<large@a.test>", .size = 70000);
        struct posted again = rig_post(r, l);
        struct store_claimed claimed;
        struct store_claim q = rig_claim(&again, 1, RIG_NOW_S);

        assert_true(again.existing);
        assert_err(ERR_OK, ticket_derive(r->keys, again.ticket.a, &again.keys));
        assert_err(ERR_OK, store_claim(r->s, &q, &claimed));
        rig_check_body(r, &claimed, &again, l);
    }
}

static bool take_ticket(void *arg, const struct ticket *t)
{
    *(struct ticket *)arg = *t;
    return false;
}

static bool take_job(void *arg, const struct job *j)
{
    *(struct job *)arg = *j;
    return false;
}

static void a_store_of_records_1_opens(struct rig *r)
{
    struct store_counts c;
    struct store_filter f = {.message_id = "<large@a.test>", .state = -1};
    struct posted small;
    uint8_t digest[32] = {1};
    struct ticket t;
    struct job j;
    size_t n = 0;

    open_fixture(r, 1);
    assert_err(ERR_OK, store_count(r->s, &c));
    assert_int_equal(c.tickets[TICKET_WAITING], 2);
    assert_int_equal(c.tickets[TICKET_DELIVERED], 1);
    assert_int_equal(c.jobs[JOB_WAITING], 1);
    assert_int_equal(c.payloads, 2);
    assert_int_equal(c.attempts, 0);
    assert_err(ERR_OK, store_tickets(r->s, &f, 10, rig_count_ticket, &n));
    assert_int_equal(n, 1);
    /* What it knew nothing of is nothing, and may come. */
    memset(&j, 0, sizeof j);
    assert_err(ERR_OK, store_jobs(r->s, JOB_WAITING, 1, take_job, &j));
    assert_string_equal(j.url, "https://a.test/restante/1/x/y");
    assert_string_equal(j.recipient, "bob@b.test");
    assert_int_equal(j.expires_s, RIG_NOW_S + 7 * 86400);
    assert_string_equal(j.mailbox, "");
    assert_string_equal(j.token, "");
    assert_false(j.kept);
    assert_int_equal(j.tell, JOB_TELL_NOTHING);
    assert_err(ERR_OK, store_job_called(r->s, j.id, &(struct job_heard){"CN=Issuer", "01", 0, 0, RIG_NOW_S}));
    assert_err(ERR_OK, store_job_delivered(r->s, j.id, digest, 9, "4b", "250", RIG_NOW_S));
    assert_err(ERR_OK, store_job_end(r->s, j.id, JOB_ACKED, "", RIG_NOW_S));
    small = rig_post(r, LETTER(.message_id = "<small@a.test>"));
    assert_true(small.existing);
    assert_false(small.ticket.bulk);
    assert_string_equal(small.ticket.challenge_url, "");
    assert_string_equal(small.ticket.subject, "Small");
    assert_err(ERR_OK,
               store_status(r->s, small.ticket.key, TICKET_CHALLENGED, "https://b.test/c", RIG_NOW_S, &t));
    assert_err(ERR_OK, store_count(r->s, &c));
    assert_int_equal(c.work, 3); /* two stubs, one challenge */
    claim_letters(r);
}

static void a_store_of_records_2_opens(struct rig *r)
{
    struct store_filter f = {.message_id = "<list@a.test>", .state = -1};
    struct store_counts c;
    struct attempt a;
    struct policy p;
    struct entry e;
    struct token t;
    struct job j;
    uint8_t what[32] = {1};
    int64_t since_s;
    uint32_t count;
    size_t n = 0;

    open_fixture(r, 2);
    assert_err(ERR_OK, store_count(r->s, &c));
    assert_int_equal(c.tickets[TICKET_WAITING], 2);
    assert_int_equal(c.tickets[TICKET_CHALLENGED], 1);
    assert_int_equal(c.tickets[TICKET_DELIVERED], 1);
    assert_int_equal(c.jobs[JOB_WAITING], 1);
    assert_int_equal(c.jobs[JOB_HELD], 3);
    assert_int_equal(c.payloads, 5);
    assert_int_equal(c.attempts, 2);
    assert_int_equal(c.work, 4); /* three stubs, one challenge */
    assert_err(ERR_OK, store_tickets(r->s, &f, 10, rig_count_ticket, &n));
    assert_int_equal(n, 1);
    claim_letters(r);

    assert_err(ERR_OK, store_attempt_get(r->s, "bob@b.test", "stranger@a.test", &a));
    assert_string_equal(a.subject, "Hello");
    assert_string_equal(a.link_host, "pull.a.test");
    assert_int_equal(a.waiting, 1);
    assert_err(ERR_OK, store_job_get(r->s, a.job[0], &j));
    assert_string_equal(j.challenge_url, "https://b.test/c/1");
    assert_string_equal(j.proof, "spf=pass");
    assert_int_equal(j.tell, JOB_TELL_CHALLENGE);
    assert_int_equal(j.kd[31], 'd');
    assert_err(ERR_OK, store_attempt_get(r->s, "bob@b.test", "kept@a.test", &a));
    assert_int_equal(a.waiting, 2);
    assert_err(ERR_OK, store_job_get(r->s, a.job[0], &j));
    rig_check_kept(r, &j, 's', 2000);
    assert_err(ERR_OK, store_job_get(r->s, a.job[1], &j));
    rig_check_kept(r, &j, 'l', 80000);
    assert_err(ERR_OK, store_attempt_admit(r->s, "bob@b.test", "kept@a.test", UNPROVEN_GOES_ALONE, "allowed",
                                           RIG_NOW_S, &count));
    assert_int_equal(count, 2);

    assert_err(ERR_OK, store_policy_get(r->s, "bob@b.test", &p));
    assert_int_equal(p.rule, RULE_CHALLENGE);
    assert_string_equal(p.question, "Which colour?");
    assert_err(ERR_OK, store_entry_get(r->s, "bob@b.test", ENTRY_LIST, "dev.lists.test", RIG_NOW_S, &e));
    assert_string_equal(e.domain, "lists.test");
    assert_err(ERR_OK, store_token_get(r->s, "bob@b.test", "shop", &t));
    assert_int_equal(t.letters_used, 1);
    assert_string_equal(t.bound, "a.test");
    assert_err(ERR_OK, store_correspondent_get(r->s, "bob@b.test", "alice@a.test", RIG_NOW_S, &since_s));
    assert_err(ERR_OK, store_domain_first_seen(r->s, "a.test", &since_s));
    assert_err(ERR_EXISTS, store_spend(r->s, what, RIG_NOW_S));
}

static struct ticket life_ticket(struct rig *r, const char *message_id)
{
    struct store_filter f = {.message_id = message_id, .state = -1};
    struct ticket t;

    memset(&t, 0, sizeof t);
    assert_err(ERR_OK, store_tickets(r->s, &f, 1, take_ticket, &t));
    assert_string_equal(t.message_id, message_id);
    return t;
}

static void check_life(struct rig *r)
{
    const struct letter *new = LETTER(.message_id = "<replaced@a.test>", .size = 80000, .fill = 'n');
    struct store_claimed c;
    struct store_claim q;
    struct store_counts n;
    struct quota_use use;
    struct ticket_event e;
    struct posted p;
    struct attempt a;
    struct ticket t;
    struct job j;
    size_t count;

    assert_err(ERR_OK, store_count(r->s, &n));
    assert_int_equal(n.tickets[TICKET_WAITING], 4);
    assert_int_equal(n.tickets[TICKET_HELD], 1);
    assert_int_equal(n.tickets[TICKET_RETRACTED], 1);
    assert_int_equal(n.tickets[TICKET_PLAIN], 1);
    assert_int_equal(n.work, 10); /* seven stubs, a challenge, a warning, a plain letter */
    claim_letters(r);

    t = life_ticket(r, "<hold@a.test>");
    assert_true(t.hold);
    assert_true(t.archived);
    assert_string_equal(t.hold_note, "case 17");
    assert_int_equal(t.state, TICKET_HELD);
    assert_int_equal(t.status_s, RIG_NOW_S + 2);
    assert_int_equal(t.delay_told_s, RIG_NOW_S + 3);
    assert_int_equal(t.event_count, 4);
    assert_true(ticket_event_get(&t, 3, &e));
    assert_int_equal(e.what, TICKET_EVENT_HOLD);
    assert_int_equal(e.at_s, RIG_NOW_S + 5);
    t = life_ticket(r, "<perhaps@a.test>");
    assert_true(t.perhaps);
    t = life_ticket(r, "<retracted@a.test>");
    assert_int_equal(t.look_s, RIG_NOW_S + 6);
    t = life_ticket(r, "<plain@a.test>");
    assert_string_equal(t.remote_text, "takes no stubs");

    p.ticket = life_ticket(r, "<replaced@a.test>");
    assert_int_equal(p.ticket.version, 2);
    assert_err(ERR_OK, ticket_derive(r->keys, p.ticket.a, &p.keys));
    q = rig_claim(&p, 1, RIG_NOW_S);
    assert_err(ERR_OK, store_claim(r->s, &q, &c));
    rig_check_body(r, &c, &p, new);
    assert_err(ERR_OK, store_quota(r->s, "alice@a.test", &use));
    assert_int_equal(use.letters, 7);
    assert_err(ERR_OK, store_expire(r->s, RIG_NOW_S + 8 * 86400, 20, &count));
    assert_int_equal(life_ticket(r, "<hold@a.test>").state, TICKET_HELD);
    assert_int_equal(life_ticket(r, "<perhaps@a.test>").state, TICKET_UNCONFIRMED);

    assert_err(ERR_OK, store_attempt_get(r->s, "bob@b.test", "stranger@a.test", &a));
    assert_err(ERR_OK, store_job_get(r->s, a.job[0], &j));
    assert_int_equal(j.version, 2);
    assert_true(j.replaced);
    assert_int_equal(j.heard_s, RIG_NOW_S + 2);
    assert_int_equal(j.due_s, RIG_NOW_S + 86400);
}

static void a_store_of_records_3_opens(struct rig *r)
{
    open_fixture(r, 3);
    check_life(r);
}

/* The list of letters, the tables' names, and the octets of kept mail came with it. */
static void a_store_of_records_4_opens(struct rig *r)
{
    struct quota_use use;

    open_fixture(r, 4);
    assert_err(ERR_OK, store_quota(r->s, "kept:bob@b.test", &use));
    assert_int_equal(use.letters, 2);
    check_life(r);
}

/* Writes what a fixture holds: `test_store_yesterday make-fixture DIRECTORY`, then
 * `tar -czf store-4.tar.gz -C DIRECTORY db payload`. To be done once for each version of records, by the
 * build that introduces it, and never again. */
static void make_attempts(struct rig *r)
{
    struct attempt a = {.mailbox = "bob@b.test",
                        .sender = "stranger@a.test",
                        .author = "stranger@a.test",
                        .aligned = true,
                        .subject = "Hello",
                        .verified = "a.test",
                        .link_host = "pull.a.test",
                        .reason = "challenge"};
    struct job j = {.url = "https://a.test/restante/1/x/held",
                    .recipient = "bob@b.test",
                    .proof = "spf=pass",
                    .tell = JOB_TELL_CHALLENGE,
                    .challenge_url = "https://b.test/c/1",
                    .created_s = RIG_NOW_S,
                    .expires_s = RIG_NOW_S + 7 * 86400};
    enum job_added added;

    memset(j.kd, 'd', sizeof j.kd);
    assert_err(ERR_OK, store_attempt_add(r->s, &a, &j, 100, &added));
    strcpy(a.sender, "kept@a.test");
    a.legacy = true;
    assert_err(ERR_OK, rig_keep(r, &a, 's', 2000, RIG_NOW_S, 100, &j));
    assert_err(ERR_OK, rig_keep(r, &a, 'l', 80000, RIG_NOW_S, 100, &j));
}

static void make_admission(struct rig *r)
{
    struct policy p = {.rule = RULE_CHALLENGE, .question = "Which colour?", .answers = "blue\nazure"};
    struct entry e = {
        .mailbox = "bob@b.test", .kind = ENTRY_LIST, .value = "dev.lists.test", .domain = "lists.test"};
    struct token t = {.mailbox = "bob@b.test", .token = "shop", .letters_max = 3, .bind = true};
    struct posted list = rig_post(r, LETTER(.message_id = "<list@a.test>", .list_id = "dev.lists.test")),
                  small = rig_post(r, LETTER(.message_id = "<small@a.test>"));
    uint8_t what[32] = {1};
    struct ticket ticket;
    int64_t first_s;

    assert_int_equal(list.ticket.state, TICKET_WAITING);
    assert_err(ERR_OK, store_status(r->s, small.ticket.key, TICKET_CHALLENGED, "https://b.test/c", RIG_NOW_S,
                                    &ticket));
    make_attempts(r);
    assert_err(ERR_OK, store_policy_put(r->s, "bob@b.test", &p));
    assert_err(ERR_OK, store_entry_put(r->s, &e));
    assert_err(ERR_OK, store_token_add(r->s, &t));
    assert_err(ERR_OK, store_token_use(r->s, "bob@b.test", "shop", "a.test", what, RIG_NOW_S));
    assert_err(ERR_OK, store_spend(r->s, what, RIG_NOW_S));
    assert_err(ERR_OK,
               store_correspondent_add(r->s, "bob@b.test", "alice@a.test", RIG_NOW_S, RIG_NOW_S + 86400));
    assert_err(ERR_OK, store_domain_seen(r->s, "a.test", RIG_NOW_S, &first_s));
}

static bool tell_job(void *arg, const struct job *j)
{
    struct rig *r = arg;

    if (j->kept)
        return true;
    for (uint32_t version = 1; version <= 2; version++) {
        const struct job_heard heard = {"CN=Issuer", "01", version, 1000, RIG_NOW_S + version};

        assert_err(ERR_OK, store_job_told(r->s, j->id, &heard, RIG_NOW_S + 86400));
    }
    return false;
}

static void make_life(struct rig *r)
{
    struct posted hold = rig_post(r, LETTER(.message_id = "<hold@a.test>")),
                  replaced = rig_post(r, LETTER(.message_id = "<replaced@a.test>")),
                  perhaps = rig_post(r, LETTER(.message_id = "<perhaps@a.test>")),
                  plain = rig_post(r, LETTER(.message_id = "<plain@a.test>")),
                  retracted = rig_post(r, LETTER(.message_id = "<retracted@a.test>"));
    enum err outcome;
    struct ticket t;

    assert_err(ERR_OK, store_status(r->s, hold.ticket.key, TICKET_HELD, "", RIG_NOW_S + 2, &t));
    assert_err(ERR_OK, store_delay_due(r->s, hold.ticket.key, RIG_NOW_S + 3));
    assert_err(ERR_OK, store_archived(r->s, hold.ticket.key, t.payload_id, RIG_NOW_S + 4));
    assert_err(ERR_OK, store_hold(r->s, hold.ticket.key, true, "case 17", RIG_NOW_S + 5, &t));
    assert_err(ERR_OK, rig_replace(r, &replaced, 1,
                                   LETTER(.message_id = "<replaced@a.test>", .size = 80000, .fill = 'n'), 2,
                                   false, RIG_NOW_S, &outcome));
    rig_set_perhaps(r, &perhaps);
    assert_err(ERR_OK, store_plain(r->s, plain.ticket.key, "takes no stubs", RIG_NOW_S, &t));
    assert_err(ERR_OK, store_status(r->s, retracted.ticket.key, TICKET_HELD, "", RIG_NOW_S + 2, &t));
    assert_err(ERR_OK, store_retract(r->s, retracted.ticket.key, false, RIG_NOW_S + 6, &t));
    assert_err(ERR_OK, store_jobs(r->s, JOB_HELD, 10, tell_job, r));
}

static int make_fixture(const char *directory)
{
    struct job j = {.url = "https://a.test/restante/1/x/y",
                    .recipient = "bob@b.test",
                    .due_s = RIG_NOW_S,
                    .created_s = RIG_NOW_S,
                    .expires_s = RIG_NOW_S + 7 * 86400};
    struct store_claimed c;
    struct store_claim q;
    enum job_added added;
    uint8_t digest[32];
    struct posted p;
    struct ticket t;
    struct rig r;

    rig_init(&r, STORE_MEMORY);
    r.options.engine = STORE_BDB;
    r.options.directory = directory;
    rig_open(&r);
    rig_post(&r, LETTER(.message_id = "<small@a.test>", .subject = "Small"));
    rig_post(&r, LETTER(.message_id = "<large@a.test>", .subject = "Large", .size = 70000));
    p = rig_post(&r, LETTER(.message_id = "<done@a.test>"));
    q = rig_claim(&p, 1, RIG_NOW_S);
    letter_digest(LETTER(), digest);
    if (store_claim(r.s, &q, &c) != ERR_OK || store_ack(r.s, p.ticket.key, digest, RIG_NOW_S, &t) != ERR_OK ||
        store_job_add(r.s, &j, &added) != ERR_OK ||
        store_domain_put(r.s, "b.test", &(struct store_domain){true, RIG_NOW_S}) != ERR_OK)
        return 1;
    make_admission(&r);
    make_life(&r);
    rig_free(&r);
    return 0;
}

int main(int argc, char **argv)
{
    static const struct rig_case cases[] = {
        RIG_CASE(a_store_of_records_1_opens),
        RIG_CASE(a_store_of_records_2_opens),
        RIG_CASE(a_store_of_records_3_opens),
        RIG_CASE(a_store_of_records_4_opens),
    };

    if (argc == 3 && strcmp(argv[1], "make-fixture") == 0)
        return make_fixture(argv[2]);
    return rig_run("yesterday's stores", cases, sizeof cases / sizeof *cases, false, true);
}
