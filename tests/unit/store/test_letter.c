/*
 * test_letter.c - letters are found by their Message-ID and known when they come again, whatever became of
 * them, on whichever day they came, and also those of a store that kept no such list.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "rig.h"
#include "store/recall.h"
#include "store/store_internal.h"
#include "store/store_letter.h"

#define DAY_S 86400

struct seen {
    size_t count;
    uint8_t key[20][TICKET_STORE_KEY_BYTES];
};

static bool see(void *arg, const struct ticket *t)
{
    struct seen *seen = arg;

    memcpy(seen->key[seen->count++], t->key, sizeof t->key);
    return true;
}

static struct seen find(struct rig *r, const char *message_id, const char *recipient)
{
    struct store_filter f = {.message_id = message_id, .recipient = recipient, .state = -1};
    struct seen seen = {.count = 0};

    assert_err(ERR_OK, store_tickets(r->s, &f, 20, see, &seen));
    return seen;
}

static void assert_is(const struct seen *seen, size_t at, const struct posted *p)
{
    assert_true(at < seen->count);
    assert_memory_equal(seen->key[at], p->ticket.key, sizeof p->ticket.key);
}

static struct posted post_at(struct rig *r, int64_t created_s)
{
    return rig_post(r, LETTER(.created_s = created_s, .expires_s = created_s + 60 * DAY_S));
}

static void retract(struct rig *r, const struct posted *p)
{
    struct ticket t;

    assert_err(ERR_OK, store_retract(r->s, p->ticket.key, false, p->ticket.created_s + 1, &t));
}

static size_t rows(struct rig *r)
{
    struct engine_rows all;
    size_t count;

    engine_rows_init(&all);
    assert_err(ERR_OK, r->s->engine->ops->scan(r->s->engine, TABLE_LETTER, span_bytes(NULL, 0),
                                               span_bytes(NULL, 0), false, 1000, &all));
    count = all.count;
    engine_rows_free(&all);
    return count;
}

static void a_letter_is_found_by_its_message_id(struct rig *r)
{
    struct posted p[3], other = rig_post(r, LETTER(.message_id = "<2@a.test>"));
    struct seen seen;

    assert_err(ERR_OK, rig_deposit(r, LETTER(), 3, p));
    rig_post(r, LETTER(.message_id = ""));
    assert_int_equal(find(r, "<1@a.test>", NULL).count, 3);
    seen = find(r, "<1@a.test>", "r1@b.test");
    assert_int_equal(seen.count, 1);
    assert_is(&seen, 0, &p[1]);
    seen = find(r, "<2@a.test>", NULL);
    assert_int_equal(seen.count, 1);
    assert_is(&seen, 0, &other);
    assert_int_equal(find(r, "<2@a.test", NULL).count, 0);
    assert_int_equal(find(r, "", NULL).count, 1);
}

static void what_came_later_is_found_first(struct rig *r)
{
    struct posted first = post_at(r, RIG_NOW_S), third = post_at(r, RIG_NOW_S + 9 * DAY_S),
                  second = post_at(r, RIG_NOW_S + 2 * DAY_S);
    struct store_filter f = {.message_id = "<1@a.test>", .state = -1};
    struct seen seen = find(r, "<1@a.test>", NULL), one = {.count = 0};

    assert_int_equal(seen.count, 3);
    assert_is(&seen, 0, &third);
    assert_is(&seen, 1, &second);
    assert_is(&seen, 2, &first);
    assert_err(ERR_OK, store_tickets(r->s, &f, 1, see, &one));
    assert_int_equal(one.count, 1);
    assert_is(&one, 0, &third);
}

static void what_was_retracted_and_sent_again_is_found_too(struct rig *r)
{
    struct posted p[3];
    struct seen seen;

    for (int i = 0; i < 3; i++) {
        p[i] = post_at(r, RIG_NOW_S + i);
        assert_false(p[i].existing);
        if (i < 2)
            retract(r, &p[i]);
    }
    seen = find(r, "<1@a.test>", NULL);
    assert_int_equal(seen.count, 3);
    for (size_t i = 0; i < 3; i++)
        assert_is(&seen, 2 - i, &p[i]);
    assert_true(post_at(r, RIG_NOW_S + 3).existing);
}

static void the_same_letter_is_known_on_the_next_day(struct rig *r)
{
    int64_t midnight_s = RIG_NOW_S - RIG_NOW_S % DAY_S + DAY_S;
    struct posted p = post_at(r, midnight_s - 10), again = post_at(r, midnight_s + 10);

    assert_true(again.existing);
    assert_memory_equal(again.ticket.key, p.ticket.key, sizeof p.ticket.key);
    assert_true(post_at(r, midnight_s - 10 + DAY_S).existing);
    assert_false(post_at(r, midnight_s - 9 + DAY_S).existing);
}

/* The clock goes back over midnight, or deposits from both sides of it commit the later one first. */
static void the_same_letter_is_known_on_the_day_before(struct rig *r)
{
    int64_t midnight_s = RIG_NOW_S - RIG_NOW_S % DAY_S + DAY_S;
    struct posted p = post_at(r, midnight_s + 10), again = post_at(r, midnight_s - 10), before;

    assert_true(again.existing);
    assert_memory_equal(again.ticket.key, p.ticket.key, sizeof p.ticket.key);
    if (r->options.engine == STORE_BDB) {
        rig_close(r);
        rig_open(r);
    }
    assert_true(post_at(r, midnight_s + 10 - DAY_S).existing);
    assert_int_equal(rows(r), 1);
    before = post_at(r, midnight_s + 9 - DAY_S);
    assert_false(before.existing);
    assert_int_equal(rows(r), 2);
    /* What ended there does not hide what came before it. */
    retract(r, &p);
    again = post_at(r, midnight_s - 20);
    assert_true(again.existing);
    assert_memory_equal(again.ticket.key, before.ticket.key, sizeof before.ticket.key);
    retract(r, &before);
    assert_false(post_at(r, midnight_s - 10).existing);
    assert_int_equal(rows(r), 3);
    assert_int_equal(find(r, "<1@a.test>", NULL).count, 3);
}

