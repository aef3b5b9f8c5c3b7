/* Which letters somebody means. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "local/selection.h"

#define NOW 1800000000LL

static void ids_are_hex_digits(void **state)
{
    static const struct {
        const char *text, *want; /* NULL: refused */
    } rows[] = {
        {"9f31c2a0", "9f31c2a0"},
        {"9F31C2A0", "9f31c2a0"},
        {"0", "0"},
        {"0001000102030405060708090a0b0c0d", "0001000102030405060708090a0b0c0d"},
        {"0001000102030405060708090a0b0c0d0", NULL},
        {"", NULL},
        {"xyz", NULL},
        {"9f31 c2a0", NULL},
        {"-1", NULL},
    };
    char out[SELECTION_ID_MAX + 1];

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_int_equal(selection_id(rows[i].text, out), rows[i].want ? ERR_OK : ERR_SYNTAX);
        if (rows[i].want)
            assert_string_equal(out, rows[i].want);
    }
}

static struct ticket *a_ticket(const char *sender, const char *message_id, const char *queue_id,
                               uint8_t payload, int64_t created_s)
{
    struct ticket *t = calloc(1, sizeof *t);

    assert_non_null(t);
    strcpy(t->owner, "alice");
    strcpy(t->sender, sender);
    strcpy(t->message_id, message_id);
    strcpy(t->queue_id, queue_id);
    t->payload_id[0] = payload;
    t->created_s = created_s;
    return t;
}

static void a_letter_is_what_came_in_one_deposit(void **state)
{
    static const struct {
        const char *sender, *message_id, *queue_id;
        uint8_t payload;
        int64_t created_s;
        bool same;
    } rows[] = {
        {"alice@a.test", "1@a.test", "4bX", 1, NOW, true},
        {"alice@a.test", "1@a.test", "4bX", 2, NOW, true}, /* one of them was replaced */
        {"alice@a.test", "1@a.test", "", 1, NOW, true},
        {"alice@a.test", "1@a.test", "4bY", 2, NOW, false},
        {"alice@a.test", "1@a.test", "4bX", 2, NOW + 1, false},
        {"alice@a.test", "2@a.test", "4bX", 1, NOW, false},
        {"dave@a.test", "1@a.test", "4bX", 1, NOW, false},
    };
    struct ticket *first = a_ticket("alice@a.test", "1@a.test", "4bX", 1, NOW);

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct ticket *t = a_ticket(rows[i].sender, rows[i].message_id, rows[i].queue_id, rows[i].payload,
                                    rows[i].created_s);
        assert_int_equal(selection_same_letter(first, t), rows[i].same);
        free(t);
    }
    free(first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_are_hex_digits),
        cmocka_unit_test(a_letter_is_what_came_in_one_deposit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
