/* test_sitekey.c - site keys that are replaced and forgotten, and records sealed under them. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ticket/sitekey.h"

static struct site_keys *two_keys(void)
{
    static const uint16_t epochs[] = {3, 9};
    static const uint8_t keys[][SITEKEY_BYTES] = {{1, 2, 3}, {4, 5, 6}};
    struct site_keys *k = NULL;
    assert_int_equal(site_keys_from_bytes(epochs, keys, 2, &k), ERR_OK);
    return k;
}

static void epochs_have_keys_and_fingerprints_of_their_own(void **state)
{
    (void)state;
    struct site_keys *k = two_keys();
    uint8_t x[32], y[32];
    struct site_key_info e, h;
    assert_int_equal(site_keys_current(k), 9);
    assert_true(site_keys_info(k, 0, &e));
    assert_true(site_keys_info(k, 1, &h));
    assert_false(site_keys_info(k, 2, &h));
    assert_int_equal(e.epoch, 3);
    assert_int_equal(h.epoch, 9);
    assert_memory_not_equal(e.fingerprint, h.fingerprint, sizeof e.fingerprint);
    assert_true(site_keys_has(k, 3));
    assert_false(site_keys_has(k, 4));
    assert_int_equal(site_keys_derive(k, 3, "x", SPAN_LITERAL("y"), x), ERR_OK);
    assert_int_equal(site_keys_derive(k, 9, "x", SPAN_LITERAL("y"), y), ERR_OK);
    assert_memory_not_equal(x, y, sizeof x);
    assert_int_equal(site_keys_derive(k, 3, "xy", SPAN_LITERAL(""), y), ERR_OK);
    assert_memory_not_equal(x, y, sizeof x);
    assert_int_equal(site_keys_derive(k, 4, "x", SPAN_LITERAL("y"), y), ERR_NOT_FOUND);
    site_keys_free(k);
    const uint16_t twice[] = {3, 3}, zero[] = {0};
    const uint8_t keys[2][SITEKEY_BYTES] = {{0}};
    assert_int_equal(site_keys_from_bytes(twice, keys, 2, &k), ERR_CONFIG);
    assert_int_equal(site_keys_from_bytes(zero, keys, 1, &k), ERR_CONFIG);
    assert_int_equal(site_keys_from_bytes(zero, keys, 0, &k), ERR_CONFIG);
}

static void a_sealed_record_opens_in_its_place_alone(void **state)
{
    (void)state;
    struct site_keys *k = two_keys();
    struct buf sealed, again, plain;
    buf_init(&sealed, 100);
    buf_init(&again, 100);
    buf_init_secret(&plain, 100);
    assert_int_equal(site_seal(k, "job", SPAN_LITERAL("key7"), SPAN_LITERAL("hello"), &sealed), ERR_OK);
    assert_int_equal(site_seal(k, "job", SPAN_LITERAL("key7"), SPAN_LITERAL("hello"), &again), ERR_OK);
    assert_int_equal(sealed.len, 5 + SITE_SEAL_OVERHEAD);
    assert_memory_not_equal(sealed.data, again.data, sealed.len);
    assert_int_equal(site_open(k, "job", SPAN_LITERAL("key7"), buf_span(&sealed), &plain), ERR_OK);
    assert_string_equal(buf_cstr(&plain), "hello");
    assert_int_equal(site_open(k, "job", SPAN_LITERAL("key8"), buf_span(&sealed), &plain), ERR_SEAL_TAG);
    assert_int_equal(site_open(k, "dek", SPAN_LITERAL("key7"), buf_span(&sealed), &plain), ERR_SEAL_TAG);
    assert_int_equal(site_open(k, "job", SPAN_LITERAL("key7"), span_bytes(sealed.data, 33), &plain),
                     ERR_SEAL_FORMAT);
    for (size_t i = 0; i < sealed.len; i++) {
        sealed.data[i] ^= 4;
        assert_int_equal(site_open(k, "job", SPAN_LITERAL("key7"), buf_span(&sealed), &plain),
                         i < 2 ? ERR_NOT_FOUND : ERR_SEAL_TAG);
        sealed.data[i] ^= 4;
    }
    assert_string_equal(buf_cstr(&plain), "hello");
    buf_clear(&sealed);
    buf_clear(&plain);
    assert_int_equal(site_seal(k, "job", (struct span){0}, (struct span){0}, &sealed), ERR_OK);
    assert_int_equal(site_open(k, "job", (struct span){0}, buf_span(&sealed), &plain), ERR_OK);
    assert_int_equal(plain.len, 0);
    char large[101] = "";
    assert_int_equal(site_seal(k, "job", (struct span){0}, span_bytes(large, 101), &again), ERR_TOO_LARGE);
    buf_free(&sealed);
    buf_free(&again);
    buf_free(&plain);
    site_keys_free(k);
    site_keys_free(NULL);
}

/* Epochs first..last; the key of an epoch is always the same. */
static struct site_keys *keys_of(uint16_t first, uint16_t last)
{
    struct site_key key[16] = {{.epoch = 0}};
    struct site_keys *k = NULL;
    size_t n = 0;
    for (uint16_t e = first; e <= last; e++, n++) {
        key[n].epoch = e;
        key[n].line = e + 10U;
        key[n].since_s = 1000 + e;
        key[n].key[0] = (uint8_t)e;
    }
    assert_int_equal(site_keys_create(key, n, "f", &k), ERR_OK);
    return k;
}

