/*
 * test_verify.c - each kind of damage, made by hand, is found, and put right by a repair that loses nothing
 * silently.
 */
#include <db.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "rig.h"
#include "store/policy_record.h"
#include "store/store_internal.h"
#include "store/ticket_state.h"
#include "store/verify.h"

#define DAY_S 86400

/* ---- damage ---- */

struct tamper {
    enum engine_table table;
    struct span key, value; /* value NULL: it goes */
};

static enum err tamper_body(struct change *c, void *arg)
{
    const struct tamper *t = arg;

    return t->value.ptr == NULL ? c->s->engine->ops->del(c->txn, t->table, t->key)
                                : c->s->engine->ops->put(c->txn, t->table, t->key, t->value);
}

static void put_row(struct rig *r, enum engine_table table, struct span key, struct span value)
{
    assert_err(ERR_OK, store_change(r->s, tamper_body, &(struct tamper){table, key, value}));
}

static void del_row(struct rig *r, enum engine_table table, struct span key)
{
    put_row(r, table, key, span_bytes(NULL, 0));
}

static struct span key_of(const struct posted *p)
{
    return span_bytes(p->ticket.key, sizeof p->ticket.key);
}

static struct span payload_of(const struct posted *p)
{
    return span_bytes(p->ticket.payload_id, sizeof p->ticket.payload_id);
}

/* One byte of a row is another. */
static void flip(struct rig *r, enum engine_table table, struct span key, size_t at)
{
    struct buf value;

    buf_init(&value, STORE_VALUE_MAX);
    assert_err(ERR_OK, store_read(r->s, table, key, &value));
    assert_true(at < value.len);
    value.data[at] ^= 0x40;
    put_row(r, table, key, buf_span(&value));
    buf_free(&value);
}

static enum err take_reference(struct change *c, void *arg)
{
    struct payload_record p;
    enum err err = change_payload_get(c, arg, &p);

    p.references += 5;
    buf_clear(&c->value);
    if (err == ERR_OK)
        err = payload_record_encode(&p, &c->value);
    return err == ERR_OK ? c->s->engine->ops->put(c->txn, TABLE_PAYLOAD,
                                                  span_bytes(arg, SEAL_PAYLOAD_ID_BYTES), buf_span(&c->value))
                         : err;
}

static enum err miscount(struct change *c, void *arg)
{
    (void)arg;
    c->counts.tickets[TICKET_EXPIRED] = 7;
    c->counts.payloads = 3;
    return ERR_OK;
}

/* ---- looking ---- */

struct seen {
    char what[40][40];
    char text[40][128];
    bool repaired[40];
    size_t count;
};

static void see(void *arg, const struct verify_finding *f)
{
    struct seen *s = arg;

    assert_true(s->count < 40);
    snprintf(s->what[s->count], sizeof s->what[0], "%s", f->what);
    snprintf(s->text[s->count], sizeof s->text[0], "%s %s", f->table, f->text);
    s->repaired[s->count++] = f->repaired;
}

static const char *quarantine(struct rig *r)
{
    static char path[120];

    snprintf(path, sizeof path, "%s.quarantine", r->directory[0] ? r->directory : "/tmp/restante-memory");
    return path;
}

static struct verify_result check(struct rig *r, bool repair, bool deep, struct seen *s)
{
    const struct verify_options o = {
        .repair = repair, .deep = deep, .quarantine = quarantine(r), .each = see, .arg = s};
    struct verify_result result;

    memset(s, 0, sizeof *s);
    assert_err(ERR_OK, store_verify(r->s, &o, &result));
    assert_int_equal(result.findings, s->count);
    assert_true(result.sums);
    return result;
}

static void assert_clean(struct rig *r)
{
    struct seen s;

    check(r, false, true, &s);
    for (size_t i = 0; i < s.count; i++)
        print_message("%s: %s\n", s.what[i], s.text[i]);
    assert_int_equal(s.count, 0);
}

static bool saw(const struct seen *s, const char *what)
{
    for (size_t i = 0; i < s->count; i++)
        if (strcmp(s->what[i], what) == 0)
            return true;
    return false;
}

/* It is found, found again (looking changes nothing), repaired, and gone. */
static void found_and_repaired(struct rig *r, const char *what)
{
    struct seen s;
    struct verify_result result;

    for (int i = 0; i < 2; i++) {
        result = check(r, false, true, &s);
        if (!saw(&s, what))
            fail_msg("%s is not found (%zu others, first %s)", what, s.count, s.what[0]);
        assert_int_equal(result.repaired, 0);
    }
    check(r, true, true, &s);
    assert_true(saw(&s, what));
    for (size_t i = 0; i < s.count; i++)
        if (!s.repaired[i])
            fail_msg("%s: %s is not repaired", s.what[i], s.text[i]);
    assert_clean(r);
    rig_remove_tree(quarantine(r));
}

