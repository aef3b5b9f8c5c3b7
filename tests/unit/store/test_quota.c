/*
 * test_quota.c - what quota.h promises, on every engine: who uses how much, and who may not have more.
 */
#include "rig.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct quota_use use(struct rig *r, const char *name)
{
    struct quota_use u;

    assert_err(ERR_OK, store_quota(r->s, name, &u));
    return u;
}

static void check(struct rig *r, const char *name, uint64_t letters, uint64_t bytes)
{
    struct quota_use u = use(r, name);

    assert_int_equal(u.letters, letters);
    assert_int_equal(u.bytes, bytes);
}

static void nack(struct rig *r, const struct posted *p)
{
    uint8_t token[16] = {0};
    struct ticket t;

    assert_err(ERR_OK, store_nack(r->s, p->ticket.key, token, "denied", "", RIG_NOW_S, &t));
}

/* Ends a ticket and has its sender told: nothing keeps the payload then. */
static void end(struct rig *r, const struct posted *p)
{
    struct work w = {.kind = WORK_NOTIFY};

    nack(r, p);
    memcpy(w.key, p->ticket.key, sizeof w.key);
    assert_err(ERR_OK, store_work_done(r->s, &w, "4b", RIG_NOW_S));
}

static void a_letter_counts_once_however_many_tickets_it_has(struct rig *r)
{
    struct posted p[3];

    assert_err(ERR_OK, rig_deposit(r, LETTER(.size = 5000), 3, p));
    check(r, "alice@a.test", 1, 5000);
    check(r, "@a.test", 1, 5000);
    for (int i = 0; i < 3; i++) {
        check(r, "alice@a.test", 1, 5000);
        end(r, &p[i]);
    }
    check(r, "alice@a.test", 0, 0);
    check(r, "@a.test", 0, 0);
}

static void it_counts_until_its_notification_has_gone(struct rig *r)
{
    struct posted p = rig_post(r, LETTER(.size = 100));
    struct work w = {.kind = WORK_NOTIFY};

    nack(r, &p);
    check(r, "alice@a.test", 1, 100);
    memcpy(w.key, p.ticket.key, sizeof w.key);
    assert_err(ERR_OK, store_work_done(r->s, &w, "4b", RIG_NOW_S));
    check(r, "alice@a.test", 0, 0);
}

static void the_same_letter_again_counts_nothing(struct rig *r)
{
    rig_post(r, LETTER());
    assert_true(rig_post(r, LETTER()).existing);
    check(r, "alice@a.test", 1, 3000);
}

static void case_makes_no_other_owner(struct rig *r)
{
    rig_post(r, LETTER(.size = 10));
    rig_post(r, LETTER(.size = 20, .sender = "Alice@A.test", .message_id = "<2>"));
    rig_post(r, LETTER(.size = 40, .sender = "carol@A.TEST", .message_id = "<3>"));
    check(r, "ALICE@a.test", 2, 30);
    check(r, "carol@a.test", 1, 40);
    check(r, "@A.test", 3, 70);
    check(r, "nobody@a.test", 0, 0);
    assert_string_equal(use(r, "ALICE@a.test").name, "alice@a.test");
    assert_true(use(r, "@A.test").domain);
}

static bool collect(void *arg, const struct quota_use *u)
{
    struct buf *out = arg;

    assert_err(ERR_OK, buf_printf(out, "%s=%d ", u->domain ? "domain" : u->name, (int)u->letters));
    return true;
}

static void all_are_listed_domains_first(struct rig *r)
{
    struct buf names;

    buf_init(&names, 1000);
    rig_post(r, LETTER());
    rig_post(r, LETTER(.sender = "carol@c.test"));
    assert_err(ERR_OK, store_quotas(r->s, 100, collect, &names));
    assert_int_equal(strncmp(buf_cstr(&names), "domain=1 domain=1 ", 18), 0);
    assert_non_null(strstr(buf_cstr(&names), "alice@a.test=1 "));
    assert_non_null(strstr(buf_cstr(&names), "carol@c.test=1 "));
    buf_clear(&names);
    assert_err(ERR_OK, store_quotas(r->s, 1, collect, &names));
    assert_string_equal(buf_cstr(&names), "domain=1 ");
    buf_free(&names);
}

static void kept_mail_counts_for_its_recipient_alone(struct rig *r)
{
    struct attempt a = {.mailbox = "bob@b.test", .sender = "alice@a.test", .legacy = true};
    struct buf names;
    struct job j;

    buf_init(&names, 1000);
    assert_err(ERR_OK, rig_keep(r, &a, 'x', 100000, RIG_NOW_S, 10, &j));
    assert_err(ERR_OK, store_quotas(r->s, 100, collect, &names));
    assert_string_equal(
        buf_cstr(&names),
        "domain=1 domain=1 domain=1 kept:bob@b.test -=1 kept:bob@b.test=1 kept:bob@b.test []=1 ");
    buf_free(&names);
}

