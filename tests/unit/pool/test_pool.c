/* Work on the pool: all of it runs, a full queue refuses, and freeing runs what waits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>

#include "pool/pool.h"

static atomic_uint ran;

static void count(void *arg)
{
    (void)arg;
    atomic_fetch_add(&ran, 1);
}

static void hold(void *arg)
{
    pthread_mutex_lock(arg);
    pthread_mutex_unlock(arg);
    atomic_fetch_add(&ran, 1);
}

static void all_submitted_work_runs_before_free_returns(void **state)
{
    struct pool *p = NULL;
    (void)state;

    atomic_store(&ran, 0);
    assert_int_equal(pool_create("unit", 4, 1000, &p), ERR_OK);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(pool_submit(p, count, NULL), ERR_OK);
    pool_free(p);
    assert_int_equal(atomic_load(&ran), 1000);
}

static void a_full_queue_refuses_and_recovers(void **state)
{
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    struct pool *p = NULL;
    (void)state;

    atomic_store(&ran, 0);
    assert_int_equal(pool_create("unit", 1, 2, &p), ERR_OK);
    pthread_mutex_lock(&gate);
    assert_int_equal(pool_submit(p, hold, &gate), ERR_OK);
    while (pool_waiting(p) != 0)
        sched_yield();
    assert_int_equal(pool_submit(p, hold, &gate), ERR_OK);
    assert_int_equal(pool_submit(p, hold, &gate), ERR_OK);
    assert_int_equal(pool_waiting(p), 2);
    assert_int_equal(pool_submit(p, count, NULL), ERR_BUSY);
    pthread_mutex_unlock(&gate);
    while (pool_waiting(p) != 0)
        sched_yield();
    assert_int_equal(pool_submit(p, count, NULL), ERR_OK);
    pool_free(p);
    assert_int_equal(atomic_load(&ran), 4);
}

static void submit_again(void *arg)
{
    assert_int_equal(pool_submit(arg, count, NULL), ERR_OK);
    atomic_fetch_add(&ran, 1);
}

static void work_may_submit_work(void **state)
{
    struct pool *p = NULL;
    (void)state;

    atomic_store(&ran, 0);
    assert_int_equal(pool_create("unit", 2, 8, &p), ERR_OK);
    assert_int_equal(pool_submit(p, submit_again, p), ERR_OK);
    while (atomic_load(&ran) < 2)
        sched_yield();
    pool_free(p);
    pool_free(NULL);
}

static atomic_uint idles, worked_at_idle;

static void note_idle(void *arg)
{
    atomic_store(&worked_at_idle, atomic_load((atomic_uint *)arg));
    atomic_fetch_add(&idles, 1);
}

static void add_one(void *arg)
{
    atomic_fetch_add((atomic_uint *)arg, 1);
}

static void who_has_worked_tells_when_nothing_waits(void **state)
{
    struct pool *p = NULL;
    atomic_uint worked = 0;
    (void)state;

    assert_int_equal(pool_create("unit", 1, 1000, &p), ERR_OK);
    pool_on_idle(p, note_idle, &worked);
    for (int i = 0; i < 100; i++)
        assert_int_equal(pool_submit(p, add_one, &worked), ERR_OK);
    pool_free(p);
    assert_true(atomic_load(&idles) > 0);
    assert_true(atomic_load(&idles) <= 100);
    assert_int_equal(atomic_load(&worked_at_idle), 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_has_worked_tells_when_nothing_waits),
        cmocka_unit_test(all_submitted_work_runs_before_free_returns),
        cmocka_unit_test(a_full_queue_refuses_and_recovers),
        cmocka_unit_test(work_may_submit_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