static enum ticket_state state(struct rig *r, const struct posted *p)
{
    struct ticket t;

    assert_err(ERR_OK, store_ticket_get(r->s, p->ticket.key, &t));
    return t.state;
}

static size_t quarantined(struct rig *r)
{
    size_t count = 0;
    DIR *d = opendir(quarantine(r));

    if (d == NULL)
        return 0;
    for (const struct dirent *e; (e = readdir(d)) != NULL;)
        count += e->d_name[0] != '.' && strcmp(e->d_name, "findings.json") != 0;
    closedir(d);
    return count;
}

/* ---- cases ---- */

static void a_store_in_use_is_in_order(struct rig *r)
{
    const struct letter *l = LETTER(.notify = "SUCCESS");
    struct posted p[3], large;
    struct store_claimed *c = calloc(1, sizeof *c);
    struct store_claim q;
    struct job j;
    enum job_added added;
    uint8_t digest[32];
    size_t count;

    assert_clean(r);
    assert_err(ERR_OK, rig_deposit(r, l, 3, p));
    large = rig_post(r, LETTER(.message_id = "<2@a.test>", .size = 300000, .expires_s = RIG_NOW_S + 10));
    assert_clean(r);
    q = rig_claim(&p[0], 1, RIG_NOW_S);
    assert_err(ERR_OK, store_claim(r->s, &q, c));
    letter_digest(l, digest);
    assert_err(ERR_OK, store_ack(r->s, p[0].ticket.key, digest, RIG_NOW_S, NULL));
    assert_err(ERR_OK, store_nack(r->s, p[1].ticket.key, NULL, "policy", "no", RIG_NOW_S, NULL));
    assert_err(ERR_OK,
               store_status(r->s, p[2].ticket.key, TICKET_CHALLENGED, "https://b.test/c", RIG_NOW_S, NULL));
    assert_err(ERR_OK, store_expire(r->s, RIG_NOW_S + 50, 10, &count));
    assert_int_equal(state(r, &large), TICKET_EXPIRED);
    memset(&j, 0, sizeof j);
    strcpy(j.url, "https://pull.a.test/restante/1/x");
    strcpy(j.recipient, "bob@b.test");
    j.created_s = j.due_s = RIG_NOW_S;
    j.expires_s = RIG_NOW_S + DAY_S;
    assert_err(ERR_OK, store_job_add(r->s, &j, &added));
    assert_err(ERR_OK, store_job_delivered(r->s, j.id, digest, 1, "4b", "250", RIG_NOW_S));
    assert_clean(r);
    assert_err(ERR_OK, store_job_end(r->s, j.id, JOB_ACKED, "", RIG_NOW_S));
    assert_err(ERR_OK, store_purge(r->s, RIG_NOW_S + 400 * DAY_S, 100, &count));
    assert_clean(r);
    free(c);
}

static void index_rows_that_are_missing_are_made_again(struct rig *r)
{
    struct posted p = rig_post(r, LETTER());
    struct record_key k = record_key_time(p.ticket.created_s, p.ticket.key, sizeof p.ticket.key);

    del_row(r, TABLE_CREATED, record_key_span(&k));
    found_and_repaired(r, "index-missing");
    k = record_key_timer(TIMER_EXPIRE, p.ticket.expires_s, p.ticket.key, sizeof p.ticket.key);
    del_row(r, TABLE_TIMER, record_key_span(&k));
    found_and_repaired(r, "index-missing");
    k = record_key_work(p.ticket.created_s, p.ticket.key, WORK_STUB);
    del_row(r, TABLE_WORK_DUE, record_key_span(&k));
    found_and_repaired(r, "index-missing");
    assert_int_equal(state(r, &p), TICKET_WAITING);
}

/* The only row of a table. */
static void only_row(struct rig *r, enum engine_table table, struct buf *key, struct buf *value)
{
    struct engine_rows rows;
    struct span k, v;

    engine_rows_init(&rows);
    assert_err(ERR_OK, r->s->engine->ops->scan(r->s->engine, table, span_bytes(NULL, 0), span_bytes(NULL, 0),
                                               false, 2, &rows));
    assert_int_equal(rows.count, 1);
    assert_true(engine_rows_next(&rows, &k, &v));
    assert_err(ERR_OK, buf_append_span(key, k));
    assert_err(ERR_OK, buf_append_span(value, v));
    engine_rows_free(&rows);
}

