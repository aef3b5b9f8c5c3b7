/*
 * test_sweep.c - what sweep.h promises: everything that is over goes, in small steps, and nothing else.
 */
#include "rig.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/encode.h"
#include "store/policy.h"
#include "store/store_internal.h"

#define DAY_S 86400

/* Steps until there is nothing more to do; how many it took. */
static size_t sweep_with(struct store_sweeper *w, int64_t now_s, struct store_swept *done)
{
    int64_t next_s = now_s;
    size_t steps = 0;

    while (next_s <= now_s) {
        assert_err(ERR_OK, store_sweep(w, now_s, done, &next_s));
        assert_true(++steps < 1000);
    }
    return steps;
}

/* Puts bytes into the place of a record. */
static void tamper(struct rig *r, enum engine_table table, struct span key, struct span value)
{
    struct engine *e = r->s->engine;
    struct engine_txn *t;

    assert_err(ERR_OK, e->ops->begin(e, &t));
    assert_err(ERR_OK, e->ops->put(t, table, key, value));
    assert_err(ERR_OK, e->ops->commit(t));
}

static void post_many(struct rig *r, struct posted *out, size_t count, const char *notify, int64_t expires_s)
{
    for (size_t i = 0; i < count; i++)
        out[i] = rig_post(r, LETTER(.message_id = "", .size = 100, .notify = notify, .expires_s = expires_s));
}

/* ---- tickets ------------------------------------------------------------------------------------------- */

enum { MANY = 100 };

static void tickets_past_their_time_end_in_small_steps(struct rig *r)
{
    struct posted p[MANY], alive = rig_post(r, LETTER(.message_id = ""));
    struct store_swept done = {.expired = 0};
    struct store_sweeper *w;
    int64_t next_s;

    post_many(r, p, MANY, "", RIG_NOW_S + 100);
    assert_err(ERR_OK, store_sweeper_create(r->s, &w));
    assert_err(ERR_OK, store_sweep(w, RIG_NOW_S + 101, &done, &next_s));
    assert_in_range(done.expired, 1, MANY / 2);
    assert_true(next_s <= RIG_NOW_S + 101);
    assert_true(sweep_with(w, RIG_NOW_S + 101, &done) > 3);
    assert_int_equal(done.expired, MANY);
    assert_int_equal(rig_counts(r).tickets[TICKET_EXPIRED], MANY);
    assert_int_equal(rig_counts(r).tickets[TICKET_WAITING], 1);
    assert_int_equal(rig_state(r, &alive), TICKET_WAITING);
    assert_int_equal(rig_counts(r).work, 2 * MANY + 1 - MANY); /* a notification each instead of the stub */
    /* Nothing twice. */
    done.expired = 0;
    sweep_with(w, RIG_NOW_S + 200, &done);
    assert_int_equal(done.expired, 0);
    store_sweeper_free(w);
}

static void tombstones_go_with_all_that_was_theirs(struct rig *r)
{
    struct posted p[MANY];
    struct store_swept done;
    struct quota_use use;

    post_many(r, p, MANY, "NEVER", RIG_NOW_S + 100);
    rig_sweep(r, RIG_NOW_S + 101);
    done = rig_sweep(r, RIG_NOW_S + 101 + r->options.tombstone_s);
    assert_int_equal(done.purged, MANY);
    assert_int_equal(rig_counts(r).tickets[TICKET_EXPIRED], 0);
    assert_int_equal(rig_counts(r).payloads, 0);
    assert_int_equal(rig_counts(r).work, 0);
    assert_int_equal(rig_counts(r).removed, MANY);
    assert_err(ERR_OK, store_quota(r->s, "alice@a.test", &use));
    assert_int_equal(use.letters, 0);
    assert_int_equal(use.bytes, 0);
}

static void a_damaged_record_stops_nobody_else(struct rig *r)
{
    struct posted p[MANY];
    struct store_swept done;

    post_many(r, p, MANY, "NEVER", RIG_NOW_S + 100);
    for (int i = 0; i < 3; i++)
        tamper(r, TABLE_TICKET, span_bytes(p[i * 40].ticket.key, 32), SPAN_LITERAL("\0\1rubbish"));
    done = rig_sweep(r, RIG_NOW_S + 101);
    assert_int_equal(done.expired, MANY - 3);
    assert_int_equal(done.damaged, 3);
    tamper(r, TABLE_TICKET, span_bytes(p[1].ticket.key, 32), SPAN_LITERAL("\0\1rubbish"));
    done = rig_sweep(r, RIG_NOW_S + 101 + r->options.tombstone_s);
    assert_int_equal(done.purged, MANY - 4);
    assert_int_equal(done.damaged, 4);
}

static void a_lease_is_let_run(struct rig *r)
{
    struct posted p = rig_post(r, LETTER(.message_id = "", .expires_s = RIG_NOW_S + 100));
    struct store_claim q = rig_claim(&p, 1, RIG_NOW_S + 99);
    struct store_claimed c;

    assert_err(ERR_OK, store_claim(r->s, &q, &c));
    assert_int_equal(rig_sweep(r, RIG_NOW_S + 101).expired, 0);
    assert_int_equal(rig_counts(r).tickets[TICKET_LEASED], 1);
    assert_int_equal(rig_sweep(r, RIG_NOW_S + 99 + 3602).expired, 1);
    assert_int_equal(rig_counts(r).tickets[TICKET_UNCONFIRMED], 1);
}

