/* Room on the disk for letters that are called for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/log.h"
#include "pull/room.h"

#define TB ((int64_t)1 << 40)

static struct room *room(const char *directory, int64_t reserve_bytes)
{
    struct room *r;
    assert_int_equal(room_create(directory, reserve_bytes, &r), ERR_OK);
    return r;
}

static void what_is_set_aside_is_there_for_nobody_else(void **state)
{
    (void)state;
    struct room *r = room("/tmp", 0);
    uint64_t half = 1;
    while (room_take(r, half)) { /* the largest power of two that fits */
        room_give(r, half);
        half *= 2;
    }
    half /= 2;
    assert_true(half > 0);
    assert_true(room_take(r, half));
    assert_false(room_take(r, 2 * half));
    room_give(r, half);
    assert_true(room_take(r, half));
    room_free(r);
}

static void what_large_letters_are_to_need_keeps_no_small_one_waiting(void **state)
{
    (void)state;
    struct room *r = room("/tmp", 0);
    while (room_take(r, (uint64_t)1 << 30))
        ;
    while (room_take(r, (uint64_t)1 << 20))
        ;
    while (room_take(r, 128 * 1024 + 1))
        ;
    assert_true(room_take(r, 128 * 1024));
    assert_true(room_take(r, 128 * 1024));
    room_free(r);
}

static void the_reserve_stays_free(void **state)
{
    (void)state;
    struct room *r = room("/tmp", TB << 20);
    assert_false(room_take(r, 0));
    assert_false(room_take(r, UINT64_MAX));
    room_free(r);
}

static void a_disk_that_does_not_answer_has_no_room(void **state)
{
    (void)state;
    struct room *r = room("/nonexistent/spool", 0);
    assert_false(room_take(r, 1));
    room_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_set_aside_is_there_for_nobody_else),
        cmocka_unit_test(what_large_letters_are_to_need_keeps_no_small_one_waiting),
        cmocka_unit_test(the_reserve_stays_free),
        cmocka_unit_test(a_disk_that_does_not_answer_has_no_room),
    };
    log_open("test_room", LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