static void what_is_to_be_forgotten_has_its_timer_again(struct rig *r)
{
    static const enum engine_table table[] = {TABLE_CORRESPONDENT, TABLE_SPENT};
    const uint8_t once[SPENT_KEY_BYTES] = {9};
    struct buf key, value;
    size_t count;

    buf_init(&key, ENGINE_KEY_MAX);
    buf_init(&value, STORE_VALUE_MAX);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (table[i] == TABLE_SPENT)
            assert_err(ERR_OK, store_spend(r->s, once, clock_now_s() + DAY_S));
        else
            assert_err(ERR_OK, store_correspondent_add(r->s, "alice@a.test", "bob@b.test", RIG_NOW_S,
                                                       RIG_NOW_S + DAY_S));
        buf_clear(&key);
        only_row(r, TABLE_TIMER, &key, &value);
        del_row(r, TABLE_TIMER, buf_span(&key));
        found_and_repaired(r, "index-missing");
        assert_err(ERR_OK, store_purge(r->s, clock_now_s() + 400 * DAY_S, 100, &count));
        assert_err(ERR_NOT_FOUND,
                   store_read(r->s, table[i], span_bytes(key.data + 9, SPENT_KEY_BYTES), &value));
    }
    buf_free(&key);
    buf_free(&value);
}

static void index_rows_of_nothing_go(struct rig *r)
{
    const uint8_t other[TICKET_STORE_KEY_BYTES] = {5};
    struct record_key k = record_key_time(RIG_NOW_S, other, sizeof other);

    put_row(r, TABLE_CREATED, record_key_span(&k), SPAN_LITERAL("0123456789abcdef"));
    found_and_repaired(r, "index-stale");
    k = record_key_timer(TIMER_EXPIRE, RIG_NOW_S, other, sizeof other);
    put_row(r, TABLE_TIMER, record_key_span(&k), SPAN_LITERAL(""));
    found_and_repaired(r, "index-stale");
    k = record_key_work(RIG_NOW_S, other, WORK_NOTIFY);
    put_row(r, TABLE_WORK_DUE, record_key_span(&k), SPAN_LITERAL(""));
    found_and_repaired(r, "index-stale");
    k = record_key_time(RIG_NOW_S, other, 16);
    put_row(r, TABLE_JOB_DUE, record_key_span(&k), SPAN_LITERAL(""));
    found_and_repaired(r, "index-stale");
    put_row(r, TABLE_WRAP, span_bytes(other, sizeof other), SPAN_LITERAL("wrap"));
    found_and_repaired(r, "wrap-orphan");
    put_row(r, TABLE_SEALED, span_bytes(other, 16), SPAN_LITERAL("sealed"));
    found_and_repaired(r, "payload-orphan");
    put_row(r, TABLE_LETTER, span_bytes(other, 28), SPAN_LITERAL("letter"));
    found_and_repaired(r, "index-stale");
}

static void a_letter_that_is_not_in_the_list_is_put_there(struct rig *r)
{
    struct posted p = rig_post(r, LETTER());
    struct buf key, value;

    buf_init(&key, ENGINE_KEY_MAX);
    buf_init(&value, STORE_VALUE_MAX);
    only_row(r, TABLE_LETTER, &key, &value);
    del_row(r, TABLE_LETTER, buf_span(&key));
    assert_false(rig_post(r, LETTER(.recipient = "carol@b.test")).existing);
    found_and_repaired(r, "index-missing");
    assert_true(rig_post(r, LETTER()).existing);
    /* On a day on which it did not come. */
    key.data[3] ^= 1;
    put_row(r, TABLE_LETTER, buf_span(&key), buf_span(&value));
    found_and_repaired(r, "index-stale");
    assert_int_equal(state(r, &p), TICKET_WAITING);
    buf_free(&key);
    buf_free(&value);
}

/* Put into the place of a row of letters: none, cut off, of a version that never was. */
static const char *const no_letter_row[] = {"letter", "\x01", "\x7f", ""};

static void a_row_of_letters_that_cannot_be_read_is_made_again(struct rig *r)
{
    struct posted p = rig_post(r, LETTER());
    struct buf key, value;

    buf_init(&key, ENGINE_KEY_MAX);
    buf_init(&value, STORE_VALUE_MAX);
    only_row(r, TABLE_LETTER, &key, &value);
    for (size_t i = 0; i < sizeof no_letter_row / sizeof *no_letter_row; i++) {
        put_row(r, TABLE_LETTER, buf_span(&key), span_of(no_letter_row[i]));
        found_and_repaired(r, "index-missing");
        buf_clear(&key);
        buf_clear(&value);
        only_row(r, TABLE_LETTER, &key, &value);
        assert_true(rig_post(r, LETTER()).existing);
    }
    assert_int_equal(state(r, &p), TICKET_WAITING);
    buf_free(&key);
    buf_free(&value);
}