static void a_clock_that_went_back_stops_nothing(struct rig *r)
{
    struct store_swept done = {.expired = 0};
    struct store_sweeper *w;
    struct posted p;

    assert_err(ERR_OK, store_sweeper_create(r->s, &w));
    sweep_with(w, RIG_NOW_S + 365 * DAY_S, &done);
    p = rig_post(r, LETTER(.message_id = "", .expires_s = RIG_NOW_S + 100));
    sweep_with(w, RIG_NOW_S + 101, &done);
    assert_int_equal(done.expired, 1);
    assert_int_equal(rig_state(r, &p), TICKET_EXPIRED);
    store_sweeper_free(w);
}

/* ---- rows ---------------------------------------------------------------------------------------------- */

static void put_policy_rows(struct rig *r)
{
    struct entry e = {.mailbox = "bob@b.test", .kind = ENTRY_DOMAIN};
    struct token t = {.mailbox = "bob@b.test"};

    for (int i = 0; i < 3; i++) {
        e.until_s = t.until_s = i == 0 ? 0 : RIG_NOW_S + 100;
        t.revoked = false;
        snprintf(e.value, sizeof e.value, "d%d.test", i);
        snprintf(t.token, sizeof t.token, "t%d", i);
        assert_err(ERR_OK, store_entry_put(r->s, &e));
        assert_err(ERR_OK, store_token_add(r->s, &t));
    }
    assert_err(ERR_OK, store_token_revoke(r->s, "bob@b.test", "t2"));
}

static bool count_entry(void *arg, const struct entry *e)
{
    (void)e;
    ++*(size_t *)arg;
    return true;
}

static bool count_token(void *arg, const struct token *t)
{
    (void)t;
    ++*(size_t *)arg;
    return true;
}

static void entries_and_tokens_go_long_after_their_time(struct rig *r)
{
    size_t entries = 0, tokens = 0;

    put_policy_rows(r);
    assert_int_equal(rig_sweep(r, RIG_NOW_S + 100 + 29 * DAY_S).purged, 0);
    assert_int_equal(rig_sweep(r, RIG_NOW_S + 101 + 30 * DAY_S).purged, 3); /* a revoked token stays */
    assert_err(ERR_OK, store_entries(r->s, NULL, count_entry, &entries));
    assert_err(ERR_OK, store_tokens(r->s, NULL, count_token, &tokens));
    assert_int_equal(entries, 1);
    assert_int_equal(tokens, 2);
}

static void what_was_noted_of_domains_is_forgotten_in_time(struct rig *r)
{
    struct store_domain d = {.takes_stubs = true, .asked_s = RIG_NOW_S};
    int64_t since_s;
    char name[300];

    for (int i = 0; i < 300; i++) {
        snprintf(name, sizeof name, "%0200d.test", i); /* names are longer than other keys */
        assert_err(ERR_OK, store_domain_put(r->s, name, &d));
    }
    assert_err(ERR_OK, store_domain_seen(r->s, "once.test", RIG_NOW_S, &since_s));
    assert_err(ERR_OK, store_domain_seen(r->s, "again.test", RIG_NOW_S, &since_s));
    assert_int_equal(rig_sweep(r, RIG_NOW_S + 90 * DAY_S).purged, 0);
    assert_int_equal(rig_sweep(r, RIG_NOW_S + 91 * DAY_S).purged, 300);
    assert_err(ERR_OK, store_domain_seen(r->s, "again.test", RIG_NOW_S + 300 * DAY_S, &since_s));
    assert_int_equal(since_s, RIG_NOW_S);
    assert_int_equal(rig_sweep(r, RIG_NOW_S + 401 * DAY_S).purged, 1);
    assert_err(ERR_NOT_FOUND, store_domain_first_seen(r->s, "once.test", &since_s));
    assert_err(ERR_OK, store_domain_first_seen(r->s, "again.test", &since_s));
    assert_int_equal(since_s, RIG_NOW_S);
}

/* ---- files --------------------------------------------------------------------------------------------- */

static void make_file(struct rig *r, const uint8_t id[ENGINE_BLOB_ID_BYTES])
{
    struct engine *e = r->s->engine;
    struct engine_blob *b;

    assert_err(ERR_OK, e->ops->blob_create(e, &b));
    assert_err(ERR_OK, e->ops->blob_write(b, "x", 1));
    assert_err(ERR_OK, e->ops->blob_keep(b, id));
}