/* Two clients' programs bring it at the same time, and their clocks are on both sides of midnight. */
struct crowd {
    struct rig *r;
    int64_t created_s;
    struct posted p;
    enum err err;
};

static void *post_one(void *arg)
{
    struct crowd *x = arg;

    x->err = rig_deposit(x->r, LETTER(.created_s = x->created_s, .expires_s = x->created_s + 60 * DAY_S), 1,
                         &x->p);
    return NULL;
}

static void one_letter_on_both_sides_of_midnight_has_one_ticket(struct rig *r)
{
    int64_t midnight_s = RIG_NOW_S - RIG_NOW_S % DAY_S + DAY_S;

    for (int round = 0; round < 20; round++) {
        struct crowd x[4];
        pthread_t thread[4];
        int fresh = 0;

        for (int i = 0; i < 4; i++) {
            x[i] = (struct crowd){.r = r, .created_s = midnight_s + round * 3 * DAY_S - 1 + (i + round) % 2};
            assert_int_equal(pthread_create(&thread[i], NULL, post_one, &x[i]), 0);
        }
        for (int i = 0; i < 4; i++)
            assert_int_equal(pthread_join(thread[i], NULL), 0);
        for (int i = 0; i < 4; i++) {
            assert_err(ERR_OK, x[i].err);
            fresh += !x[i].p.existing;
        }
        assert_int_equal(fresh, 1);
    }
}

static void rows_end_with_their_tickets(struct rig *r)
{
    struct posted last;

    for (int i = 0; i < 3; i++) {
        struct posted p = post_at(r, RIG_NOW_S + i);

        retract(r, &p);
    }
    last = post_at(r, RIG_NOW_S + DAY_S + 100);
    assert_int_equal(rows(r), 4);
    rig_sweep(r, RIG_NOW_S + 50 * DAY_S);
    assert_int_equal(rows(r), 1);
    assert_int_equal(find(r, "<1@a.test>", NULL).count, 1);
    retract(r, &last);
    rig_sweep(r, RIG_NOW_S + 50 * DAY_S);
    assert_int_equal(rows(r), 0);
}

struct row {
    enum engine_table table;
    struct span key, value;
};

static enum err put_row(struct change *c, void *arg)
{
    const struct row *row = arg;

    return c->s->engine->ops->put(c->txn, row->table, row->key, row->value);
}

/* Every row of letters has this value. */
static void spoil(struct rig *r, struct span value)
{
    struct engine_rows all;
    struct span k, v;

    engine_rows_init(&all);
    assert_err(ERR_OK, r->s->engine->ops->scan(r->s->engine, TABLE_LETTER, span_bytes(NULL, 0),
                                               span_bytes(NULL, 0), false, 1000, &all));
    while (engine_rows_next(&all, &k, &v))
        assert_err(ERR_OK, store_change(r->s, put_row, &(struct row){TABLE_LETTER, k, value}));
    engine_rows_free(&all);
}

/* Twice is better than never: the letter is taken, and known from then on. */
static void a_row_that_cannot_be_read_keeps_no_letter_out(struct rig *r)
{
    struct posted first = rig_post(r, LETTER()), other = rig_post(r, LETTER(.message_id = "<2@a.test>")),
                  again;

    spoil(r, SPAN_LITERAL("\0\1letter"));
    again = post_at(r, RIG_NOW_S + 1);
    assert_false(again.existing);
    assert_true(post_at(r, RIG_NOW_S + 2).existing);
    assert_int_equal(find(r, "<1@a.test>", NULL).count, 1);
    spoil(r, SPAN_LITERAL("\x7f\xff"));
    retract(r, &first);
    retract(r, &again);
    retract(r, &other);
    rig_sweep(r, RIG_NOW_S + 50 * DAY_S);
    assert_err(ERR_NOT_FOUND, store_ticket_get(r->s, first.ticket.key, &first.ticket));
    assert_err(ERR_NOT_FOUND, store_ticket_get(r->s, other.ticket.key, &other.ticket));
}