static void a_row_of_letters_of_before_that_cannot_be_read_goes(struct rig *r)
{
    struct posted p = rig_post(r, LETTER());
    struct ticket_record *t = calloc(1, sizeof *t);
    struct buf key, value;

    assert_non_null(t);
    buf_init(&key, ENGINE_KEY_MAX);
    buf_init(&value, STORE_VALUE_MAX);
    only_row(r, TABLE_LETTER, &key, &value);
    assert_err(ERR_OK, store_read(r->s, TABLE_TICKET, key_of(&p), &value));
    assert_err(ERR_OK, ticket_record_decode(buf_span(&value), p.ticket.key, t));
    r->s->letters_since_s = RIG_NOW_S + 1;
    for (size_t i = 0; i < sizeof no_letter_row / sizeof *no_letter_row; i++) {
        del_row(r, TABLE_LETTER, buf_span(&key));
        put_row(r, TABLE_DEDUPE, span_bytes(t->dedupe, sizeof t->dedupe), span_of(no_letter_row[i]));
        found_and_repaired(r, "index-stale");
        assert_true(rig_post(r, LETTER()).existing);
    }
    free(t);
    buf_free(&key);
    buf_free(&value);
}

static void a_wrap_is_made_again(struct rig *r)
{
    const struct letter *l = LETTER();
    struct posted p = rig_post(r, l);
    struct store_claimed *c = calloc(1, sizeof *c);
    struct store_claim q = rig_claim(&p, 1, RIG_NOW_S);

    flip(r, TABLE_WRAP, key_of(&p), 3);
    found_and_repaired(r, "wrap-damaged");
    del_row(r, TABLE_WRAP, key_of(&p));
    found_and_repaired(r, "wrap-damaged");
    assert_err(ERR_OK, store_claim(r->s, &q, c));
    rig_check_body(r, c, &p, l);
    free(c);
}

static void a_letter_that_is_gone_is_told_of(struct rig *r)
{
    struct posted small = rig_post(r, LETTER()),
                  large = rig_post(r, LETTER(.message_id = "<2@a.test>", .size = 300000));
    struct posted record = rig_post(r, LETTER(.message_id = "<3@a.test>"));
    struct seen s;
    struct work w[10];
    size_t count;

    del_row(r, TABLE_SEALED, payload_of(&small));
    assert_err(ERR_OK, r->s->engine->ops->blob_remove(r->s->engine, large.ticket.payload_id));
    flip(r, TABLE_PAYLOAD, payload_of(&record), 0);
    check(r, false, false, &s);
    assert_true(saw(&s, "payload-damaged"));
    assert_true(saw(&s, "record-damaged"));
    check(r, true, false, &s);
    assert_int_equal(quarantined(r), 4); /* of the third the record, and the bytes */
    assert_int_equal(state(r, &small), TICKET_BOUNCED);
    assert_int_equal(state(r, &large), TICKET_BOUNCED);
    assert_int_equal(state(r, &record), TICKET_BOUNCED);
    assert_err(ERR_OK, store_work_due(r->s, RIG_NOW_S + 400 * DAY_S, 1, w, 10, &count));
    assert_int_equal(count, 3);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(w[i].kind, WORK_NOTIFY);
    assert_clean(r);
    rig_remove_tree(quarantine(r));
}

static void sealed_bytes_that_do_not_open_are_found(struct rig *r)
{
    struct posted header = rig_post(r, LETTER()), body = rig_post(r, LETTER(.message_id = "<2@a.test>"));
    struct seen s;

    flip(r, TABLE_SEALED, payload_of(&body), 2000);
    check(r, false, false, &s);
    assert_int_equal(s.count, 0); /* only the head is looked at */
    flip(r, TABLE_SEALED, payload_of(&header), 60);
    check(r, false, false, &s);
    assert_int_equal(s.count, 1);
    assert_string_equal(s.what[0], "payload-damaged");
    found_and_repaired(r, "payload-damaged");
    assert_int_equal(state(r, &header), TICKET_BOUNCED);
    assert_int_equal(state(r, &body), TICKET_BOUNCED);
}

static void records_that_cannot_be_read_are_put_aside(struct rig *r)
{
    struct posted p = rig_post(r, LETTER()), other = rig_post(r, LETTER(.message_id = "<2@a.test>"));
    struct store_counts n;
    struct seen s;

    put_row(r, TABLE_TICKET, key_of(&p), SPAN_LITERAL("\0\1 this is no ticket"));
    check(r, true, true, &s);
    assert_true(saw(&s, "record-damaged"));
    assert_true(quarantined(r) > 0);
    assert_clean(r);
    assert_err(ERR_OK, store_count(r->s, &n));
    assert_int_equal(n.tickets[TICKET_WAITING], 1);
    assert_int_equal(state(r, &other), TICKET_WAITING);
    rig_remove_tree(quarantine(r));
    put_row(r, TABLE_JOB, SPAN_LITERAL("0123456789abcdef"), SPAN_LITERAL("\0\1 this is no job"));
    found_and_repaired(r, "record-damaged");
    put_row(r, TABLE_ATTEMPT, SPAN_LITERAL("0123456789abcdef0123456789abcdef"), SPAN_LITERAL("\0\1 no row"));
    found_and_repaired(r, "record-damaged");
    put_row(r, TABLE_POLICY, SPAN_LITERAL("0123456789abcdef"), SPAN_LITERAL("\0\1 no policy"));
    found_and_repaired(r, "record-damaged");
}