static void keys_are_replaced_and_forgotten(void **state)
{
    (void)state;
    struct site_keys *k = keys_of(1, 3);
    struct site_key_info i;
    struct buf place;
    uint8_t before[32], after[32];
    buf_init(&place, 100);
    assert_int_equal(site_keys_derive(k, 2, "x", SPAN_LITERAL("y"), before), ERR_OK);
    site_keys_replace(k, keys_of(2, 4));
    assert_int_equal(site_keys_current(k), 4);
    assert_false(site_keys_has(k, 1));
    assert_int_equal(site_keys_derive(k, 1, "x", SPAN_LITERAL("y"), after), ERR_NOT_FOUND);
    assert_int_equal(site_keys_derive(k, 2, "x", SPAN_LITERAL("y"), after), ERR_OK);
    assert_memory_equal(before, after, sizeof after);

    assert_int_equal(site_keys_forget(k, 4), ERR_FORBIDDEN);
    assert_int_equal(site_keys_forget(k, 1), ERR_NOT_FOUND);
    assert_int_equal(site_keys_forget(k, 2), ERR_OK);
    assert_int_equal(site_keys_forget(k, 2), ERR_NOT_FOUND);
    assert_int_equal(site_keys_derive(k, 2, "x", SPAN_LITERAL("y"), after), ERR_NOT_FOUND);
    assert_true(site_keys_info(k, 0, &i));
    assert_int_equal(i.epoch, 3);
    assert_int_equal(i.line, 13);
    assert_int_equal(i.since_s, 1003);
    assert_true(site_keys_info(k, 1, &i));
    assert_false(site_keys_info(k, 2, &i));

    site_keys_place(k, 3, &place);
    site_keys_place(k, 0, &place);
    site_keys_place(k, 2, &place);
    assert_string_equal(buf_cstr(&place), "f:13: f: f: ");
    buf_free(&place);
    site_keys_free(k);
}

struct crowd {
    struct site_keys *keys;
    atomic_bool stop;
    atomic_uint done;
};

/* What was sealed under any current key opens; epoch 5 is in all the sets. */
static void *work(void *arg)
{
    struct crowd *c = arg;
    struct buf sealed, plain;
    buf_init(&sealed, 100);
    buf_init_secret(&plain, 100);
    uint8_t first[32], again[32];
    bool good = site_keys_derive(c->keys, 5, "x", SPAN_LITERAL("y"), first) == ERR_OK;
    while (good && !atomic_load(&c->stop)) {
        struct site_key_info i;
        buf_clear(&sealed);
        buf_clear(&plain);
        good = site_seal(c->keys, "job", SPAN_LITERAL("k"), SPAN_LITERAL("hello"), &sealed) == ERR_OK &&
               site_open(c->keys, "job", SPAN_LITERAL("k"), buf_span(&sealed), &plain) == ERR_OK &&
               span_is(buf_span(&plain), "hello") &&
               site_keys_derive(c->keys, 5, "x", SPAN_LITERAL("y"), again) == ERR_OK &&
               memcmp(first, again, sizeof first) == 0 && site_keys_info(c->keys, 0, &i) &&
               site_keys_current(c->keys) >= 5;
        atomic_fetch_add(&c->done, 1);
    }
    buf_free(&sealed);
    buf_free(&plain);
    return good ? c : NULL;
}

static void threads_derive_and_seal_while_keys_are_replaced(void **state)
{
    (void)state;
    struct crowd c = {.keys = keys_of(3, 5)};
    pthread_t thread[3];
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, work, &c), 0);
    while (atomic_load(&c.done) == 0)
        ;
    for (uint16_t round = 0; round < 200; round++) {
        /* The highest of a round is never missing in the next, as in a store. */
        site_keys_replace(c.keys, keys_of(3, (uint16_t)(5 + round / 20)));
        if (round % 2 == 0)
            assert_int_equal(site_keys_forget(c.keys, 3), ERR_OK);
    }
    atomic_store(&c.stop, true);
    for (size_t i = 0; i < 3; i++) {
        void *good = NULL;
        assert_int_equal(pthread_join(thread[i], &good), 0);
        assert_non_null(good);
    }
    site_keys_free(c.keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(epochs_have_keys_and_fingerprints_of_their_own),
        cmocka_unit_test(a_sealed_record_opens_in_its_place_alone),
        cmocka_unit_test(keys_are_replaced_and_forgotten),
        cmocka_unit_test(threads_derive_and_seal_while_keys_are_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
