/* Answers are kept by TTL and a little longer, within a number and a size. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "dns/answer.h"
#include "dns/cache.h"

static void put(struct cache *c, const char *name, uint32_t ttl_s, size_t text_len, int64_t now_ms)
{
    struct dns_answer *a = answer_create(DNS_TXT);
    struct dns_record *r = answer_add(a);

    r->txt.data = calloc(1, text_len + 1);
    r->txt.len = text_len;
    a->exists = true;
    a->ttl_s = ttl_s;
    cache_put(c, name, a, now_ms);
    dns_answer_free(a);
}

/* What is left of the TTL; -1: not there. */
static int64_t left(struct cache *c, const char *name, int64_t now_ms, bool *again)
{
    struct dns_answer *a = cache_get(c, name, DNS_TXT, now_ms, again);
    int64_t ttl_s = a ? (int64_t)a->ttl_s : -1;

    dns_answer_free(a);
    return ttl_s;
}

static void an_answer_is_given_out_a_little_longer_and_asked_anew_once(void **state)
{
    struct cache *c;
    bool again;

    (void)state;
    assert_int_equal(cache_create(10, &c), ERR_OK);
    put(c, "a.test", 60, 10, 1000);
    assert_int_equal(left(c, "a.test", 60999, &again), 1);
    assert_false(again);
    assert_int_equal(left(c, "a.test", 61000, &again), 0);
    assert_true(again);
    assert_int_equal(left(c, "a.test", 66999, &again), 0);
    assert_false(again);
    assert_true(cache_has(c, "a.test", DNS_TXT, 66999));
    assert_int_equal(left(c, "a.test", 67000, &again), -1);
    cache_free(c);
}

static void what_is_left_of_a_ttl_does_not_shorten_the_grace(void **state)
{
    struct cache *c;
    bool again;

    (void)state;
    assert_int_equal(cache_create(10, &c), ERR_OK);
    put(c, "a.test", 3600, 10, 0);
    assert_int_equal(left(c, "a.test", 3600000, &again), 0);
    assert_true(again);
    put(c, "a.test", 1, 10, 3600000);
    assert_int_equal(left(c, "a.test", 3601000 + CACHE_STALE_MAX_MS - 1, &again), 0);
    assert_true(again);
    assert_int_equal(left(c, "a.test", 3601000 + CACHE_STALE_MAX_MS, &again), -1);
    cache_free(c);
}

static void large_answers_push_out_more_than_one(void **state)
{
    struct cache *c;
    bool again;
    char name[32];

    (void)state;
    assert_int_equal(cache_create(100, &c), ERR_OK);
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "d%d.test", i);
        put(c, name, 60, 100, 0);
    }
    assert_int_equal(left(c, "d0.test", 1000, &again), 59); /* now the newest */
    put(c, "large.test", 60, 60000, 0);
    assert_int_equal(left(c, "large.test", 1000, &again), 59);
    assert_int_equal(left(c, "d0.test", 1000, &again), 59);
    put(c, "larger.test", 60, 65000, 0);
    assert_int_equal(left(c, "larger.test", 1000, &again), 59);
    assert_int_equal(left(c, "large.test", 1000, &again), -1);
    assert_int_equal(left(c, "d1.test", 1000, &again), -1);
    cache_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_is_given_out_a_little_longer_and_asked_anew_once),
        cmocka_unit_test(what_is_left_of_a_ttl_does_not_shorten_the_grace),
        cmocka_unit_test(large_answers_push_out_more_than_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