static void references_and_sums_are_corrected(struct rig *r)
{
    struct posted p = rig_post(r, LETTER());
    struct store_counts n;

    assert_err(ERR_OK, store_change(r->s, take_reference, p.ticket.payload_id));
    found_and_repaired(r, "references-wrong");
    assert_err(ERR_OK, store_change(r->s, miscount, NULL));
    found_and_repaired(r, "sum-wrong");
    assert_err(ERR_OK, store_count(r->s, &n));
    assert_int_equal(n.tickets[TICKET_EXPIRED], 0);
    assert_int_equal(n.payloads, 1);
    del_row(r, TABLE_TICKET, key_of(&p));
    found_and_repaired(r, "payload-unneeded");
    assert_err(ERR_OK, store_count(r->s, &n));
    assert_int_equal(n.payloads, 0);
    assert_int_equal(n.tickets[TICKET_WAITING], 0);
}

static void what_nobody_needs_is_not_destroyed(struct rig *r)
{
    struct posted small = rig_post(r, LETTER()),
                  large = rig_post(r, LETTER(.message_id = "<2@a.test>", .size = 300000));
    struct seen s;

    del_row(r, TABLE_TICKET, key_of(&small));
    del_row(r, TABLE_TICKET, key_of(&large));
    check(r, true, true, &s);
    assert_true(saw(&s, "payload-unneeded"));
    assert_int_equal(quarantined(r), 4); /* two wrapped keys, two letters */
    assert_clean(r);
    rig_remove_tree(quarantine(r));
}

static void payload_files_without_a_record_are_put_aside(struct rig *r)
{
    const struct engine_ops *ops = r->s->engine->ops;
    const uint8_t id[ENGINE_BLOB_ID_BYTES] = {7};
    struct engine_blob *b;
    struct seen s;
    uint64_t size;
    int fd;

    rig_post(r, LETTER(.size = 300000));
    assert_err(ERR_OK, ops->blob_create(r->s->engine, &b));
    assert_err(ERR_OK, ops->blob_write(b, "whose?", 6));
    assert_err(ERR_OK, ops->blob_keep(b, id));
    check(r, false, false, &s);
    assert_int_equal(s.count, 1);
    assert_string_equal(s.what[0], "payload-orphan");
    check(r, true, false, &s);
    assert_true(s.repaired[0]);
    assert_int_equal(quarantined(r), 1);
    assert_err(ERR_NOT_FOUND, ops->blob_open(r->s->engine, id, &fd, &size));
    assert_clean(r);
    rig_remove_tree(quarantine(r));
}

struct ending {
    struct rig *r;
    const struct posted *p;
    const struct letter *l;
    pthread_t thread;
    struct seen seen;
};

static void *end_it(void *arg)
{
    struct ending *x = arg;
    uint8_t digest[32];

    letter_digest(x->l, digest);
    assert_err(ERR_OK, store_ack(x->r->s, x->p->ticket.key, digest, RIG_NOW_S, NULL));
    return NULL;
}

/* In the place of the sync for which the ack waits: its commit is done, and the file is not removed yet. */
static enum err look_meanwhile(void *arg)
{
    struct ending *x = arg;
    struct buf value;

    assert_int_equal(pthread_create(&x->thread, NULL, end_it, x), 0);
    buf_init(&value, STORE_VALUE_MAX);
    while (store_read(x->r->s, TABLE_PAYLOAD, payload_of(x->p), &value) == ERR_OK)
        sched_yield();
    buf_free(&value);
    assert_int_equal(rig_file_count(x->r->directory, "payload"), 1);
    check(x->r, false, false, &x->seen);
    return ERR_OK;
}

static void a_file_that_is_about_to_go_is_no_orphan(struct rig *r)
{
    const struct letter *l = LETTER(.size = 300000);
    struct posted p = rig_post(r, l);
    struct store_claim q = rig_claim(&p, 1, RIG_NOW_S);
    struct ending x = {.r = r, .p = &p, .l = l};
    struct store_claimed c;

    if (r->directory[0] == '\0')
        return; /* there are no files, and no sync */
    assert_err(ERR_OK, store_claim(r->s, &q, &c));
    rig_check_body(r, &c, &p, l);
    assert_err(ERR_OK, group_sync_run(&r->s->flush, look_meanwhile, &x));
    assert_int_equal(pthread_join(x.thread, NULL), 0);
    assert_int_equal(x.seen.count, 0);
    assert_int_equal(rig_file_count(r->directory, "payload"), 0);
    assert_clean(r);
}