/* ---- limits -------------------------------------------------------------------------------------------- */

static enum err post(struct rig *r, const char *sender, const char *id, size_t size)
{
    struct posted p;

    return rig_deposit(r, LETTER(.sender = sender, .message_id = id, .size = size), 1, &p);
}

static void too_much_is_refused_with_figures(struct rig *r)
{
    static const struct {
        struct quota_limits limits;
        bool system_mail;
        size_t fits, more;
        const char *why;
    } cases[] = {
        {{.owner_letters = 2}, false, 1000, 1, "alice@a.test: 2 of 2 letters, 2.0 KB"},
        {{.owner_bytes = 2000}, false, 1000, 1, "alice@a.test: 2 letters, 2.0 of 2.0 KB"},
        {{.owner_bytes = 3 << 20, .owner_letters = 100},
         false,
         1 << 20,
         (1 << 20) + 1,
         "alice@a.test: 2 of 100 letters, 2.0 of 3.0 MB"},
        {{.domain_letters = 2}, false, 1000, 1, "@a.test: 2 of 2 letters, 2.0 KB"},
        {{.domain_bytes = 2100}, false, 1000, 101, "@a.test: 2 letters, 2.0 of 2.1 KB"},
        {{.owner_letters = 2, .reserve_percent = 50}, false, 9, 1, "alice@a.test: 2 of 2 letters, 0.0 KB"},
        {{.owner_bytes = 2000, .reserve_percent = 10},
         true,
         1000,
         201,
         "alice@a.test: 2 letters, 2.0 of 2.0 KB"},
    };
    static struct buf why;

    buf_init(&why, 1000);
    r->why = &why;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct posted p[2], q;

        r->limits = &cases[i].limits;
        r->system_mail = cases[i].system_mail;
        for (int n = 0; n < 2; n++)
            p[n] = rig_post(r, LETTER(.message_id = "", .size = cases[i].fits));
        assert_err(ERR_QUOTA, rig_deposit(r, LETTER(.message_id = "", .size = cases[i].more), 1, &q));
        assert_string_equal(buf_cstr(&why), cases[i].why);
        check(r, "alice@a.test", 2, 2 * cases[i].fits);
        end(r, &p[0]); /* then there is room again */
        q = rig_post(r, LETTER(.message_id = "", .size = cases[i].more));
        end(r, &p[1]);
        end(r, &q);
        check(r, "@a.test", 0, 0);
    }
    buf_free(&why);
}

static void system_mail_has_a_reserve(struct rig *r)
{
    static const struct quota_limits limits = {
        .owner_letters = 10, .owner_bytes = 1001, .reserve_percent = 20};

    r->limits = &limits;
    for (int i = 0; i < 10; i++)
        rig_post(r, LETTER(.message_id = "", .size = 10));
    assert_err(ERR_QUOTA, post(r, "alice@a.test", "", 10));
    r->system_mail = true;
    rig_post(r, LETTER(.message_id = "", .size = 10));
    rig_post(r, LETTER(.message_id = "", .size = 10));
    assert_err(ERR_QUOTA, post(r, "alice@a.test", "", 10));
}

static void who_has_too_much_already_may_still_send_the_same_letter(struct rig *r)
{
    static const struct quota_limits limits = {.owner_letters = 1};

    rig_post(r, LETTER(.message_id = "<1>"));
    rig_post(r, LETTER(.message_id = "<2>"));
    r->limits = &limits;
    assert_err(ERR_QUOTA, post(r, "alice@a.test", "<3>", 10));
    assert_true(rig_post(r, LETTER(.message_id = "<1>")).existing);
    assert_err(ERR_OK, post(r, "carol@a.test", "<1>", 10));
}

/* How many warnings are due. */
static size_t warnings(struct rig *r)
{
    struct work w[100];
    size_t n = 0, count = 0;

    assert_err(ERR_OK, store_work_due(r->s, RIG_NOW_S, -1, w, 100, &n));
    for (size_t i = 0; i < n; i++)
        count += w[i].kind == WORK_QUOTA;
    return count;
}