static void orphaned_files_go_and_no_others(struct rig *r)
{
    const uint8_t orphan[ENGINE_BLOB_ID_BYTES] = {1}, under_way[ENGINE_BLOB_ID_BYTES] = {2};
    struct posted p = rig_post(r, LETTER(.size = 99999));
    struct store_claimed c;
    struct store_claim q;

    make_file(r, orphan);
    make_file(r, under_way);
    /* As between a deposit's file and its commit. */
    assert_true(grace_take(r->s->keeping, span_bytes(under_way, sizeof under_way), GRACE_FOR_EVER));
    if (r->options.engine == STORE_BDB) { /* not ours to judge */
        char path[200];

        snprintf(path, sizeof path, "%s/payload/lost+found", r->directory);
        assert_int_equal(mkdir(path, 0700), 0);
    }
    assert_int_equal(rig_sweep(r, RIG_NOW_S).orphans, 1);
    assert_int_equal(rig_sweep(r, RIG_NOW_S).orphans, 0);
    grace_give_back(r->s->keeping, span_bytes(under_way, sizeof under_way));
    assert_int_equal(rig_sweep(r, RIG_NOW_S).orphans, 1);
    if (r->options.engine == STORE_BDB)
        assert_int_equal(rig_file_count(r->directory, "payload"), 2);
    q = rig_claim(&p, 1, RIG_NOW_S);
    assert_err(ERR_OK, store_claim(r->s, &q, &c));
    rig_check_body(r, &c, &p, LETTER(.size = 99999));
}

/* ---- space --------------------------------------------------------------------------------------------- */

enum { ROWS = 30000, LEFT = 10 };

static void put_rows(struct engine *e, enum engine_table table, size_t value_bytes)
{
    static char value[20000];

    for (uint32_t i = 0; i < ROWS; i += 100) {
        struct engine_txn *t;

        assert_err(ERR_OK, e->ops->begin(e, &t));
        for (uint32_t j = i; j < i + 100; j++) {
            uint32_t key[2] = {j * 2654435761U, j};

            assert_err(ERR_OK,
                       e->ops->put(t, table, span_bytes(key, sizeof key), span_bytes(value, value_bytes)));
        }
        assert_err(ERR_OK, e->ops->commit(t));
    }
}

static long table_kb(struct rig *r, enum engine_table table)
{
    char path[200];
    struct stat st;

    snprintf(path, sizeof path, "%s/db/%s.db", r->directory, engine_table_name(table));
    assert_int_equal(stat(path, &st), 0);
    return (long)st.st_size / 1024;
}

static void del_rows(struct engine *e, enum engine_table table)
{
    for (uint32_t i = 0; i < ROWS; i += 100) {
        struct engine_txn *t;

        assert_err(ERR_OK, e->ops->begin(e, &t));
        for (uint32_t j = i; j < i + 100; j++) {
            uint32_t key[2] = {j * 2654435761U, j};
            enum err err =
                j % (ROWS / LEFT) == 0 ? ERR_OK : e->ops->del(t, table, span_bytes(key, sizeof key));

            assert_true(err == ERR_OK || err == ERR_NOT_FOUND);
        }
        assert_err(ERR_OK, e->ops->commit(t));
    }
}

static void a_table_gives_its_space_back(struct rig *r)
{
    struct engine *e = r->s->engine;
    struct buf at, value;
    uint64_t pages = 0;
    long before_kb = 0;
    int calls = 0;

    put_rows(e, TABLE_JOB, 300);
    if (r->options.engine == STORE_BDB) {
        rig_close(r); /* with a checkpoint */
        before_kb = table_kb(r, TABLE_JOB);
        rig_open(r);
        e = r->s->engine;
    }
    del_rows(e, TABLE_JOB);
    buf_init(&at, ENGINE_KEY_MAX);
    buf_init(&value, STORE_VALUE_MAX);
    do {
        assert_err(ERR_OK, e->ops->compact(e, TABLE_JOB, &at, &pages));
    } while (at.len > 0 && ++calls < 1000);
    assert_true(calls < 1000);
    for (uint32_t j = 0; j < ROWS; j += ROWS / LEFT) { /* what is left is what was there */
        uint32_t key[2] = {j * 2654435761U, j};

        assert_err(ERR_OK, store_read(r->s, TABLE_JOB, span_bytes(key, sizeof key), &value));
        assert_int_equal(value.len, 300);
    }
    if (r->options.engine == STORE_BDB) {
        rig_close(r);
        assert_true(table_kb(r, TABLE_JOB) < before_kb / 3);
        assert_true(pages > 100);
        rig_open(r);
    }
    buf_free(&at);
    buf_free(&value);
}

int main(void)
{
    static const struct rig_case cases[] = {
        RIG_CASE(tickets_past_their_time_end_in_small_steps),
        RIG_CASE(tombstones_go_with_all_that_was_theirs),
        RIG_CASE(a_damaged_record_stops_nobody_else),
        RIG_CASE(a_lease_is_let_run),
        RIG_CASE(a_clock_that_went_back_stops_nothing),
        RIG_CASE(entries_and_tokens_go_long_after_their_time),
        RIG_CASE(what_was_noted_of_domains_is_forgotten_in_time),
        RIG_CASE(orphaned_files_go_and_no_others),
        RIG_CASE(a_table_gives_its_space_back),
    };

    return rig_run("sweeper", cases, sizeof cases / sizeof *cases, true, true);
}