/* Of descriptors that are used up no letter dies. */
static void what_cannot_be_looked_at_is_not_called_damaged(struct rig *r)
{
    struct posted large = rig_post(r, LETTER(.size = 300000));
    const struct verify_options o = {.repair = true, .quarantine = quarantine(r)};
    struct verify_result result;
    struct rlimit before, few;
    int fd = dup(0);

    assert_true(fd >= 0);
    close(fd);
    if (r->directory[0] == '\0')
        return; /* there are no files */
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = before;
    few.rlim_cur = (rlim_t)fd;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    enum err err = store_verify(r->s, &o, &result);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_not_equal(err, ERR_OK);
    assert_int_equal(result.repaired, 0);
    assert_int_equal(state(r, &large), TICKET_WAITING);
    assert_clean(r);
}

/* The engine's, but for one payload, whose bytes cannot be read. */
static const struct engine_ops *real_ops;
static uint8_t bad_id[SEAL_PAYLOAD_ID_BYTES];

static enum err open_badly(struct engine *e, const uint8_t id[ENGINE_BLOB_ID_BYTES], int *fd, uint64_t *size)
{
    enum err err = real_ops->blob_open(e, id, fd, size);
    int bad;

    if (err != ERR_OK || memcmp(id, bad_id, sizeof bad_id) != 0)
        return err;
    assert_true((bad = open("/dev/null", O_WRONLY | O_CLOEXEC)) >= 0);
    close(*fd);
    *fd = bad;
    return ERR_OK;
}

/* Of a letter on a bad sector all that can be said is that it is there; the others are looked at. */
static void a_letter_that_cannot_be_read_stops_nothing(struct rig *r)
{
    struct posted bad = rig_post(r, LETTER(.size = 300000)),
                  good = rig_post(r, LETTER(.message_id = "<2@a.test>", .size = 300000));
    struct record_key k = record_key_time(good.ticket.created_s, good.ticket.key, sizeof good.ticket.key);
    struct engine_ops ops = *r->s->engine->ops;
    struct seen s;

    real_ops = r->s->engine->ops;
    memcpy(bad_id, bad.ticket.payload_id, sizeof bad_id);
    ops.blob_open = open_badly;
    r->s->engine->ops = &ops;
    check(r, false, true, &s);
    assert_int_equal(s.count, 1);
    assert_string_equal(s.what[0], "payload-unreadable");
    del_row(r, TABLE_CREATED, record_key_span(&k));
    check(r, true, true, &s);
    assert_int_equal(s.count, 2);
    assert_string_equal(s.what[0], "payload-unreadable");
    assert_false(s.repaired[0]);
    assert_string_equal(s.what[1], "index-missing");
    assert_true(s.repaired[1]);
    assert_int_equal(state(r, &bad), TICKET_WAITING);
    /* Nor is it thrown away when nobody needs it. */
    del_row(r, TABLE_TICKET, key_of(&bad));
    check(r, true, false, &s);
    assert_true(saw(&s, "payload-unneeded"));
    r->s->engine->ops = real_ops;
    check(r, false, true, &s);
    assert_int_equal(s.count, 1);
    assert_string_equal(s.what[0], "payload-unneeded");
    check(r, true, true, &s);
    assert_clean(r);
    rig_remove_tree(quarantine(r));
}

/* From the second page on: the entries of its head lead anywhere. */
static void damage_pages(struct rig *r, const char *table)
{
    char path[200], bytes[64];
    int fd;

    snprintf(path, sizeof path, "%s/db/%s.db", r->directory, table);
    assert_true((fd = open(path, O_WRONLY)) >= 0);
    memset(bytes, 0xa5, sizeof bytes);
    assert_int_equal(pwrite(fd, bytes, sizeof bytes, 4096 + 20), (ssize_t)sizeof bytes);
    close(fd);
}

static struct verify_result check_tables(struct rig *r, bool repair, struct seen *s)
{
    const struct verify_options o = {.repair = repair, .quarantine = quarantine(r), .each = see, .arg = s};
    struct verify_result result = {.findings = 0};
    struct buf why;

    memset(s, 0, sizeof *s);
    buf_init(&why, 1000);
    assert_err(ERR_OK, store_verify_tables(&r->options, &o, &result, &why));
    assert_int_equal(result.findings, s->count);
    buf_free(&why);
    return result;
}