static enum err del_row(struct change *c, void *arg)
{
    const struct row *row = arg;

    return c->s->engine->ops->del(c->txn, row->table, row->key);
}

static enum err read_record(struct change *c, void *arg)
{
    struct ticket_record *t = arg;
    uint8_t key[TICKET_STORE_KEY_BYTES];

    memcpy(key, t->t.key, sizeof key);
    return change_ticket_get(c, key, t);
}

static enum err forget(struct change *c, void *arg)
{
    return change_letter_del(c, arg);
}

/* As a store of before has it: no row in the list, but the one that knew the same letter. */
static void make_old(struct rig *r, const struct posted *p)
{
    struct ticket_record *t = calloc(1, sizeof *t);
    struct dedupe_record d = {.created_s = p->ticket.created_s};
    struct buf value;

    assert_non_null(t);
    memcpy(t->t.key, p->ticket.key, sizeof t->t.key);
    memcpy(d.key, p->ticket.key, sizeof d.key);
    assert_err(ERR_OK, store_change(r->s, read_record, t));
    assert_err(ERR_OK, store_change(r->s, forget, t));
    buf_init(&value, STORE_VALUE_MAX);
    assert_err(ERR_OK, dedupe_record_encode(&d, &value));
    assert_err(ERR_OK, store_change(r->s, put_row,
                                    &(struct row){TABLE_DEDUPE, span_bytes(t->dedupe, sizeof t->dedupe),
                                                  buf_span(&value)}));
    buf_free(&value);
    free(t);
}

/* Opening finds out what the list cannot have. */
static void become_old(struct rig *r)
{
    assert_err(ERR_OK, store_change(r->s, del_row, &(struct row){TABLE_META, SPAN_LITERAL("letters"), {0}}));
    assert_err(ERR_OK, store_letter_open(r->s));
}

static void a_letter_of_a_store_of_before_is_found_and_known(struct rig *r)
{
    struct posted old = post_at(r, RIG_NOW_S), new, again;
    struct seen seen;

    make_old(r, &old);
    assert_int_equal(rows(r), 0);
    become_old(r);
    assert_int_equal(r->s->letters_since_s, RIG_NOW_S + 1);
    seen = find(r, "<1@a.test>", NULL);
    assert_int_equal(seen.count, 1);
    assert_is(&seen, 0, &old);
    again = post_at(r, RIG_NOW_S + 5);
    assert_true(again.existing);
    assert_memory_equal(again.ticket.key, old.ticket.key, sizeof old.ticket.key);

    retract(r, &old);
    new = post_at(r, RIG_NOW_S + 6);
    assert_false(new.existing);
    assert_true(post_at(r, RIG_NOW_S + 7).existing);
    seen = find(r, "<1@a.test>", NULL);
    assert_int_equal(seen.count, 2);
    assert_is(&seen, 0, &new);
    assert_is(&seen, 1, &old);
    rig_sweep(r, RIG_NOW_S + 50 * DAY_S);
    assert_int_equal(find(r, "<1@a.test>", NULL).count, 1);
}

/* The clock was put back after the list was begun: a ticket that has its row is told once. */
static void what_is_in_the_list_is_not_told_twice(struct rig *r)
{
    struct posted late = post_at(r, RIG_NOW_S + 100), early;
    struct seen seen;

    make_old(r, &late);
    become_old(r);
    early = rig_post(r, LETTER(.fill = 'y'));
    seen = find(r, "<1@a.test>", NULL);
    assert_int_equal(seen.count, 2);
    assert_memory_not_equal(seen.key[0], seen.key[1], sizeof seen.key[0]);
    retract(r, &early);
    assert_int_equal(find(r, "<1@a.test>", NULL).count, 2);
}

int main(void)
{
    static const struct rig_case cases[] = {
        RIG_CASE(a_letter_is_found_by_its_message_id),
        RIG_CASE(what_came_later_is_found_first),
        RIG_CASE(what_was_retracted_and_sent_again_is_found_too),
        RIG_CASE(the_same_letter_is_known_on_the_next_day),
        RIG_CASE(the_same_letter_is_known_on_the_day_before),
        RIG_CASE(one_letter_on_both_sides_of_midnight_has_one_ticket),
        RIG_CASE(rows_end_with_their_tickets),
        RIG_CASE(a_row_that_cannot_be_read_keeps_no_letter_out),
        RIG_CASE(a_letter_of_a_store_of_before_is_found_and_known),
        RIG_CASE(what_is_in_the_list_is_not_told_twice),
    };

    return rig_run("store letters", cases, sizeof cases / sizeof *cases, true, true);
}
