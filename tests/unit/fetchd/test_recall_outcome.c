/* What a sender is told when he asks for his letter back. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "local/recall_outcome.h"

#define NOW 1800000000LL

static void each_answer_is_exactly_one_of_them(void **state)
{
    static const struct {
        enum recall_word word;
        enum err err;
        enum ticket_state state;
        bool handed_over;
        const char *want, *text;
        bool done, again, confirmed;
    } rows[] = {
        {RECALL_RETRACT, ERR_OK, TICKET_RETRACTED, false, "retracted", "nobody", true, false, false},
        {RECALL_REPLACE, ERR_OK, TICKET_WAITING, false, "replaced", "version 2", true, false, false},
        {RECALL_HOLD, ERR_OK, TICKET_WAITING, false, "on-hold", "nobody", true, false, false},
        {RECALL_HOLD, ERR_OK, TICKET_LEASED, true, "on-hold", "collected before", true, false, false},
        {RECALL_RELEASE, ERR_OK, TICKET_WAITING, false, "released", "waiting", true, false, false},
        {RECALL_RETRACT, ERR_HANDED_OVER, TICKET_DELIVERED, true, "collected", "arrival confirmed", false,
         false, true},
        {RECALL_RETRACT, ERR_HANDED_OVER, TICKET_LEASED, true, "collected", "not yet confirmed", false, false,
         false},
        {RECALL_REPLACE, ERR_HANDED_OVER, TICKET_LAPSED, true, "collected", "not yet confirmed", false, false,
         false},
        {RECALL_RETRACT, ERR_GONE, TICKET_UNCONFIRMED, true, "collected", "never confirmed", false, false,
         false},
        {RECALL_RETRACT, ERR_GONE, TICKET_REFUSED, true, "collected", "refused then: why", false, false,
         false},
        {RECALL_RETRACT, ERR_GONE, TICKET_REFUSED, false, "ended", "refused at", false, false, false},
        {RECALL_RETRACT, ERR_GONE, TICKET_EXPIRED, false, "ended", "expired at", false, false, false},
        {RECALL_REPLACE, ERR_GONE, TICKET_RETRACTED, false, "ended", "retracted at", false, false, false},
        {RECALL_RETRACT, ERR_ON_HOLD, TICKET_WAITING, false, "on-hold", "on hold", false, false, false},
        {RECALL_RETRACT, ERR_RESTORED, TICKET_WAITING, false, "perhaps", "restored", false, false, false},
        {RECALL_RETRACT, ERR_UNARCHIVED, TICKET_WAITING, false, "not-yet", "try again", false, true, false},
        {RECALL_REPLACE, ERR_BUSY, TICKET_WAITING, false, "not-yet", "try again", false, true, false},
        {RECALL_REPLACE, ERR_FROM_CHANGED, TICKET_WAITING, false, "from-changed", "alice@a.test", false,
         false, false},
        {RECALL_RETRACT, ERR_STORE, TICKET_WAITING, false, "failed", "store", false, true, false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct outcome *o = calloc(1, sizeof *o);
        struct ticket *t = calloc(1, sizeof *t);
        assert_non_null(o);
        assert_non_null(t);
        t->state = rows[i].state;
        t->version = 2;
        t->changed_s = NOW;
        t->handed_over_s = rows[i].handed_over ? NOW - 60 : 0;
        strcpy(t->from, "alice@a.test");
        strcpy(t->remote_reason, "why");
        outcome_of(rows[i].word, rows[i].err, t, o);
        assert_string_equal(o->word, rows[i].want);
        if (!strstr(o->text, rows[i].text))
            fail_msg("%zu: %s", i, o->text);
        assert_int_equal(o->done, rows[i].done);
        assert_int_equal(o->again, rows[i].again);
        assert_int_equal(o->confirmed, rows[i].confirmed);
        assert_true(o->collected_s == (strcmp(o->word, "collected") == 0 ? NOW - 60 : 0));
        free(t);
        free(o);
    }
}

static void what_happened_goes_before_what_is_forbidden(void **state)
{
    static const struct {
        enum ticket_state state;
        bool handed_over;
        const char *want;
    } rows[] = {
        {TICKET_WAITING, false, "forbidden"}, {TICKET_HELD, false, "forbidden"},
        {TICKET_LEASED, true, "collected"},   {TICKET_DELIVERED, true, "collected"},
        {TICKET_EXPIRED, false, "ended"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct outcome *o = calloc(1, sizeof *o);
        struct ticket *t = calloc(1, sizeof *t);
        assert_non_null(o);
        assert_non_null(t);
        t->state = rows[i].state;
        t->handed_over_s = rows[i].handed_over ? NOW : 0;
        outcome_forbidden(RECALL_RETRACT, t, o);
        assert_string_equal(o->word, rows[i].want);
        assert_false(o->done);
        free(t);
        free(o);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_answer_is_exactly_one_of_them),
        cmocka_unit_test(what_happened_goes_before_what_is_forbidden),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