/* Looking into such a table may end in anything: it is found before. */
static void tables_whose_pages_are_damaged_are_found(struct rig *r)
{
    static const char *const derived[] = {"created", "timer", "wrap", "letter", "work", "quota", "tally"};
    struct posted p = rig_post(r, LETTER()), q = rig_post(r, LETTER(.message_id = "<2@a.test>"));
    struct seen s;

    if (r->directory[0] == '\0')
        return;
    for (size_t i = 0; i < sizeof derived / sizeof *derived; i++) {
        rig_close(r);
        assert_int_equal(check_tables(r, false, &s).findings, 0);
        damage_pages(r, derived[i]);
        check_tables(r, false, &s);
        assert_int_equal(s.count, 1);
        assert_string_equal(s.what[0], "table-damaged");
        assert_int_equal(check_tables(r, true, &s).repaired, 1);
        r->options.repair = true;
        rig_open(r);
        check(r, true, true, &s);
        assert_clean(r);
        assert_true(quarantined(r) > 0);
        rig_remove_tree(quarantine(r));
    }
    assert_int_equal(state(r, &p), TICKET_WAITING);
    assert_int_equal(state(r, &q), TICKET_WAITING);
    rig_close(r);
    damage_pages(r, "ticket");
    assert_int_equal(check_tables(r, true, &s).repaired, 0);
    assert_int_equal(s.count, 1);
    assert_int_equal(quarantined(r), 0);
    rig_remove_tree(r->directory);
    rig_open(r);
}

enum damage { CUT_SHORT, OTHER_HEAD, OTHER_END, OTHER_ROOT, DAMAGE_COUNT };

/* What a disk may do to the head of a file, and to its length. */
static void damage_file(struct rig *r, const char *table, enum damage how)
{
    static const struct {
        off_t at;
        size_t len;
    } head[DAMAGE_COUNT] = {[OTHER_HEAD] = {0, 512}, [OTHER_END] = {32, 4}, [OTHER_ROOT] = {88, 4}};
    char path[200], bytes[512];
    int fd;

    snprintf(path, sizeof path, "%s/db/%s.db", r->directory, table);
    assert_true((fd = open(path, O_WRONLY)) >= 0);
    memset(bytes, 0xa5, sizeof bytes);
    if (how == CUT_SHORT)
        assert_int_equal(ftruncate(fd, 4096 + 700), 0);
    else
        assert_int_equal(pwrite(fd, bytes, head[how].len, head[how].at), (ssize_t)head[how].len);
    close(fd);
}

static void tables_that_are_no_tables_are_found(struct rig *r)
{
    struct seen s;

    if (r->directory[0] == '\0')
        return;
    rig_post(r, LETTER());
    for (enum damage how = CUT_SHORT; how < DAMAGE_COUNT; how++) {
        rig_close(r);
        damage_file(r, "timer", how);
        check_tables(r, true, &s);
        assert_int_equal(s.count, 1);
        assert_string_equal(s.what[0], "table-damaged");
        r->options.repair = true;
        rig_open(r);
        check(r, true, true, &s);
        assert_clean(r);
    }
    rig_remove_tree(quarantine(r));
}

/* Of a file that cannot be opened, which opening of it that is. */
/* Berkeley DB loses a structure of its own when an open fails in its recovery. */
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#define LEAKS_LOOKED_FOR(yes) ((yes) ? __lsan_enable() : __lsan_disable())
#else
#define LEAKS_LOOKED_FOR(yes) ((void)(yes))
#endif

static int openings_left;