static void an_owner_is_told_once_that_most_is_used(struct rig *r)
{
    static const struct quota_limits limits = {.owner_letters = 10, .domain_letters = 10};
    struct posted p[9];
    struct work w = {.kind = WORK_QUOTA};

    r->limits = &limits;
    for (int i = 0; i < 7; i++)
        p[i] = rig_post(r, LETTER(.message_id = "", .size = 10));
    assert_int_equal(warnings(r), 0);
    assert_int_equal(use(r, "alice@a.test").warned_s, 0);
    p[7] = rig_post(r, LETTER(.message_id = "", .size = 10));
    assert_int_equal(warnings(r), 1);
    assert_int_equal(use(r, "alice@a.test").warned_s, RIG_NOW_S);
    p[8] = rig_post(r, LETTER(.message_id = "", .size = 10));
    assert_int_equal(warnings(r), 1);
    memcpy(w.key, p[7].ticket.key, sizeof w.key);
    assert_err(ERR_OK, store_work_done(r->s, &w, "4b", RIG_NOW_S));
    assert_int_equal(warnings(r), 0);
    end(r, &p[0]); /* 8: still much */
    rig_post(r, LETTER(.message_id = "", .size = 10));
    assert_int_equal(warnings(r), 0);
    end(r, &p[1]); /* 7: less by now */
    end(r, &p[2]);
    rig_post(r, LETTER(.message_id = "", .size = 10));
    assert_int_equal(warnings(r), 1);
}

static void system_mail_tells_nobody(struct rig *r)
{
    static const struct quota_limits limits = {.owner_letters = 1};

    r->limits = &limits;
    r->system_mail = true;
    rig_post(r, LETTER(.message_id = "", .size = 10));
    assert_int_equal(warnings(r), 0);
    assert_int_equal(use(r, "alice@a.test").warned_s, 0);
}

static void a_refused_letter_leaves_nothing(struct rig *r)
{
    static const struct quota_limits limits = {.owner_bytes = 1000};
    struct store_counts c;

    r->limits = &limits;
    assert_err(ERR_QUOTA, post(r, "alice@a.test", "<1>", 100000));
    assert_err(ERR_OK, store_count(r->s, &c));
    assert_int_equal(c.payloads, 0);
    assert_int_equal(c.tickets[TICKET_WAITING], 0);
    assert_int_equal(c.work, 0);
    if (r->options.engine == STORE_BDB)
        assert_int_equal(rig_file_count(r->directory, "payload"), 0);
}

/* ---- many at once -------------------------------------------------------------------------------------- */

enum { THREADS = 8, LETTERS = 40 };
static const struct quota_limits crowd_limits = {.owner_letters = LETTERS * THREADS / 2};

static void *crowd(void *arg)
{
    struct rig *r = arg;
    intptr_t stored = 0;

    for (int i = 0; i < LETTERS; i++) {
        struct posted p;
        enum err err = rig_deposit(r, LETTER(.message_id = "", .size = 10), 1, &p);

        if (err == ERR_OK)
            stored++;
        else
            assert_err(ERR_QUOTA, err);
        if (i % 10 == 9 && err == ERR_OK)
            end(r, &p);
    }
    return (void *)stored;
}

static void a_crowd_gets_exactly_what_there_is(struct rig *r)
{
    pthread_t thread[THREADS];
    struct store_counts c;
    struct quota_use u;

    r->limits = &crowd_limits;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, crowd, r), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    assert_err(ERR_OK, store_count(r->s, &c));
    u = use(r, "alice@a.test");
    assert_true(u.letters <= (uint64_t)crowd_limits.owner_letters);
    assert_int_equal(u.letters, c.payloads);
    assert_int_equal(u.bytes, 10 * c.payloads);
    assert_int_equal(use(r, "@a.test").letters, c.payloads);
}

static void it_is_there_when_opened_again(struct rig *r)
{
    if (r->options.engine == STORE_MEMORY)
        return;
    rig_post(r, LETTER(.size = 5000));
    rig_close(r);
    rig_open(r);
    check(r, "alice@a.test", 1, 5000);
    check(r, "@a.test", 1, 5000);
}

int main(void)
{
    static const struct rig_case cases[] = {
        RIG_CASE(a_letter_counts_once_however_many_tickets_it_has),
        RIG_CASE(it_counts_until_its_notification_has_gone),
        RIG_CASE(the_same_letter_again_counts_nothing),
        RIG_CASE(case_makes_no_other_owner),
        RIG_CASE(all_are_listed_domains_first),
        RIG_CASE(kept_mail_counts_for_its_recipient_alone),
        RIG_CASE(too_much_is_refused_with_figures),
        RIG_CASE(system_mail_has_a_reserve),
        RIG_CASE(who_has_too_much_already_may_still_send_the_same_letter),
        RIG_CASE(an_owner_is_told_once_that_most_is_used),
        RIG_CASE(system_mail_tells_nobody),
        RIG_CASE(a_refused_letter_leaves_nothing),
        RIG_CASE(a_crowd_gets_exactly_what_there_is),
        RIG_CASE(it_is_there_when_opened_again),
    };

    return rig_run("quota", cases, sizeof cases / sizeof *cases, true, true);
}