static int failing_open(const char *path, int flags, ...)
{
    const char *name = strrchr(path, '/');
    va_list more;

    if (name != NULL && strcmp(name, "/timer.db") == 0 && openings_left-- == 0) {
        errno = EIO;
        return -1;
    }
    va_start(more, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? (mode_t)va_arg(more, int) : 0;
    va_end(more);
    return open(path, flags, mode);
}

/* What cannot be looked at is no damage, and nothing goes. */
static void a_table_that_cannot_be_looked_at_stays(struct rig *r)
{
    const struct verify_options o = {.repair = true, .quarantine = quarantine(r)};
    struct verify_result result = {.findings = 0};
    size_t unreadable = 0;
    struct posted p;
    struct buf why;
    enum err err;

    if (r->directory[0] == '\0')
        return;
    p = rig_post(r, LETTER());
    rig_close(r);
    buf_init(&why, 1000);
    assert_int_equal(db_env_set_func_open(failing_open), 0);
    LEAKS_LOOKED_FOR(false);
    for (int n = 0; n < 100; n++) {
        openings_left = n;
        buf_clear(&why);
        err = store_verify_tables(&r->options, &o, &result, &why);
        assert_int_equal(result.findings, 0);
        assert_int_equal(quarantined(r), 0);
        if (openings_left >= 0)
            break;
        if (err == ERR_IO) {
            assert_non_null(strstr(buf_cstr(&why), "timer.db cannot be looked at"));
            unreadable++;
        }
    }
    LEAKS_LOOKED_FOR(true);
    assert_int_equal(db_env_set_func_open((int (*)(const char *, int, ...))open), 0);
    assert_err(ERR_OK, err);
    assert_true(unreadable > 0);
    buf_free(&why);
    rig_open(r);
    assert_int_equal(state(r, &p), TICKET_WAITING);
    assert_clean(r);
}

/* The store was written before there was the table of letters. */
static void the_first_repair_after_an_upgrade_is_enough(struct rig *r)
{
    static const char name[] = " letter ";
    struct posted p;
    struct seen s;
    struct buf names;
    char path[200], *at;

    if (r->directory[0] == '\0')
        return;
    p = rig_post(r, LETTER());
    buf_init(&names, STORE_VALUE_MAX);
    assert_err(ERR_OK, store_read(r->s, TABLE_META, SPAN_LITERAL("tables"), &names));
    assert_non_null(at = memmem(names.data, names.len, name, sizeof name - 1));
    names.len -= sizeof name - 2;
    memmove(at, at + sizeof name - 2, names.len - (size_t)(at - names.data));
    put_row(r, TABLE_META, SPAN_LITERAL("tables"), buf_span(&names));
    buf_free(&names);
    rig_close(r);
    snprintf(path, sizeof path, "%s/db/letter.db", r->directory);
    assert_int_equal(unlink(path), 0);
    damage_file(r, "timer", OTHER_HEAD);
    assert_int_equal(check_tables(r, true, &s).findings, 1);
    r->options.repair = true;
    rig_open(r);
    check(r, true, true, &s);
    assert_clean(r);
    assert_int_equal(state(r, &p), TICKET_WAITING);
    rig_remove_tree(quarantine(r));
}

static void assert_waits_for_repair(struct rig *r)
{
    char text[200];

    r->options.repair = false;
    for (int i = 0; i < 2; i++) {
        assert_err(ERR_STORE, rig_try_open(r, r->keys, text));
        assert_non_null(strstr(text, "check --repair"));
    }
}

/* Wherever it was: with a list or an outbox that is empty the store does not open, but to go on with it. */
static void a_repair_that_was_broken_off_goes_on(struct rig *r)
{
    static const char *const table[] = {"created", "timer",  "wrap",  "letter",
                                        "work",    "jobdue", "quota", "tally"};
    struct posted p;
    struct seen s;

    if (r->directory[0] == '\0')
        return;
    p = rig_post(r, LETTER());
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        rig_close(r);
        damage_file(r, table[i], OTHER_HEAD);
        assert_int_equal(check_tables(r, true, &s).repaired, 1);
        if (i % 2 == 0) /* right behind it, or when the store has been opened */
            assert_waits_for_repair(r);
        r->options.repair = true;
        rig_open(r);
        rig_close(r);
        assert_waits_for_repair(r);
        assert_int_equal(check_tables(r, true, &s).findings, 0);
        assert_waits_for_repair(r);
        r->options.repair = true;
        rig_open(r);
        check(r, false, true, &s); /* looking is not enough */
        rig_close(r);
        assert_waits_for_repair(r);
        r->options.repair = true;
        rig_open(r);
        check(r, true, true, &s);
        rig_close(r);
        r->options.repair = false;
        rig_open(r);
        assert_clean(r);
        assert_int_equal(state(r, &p), TICKET_WAITING);
    }
    rig_remove_tree(quarantine(r));
}

static const struct rig_case cases[] = {
    RIG_CASE(a_store_in_use_is_in_order),
    RIG_CASE(index_rows_that_are_missing_are_made_again),
    RIG_CASE(index_rows_of_nothing_go),
    RIG_CASE(what_is_to_be_forgotten_has_its_timer_again),
    RIG_CASE(a_letter_that_is_not_in_the_list_is_put_there),
    RIG_CASE(a_row_of_letters_that_cannot_be_read_is_made_again),
    RIG_CASE(a_row_of_letters_of_before_that_cannot_be_read_goes),
    RIG_CASE(a_wrap_is_made_again),
    RIG_CASE(a_letter_that_is_gone_is_told_of),
    RIG_CASE(sealed_bytes_that_do_not_open_are_found),
    RIG_CASE(records_that_cannot_be_read_are_put_aside),
    RIG_CASE(references_and_sums_are_corrected),
    RIG_CASE(what_nobody_needs_is_not_destroyed),
    RIG_CASE(payload_files_without_a_record_are_put_aside),
    RIG_CASE(a_file_that_is_about_to_go_is_no_orphan),
    RIG_CASE(tables_whose_pages_are_damaged_are_found),
    RIG_CASE(what_cannot_be_looked_at_is_not_called_damaged),
    RIG_CASE(a_letter_that_cannot_be_read_stops_nothing),
    RIG_CASE(tables_that_are_no_tables_are_found),
    RIG_CASE(a_table_that_cannot_be_looked_at_stays),
    RIG_CASE(a_repair_that_was_broken_off_goes_on),
    RIG_CASE(the_first_repair_after_an_upgrade_is_enough),
};

int main(void)
{
    return rig_run("verify", cases, sizeof cases / sizeof *cases, true, true);
}
